import Primitives

/// Finds the keyspace that governs a key: the longest name such that the key begins with `name:`.
///
/// With no keyspace but `default` that costs one comparison; else one hash a colon of the key, from
/// the last colon to the first.
public struct KeyspaceMap: Sendable {
  /// `default` first, then by name.
  public let names: [String]
  public let keyspaces: [Keyspace]
  private let indices: [UInt64: Int]
  private let nameBytes: [[UInt8]]

  public init(_ keyspaces: [String: Keyspace]) {
    names = ["default"] + keyspaces.keys.filter { $0 != "default" }.sorted()
    self.keyspaces = names.map { keyspaces[$0] ?? Keyspace() }
    nameBytes = names.map { Array($0.utf8) }
    var indices: [UInt64: Int] = [:]
    for (index, name) in nameBytes.enumerated().dropFirst() {
      indices[name.withUnsafeBytes { hashKey($0, seed: 0) }] = index
    }
    self.indices = indices
  }

  /// The index of the keyspace that governs `key`.
  @inline(__always)
  public func index(for key: UnsafeRawBufferPointer) -> Int {
    if _fastPath(indices.isEmpty) { return 0 }
    return search(key)
  }

  @inline(never)
  private func search(_ key: UnsafeRawBufferPointer) -> Int {
    var at = key.count
    while at > 0 {
      at -= 1
      guard key[at] == UInt8(ascii: ":") else { continue }
      let prefix = key.slice(0, at)
      if let index = indices[hashKey(prefix, seed: 0)],
        nameBytes[index].withUnsafeBytes({ $0.equals(prefix) })
      {
        return index
      }
    }
    return 0
  }
}
