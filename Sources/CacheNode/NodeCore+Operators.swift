import Membership
import Objects
import PeerProtocol
import Placement
import Primitives
import RESP
import Repair

// What operators do to the cluster and see of it: CLUSTER MEET, LEAVE, FORGET; PREFLIST, HINTS,
// TRANSFERS; and the repair lines of INFO.

extension NodeCore {
  // MARK: Coming and going

  mutating func clusterMeet(_ index: Int) -> Bool {
    let host = arguments.pointee[2].text
    guard let port = parseInteger(arguments.pointee[3]), (1...65_535).contains(port),
      !host.isEmpty, host.utf8.count < 64, NodeCore.isAddress(host)
    else {
      return fail(
        index, "ERR Invalid node address specified: \(host):\(arguments.pointee[3].text)")
    }
    var peerPort = port + 10_000
    if arguments.pointee.count > 4 {
      guard let given = parseInteger(arguments.pointee[4]) else {
        return fail(index, "ERR Invalid base port specified: \(arguments.pointee[4].text)")
      }
      peerPort = given
    }
    guard (1...65_535).contains(peerPort) else {
      return fail(index, "ERR Invalid node address specified: \(host):\(port)")
    }
    guard seedLinks.count < Limits.seeds else {
      return fail(index, "ERR \(Limits.seeds) addresses are being dialled already")
    }
    if clusterState == .removed { startOver() }
    seedLinks[Endpoint(host: host, port: UInt16(peerPort))] = 0
    timers.tick = 0
    return replyOK(index)
  }

  private mutating func refuseChange(_ index: Int) -> Bool {
    fail(index, "ERR a ring change is under way; CLUSTER TRANSFERS shows how far it is")
  }

  /// Addresses only, as in Redis: asking a resolver would stop the node.
  private static func isAddress(_ host: String) -> Bool {
    for byte in host.utf8 {
      let isHex = (48...57).contains(byte) || (97...102).contains(byte | 0x20)
      guard isHex || byte == 46 || byte == 58 else { return false }
    }
    return true
  }

  mutating func clusterLeave(_ index: Int) -> Bool {
    let own = members.own
    if clusterState == .removed { return fail(index, "ERR this node has left its cluster already") }
    if own.status == .leaving { return replyOK(index) }
    let stays = members.members.contains { $0.id != own.id && $0.status == .joined }
    guard stays else {
      return fail(index, "ERR the last node can't leave: nobody would have its keys")
    }
    if isChanging { return refuseChange(index) }
    log(.notice, "this node leaves: the others pull its share")
    leaveBy = 0
    changeOwn { $0.status = .leaving }
    applyRecords()
    return replyOK(index)
  }

  mutating func clusterForget(_ index: Int) -> Bool {
    let text = arguments.pointee[2].text
    guard let id = Member.id(hex: text), let member = members[id], member.status.isMember else {
      return fail(index, "ERR Unknown node \(text)")
    }
    if id == configuration.id {
      return fail(index, "ERR I tried hard but I can't forget myself...")
    }
    if let peer = peerIndex(id), liveness[peer] > 0 || member.health == .alive {
      return fail(index, "ERR the node is alive; CLUSTER LEAVE, sent to it, takes it out")
    }
    let isPending = member.status == .joining
    guard members.remove(id, to: isPending ? .forgotten : .removing) else {
      return replyOK(index)
    }
    log(.notice, "node \(member.host):\(member.port) is being removed: others take its share")
    swim.spread(id)
    swim.hurry()
    recordsChanged = true
    applyRecords()
    return replyOK(index)
  }

  // MARK: Who has a key

  /// CLUSTER PREFLIST key: its owners and the first fallbacks, and what each has of it.
  mutating func clusterPreferenceList(_ index: Int) -> Bool {
    if sessions[index].pointee.inFlight > 0 { return stall(index) }
    let key = Array(arguments.pointee[2])
    let slot = key.withUnsafeBytes { slotHasher.slot(of: $0).index }
    let copies = key.withUnsafeBytes { policies[keyspaceMap.index(for: $0)].copies }
    let shown = ring.preferenceList(Slot(slot)).prefix(copies + Limits.shownFallbacks)
    guard let parent = startGather(index, .preferenceList, parts: shown.count),
      let gather = operations[parent].pointee.gather
    else { return tooMany(index) }
    holdBack(index, bits: .max, isForward: true)
    for (rank, peer) in shown.enumerated() {
      let member = members[peers[Int(peer)].pointee.id]
      gather.words += [
        Array((rank < copies ? "owner" : "fallback").utf8), Array((member?.hexID ?? "").utf8),
        Array("\(member?.host ?? ""):\(member?.port ?? 0)".utf8),
        Array((liveness[Int(peer)] > 0 ? "alive" : "down").utf8),
      ]
    }
    let living = shown.enumerated().filter { liveness[Int($0.element)] > 0 }
    gather.missing = living.count
    if living.isEmpty { finishQueries(parent, gather) }
    for (position, peer) in living { ask(parent, position, Int(peer), .version, key) }
    return true
  }

