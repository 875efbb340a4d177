import CacheNode
import Objects
import Primitives
import Testing

/// What tests of repair look at: who holds what.
extension TestCluster {
  /// Objects by key: the encoded object of each node that holds one.
  func copies(_ nodes: [Int]) -> [[UInt8]: [Int: [UInt8]]] {
    var copies: [[UInt8]: [Int: [UInt8]]] = [:]
    for index in nodes {
      for entry in node(index)?.snapshot(now: now) ?? [] {
        copies[[UInt8(entry.database)] + entry.key, default: [:]][index] = entry.object
      }
    }
    return copies
  }

  /// The owners of a key by rank, and the nodes behind them, as CLUSTER PREFLIST shows them.
  func preferenceList(_ key: String, at index: Int) -> [(node: Int, isOwner: Bool)] {
    (client(index).call("CLUSTER", "PREFLIST", key)?.elements ?? []).compactMap { row in
      guard row.elements.count == 5, let address = row.elements[2].bulk?.text,
        let port = Int(address.split(separator: ":").last ?? "")
      else { return nil }
      return (port - 7001, row.elements[0].bulk?.text == "owner")
    }
  }

  /// A key with these owners and no others.
  func key(ownedBy wanted: [Int], at index: Int) -> String? {
    (0..<500).lazy.map { "owned:\($0)" }.first { key in
      Set(self.preferenceList(key, at: index).filter(\.isOwner).map(\.node)) == Set(wanted)
    }
  }

  /// Writes `key:0` and so on through all of `clients`, many at a time.
  func write(_ count: Int, through clients: [TestClient], _ value: (Int) -> String) {
    for start in stride(from: 0, to: count, by: 200) {
      for index in start..<min(count, start + 200) {
        clients[index % clients.count].send("SET", "key:\(index)", value(index))
      }
      for index in start..<min(count, start + 200) {
        #expect(clients[index % clients.count].reply() == "OK", "key:\(index)")
      }
    }
  }

  /// Reads all of these keys at one node and says which are not as expected.
  func misread(_ count: Int, at index: Int, _ value: (Int) -> String) -> [Int] {
    let client = client(index)
    var wrong: [Int] = []
    for start in stride(from: 0, to: count, by: 200) {
      let range = start..<min(count, start + 200)
      for key in range { client.send("GET", "key:\(key)") }
      wrong += range.filter { client.reply() != Reply("\"\(value($0))\"") }
    }
    return wrong
  }

  /// Waits until every key has so many copies on these nodes and none elsewhere among them.
  func waitForCopies(_ copies: Int, of keys: Int, on nodes: [Int]) -> Bool {
    run(atMost: 20_000) {
      guard self.microseconds % 100_000 == 0 else { return false }
      let held = self.copies(nodes)
      return held.count == keys && held.values.allSatisfy { $0.count == copies }
    }
  }
}

@Suite("Healing", .serialized)
struct HealingTests {
  private static let keys = 2000

  private func value(_ index: Int) -> String { "value \(index)" }

  /// A cluster with some keys in it.
  private func filled(
    _ count: Int, configure: (_ node: Int, inout NodeConfiguration) -> Void = { _, _ in }
  ) -> TestCluster {
    let cluster = TestCluster.formed(count, configure: configure)
    let clients = (0..<count).map { cluster.client($0) }
    cluster.write(HealingTests.keys, through: clients, value)
    return cluster
  }

