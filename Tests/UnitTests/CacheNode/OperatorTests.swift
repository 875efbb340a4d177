import CacheNode
import Objects
import Primitives
import Testing

@Suite("Operators' commands")
struct OperatorTests {
  private func call(_ cluster: TestCluster, _ index: Int, _ words: String) -> String {
    cluster.client(index).call(words.split(separator: " ").map { String($0).bytes })?.description
      ?? "none"
  }

  /// A map's fields by name.
  private func fields(_ reply: Reply) -> [String: String] {
    let words = reply.elements.map { $0.bulk?.text ?? $0.description }
    return Dictionary(
      uniqueKeysWithValues: stride(from: 0, to: words.count - 1, by: 2).map {
        (words[$0], words[$0 + 1])
      })
  }

  @Test("CLUSTER PREFLIST shows owners and fallbacks, and what each has of the key")
  func preferenceList() throws {
    let cluster = TestCluster.formed(7)
    let client = cluster.client(0)
    let empty = try #require(client.call("CLUSTER", "PREFLIST", "k"))
    #expect(empty.elements.count == 6)
    #expect(empty.elements.allSatisfy { $0.elements.count == 5 && $0.elements[4] == "nil" })
    client.call("SET", "k", "v")
    let rows = try #require(client.call("CLUSTER", "PREFLIST", "k")).elements
    let roles = rows.map { $0.elements[0].bulk?.text ?? "" }
    #expect(roles == ["owner", "owner", "owner", "fallback", "fallback", "fallback"])
    let ids = (0..<7).compactMap { cluster.node($0)?.hexID }
    for row in rows {
      let words = row.elements.map { $0.bulk?.text ?? $0.description }
      let index = try #require(ids.firstIndex(of: words[1]))
      #expect(words[2] == "127.0.0.1:\(7001 + index)")
      #expect(words[3] == "alive")
      #expect((words[4] != "nil") == (words[0] == "owner"))
      if words[0] == "owner" {
        #expect(words[4].wholeMatch(of: /[0-9]+\.[0-9]+@[0-9a-f]+/) != nil, "\(words[4])")
      }
    }
    #expect(Set(rows.prefix(3).map { $0.elements[4].description }).count == 1)
    for index in 1..<7 {
      #expect(call(cluster, index, "CLUSTER PREFLIST k") == Reply.list(rows).description)
    }
    client.call("DEL", "k")
    let deleted = try #require(client.call("CLUSTER", "PREFLIST", "k")).elements
    for row in deleted.prefix(3) {
      #expect(row.elements[4].bulk?.text.hasSuffix(" deleted") == true)
    }
  }

  @Test("CLUSTER HINTS shows for whom writes are kept")
  func hints() throws {
    let cluster = TestCluster.formed(3)
    #expect(call(cluster, 0, "CLUSTER HINTS") == "[]")
    let id = try #require(cluster.node(2)?.hexID)
    cluster.freeze(2)
    cluster.run(milliseconds: 1500)
    for index in 0..<5 { _ = call(cluster, 0, "SET key:\(index) v") }
    cluster.run(milliseconds: 3000)
    let all = (0..<2).flatMap { index in
      cluster.client(index).call("CLUSTER", "HINTS")?.elements.map(fields) ?? []
    }
    #expect(all.reduce(0) { $0 + (Int($1["hints"] ?? "") ?? 0) } == 5)
    for row in all {
      #expect(row.count == 6)
      #expect(row["node"] == id && row["address"] == "127.0.0.1:7003")
      #expect(row["state"] == "waiting")
      #expect((Int(row["bytes"] ?? "") ?? 0) > 0)
      #expect(row["oldest-seconds"] == "3")
    }
  }

