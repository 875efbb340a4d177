import Primitives
import RESP

// INFO, with the sections, names and order of Redis 7.0 that tools look for (COMPAT.md, 5.4).

extension NodeCore {
  private static let defaultSections = [
    "server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules",
    "errorstats", "cluster", "keyspace", "coterie",
  ]

  mutating func executeInfo(_ index: Int) -> Bool {
    var wanted: [String] = []
    for place in 1..<max(1, arguments.pointee.count) {
      let word = arguments.pointee[place].text.lowercased()
      switch word {
      case "default": wanted += NodeCore.defaultSections
      case "all", "everything": wanted += NodeCore.defaultSections + ["commandstats"]
      default: wanted.append(word)
      }
    }
    if arguments.pointee.count == 1 { wanted = NodeCore.defaultSections }
    let order = NodeCore.defaultSections + ["commandstats"]
    let sections = order.filter { wanted.contains($0) }.compactMap { section($0) }
    let text = sections.joined(separator: "\r\n")
    let resp = sessions[index].pointee.resp
    return replyNow(index) { $0.pointee.appendVerbatim(text, resp: resp) }
  }

  private func section(_ name: String) -> String? {
    let lines: [String]
    switch name {
    case "server": lines = serverSection()
    case "clients": lines = clientsSection()
    case "memory": lines = memorySection()
    case "persistence": lines = persistenceSection()
    case "stats": lines = statsSection()
    case "replication": lines = replicationSection()
    case "cpu": lines = ["# CPU"] + cpuLines()
    case "modules": lines = ["# Modules"]
    case "errorstats":
      lines =
        ["# Errorstats"]
        + errorCounts.sorted { $0.key < $1.key }.map { "errorstat_\($0.key):count=\($0.value)" }
    case "commandstats": lines = commandStatsSection()
    case "cluster":
      lines = ["# Cluster", "cluster_enabled:\(parameters.isYes("cluster-enabled") ? 1 : 0)"]
    case "keyspace": lines = keyspaceSection()
    case "coterie": lines = coterieSection()
    default: return nil
    }
    return lines.map { $0 + "\r\n" }.joined()
  }

  private var uptimeSeconds: UInt64 {
    (monotonic - startedAt.monotonicMicroseconds) / 1_000_000
  }

  private func serverSection() -> [String] {
    let seconds = uptimeSeconds
    return [
      "# Server", "redis_version:\(NodeCore.redisVersion)", "redis_git_sha1:00000000",
      "redis_git_dirty:0",
      "redis_mode:\(parameters.isYes("cluster-enabled") ? "cluster" : "standalone")",
      "server_name:coterie", "coterie_version:\(configuration.version)", "os:Linux",
      "arch_bits:64", "multiplexing_api:epoll", "process_id:\(processID)", "process_supervised:no",
      "run_id:\(members.own.hexID)", "tcp_port:\(configuration.port)",
      "server_time_usec:\(now.wallMicroseconds)", "uptime_in_seconds:\(seconds)",
      "uptime_in_days:\(seconds / 86_400)", "hz:\(parameters["hz"] ?? "10")",
      "configured_hz:\(parameters["hz"] ?? "10")", "executable:\(configuration.executable)",
      "config_file:\(configuration.configurationFile)", "io_threads_active:0",
    ]
  }

  private var processID: Int { configuration.processID }

  private func clientsSection() -> [String] {
    [
      "# Clients", "connected_clients:\(sessions.count)", "cluster_connections:\(links.count)",
      "maxclients:\(parameters["maxclients"] ?? "")", "client_recent_max_input_buffer:0",
      "client_recent_max_output_buffer:0", "blocked_clients:0", "tracking_clients:0",
      "clients_in_timeout_table:0",
    ]
  }

  private func memorySection() -> [String] {
    let used = countedBytes
    let peak = max(peakBytes, used)
    let resident = configuration.processFigures().residentBytes
    let ratio = used == 0 ? 100 : resident * 100 / used
    return [
      "# Memory", "used_memory:\(used)", "used_memory_human:\(human(used))",
      "used_memory_rss:\(resident)", "used_memory_rss_human:\(human(resident))",
      "used_memory_peak:\(peak)",
      "used_memory_peak_human:\(human(peak))",
      "used_memory_overhead:\(used - table.recordBytes)",
      "used_memory_dataset:\(table.recordBytes)", "maxmemory:\(parameters["maxmemory"] ?? "0")",
      "maxmemory_human:\(human(parameters.number("maxmemory")))",
      "maxmemory_policy:\(parameters["maxmemory-policy"] ?? "")", "mem_allocator:coterie-slab",
      "mem_fragmentation_ratio:\(ratio / 100).\(ratio % 100 / 10)\(ratio % 10)",
      "mem_clients_normal:\(memory.buffers)", "mem_hints:\(hints.bytes)",
      "mem_hash_trees:\(table.treeBytes)", "mem_table_index:\(table.tableBytes)",
      "mem_slack:\(table.slackBytes)", "refused_for_memory:\(statistics.refusedForMemory)",
    ]
  }