  /// Every key is read right through each of these nodes, and has three copies among them.
  private func check(_ cluster: TestCluster, _ nodes: [Int]) {
    let isSpread = cluster.waitForCopies(3, of: HealingTests.keys, on: nodes)
    let counts = Dictionary(grouping: cluster.copies(nodes).values, by: \.count)
    #expect(isSpread, "keys by their number of copies: \(counts.mapValues(\.count))")
    for copies in cluster.copies(nodes).values { #expect(Set(copies.values).count == 1) }
    for index in nodes {
      #expect(cluster.misread(HealingTests.keys, at: index, value).isEmpty, "through node \(index)")
      #expect(cluster.client(index).call("DBSIZE") == Reply("\(HealingTests.keys)"))
      cluster.node(index)?.checkInvariants()
    }
  }

  // MARK: Hints

  @Test("An owner that was away gets its writes as hints when it is back", arguments: [1, 2, 4])
  func hints(owner: Int) throws {
    let cluster = TestCluster.formed(5) { _, configuration in
      _ = configuration.parameters.set("anti-entropy-interval", "86400")
    }
    let keys = (0..<60).map { "key:\($0)" }.filter { key in
      cluster.preferenceList(key, at: 0).contains { $0.node == owner && $0.isOwner }
    }
    #expect(keys.count > 15)
    let client = cluster.client(0)
    for key in keys { client.call("SET", key, "old") }
    cluster.freeze(owner)
    cluster.run(milliseconds: 1500)
    for key in keys { #expect(client.call("SET", key, "new") == "OK") }
    #expect(client.call("DEL", keys[0]) == "1")
    let others = (0..<5).filter { $0 != owner }
    let kept = others.reduce(0) { $0 + (cluster.node($1)?.hintCount ?? 0) }
    #expect(kept >= keys.count)
    for key in keys {
      let hinted = cluster.client(0).call("CLUSTER", "PREFLIST", key)?.description ?? ""
      #expect(hinted.contains("\"down\""), "\(key): \(hinted)")
    }
    cluster.thaw(owner)
    let isDelivered = cluster.run(atMost: 5000) {
      cluster.hasFormed && others.allSatisfy { cluster.node($0)?.hintCount == 0 }
    }
    #expect(isDelivered)
    let delivered = others.reduce(0) { $0 + (cluster.node($1)?.statistics().hintsDelivered ?? 0) }
    #expect(delivered == kept)
    let copies = cluster.copies([owner] + others)
    for key in keys {
      let objects = try #require(copies[[0] + key.bytes])
      #expect(objects.count == 3 && Set(objects.values).count == 1 && objects[owner] != nil)
    }
  }

  @Test("With every owner away the stand-ins take writes, and answer reads of them only")
  func allAway() throws {
    let cluster = TestCluster.formed(5) { _, configuration in
      _ = configuration.parameters.set("anti-entropy-interval", "86400")
    }
    let list = cluster.preferenceList("k", at: 0)
    let owners = list.filter(\.isOwner).map(\.node)
    let others = (0..<5).filter { !owners.contains($0) }
    #expect(others.count == 2)
    let client = cluster.client(others[0])
    client.call("SET", "k", "old")
    for owner in owners { cluster.freeze(owner) }
    cluster.run(milliseconds: 1500)
    let first = client.call("GET", "k")
    #expect(first?.isError == true, "\(first?.description ?? "none")")
    let written = client.call("SET", "k", "new")
    #expect(written == "OK")
    #expect(client.call("GET", "k") == "\"new\"")
    for owner in owners { cluster.thaw(owner) }
    let isBack = cluster.run(atMost: 10_000) {
      cluster.hasFormed && others.allSatisfy { cluster.node($0)?.hintCount == 0 }
    }
    #expect(isBack)
    for index in 0..<5 { #expect(cluster.client(index).call("GET", "k") == "\"new\"") }
  }

  // MARK: The ring changes

  @Test("A fourth node joins: every key is still read everywhere and has exactly three copies")
  func join() {
    let cluster = filled(3)
    let fourth = cluster.add()
    let isIn = cluster.run(atMost: 20_000) { cluster.hasFormed }
    #expect(isIn)
    check(cluster, [0, 1, 2, 3])
    let held = cluster.node(fourth)?.snapshot(now: cluster.now).count ?? 0
    #expect(held > HealingTests.keys / 2 && held < HealingTests.keys)
  }

  @Test("While a node joins reads and writes go on, and nothing acknowledged is lost")
  func joinUnderLoad() {
    let cluster = TestCluster.formed(3) { _, configuration in
      _ = configuration.parameters.set("transfer-rate", "100kb")
    }
    let clients = (0..<3).map { cluster.client($0) }
    // More than a few seconds' transfer.
    func value(_ index: Int) -> String { "\(index) " + String(repeating: "x", count: 500) }
    cluster.write(HealingTests.keys, through: clients, value)
    _ = cluster.add { _ = $0.parameters.set("transfer-rate", "100kb") }
    var round = 0
    var last: [Int: String] = [:]
    while !cluster.hasFormed, round < 3000 {
      let index = round % 300
      #expect(clients[round % 3].call("SET", "key:\(index)", "round \(round)") == "OK")
      last[index] = "round \(round)"
      let other = (round * 7) % 300
      let expected = last[other] ?? value(other)
      #expect(clients[(round + 1) % 3].call("GET", "key:\(other)") == Reply("\"\(expected)\""))
      round += 1
      cluster.run(milliseconds: 5)
    }
    #expect(cluster.hasFormed && round > 20, "\(round) rounds")
    for index in 0..<4 {
      let wrong = cluster.misread(HealingTests.keys, at: index) { last[$0] ?? value($0) }
      #expect(wrong.isEmpty, "through node \(index)")
    }
  }

  @Test("A node leaves: the others have all keys three times, and it takes no commands")
  func leave() {
    let cluster = filled(4)
    let leaver = cluster.client(3)
    #expect(leaver.call("CLUSTER", "LEAVE") == "OK")
    #expect(leaver.call("CLUSTER", "LEAVE") == "OK")
    cluster.expectGone(3)
    let isOut = cluster.run(atMost: 20_000) {
      cluster.hasFormed && cluster.node(3)?.isRemoved == true
    }
    #expect(isOut)
    check(cluster, [0, 1, 2])
    for words in [
      ["GET", "key:1"], ["SET", "key:1", "x"], ["DBSIZE"], ["KEYS", "*"], ["MGET", "a", "b"],
    ] {
      let reply = leaver.call(words.map(\.bytes))?.description ?? "none"
      #expect(reply.hasPrefix("-CLUSTERDOWN"), "\(words): \(reply)")
    }
    #expect(
      leaver.call("CLUSTER", "LEAVE") == "-ERR this node has left its cluster already")
  }

  @Test("A node that has left and is told to meet the cluster again joins it with empty memory")
  func leaveAndMeet() {
    let cluster = filled(4)
    let leaver = cluster.client(3)
    leaver.call("CLUSTER", "LEAVE")
    let isOut = cluster.run(atMost: 20_000) { cluster.node(3)?.isRemoved == true }
    #expect(isOut)
    cluster.run(milliseconds: 2000)
    #expect(leaver.call("CLUSTER", "MEET", "127.0.0.1", "7001", "17001") == "OK")
    let isBack = cluster.run(atMost: 20_000) { cluster.hasFormed }
    #expect(isBack)
    check(cluster, [0, 1, 2, 3])
  }

  @Test("A dead node is forgotten: the others have all keys three times again")
  func forget() throws {
    let cluster = filled(4)
    let id = try #require(cluster.node(3)?.hexID)
    cluster.kill(3)
    cluster.run(milliseconds: 8000)
    #expect(cluster.client(0).call("CLUSTER", "FORGET", id) == "OK")
    cluster.expectGone(3)
    let isOut = cluster.run(atMost: 30_000) { cluster.hasFormed }
    #expect(isOut)
    check(cluster, [0, 1, 2])
    cluster.restart(3)
    cluster.run(milliseconds: 3000)
    #expect(cluster.hasFormed, "a forgotten node that restarts stays out")
    #expect(cluster.node(3)?.isRemoved == true)
  }

  @Test("A node that restarts with empty memory holds everything again", arguments: [0, 3])
  func restart(index: Int) {
    let cluster = filled(4)
    let before = cluster.copies([index]).keys
    cluster.kill(index)
    cluster.run(milliseconds: 200)
    cluster.restart(index)
    #expect(cluster.node(index)?.isFilled == false)
    let isBack = cluster.run(atMost: 20_000) { cluster.hasFormed }
    #expect(isBack)
    #expect(Set(cluster.copies([index]).keys) == Set(before))
    check(cluster, [0, 1, 2, 3])
  }

  @Test("A change of weight moves keys, and loses none")
  func weight() {
    let cluster = filled(5)
    let before = cluster.node(4)?.snapshot(now: cluster.now).count ?? 0
    #expect(cluster.client(4).call("CONFIG", "SET", "weight", "3") == "OK")
    cluster.run(milliseconds: 500)
    let isDone = cluster.run(atMost: 20_000) { cluster.hasFormed }
    #expect(isDone)
    check(cluster, [0, 1, 2, 3, 4])
    let after = cluster.node(4)?.snapshot(now: cluster.now).count ?? 0
    #expect(after > before + 200, "\(before) keys, then \(after)")
  }

  // MARK: Anti-entropy

  @Test("Owners that differ in 100 of 5,000 keys are equal after two periods, and then rest")
  func antiEntropy() {
    let cluster = TestCluster.formed(3) { _, configuration in
      _ = configuration.parameters.set("anti-entropy-interval", "2")
      _ = configuration.parameters.set("hint-memory", "0")
    }
    let clients = (0..<3).map { cluster.client($0) }
    cluster.write(5000, through: clients) { "old \($0)" }
    cluster.run(milliseconds: 100)
    cluster.freeze(2)
    cluster.run(milliseconds: 1500)
    cluster.write(100, through: [clients[0]]) { "new \($0)" }
    #expect(cluster.node(0)?.hintCount == 0 && cluster.node(1)?.hintCount == 0)
    let before = repairs(cluster)
    cluster.thaw(2)
    let isBack = cluster.run(atMost: 5000) { cluster.hasFormed }
    #expect(isBack)
    cluster.run(milliseconds: 4000)
    let after = repairs(cluster)
    #expect(zip(after, before).map { $0 - $1 } == [0, 0, 100])
    let copies = cluster.copies([0, 1, 2])
    #expect(copies.count == 5000)
    #expect(copies.values.allSatisfy { $0.count == 3 && Set($0.values).count == 1 })
    let exchanges = (0..<3).map { cluster.node($0)?.statistics().exchanges ?? 0 }
    cluster.run(milliseconds: 2200)
    #expect(repairs(cluster) == after)
    for index in 0..<3 {
      let ended = (cluster.node(index)?.statistics().exchanges ?? 0) - exchanges[index]
      #expect(ended >= 2, "node \(index) compared \(ended) times")
    }
  }

  private func repairs(_ cluster: TestCluster) -> [Int] {
    (0..<3).map { cluster.node($0)?.statistics().repairs ?? -1 }
  }

  // MARK: Tombstones

  private func quick(_ count: Int) -> TestCluster {
    TestCluster.formed(count) { _, configuration in
      _ = configuration.parameters.set("anti-entropy-interval", "1")
      configuration.timing.settleMargin = 500_000
    }
  }

  @Test("Deleted and expired keys are forgotten once all their owners have the tombstone")
  func reaped() {
    let cluster = quick(4)
    let clients = (0..<4).map { cluster.client($0) }
    for index in 0..<200 { clients[index % 4].call("SET", "key:\(index)", "v") }
    for index in 0..<100 { #expect(clients[index % 4].call("DEL", "key:\(index)") == "1") }
    for index in 100..<150 { clients[index % 4].call("PEXPIRE", "key:\(index)", "10") }
    #expect(cluster.copies([0, 1, 2, 3]).count == 200)
    let isReaped = cluster.run(atMost: 20_000) { cluster.copies([0, 1, 2, 3]).count == 50 }
    #expect(isReaped, "\(cluster.copies([0, 1, 2, 3]).count) keys and tombstones are left")
    #expect(cluster.misread(200, at: 1) { _ in "v" } == Array(0..<150))
  }

  @Test(
    "A tombstone stays as long as an owner may hold an older version", arguments: [false, true])
  func notReaped(hintsAreOff: Bool) {
    let cluster = quick(3)
    let client = cluster.client(0)
    if hintsAreOff {
      for index in 0..<3 { cluster.client(index).call("CONFIG", "SET", "hint-memory", "0") }
    }
    for index in 0..<20 { client.call("SET", "key:\(index)", "v") }
    cluster.run(milliseconds: 3000)
    cluster.freeze(2)
    cluster.run(milliseconds: 1500)
    for index in 0..<20 { #expect(client.call("DEL", "key:\(index)") == "1") }
    cluster.run(milliseconds: 15_000)
    #expect(cluster.copies([0]).count == 20 && cluster.copies([1]).count == 20)
    cluster.thaw(2)
    let isReaped = cluster.run(atMost: 30_000) { cluster.copies([0, 1, 2]).isEmpty }
    #expect(isReaped)
    for index in 0..<3 { #expect(cluster.client(index).call("DBSIZE") == "0") }
    cluster.run(milliseconds: 3000)
    #expect(cluster.copies([0, 1, 2]).isEmpty)
  }
}
