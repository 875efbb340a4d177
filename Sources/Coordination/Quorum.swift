import Primitives

// # Quorums
//
// The pure core of reads and writes, in the shape of Riak's `riak_kv_get_core` and `put_core`:
// answers go in, a verdict comes out, nothing else. Owners are named by their rank in the slot's
// owner list, so a set of them is two bytes. While the ring changes a write needs W of the owners of
// either ring: those of the other ring have ranks behind those of the first, and an owner in both
// counts in both. The other ring's part is waived when too few of its owners can answer: it is not in
// force yet (or no more), and whoever is away gets the write by repair. The node keeps one of these beside each waiting
// operation and acts on the verdict; late answers still go in, for read repair.

/// A set of owners of one slot, by rank.
public struct OwnerSet: Equatable, Sendable {
  public var bits: UInt16

  @inline(__always) public init(bits: UInt16 = 0) { self.bits = bits }
  /// The first `count` ranks.
  @inline(__always) public init(first count: Int) {
    bits = UInt16(truncatingIfNeeded: 1 << count &- 1)
  }
  @inline(__always) public var count: Int { bits.nonzeroBitCount }
  @inline(__always) public var isEmpty: Bool { bits == 0 }
  @inline(__always) public func contains(_ rank: Int) -> Bool {
    bits >> UInt16(truncatingIfNeeded: rank) & 1 == 1
  }
  @inline(__always) public mutating func insert(_ rank: Int) {
    bits |= 1 << UInt16(truncatingIfNeeded: rank)
  }
  @inline(__always) public mutating func remove(_ rank: Int) {
    bits &= ~(1 << UInt16(truncatingIfNeeded: rank))
  }
}

/// Where an operation stands.
public enum QuorumVerdict: Equatable, Sendable {
  case waiting
  case satisfied
  /// Too few owners are left that could still answer.
  case impossible
}

/// Counts the owners' answers to one read or one write.
public struct Quorum: Equatable, Sendable {
  /// W or R.
  public let needed: Int
  /// Of the other ring's owners, while the ring changes; 0 otherwise.
  public let otherNeeded: Int
  /// Whose answers count toward `needed`, and toward `otherNeeded`.
  let voters: OwnerSet
  let others: OwnerSet
  /// Owners that have been asked and have not answered.
  public private(set) var outstanding = OwnerSet()
  /// Owners whose answer counts.
  public private(set) var answered = OwnerSet()

  @inline(__always) public init(needed: Int) {
    self.needed = needed
    otherNeeded = 0
    voters = OwnerSet(bits: .max)
    others = OwnerSet()
  }

  /// Of a write while the ring changes.
  public init(needed: Int, of voters: OwnerSet, and otherNeeded: Int, of others: OwnerSet) {
    self.needed = needed
    self.otherNeeded = otherNeeded
    self.voters = voters
    self.others = others
  }

  @inline(__always) public mutating func ask(_ rank: Int) { outstanding.insert(rank) }

  /// Takes an answer that counts; the second one of an owner changes nothing.
  @inline(__always)
  public mutating func answer(_ rank: Int) -> QuorumVerdict {
    outstanding.remove(rank)
    answered.insert(rank)
    return verdict
  }

  /// Owner `rank` will not answer, or its answer does not count.
  public mutating func giveUp(_ rank: Int) -> QuorumVerdict {
    outstanding.remove(rank)
    return verdict
  }

  @inline(__always) public var verdict: QuorumVerdict {
    let yes = answered.bits & voters.bits
    let open = outstanding.bits & voters.bits
    if yes.nonzeroBitCount >= needed {
      return _fastPath(otherNeeded == 0) ? .satisfied : otherVerdict
    }
    return (yes | open).nonzeroBitCount >= needed ? .waiting : .impossible
  }

  var otherVerdict: QuorumVerdict {
    let yes = answered.bits & others.bits
    if yes.nonzeroBitCount >= otherNeeded { return .satisfied }
    let open = outstanding.bits & others.bits
    return (yes | open).nonzeroBitCount >= otherNeeded ? .waiting : .satisfied
  }
}
