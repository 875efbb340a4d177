import CacheNode
import Foundation
import Primitives
import Testing

@Suite("Limits of clients")
struct ClientLimitTests {
  private static let megabyte = [UInt8](repeating: 120, count: 1 << 20)

  /// A lone node with a value of 1 MiB under `big`.
  private func lone(_ setting: String...) -> TestCluster {
    let cluster = TestCluster.formed(1)
    let client = cluster.client(0)
    client.call(["SET".bytes, "big".bytes, Self.megabyte])
    if !setting.isEmpty {
      #expect(client.call(["CONFIG", "SET"].map(\.bytes) + setting.map(\.bytes)) == "OK")
    }
    return cluster
  }

  @Test("Half a command is waited for 30 s, however its bytes trickle in")
  func halfCommands() {
    let cluster = lone()
    let silent = cluster.client(0)
    let slow = cluster.client(0)
    let whole = cluster.client(0)
    silent.send(raw: "*2\r\n$3\r\nGET\r\n$3".bytes)
    slow.send(raw: "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n".bytes)
    for _ in 0..<29 {
      cluster.run(milliseconds: 1000)
      slow.send(raw: "x".bytes)
      #expect(whole.call("PING") == "PONG")
    }
    #expect(!silent.isClosed && !slow.isClosed)
    cluster.run(milliseconds: 3000)
    #expect(silent.isClosed && slow.isClosed)
    #expect(!whole.isClosed)
  }

  @Test("A large value that comes at 2 KiB a second is waited for")
  func slowValue() {
    let cluster = lone()
    let client = cluster.client(0)
    client.send(raw: "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$102400\r\n".bytes)
    for _ in 0..<50 {
      cluster.run(milliseconds: 1000)
      client.send(raw: [UInt8](repeating: 121, count: 2048))
    }
    client.send(raw: "\r\n".bytes)
    #expect(client.reply() == "OK")
  }

  @Test("A request counts anew from the one before it, and waiting for other nodes is no fault")
  func requestsOneByOne() {
    let cluster = lone()
    let client = cluster.client(0)
    for _ in 0..<5 {
      client.send(raw: "*1\r\n$4\r\nPI".bytes)
      cluster.run(milliseconds: 20_000)
      client.send(raw: "NG\r\n*1\r\n$4".bytes)
      #expect(client.reply() == "PONG")
      client.send(raw: "\r\nPING\r\n".bytes)
      #expect(client.reply() == "PONG")
    }
  }

  @Test("Who does not log in within 10 s is closed; who does stays")
  func login() {
    let cluster = lone("requirepass", "secret")
    let stranger = cluster.client(0)
    let friend = cluster.client(0)
    #expect(friend.call("AUTH", "secret") == "OK")
    cluster.run(milliseconds: 9000)
    #expect(!stranger.isClosed)
    cluster.run(milliseconds: 2000)
    #expect(stranger.isClosed)
    #expect(friend.call("PING") == "PONG")
  }

  @Test("Before the login 64 KiB may be sent without end, and 16 KiB left unread")
  func strangers() {
    let cluster = lone("requirepass", "secret")
    let long = cluster.client(0)
    long.send(raw: "*2\r\n$3\r\nGET\r\n".bytes)
    #expect(!long.isClosed)
    // Words of 16 KiB are allowed, and ten of them: more than 64 KiB of one request are not.
    long.send(raw: "*10\r\n".bytes)
    cluster.run(milliseconds: 1)
    let fat = cluster.client(0)
    fat.send(raw: "*10\r\n".bytes)
    for _ in 0..<5 {
      fat.send(raw: "$16384\r\n".bytes + [UInt8](repeating: 97, count: 16384) + "\r\n".bytes)
    }
    cluster.run(milliseconds: 10)
    #expect(fat.isClosed)
    let deaf = cluster.client(0)
    deaf.reads = false
    for _ in 0..<2000 { deaf.send("GET", "k") }
    cluster.run(milliseconds: 1500)
    #expect(deaf.isClosed)
  }

  @Test("A client that sends more than client-query-buffer-limit is closed, and only then")
  func queryBuffer() {
    let cluster = lone("client-query-buffer-limit", "2mb")
    let client = cluster.client(0)
    client.send(raw: "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3000000\r\n".bytes)
    client.send(raw: [UInt8](repeating: 121, count: 2_000_000))
    cluster.run(milliseconds: 10)
    #expect(!client.isClosed)
    client.send(raw: [UInt8](repeating: 121, count: 200_000))
    cluster.run(milliseconds: 10)
    #expect(client.isClosed)
  }

