import Membership
import Objects
import PeerProtocol
import Primitives

// The failure detector in its node: its messages as frames, what follows from its records.

extension NodeCore {
  mutating func stepSwim() {
    guard monotonic >= swim.nextDue, clusterState != .removed else { return }
    swim.tick(now: monotonic, wall: wall, &generator, &swimActions)
    runSwim(answering: nil)
  }

  mutating func takeSwim(_ bytes: UnsafeRawBufferPointer, _ id: LinkID) -> Bool {
    guard let link = link(id), let message = SwimMessage.decode(bytes) else {
      statistics.pointee.badFrames += 1
      dropLink(id, "a malformed message of the failure detector")
      return false
    }
    guard clusterState != .removed else {
      sayGone(to: id)
      return true
    }
    swim.received(
      message, from: peers[link.pointee.peer].pointee.id, oldest: oldestForOthers, now: monotonic,
      wall: wall, &swimActions)
    runSwim(answering: id)
    return true
  }

  mutating func runSwim(answering id: LinkID?) {
    guard !swimActions.isEmpty else { return }
    let due = swimActions
    swimActions.removeAll(keepingCapacity: true)
    for action in due {
      switch action {
      case .send(let receiver, let message):
        guard let peer = peerIndex(receiver) else { continue }
        encode(message)
        peerOutput(peer)?.pointee.appendGossip(.swim, scratch.pointee.readable)
      case .answer(let message):
        encode(message)
        if let id { linkOutput(id)?.pointee.appendGossip(.swim, scratch.pointee.readable) }
      case .changed(let member):
        recordsChanged = true
        noteRestart(member)
        logHealth(member)
      case .refuted:
        recordsChanged = true
        log(.verbose, "another node had this one's record wrong; it was corrected")
      case .removed:
        log(.warning, "this node was removed from its cluster; CLUSTER MEET lets it join again")
        becomeRemoved()
      case .refused:
        log(.warning, "refused a member's record with an impossible incarnation")
      }
    }
    applyRecords()
  }

  private mutating func encode(_ message: SwimMessage) {
    statistics.pointee.gossipSent += 1
    scratch.pointee.removeAll()
    message.encode(to: &scratch.pointee)
  }

  /// Another incarnation has nothing of what its predecessor had.
  private mutating func noteRestart(_ id: UInt64) {
    guard let peer = peerIndex(id), let member = members[id],
      peers[peer].pointee.incarnation != member.incarnation
    else { return }
    peers[peer].pointee.incarnation = member.incarnation
    forgetProgress(of: peer)
  }

  private mutating func logHealth(_ id: UInt64) {
    guard let member = members[id], id != configuration.id else { return }
    guard let peer = peerIndex(id), peers[peer].pointee.health != member.health else { return }
    peers[peer].pointee.health = member.health
    switch member.health {
    case .alive: log(.notice, "node \(member.host):\(member.port) is alive")
    case .suspect: log(.verbose, "node \(member.host):\(member.port) may be down")
    case .dead: log(.notice, "node \(member.host):\(member.port) is down for all")
    }
  }

  /// Records changed since the last look: what follows from them is computed, once for all of them.
  mutating func applyRecords() {
    var rounds = 0
    while recordsChanged, rounds < 8 {
      recordsChanged = false
      membersChanged()
      rounds += 1
    }
  }

  /// Unix milliseconds: this node keeps nothing older for others, neither what `oldestUnderway` says
  /// nor in slots that are not its own.
  var oldestForOthers: UInt64 { mayHoldLeftovers || isChanging ? 0 : oldestUnderway }

  private mutating func encodeFarewell() {
    scratch.pointee.removeAll()
    SwimMessage(kind: .gossip, sequence: 0, records: [members.own]).encode(to: &scratch.pointee)
  }

  /// Who still counts this node has not heard that it is out.
  private mutating func sayGone(to id: LinkID) {
    guard members.own.status == .forgotten else { return }
    encodeFarewell()
    linkOutput(id)?.pointee.appendGossip(.swim, scratch.pointee.readable)
  }

  /// Tells everybody the own last record, at once.
  mutating func sendFarewell() {
    encodeFarewell()
    for peer in 1..<max(1, peers.end) {
      peerOutput(peer)?.pointee.appendGossip(.swim, scratch.pointee.readable)
    }
  }
}
