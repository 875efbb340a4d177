import Access
import CacheNode
import Membership
import Objects
import PeerProtocol
import Primitives
import Testing

/// A node with a secret, and the other end of its links in the hands of the test.
private final class Guarded {
  static let secret = Array("the secret of the tests".utf8)
  static let peer: UInt64 = 77

  let node: Node
  private var microseconds: UInt64 = 1_000_000
  private(set) var closed: Set<LinkID> = []
  private(set) var dialled: [LinkID] = []
  private(set) var log: [String] = []
  private(set) var heard: [LinkID: [UInt8]] = [:]

  var now: Instant {
    Instant(
      wallMicroseconds: 1_800_000_000_000_000 + microseconds, monotonicMicroseconds: microseconds)
  }

  init(secret: [UInt8] = secret, seeds: [Endpoint] = []) {
    var configuration = NodeConfiguration(
      id: 5, actor: Actor(rawValue: 6), incarnation: 1_800_000_000_000, name: "n", randomSeed: 1)
    configuration.clusterSecret = secret
    configuration.seeds = seeds
    node = Node(
      configuration,
      now: Instant(wallMicroseconds: 1_800_000_000_000_000, monotonicMicroseconds: 1))
    tick()
  }

  func accept() throws -> LinkID {
    let id = try #require(node.linkAccepted(from: "192.0.2.1:5", now: now))
    tick()
    return id
  }

  func send(_ bytes: [UInt8], on id: LinkID) {
    bytes.withUnsafeBytes { node.linkReceived(id, $0, now: now) }
    tick()
  }

  func tick(_ passed: UInt64 = 1000) {
    microseconds += passed
    node.finishTick(now: now)
    var dirty: [LinkID] = []
    node.takeDirtyLinks(into: &dirty)
    for id in dirty {
      node.withOutput(of: id) {
        heard[id, default: []] += Array($0)
        return $0.count
      }
    }
    var actions: [Action] = []
    node.takeActions(into: &actions)
    for action in actions {
      switch action {
      case .closeLink(let id): closed.insert(id)
      case .connect(let id, _): dialled.append(id)
      case .log(_, let text): log.append(text)
      default: break
      }
    }
  }

  /// The kinds of frames that were heard on a link.
  func kinds(_ id: LinkID) -> [FrameKind] {
    var kinds: [FrameKind] = []
    var at = 0
    let bytes = heard[id] ?? []
    while at + 4 < bytes.count {
      kinds.append(FrameKind(rawValue: bytes[at + 4]) ?? .ping)
      at += 4 + Int(bytes[at]) + Int(bytes[at + 1]) << 8 + Int(bytes[at + 2]) << 16
    }
    return kinds
  }

  /// The body of the hello that a link begins with.
  func helloBody(_ id: LinkID) throws -> [UInt8] {
    let bytes = try #require(heard[id])
    return Array(bytes[5..<62])
  }

  static func hello(
    _ id: UInt64 = peer, nonce: UInt8 = 9, proves: Bool = true
  ) -> Hello {
    let bytes = [UInt8](repeating: nonce, count: 32)
    return Hello(
      node: id, actor: Actor(rawValue: id), nonce: bytes.withUnsafeBytes { Nonce($0) } ?? Nonce(),
      proves: proves)
  }

  static func frame(_ hello: Hello) -> [UInt8] { written { $0.appendHello(hello) } }

  static func frame(proof: [UInt8]) -> [UInt8] {
    written { buffer in proof.withUnsafeBytes { buffer.appendGossip(.proof, $0) } }
  }

  /// What the dialler of an accepted link has to send.
  func proof(_ id: LinkID, _ hello: Hello, secret: [UInt8] = secret) throws -> [UInt8] {
    Guarded.frame(
      proof: LinkProof.make(
        secret, .dialler, dialler: hello.bytes, acceptor: try helloBody(id)))
  }

  static let members: [UInt8] = {
    let member = Member(
      id: peer, actor: Actor(rawValue: peer), incarnation: 1_800_000_000_000, host: "10.0.0.1",
      port: 7001, peerPort: 17_001, name: "p", zone: "", weight: 1, isFilled: true)
    return written { buffer in
      let body = written { body in
        body.append(littleEndian: UInt32(1))
        member.encode(to: &body)
      }
      body.withUnsafeBytes { buffer.appendGossip(.members, $0) }
    }
  }()
}

