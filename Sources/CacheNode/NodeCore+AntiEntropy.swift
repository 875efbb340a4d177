import Membership
import Objects
import PeerProtocol
import Placement
import Primitives
import Storage

// # Anti-entropy, and when a tombstone is settled
//
// Once a period each node pulls from every node that owns slots together with it, one after the
// other. So whatever two owners do not have in common at the start of a period they have at its end,
// without a read of a client and without a hint.
//
// A tombstone may go when nothing older of its key can come from anywhere. Older objects are
//
//     with owners     an owner that has pulled everything from here since the deletion has the
//                     tombstone: `compared` says so, for the time at which it began; a tombstone
//                     that comes here later than that takes it back
//     with others     as hints, in slots that a node lost, or held up by a large value: acks of the
//                     failure detector say of every member since when it has kept nothing older
//                     for others
//     on their way    to who asked for them, a comparison's answers or those to a read that takes
//                     long: meanwhile that node settles nothing. What an owner sends unasked, as a
//                     repair, stands in front of its word that it has compared, on the same link. A
//                     write lasts no longer than `settleMargin`, or its sender says so
//
// The minimum over all of them is the time up to which this node is converged: everything older is on
// all its owners, and nowhere else. A member that is away stops that clock, until it is back or is
// removed; then `tombstone-ttl` decides alone. Hints live shorter than that, always.
//
// An owner forgets a tombstone a moment before another one does. The other's copy is not taken up
// again, so a comparison in between repairs nothing.

extension NodeCore {
  mutating func stepAntiEntropy() {
    guard monotonic >= nextExchange, clusterState == .ok, !coOwners.isEmpty else { return }
    nextExchange = monotonic + antiEntropyPeriod / UInt64(coOwners.count)
    guard missing.isEmpty, !awaitsHints() else { return }
    nextCoOwner = (nextCoOwner + 1) % coOwners.count
    let peer = coOwners[nextCoOwner]
    // Whoever is still to get many writes from here has old versions to show, no more.
    guard liveness[peer] > 0, !isExchanging(with: peer, .antiEntropy),
      monotonic >= peers[peer].pointee.compareAt,
      hints.count(for: peers[peer].pointee.id) < Limits.hintsBeforeComparison
    else { return }
    let parts = sharedParts(tracked ?? SlotSet()) { [coOwner = UInt16(peer)] slot in
      rank(of: coOwner, slot)
    }
    _ = startExchange(peer, .antiEntropy, parts)
  }

  /// Hints are coming in: what they bring need not come twice. Not for ever, because comparisons
  /// settle tombstones, too.
  private mutating func awaitsHints() -> Bool {
    guard monotonic < hintsTakenAt &+ 2_000_000, hintsTakenAt > 0,
      skippedExchanges < Limits.skippedExchanges
    else {
      skippedExchanges = 0
      return false
    }
    skippedExchanges += 1
    return true
  }

  /// The rank of a peer among the owners of a slot; one above all when it is none.
  private func rank(of peer: UInt16, _ slot: Int) -> Int {
    for rank in 0..<ring.copies where ring.owner(Slot(slot), rank: rank) == peer { return rank }
    return Limits.copies
  }

  // MARK: Settlement

  /// Unix milliseconds up to which everything is settled; 0 when that is not known.
  func convergedUpTo() -> UInt64 {
    guard !isChanging, missing.isEmpty, !mayHoldLeftovers else { return 0 }
    if members.count == 1 { return wall }
    if awaitsObjects { return 0 }
    var least = min(sabotaged(.hastyReaping) ? wall : swim.othersClearUpTo, oldestUnderway)
    for peer in coOwners { least = min(least, peers[peer].pointee.hasAllUpTo) }
    return least
  }

  /// Whether this node has asked for objects, however old, that have not come.
  private var awaitsObjects: Bool {
    monotonic < longReadsUntil
      || exchanges.contains { $0.map { $0.isAsked && !$0.branches.isEmpty } ?? false }
  }

  /// Unix milliseconds: nothing older is on its way from here to others. Hints, writes that got more
  /// time than an operation has, and links that are held up.
  var oldestUnderway: UInt64 {
    var oldest = hints.oldest?.milliseconds ?? .max
    for index in 0..<links.end where links[index].pointee.isOpen {
      let since = links[index].pointee.waitsSince
      if since == 0 { continue }
      let age = (monotonic - min(since, monotonic)) / 1000
      oldest = min(oldest, wall - min(wall, age))
    }
    guard monotonic < longWritesUntil else { return oldest }
    for index in 0..<operations.end where operations[index].pointee.isTaken {
      let operation = operations[index]
      guard operation.pointee.kind == .write, monotonic >= operation.pointee.deadline else {
        continue
      }
      oldest = min(oldest, operation.pointee.version.stamp.milliseconds)
    }
    return oldest
  }

  /// Once a second or so; what was settled stays settled until the ring changes or a
  /// tombstone comes late.
  mutating func noteSettled() { clearedAt = max(clearedAt, convergedUpTo()) }

  /// A tombstone came that is older than what an owner is known to have of this node: it pulled before
  /// this one had the tombstone to give, and may hold an older value of that key.
  mutating func noteLateTombstone(_ since: UInt64) {
    let before = since - min(since, 1)
    clearedAt = min(clearedAt, before)
    for peer in coOwners {
      peers[peer].pointee.hasAllUpTo = min(peers[peer].pointee.hasAllUpTo, before)
      peers[peer].pointee.comparesSince = min(peers[peer].pointee.comparesSince, before)
    }
  }

  /// Whether a dead object needs to be remembered no longer.
  func isReapable(_ object: ObjectView) -> Bool {
    object.isTombstone
      && max(object.version.stamp.milliseconds, object.deadline) <= reapableUpTo
  }

  /// Tombstones that were written, and would have ended, by then are remembered no longer.
  var reapableUpTo: UInt64 {
    if sabotaged(.earlyReaping) { return wall - min(wall, 1001) }
    let margin =
      sabotaged(.hastyReaping)
      ? 0 : max(configuration.timing.settleMargin, operationTimeout * 2) / 1000
    let longest = UInt64(parameters.number("tombstone-ttl")) * 1000
    return max(clearedAt - min(clearedAt, margin), wall - min(wall, longest))
  }

  /// A co-owner that has restarted, or came to own other slots, has pulled nothing yet.
  mutating func forgetProgress(of peer: Int) {
    peers[peer].pointee.hasAllUpTo = 0
    peers[peer].pointee.comparesSince = 0
  }
}

extension NodeCore {
  /// Puts all objects into the trees that the present settings say, when these have changed.
  mutating func replant() {
    let now = (0..<keyspaceMap.keyspaces.count).map {
      "\(keyspaceMap.names[$0])=\(policies[$0].tree)"
    }
    guard now != plantedTrees else { return }
    plantedTrees = now
    for database in 0..<table.databases where !isUnused(database) {
      for slot in 0..<Slot.count {
        table.plant(database: database, slot: slot) { key in
          policies[keyspaceMap.index(for: key)].tree
        }
      }
    }
  }
}
