import Membership
import Metrics
import Objects
import Placement
import Primitives
import Storage

// # The text for /metrics
//
// Everything here reads what is counted anyway; a scrape walks commands, peers, links, databases and
// targets of hints, never keys or sessions. Series of one other node each would grow with the square
// of the cluster's nodes over all of them: they are written for `Limits.peersInMetrics` peers, those that
// own slots together with this node first. Names are a promise to dashboards: do not change them.

/// What only the shell knows of itself.
public struct ShellFigures: Sendable {
  /// How long the rounds of the event loop took, without their waiting.
  public var rounds = LatencyHistogram()
  /// HTTP connections that were closed for being too slow, or for newer ones.
  public var droppedHTTPConnections = 0

  public init() {}
}

/// What `slotsServed` said, and for which epoch and policy.
struct ServiceState: Equatable {
  var epoch = -1
  var copies = 0
  var write = 0
  var read = 0
  var slots = 0
}

extension NodeCore {
  mutating func writeMetrics(into text: inout ByteBuffer, _ shell: ShellFigures) {
    noteService()
    var metrics = MetricText()
    swap(&metrics.text, &text)
    writeNode(&metrics)
    writeProcess(&metrics)
    writeLoop(&metrics, shell)
    writeClients(&metrics)
    writeOperations(&metrics)
    writeFailures(&metrics)
    writeMemory(&metrics)
    writeKeys(&metrics)
    writeMembers(&metrics)
    writePeers(&metrics)
    writeRepairs(&metrics)
    writeHints(&metrics)
    swap(&metrics.text, &text)
  }

  // MARK: This node

  private func writeNode(_ metrics: inout MetricText) {
    metrics.begin("coterie_build_info", .gauge, "The version; always 1.")
    metrics.sample(
      .integer(1), MetricLabel("version", configuration.version),
      MetricLabel("redis_version", NodeCore.redisVersion))
    metrics.begin("coterie_node_info", .gauge, "Who this node is; always 1.")
    metrics.sample(
      .integer(1),
      [
        MetricLabel("id", members.own.hexID), MetricLabel("name", configuration.name),
        MetricLabel("zone", configuration.zone),
        MetricLabel(
          "address", "\(configuration.host):\(members.own.shownPort(isEncrypted: false))"),
      ])
    metrics.begin("coterie_uptime_seconds", .gauge, "Since the start of the process.")
    metrics.sample(.microseconds(monotonic - startedAt.monotonicMicroseconds))
    metrics.gauge(
      "coterie_ready", "Whether /ready says 200: clients may be sent here.",
      reasonNotReady == nil ? 1 : 0)
  }

  private func writeProcess(_ metrics: inout MetricText) {
    let figures = configuration.processFigures()
    metrics.begin(
      "process_cpu_seconds_total", .counter, "Processor time of the process, user and system.")
    metrics.sample(
      .microseconds(UInt64(max(0, figures.userMicroseconds + figures.systemMicroseconds))))
    metrics.gauge(
      "process_resident_memory_bytes", "Resident memory of the process.", figures.residentBytes)
    metrics.begin("process_start_time_seconds", .gauge, "Unix time of the start of the process.")
    metrics.sample(.microseconds(startedAt.wallMicroseconds))
  }

  private func writeLoop(_ metrics: inout MetricText, _ shell: ShellFigures) {
    metrics.begin(
      "coterie_tick_duration_seconds", .histogram,
      "Rounds of the event loop: from the first event to the last write, without waiting.")
    metrics.sample(shell.rounds)
    metrics.counter(
      "coterie_http_connections_dropped_total",
      "Connections to the metrics port that were closed for being too slow or for newer ones.",
      shell.droppedHTTPConnections)
  }

  // MARK: Clients

  private func writeClients(_ metrics: inout MetricText) {
    metrics.gauge("coterie_clients", "Clients that are connected.", sessions.count)
    metrics.gauge("coterie_clients_limit", "maxclients.", parameters.number("maxclients"))
    metrics.counter(
      "coterie_client_connections_total", "Clients that connected.", statistics.pointee.connections)
    metrics.counter(
      "coterie_client_connections_rejected_total", "Clients that were turned away.",
      statistics.pointee.rejectedConnections)
    metrics.begin("coterie_client_bytes_total", .counter, "Bytes from and to clients.")
    metrics.sample(.integer(statistics.pointee.inputBytes), MetricLabel("direction", "in"))
    metrics.sample(.integer(statistics.pointee.outputBytes), MetricLabel("direction", "out"))
    metrics.counter(
      "coterie_commands_total", "Commands of clients of this node.", statistics.pointee.commands)
    metrics.counter(
      "coterie_forwards_total", "Commands that were handed to an owner of their key.",
      statistics.pointee.forwards)
    metrics.begin(
      "coterie_quorum_operations_total", .counter, "Operations that asked other owners.")
    metrics.sample(.integer(statistics.pointee.quorumReads), MetricLabel("operation", "read"))
    metrics.sample(.integer(statistics.pointee.quorumWrites), MetricLabel("operation", "write"))
    metrics.gauge(
      "coterie_operations_waiting", "Operations that wait for other nodes.", operations.count)
    metrics.begin("coterie_lookups_total", .counter, "Reads of keys, by whether the key was there.")
    metrics.sample(.integer(statistics.pointee.hits), MetricLabel("result", "hit"))
    metrics.sample(.integer(statistics.pointee.misses), MetricLabel("result", "miss"))
  }

