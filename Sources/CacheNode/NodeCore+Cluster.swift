import Membership
import Placement
import Primitives
import RESP

// CLUSTER, in the formats of Redis Cluster, so that cluster-aware clients find the owners and save
// a hop. Each slot is shown with its first owner as the primary and the others as replicas; every
// one of them takes every command.

extension NodeCore {
  mutating func executeCluster(_ index: Int, _ name: String) -> Bool {
    let resp = sessions[index].pointee.resp
    switch name {
    case "myid": return reply(index, bulk: members.own.hexID)
    case "info":
      let text = clusterInfo()
      return replyNow(index) { $0.pointee.appendVerbatim(text, resp: resp) }
    case "nodes":
      let text = clusterNodes(isEncrypted: sessions[index].pointee.isEncrypted)
      return replyNow(index) { $0.pointee.appendVerbatim(text, resp: resp) }
    case "slots": return clusterSlots(index)
    case "shards": return clusterShards(index, resp)
    case "keyslot":
      return reply(index, integer: slotHasher.slot(of: arguments.pointee[2]).index)
    case "countkeysinslot":
      guard let slot = slot(arguments.pointee[2]) else { return fail(index, "ERR Invalid slot") }
      return executeOnSlot(index, slot, .slotCount, .slotCount, count: 0)
    case "getkeysinslot":
      guard let slot = slot(arguments.pointee[2]) else {
        return fail(index, "ERR Invalid slot or number of keys")
      }
      guard let count = parseInteger(arguments.pointee[3]), count >= 0 else {
        return fail(index, "ERR Invalid slot or number of keys")
      }
      return executeOnSlot(index, slot, .slotKeys, .slotKeys, count: count)
    case "meet": return clusterMeet(index)
    case "leave": return clusterLeave(index)
    case "forget": return clusterForget(index)
    case "preflist": return clusterPreferenceList(index)
    case "hints": return clusterHints(index)
    case "transfers": return clusterTransfers(index)
    default: return syntaxError(index)
    }
  }

  private func slot(_ bytes: UnsafeRawBufferPointer) -> Int? {
    parseInteger(bytes).flatMap { $0 >= 0 && $0 < Slot.count ? $0 : nil }
  }

  // MARK: Texts

  /// Slots with as many living owners as a write wants, and as many that can vote in a read.
  func slotsServed() -> Int {
    let policy = policies[0]
    var served = 0
    for slot in 0..<Slot.count {
      var alive = 0
      var voting = 0
      for rank in 0..<policy.copies {
        let state = liveness[Int(ring.owner(Slot(slot), rank: rank))]
        if state > 0 { alive += 1 }
        if state == 2 { voting += 1 }
      }
      if alive >= policy.write && voting >= policy.read { served += 1 }
    }
    return served
  }

  private func clusterInfo() -> String {
    let served = clusterState == .ok ? slotsServed() : 0
    // A newcomer is ready when it owns its share.
    let isOK = served == Slot.count && (members.own.status != .joining || members.count == 1)
    let lines = [
      "cluster_enabled:\(parameters.isYes("cluster-enabled") ? 1 : 0)",
      "cluster_state:\(isOK ? "ok" : "fail")",
      "cluster_slots_assigned:\(Slot.count)", "cluster_slots_ok:\(served)",
      "cluster_slots_pfail:0", "cluster_slots_fail:\(Slot.count - served)",
      "cluster_known_nodes:\(members.count)", "cluster_size:\(plan.current.count)",
      "cluster_current_epoch:\(routeEpoch)", "cluster_my_epoch:\(routeEpoch)",
      "cluster_stats_messages_sent:\(statistics.pointee.gossipSent)",
      "cluster_stats_messages_received:0",
      "total_cluster_links_buffer_limit_exceeded:0",
    ]
    return lines.map { $0 + "\r\n" }.joined()
  }

  /// The slots of which each peer is the first owner, as ranges.
  private func firstOwnerRanges() -> [[ClosedRange<Int>]] {
    var ranges = [[ClosedRange<Int>]](repeating: [], count: peers.end)
    var start = 0
    for slot in 1...Slot.count {
      let owner = Int(ring.owner(Slot(start), rank: 0))
      if slot < Slot.count, Int(ring.owner(Slot(slot), rank: 0)) == owner { continue }
      ranges[owner].append(start...slot - 1)
      start = slot
    }
    return ranges
  }