  @Test("CLUSTER TRANSFERS shows every living member's part")
  func transfers() throws {
    let cluster = TestCluster.formed(3)
    let rows = try #require(cluster.client(1).call("CLUSTER", "TRANSFERS")).elements.map(fields)
    #expect(rows.count == 3)
    let ids = (0..<3).map { cluster.node($0)?.hexID ?? "" }
    #expect(Set(rows.map { $0["node"] ?? "" }) == Set(ids))
    for row in rows {
      #expect(
        row.keys.sorted() == [
          "address", "bytes", "bytes-per-second", "keys", "leftover-slots", "node",
          "seconds-left", "slots", "slots-left", "status", "step", "waits-for",
        ])
      #expect(row["status"] == "joined" && row["step"] == "resting" && row["slots-left"] == "0")
    }
    for index in 0..<300 {
      cluster.client(0).call("SET", "key:\(index)", String(repeating: "x", count: 3000))
    }
    for index in 0..<3 { _ = call(cluster, index, "CONFIG SET transfer-rate 50000") }
    let fourth = cluster.add { _ = $0.parameters.set("transfer-rate", "50000") }
    var seen: Set<String> = []
    for _ in 0..<60 {
      cluster.run(milliseconds: 100)
      for row in cluster.client(0).call("CLUSTER", "TRANSFERS")?.elements.map(fields) ?? []
      where row["node"] == cluster.node(fourth)?.hexID {
        seen.insert("\(row["status"] ?? "") \(row["step"] ?? "")")
        if row["step"] == "filling" { #expect((Int(row["slots"] ?? "") ?? 0) > 0) }
      }
    }
    #expect(seen.contains("joining filling"), "\(seen)")
  }

  @Test("MEET, LEAVE and FORGET say what is wrong")
  func errors() throws {
    let cluster = TestCluster.formed(3)
    let ids = (0..<3).map { cluster.node($0)?.hexID ?? "" }
    let alive = "-ERR the node is alive; CLUSTER LEAVE, sent to it, takes it out"
    let rows: [(words: String, reply: String)] = [
      ("CLUSTER MEET localhost 7001", "-ERR Invalid node address specified: localhost:7001"),
      ("CLUSTER MEET 127.0.0.1 0", "-ERR Invalid node address specified: 127.0.0.1:0"),
      ("CLUSTER MEET 127.0.0.1 x", "-ERR Invalid node address specified: 127.0.0.1:x"),
      ("CLUSTER MEET 127.0.0.1 65536", "-ERR Invalid node address specified: 127.0.0.1:65536"),
      ("CLUSTER MEET 127.0.0.1 60000", "-ERR Invalid node address specified: 127.0.0.1:60000"),
      ("CLUSTER MEET 127.0.0.1 7001 x", "-ERR Invalid base port specified: x"),
      ("CLUSTER MEET 127.0.0.1 7001 0", "-ERR Invalid node address specified: 127.0.0.1:7001"),
      ("CLUSTER FORGET abc", "-ERR Unknown node abc"),
      (
        "CLUSTER FORGET " + String(repeating: "0", count: 40),
        "-ERR Unknown node " + String(repeating: "0", count: 40)
      ),
      ("CLUSTER FORGET \(ids[0])", "-ERR I tried hard but I can't forget myself..."),
      ("CLUSTER FORGET \(ids[1])", alive),
    ]
    for row in rows { #expect(call(cluster, 0, row.words) == row.reply, "\(row.words)") }
    let alone = TestCluster.formed(1)
    #expect(
      call(alone, 0, "CLUSTER LEAVE")
        == "-ERR the last node can't leave: nobody would have its keys")
    let change = "-ERR a ring change is under way; CLUSTER TRANSFERS shows how far it is"
    for index in 0..<3 { _ = call(cluster, index, "CONFIG SET transfer-rate 1000") }
    for index in 0..<200 { cluster.client(0).call("SET", "key:\(index)", "\(index)") }
    _ = cluster.add { _ = $0.parameters.set("transfer-rate", "1000") }
    let isChanging = cluster.run(atMost: 5000) { cluster.node(0)?.isChanging == true }
    #expect(isChanging)
    #expect(call(cluster, 0, "CLUSTER MEET 127.0.0.1 7009") == "OK")
    #expect(call(cluster, 1, "CLUSTER LEAVE") == change)
  }

  @Test("A dead node can be forgotten, a silent one only when it is down")
  func forgetting() throws {
    let cluster = TestCluster.formed(3)
    let id = try #require(cluster.node(2)?.hexID)
    cluster.kill(2)
    #expect(
      call(cluster, 0, "CLUSTER FORGET \(id)")
        == "-ERR the node is alive; CLUSTER LEAVE, sent to it, takes it out")
    cluster.run(milliseconds: 8000)
    #expect(call(cluster, 0, "CLUSTER FORGET \(id)") == "OK")
    cluster.expectGone(2)
    let isOut = cluster.run(atMost: 20_000) { cluster.hasFormed }
    #expect(isOut)
    #expect(call(cluster, 1, "CLUSTER FORGET \(id)") == "-ERR Unknown node \(id)")
  }
}
