import Membership
import Objects
import PeerProtocol
import Placement
import Primitives
import Storage

// # Slots that come and slots that go
//
// A slot that this node owns and does not hold (after a start with empty memory, or because the ring
// changes) is pulled from every living owner that the current ring gives it, not from one: an
// acknowledged write lies with W of them, and the one that is asked may be the stale one
// (scylladb#10887). Until then this node gets the slot's writes and does not vote in its reads. A
// source that is away for `fillPatience` is not waited for.
//
// Objects in slots that are not this node's (it lost them to a ring change, or a coordinator with an
// older view wrote here) are offered to their owners, who pull them as in any comparison. When all
// owners have, and nothing has changed meanwhile, they are dropped. As long as there may be such
// objects, no tombstone settles: they are copies that a deletion has not reached.

extension NodeCore {
  // MARK: Filling

  /// Pulls what is missing from whoever has it.
  mutating func stepFill() {
    let wanted = fillable()
    guard clusterState == .ok, !wanted.isEmpty else { return }
    if transfer.slots == 0 {
      transfer = TransferProgress()
      transfer.startedAt = monotonic
      transfer.slots = wanted.count
    }
    var isWaiting = false
    let sources = plan.current.compactMap { peerIndex($0.id) }.filter { peer in
      peer != 0 && (liveness[peer] > 0 || members[peers[peer].pointee.id]?.status != .removing)
    }
    let living = sources.filter { liveness[$0] > 0 }
    var underWay = SlotSet()
    for exchange in exchanges where exchange?.purpose == .fill {
      if let exchange { underWay.formUnion(exchange.slots) }
    }
    for peer in sources {
      var share = slots(ofSource: peer).intersection(wanted).subtracting(pulled[peer] ?? SlotSet())
      if share.isEmpty { continue }
      guard liveness[peer] > 0 else {
        let since = max(transfer.startedAt, peers[peer].pointee.lastAlive)
        if monotonic - since < configuration.timing.fillPatience { isWaiting = true }
        continue
      }
      if sabotaged(.oneSource), !pulled.isEmpty, pulled[peer] == nil { continue }
      isWaiting = true
      if monotonic < peers[peer].pointee.pullAt { continue }
      // Each source gives a part first; then what it has is compared with the other parts, and little
      // of them has to come twice.
      share.subtract(underWay)
      if let place = living.firstIndex(of: peer), living.count > 1, pulled[peer] == nil {
        let part = share.ofBranches(place, every: living.count)
        if !part.isEmpty { share = part }
      }
      if !share.isEmpty, !isExchanging(with: peer, .fill), filling < Limits.fillSources {
        underWay.formUnion(share)
        _ = startExchange(peer, .fill, [Exchange.Part(slots: share, trees: .max)])
      }
    }
    if !isWaiting { endFill(wanted) }
  }

  /// Slots that can be pulled now. What the target gives this node has to wait until everybody sends
  /// its writes here, too: what was written before that is pulled.
  private func fillable() -> SlotSet {
    if held.isAll { return SlotSet() }
    let missing = missing
    guard isChanging, !areAllAware else { return missing }
    let hasSwitched = members.own.committed == plan.targetID
    return missing.intersection(
      hasSwitched
        ? shadow.slots(of: 0, copies: mostCopies) : ring.slots(of: 0, copies: mostCopies))
  }

  private var filling: Int { exchanges.count { $0?.purpose == .fill } }

  /// The slots that a peer owns in the current ring, and so has older data of.
  private mutating func slots(ofSource peer: Int) -> SlotSet {
    if let known = sourceSlots[peer] { return known }
    let hasSwitched = plan.isChanging && members.own.committed == plan.targetID
    let slots =
      hasSwitched
      ? shadow.slots(of: UInt16(peer), copies: mostCopies)
      : ring.slots(of: UInt16(peer), copies: mostCopies)
    sourceSlots[peer] = slots
    return slots
  }

