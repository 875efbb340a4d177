import Primitives
import RESP

// INFO, with the sections, names and order of Redis 7.0 that tools look for (COMPAT.md, 5.4).

extension NodeCore {
  /// All sections, in Redis's order, ours behind them.
  private static let sections = [
    "server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules",
    "commandstats", "errorstats", "latencystats", "cluster", "keyspace", "coterie",
  ]
  /// What INFO alone leaves out.
  private static let detailed: Set = ["commandstats", "latencystats"]

  mutating func executeInfo(_ index: Int) -> Bool {
    var wanted: Set<String> = []
    let usual = NodeCore.sections.filter { !NodeCore.detailed.contains($0) }
    for place in 1..<max(1, arguments.pointee.count) {
      let word = arguments.pointee[place].text.lowercased()
      switch word {
      case "default": wanted.formUnion(usual)
      case "all", "everything": wanted.formUnion(NodeCore.sections)
      default: wanted.insert(word)
      }
    }
    if arguments.pointee.count == 1 { wanted.formUnion(usual) }
    let sections = NodeCore.sections.filter(wanted.contains).map { section($0) }
    let text = sections.joined(separator: "\r\n")
    let resp = sessions[index].pointee.resp
    return replyNow(index) { $0.pointee.appendVerbatim(text, resp: resp) }
  }

  private func section(_ name: String) -> String {
    let lines: [String] =
      switch name {
      case "server": serverSection()
      case "clients": clientsSection()
      case "memory": memorySection()
      case "persistence": persistenceSection()
      case "stats": statsSection()
      case "replication": replicationSection()
      case "cpu": ["# CPU"] + cpuLines()
      case "modules": ["# Modules"]
      case "commandstats": commandStatsSection()
      case "errorstats": errorStatsSection()
      case "latencystats": latencyStatsSection()
      case "cluster":
        ["# Cluster", "cluster_enabled:\(parameters.isYes("cluster-enabled") ? 1 : 0)"]
      case "keyspace": keyspaceSection()
      default: coterieSection()
      }
    return lines.map { $0 + "\r\n" }.joined()
  }

  private var uptimeSeconds: UInt64 {
    (monotonic - startedAt.monotonicMicroseconds) / 1_000_000
  }

  private func serverSection() -> [String] {
    let seconds = uptimeSeconds
    let clock = meterName
    return [
      "# Server", "redis_version:\(NodeCore.redisVersion)", "redis_git_sha1:00000000",
      "redis_git_dirty:0", "redis_build_id:0",
      "redis_mode:\(parameters.isYes("cluster-enabled") ? "cluster" : "standalone")",
      "server_name:coterie", "coterie_version:\(configuration.version)",
      "os:\(configuration.operatingSystem)", "arch_bits:64", "monotonic_clock:\(clock)",
      "multiplexing_api:epoll", "atomicvar_api:none", "gcc_version:0.0.0",
      "process_id:\(configuration.processID)", "process_supervised:no",
      "run_id:\(members.own.hexID)",
      "tcp_port:\(members.own.shownPort(isEncrypted: false))",
      "server_time_usec:\(now.wallMicroseconds)", "uptime_in_seconds:\(seconds)",
      "uptime_in_days:\(seconds / 86_400)", "hz:\(parameters["hz"] ?? "10")",
      "configured_hz:\(parameters["hz"] ?? "10")", "lru_clock:\(wall / 1000 & 0xff_ffff)",
      "executable:\(configuration.executable)",
      "config_file:\(configuration.configurationFile)", "io_threads_active:0",
    ]
  }

  private var meterName: String {
    guard let clock = meter.pointee.clock else { return "tick" }
    return clock.scale == 1 << 32 ? "POSIX clock_gettime" : "processor time stamp"
  }

  private func clientsSection() -> [String] {
    var input = 0
    var output = 0
    for index in 0..<sessions.end where sessions[index].pointee.isOpen {
      input = max(input, sessions[index].pointee.input.capacity)
      output = max(output, sessions[index].pointee.output.pointee.capacity)
    }
    return [
      "# Clients", "connected_clients:\(sessions.count)", "cluster_connections:\(links.count)",
      "maxclients:\(parameters["maxclients"] ?? "")", "client_recent_max_input_buffer:\(input)",
      "client_recent_max_output_buffer:\(output)", "blocked_clients:\(pause.sessions.count)",
      "tracking_clients:0", "clients_in_timeout_table:0", "monitor_clients:\(monitors.count)",
    ]
  }