@Suite("Who is at the other end of a link")
struct StrangerTests {
  @Test("A node that knows the secret is taken in, and is proved to in return")
  func member() throws {
    let guarded = Guarded()
    let link = try guarded.accept()
    let hello = Guarded.hello()
    guarded.send(Guarded.frame(hello), on: link)
    #expect(guarded.kinds(link) == [.hello])
    guarded.send(try guarded.proof(link, hello) + Guarded.members, on: link)
    #expect(guarded.closed.isEmpty)
    #expect(guarded.node.memberCount == 2)
    #expect(guarded.kinds(link).starts(with: [.hello, .proof, .members, .settings, .digest]))
    let bytes = try #require(guarded.heard[link])
    let expected = LinkProof.make(
      Guarded.secret, .acceptor, dialler: hello.bytes, acceptor: try guarded.helloBody(link))
    #expect(Array(bytes[67..<99]) == expected)
  }

  @Test("A byte at a time is as good")
  func byteByByte() throws {
    let guarded = Guarded()
    let link = try guarded.accept()
    let hello = Guarded.hello()
    for byte in Guarded.frame(hello) { guarded.send([byte], on: link) }
    for byte in try guarded.proof(link, hello) { guarded.send([byte], on: link) }
    for byte in Guarded.members { guarded.send([byte], on: link) }
    #expect(guarded.node.memberCount == 2)
  }