  private mutating func endFill(_ filled: SlotSet) {
    log(
      .notice,
      "this node holds \(filled.count) slots more: \(transfer.keys) objects came from others")
    transfer.slots = 0
    held.formUnion(filled)
    if missing.isEmpty { pulled = [:] }
    noteFilled()
    advanceChange()
    applyRecords()
  }

  // MARK: Giving away

  /// Offers objects in slots of others to their owners, and drops what they have taken.
  mutating func stepLeftovers() {
    guard mayHoldLeftovers, !isChanging || isGoing, clusterState == .ok, missing.isEmpty,
      monotonic >= leftovers.nextOffer
    else { return }
    leftovers.nextOffer = monotonic + Limits.offerInterval
    if !isGoing { dropTaken() }
    var offers: [Int: SlotSet] = [:]
    var isClean = true
    for slot in 0..<Slot.count where isForeign(slot) && hasObjects(inSlot: slot) {
      if leftovers.offered[slot] == nil { leftovers.offered[slot] = digest(ofSlot: slot) }
      // Since everybody reads from the new ring its owners get all writes, or hints of them: once
      // taken is enough.
      if isGoing, isTaken(slot) { continue }
      isClean = false
      for rank in 0..<min(mostCopies, ring.copies) {
        let peer = Int(ring.owner(Slot(slot), rank: rank))
        guard leftovers.taken[peer]?.contains(slot) != true else { continue }
        offers[peer, default: SlotSet()].insert(slot)
      }
    }
    if isClean {
      mayHoldLeftovers = false
      leftovers = Leftovers()
      return
    }
    for (peer, slots) in offers.sorted(by: { $0.key < $1.key }) { offer(slots, to: peer) }
  }

  /// This node leaves, and everybody reads from the ring without it.
  var isGoing: Bool {
    members.own.status == .leaving && members.own.committed == plan.targetID && areAllCommitted
  }

  /// Whether the slot is another's. A leaver owns its slots to the end, and yet has to be rid of them.
  private func isForeign(_ slot: Int) -> Bool { !isTracked(slot) || isGoing }

  private mutating func offer(_ slots: SlotSet, to peer: Int) {
    let asked = leftovers.asked[peer] ?? 0
    guard asked == 0 || monotonic - asked >= Limits.offerPatience, let output = peerOutput(peer)
    else { return }
    leftovers.asked[peer] = monotonic
    scratch.pointee.removeAll()
    slots.encode(to: &scratch.pointee)
    output.pointee.appendQuery(
      NodeCore.handoverRequest(peer), .handover, database: 0, scratch.pointee.readable)
  }

  static func handoverRequest(_ peer: Int) -> RequestID {
    RequestID(rawValue: UInt32(0x2000 | peer))
  }

  private func hasObjects(inSlot slot: Int) -> Bool {
    for database in 0..<table.databases where table.totalCount(database: database, slot: slot) > 0 {
      return true
    }
    return false
  }

  private func digest(ofSlot slot: Int) -> UInt64 {
    var sum: UInt64 = 0
    for database in 0..<table.databases {
      sum &+= mix(
        table.digest(database: database, slot: slot, trees: .max) ^ UInt64(database))
    }
    return sum
  }

  /// Whether every owner has taken a slot. Who leaves keeps it to the end, because others may still
  /// have it coordinate; and it does not wait for the dead, who will get it from the others.
  private func isTaken(_ slot: Int) -> Bool {
    var hasAny = false
    for rank in 0..<min(mostCopies, ring.copies) {
      let peer = Int(ring.owner(Slot(slot), rank: rank))
      if isGoing, liveness[peer] == 0 { continue }
      guard leftovers.taken[peer]?.contains(slot) == true else { return false }
      hasAny = true
    }
    return hasAny
  }

  private mutating func forgetTaken(_ slot: Int) {
    leftovers.offered[slot] = nil
    for peer in leftovers.taken.keys { leftovers.taken[peer]?.remove(slot) }
  }