  private func memorySection() -> [String] {
    let used = usedBytes
    let peak = max(peakBytes, used)
    let dataset = table.recordBytes
    let figures = configuration.processFigures()
    let resident = figures.residentBytes
    let system = figures.systemMemoryBytes
    return [
      "# Memory", "used_memory:\(used)", "used_memory_human:\(human(used))",
      "used_memory_rss:\(resident)", "used_memory_rss_human:\(human(resident))",
      "used_memory_peak:\(peak)", "used_memory_peak_human:\(human(peak))",
      "used_memory_peak_perc:\(percent(used, of: peak))",
      "used_memory_overhead:\(used - dataset)", "used_memory_startup:0",
      "used_memory_dataset:\(dataset)", "used_memory_dataset_perc:\(percent(dataset, of: used))",
      "allocator_allocated:\(used)", "allocator_active:\(used + table.slackBytes)",
      "allocator_resident:\(resident)", "total_system_memory:\(system)",
      "total_system_memory_human:\(human(system))",
    ] + scriptMemoryLines() + [
      "maxmemory:\(parameters["maxmemory"] ?? "0")",
      "maxmemory_human:\(human(parameters.number("maxmemory")))",
      "maxmemory_policy:\(parameters["maxmemory-policy"] ?? "")",
      "allocator_frag_ratio:\(ratio(used + table.slackBytes, to: used))",
      "allocator_frag_bytes:\(table.slackBytes)",
      "allocator_rss_ratio:\(ratio(resident, to: used + table.slackBytes))",
      "allocator_rss_bytes:\(resident - used - table.slackBytes)", "rss_overhead_ratio:1.00",
      "rss_overhead_bytes:0", "mem_fragmentation_ratio:\(ratio(resident, to: used))",
      "mem_fragmentation_bytes:\(resident - used)", "mem_not_counted_for_evict:0",
      "mem_replication_backlog:0", "mem_total_replication_buffers:0", "mem_clients_slaves:0",
      "mem_clients_normal:\(clients.counted)", "mem_cluster_links:0", "mem_aof_buffer:0",
      "mem_allocator:coterie-slab", "active_defrag_running:0",
      "lazyfree_pending_objects:\(table.blobs.pointee.buriedCount + table.flushedCount)",
      "lazyfreed_objects:\(table.blobs.pointee.freedCount + table.freedCount)",
      "mem_hints:\(hints.bytes)", "mem_hash_trees:\(table.treeBytes)",
      "mem_table_index:\(table.tableBytes)", "mem_slack:\(table.slackBytes)",
      "refused_for_memory:\(statistics.pointee.refusedForMemory)",
    ]
  }

  /// There are no scripts.
  private func scriptMemoryLines() -> [String] {
    [
      "used_memory_lua:0", "used_memory_vm_eval:0", "used_memory_lua_human:0B",
      "used_memory_scripts_eval:0", "number_of_cached_scripts:0", "number_of_functions:0",
      "number_of_libraries:0", "used_memory_vm_functions:0", "used_memory_vm_total:0",
      "used_memory_vm_total_human:0B", "used_memory_functions:0", "used_memory_scripts:0",
      "used_memory_scripts_human:0B",
    ]
  }

  private func percent(_ part: Int, of whole: Int) -> String {
    hundredths(whole <= 0 ? 0 : part * 10_000 / whole) + "%"
  }

  private func ratio(_ part: Int, to whole: Int) -> String {
    hundredths(whole <= 0 ? 100 : part * 100 / whole)
  }

  /// A number of hundredths with two decimals.
  private func hundredths(_ value: Int) -> String {
    "\(value / 100).\(value % 100 / 10)\(value % 10)"
  }

