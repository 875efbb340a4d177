import CacheNode
import Primitives
import Testing

@Suite("What operators see of commands")
struct EyesTests {
  private func info(_ client: TestClient, _ section: String) -> [String] {
    (client.call("INFO", section)?.bulk?.text ?? "").split(separator: "\r\n").map(String.init)
  }

  @Test("Calls, failures and refusals are counted apart, and subcommands by themselves")
  func counts() {
    let client = TestCluster.formed(1).client(0)
    client.call("SET", "text", "abc")
    client.call("CONFIG", "RESETSTAT")
    for _ in 0..<3 { client.call("GET", "text") }
    client.call("INCR", "text")
    client.call("GET")
    client.call("CONFIG", "GET")
    client.call("CONFIG", "GET", "port")
    client.call("OBJECT", "ENCODING", "text")
    client.call("nonsense")
    let lines = info(client, "commandstats").dropFirst().map { line in
      line.replacing(/usec=[0-9]+,usec_per_call=[0-9.]+,/, with: "")
    }
    #expect(
      lines.sorted() == [
        "cmdstat_config|get:calls=1,rejected_calls=1,failed_calls=0",
        "cmdstat_config|resetstat:calls=1,rejected_calls=0,failed_calls=0",
        "cmdstat_get:calls=3,rejected_calls=1,failed_calls=0",
        "cmdstat_incr:calls=1,rejected_calls=0,failed_calls=1",
        "cmdstat_object|encoding:calls=1,rejected_calls=0,failed_calls=0",
      ])
    #expect(info(client, "errorstats") == ["# Errorstats", "errorstat_ERR:count=4"])
  }

  @Test("A pipeline's commands are counted, whatever shares a reading of the clock")
  func pipeline() {
    let client = TestCluster.formed(1).client(0)
    client.call("CONFIG", "RESETSTAT")
    let kinds = ["get", "get", "get", "get", "get", "get", "set", "get", "set", "strlen", "nope"]
    for kind in kinds {
      client.send(kind == "set" ? [kind.bytes, "k".bytes, "v".bytes] : [kind.bytes, "k".bytes])
    }
    for _ in kinds { _ = client.reply() }
    let lines = info(client, "commandstats")
    for (name, count) in [("get", 7), ("set", 2), ("strlen", 1)] {
      #expect(lines.contains { $0.hasPrefix("cmdstat_\(name):calls=\(count),") }, "\(lines)")
    }
    let histogram = client.call("LATENCY", "HISTOGRAM", "get")
    #expect(histogram?.elements.last?.elements[1] == "7")
  }

  @Test("SLOWLOG keeps what a quorum was waited for, with the words that were sent")
  func slowQuorum() throws {
    let cluster = TestCluster.formed(3)
    let client = cluster.client(0)
    client.call("CLIENT", "SETNAME", "worker")
    client.call("CONFIG", "SET", "operation-timeout", "300")
    client.call("CONFIG", "SET", "keyspace.default.w", "3")
    client.call("CONFIG", "SET", "keyspace.default.sloppy", "no")
    client.call("SLOWLOG", "RESET")
    client.call("SET", "quick", "1")
    #expect(client.call("SLOWLOG", "LEN") == "0")
    cluster.freeze(2)
    client.call(["Set", "slow", String(repeating: "x", count: 200)].map(\.bytes))
    let entry = try #require(client.call("SLOWLOG", "GET")?.elements.first).elements
    let duration = try #require(Int(entry[2].description))
    #expect((250_000...1_000_000).contains(duration))
    let words = entry[3].elements.map { $0.bulk?.text ?? "" }
    #expect(
      words == ["Set", "slow", String(repeating: "x", count: 128) + "... (72 more bytes)"])
    #expect(entry[5].bulk?.text == "worker")
  }

  @Test("SLOWLOG cuts long requests as Redis does, keeps as many as it may, and hides passwords")
  func slowLog() throws {
    let client = TestCluster.formed(1).client(0)
    client.call("CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "2")
    client.call(["MGET".bytes] + (1...40).map { "k\($0)".bytes })
    let words = try #require(client.call("SLOWLOG", "GET")?.elements.first).elements[3].elements
    #expect(words.count == 32)
    #expect(words[30].bulk?.text == "k30")
    #expect(words[31].bulk?.text == "... (10 more arguments)")
    client.call("ACL", "SETUSER", "bob", ">secret")
    client.call("AUTH", "default", "guess")
    let shown = try #require(client.call("SLOWLOG", "GET", "-1")?.elements)
    #expect(shown.count == 2)
    let texts = shown.map { $0.elements[3].elements.compactMap { $0.bulk?.text } }
    #expect(texts[0] == ["AUTH", "(redacted)", "(redacted)"])
    #expect(texts[1] == ["ACL", "SETUSER", "(redacted)", "(redacted)"])
    client.call("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    client.call("SLOWLOG", "RESET")
    client.call("GET", "k1")
    #expect(client.call("SLOWLOG", "LEN") == "0")
  }

  @Test("The latency monitor keeps commands that took long, one sample a second")
  func latency() throws {
    let cluster = TestCluster.formed(3)
    let client = cluster.client(0)
    client.call("CONFIG", "SET", "latency-monitor-threshold", "100", "operation-timeout", "300")
    client.call("CONFIG", "SET", "keyspace.default.w", "3", "keyspace.default.sloppy", "no")
    cluster.freeze(2)
    client.call("SET", "a", "1")
    let latest = try #require(client.call("LATENCY", "LATEST")?.elements)
    let row = try #require(latest.first { $0.elements[0].bulk?.text == "command" }).elements
    #expect(try #require(Int(row[2].description)) >= 250)
    #expect(client.call("LATENCY", "HISTORY", "command")?.elements.count == 1)
    #expect(client.call("LATENCY", "RESET", "command", "nothing") == "1")
    #expect(client.call("LATENCY", "HISTORY", "command")?.elements.count == 0)
  }

  @Test("MONITOR shows what this node's clients send, but no passwords and no administration")
  func monitor() {
    let cluster = TestCluster.formed(1)
    let monitor = cluster.client(0)
    let client = cluster.client(0)
    #expect(monitor.call("MONITOR") == "OK")
    client.call(["SET".bytes, "k".bytes, [0, 10, 34, 92, 255, 65]])
    client.call("AUTH", "hunter2")
    client.call("CONFIG", "SET", "requirepass", "")
    client.call("GET")
    client.call("PING")
    var lines: [String] = []
    for _ in 0..<3 { lines.append(monitor.reply()?.description ?? "none") }
    let shown = lines.map { $0.replacing(#/^[0-9]+\.[0-9]{6} \[0 [^\]]*\] /#, with: "") }
    #expect(
      shown == [
        #""SET" "k" "\x00\n\"\\\xffA""#, #""AUTH" "(redacted)""#, #""PING""#,
      ])
    #expect(monitor.call("RESET")?.description.contains("RESET") == true)
    client.call("PING")
    #expect(monitor.output.isEmpty)
  }

  @Test("CLIENT PAUSE holds who writes, or all, until its time has come")
  func pause() {
    let cluster = TestCluster.formed(1)
    let client = cluster.client(0)
    let other = cluster.client(0)
    client.call("CLIENT", "PAUSE", "500", "WRITE")
    let begin = cluster.microseconds
    #expect(other.call("GET", "k") == "nil")
    #expect(cluster.microseconds - begin < 100_000)
    other.send("SET", "k", "v")
    other.send("GET", "k")
    #expect(info(client, "clients").contains("blocked_clients:1"))
    #expect(client.call("CLIENT", "UNPAUSE") == "OK")
    #expect(other.reply() == "OK")
    #expect(other.reply()?.bulk?.text == "v")
    #expect(cluster.microseconds - begin < 300_000)
    client.call("CLIENT", "PAUSE", "500")
    let second = cluster.microseconds
    #expect(other.call("GET", "k")?.bulk?.text == "v")
    #expect((400_000...700_000).contains(cluster.microseconds - second))
  }

  @Test("A key's deadline passes while clients are paused")
  func pauseAndExpiry() {
    let cluster = TestCluster.formed(1)
    let client = cluster.client(0)
    client.call("SET", "k", "v", "PX", "50")
    client.call("CLIENT", "PAUSE", "5000", "WRITE")
    // A full round of the cycle takes 1.6 s.
    _ = cluster.run(atMost: 3000) { false }
    #expect(client.call("GET", "k") == "nil")
    #expect(info(client, "stats").first { $0.hasPrefix("expired_keys") } == "expired_keys:1")
  }

  @Test("DEBUG is refused unless the configuration allows it")
  func debug() {
    let client = TestCluster.formed(1).client(0)
    #expect(client.call("DEBUG", "SLEEP", "0")?.description.contains("not allowed") == true)
    #expect(
      client.call("CONFIG", "SET", "enable-debug-command", "yes")?.description.contains(
        "immutable") == true)
  }
}
