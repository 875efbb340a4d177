import Membership
import Objects
import PeerProtocol
import Placement
import Primitives

// What follows from the member table (see RingPlan.swift for the steps of a change):
//
//     ring      whose owners are asked when a key is read
//     shadow    the other ring while they differ: its owners get every write, too
//     tracked   the slots that this node owns in either: it gets all their writes
//     held      those of them whose older data it has, too: here it votes in reads

extension NodeCore {
  var members: MemberTable {
    _read { yield swim.members }
    _modify { yield &swim.members }
  }

  /// Computes what follows from the members, and keeps them on disk.
  mutating func membersChanged() {
    for member in members.members where peerIndex(member.id) == nil { _ = addPeer(member.id) }
    for peer in 1..<max(1, peers.end) where liveness[peer] > 0 {
      guard let member = members[peers[peer].pointee.id] else { continue }
      if member.status.isMember {
        setLiveness(peer, member.isFilled ? 2 : 1)
      } else if peers[peer].pointee.outLink >= 0 {
        let index = peers[peer].pointee.outLink
        let id = LinkID(index: index, generation: links[index].pointee.generation)
        // It may still have to hear that it is out.
        if let output = linkOutput(id) { tellRemoved(member, output) }
        goneLinks.append(id)
      }
    }
    let fresh = RingPlan(members.members)
    if fresh != plan || tracked == nil { take(fresh) }
    if clients.shares.members != members.count { shareDescriptors() }
    advanceChange()
    noteForming()
    saveIfChanged()
  }

  /// Health and the steps of a change are not worth a write to the disk.
  private mutating func saveIfChanged() {
    var digest: UInt64 = 0
    for member in members.all {
      var record = member
      record.health = .alive
      record.revision = 0
      record.isFilled = true
      record.aware = 0
      record.prepared = 0
      record.committed = 0
      digest ^= mix(record.digest)
    }
    guard digest != savedDigest else { return }
    savedDigest = digest
    actions.append(.save(savedState()))
  }

  private func tellRemoved(_ member: Member, _ output: UnsafeMutablePointer<ByteBuffer>) {
    var record = ByteBuffer()
    record.append(littleEndian: UInt32(1))
    member.encode(to: &record)
    output.pointee.appendGossip(.members, record.readable)
  }

  /// A node that is among others takes commands as soon as one of them has joined.
  private mutating func noteForming() {
    guard clusterState != .removed, members.count > 1 else { return }
    let state: ClusterState = plan.isForming ? .forming : .ok
    guard state != clusterState else { return }
    clusterState = state
    routeEpoch += 1
  }

  private mutating func take(_ fresh: RingPlan) {
    let wasForming = plan.isForming
    let others = fresh.current.contains { $0.id != configuration.id }
    let wasAlone = plan.current.count <= 1 && plan.target.count <= 1
    plan = fresh
    // Whoever comes to others that have joined knows nothing of what it is to hold.
    let isNewcomer = members.own.status == .joining ? wasForming && !fresh.isForming : false
    if isNewcomer || (wasAlone && others && !fresh.isForming) { held = SlotSet() }
    buildRings()
  }

  /// Both rings, and what they say of this node.
  mutating func buildRings() {
    let hasSwitched = plan.isChanging && members.own.committed == plan.targetID
    isChanging = plan.isChanging
    deal(
      hasSwitched ? plan.target : plan.current, other: hasSwitched ? plan.current : plan.target)
    ringMemberCount = ringParts.count
    sourceSlots = [:]
    routeEpoch += 1
    resolvePolicies()
    trackSlots(newOnesAreHeld: false)
    noteCoOwners()
    // What others had of this node's slots says nothing of slots that are new to them.
    clearedAt = 0
    for peer in 0..<peers.end { forgetProgress(of: peer) }
  }

  /// A ring that is there already, as one or the other, is not dealt again.
  private mutating func deal(_ parts: [RingPlan.Part], other: [RingPlan.Part]) {
    if parts != ringParts {
      if parts == shadowParts {
        swap(&ring, &shadow)
        swap(&ringParts, &shadowParts)
      } else {
        ring = Ring(ringMembers(parts))
        ringParts = parts
      }
    }
    guard isChanging, other != shadowParts else { return }
    shadow = Ring(ringMembers(other))
    shadowParts = other
  }

  private func ringMembers(_ parts: [RingPlan.Part]) -> [RingMember] {
    parts.compactMap { part in
      guard let index = peerIndex(part.id) else { return nil }
      return RingMember(
        id: part.id, index: UInt16(index), zone: part.zone, weight: Int(part.weight))
    }
  }