  @Test(
    "Replies beyond the hard limit close a client at once, beyond the soft one after its seconds")
  func outputBuffers() {
    let cluster = lone("client-output-buffer-limit", "normal 5mb 1mb 10")
    let soft = cluster.client(0)
    soft.reads = false
    for _ in 0..<100 { soft.send("GET", "big") }
    cluster.run(milliseconds: 9000)
    #expect(!soft.isClosed)
    cluster.run(milliseconds: 3000)
    #expect(soft.isClosed)
    let hard = cluster.client(0)
    hard.reads = false
    hard.send("MGET", "big", "big", "big", "big", "big", "big")
    cluster.run(milliseconds: 10)
    #expect(hard.isClosed)
    let reader = cluster.client(0)
    for _ in 0..<100 { reader.send("GET", "big") }
    for _ in 0..<100 { #expect(reader.reply()?.bulk?.count == 1 << 20) }
    cluster.run(milliseconds: 20_000)
    #expect(!reader.isClosed)
  }

  @Test("A client gets 128 KiB of replies in one go, and the others' commands come in between")
  func turns() {
    let lone = LoneNode()
    let (greedy, other) = (lone.open(), lone.open())
    let value = [UInt8](repeating: 118, count: 100_000)
    #expect(lone.call(greedy, ["SET".bytes, "k".bytes, value]).text == "+OK\r\n")
    let reply = "$100000\r\n".bytes + value + "\r\n".bytes
    let requests = [[UInt8]](
      repeating: TestClient.request(["GET".bytes, "k".bytes]), count: 8
    ).flatMap { $0 }
    requests.withUnsafeBytes { lone.node.sessionReceived(greedy, $0, now: lone.now) }
    // What a round of the loop writes before the others' turn.
    var written: [UInt8] = []
    lone.node.withOutput(of: greedy, atMost: .max) { bytes in
      written += bytes
      return bytes.count
    }
    let isTwo = written == reply + reply
    #expect(isTwo)
    #expect(lone.call(other, "PING").text == "+PONG\r\n")
    var rest: [UInt8] = []
    for _ in 0..<8 { rest += lone.read(greedy) }
    let isWhole = rest == [[UInt8]](repeating: reply, count: 6).flatMap { $0 }
    #expect(isWhole)
  }

  @Test("A client that does not read makes one reply beyond 1 MiB and waits")
  func deafClients() {
    let cluster = lone()
    let deaf = cluster.client(0)
    deaf.reads = false
    for _ in 0..<500 { deaf.send("GET", "big") }
    cluster.run(milliseconds: 100)
    let info = cluster.client(0).call("CLIENT", "LIST")?.description ?? ""
    let waiting = info.components(separatedBy: " omem=").dropFirst().compactMap {
      Int($0.prefix { $0.isNumber })
    }.max()
    #expect((1 << 20..<3 << 20).contains(waiting ?? 0))
  }

  @Test("Above maxmemory-clients the largest clients go, and those that asked not to stay")
  func eviction() {
    let cluster = lone("maxmemory", "100mb", "maxmemory-clients", "10%")
    let small = cluster.client(0)
    // A reply with a big value refers to it and costs its client nothing; others are copies.
    small.call(
      ["SET".bytes, "copied".bytes, Array(Self.megabyte.prefix(Limits.bigValueBytes - 1000))])
    let exempt = cluster.client(0)
    #expect(exempt.call("CLIENT", "NO-EVICT", "ON") == "OK")
    let deaf = (0..<20).map { _ in cluster.client(0) }
    for client in [exempt] + deaf {
      client.reads = false
      for _ in 0..<5 { client.send("GET", "copied") }
    }
    cluster.run(milliseconds: 1500)
    let left = deaf.count { !$0.isClosed }
    // Each holds three replies of nearly half a MiB, and so does the one that may not be closed.
    #expect((4...6).contains(left), "\(left) clients are left")
    #expect(!exempt.isClosed)
    #expect(small.call("PING") == "PONG")
    #expect(small.call("CONFIG", "SET", "maxmemory-clients", "0") == "OK")
    let more = (0..<20).map { _ in cluster.client(0) }
    for client in more {
      client.reads = false
      for _ in 0..<5 { client.send("GET", "copied") }
    }
    cluster.run(milliseconds: 1500)
    #expect(more.allSatisfy { !$0.isClosed })
  }

  @Test("Idle clients are closed after timeout, and idle buffers are given back before that")
  func idleClients() {
    let cluster = lone("timeout", "60")
    let client = cluster.client(0)
    #expect(client.call("GET", "big")?.bulk?.count == 1 << 20)
    cluster.run(milliseconds: 5000)
    let watcher = cluster.client(0)
    let line = watcher.call("CLIENT", "LIST", "ID", "3")?.description ?? ""
    let memory = line.components(separatedBy: " tot-mem=").last.flatMap {
      Int($0.prefix { $0.isNumber })
    }
    #expect((1...4096).contains(memory ?? 0), "\(line)")
    for _ in 0..<6 {
      cluster.run(milliseconds: 10_000)
      #expect(watcher.call("PING") == "PONG")
    }
    #expect(client.isClosed)
  }

  @Test("One client's backlog does not run in one go")
  func backlog() {
    let cluster = TestCluster.formed(3)
    let greedy = cluster.client(0)
    // The first command waits for other nodes, and what comes behind it for the first.
    greedy.send("DBSIZE")
    greedy.send(raw: Array(repeating: "PING\r\n".bytes, count: 100_000).flatMap { $0 })
    var replies = 0
    while greedy.reply() != nil { replies += 1 }
    #expect(replies == 100_001)
  }

  @Test("maxclients is what descriptors allow, and says what it can be")
  func descriptors() {
    let cluster = TestCluster.formed(1) { _, configuration in
      configuration.descriptors = { min($0, 1261) }
    }
    let node = { cluster.node(0).unsafelyUnwrapped }
    #expect(node().maximumClients == 1000)
    #expect(node().handshakesAllowed(ofPeers: false) == 1000)
    // One descriptor in 32, for links whose other end is not known yet.
    #expect(node().handshakesAllowed(ofPeers: true) == 39)
    let client = cluster.client(0)
    #expect(client.call("CONFIG", "SET", "maxclients", "500") == "OK")
    #expect(node().maximumClients == 500)
    #expect(node().handshakesAllowed(ofPeers: false) == 499)
    // What clients do not want they may have.
    #expect(node().handshakesAllowed(ofPeers: true) == 205)
    #expect(
      client.call("CONFIG", "SET", "maxclients", "2000")?.description
        == "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating "
        + "system is not able to handle the specified number of clients, try with 1000")
    #expect(node().maximumClients == 500)
    #expect(node().refusal(of: "127.0.0.1:9") == nil)
    #expect(client.call("CONFIG", "SET", "maxclients", "1") == "OK")
    #expect(node().refusal(of: "127.0.0.1:9") == "-ERR max number of clients reached\r\n")
    #expect(node().handshakesAllowed(ofPeers: false) == Limits.handshakesAtLeast)
    #expect(
      client.call("INFO", "stats")?.description.contains("rejected_connections:1\r\n") == true)
  }

  @Test("Each member has three descriptors, which clients do not get")
  func descriptorsOfMembers() {
    let cluster = TestCluster.formed(3) { _, configuration in
      configuration.descriptors = { min($0, 1261) }
    }
    #expect(cluster.node(0)?.maximumClients == 1000)
    for members in [1, 3, 21, 22, 100, 400] {
      let shares = DescriptorShares(of: 1261, clients: 10_000, members: members)
      #expect(shares.strangers == 39)
      #expect(shares.clients == max(1, 1261 - 80 - max(64, 3 * members) - 3 * 39))
    }
    for members in [1, 100, 1500] {
      let most = DescriptorShares.most(clients: 10_000, members: members)
      let shares = DescriptorShares(of: most, clients: 10_000, members: members)
      #expect(shares.clients == 10_000)
      #expect(shares.strangers == Limits.unprovenLinks)
    }
    #expect(DescriptorShares(of: 100, clients: 10, members: 1).clients == 1)
  }

  @Test("client-output-buffer-limit is read and shown as by Redis")
  func outputLimits() {
    var limits = OutputLimits()
    #expect(limits.text == "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60")
    #expect(limits.set("normal 1mb 2kb 3 replica 0 0 0") == nil)
    #expect(limits.text == "normal 1048576 2048 3 slave 0 0 0 pubsub 33554432 8388608 60")
    #expect(limits.set("normal 1 2") == "Wrong number of arguments in buffer limit configuration.")
    #expect(
      limits.set("master 1 2 3") == "Invalid client class specified in buffer limit configuration.")
    #expect(
      limits.set("normal 5 5 5 pubsub 1 2 x")
        == "Error in hard, soft or soft_seconds setting in buffer limit configuration.")
    #expect(limits[.normal].hard == 1 << 20)
  }
}
