import CacheNode
import Primitives
import Testing

/// What once stopped a node or lost a write, and must not again.
@Suite("Regressions")
struct RegressionTests {
  private static let mebibyte = [UInt8](repeating: 7, count: 1 << 20)

  @Test("A value of 1 MiB that waits behind a lock arrives whole", arguments: [0, 1, 2, 3])
  func largeValueBehindLock(node: Int) {
    let cluster = TestCluster.formed(4)
    let value = RegressionTests.mebibyte
    let key = "k".bytes
    let writes: [[[UInt8]]] = [
      ["SET".bytes, key, value], ["SET".bytes, key, value, "XX".bytes],
      ["GETSET".bytes, key, value], ["SET".bytes, key, value, "KEEPTTL".bytes],
      ["SETRANGE".bytes, key, "0".bytes, value], ["MSET".bytes, key, value],
    ]
    for write in writes {
      let clients = (0..<3).map { _ in cluster.client(node) }
      #expect(clients[0].call("SET", "k", "1") == "OK")
      for _ in 0..<3 { clients[0].send("INCR", "k") }
      clients[1].send(write)
      clients[2].send("APPEND", "k", "!")
      // Whose turn comes first is not promised; an INCR of the large value is an error.
      for _ in 0..<3 { #expect(clients[0].reply() != nil) }
      #expect(clients[1].reply()?.isError == false)
      #expect(clients[2].reply()?.isError == false)
      let held = cluster.client((node + 1) % 4).call("GET", "k")?.bulk ?? []
      #expect(
        held == value || held == value + "!".bytes, "\(write[0].text): \(held.count) bytes")
    }
  }

  @Test("MSETNX of 300 keys sets all or none", arguments: [1, 3])
  func largeMSETNX(count: Int) {
    let cluster = TestCluster.formed(count)
    for node in 0..<count {
      let client = cluster.client(node)
      let words =
        ["MSETNX".bytes] + (0..<300).flatMap { ["{t\(node)}:\($0)".bytes, "\($0)".bytes] }
      #expect(client.call(words) == "1")
      #expect(client.call(words) == "0")
      let other = cluster.client((node + 1) % count)
      for index in [0, 150, 299] {
        #expect(other.call("GET", "{t\(node)}:\(index)") == Reply("\"\(index)\""))
      }
      let some =
        ["MSETNX".bytes] + (290..<590).flatMap { ["{t\(node)}:\($0)".bytes, "x".bytes] }
      #expect(client.call(some) == "0")
      #expect(other.call("EXISTS", "{t\(node)}:300") == "0")
      #expect(other.call("GET", "{t\(node)}:299") == "\"299\"")
    }
  }

  @Test(
    "A keyspace's n changes while commands wait for their owners",
    arguments: ["1", "2", "5", "7"])
  func changedCopies(copies: String) {
    for words in [
      ["DEL", "x:1"], ["DEL", "x:1", "x:2", "x:3"], ["SET", "x:1", "new"], ["INCR", "x:n"],
      ["GET", "x:1"], ["MSETNX", "x:{a}1", "1", "x:{a}2", "2"], ["EXPIRE", "x:1", "100"],
    ] {
      let cluster = TestCluster.formed(5)
      let clients = (0..<3).map { cluster.client($0) }
      clients[0].call("CONFIG", "SET", "keyspace.x.w", "all", "keyspace.x.r", "all")
      cluster.run(milliseconds: 500)
      for index in 1...3 { clients[0].call("SET", "x:\(index)", "old") }
      cluster.freeze(4)
      cluster.freeze(3)
      for client in clients { client.send(words.map(\.bytes)) }
      cluster.run(milliseconds: 5)
      let changer = cluster.client(1)
      #expect(changer.call("CONFIG", "SET", "keyspace.x.n", copies) == "OK")
      for client in clients { #expect(client.reply() != nil, "\(words)") }
      cluster.thaw(3)
      cluster.thaw(4)
      let isBack = cluster.run(atMost: 10_000) { cluster.hasFormed }
      #expect(isBack)
      cluster.run(milliseconds: 1000)
      for index in 0..<5 {
        cluster.node(index)?.checkInvariants()
        let shown = cluster.client(index).call("CONFIG", "GET", "keyspace.x.n")?.elements.last
        #expect(shown == Reply("\"\(copies)\""))
      }
      let last = cluster.client(2)
      #expect(last.call("SET", "x:1", "last") == "OK")
      for index in 0..<5 { #expect(cluster.client(index).call("GET", "x:1") == "\"last\"") }
    }
  }

  @Test("Deadlines near the end of time are told, never computed beyond it", arguments: [1, 3])
  func farDeadlines(count: Int) {
    let cluster = TestCluster.formed(count)
    let client = cluster.client(0)
    for distance in [0, 1, 499, 500, 501, 1000, 5000] {
      let text = "\(Int.max - distance)"
      for set in [["SET", "k", "v", "PXAT", text], ["PEXPIREAT", "k", text]] {
        client.call("SET", "k", "v")
        let reply = client.call(set.map(\.bytes))
        guard reply?.isError == false else { continue }
        for (name, least) in [
          ("EXPIRETIME", Int.max / 1000), ("PEXPIRETIME", Int.max - distance),
          ("TTL", 9_000_000_000_000_000), ("PTTL", 9_000_000_000_000_000_000),
        ] {
          let told = client.call(name, "k")?.integer ?? -9
          #expect(told >= least - 6, "\(set) \(name): \(told)")
        }
        #expect(client.call("GET", "k") == "\"v\"")
        #expect(client.call("GETEX", "k", "PERSIST") == "\"v\"")
      }
      for set in [
        ["SET", "k", "v", "EXAT", text], ["SET", "k", "v", "EX", text],
        ["SET", "k", "v", "PX", text], ["EXPIRE", "k", text], ["PEXPIRE", "k", text],
        ["EXPIREAT", "k", text], ["GETEX", "k", "PX", text], ["SETEX", "k", text, "v"],
        ["PEXPIREAT", "k", "-" + text], ["EXPIRE", "k", "-" + text],
      ] {
        #expect(client.call(set.map(\.bytes)) != nil, "\(set)")
      }
    }
    cluster.node(0)?.checkInvariants()
  }
}
