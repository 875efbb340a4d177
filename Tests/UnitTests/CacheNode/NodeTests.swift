import CacheNode
import Commands
import Primitives
import Testing

@Suite("One node")
struct NodeTests {
  @Test("A conversation with one node goes as with Redis")
  func transcript() {
    let client = TestCluster.formed(1).client(0)
    let rows: [(words: [String], reply: Reply)] = [
      (["PING"], "PONG"), (["SET", "k", "v"], "OK"), (["GET", "k"], "\"v\""),
      (["get", "none"], "nil"), (["SET", "k", "w", "NX"], "nil"),
      (["SET", "k", "w", "XX", "GET"], "\"v\""), (["APPEND", "k", "x"], "2"),
      (["GETRANGE", "k", "-1", "-1"], "\"x\""), (["SETRANGE", "k", "4", "z"], "5"),
      (["STRLEN", "k"], "5"), (["INCRBY", "i", "5"], "5"), (["INCR", "i"], "6"),
      (["INCR", "k"], "-ERR value is not an integer or out of range"),
      (["INCRBYFLOAT", "i", "0.5"], "\"6.5\""), (["MSET", "a", "1", "b", "2"], "OK"),
      (["MGET", "a", "none", "b"], "[\"1\", nil, \"2\"]"), (["EXISTS", "a", "a", "none"], "2"),
      (["EXPIRE", "a", "100"], "1"), (["TTL", "a"], "100"), (["PERSIST", "a"], "1"),
      (["TTL", "a"], "-1"), (["TTL", "none"], "-2"), (["DEL", "a", "b", "none"], "2"),
      (["TYPE", "k"], "string"), (["DBSIZE"], "2"), (["SELECT", "1"], "OK"), (["DBSIZE"], "0"),
      (["SELECT", "16"], "-ERR DB index is out of range"), (["FLUSHALL"], "OK"),
      (["SELECT", "0"], "OK"), (["DBSIZE"], "0"),
      (["SET", "k"], "-ERR wrong number of arguments for 'set' command"),
      (["SET", "k", "v", "EX", "0"], "-ERR invalid expire time in 'set' command"),
      (["SET", "k", "v", "NX", "XX"], "-ERR syntax error"),
      (["NONSENSE", "a"], "-ERR unknown command 'NONSENSE', with args beginning with: 'a' "),
    ]
    for row in rows { #expect(client.call(row.words.map(\.bytes)) == row.reply, "\(row.words)") }
  }

  @Test("A key with a deadline is gone when its time has come, and a command's time is the tick's")
  func expiry() {
    let cluster = TestCluster.formed(1)
    let client = cluster.client(0)
    client.call("SET", "k", "v", "PX", "1000")
    cluster.run(milliseconds: 998)
    #expect(client.call("GET", "k") == "\"v\"")
    cluster.run(milliseconds: 2)
    #expect(client.call("GET", "k") == "nil")
    cluster.run(milliseconds: 2000)
    #expect(client.call("DBSIZE") == "0")
  }

  @Test("A malformed request is answered with Redis's text, and the connection ends")
  func protocolError() {
    let client = TestCluster.formed(1).client(0)
    client.send(raw: "PING\r\n*abc\r\nPING\r\n".bytes)
    #expect(client.reply() == "PONG")
    #expect(client.reply() == "-ERR Protocol error: invalid multibulk length")
    #expect(client.reply() == nil)
    #expect(client.isClosed)
  }

  @Test("A request that comes byte by byte is answered as a whole one is")
  func byteByByte() {
    let client = TestCluster.formed(1).client(0)
    let bytes = TestClient.request(["SET", "k", "v"].map(\.bytes)) + "GET k\r\n".bytes
    for byte in bytes { client.send(raw: [byte]) }
    #expect(client.reply() == "OK")
    #expect(client.reply() == "\"v\"")
  }

  @Test("Behind QUIT nothing runs")
  func quit() {
    let cluster = TestCluster.formed(1)
    let client = cluster.client(0)
    client.send(raw: "SET a 1\r\nQUIT\r\nSET b 2\r\n".bytes)
    #expect(client.reply() == "OK")
    #expect(client.reply() == "OK")
    #expect(client.reply() == nil)
    #expect(client.isClosed)
    #expect(cluster.client(0).call("EXISTS", "a", "b") == "1")
  }

  @Test("The same events give the same bytes")
  func determinism() {
    func trace() -> [UInt8] {
      let cluster = TestCluster.formed(3, seed: 5)
      let client = cluster.client(1)
      for index in 0..<60 { client.call("SET", "key:\(index % 20)", "\(index)") }
      let replies = ["KEYS", "RANDOMKEY", "SCAN"].compactMap { name in
        client.call(
          [name, "*"].prefix(name == "KEYS" ? 2 : 1).map(\.bytes)
            + (name == "SCAN" ? ["0".bytes] : []))
      }
      return replies.flatMap(\.description.bytes)
        + (0..<3).flatMap { cluster.node($0)?.snapshot(now: cluster.now).flatMap(\.object) ?? [] }
    }
    let first = trace()
    #expect(first.count > 100)
    #expect(trace() == first)
  }
}

@Suite("The command table")
struct CommandTableTests {
  /// The commands of issue 2, and those that clients need beside them.
  private static let required = """
    get set setnx setex psetex getset getdel getex mget mset msetnx strlen append setrange getrange
    incr decr incrby decrby incrbyfloat del unlink exists touch type expire pexpire expireat
    pexpireat ttl pttl expiretime pexpiretime persist scan keys randomkey dbsize flushdb flushall
    ping echo select hello quit reset time client command info config wait vget vset vdel cluster
    """.split(whereSeparator: \.isWhitespace).map(String.init)