  private func writeFailures(_ metrics: inout MetricText) {
    metrics.begin(
      "coterie_errors_total", .counter, "Error replies by their first word; a few are always here.")
    let shown = ["DENIED", "ERR", "NOQUORUM", "NOREPLICAS", "OOM"]
    for word in Set(shown).union(errorCounts.keys).sorted() {
      metrics.sample(.integer(errorCounts[word] ?? 0), MetricLabel("error", word))
    }
    metrics.begin(
      "coterie_quorum_failures_total", .counter,
      "Operations short of a quorum: no_replicas applied nothing, no_quorum may have.")
    metrics.sample(.integer(statistics.pointee.noReplicas), MetricLabel("kind", "no_replicas"))
    metrics.sample(.integer(statistics.pointee.noQuorum), MetricLabel("kind", "no_quorum"))
    metrics.counter(
      "coterie_operation_timeouts_total", "Operations that failed because answers came too late.",
      statistics.pointee.timeouts)
    metrics.counter(
      "coterie_peer_writes_refused_total", "Writes of other nodes that found no room here.",
      statistics.pointee.refusedForMemory)
    metrics.counter(
      "coterie_clock_skew_refusals_total",
      "Versions that were refused because their clock is ahead by more than max-clock-skew.",
      statistics.pointee.refusedStamps)
    metrics.counter(
      "coterie_bad_frames_total", "Frames on the peer port that were malformed.",
      statistics.pointee.badFrames)
  }

  // MARK: Memory and keys

  private func writeMemory(_ metrics: inout MetricText) {
    let used = countedBytes
    metrics.begin("coterie_memory_bytes", .gauge, "Memory that counts toward maxmemory, by kind.")
    for (kind, bytes) in [
      ("dataset", table.recordBytes), ("index", table.tableBytes), ("hash_trees", table.treeBytes),
      ("hints", hints.bytes), ("buffers", clients.counted),
    ] {
      metrics.sample(.integer(bytes), MetricLabel("kind", kind))
    }
    metrics.gauge("coterie_memory_used_bytes", "What counts toward maxmemory, in all.", used)
    metrics.gauge(
      "coterie_memory_peak_bytes", "The most that was used since the start.", max(peakBytes, used))
    metrics.gauge(
      "coterie_memory_limit_bytes", "maxmemory; 0: none.", parameters.number("maxmemory"))
    metrics.begin("coterie_memory_policy_info", .gauge, "maxmemory-policy; always 1.")
    metrics.sample(.integer(1), MetricLabel("policy", parameters["maxmemory-policy"] ?? ""))
    metrics.gauge(
      "coterie_memory_slack_bytes", "Memory that records left and that others will use again.",
      table.slackBytes)
    metrics.counter(
      "coterie_evictions_total", "Objects evicted for want of memory.", statistics.pointee.evicted)
  }

  private func writeKeys(_ metrics: inout MetricText) {
    metrics.begin("coterie_keys", .gauge, "Keys of this node, copies of others' included.")
    forEachDatabase(&metrics) { table.liveCount(database: $0) }
    metrics.begin("coterie_keys_expiring", .gauge, "Keys with a deadline.")
    forEachDatabase(&metrics) { table.deadlineCount(database: $0) }
    metrics.begin("coterie_tombstones", .gauge, "Deletions that are kept until they are settled.")
    forEachDatabase(&metrics) { table.tombstoneCount(database: $0) }
    metrics.counter(
      "coterie_expirations_total", "Objects whose deadline passed and that were cleared away.",
      statistics.pointee.expired)
    metrics.counter(
      "coterie_tombstones_reaped_total", "Tombstones that went.",
      statistics.pointee.tombstonesReaped)
  }

  private func forEachDatabase(_ metrics: inout MetricText, _ value: (Int) -> Int) {
    for database in 0..<table.databases {
      metrics.sample(.integer(value(database)), MetricLabel("db", "\(database)"))
    }
  }

  // MARK: The cluster