  /// Slots that become this node's own are to be filled, unless only the number of copies grew: then
  /// whoever has them goes on voting, and anti-entropy brings the rest.
  mutating func trackSlots(newOnesAreHeld: Bool) {
    let copies = mostCopies
    var own = ring.slots(of: 0, copies: copies)
    if isChanging { own.formUnion(shadow.slots(of: 0, copies: copies)) }
    guard own != tracked else { return }
    let fresh = own.subtracting(tracked ?? SlotSet())
    if newOnesAreHeld {
      held.formUnion(fresh)
    } else if tracked != nil, !fresh.isEmpty {
      held.subtract(fresh)
      // What it wrote to these slots before it lost them it does not know any more: D1.
      renewWriter()
    }
    if let old = tracked, !old.isSubset(of: own) { mayHoldLeftovers = true }
    held.formIntersection(own)
    for peer in pulled.keys { pulled[peer]?.formIntersection(own) }
    // Nor does what is under way count for slots that went meanwhile, or went and came back.
    for place in exchanges.indices where exchanges[place]?.purpose == .fill {
      exchanges[place]?.outdated.formUnion(SlotSet.all.subtracting(own))
      exchanges[place]?.outdated.formUnion(fresh)
    }
    tracked = own
    noteFilled()
  }

  private mutating func renewWriter() {
    formerWriters = (formerWriters + [writer]).suffix(4)
    writer = Actor(rawValue: generator.next() | 1)
  }

  /// The largest n of all keyspaces, as far as there are members.
  var mostCopies: Int {
    (0..<keyspaceMap.keyspaces.count).map { max(policies[$0].copies, policies[$0].otherCopies) }
      .max() ?? 1
  }

  /// Whether this node owns the slot, in either ring.
  @inline(__always)
  func isTracked(_ slot: Int) -> Bool { tracked?.contains(slot) ?? false }

  /// Slots that are to be filled.
  var missing: SlotSet { (tracked ?? SlotSet()).subtracting(held) }

  /// Says in the own record whether everything is there.
  mutating func noteFilled() {
    let isFilled = missing.isEmpty
    guard isFilled != members.own.isFilled || (isFilled ? 2 : 1) != liveness[0] else { return }
    setLiveness(0, isFilled ? 2 : 1)
    guard isFilled != members.own.isFilled else { return }
    changeOwn { $0.isFilled = isFilled }
  }

  /// Changes the own record and tells it.
  mutating func changeOwn(_ body: (inout Member) -> Void) {
    members.updateOwn(body)
    swim.spread(configuration.id)
    swim.hurry()
    recordsChanged = true
  }

  // MARK: The steps of a change

  /// Takes the next step of a ring change, if it can be taken.
  mutating func advanceChange() {
    guard clusterState != .removed else { return }
    guard plan.isChanging else { return forgetSteps() }
    let target = plan.targetID
    if members.own.aware != target, clusterState == .ok, !hasOlderWrites {
      changeOwn { $0.aware = target }
    }
    if members.own.prepared != target, missing.isEmpty, areAllAware {
      changeOwn { $0.prepared = target }
    }
    if members.own.committed != target, members.own.prepared == target, areAllPrepared {
      changeOwn { $0.committed = target }
      buildRings()
    }
    if members.own.committed == target, areAllCommitted { finishChange() }
  }

  /// The change is over: should the same ring be planned again, nobody has taken a step yet.
  private mutating func forgetSteps() {
    let own = members.own
    guard own.aware != 0 || own.prepared != 0 || own.committed != 0 else { return }
    changeOwn {
      $0.aware = 0
      $0.prepared = 0
      $0.committed = 0
    }
  }

  /// Whether writes are under way that the owners in the target do not get. Who pulls must not be
  /// ahead of them: they end within `operation-timeout`, but for large values.
  private var hasOlderWrites: Bool {
    guard operations.count > 0 else { return false }
    for index in 0..<operations.end {
      let operation = operations[index]
      guard operation.pointee.isTaken, !operation.pointee.isDone, !operation.pointee.isWaiting,
        operation.pointee.kind == .write || operation.pointee.kind == .modify
      else { continue }
      if operation.pointee.planID != plan.targetID { return true }
    }
    return false
  }

  /// All members take part in a change, but those that are being removed.
  private func isWaitedFor(_ member: Member) -> Bool { member.status != .removing }

  var areAllAware: Bool {
    for member in members.members where isWaitedFor(member) && member.aware != plan.targetID {
      return false
    }
    return true
  }

