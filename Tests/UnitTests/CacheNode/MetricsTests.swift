import CacheNode
import Primitives
import Testing

/// What a node says of itself to Prometheus and to load balancers.
@Suite("Metrics of a node")
struct MetricsTests {
  /// The samples of a node's text: name with labels → number as it is written.
  private func samples(_ cluster: TestCluster, _ index: Int) -> [String: String] {
    var text = ByteBuffer()
    cluster.node(index)?.writeMetrics(into: &text, of: ShellFigures(), now: cluster.now)
    var samples: [String: String] = [:]
    for line in text.readable.text.split(separator: "\n") where !line.hasPrefix("#") {
      guard let space = line.lastIndex(of: " ") else { continue }
      let name = String(line[..<space])
      #expect(samples[name] == nil, "twice: \(name)")
      samples[name] = String(line[line.index(after: space)...])
    }
    return samples
  }

  private func operations(_ operation: String, _ status: String) -> String {
    "coterie_operations_total{operation=\"\(operation)\",status=\"\(status)\"}"
  }

  @Test("operations are counted by what they ask and how they end")
  func operationClasses() {
    let cluster = TestCluster.formed(1)
    let client = cluster.client(0)
    for _ in 0..<3 { client.call("SET", "a", "1") }
    for _ in 0..<5 { client.call("GET", "a") }
    client.call("INCR", "a")
    client.call("SET", "text", "x")
    client.call("INCR", "text")
    client.call("MGET", "a", "text")
    client.call("GET")
    client.call("NOSUCH")
    client.call("PING")
    let samples = samples(cluster, 0)
    #expect(samples[operations("write", "ok")] == "4")
    #expect(samples[operations("read", "ok")] == "5")
    #expect(samples[operations("read", "error")] == "1")
    #expect(samples[operations("modify", "ok")] == "1")
    #expect(samples[operations("modify", "error")] == "1")
    #expect(samples[operations("gather", "ok")] == "1")
    #expect(samples[operations("other", "ok")] == "1")
    #expect(samples[operations("other", "error")] == "1")
    #expect(samples["coterie_operation_duration_seconds_count{operation=\"read\"}"] == "5")
    #expect(samples["coterie_keys{db=\"0\"}"] == "2")
    #expect(samples["coterie_lookups_total{result=\"hit\"}"] != "0")
  }

  @Test("CONFIG RESETSTAT begins all of them anew")
  func reset() {
    let cluster = TestCluster.formed(1)
    let client = cluster.client(0)
    client.call("SET", "text", "x")
    client.call("INCR", "text")
    client.call("CONFIG", "RESETSTAT")
    let samples = samples(cluster, 0)
    #expect(samples[operations("modify", "ok")] == "0")
    #expect(samples[operations("modify", "error")] == "0")
    #expect(samples[operations("write", "ok")] == "0")
  }

  @Test("refusals count for the class of the refused command")
  func refusals() {
    let cluster = TestCluster.formed(1)
    let client = cluster.client(0)
    client.call("SET", "a", "1")
    client.call("CONFIG", "SET", "maxmemory", "1")
    #expect(client.call("SET", "a", "2")?.isError == true)
    #expect(client.call("APPEND", "a", "2")?.isError == true)
    client.call("CONFIG", "SET", "maxmemory", "0", "requirepass", "secret")
    let stranger = cluster.client(0)
    #expect(stranger.call("GET", "a")?.isError == true)
    #expect(stranger.call("NOSUCH")?.isError == true)
    let samples = samples(cluster, 0)
    #expect(samples[operations("write", "oom")] == "1")
    #expect(samples[operations("modify", "oom")] == "1")
    #expect(samples[operations("read", "denied")] == "1")
    #expect(samples[operations("other", "error")] == "1")
  }