  @Test("Every command that is asked for is there, once")
  func names() {
    let names = CommandTable().commands.map(\.name)
    #expect(Set(CommandTableTests.required).subtracting(names) == [])
    #expect(Set(names).count == names.count)
    for name in names { #expect(CommandTable().command(named: name.uppercased())?.name == name) }
  }

  @Test("Every command of the table runs: with a wrong number of words it says so by name")
  func arity() {
    let table = CommandTable()
    let cluster = TestCluster.formed(1)
    for spec in table.commands {
      for count in 1...6 {
        #expect(
          spec.accepts(wordCount: count)
            == (spec.arity < 0 ? count >= -spec.arity : count == spec.arity))
      }
      guard let wrong = (1...8).first(where: { !spec.accepts(wordCount: $0) }) else { continue }
      let words = [spec.name] + Array(repeating: "x", count: wrong - 1)
      #expect(
        cluster.client(0).call(words.map(\.bytes))
          == Reply("-ERR wrong number of arguments for '\(spec.name)' command"), "\(words)")
    }
  }

  @Test("Subcommands know their arity, too")
  func subcommands() {
    let cluster = TestCluster.formed(1)
    for container in CommandTable().commands where container.isContainer {
      for spec in container.subcommands {
        guard let wrong = (2...8).first(where: { !spec.accepts(wordCount: $0) }) else { continue }
        let name = String(spec.name.drop { $0 != "|" }.dropFirst())
        let words = [container.name, name] + Array(repeating: "x", count: wrong - 2)
        #expect(
          cluster.client(0).call(words.map(\.bytes))
            == Reply("-ERR wrong number of arguments for '\(spec.name)' command"), "\(words)")
      }
    }
  }

  @Test("Flags and key positions agree with one another")
  func consistency() {
    for spec in CommandTable().commands {
      #expect(!(spec.isWrite && spec.isReadOnly), "\(spec.name)")
      #expect(spec.hasKeys == (spec.firstKey > 0), "\(spec.name)")
      #expect(!spec.summary.isEmpty && !spec.group.isEmpty && !spec.since.isEmpty, "\(spec.name)")
      if spec.isDeniedWhenOutOfMemory { #expect(spec.isWrite, "\(spec.name)") }
    }
  }
}
