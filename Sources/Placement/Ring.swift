import Primitives

// # The ring
//
// A consistent-hash ring (Karger et al. 1997; Dynamo, SOSP 2007, section 4.2) with virtual nodes:
// each node puts `vnodesPerWeight` × weight tokens on a circle of 64-bit numbers, each slot has a
// place on it, and the slot's copies go to the next distinct nodes clockwise. The ring is a pure
// function of the members: two nodes that know the same members compute the same owners.
//
// Two refinements:
//
//  * Bounded loads (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA
//    2018). With 150 tokens a node the fullest of 100 nodes would hold about 1.2 times the mean. So
//    the copies are dealt in rounds, the first copy of every slot, then the second, …, and a node
//    that holds `loadBound` times its fair share of the copies dealt so far is passed over. Rounds
//    keep the owners for N a prefix of those for N+1, so one table serves keyspaces of every N.
//  * Zones. A copy goes to a zone that has none of the slot yet as long as there is such a zone.
//
// Rejected: more tokens (1,000 a node: 7 times the memory and time at 1,500 nodes, and still 1.12);
// rendezvous hashing (as even and simpler, but no ring order for fallbacks to follow).
// `coterie-bench ring` prints balance and movement.

/// A member as the ring sees it.
public struct RingMember: Sendable, Equatable {
  /// The identity that the tokens are drawn from.
  public var id: UInt64
  /// The node's place in the tables of whoever asks.
  public var index: UInt16
  public var zone: String
  /// How many times the usual share the node takes; at least 1.
  public var weight: Int

  public init(id: UInt64, index: UInt16, zone: String = "", weight: Int = 1) {
    self.id = id
    self.index = index
    self.zone = zone
    self.weight = weight
  }
}

/// Who owns which slot. Building costs O(tokens log tokens + slots × copies); a look-up is one load.
public struct Ring: ~Copyable {
  /// Tokens of a node of weight 1.
  public static let vnodesPerWeight = 150
  /// How far above its fair share of copies a node may be filled.
  public static let loadBound = (numerator: 112, denominator: 100)

  /// How many distinct owners each slot has in the table: `Limits.copies` or the member count.
  public let copies: Int
  private let owners: UnsafeMutablePointer<UInt16>
  private let tokens: [(token: UInt64, member: Int)]
  private let members: [RingMember]

  public init(_ unordered: [RingMember]) {
    let members = unordered.sorted { $0.id < $1.id }
    var tokens: [(token: UInt64, member: Int)] = []
    tokens.reserveCapacity(members.reduce(0) { $0 + $1.weight * Ring.vnodesPerWeight })
    for (place, member) in members.enumerated() {
      for vnode in 0..<member.weight * Ring.vnodesPerWeight {
        tokens.append((mix(member.id ^ mix(UInt64(vnode) &+ 1)), place))
      }
    }
    tokens.sort { $0.token == $1.token ? $0.member < $1.member : $0.token < $1.token }
    self.members = members
    self.tokens = tokens
    copies = min(Limits.copies, members.count)
    owners = .allocate(capacity: max(1, Slot.count * copies))
    owners.initialize(repeating: 0, count: max(1, Slot.count * copies))
    let dealer = Dealer(members: members, tokens: tokens, copies: copies)
    dealer.deal()
    for index in 0..<Slot.count * copies {
      owners[index] = members[dealer.chosen[index]].index
    }
  }

  deinit { owners.deallocate() }

  public var memberCount: Int { members.count }

  /// The `rank`-th owner of `slot` (0 first), as the index its member was given.
  @inline(__always)
  public func owner(_ slot: Slot, rank: Int) -> UInt16 {
    owners[slot.index &* copies &+ rank]
  }

  /// The slots of which the member with this index is one of the first `copies` owners.
  public func slots(of index: UInt16, copies wanted: Int) -> SlotSet {
    var set = SlotSet()
    for slot in 0..<Slot.count {
      for rank in 0..<min(wanted, copies) where owners[slot &* copies &+ rank] == index {
        set.insert(slot)
      }
    }
    return set
  }

  /// The first member behind the owners of `slot`, in ring order, that `isFit` takes; nil when there
  /// is none. Cost: a walk over the tokens up to it.
  public func fallback(_ slot: Slot, copies wanted: Int, _ isFit: (UInt16) -> Bool) -> UInt16? {
    var at = Dealer.start(of: slot, in: tokens)
    var refused: [UInt16] = []
    for _ in 0..<tokens.count {
      let index = members[tokens[at].member].index
      at = at + 1 == tokens.count ? 0 : at + 1
      if refused.contains(index) { continue }
      refused.append(index)
      let isOwner = (0..<min(wanted, copies)).contains { owner(slot, rank: $0) == index }
      if !isOwner, isFit(index) { return index }
      if refused.count == members.count { return nil }
    }
    return nil
  }

