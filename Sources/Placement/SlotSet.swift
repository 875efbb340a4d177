import Primitives

/// A set of slots as a bitmap of 2 KiB.
package struct SlotSet: Equatable, Sendable {
  private static let words = Slot.count / 64
  package static let bytes = Slot.count / 8
  private var bits: [UInt64]

  package init() { bits = Array(repeating: 0, count: SlotSet.words) }

  package static let all: SlotSet = {
    var set = SlotSet()
    set.bits = Array(repeating: .max, count: SlotSet.words)
    return set
  }()

  package func contains(_ slot: Int) -> Bool { bits[slot >> 6] >> UInt64(slot & 63) & 1 == 1 }
  package mutating func insert(_ slot: Int) { bits[slot >> 6] |= 1 << UInt64(slot & 63) }
  package mutating func remove(_ slot: Int) { bits[slot >> 6] &= ~(1 << UInt64(slot & 63)) }
  package var isAll: Bool { bits.allSatisfy { $0 == .max } }
  package var isEmpty: Bool { bits.allSatisfy { $0 == 0 } }
  package var count: Int { bits.reduce(0) { $0 + $1.nonzeroBitCount } }

  package mutating func formUnion(_ other: SlotSet) {
    for word in bits.indices { bits[word] |= other.bits[word] }
  }

  package mutating func formIntersection(_ other: SlotSet) {
    for word in bits.indices { bits[word] &= other.bits[word] }
  }

  package mutating func subtract(_ other: SlotSet) {
    for word in bits.indices { bits[word] &= ~other.bits[word] }
  }

  package func subtracting(_ other: SlotSet) -> SlotSet {
    var set = self
    set.subtract(other)
    return set
  }

  package func intersection(_ other: SlotSet) -> SlotSet {
    var set = self
    set.formIntersection(other)
    return set
  }

  package func isSubset(of other: SlotSet) -> Bool {
    for word in bits.indices where bits[word] & ~other.bits[word] != 0 { return false }
    return true
  }

  /// Of every `count` runs of 128 slots the one numbered `place`.
  package func ofBranches(_ place: Int, every count: Int) -> SlotSet {
    var set = self
    for word in bits.indices where (word / 2) % count != place { set.bits[word] = 0 }
    return set
  }

  /// Calls `body` with each slot in order.
  package func visit(_ body: (Int) -> Void) {
    for word in bits.indices {
      var left = bits[word]
      while left != 0 {
        body((word << 6) + left.trailingZeroBitCount)
        left &= left - 1
      }
    }
  }

  package func encode(to buffer: inout ByteBuffer) {
    for word in bits { buffer.append(littleEndian: word) }
  }

  /// Reads what `encode` wrote; nil when it is too short.
  package init?(_ raw: UnsafeRawBufferPointer) {
    guard raw.count >= SlotSet.bytes else { return nil }
    bits = (0..<SlotSet.words).map {
      UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self))
    }
  }
}