  @Test("Whatever a stranger says in place of the proof closes the link and changes nothing")
  func strangers() throws {
    let hello = Guarded.hello()
    let rows: [(what: String, frames: (Guarded, LinkID) throws -> [[UInt8]])] = [
      ("garbage", { _, _ in [Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)] }),
      ("no hello", { _, _ in [Guarded.members] }),
      ("no secret", { _, _ in [Guarded.frame(Guarded.hello(proves: false)), Guarded.members] }),
      ("gossip before the proof", { _, _ in [Guarded.frame(hello), Guarded.members] }),
      ("two hellos", { _, _ in [Guarded.frame(hello), Guarded.frame(hello)] }),
      (
        "another secret",
        {
          [
            Guarded.frame(hello),
            try $0.proof($1, hello, secret: Array("another secret of tests".utf8)),
            Guarded.members,
          ]
        }
      ),
      (
        "the proof of the other role",
        {
          [
            Guarded.frame(hello),
            Guarded.frame(
              proof: LinkProof.make(
                Guarded.secret, .acceptor, dialler: hello.bytes, acceptor: try $0.helloBody($1))),
          ]
        }
      ),
      (
        "the proof of another id",
        { [Guarded.frame(hello), try $0.proof($1, Guarded.hello(78)), Guarded.members] }
      ),
      ("too many bytes", { _, _ in [[0, 2, 0, 0, FrameKind.members.rawValue]] }),
      (
        "a hello with a long tail",
        { _, _ in
          var bytes = Guarded.frame(hello) + [UInt8](repeating: 0, count: 300)
          let length = bytes.count - 4
          bytes[0] = UInt8(length & 255)
          bytes[1] = UInt8(length >> 8)
          return [bytes]
        }
      ),
    ]
    for row in rows {
      let guarded = Guarded()
      let before = guarded.node.savedState
      let link = try guarded.accept()
      for frame in try row.frames(guarded, link) { guarded.send(frame, on: link) }
      #expect(guarded.closed == [link], "\(row.what)")
      #expect(guarded.node.memberCount == 1 && guarded.node.peersAlive == 0, "\(row.what)")
      #expect(guarded.node.savedState.members == before.members, "\(row.what)")
      #expect(guarded.kinds(link) == [.hello], "\(row.what)")
      #expect(guarded.node.statistics().refusedLinks == 1, "\(row.what)")
    }
  }

  @Test("A recorded handshake is worth nothing the next time")
  func replay() throws {
    let guarded = Guarded()
    let first = try guarded.accept()
    let hello = Guarded.hello()
    let recorded = Guarded.frame(hello) + (try guarded.proof(first, hello)) + Guarded.members
    let second = try guarded.accept()
    guarded.send(recorded, on: second)
    #expect(guarded.closed == [second])
    #expect(guarded.node.memberCount == 1)
    guarded.send(recorded, on: first)
    #expect(guarded.node.memberCount == 2)
  }

  @Test("No two hellos have the same nonce")
  func nonces() throws {
    let guarded = Guarded()
    let bodies = try (0..<100).map { _ in try guarded.helloBody(try guarded.accept())[24..<56] }
    #expect(Set(bodies.map { Array($0) }).count == 100)
  }

  @Test("A link that says nothing is closed after some seconds, one that waits for a proof, too")
  func silence() throws {
    let guarded = Guarded()
    let silent = try guarded.accept()
    let greeted = try guarded.accept()
    guarded.send(Guarded.frame(Guarded.hello()), on: greeted)
    for _ in 0..<40 { guarded.tick(100_000) }
    #expect(guarded.closed.isEmpty)
    for _ in 0..<12 { guarded.tick(100_000) }
    #expect(guarded.closed == [silent, greeted])
  }

  @Test("Of too many strangers the oldest goes, and a node still comes in")
  func crowd() throws {
    let guarded = Guarded()
    var links: [LinkID] = []
    for count in 0..<1000 {
      #expect(guarded.node.areStrangersYoung(now: guarded.now) == (count >= Limits.unprovenLinks))
      links.append(try #require(guarded.node.linkAccepted(now: guarded.now)))
    }
    guarded.tick(Limits.strangerGrace - 1)
    #expect(guarded.node.areStrangersYoung(now: guarded.now))
    guarded.tick(1)
    #expect(!guarded.node.areStrangersYoung(now: guarded.now))
    #expect(guarded.closed == Set(links[..<(1000 - Limits.unprovenLinks)]))
    let link = try guarded.accept()
    let hello = Guarded.hello()
    guarded.send(Guarded.frame(hello), on: link)
    for _ in 0..<100 { _ = try guarded.accept() }
    guarded.send(try guarded.proof(link, hello) + Guarded.members, on: link)
    #expect(guarded.node.memberCount == 2)
    for _ in 0..<1000 { _ = try guarded.accept() }
    #expect(!guarded.closed.contains(link))
    // All that is in the log of all these is one line.
    #expect(guarded.log.filter { $0.contains("too many others") }.count == 1)
  }

  @Test(
    "A dialler takes nothing from who can't prove, forgets no seed, and asks less and less often")
  func impostor() throws {
    let guarded = Guarded(seeds: [Endpoint(host: "10.0.0.1", port: 17_001)])
    var pauses: [Int] = []
    for round in 1...8 {
      let link = try #require(guarded.dialled.last)
      guarded.node.linkOpened(link, now: guarded.now)
      guarded.tick()
      let claimed: UInt64 = round % 2 == 0 ? 5 : Guarded.peer
      guarded.send(Guarded.frame(Guarded.hello(claimed)), on: link)
      #expect(guarded.kinds(link) == [.hello, .proof])
      let reflected = Array(try #require(guarded.heard[link])[67..<99])
      guarded.send(Guarded.frame(proof: reflected) + Guarded.members, on: link)
      #expect(guarded.closed.contains(link))
      #expect(guarded.node.memberCount == 1 && guarded.node.peersAlive == 0)
      var pause = 0
      while guarded.dialled.count == round, pause < 60_000 {
        guarded.tick(10_000)
        pause += 10
      }
      pauses.append(pause)
    }
    for (pause, expected) in zip(pauses, [100, 200, 400, 800, 1600, 3200, 3200]) {
      #expect(pause >= expected && pause < expected + 100, "\(pauses)")
    }
  }

  @Test("A node without the secret, with another one, and with it")
  func clusters() {
    for (index, secret) in [[], Array("another secret of tests".utf8)].enumerated() {
      let cluster = TestCluster(3) { node, configuration in
        configuration.clusterSecret = node == 2 ? secret : Guarded.secret
      }
      cluster.run(milliseconds: 6000)
      #expect(cluster.node(0)?.memberCount == 2, "\(index)")
      #expect(cluster.node(1)?.memberCount == 2, "\(index)")
      #expect(cluster.node(2)?.memberCount == 1, "\(index)")
      #expect(cluster.log.count { $0.contains("secret") } < 12, "\(cluster.log)")
    }
    let formed = TestCluster.formed(3) { _, configuration in
      configuration.clusterSecret = Guarded.secret
    }
    #expect(formed.node(2)?.memberCount == 3)
  }

  @Test("A proof is that of RFC 2104's HMAC-SHA256")
  func vector() {
    let proof = LinkProof.make([], .dialler, dialler: [], acceptor: [])
    let again = LinkProof.make([], .dialler, dialler: [], acceptor: [])
    #expect(proof == again && proof.count == 32)
    // python3 -c 'import hmac; print(hmac.new(b"key", b"coterie link proof 1\x01ab", "sha256").hexdigest())'
    let known = LinkProof.make(
      Array("key".utf8), .dialler, dialler: Array("a".utf8), acceptor: Array("b".utf8))
    let digits = known.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    #expect(digits == "92d2c809262b1ef21b4f4f9af488fb1de4eb8da92e61a49f323e7f66b6d7c749")
    for index in 0..<32 {
      let changed = known.enumerated().map { $0.offset == index ? $0.element ^ 1 : $0.element }
      #expect(!changed.withUnsafeBytes { LinkProof.areEqual(known, $0) })
    }
    #expect(known.withUnsafeBytes { LinkProof.areEqual(known, $0) })
  }
}
