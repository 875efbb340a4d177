import Primitives

// # Quorums
//
// The pure core of reads and writes, in the shape of Riak's `riak_kv_get_core` and `put_core`:
// answers go in, a verdict comes out, nothing else. Owners are named by their rank in the slot's
// owner list, so a set of them is one byte. The node keeps one of these beside each waiting
// operation and acts on the verdict; late answers still go in, for read repair.

/// A set of owners of one slot, by rank.
package struct OwnerSet: Equatable, Sendable {
  package var bits: UInt8

  @inlinable @inline(__always) package init(bits: UInt8 = 0) { self.bits = bits }
  @inlinable @inline(__always) package var count: Int { bits.nonzeroBitCount }
  @inlinable @inline(__always) package var isEmpty: Bool { bits == 0 }
  @inlinable @inline(__always) package func contains(_ rank: Int) -> Bool {
    bits >> UInt8(truncatingIfNeeded: rank) & 1 == 1
  }
  @inlinable @inline(__always) package mutating func insert(_ rank: Int) {
    bits |= 1 << UInt8(truncatingIfNeeded: rank)
  }
  @inlinable @inline(__always) package mutating func remove(_ rank: Int) {
    bits &= ~(1 << UInt8(truncatingIfNeeded: rank))
  }
}

/// Where an operation stands.
package enum QuorumVerdict: Equatable, Sendable {
  case waiting
  case satisfied
  /// Too few owners are left that could still answer.
  case impossible
}

/// Counts the owners' answers to one read or one write.
package struct Quorum: Equatable, Sendable {
  /// W or R.
  package let needed: Int
  /// Owners that have been asked and have not answered.
  package private(set) var outstanding = OwnerSet()
  /// Owners whose answer counts.
  package private(set) var answered = OwnerSet()

  @inlinable @inline(__always) package init(needed: Int) { self.needed = needed }

  @inlinable @inline(__always) package mutating func ask(_ rank: Int) { outstanding.insert(rank) }

  /// Takes an answer that counts; the second one of an owner changes nothing.
  @inlinable @inline(__always)
  package mutating func answer(_ rank: Int) -> QuorumVerdict {
    outstanding.remove(rank)
    answered.insert(rank)
    return verdict
  }

  /// Owner `rank` will not answer, or its answer does not count.
  package mutating func giveUp(_ rank: Int) -> QuorumVerdict {
    outstanding.remove(rank)
    return verdict
  }

  @inlinable @inline(__always) package var verdict: QuorumVerdict {
    if answered.count >= needed { return .satisfied }
    return answered.count &+ outstanding.count >= needed ? .waiting : .impossible
  }
}
