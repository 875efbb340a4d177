import Objects
import Placement
import Primitives

// # Comparing two nodes
//
// One mechanism serves anti-entropy, the filling of slots and the handing over of slots: a node pulls
// from another what it lacks of some slots, by hash trees (see HashTrees.swift). It only pulls; what
// the other lacks the other pulls when its turn comes.
//
//     asker                                              asked
//     compare: slots, trees, root                   ──▶  same, or a hash for each branch that differs
//     branch: leaves of some branches of 128 slots  ──▶  for each slot that differs
//                                                          its objects, if the asker has none at all
//                                                          the hash of every object, if it has some
//     want: hashes that the asker does not have     ──▶  those objects
//     compared                                      ──▶  ok
//
// Every step is one query with one answer of about `answerBytes`, and goes on where the last one
// ended, so neither side is ever busy for long, and a lost link costs one step: slots that came over
// are equal the next time.
//
// Bytes when 100 of 1,000,000 keys differ: 2 KiB of slots, 1 KiB of branches, about 70 branches of
// 1 KiB, 100 slots of 61 hashes, 100 objects: 140 KiB, for each direction. When nothing differs: 2 KiB.
//
// A slot's hashes are compared as sets, so a slot with very many keys costs the asker 16 bytes a key
// for the time of its comparison.

/// A comparison under way, at the node that asks.
struct Exchange {
  /// Comparisons of one node that may be under way at once.
  static let places = 8
  static let answerBytes = 32 << 10
  /// Objects that one answer looks at, at most.
  static let answerObjects = 4096
  static let branchSlots = 128
  static let branches = Slot.count / branchSlots
  /// Branches in one query: a node that is 50 ms away is filled in some ten round trips.
  static let branchesAtOnce = 16
  /// A branch in a query: its number, and for each slot whether it is compared and its leaf.
  static let branchBytes = 1 + branchSlots * 9

  enum Purpose {
    case antiEntropy
    /// These slots are missing here.
    case fill
    /// The other one wants to be rid of them.
    case handover
  }

  /// Slots to compare, and the trees whose keys both are to hold there.
  struct Part {
    var slots: SlotSet
    var trees: UInt8
  }

  let peer: Int
  let purpose: Purpose
  /// Told from an earlier comparison in the same place.
  let number: UInt32
  let startedAt: UInt64
  var parts: [Part]
  /// What all parts together cover.
  let slots: SlotSet
  /// Of a fill: slots that stopped to be this node's, or came anew, since it began.
  var outdated = SlotSet()
  var part = 0
  /// Of the present part: branches that differ.
  var branches: [(database: Int, branch: Int)] = []
  /// How many of them are done when the wants are.
  var passed = 0
  /// Where the first branch goes on.
  var slot = 0
  var position: UInt32 = 0
  /// Hashes of objects to fetch before the branches go on.
  var wants: [(slot: Int, elements: [UInt64])] = []
  /// The own hashes of the slot that is compared in several answers.
  var known: (slot: Int, elements: Set<UInt64>)?
  /// A query is out.
  var isAsked = false
  var repairs = 0
  /// Objects that were left out for want of memory.
  var skipped = 0
  /// Something that came was not taken.
  var hasRefusals = false

  /// The branches of the next query: of one database.
  var nextBranches: ArraySlice<(database: Int, branch: Int)> {
    guard let first = branches.first else { return [] }
    return branches.prefix { $0.database == first.database }.prefix(Exchange.branchesAtOnce)
  }

  init(
    peer: Int, purpose: Purpose, number: UInt32, parts: [Part], startedAt: UInt64
  ) {
    self.peer = peer
    self.purpose = purpose
    self.number = number
    self.parts = parts
    self.startedAt = startedAt
    var all = SlotSet()
    for part in parts { all.formUnion(part.slots) }
    slots = all
  }
}

/// Slots of others that lie here, and who has taken them.
struct Leftovers {
  /// The digest of each slot when it was offered to its owners.
  var offered: [Int: UInt64] = [:]
  /// Peers that have taken them since.
  var taken: [Int: SlotSet] = [:]
  var nextOffer: UInt64 = 0
  /// Peers that work on an offer, and since when, in monotonic microseconds.
  var asked: [Int: UInt64] = [:]
}

/// What CLUSTER TRANSFERS shows of the slots that come to this node.
struct TransferProgress {
  var startedAt: UInt64 = 0
  var slots = 0
  var keys = 0
  var bytes = 0
  /// Bytes of the last second, for the rate.
  var recentBytes = 0
  var recentSince: UInt64 = 0
  var bytesPerSecond = 0

  mutating func note(bytes count: Int, keys objects: Int, now: UInt64) {
    bytes += count
    keys += objects
    recentBytes += count
    let elapsed = now - recentSince
    guard elapsed >= 500_000 else { return }
    if recentSince != 0 { bytesPerSecond = recentBytes * 1_000_000 / Int(elapsed) }
    recentBytes = 0
    recentSince = now
  }
}