  private func human(_ bytes: Int) -> String {
    for (unit, size) in [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)] where bytes >= size {
      let rest = bytes % size * 100 / size
      return "\(bytes / size).\(rest < 10 ? "0" : "")\(rest)\(unit)"
    }
    return "\(bytes)B"
  }

  /// Data lives in memory only: what tools read is there, and nothing happens.
  private func persistenceSection() -> [String] {
    [
      "# Persistence", "loading:0", "async_loading:0", "current_cow_peak:0", "current_cow_size:0",
      "current_cow_size_age:0", "current_fork_perc:0.00", "current_save_keys_processed:0",
      "current_save_keys_total:0", "rdb_changes_since_last_save:0", "rdb_bgsave_in_progress:0",
      "rdb_last_save_time:\(startedAt.wallMilliseconds / 1000)", "rdb_last_bgsave_status:ok",
      "rdb_last_bgsave_time_sec:-1", "rdb_current_bgsave_time_sec:-1", "rdb_saves:0",
      "rdb_last_cow_size:0", "rdb_last_load_keys_expired:0", "rdb_last_load_keys_loaded:0",
      "aof_enabled:0", "aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0",
      "aof_last_rewrite_time_sec:-1", "aof_current_rewrite_time_sec:-1",
      "aof_last_bgrewrite_status:ok", "aof_rewrites:0", "aof_rewrites_consecutive_failures:0",
      "aof_last_write_status:ok", "aof_last_cow_size:0", "module_fork_in_progress:0",
      "module_fork_last_cow_size:0",
    ]
  }

  private func statsSection() -> [String] {
    [
      "# Stats", "total_connections_received:\(statistics.pointee.connections)",
      "total_commands_processed:\(statistics.pointee.commands)",
      "instantaneous_ops_per_sec:\(sampler.perSecond)",
      "total_net_input_bytes:\(statistics.pointee.inputBytes)",
      "total_net_output_bytes:\(statistics.pointee.outputBytes)",
      "total_net_repl_input_bytes:\(statistics.pointee.peerInputBytes)",
      "total_net_repl_output_bytes:0",
      "instantaneous_input_kbps:\(hundredths(inputSampler.perSecond * 100 / 1024))",
      "instantaneous_output_kbps:\(hundredths(outputSampler.perSecond * 100 / 1024))",
      "instantaneous_input_repl_kbps:0.00", "instantaneous_output_repl_kbps:0.00",
      "rejected_connections:\(statistics.pointee.rejectedConnections)", "sync_full:0",
      "sync_partial_ok:0",
      "sync_partial_err:0", "expired_keys:\(statistics.pointee.expired)", "expired_stale_perc:0.00",
      "expired_time_cap_reached_count:0", "expire_cycle_cpu_milliseconds:0",
      "evicted_keys:\(statistics.pointee.evicted)",
      "evicted_clients:\(statistics.pointee.evictedClients)",
      "total_eviction_exceeded_time:0", "current_eviction_exceeded_time:0",
      "keyspace_hits:\(statistics.pointee.hits)",
      "keyspace_misses:\(statistics.pointee.misses)", "pubsub_channels:0", "pubsub_patterns:0",
      "pubsubshard_channels:0", "latest_fork_usec:0", "total_forks:0", "migrate_cached_sockets:0",
      "slave_expires_tracked_keys:0", "active_defrag_hits:0", "active_defrag_misses:0",
      "active_defrag_key_hits:0", "active_defrag_key_misses:0", "total_active_defrag_time:0",
      "current_active_defrag_time:0", "tracking_total_keys:0", "tracking_total_items:0",
      "tracking_total_prefixes:0", "unexpected_error_replies:0",
      "total_error_replies:\(statistics.pointee.errors)", "dump_payload_sanitizations:0",
      "total_reads_processed:\(statistics.pointee.reads)",
      "total_writes_processed:\(statistics.pointee.writes)",
      "io_threaded_reads_processed:0", "io_threaded_writes_processed:0", "reply_buffer_shrinks:0",
      "reply_buffer_expands:0",
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
      "used_cpu_user:\(seconds(figures.userMicroseconds))", "used_cpu_sys_children:0.000000",
      "used_cpu_user_children:0.000000",
      // There is one thread.
      "used_cpu_sys_main_thread:\(seconds(figures.systemMicroseconds))",
      "used_cpu_user_main_thread:\(seconds(figures.userMicroseconds))",
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

  private func errorStatsSection() -> [String] {
    ["# Errorstats"]
      + errorCounts.sorted { $0.key < $1.key }.map { "errorstat_\($0.key):count=\($0.value)" }
  }

  private func latencyStatsSection() -> [String] {
    var lines = ["# Latencystats"]
    let wanted = (parameters["latency-tracking-info-percentiles"] ?? "").split(separator: " ")
    for number in 0..<commandIndex.total {
      guard let histogram = commandIndex.entries[number].histogram?.pointee, histogram.count > 0
      else { continue }
      let values = wanted.map { word in
        let value = histogram.percentile(
          millionths: ParameterStore.millionths(percent: word) ?? 0)
        return "p\(word)=\(value / 1000)." + "\(value % 1000 + 1000)".dropFirst()
      }
      lines.append(
        "latency_percentiles_usec_\(commandIndex.fullNames[number]):"
          + values.joined(separator: ","))
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
      "operations_waiting:\(operations.count)", "quorum_reads:\(statistics.pointee.quorumReads)",
      "quorum_writes:\(statistics.pointee.quorumWrites)", "forwards:\(statistics.pointee.forwards)",
      "siblings_resolved:\(statistics.pointee.siblingsResolved)",
      "stamps_refused:\(statistics.pointee.refusedStamps)",
      "peer_frames_bad:\(statistics.pointee.badFrames)",
      "peer_links_unproven:\(unprovenLinks.count)",
      "peer_links_refused:\(statistics.pointee.refusedLinks)",
      "cluster_secret:\(configuration.clusterSecret.isEmpty ? 0 : 1)",
      "noreplicas:\(statistics.pointee.noReplicas)", "noquorum:\(statistics.pointee.noQuorum)",
    ]
  }
}