  /// What this node has of a key, in words; empty for nothing.
  func answerVersion(_ database: Int, _ key: UnsafeRawBufferPointer) -> ByteBuffer? {
    guard database < table.databases else { return nil }
    let slot = slotHasher.slot(of: key).index
    if let object = table.object(
      database: database, slot: slot, hash: table.hash(key), key: key)
    {
      return ByteBuffer(describe(object))
    }
    guard let encoded = hints.object(database: database, key: key) else { return ByteBuffer() }
    let text = encoded.withUnsafeBytes { ObjectView.decode($0).map { describe($0) } ?? "" }
    return ByteBuffer("hint \(text)")
  }

  /// Unix milliseconds, counter and actor of a version; of siblings also their number and a hash.
  private func describe(_ object: ObjectView) -> String {
    let stamp = object.version.stamp
    let actor = String(object.version.actor.rawValue, radix: 16)
    var text = "\(stamp.milliseconds).\(stamp.rawValue & 0xffff)@\(actor)"
    if object.isSiblings, let set = SiblingSet(object) {
      text += " siblings=\(set.siblings.count) hash=" + String(digest(object), radix: 16)
    } else if object.live(at: wall) == nil {
      text += object.isTombstone && object.deadline == 0 ? " deleted" : " expired"
    }
    return text
  }

  func finishPreferenceList(
    _ gather: Gather, _ reply: UnsafeMutablePointer<ByteBuffer>, _ resp: UInt8
  ) {
    reply.pointee.appendArrayHeader(gather.results.count)
    for (position, result) in gather.results.enumerated() {
      reply.pointee.appendArrayHeader(5)
      for word in gather.words[position * 4..<position * 4 + 4] { reply.pointee.appendBulk(word) }
      if result.isEmpty {
        reply.pointee.appendNull(resp: resp)
      } else {
        reply.pointee.appendBulk(result)
      }
    }
  }

  // MARK: Hints

  /// CLUSTER HINTS: what this node keeps for others.
  mutating func clusterHints(_ index: Int) -> Bool {
    let rows = hints.summaries().map { summary -> [(String, String)] in
      let member = members[summary.target]
      let age = summary.oldest.map { wall > $0.milliseconds ? (wall - $0.milliseconds) / 1000 : 0 }
      let peer = peerIndex(summary.target)
      return [
        ("node", Member.hexID(summary.target)),
        ("address", "\(member?.host ?? ""):\(member?.port ?? 0)"),
        ("state", peer.map { liveness[$0] > 0 ? "delivering" : "waiting" } ?? "waiting"),
        ("hints", "\(summary.count)"), ("bytes", "\(summary.bytes)"),
        ("oldest-seconds", "\(age ?? 0)"),
      ]
    }
    return reply(index, rows)
  }

  private mutating func reply(_ index: Int, _ rows: [[(String, String)]]) -> Bool {
    let resp = sessions[index].pointee.resp
    return replyNow(index) { reply in
      reply.pointee.appendArrayHeader(rows.count)
      for row in rows {
        reply.pointee.appendMapHeader(row.count, resp: resp)
        for (name, value) in row {
          reply.pointee.appendBulk(name)
          if let number = Int(value) {
            reply.pointee.appendInteger(number)
          } else {
            reply.pointee.appendBulk(value)
          }
        }
      }
    }
  }

  // MARK: Transfers

  /// CLUSTER TRANSFERS: every living member's part in moving slots.
  mutating func clusterTransfers(_ index: Int) -> Bool {
    if sessions[index].pointee.inFlight > 0 { return stall(index) }
    let living = (0..<peers.end).filter { peer in
      liveness[peer] > 0 && (members[peers[peer].pointee.id]?.status.isMember ?? false)
    }
    guard let parent = startGather(index, .transfers, parts: living.count) else {
      return tooMany(index)
    }
    holdBack(index, bits: .max, isForward: true)
    for (position, peer) in living.enumerated() { ask(parent, position, peer, .progress, []) }
    return true
  }

  private static let progressFields = [
    "node", "address", "status", "step", "slots-left", "slots", "keys", "bytes",
    "bytes-per-second", "seconds-left", "leftover-slots", "waits-for",
  ]

