import CacheNode
import Primitives
import Testing

@Suite("Three nodes")
struct ClusterTests {
  @Test("A value written at any node is read at any node")
  func anyNode() {
    let cluster = TestCluster.formed(3)
    let clients = (0..<3).map { cluster.client($0) }
    for writer in 0..<3 {
      for index in 0..<20 {
        #expect(clients[writer].call("SET", "key:\(index)", "\(writer):\(index)") == "OK")
        for reader in 0..<3 {
          #expect(
            clients[reader].call("GET", "key:\(index)") == Reply("\"\(writer):\(index)\""))
        }
      }
    }
  }

  @Test("With fewer copies than nodes every key is still found, counted and listed")
  func partitioned() {
    let cluster = TestCluster.formed(5)
    let clients = (0..<5).map { cluster.client($0) }
    #expect(clients[0].call("CONFIG", "SET", "keyspace.default.n", "2") == "OK")
    cluster.run(milliseconds: 1000)
    for index in 0..<100 {
      #expect(clients[index % 5].call("SET", "key:\(index)", "\(index)") == "OK")
    }
    for client in clients {
      #expect(client.call("DBSIZE") == "100")
      #expect(client.call("KEYS", "*")?.elements.count == 100)
      #expect(scan(client).count == 100)
      let words = ["MGET"] + (0..<100).map { "key:\($0)" } + ["none"]
      let expected = (0..<100).map { "\"\($0)\"" } + ["nil"]
      #expect(client.call(words.map(\.bytes))?.elements.map(\.description) == expected)
    }
    #expect(clients[3].call("DEL", "key:1", "key:2", "none") == "2")
    #expect(clients[4].call("EXISTS", "key:1", "key:2", "key:3") == "1")
    #expect(clients[2].call("FLUSHALL") == "OK")
    for client in clients { #expect(client.call("DBSIZE") == "0") }
  }

  private func scan(_ client: TestClient) -> Set<String> {
    var keys: Set<String> = []
    var cursor = "0"
    repeat {
      guard let reply = client.call("SCAN", cursor, "COUNT", "7"), reply.elements.count == 2 else {
        Issue.record("SCAN gives no cursor")
        return keys
      }
      keys.formUnion(reply.elements[1].elements.map(\.description))
      cursor = (reply.elements[0].bulk ?? []).text
    } while cursor != "0"
    return keys
  }

  @Test(
    "One connection's commands act as if run one after another, at any depth", arguments: [0, 1, 2])
  func pipelined(node: Int) {
    let cluster = TestCluster.formed(3)
    let client = cluster.client(node)
    var expected: [Reply] = []
    for index in 0..<300 {
      client.send("SET", "key:\(index % 7)", "\(index)")
      client.send("GET", "key:\(index % 7)")
      client.send("INCR", "counter")
      client.send("DEL", "key:\(index % 7)")
      client.send("GET", "key:\(index % 7)")
      expected += ["OK", Reply("\"\(index)\""), Reply("\(index + 1)"), "1", "nil"]
    }
    for (index, reply) in expected.enumerated() {
      #expect(client.reply() == reply, "reply \(index)")
    }
  }

  @Test("Replicas that saw the same writes hold the same bytes")
  func sameBytes() {
    let cluster = TestCluster.formed(3)
    let clients = (0..<3).map { cluster.client($0) }
    for index in 0..<300 {
      clients[index % 3].call("SET", "key:\(index % 40)", "\(index)")
      if index % 5 == 0 { clients[index % 3].call("APPEND", "key:\(index % 40)", "x") }
      if index % 7 == 0 { clients[index % 3].call("DEL", "key:\(index % 40)") }
      if index % 11 == 0 { clients[index % 3].call("EXPIRE", "key:\(index % 40)", "100") }
    }
    cluster.run(milliseconds: 100)
    let snapshots = (0..<3).map { index in
      cluster.node(index)?.snapshot(now: cluster.now).map { $0.key + $0.object } ?? []
    }
    #expect(snapshots[0].count == 40)
    #expect(snapshots[1] == snapshots[0])
    #expect(snapshots[2] == snapshots[0])
    for index in 0..<3 { cluster.node(index)?.checkInvariants() }
  }

  @Test(
    "With one node killed commands go on within a second and lose nothing acknowledged",
    arguments: [0, 1, 2])
  func killed(node: Int) {
    let cluster = TestCluster.formed(3)
    let clients = (0..<3).map { cluster.client($0) }
    for index in 0..<60 { #expect(clients[index % 3].call("SET", "key:\(index)", "a") == "OK") }
    cluster.kill(node)
    let left = (0..<3).filter { $0 != node }.map { clients[$0] }
    let before = cluster.microseconds
    for index in 0..<60 { #expect(left[index % 2].call("GET", "key:\(index)") == "\"a\"") }
    for index in 0..<60 { #expect(left[index % 2].call("SET", "key:\(index)", "b") == "OK") }
    for index in 0..<60 { #expect(left[(index + 1) % 2].call("GET", "key:\(index)") == "\"b\"") }
    #expect(cluster.microseconds - before < 1_000_000)
  }

  @Test(
    "A node that stops without closing its links is given up, and commands go on",
    arguments: [0, 2])
  func frozen(node: Int) {
    let cluster = TestCluster.formed(3)
    let clients = (0..<3).map { cluster.client($0) }
    for index in 0..<20 { clients[0].call("SET", "key:\(index)", "a") }
    cluster.freeze(node)
    cluster.run(milliseconds: 1000)
    let client = clients[node == 0 ? 1 : 0]
    let before = cluster.microseconds
    for index in 0..<20 { #expect(client.call("GET", "key:\(index)") == "\"a\"") }
    for index in 0..<20 { #expect(client.call("SET", "key:\(index)", "b") == "OK") }
    #expect(cluster.microseconds - before < 100_000)
    cluster.thaw(node)
    let isBack = cluster.run(atMost: 5000) { cluster.hasFormed }
    #expect(isBack)
    for index in 0..<20 { #expect(clients[node].call("GET", "key:\(index)") == "\"b\"") }
  }

  @Test("With too few owners nothing is applied: NOREPLICAS")
  func noReplicas() {
    let cluster = TestCluster.formed(3)
    let client = cluster.client(0)
    client.call("SET", "k", "old")
    cluster.kill(1)
    cluster.kill(2)
    cluster.run(milliseconds: 1000)
    for words in [["SET", "k", "new"], ["GET", "k"], ["INCR", "i"], ["DEL", "k"]] {
      let reply = client.call(words.map(\.bytes))
      #expect(reply?.description.hasPrefix("-NOREPLICAS") == true, "\(words): \(reply ?? "none")")
    }
    #expect(client.call("CONFIG", "SET", "keyspace.default.r", "one") == "OK")
    #expect(client.call("GET", "k") == "\"old\"")
  }

  @Test("A write that a stopped owner does not acknowledge in time is NOQUORUM, never a lie")
  func noQuorum() {
    let cluster = TestCluster.formed(3)
    let client = cluster.client(0)
    client.call("CONFIG", "SET", "keyspace.default.w", "all")
    cluster.run(milliseconds: 1000)
    cluster.freeze(2)
    let reply = client.call("SET", "k", "v")
    #expect(
      reply?.description.hasPrefix("-NOQUORUM 2 of 3 acknowledged") == true, "\(reply ?? "none")")
    cluster.thaw(2)
  }

  @Test("A node that restarts with empty memory gets back what it owns, and serves it")
  func restarted() {
    let cluster = TestCluster.formed(3)
    let client = cluster.client(0)
    for index in 0..<100 { client.call("SET", "key:\(index)", "\(index)") }
    cluster.kill(2)
    for index in 100..<120 { client.call("SET", "key:\(index)", "\(index)") }
    cluster.restart(2)
    let isBack = cluster.run(atMost: 10_000) { cluster.hasFormed }
    #expect(isBack)
    let other = cluster.client(2)
    for index in 0..<120 { #expect(other.call("GET", "key:\(index)") == Reply("\"\(index)\"")) }
  }
}

@Suite("Keyspaces in a cluster")
struct ClusterKeyspaceTests {
  @Test("A keyspace setting is the same at every node within a second, and survives a restart")
  func settingsSpread() {
    let cluster = TestCluster.formed(3)
    let clients = (0..<3).map { cluster.client($0) }
    #expect(
      clients[1].call("CONFIG", "SET", "keyspace.cart.w", "all", "keyspace.cart.r", "one") == "OK")
    cluster.run(milliseconds: 1000)
    for client in clients {
      #expect(
        client.call("CONFIG", "GET", "keyspace.cart.w") == "[\"keyspace.cart.w\", \"all\"]")
    }
    let all = clients.map { $0.call("CONFIG", "GET", "keyspace.*") }
    #expect(all[0] == all[1] && all[1] == all[2])
    cluster.kill(2)
    cluster.restart(2)
    #expect(
      cluster.client(2).call("CONFIG", "GET", "keyspace.cart.r") == "[\"keyspace.cart.r\", \"one\"]"
    )
    #expect(clients[0].call("CONFIG", "SET", "keyspace.cart", "") == "OK")
    cluster.run(milliseconds: 1000)
    #expect(clients[1].call("CONFIG", "GET", "keyspace.cart.*") == "[]")
  }

  @Test("Several settings are applied all or none")
  func allOrNone() {
    let cluster = TestCluster.formed(3)
    let client = cluster.client(0)
    for words in [
      ["keyspace.cart.n", "2", "keyspace.cart.w", "3"],
      ["keyspace.cart.n", "2", "keyspace.cart.w", "x"],
      ["keyspace.cart.n", "2", "nonsense", "1"], ["keyspace.cart.n", "2", "timeout", "-1"],
    ] {
      #expect(client.call((["CONFIG", "SET"] + words).map(\.bytes))?.isError == true, "\(words)")
      #expect(client.call("CONFIG", "GET", "keyspace.cart.*") == "[]", "\(words)")
    }
  }

  @Test("Concurrent values are kept side by side, and a context replaces what it covers")
  func siblings() {
    let cluster = TestCluster.formed(3)
    let clients = (0..<3).map { cluster.client($0) }
    clients[0].call("CONFIG", "SET", "keyspace.cart.conflict", "siblings")
    cluster.run(milliseconds: 1000)
    #expect(clients[0].call("VSET", "cart:1", "apple", "CONTEXT", "")?.isError == false)
    #expect(clients[1].call("VSET", "cart:1", "pear", "CONTEXT", "")?.isError == false)
    for client in clients {
      let reply = client.call("VGET", "cart:1")
      #expect(values(reply) == ["apple", "pear"])
      #expect(client.call("GET", "cart:1") == "\"pear\"")
    }
    let token = clients[2].call("VGET", "cart:1")?.elements[1].bulk ?? []
    let merged = clients[2].call(
      ["VSET", "cart:1", "apple+pear", "CONTEXT"].map(\.bytes) + [token])
    #expect(merged?.isError == false)
    #expect(values(clients[0].call("VGET", "cart:1")) == ["apple+pear"])
    #expect(
      clients[0].call("VSET", "cart:1", "x", "CONTEXT", "c1nonsense")?.description
        .hasPrefix("-BADCONTEXT") == true)
    let last = clients[1].call("VGET", "cart:1")?.elements[1].bulk ?? []
    #expect(clients[1].call(["VDEL", "cart:1", "CONTEXT"].map(\.bytes) + [last]) == "1")
    for client in clients { #expect(client.call("GET", "cart:1") == "nil") }
  }

  private func values(_ reply: Reply?) -> [String] {
    guard let reply, reply.elements.count == 4 else { return [] }
    return reply.elements[3].elements.map { ($0.bulk ?? []).text }.sorted()
  }

  @Test("Two clients with stale contexts make exactly two siblings, whichever nodes they talk to")
  func staleContexts() {
    let cluster = TestCluster.formed(3)
    let clients = (0..<2).map { cluster.client($0) }
    clients[0].call("CONFIG", "SET", "keyspace.cart.conflict", "siblings")
    cluster.run(milliseconds: 1000)
    var tokens: [[UInt8]] = [[], []]
    for round in 0..<40 {
      let at = round % 2
      let reply = clients[at].call(
        ["VSET", "cart:1", "round \(round)", "CONTEXT"].map(\.bytes) + [tokens[at]])
      tokens[at] = reply?.bulk ?? []
    }
    #expect(values(clients[0].call("VGET", "cart:1")) == ["round 38", "round 39"])
  }
}