  /// All members in ring order from `slot` on, the owners first: the preference list.
  public func preferenceList(_ slot: Slot) -> [UInt16] {
    var list = (0..<copies).map { owner(slot, rank: $0) }
    var at = Dealer.start(of: slot, in: tokens)
    for _ in 0..<tokens.count where list.count < members.count {
      let index = members[tokens[at].member].index
      if !list.contains(index) { list.append(index) }
      at = at + 1 == tokens.count ? 0 : at + 1
    }
    return list
  }
}

/// Deals the copies of all slots in rounds, with bounded loads and zones.
///
/// Every node deals the ring anew for each change of membership, and a simulation does for each of its
/// nodes: a sixth of its time, once this neither allocates nor hashes for a slot (it was a third).
private struct Dealer: ~Copyable {
  private let members: [RingMember]
  private let copies: Int
  /// Positions in `members`; slot-major.
  let chosen: UnsafeMutablePointer<Int>
  /// Whose the tokens are, in the order of the circle.
  private let circle: UnsafeMutablePointer<Int>
  private let circleCount: Int
  /// The first place of the circle for each slot.
  private let starts: UnsafeMutablePointer<Int>
  /// By member.
  private let zones: UnsafeMutablePointer<Int>
  private let zoneCount: Int
  private let load: UnsafeMutablePointer<Int>
  private let bounds: UnsafeMutablePointer<Int>

  init(members: [RingMember], tokens: [(token: UInt64, member: Int)], copies: Int) {
    self.members = members
    self.copies = copies
    chosen = .allocate(capacity: max(1, Slot.count * copies))
    chosen.initialize(repeating: -1, count: max(1, Slot.count * copies))
    circleCount = tokens.count
    circle = .allocate(capacity: max(1, circleCount))
    for place in 0..<circleCount { (circle + place).initialize(to: tokens[place].member) }
    starts = .allocate(capacity: Slot.count)
    var place = 0
    for slot in 0..<Slot.count {
      while place < circleCount, tokens[place].token < Dealer.token(of: Slot(slot)) { place += 1 }
      (starts + slot).initialize(to: place == circleCount ? 0 : place)
    }
    let names = Array(Set(members.map(\.zone))).sorted()
    zoneCount = names.count
    zones = .allocate(capacity: max(1, members.count))
    load = .allocate(capacity: max(1, members.count))
    bounds = .allocate(capacity: max(1, members.count))
    for member in members.indices {
      (zones + member).initialize(to: names.firstIndex(of: members[member].zone) ?? 0)
    }
    load.initialize(repeating: 0, count: max(1, members.count))
    bounds.initialize(repeating: 0, count: max(1, members.count))
  }

  deinit {
    chosen.deallocate()
    circle.deallocate()
    starts.deallocate()
    zones.deallocate()
    load.deallocate()
    bounds.deallocate()
  }

  /// Where a slot lies on the circle. Slots lie there in order, so that neighbours share owners and
  /// CLUSTER SLOTS is short; keys come to slots by their CRC, which is spread enough.
  private static func token(of slot: Slot) -> UInt64 { UInt64(slot.index) << 50 }

  /// The first token at or behind the slot's place on the circle.
  static func start(of slot: Slot, in tokens: [(token: UInt64, member: Int)]) -> Int {
    var low = 0
    var high = tokens.count
    while low < high {
      let middle = (low + high) / 2
      if tokens[middle].token < token(of: slot) { low = middle + 1 } else { high = middle }
    }
    return low == tokens.count ? 0 : low
  }

  func deal() {
    let weights = members.reduce(0) { $0 + $1.weight }
    for rank in 0..<copies {
      for member in members.indices {
        let fair =
          Slot.count * (rank + 1) * members[member].weight * Ring.loadBound.numerator
        bounds[member] = fair / (weights * Ring.loadBound.denominator) + 1
      }
      for slot in 0..<Slot.count {
        let taken = UnsafeBufferPointer(start: chosen + slot * copies, count: rank)
        let member = choose(from: starts[slot], besides: taken)
        invariant(member >= 0, "no member can own slot \(slot)")
        chosen[slot * copies + rank] = member
        load[member] += 1
      }
    }
  }

  private func choose(from start: Int, besides taken: UnsafeBufferPointer<Int>) -> Int {
    let freshZone = zoneCount > 1 && zoneCount(of: taken) < zoneCount
    var full = -1
    var sameZone = -1
    var at = start
    for _ in 0..<circleCount {
      let member = circle[at]
      at = at + 1 == circleCount ? 0 : at + 1
      if taken.contains(member) { continue }
      if freshZone, taken.contains(where: { zones[$0] == zones[member] }) {
        if sameZone < 0, load[member] < bounds[member] { sameZone = member }
        continue
      }
      if load[member] < bounds[member] { return member }
      if full < 0 { full = member }
    }
    // All are at their bound (few nodes, or few in the only fresh zone): a zone counts more than
    // balance, so the first of the right zone takes it.
    if full >= 0 { return full }
    return sameZone
  }

  /// How many zones these members lie in.
  private func zoneCount(of taken: UnsafeBufferPointer<Int>) -> Int {
    var count = 0
    for place in taken.indices
    where !taken[..<place].contains(where: { zones[$0] == zones[taken[place]] }) {
      count += 1
    }
    return count
  }
}
