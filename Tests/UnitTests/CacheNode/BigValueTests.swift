import CacheNode
import Objects
import Primitives
import Testing

@Suite("Big values in a node")
struct BigValueTests {
  private static let size = 3 * Limits.pagedBufferBytes + 17
  private static let value = BlobTests.pattern(size)
  private static let other = BlobTests.pattern(size, 7)

  private func bulk(_ value: [UInt8]) -> [UInt8] {
    "$\(value.count)\r\n".bytes + value + "\r\n".bytes
  }

  @Test("Every command that writes or reads a value does so with a big one")
  func commands() {
    let lone = LoneNode()
    let client = lone.open()
    func run(_ words: [String], _ last: [UInt8]? = nil) -> [UInt8] {
      lone.call(client, words.map(\.bytes) + (last.map { [$0] } ?? []))
    }
    #expect(run(["SET", "k"], Self.value) == "+OK\r\n".bytes)
    #expect(run(["GET", "k"]) == bulk(Self.value))
    #expect(run(["STRLEN", "k"]) == ":\(Self.size)\r\n".bytes)
    #expect(run(["GETSET", "k"], Self.other) == bulk(Self.value))
    #expect(run(["SETEX", "k", "100"], Self.value) == "+OK\r\n".bytes)
    #expect(run(["TTL", "k"]) == ":100\r\n".bytes)
    #expect(run(["PERSIST", "k"]) == ":1\r\n".bytes)
    #expect(run(["GET", "k"]) == bulk(Self.value))
    #expect(run(["APPEND", "k"], Self.other) == ":\(2 * Self.size)\r\n".bytes)
    #expect(run(["GET", "k"]) == bulk(Self.value + Self.other))
    #expect(run(["SETRANGE", "k", "5", "abc"]) == ":\(2 * Self.size)\r\n".bytes)
    var patched = Self.value + Self.other
    patched.replaceSubrange(5..<8, with: "abc".bytes)
    #expect(run(["GETRANGE", "k", "1", "-2"]) == bulk(Array(patched[1..<patched.count - 1])))
    #expect(run(["GETRANGE", "k", "3", "9"]) == bulk(Array(patched[3...9])))
    #expect(run(["GETDEL", "k"]) == bulk(patched))
    #expect(run(["GET", "k"]) == "$-1\r\n".bytes)
    #expect(
      lone.call(client, ["MSET".bytes, "a".bytes, Self.value, "b".bytes, Self.other])
        == "+OK\r\n".bytes)
    #expect(
      run(["MGET", "a", "x", "b"])
        == "*3\r\n".bytes + bulk(Self.value) + "$-1\r\n".bytes + bulk(Self.other))
    #expect(run(["SETRANGE", "z", "2000000", "end"]) == ":2000003\r\n".bytes)
    #expect(run(["GET", "z"]) == bulk([UInt8](repeating: 0, count: 2_000_000) + "end".bytes))
    #expect(run(["SET", "a", "small"]) == "+OK\r\n".bytes)
    #expect(run(["APPEND", "a"], Self.value) == ":\(Self.size + 5)\r\n".bytes)
    #expect(run(["GET", "a"]) == bulk("small".bytes + Self.value))
    lone.node.checkInvariants()
  }

  @Test("A value that is being sent stays as it was, whatever becomes of its key")
  func pinned() {
    let changes: [(LoneNode, SessionID) -> [UInt8]] = [
      { $0.call($1, ["SET".bytes, "k".bytes, Self.other]) },
      { $0.call($1, ["SET".bytes, "k".bytes, "small".bytes]) },
      { $0.call($1, "DEL k") },
      { $0.call($1, "FLUSHALL") },
      { $0.call($1, "APPEND k more") },
      { $0.call($1, ["SETRANGE".bytes, "k".bytes, "2000000".bytes, "over".bytes]) },
      { $0.call($1, "PEXPIRE k 1") },
      { $0.call($1, "CONFIG SET maxmemory-policy allkeys-lru maxmemory 1000000") },
    ]
    for (number, change) in changes.enumerated() {
      let lone = LoneNode()
      let (reader, writer) = (lone.open(), lone.open())
      _ = lone.call(writer, ["SET".bytes, "k".bytes, Self.value])
      lone.send(reader, ["GET".bytes, "k".bytes])
      var reply = lone.read(reader, 1_000_000)
      #expect(change(lone, writer).first != UInt8(ascii: "-"), "change \(number)")
      for _ in 0..<200 { lone.tick() }
      reply += lone.read(reader)
      #expect(reply == bulk(Self.value), "change \(number)")
    }
  }

  @Test("Requests behind a big value, in the same bytes, may make it longer and write over it")
  func pipelined() {
    let lone = LoneNode()
    let client = lone.open()
    let far = Self.size + 3 * Limits.bigValueBytes
    let tail = [UInt8](repeating: 84, count: 40)
    for _ in 0..<3 {
      lone.send(
        client,
        raw: TestClient.request(["SET".bytes, "k".bytes, Self.value])
          + TestClient.request(["APPEND".bytes, "k".bytes, tail])
          + TestClient.request(["SETRANGE".bytes, "k".bytes, "\(far)".bytes, "over".bytes])
          + TestClient.request(["SETRANGE".bytes, "k".bytes, "1".bytes, "front".bytes])
          + TestClient.request(["ECHO".bytes, tail]))
      #expect(
        lone.read(client)
          == "+OK\r\n:\(Self.size + 40)\r\n:\(far + 4)\r\n:\(far + 4)\r\n".bytes + bulk(tail))
      var expected = Self.value + tail
      expected += [UInt8](repeating: 0, count: far - expected.count) + "over".bytes
      expected.replaceSubrange(1..<6, with: "front".bytes)
      #expect(lone.call(client, ["GET".bytes, "k".bytes]) == bulk(expected))
    }
    // The replies are read, so nobody refers to what was replaced.
    _ = lone.bury(client)
    let used = lone.info(client, "used_memory") ?? 0
    #expect(used < far + 3 * Limits.bigValueBytes, "\(used) bytes for \(far)")
  }

  @Test("What nobody refers to any more is counted until it is given back, in slices")
  func freed() {
    let lone = LoneNode()
    let (reader, writer) = (lone.open(), lone.open())
    let big = BlobTests.pattern(20 << 20)
    let before = lone.info(writer, "used_memory") ?? 0
    _ = lone.call(writer, ["SET".bytes, "k".bytes, big])
    #expect((lone.info(writer, "used_memory") ?? 0) - before > 20 << 20)
    lone.send(reader, ["GET".bytes, "k".bytes])
    _ = lone.read(reader, 5_000_000)
    #expect(lone.call(writer, "DEL k") == ":1\r\n".bytes)
    #expect(lone.info(writer, "lazyfree_pending_objects") == 0)
    #expect((lone.info(writer, "used_memory") ?? 0) - before > 20 << 20)
    lone.node.sessionClosed(reader, now: lone.now)
    #expect((lone.info(writer, "lazyfree_pending_objects") ?? 0) > 0)
    #expect(lone.bury(writer) > 1)
    #expect((lone.info(writer, "used_memory") ?? 0) - before < 1 << 20)
    #expect((lone.info(writer, "lazyfreed_objects") ?? 0) > 0)
  }

  @Test("CLIENT REPLY OFF and SKIP drop a big reply, and those behind it come in order")
  func silenced() {
    let lone = LoneNode()
    let client = lone.open()
    _ = lone.call(client, ["SET".bytes, "k".bytes, Self.value])
    lone.send(client, ["CLIENT".bytes, "REPLY".bytes, "SKIP".bytes])
    lone.send(client, ["GET".bytes, "k".bytes])
    #expect(lone.call(client, "PING") == "+PONG\r\n".bytes)
    #expect(lone.call(client, "GET k") == bulk(Self.value))
  }

  @Test("A client with a big reply in front of it waits with its next one until it reads")
  func choked() {
    let lone = LoneNode()
    let client = lone.open()
    let big = BlobTests.pattern(20 << 20)
    _ = lone.call(client, ["SET".bytes, "k".bytes, big])
    for _ in 0..<4 { lone.send(client, ["GET".bytes, "k".bytes]) }
    lone.send(client, ["STRLEN".bytes, "k".bytes])
    let one = bulk(big)
    let all = lone.read(client)
    #expect(all == one + one + one + one + ":\(20 << 20)\r\n".bytes)
  }

  @Test("A request that is left half way is dropped cleanly")
  func leftHalfWay() {
    let lone = LoneNode()
    let (client, other) = (lone.open(), lone.open())
    let half = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$\(Self.size)\r\n".bytes + Self.value.dropLast(9)
    half.withUnsafeBytes { lone.node.sessionReceived(client, $0, now: lone.now) }
    lone.node.sessionClosed(client, now: lone.now)
    lone.tick()
    #expect(lone.call(other, "EXISTS k") == ":0\r\n".bytes)
    _ = lone.bury(other)
    #expect((lone.info(other, "lazyfreed_objects") ?? 0) > 0)
  }

  @Test("FLUSHALL empties at once, and the records go later")
  func flush() {
    let lone = LoneNode()
    let client = lone.open()
    for number in 0..<20_000 {
      _ = lone.call(client, ["SET".bytes, "{t}\(number)".bytes, "value".bytes])
    }
    let before = lone.info(client, "used_memory") ?? 0
    #expect(lone.call(client, "FLUSHALL") == "+OK\r\n".bytes)
    #expect(lone.call(client, "DBSIZE") == ":0\r\n".bytes)
    #expect(lone.call(client, "SET {t}1 new") == "+OK\r\n".bytes)
    for _ in 0..<50 { lone.tick() }
    #expect(lone.call(client, "GET {t}1") == bulk("new".bytes))
    #expect(lone.call(client, "DBSIZE") == ":1\r\n".bytes)
    #expect((lone.info(client, "used_memory") ?? 0) < before - 20_000 * 40)
    lone.node.checkInvariants()
  }

  @Test("In a cluster a big value is written, forwarded, read and removed on every node")
  func cluster() {
    let cluster = TestCluster.formed(3) { _, configuration in
      configuration.parameters = ParameterStore()
    }
    let clients = (0..<3).map { cluster.client($0) }
    for (number, client) in clients.enumerated() {
      let value = BlobTests.pattern(Self.size + number, number)
      #expect(client.call(["SET".bytes, "k\(number)".bytes, value]) == "OK")
      for reader in clients {
        #expect(reader.call(["GET".bytes, "k\(number)".bytes])?.bulk == value)
      }
      #expect(
        clients[(number + 1) % 3].call(["APPEND".bytes, "k\(number)".bytes, Self.other])?.integer
          == value.count + Self.size)
      #expect(client.call(["GET".bytes, "k\(number)".bytes])?.bulk == value + Self.other)
      #expect(clients[(number + 2) % 3].call("DEL", "k\(number)") == "1")
      for reader in clients { #expect(reader.call("GET", "k\(number)") == "nil") }
    }
  }

  /// 20 bytes a microsecond is little above the least that is counted on: longer than an operation has,
  /// and than a link may be silent.
  private static let bytesPerMillisecond = 20_000
  private static let large = BlobTests.pattern(bytesPerMillisecond * 1500)

  private func call(_ client: TestClient, _ words: [[UInt8]]) -> Reply? {
    client.send(words)
    return client.reply(within: 20_000)
  }

  @Test("A large value on slow links: nobody is given up, whoever forwards or asks")
  func slowLinks() {
    let cluster = TestCluster.formed(5) { _, configuration in
      configuration.parameters = ParameterStore()
    }
    cluster.run(milliseconds: 2000)
    let clients = (0..<5).map { cluster.client($0) }
    cluster.bytesPerMillisecond = Self.bytesPerMillisecond
    for (number, client) in clients.enumerated() {
      let key = "k\(number)".bytes
      #expect(call(client, ["SET".bytes, key, Self.large]) == "OK", "SET on \(number)")
      for (other, reader) in clients.enumerated() {
        let reply = call(reader, ["GET".bytes, key])
        let isRight = reply?.bulk == Self.large
        #expect(isRight, "GET on \(other): \(reply?.description.prefix(80) ?? "nothing")")
      }
      cluster.run(milliseconds: 3000)
    }
    let write = ["MSET".bytes, "a".bytes, Self.large, "b".bytes, Self.large]
    #expect(call(clients[0], write) == "OK")
    let both = call(clients[1], ["MGET".bytes, "a".bytes, "none".bytes, "b".bytes])
    let areRight = both?.elements.map(\.bulk) == [Self.large, nil, Self.large]
    #expect(areRight)
    cluster.run(milliseconds: 3000)
    #expect(!cluster.log.contains { $0.contains("silent") || $0.contains("is down") })
  }

  @Test("What stands behind a large value on a slow link waits with it")
  func behind() {
    let cluster = TestCluster.formed(3) { _, configuration in
      configuration.parameters = ParameterStore()
    }
    cluster.run(milliseconds: 2000)
    cluster.bytesPerMillisecond = Self.bytesPerMillisecond
    let busy = cluster.client(0)
    let others = (0..<20).map { _ in cluster.client(0) }
    busy.send(["SET".bytes, "large".bytes, Self.large])
    cluster.run(milliseconds: 10)
    for (number, client) in others.enumerated() { client.send("SET", "small:\(number)", "v") }
    for client in others { #expect(client.reply(within: 20_000) == "OK") }
    #expect(busy.reply() == "OK")
    #expect(cluster.client(1).call("DBSIZE") == "21")
  }

  @Test("What another node forwards waits, too, when only the owner's links are busy; so do locks")
  func behindOwner() throws {
    let cluster = TestCluster.formed(4) { _, configuration in
      configuration.parameters = ParameterStore()
    }
    cluster.run(milliseconds: 2000)
    #expect(cluster.client(0).call("SET", "{t}", "v") == "OK")
    cluster.run(milliseconds: 100)
    let owners = (0..<4).filter { cluster.node($0)?.snapshot(now: cluster.now).isEmpty == false }
    let stranger = try #require((0..<4).first { !owners.contains($0) })
    #expect(owners.count == 3)
    cluster.bytesPerMillisecond = Self.bytesPerMillisecond
    // Whichever of them the stranger forwards to.
    for owner in owners {
      let busy = cluster.client(owner)
      busy.send(["SET".bytes, "{t}large".bytes, Self.large])
      cluster.run(milliseconds: 10)
      let others = [owner, owner, stranger, stranger].map { cluster.client($0) }
      for client in others { client.send("INCR", "{t}\(owner)") }
      let writer = cluster.client(stranger)
      writer.send("SET", "{t}", "w")
      let replies = others.map { $0.reply(within: 20_000) }
      #expect(replies.allSatisfy { $0?.integer != nil }, "behind \(owner): \(replies)")
      #expect(writer.reply(within: 20_000) == "OK", "behind \(owner)")
      #expect(busy.reply(within: 20_000) == "OK")
      #expect(cluster.client(stranger).call("GET", "{t}\(owner)")?.bulk == "4".bytes)
      cluster.run(milliseconds: 3000)
    }
  }

  @Test("A forwarded command does not wait for an owner that says nothing")
  func silentOwner() throws {
    let cluster = TestCluster.formed(2) { _, configuration in
      configuration.parameters = ParameterStore()
      // Longer than an operation has.
      configuration.timing.linkDeadAfter = 30_000_000
    }
    let client = cluster.client(0)
    #expect(client.call("CONFIG", "SET", "keyspace.default.n", "1") == "OK")
    cluster.run(milliseconds: 3000)
    let key = try #require(
      (0..<20).lazy.map { "k\($0)" }.first { key in
        client.call("SET", key, "v")
        return cluster.node(1)?.snapshot(now: cluster.now).isEmpty == false
      })
    cluster.freeze(1)
    let start = cluster.microseconds
    #expect(client.call("SET", key, "w")?.description.hasPrefix("-NOQUORUM") == true)
    #expect(cluster.microseconds - start < 1_200_000)
  }

  @Test("A failed MGET keeps nothing of the large values that it had found")
  func failedMGET() throws {
    let cluster = TestCluster.formed(2)
    let client = cluster.client(0)
    #expect(client.call("CONFIG", "SET", "keyspace.default.n", "1") == "OK")
    cluster.run(milliseconds: 3000)
    func keys(_ node: Int) -> [[UInt8]] {
      cluster.node(node)?.snapshot(now: cluster.now).map(\.key) ?? []
    }
    func memory() throws -> Int { try #require(client.info("used_memory")) }
    for number in 0..<20 { client.call("SET", "k\(number)", "v") }
    let near = try #require(keys(0).first)
    let far = try #require(keys(1).first)
    let before = try memory()
    #expect(client.call(["SET".bytes, near, Self.value]) == "OK")
    #expect(try memory() - before > Self.size)
    cluster.freeze(1)
    let reply = client.call(["MGET".bytes, near, far, near])
    #expect(reply?.description.hasPrefix("-NOREPLICAS") == true)
    #expect(client.call(["DEL".bytes, near]) == "1")
    cluster.run(milliseconds: 100)
    #expect(try memory() - before < Limits.bigValueBytes)
  }

  @Test("Comparisons bring large values, among small ones")
  func comparisons() {
    let cluster = TestCluster.formed(3) { _, configuration in
      _ = configuration.parameters.set("anti-entropy-interval", "1")
      _ = configuration.parameters.set("hint-memory", "0")
    }
    let client = cluster.client(0)
    cluster.run(milliseconds: 2000)
    cluster.freeze(2)
    cluster.run(milliseconds: 1500)
    // One slot, so that they come in one answer.
    for number in 0..<12 {
      let value = number % 4 == 1 ? BlobTests.pattern(Self.size + number, number) : "v".bytes
      #expect(client.call(["SET".bytes, "{t}\(number)".bytes, value]) == "OK")
    }
    cluster.thaw(2)
    func objects(_ node: Int) -> [[UInt8]] {
      cluster.node(node)?.snapshot(now: cluster.now).map { $0.key + $0.object } ?? []
    }
    #expect(cluster.run(atMost: 20_000) { objects(2).count == 12 })
    let areEqual = objects(2) == objects(0)
    #expect(areEqual)
  }

  @Test("Nothing is taken for settled that stands behind a large value, on any link")
  func settlement() throws {
    let cluster = TestCluster.formed(4) { _, configuration in
      _ = configuration.parameters.set("anti-entropy-interval", "1")
    }
    let clients = (0..<4).map { cluster.client($0) }
    func convergedAge(_ node: Int) -> Int { clients[node].info("converged_age_ms") ?? -1 }
    func isConverged(_ node: Int) -> Bool { (0..<3000).contains(convergedAge(node)) }
    // A key that the last node has to ask another one for.
    let key = try #require(
      (0..<20).lazy.map { "k\($0)".bytes }.first { key in
        clients[0].call(["SET".bytes, key, Self.value])
        return !(cluster.node(3)?.snapshot(now: cluster.now).contains { $0.key == key } ?? true)
      })
    #expect(cluster.run(atMost: 20_000) { (0..<3).allSatisfy(isConverged) })
    // That one's reply holds nothing up on its way to the two others.
    cluster.bytesPerMillisecond = Self.size / 20_000
    clients[3].send(["GET".bytes, key])
    cluster.run(milliseconds: 10_000)
    for node in 0..<3 { #expect(convergedAge(node) >= 9000) }
    cluster.bytesPerMillisecond = .max
    #expect(cluster.run(atMost: 20_000) { (0..<3).allSatisfy(isConverged) })
  }
}