  private func writeMembers(_ metrics: inout MetricText) {
    let list = members.members
    metrics.gauge("coterie_cluster_size", "Members of the cluster.", list.count)
    metrics.gauge(
      "coterie_cluster_quorum", "More than half of the members.", list.count / 2 + 1)
    metrics.gauge(
      "coterie_cluster_members_alive", "Members that this node has a link to, itself included.",
      alivePeers() + 1)
    metrics.begin("coterie_cluster_members", .gauge, "Members by their part in the cluster.")
    for (name, status) in [
      ("joined", MemberStatus.joined), ("joining", .joining), ("leaving", .leaving),
      ("removing", .removing),
    ] {
      let count = list.count { $0.status == status }
      metrics.sample(.integer(count), MetricLabel("status", name))
    }
    metrics.begin(
      "coterie_cluster_members_health", .gauge, "Members by what the failure detector says.")
    for (name, health) in [("alive", MemberHealth.alive), ("suspect", .suspect), ("dead", .dead)] {
      let count = list.count { $0.health == health }
      metrics.sample(.integer(count), MetricLabel("health", name))
    }
    metrics.gauge(
      "coterie_slots_served", "Slots of 16384 with enough living owners for W and R.",
      service.slots)
    metrics.gauge("coterie_ring_change", "Whether the ring is changing.", isChanging ? 1 : 0)
    metrics.gauge(
      "coterie_slots_missing", "Slots of this node that it does not hold yet.", missing.count)
    metrics.begin(
      "coterie_transfer_keys_total", .counter,
      "Objects that moved because the ring changed or a node had lost its memory.")
    metrics.sample(.integer(statistics.pointee.transferredKeys), MetricLabel("direction", "in"))
    metrics.sample(.integer(statistics.pointee.handedOver), MetricLabel("direction", "out"))
    metrics.counter(
      "coterie_gossip_messages_total", "Messages that the failure detector sent.",
      statistics.pointee.gossipSent)
  }

  // MARK: Peers

  /// The peers that are shown, with their labels.
  private func shownPeers() -> [(peer: Int, label: MetricLabel)] {
    var order = coOwners
    if order.count < Limits.peersInMetrics {
      let first = Set(order)
      order += (1..<max(1, peers.end)).filter { !first.contains($0) }
    }
    var shown: [(Int, MetricLabel)] = []
    for peer in order where shown.count < Limits.peersInMetrics {
      let id = peers[peer].pointee.id
      guard peerIndices[id] == peer, let member = members[id], member.status.isMember else {
        continue
      }
      let port = member.shownPort(isEncrypted: false)
      shown.append((peer, MetricLabel("peer", "\(member.host):\(port)")))
    }
    return shown
  }

  private func writePeers(_ metrics: inout MetricText) {
    let shown = shownPeers()
    let connected = connectionsByPeer()
    metrics.begin("coterie_peer_up", .gauge, "Whether this node reaches the other one.")
    for (peer, label) in shown { metrics.sample(.integer(liveness[peer] > 0 ? 1 : 0), label) }
    metrics.begin("coterie_peer_links", .gauge, "Open connections with a node, both ways.")
    for (peer, label) in shown { metrics.sample(.integer(connected[peer].links), label) }
    metrics.begin(
      "coterie_peer_output_bytes", .gauge, "Bytes that wait to be written to a node.")
    for (peer, label) in shown { metrics.sample(.integer(connected[peer].waiting), label) }
    metrics.begin("coterie_peer_bytes_total", .counter, "Bytes from and to a node.")
    for (peer, label) in shown {
      metrics.sample(
        .integer(peers[peer].pointee.receivedBytes), label, MetricLabel("direction", "in"))
      metrics.sample(
        .integer(peers[peer].pointee.sentBytes), label, MetricLabel("direction", "out"))
    }
    metrics.begin(
      "coterie_peer_errors_total", .counter,
      "Links to a node that failed: it could not be dialled, it closed, or it was given up.")
    for (peer, label) in shown {
      let state = peers[peer]
      metrics.sample(.integer(state.pointee.dialsFailed), label, MetricLabel("kind", "dial"))
      metrics.sample(.integer(state.pointee.linksLost), label, MetricLabel("kind", "lost"))
      metrics.sample(.integer(state.pointee.linksGivenUp), label, MetricLabel("kind", "given_up"))
    }
    writeLag(&metrics, shown)
    metrics.gauge("coterie_peer_connections", "Connections with other nodes.", links.count)
  }

  private func writeLag(_ metrics: inout MetricText, _ shown: [(peer: Int, label: MetricLabel)]) {
    metrics.begin(
      "coterie_peer_replication_lag_seconds", .gauge,
      "For a node that owns slots together with this one: it has all writes older than this.")
    for (peer, label) in shown {
      let upTo = peers[peer].pointee.hasAllUpTo
      guard upTo > 0 else { continue }
      metrics.sample(.microseconds((wall - min(wall, upTo)) * 1000), label)
    }
  }

