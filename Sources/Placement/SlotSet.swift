import Primitives

/// A set of slots as a bitmap of 2 KiB.
public struct SlotSet: Equatable, Sendable {
  private static let words = Slot.count / 64
  public static let bytes = Slot.count / 8
  private var bits: [UInt64]

  public init() { bits = Array(repeating: 0, count: SlotSet.words) }

  public static let all: SlotSet = {
    var set = SlotSet()
    set.bits = Array(repeating: .max, count: SlotSet.words)
    return set
  }()

  public func contains(_ slot: Int) -> Bool { bits[slot >> 6] >> UInt64(slot & 63) & 1 == 1 }
  public mutating func insert(_ slot: Int) { bits[slot >> 6] |= 1 << UInt64(slot & 63) }
  public mutating func remove(_ slot: Int) { bits[slot >> 6] &= ~(1 << UInt64(slot & 63)) }
  public var isAll: Bool { bits.allSatisfy { $0 == .max } }
  public var isEmpty: Bool { bits.allSatisfy { $0 == 0 } }
  public var count: Int { bits.reduce(0) { $0 + $1.nonzeroBitCount } }

  public mutating func formUnion(_ other: SlotSet) {
    for word in bits.indices { bits[word] |= other.bits[word] }
  }

  public mutating func formIntersection(_ other: SlotSet) {
    for word in bits.indices { bits[word] &= other.bits[word] }
  }

  public mutating func subtract(_ other: SlotSet) {
    for word in bits.indices { bits[word] &= ~other.bits[word] }
  }

  public func subtracting(_ other: SlotSet) -> SlotSet {
    var set = self
    set.subtract(other)
    return set
  }

  public func intersection(_ other: SlotSet) -> SlotSet {
    var set = self
    set.formIntersection(other)
    return set
  }

  public func isSubset(of other: SlotSet) -> Bool {
    for word in bits.indices where bits[word] & ~other.bits[word] != 0 { return false }
    return true
  }

  /// Of every `count` runs of 128 slots the one numbered `place`.
  public func ofBranches(_ place: Int, every count: Int) -> SlotSet {
    var set = self
    for word in bits.indices where (word / 2) % count != place { set.bits[word] = 0 }
    return set
  }

  /// Calls `body` with each slot in order.
  public func visit(_ body: (Int) -> Void) {
    for word in bits.indices {
      var left = bits[word]
      while left != 0 {
        body((word << 6) + left.trailingZeroBitCount)
        left &= left - 1
      }
    }
  }

  public func encode(to buffer: inout ByteBuffer) {
    for word in bits { buffer.append(littleEndian: word) }
  }

  /// Reads what `encode` wrote; nil when it is too short.
  public init?(_ raw: UnsafeRawBufferPointer) {
    guard raw.count >= SlotSet.bytes else { return nil }
    bits = (0..<SlotSet.words).map {
      UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self))
    }
  }
}