  /// Drops slots that every owner has taken as they still are.
  private mutating func dropTaken() {
    for (slot, digest) in leftovers.offered.sorted(by: { $0.key < $1.key }) {
      if !isForeign(slot) {
        leftovers.offered[slot] = nil
        continue
      }
      guard isTaken(slot) else { continue }
      forgetTaken(slot)
      // Something came in between: it is offered anew.
      guard digest == self.digest(ofSlot: slot) else { continue }
      var count = 0
      for database in 0..<table.databases {
        table.sweep(database: database, slot: slot) { _ in
          count += 1
          return .remove
        }
      }
      statistics.pointee.handedOver += count
    }
  }

  /// The other side: slots are offered; those that are this node's own are pulled.
  mutating func answerHandover(
    _ parameters: UnsafeRawBufferPointer, asker: Int
  ) -> ByteBuffer? {
    guard let slots = SlotSet(parameters), asker > 0 else { return nil }
    let parts = sharedParts(slots) { _ in Int.max }
    if !isExchanging(with: asker, .handover) { _ = startExchange(asker, .handover, parts) }
    return ByteBuffer("ok")
  }

  /// A handover is done: the giver may count on it.
  mutating func tellTaken(_ exchange: Exchange) {
    guard let output = peerOutput(exchange.peer) else { return }
    scratch.pointee.removeAll()
    exchange.slots.encode(to: &scratch.pointee)
    output.pointee.appendQuery(
      RequestID(rawValue: 0x3000), .taken, database: 0, scratch.pointee.readable)
  }

  mutating func answerTaken(_ parameters: UnsafeRawBufferPointer, asker: Int) -> ByteBuffer? {
    guard let slots = SlotSet(parameters), asker > 0 else { return nil }
    leftovers.asked[asker] = nil
    var taken = leftovers.taken[asker] ?? SlotSet()
    slots.visit { if leftovers.offered[$0] != nil { taken.insert($0) } }
    leftovers.taken[asker] = taken
    leftovers.nextOffer = min(leftovers.nextOffer, monotonic + Limits.offerInterval / 10)
    return ByteBuffer("ok")
  }

  /// Of `slots` those that this node owns, by the trees whose keys it is to hold: keys of a keyspace
  /// with n = 1 are with the first owner only. `other` gives the rank of the other node, which has to
  /// be below n, too; `Int.max` for one that is to hold nothing.
  func sharedParts(_ slots: SlotSet, _ other: (Int) -> Int) -> [Exchange.Part] {
    var parts: [Exchange.Part] = []
    var treesByCopies: [Int: UInt8] = [:]
    for index in 0..<keyspaceMap.keyspaces.count {
      let policy = policies[index]
      treesByCopies[policy.copies, default: 0] |= 1 << UInt8(policy.tree)
    }
    for (copies, trees) in treesByCopies.sorted(by: { $0.key < $1.key }) {
      var shared = SlotSet()
      slots.visit { slot in
        let own = ownRank(slot, copies: min(copies, ring.copies))
        guard own >= 0 else { return }
        let rank = other(slot)
        if rank == .max || rank < copies { shared.insert(slot) }
      }
      if !shared.isEmpty { parts.append(Exchange.Part(slots: shared, trees: trees)) }
    }
    return parts
  }

  // MARK: Budgets

  /// Bytes that background work may move, by `transfer-rate`: transfers and hints have one each.
  mutating func fillBudgets() {
    // 0 is no limit; below 64 KiB a second nothing would ever end.
    let wanted = parameters.number("transfer-rate")
    let rate = wanted == 0 ? 64 << 30 : min(max(wanted, 64 << 10), 64 << 30)
    let elapsed = Int(min(monotonic - budgetAt, 1_000_000))
    budgetAt = monotonic
    // At least one answer at a time, at most what a fiftieth of a second allows: clients wait behind
    // what comes in one go.
    let most = max(rate / 50, Exchange.answerBytes)
    transferBudget = min(most, transferBudget + rate * elapsed / 1_000_000)
    // All others may have hints for the same node at once: each gives it its part of the rate.
    let share = rate / max(1, members.count - 1)
    hintBudget = min(
      max(share / 50, Limits.hintBatchBytes), hintBudget + share * elapsed / 1_000_000)
    for place in exchanges.indices where exchanges[place] != nil { stepExchange(place) }
  }
}