  /// Members that the present step of a change still waits for.
  var waitedFor: [Member] {
    guard plan.isChanging else { return [] }
    let target = plan.targetID
    let isFilling = areAllAware
    let isSwitching = areAllPrepared
    return members.members.filter { member in
      guard isWaitedFor(member) else { return false }
      if !isFilling { return member.aware != target }
      return isSwitching ? member.committed != target : member.prepared != target
    }
  }

  private var areAllPrepared: Bool {
    for member in members.members where isWaitedFor(member) && member.prepared != plan.targetID {
      return false
    }
    return true
  }

  var areAllCommitted: Bool {
    for member in members.members where isWaitedFor(member) && member.committed != plan.targetID {
      return false
    }
    return true
  }

  /// Everybody reads from the new ring: the change is over for whoever changed.
  private mutating func finishChange() {
    let own = members.own
    if own.status == .joining {
      log(.notice, "this node has joined: it holds its share")
      changeOwn { $0.status = .joined }
    } else if own.status == .leaving {
      // Writes that the new owners could not be told of meanwhile are only here.
      if leaveBy == 0 {
        leaveBy = monotonic + Limits.leaveHintsWait
        mayHoldLeftovers = true
      }
      guard !mayHoldLeftovers, hints.count == 0 || monotonic >= leaveBy else { return }
      return leave()
    } else if own.weight != own.nextWeight {
      changeOwn { $0.weight = $0.nextWeight }
    }
    for member in members.members where member.status == .removing {
      if members.remove(member.id, to: .forgotten) {
        log(.notice, "node \(member.host):\(member.port) is out of the cluster")
        swim.spread(member.id)
        recordsChanged = true
      }
    }
  }

  /// With whom this node shares slots.
  private mutating func noteCoOwners() {
    var isShared = Array(repeating: false, count: Limits.members)
    let copies = min(mostCopies, ring.copies)
    for slot in 0..<Slot.count where ownRank(slot, copies: copies) >= 0 {
      for rank in 0..<copies { isShared[Int(ring.owner(Slot(slot), rank: rank))] = true }
    }
    coOwners = isShared.indices.dropFirst().filter { isShared[$0] }
  }

  // MARK: Coming and going

  /// The first of several newcomers declares itself joined, so that there is something to join; and
  /// so does a lone node that has data.
  mutating func considerFounding() {
    guard members.own.status == .joining, clusterState != .removed else { return }
    if members.count == 1 {
      let isEmpty = (0..<table.databases).allSatisfy { isUnused($0) }
      if !isEmpty || (seedLinks.isEmpty && !configuration.seeds.isEmpty && clusterState == .ok) {
        changeOwn { $0.status = .joined }
        applyRecords()
      }
      return
    }
    guard plan.isForming else { return }
    for member in members.members where member.id < configuration.id {
      if let peer = peerIndex(member.id), liveness[peer] > 0 { return }
    }
    log(.notice, "the first nodes have met; this one has the lowest id and founds the cluster")
    changeOwn { $0.status = .joined }
    applyRecords()
  }

  func isUnused(_ database: Int) -> Bool {
    table.totalCount(database: database) == 0
  }

  /// Whether there is nothing at all in memory.
  var isEmpty: Bool {
    for database in 0..<table.databases where !isUnused(database) { return false }
    return hints.count == 0
  }

  /// The others own everything: this node goes.
  private mutating func leave() {
    members.updateOwn {
      $0.status = .forgotten
      $0.era += 1
    }
    log(.notice, "this node has left: the others hold its share")
    swim.spread(configuration.id)
    sendFarewell()
    becomeRemoved()
  }

  /// This node is out of its cluster. It keeps what it has, and takes no commands, until it is ended
  /// or told to meet a cluster again.
  mutating func becomeRemoved() {
    clusterState = .removed
    isChanging = false
    routeEpoch += 1
    for place in exchanges.indices { exchanges[place] = nil }
    for index in 0..<links.end where links[index].pointee.isOpen {
      goneLinks.append(LinkID(index: index, generation: links[index].pointee.generation))
    }
    actions.append(.save(savedState()))
  }

  /// A node that was out starts over as a newcomer with empty memory.
  mutating func startOver() {
    for database in 0..<table.databases { table.removeAll(database: database) }
    for target in hints.targetIDs { _ = hints.forget(target) }
    members.startOver(now: wall)
    renewWriter()
    clusterState = .forming
    formingSince = monotonic
    pulled = [:]
    tracked = nil
    held = .all
    membersChanged()
  }
}
