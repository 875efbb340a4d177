import Primitives

/// Copies of keys, one behind the other: what a walk found, while the table changes.
public struct KeyList: ~Copyable {
  private var bytes = ByteBuffer()
  private var ends: [Int] = []

  public init() {}

  public var count: Int { ends.count }

  /// Valid until the next mutation.
  public subscript(index: Int) -> UnsafeRawBufferPointer {
    let start = index == 0 ? 0 : ends[index - 1]
    return bytes.readable.slice(start, ends[index] - start)
  }

  public mutating func append(_ key: UnsafeRawBufferPointer) {
    bytes.append(key)
    ends.append(bytes.count)
  }

  /// Keeps the memory of ordinary keys for the next time.
  public mutating func removeAll() {
    bytes.removeAll()
    bytes.shrink(keeping: Limits.idleBufferBytes)
    ends.removeAll(keepingCapacity: true)
  }
}