  @Test("short of a quorum, operations fail by their kind, and the node is not ready")
  func quorum() {
    let cluster = TestCluster.formed(3)
    let client = cluster.client(0)
    #expect(cluster.node(0)?.unreadiness(now: cluster.now) == nil)
    #expect(samples(cluster, 0)["coterie_slots_served"] == "16384")
    client.call("SET", "a", "1")
    cluster.kill(1)
    cluster.kill(2)
    #expect(client.call("GET", "a")?.isError == true)
    #expect(client.call("INCR", "a")?.isError == true)
    let samples = samples(cluster, 0)
    #expect(samples[operations("read", "no_replicas")] == "1")
    #expect(samples[operations("modify", "no_replicas")] == "1")
    #expect(samples["coterie_cluster_size"] == "3")
    #expect(samples["coterie_cluster_quorum"] == "2")
    #expect(samples["coterie_cluster_members_alive"] == "1")
    #expect(samples["coterie_slots_served"] == "0")
    #expect(samples["coterie_ready"] == "0")
    #expect(
      cluster.node(0)?.unreadiness(now: cluster.now) == "no quorum: 1 of 3 members are alive")
  }

  @Test("each peer has its series: up, links, bytes, errors, lag")
  func peers() {
    let cluster = TestCluster.formed(3)
    cluster.client(0).call("SET", "a", "1")
    cluster.run(milliseconds: 30_000)
    let before = samples(cluster, 0)
    for peer in ["127.0.0.1:7002", "127.0.0.1:7003"] {
      #expect(before["coterie_peer_up{peer=\"\(peer)\"}"] == "1")
      #expect(before["coterie_peer_links{peer=\"\(peer)\"}"] == "2")
      #expect(before["coterie_peer_errors_total{peer=\"\(peer)\",kind=\"lost\"}"] == "0")
      for direction in ["in", "out"] {
        let bytes = before["coterie_peer_bytes_total{peer=\"\(peer)\",direction=\"\(direction)\"}"]
        #expect((Int(bytes ?? "") ?? 0) > 1000)
      }
      let lag = before["coterie_peer_replication_lag_seconds{peer=\"\(peer)\"}"]
      #expect((Double(lag ?? "") ?? 99) < 30)
    }
    cluster.kill(1)
    cluster.run(milliseconds: 3000)
    let after = samples(cluster, 0)
    let dead = "peer=\"127.0.0.1:7002\""
    #expect(after["coterie_peer_up{\(dead)}"] == "0")
    #expect(after["coterie_peer_links{\(dead)}"] == "0")
    #expect(after["coterie_peer_errors_total{\(dead),kind=\"lost\"}"] == "1")
    #expect(after["coterie_peer_errors_total{\(dead),kind=\"dial\"}"] != "0")
    #expect(after["coterie_peer_up{peer=\"127.0.0.1:7003\"}"] == "1")
    #expect(after["coterie_cluster_members_health{health=\"dead\"}"] == "1")
  }

  @Test("hints that wait show with their age")
  func hints() {
    let cluster = TestCluster.formed(3)
    let client = cluster.client(0)
    cluster.kill(2)
    cluster.run(milliseconds: 3000)
    for number in 0..<20 { client.call("SET", "key:\(number)", "x") }
    cluster.run(milliseconds: 2000)
    let pending = (0..<2).map { Int(samples(cluster, $0)["coterie_hints_pending"] ?? "") ?? 0 }
    #expect(pending[0] + pending[1] > 0)
    let holder = pending[0] > 0 ? 0 : 1
    let age = samples(cluster, holder)["coterie_hints_oldest_age_seconds"] ?? ""
    #expect((Double(age) ?? 0) >= 2)
    #expect(samples(cluster, holder)["coterie_hints_stored_total"] != "0")
    cluster.restart(2)
    cluster.run(milliseconds: 20_000)
    #expect(samples(cluster, holder)["coterie_hints_pending"] == "0")
    #expect(samples(cluster, holder)["coterie_hints_oldest_age_seconds"] == "0")
    #expect(samples(cluster, holder)["coterie_hints_delivered_total"] != "0")
  }

  @Test("a node that left, and one that has not met its seeds, are not ready")
  func states() {
    let cluster = TestCluster(2)
    #expect(
      cluster.node(1)?.unreadiness(now: cluster.now) == "the node has not met its cluster yet")
    #expect(cluster.run(atMost: 10_000) { cluster.hasFormed })
    #expect(cluster.node(1)?.unreadiness(now: cluster.now) == nil)
    cluster.client(1).call("CLUSTER", "LEAVE")
    cluster.expectGone(1)
    #expect(cluster.run(atMost: 40_000) { cluster.node(1)?.isRemoved == true })
    #expect(cluster.node(1)?.unreadiness(now: cluster.now) == "the node has left its cluster")
  }
}