  private func human(_ bytes: Int) -> String {
    for (unit, size) in [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)] where bytes >= size {
      let rest = bytes % size * 100 / size
      return "\(bytes / size).\(rest < 10 ? "0" : "")\(rest)\(unit)"
    }
    return "\(bytes)B"
  }

  private func persistenceSection() -> [String] {
    [
      "# Persistence", "loading:0", "async_loading:0", "rdb_changes_since_last_save:0",
      "rdb_bgsave_in_progress:0", "rdb_last_save_time:\(startedAt.wallMilliseconds / 1000)",
      "rdb_last_bgsave_status:ok", "aof_enabled:0", "aof_rewrite_in_progress:0",
      "aof_rewrite_scheduled:0", "aof_last_bgrewrite_status:ok",
    ]
  }

  private func statsSection() -> [String] {
    [
      "# Stats", "total_connections_received:\(statistics.connections)",
      "total_commands_processed:\(statistics.commands)",
      "instantaneous_ops_per_sec:\(sampler.perSecond)",
      "total_net_input_bytes:\(statistics.inputBytes)",
      "total_net_output_bytes:\(statistics.outputBytes)",
      "rejected_connections:\(statistics.rejectedConnections)", "sync_full:0",
      "expired_keys:\(statistics.expired)", "evicted_keys:\(statistics.evicted)",
      "keyspace_hits:\(statistics.hits)", "keyspace_misses:\(statistics.misses)",
      "pubsub_channels:0", "pubsub_patterns:0", "latest_fork_usec:0", "total_forks:0",
      "total_error_replies:\(statistics.errors)", "unexpected_error_replies:0",
    ]
  }

  private func replicationSection() -> [String] {
    let id = members.own.hexID
    return [
      "# Replication", "role:master", "connected_slaves:0", "master_failover_state:no-failover",
      "master_replid:\(id)", "master_replid2:\(String(repeating: "0", count: 40))",
      "master_repl_offset:0", "second_repl_offset:-1", "repl_backlog_active:0",
      "repl_backlog_size:1048576", "repl_backlog_first_byte_offset:0", "repl_backlog_histlen:0",
    ] + repairLines()
  }

  private func cpuLines() -> [String] {
    let figures = configuration.processFigures()
    func seconds(_ microseconds: Int) -> String {
      let rest = "\(microseconds % 1_000_000)"
      return "\(microseconds / 1_000_000)." + String(repeating: "0", count: 6 - rest.count) + rest
    }
    return [
      "used_cpu_sys:\(seconds(figures.systemMicroseconds))",
      "used_cpu_user:\(seconds(figures.userMicroseconds))",
    ]
  }

  private func commandStatsSection() -> [String] {
    var lines = ["# Commandstats"]
    for number in 0..<commandIndex.total {
      let entry = commandIndex.entries[number]
      guard entry.calls > 0 || entry.rejected > 0 else { continue }
      let each = entry.calls == 0 ? 0 : entry.nanoseconds / UInt64(entry.calls) / 10
      lines.append(
        "cmdstat_\(commandIndex.fullNames[number]):calls=\(entry.calls),"
          + "usec=\(entry.microseconds),usec_per_call=\(each / 100).\(each % 100 / 10)\(each % 10),"
          + "rejected_calls=\(entry.rejected),failed_calls=\(entry.failed)")
    }
    return lines
  }

  private func keyspaceSection() -> [String] {
    var lines = ["# Keyspace"]
    for database in 0..<table.databases where table.liveCount(database: database) > 0 {
      let mean = table.meanDeadline(database: database)
      lines.append(
        "db\(database):keys=\(table.liveCount(database: database)),"
          + "expires=\(table.deadlineCount(database: database)),"
          + "avg_ttl=\(mean > wall ? mean - wall : 0)")
    }
    return lines
  }

  private func coterieSection() -> [String] {
    return [
      "# Coterie", "node_id:\(members.own.hexID)", "node_name:\(configuration.name)",
      "zone:\(configuration.zone)", "members:\(members.count)",
      "members_alive:\(alivePeers() + 1)", "filled:\(members.own.isFilled ? 1 : 0)",
      "operations_waiting:\(operations.count)", "quorum_reads:\(statistics.quorumReads)",
      "quorum_writes:\(statistics.quorumWrites)", "forwards:\(statistics.forwards)",
      "siblings_resolved:\(statistics.siblingsResolved)",
      "stamps_refused:\(statistics.refusedStamps)", "peer_frames_bad:\(statistics.badFrames)",
      "noreplicas:\(statistics.noReplicas)", "noquorum:\(statistics.noQuorum)",
    ]
  }
}