  /// By peer: links that are up, and bytes that wait in them.
  private func connectionsByPeer() -> [(links: Int, waiting: Int)] {
    var sums = [(links: Int, waiting: Int)](repeating: (0, 0), count: peers.end)
    for index in 0..<links.end {
      let link = links[index]
      guard link.pointee.isOpen, link.pointee.isReady, sums.indices.contains(link.pointee.peer)
      else { continue }
      sums[link.pointee.peer].links += 1
      sums[link.pointee.peer].waiting += link.pointee.output.pointee.count
    }
    return sums
  }

  // MARK: Repair

  private func writeRepairs(_ metrics: inout MetricText) {
    metrics.counter(
      "coterie_writes_discarded_total", "Writes that a later version made void.",
      statistics.pointee.discarded)
    metrics.counter(
      "coterie_conflicts_total", "Concurrent writes that were kept side by side as siblings.",
      statistics.pointee.conflicts + table.conflicts)
    metrics.counter(
      "coterie_siblings_resolved_total", "Sibling sets that grew too large and were resolved.",
      statistics.pointee.siblingsResolved)
    metrics.begin("coterie_repairs_total", .counter, "Objects that repair brought up to date.")
    metrics.sample(.integer(statistics.pointee.readRepairs), MetricLabel("kind", "read_repair"))
    metrics.sample(.integer(statistics.pointee.repairs), MetricLabel("kind", "anti_entropy"))
    metrics.counter(
      "coterie_comparisons_total", "Comparisons of hash trees with other owners that ended.",
      statistics.pointee.exchanges)
    metrics.counter(
      "coterie_comparison_bytes_total", "Bytes of those comparisons.",
      statistics.pointee.exchangeBytes)
    guard clearedAt > 0 else { return }
    metrics.begin(
      "coterie_converged_age_seconds", .gauge, "All writes older than this are on all their owners."
    )
    metrics.sample(.microseconds((wall - min(wall, clearedAt)) * 1000))
  }

  private func writeHints(_ metrics: inout MetricText) {
    metrics.gauge("coterie_hints_pending", "Hints kept for nodes that are away.", hints.count)
    metrics.gauge("coterie_hints_pending_bytes", "Memory of those hints.", hints.bytes)
    metrics.gauge(
      "coterie_hints_limit_bytes", "hint-memory.", parameters.number("hint-memory"))
    metrics.begin(
      "coterie_hints_oldest_age_seconds", .gauge, "Age of the oldest hint; 0 when there is none.")
    let oldest = hints.oldest?.milliseconds ?? wall
    metrics.sample(.microseconds((wall - min(wall, oldest)) * 1000))
    metrics.counter(
      "coterie_hints_stored_total", "Hints that were kept.", statistics.pointee.hintsKept)
    metrics.counter(
      "coterie_hints_delivered_total", "Hints that their node took.",
      statistics.pointee.hintsDelivered)
    metrics.begin("coterie_hints_dropped_total", .counter, "Hints that went undelivered.")
    metrics.sample(.integer(statistics.pointee.hintsDropped), MetricLabel("reason", "full"))
    metrics.sample(.integer(statistics.pointee.hintsExpired), MetricLabel("reason", "age"))
  }

  // MARK: Readiness

  /// Looks at all slots when something has changed that decides who serves them; 16384 slots take
  /// about 50 microseconds.
  private mutating func noteService() {
    var state = ServiceState(
      epoch: routeEpoch, copies: policies[0].copies, write: policies[0].write,
      read: policies[0].read, slots: service.slots)
    guard state != service else { return }
    state.slots = slotsServed()
    service = state
  }

  /// Why clients should go elsewhere; nil: they are served.
  mutating func unreadiness() -> String? {
    noteService()
    return reasonNotReady
  }

  private var reasonNotReady: String? {
    if isDraining { return "the node is stopping" }
    switch clusterState {
    case .ok: break
    case .forming: return "the node has not met its cluster yet"
    case .removed: return "the node has left its cluster"
    }
    let count = members.count
    if members.own.status == .joining, count > 1 {
      return "the node is joining: \(missing.count) slots are missing"
    }
    if !members.own.isFilled {
      return "the node is being refilled: \(missing.count) slots are missing"
    }
    let alive = alivePeers() + 1
    if alive * 2 <= count { return "no quorum: \(alive) of \(count) members are alive" }
    if service.slots < Slot.count {
      return "\(Slot.count - service.slots) slots have too few living owners"
    }
    return nil
  }
}