  /// This node's part, a field a line, in the order of `progressFields`.
  func answerProgress() -> ByteBuffer {
    let own = members.own
    let left = slotsLeft()
    let done = transfer.slots - left
    let elapsed = monotonic - transfer.startedAt
    let seconds = done > 0 ? Int(elapsed) / 1_000_000 * left / done : -1
    var step = "resting"
    if isChanging {
      step = own.committed == plan.targetID ? "committed" : "waiting"
      if own.committed != plan.targetID, own.prepared == plan.targetID { step = "prepared" }
    }
    if !missing.isEmpty { step = "filling" }
    let values = [
      own.hexID, "\(own.host):\(own.port)", "\(own.status)", step, "\(left)", "\(transfer.slots)",
      "\(transfer.keys)", "\(transfer.bytes)", "\(left > 0 ? transfer.bytesPerSecond : 0)",
      "\(left > 0 ? seconds : 0)", "\(leftovers.offered.count)",
      waitedFor.map { "\($0.host):\($0.port)" }.joined(separator: " "),
    ]
    return ByteBuffer(values.joined(separator: "\n"))
  }

  /// Slots that still have to come, as far as the comparisons under way tell.
  private func slotsLeft() -> Int {
    guard !missing.isEmpty else { return 0 }
    var left = missing
    for (_, slots) in pulled { left.subtract(slots) }
    var most = left.count
    for exchange in exchanges {
      guard let exchange, exchange.purpose == .fill else { continue }
      if exchange.part > 0 { return 0 }
      if !exchange.branches.isEmpty {
        most = min(most, exchange.branches.count * Exchange.branchSlots)
      }
    }
    return most
  }

  func finishTransfers(
    _ gather: Gather, _ reply: UnsafeMutablePointer<ByteBuffer>, _ resp: UInt8
  ) {
    reply.pointee.appendArrayHeader(gather.results.count)
    for result in gather.results {
      let values = String(decoding: result, as: UTF8.self).split(
        separator: "\n", omittingEmptySubsequences: false)
      let fields = Array(zip(NodeCore.progressFields, values))
      reply.pointee.appendMapHeader(fields.count, resp: resp)
      for (name, value) in fields {
        reply.pointee.appendBulk(name)
        if let number = Int(value) {
          reply.pointee.appendInteger(number)
        } else {
          reply.pointee.appendBulk(String(value))
        }
      }
    }
  }

  // MARK: INFO

  /// The repair lines of INFO's replication section.
  func repairLines() -> [String] {
    let tombstones = (0..<table.databases).reduce(0) { $0 + table.tombstoneCount(database: $1) }
    var lines = [
      "hints:\(hints.count)", "hints_bytes:\(hints.bytes)",
      "hints_kept:\(statistics.pointee.hintsKept)",
      "hints_delivered:\(statistics.pointee.hintsDelivered)",
      "hints_dropped:\(statistics.pointee.hintsDropped)",
      "hints_expired:\(statistics.pointee.hintsExpired)",
      "exchanges:\(statistics.pointee.exchanges)",
      "exchange_bytes:\(statistics.pointee.exchangeBytes)", "repairs:\(statistics.pointee.repairs)",
      "read_repairs:\(statistics.pointee.readRepairs)",
      "conflicts:\(statistics.pointee.conflicts + table.conflicts)",
      "writes_discarded:\(statistics.pointee.discarded)", "tombstones:\(tombstones)",
      "tombstones_reaped:\(statistics.pointee.tombstonesReaped)", "tree_bytes:\(table.treeBytes)",
      "converged_up_to:\(clearedAt)",
      "converged_age_ms:\(clearedAt == 0 ? -1 : Int(wall) - Int(clearedAt))",
      "ring_change:\(isChanging ? 1 : 0)", "filling_slots:\(missing.count)",
      "filled_keys:\(statistics.pointee.transferredKeys)",
      "handed_over_keys:\(statistics.pointee.handedOver)",
    ]
    for (number, peer) in coOwners.enumerated() {
      guard let member = members[peers[peer].pointee.id] else { continue }
      let compared = peers[peer].pointee.comparedAt
      let upTo = peers[peer].pointee.hasAllUpTo
      lines.append(
        "peer\(number):address=\(member.host):\(member.port),state=\(member.health),"
          + "link=\(liveness[peer] > 0 ? "up" : "down"),"
          + "exchange_age_ms=\(compared == 0 ? -1 : Int(monotonic - compared) / 1000),"
          + "lag_ms=\(upTo == 0 ? -1 : Int(wall) - Int(upTo))")
    }
    return lines
  }
}