  private func clusterNodes(isEncrypted: Bool) -> String {
    let ranges = firstOwnerRanges()
    var text = ""
    for member in members.members {
      guard let peer = peerIndex(member.id) else { continue }
      let isAlive = liveness[peer] > 0
      let flags = (peer == 0 ? "myself,master" : "master") + healthFlag(member, isAlive)
      text +=
        "\(member.hexID) \(member.host):\(member.shownPort(isEncrypted: isEncrypted))@\(member.peerPort) \(flags) - 0 "
        + "\(wall) \(member.incarnation) \(isAlive ? "connected" : "disconnected")"
      for range in ranges[peer] {
        text +=
          range.count == 1 ? " \(range.lowerBound)" : " \(range.lowerBound)-\(range.upperBound)"
      }
      text += "\n"
    }
    return text
  }

  /// Redis's flags: `fail` when it is down for all, `fail?` when it may be or can't be reached from
  /// here.
  private func healthFlag(_ member: Member, _ isAlive: Bool) -> String {
    if member.health == .dead { return ",fail" }
    return member.health == .suspect || !isAlive ? ",fail?" : ""
  }

  /// Copies of a key without a keyspace of its own: what SLOTS and SHARDS show.
  private var shownCopies: Int { policies[0].copies }

  private mutating func clusterSlots(_ index: Int) -> Bool {
    var entries: [(first: Int, last: Int, owners: [Int])] = []
    for slot in 0..<Slot.count {
      let owners = (0..<shownCopies).map { Int(ring.owner(Slot(slot), rank: $0)) }
      if let last = entries.last, last.owners == owners {
        entries[entries.count - 1].last = slot
      } else {
        entries.append((slot, slot, owners))
      }
    }
    let known = knownMembers()
    let isEncrypted = sessions[index].pointee.isEncrypted
    return replyNow(index) { reply in
      reply.pointee.appendArrayHeader(entries.count)
      for entry in entries {
        reply.pointee.appendArrayHeader(2 + entry.owners.count)
        reply.pointee.appendInteger(entry.first)
        reply.pointee.appendInteger(entry.last)
        for owner in entry.owners {
          let member = known[owner]
          reply.pointee.appendArrayHeader(4)
          reply.pointee.appendBulk(member?.host ?? "")
          reply.pointee.appendInteger(Int(member?.shownPort(isEncrypted: isEncrypted) ?? 0))
          reply.pointee.appendBulk(member?.hexID ?? "")
          reply.pointee.appendArrayHeader(0)
        }
      }
    }
  }

  private func knownMembers() -> [Member?] {
    (0..<peers.end).map { members[peers[$0].pointee.id] }
  }

  private mutating func clusterShards(_ index: Int, _ resp: UInt8) -> Bool {
    let ranges = firstOwnerRanges()
    let known = knownMembers()
    let alive = (0..<peers.end).map { liveness[$0] > 0 }
    let shown = known.indices.filter { known[$0]?.status.isMember ?? false }
    return replyNow(index) { reply in
      reply.pointee.appendArrayHeader(shown.count)
      for peer in shown {
        guard let member = known[peer] else { continue }
        reply.pointee.appendMapHeader(2, resp: resp)
        reply.pointee.appendBulk("slots")
        reply.pointee.appendArrayHeader(ranges[peer].count * 2)
        for range in ranges[peer] {
          reply.pointee.appendInteger(range.lowerBound)
          reply.pointee.appendInteger(range.upperBound)
        }
        reply.pointee.appendBulk("nodes")
        reply.pointee.appendArrayHeader(1)
        let ports = [("port", member.port), ("tls-port", member.tlsPort)].filter { $0.1 != 0 }
        reply.pointee.appendMapHeader(6 + ports.count, resp: resp)
        for (key, value) in [
          ("id", member.hexID), ("ip", member.host), ("endpoint", member.host), ("role", "master"),
          ("health", alive[peer] ? "online" : "fail"),
        ] {
          reply.pointee.appendBulk(key)
          reply.pointee.appendBulk(value)
        }
        for (name, port) in ports {
          reply.pointee.appendBulk(name)
          reply.pointee.appendInteger(Int(port))
        }
        reply.pointee.appendBulk("replication-offset")
        reply.pointee.appendInteger(0)
      }
    }
  }
}
