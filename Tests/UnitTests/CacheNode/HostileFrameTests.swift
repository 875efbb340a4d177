import CacheNode
import Membership
import Objects
import PeerProtocol
import Placement
import Primitives
import Testing

/// A node among peers that say anything at all.
private final class Besieged {
  let node: Node
  private var microseconds: UInt64 = 1_000_000
  /// Open links, and whether the node dialled them.
  private(set) var links: [(id: LinkID, isDialled: Bool)] = []
  /// Ids of requests that the node waits for.
  private(set) var asked: [UInt32] = []
  private(set) var closed = 0
  private let session: SessionID?

  static let peer: UInt64 = 77

  var now: Instant {
    Instant(
      wallMicroseconds: 1_800_000_000_000_000 + microseconds, monotonicMicroseconds: microseconds)
  }

  init(seed: UInt64) {
    let configuration = NodeConfiguration(
      id: 5, actor: Actor(rawValue: 6), incarnation: 1_800_000_000_000, name: "n",
      randomSeed: seed)
    let start = Instant(wallMicroseconds: 1_800_000_000_000_000, monotonicMicroseconds: 1)
    node = Node(configuration, now: start)
    session = node.sessionOpened(address: "a", localAddress: "l", descriptor: 1, now: start)
  }

  static func member(_ id: UInt64, _ status: MemberStatus = .joined) -> Member {
    var member = Member(
      id: id, actor: Actor(rawValue: id), incarnation: 1_800_000_000_000, host: "10.0.0.1",
      port: 7001, peerPort: 17_001, name: "p", zone: "", weight: 1, isFilled: true)
    member.status = status
    return member
  }

  static func hello(_ id: UInt64 = peer) -> [UInt8] {
    written { $0.appendHello(Hello(node: id, actor: Actor(rawValue: id))) }
  }

  static func members(_ members: [Member]) -> [UInt8] {
    written { buffer in
      let body = written { body in
        body.append(littleEndian: UInt32(members.count))
        for member in members { member.encode(to: &body) }
      }
      body.withUnsafeBytes { buffer.appendGossip(.members, $0) }
    }
  }

  /// A peer dials and says hello, and who it is.
  func dialIn(_ id: UInt64 = peer) -> LinkID? {
    guard let link = node.linkAccepted(now: now) else { return nil }
    links.append((link, false))
    send(Besieged.hello(id) + Besieged.members([Besieged.member(id)]), on: link)
    return link
  }

  func send(_ bytes: [UInt8], on link: LinkID) {
    bytes.withUnsafeBytes { node.linkReceived(link, $0, now: now) }
  }

  func command(_ text: String) {
    guard let session else { return }
    Array((text + "\r\n").utf8).withUnsafeBytes {
      node.sessionReceived(session, $0, now: now)
    }
  }

  /// One round of the event loop. Dialled links open, and a peer answers there.
  func tick(microseconds passed: UInt64 = 1000) {
    microseconds += passed
    node.finishTick(now: now)
    var sessions: [SessionID] = []
    node.takeDirtySessions(into: &sessions)
    for id in sessions { node.withOutput(of: id) { $0.count } }
    var dirty: [LinkID] = []
    node.takeDirtyLinks(into: &dirty)
    for id in dirty { node.withOutput(of: id) { note($0) } }
    var actions: [Action] = []
    node.takeActions(into: &actions)
    for action in actions {
      switch action {
      case .connect(let id, _):
        links.append((id, true))
        node.linkOpened(id, now: now)
        send(Besieged.hello(), on: id)
      case .closeLink(let id):
        closed += 1
        links.removeAll { $0.id == id }
      default: break
      }
    }
  }

  /// Remembers the ids of requests that went out.
  private func note(_ bytes: UnsafeRawBufferPointer) -> Int {
    var at = 0
    while case .frame(let frame, let length) = Frame.decode(bytes.slice(at, bytes.count - at)) {
      switch frame {
      case .write(let id, _, _, _, _), .read(let id, _, _, _, _), .forward(let id, _, _, _),
        .query(let id, _, _, _), .hint(let id, _, _, _, _, _):
        asked.append(id.rawValue)
      default: break
      }
      at += length
    }
    if asked.count > 64 { asked.removeFirst(asked.count - 64) }
    return bytes.count
  }

  /// Whether the node still answers its client.
  func answers() -> Bool {
    guard let session else { return false }
    tick(microseconds: 6_000_000)
    tick()
    command("PING")
    var output: [UInt8] = []
    node.withOutput(of: session) {
      output = Array($0)
      return $0.count
    }
    return output == "+PONG\r\n".bytes
  }
}

@Suite("Peers that say anything at all")
struct HostileFrameTests {
  private static let kinds = (0...255 as ClosedRange<UInt8>).compactMap { QueryKind(rawValue: $0) }

  private static func query(_ kind: QueryKind, _ database: Int, _ parameters: [UInt8]) -> [UInt8] {
    written { buffer in
      parameters.withUnsafeBytes {
        buffer.appendQuery(RequestID(rawValue: 1), kind, database: database, $0)
      }
    }
  }

  private static func forward(_ words: [String], database: Int = 0) -> [UInt8] {
    written { buffer in
      TestClient.request(words.map(\.bytes)).withUnsafeBytes {
        buffer.appendForward(RequestID(rawValue: 1), database: database, resp: 2, request: $0)
      }
    }
  }

  private static func gossip(_ kind: FrameKind, _ body: [UInt8]) -> [UInt8] {
    written { buffer in body.withUnsafeBytes { buffer.appendGossip(kind, $0) } }
  }

  /// A node with some keys and a peer, bad frames each on a link of its own, and a look at whether
  /// it lives.
  private func survives(_ frames: [[UInt8]], _ comment: Comment) {
    let besieged = Besieged(seed: 1)
    besieged.tick()
    for index in 0..<20 { besieged.command("SET key:\(index) value") }
    for frame in frames {
      guard let link = besieged.dialIn() else {
        Issue.record("no link is taken")
        return
      }
      for _ in 0..<2 { besieged.tick() }
      besieged.send(frame, on: link)
      for _ in 0..<2 { besieged.tick(microseconds: 30_000) }
    }
    #expect(besieged.answers(), comment)
    besieged.node.checkInvariants()
  }

  @Test("Queries of every kind with any parameters do not stop a node", arguments: kinds)
  func queries(kind: QueryKind) {
    var generator = SeededGenerator(seed: UInt64(kind.rawValue))
    let lengths = [
      0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 20, 22, 28, 100, 1163, 1164, 2047, 2048, 2049,
      2070, 2071, 3000,
    ]
    for database in [0, 1, 15, 16, 255] {
      let frames = lengths.flatMap { length in
        [
          [UInt8](repeating: 0, count: length), [UInt8](repeating: 255, count: length),
          generator.bytes(length),
        ].map { HostileFrameTests.query(kind, database, $0) }
      }
      survives(frames, "\(kind) in database \(database)")
    }
  }

  @Test("Commands that are not to be forwarded are refused")
  func forwards() {
    let rows: [[String]] = [
      ["OBJECT", "ENCODING"], ["OBJECT", "ENCODING", "k"], ["OBJECT"], ["MSETNX", "a", "1", "b"],
      ["MSETNX"], ["MSETNX", "a"], ["MSETNX", "a", "1", "b", "2"], ["MGET", "a", "b"], ["GET"],
      ["SET", "a"], ["DEL", "a", "b"], ["CLUSTER", "LEAVE"], ["SHUTDOWN"], ["FLUSHALL"],
      ["SELECT", "1"],
      ["VSET", "a", "b", "CONTEXT"], ["XYZ"], [""], ["GET", ""], ["SET", "a", "b", "EX"],
      ["CONFIG", "SET", "timeout", "1"], ["MEMORY", "USAGE"], ["MEMORY", "USAGE", "k"], ["QUIT"],
    ]
    for words in rows {
      for database in [0, 15, 16, 255] {
        let frame = HostileFrameTests.forward(words, database: database)
        survives([frame], "\(words) in database \(database)")
      }
    }
    let raws = [
      "", "*", "*0\r\n", "*-1\r\n", "*1\r\n$-1\r\n", "PING\r\n", "*1\r\n$3\r\nGE", "\r\n",
    ]
    for raw in raws {
      let frame = written { buffer in
        raw.bytes.withUnsafeBytes {
          buffer.appendForward(RequestID(rawValue: 1), database: 0, resp: 2, request: $0)
        }
      }
      survives([frame], "forwarded \(raw.debugDescription)")
    }
  }

  @Test("Gossip that is no gossip closes its link and no more")
  func gossip() {
    var generator = SeededGenerator(seed: 3)
    for kind in [FrameKind.members, .settings, .swim, .digest, .hello, .ping, .hint, .write] {
      for length in [0, 1, 4, 8, 24, 25, 100, 5000] {
        let bodies = [generator.bytes(length), [UInt8](repeating: 255, count: length)]
        survives(
          bodies.map { HostileFrameTests.gossip(kind, $0) }, "\(kind) of \(length) bytes")
      }
    }
  }

  /// Frames that a peer may well send.
  private static func honest(_ generator: inout SeededGenerator) -> [[UInt8]] {
    var frames = FrameSample.all.map(\.bytes).filter { $0[4] != FrameKind.hello.rawValue }
    for kind in kinds {
      for length in [0, 8, 12, 2048, 11 + 128 * 9, 22 + SlotSet.bytes] {
        frames.append(query(kind, generator.below(2), generator.bytes(length)))
        frames.append(query(kind, 0, [UInt8](repeating: 255, count: length)))
      }
      var parameters = generator.bytes(11 + 128 * 9)
      parameters[4] = 255
      parameters[5] = UInt8(generator.below(128))
      parameters[6] = 0
      frames.append(query(kind, 0, parameters))
    }
    for words in [
      ["GET", "key:1"], ["SET", "key:1", "x"], ["INCR", "n"], ["DEL", "key:2"],
      ["MSETNX", "{a}1", "1", "{a}2", "2"], ["VSET", "s:1", "v", "CONTEXT", ""], ["VGET", "s:1"],
      ["EXPIRE", "key:3", "1"], ["APPEND", "key:4", "x"], ["GETDEL", "key:5"],
    ] { frames.append(forward(words)) }
    for length in [0, 4, 12, 30, 400] {
      frames.append(
        written { buffer in
          generator.bytes(length).withUnsafeBytes {
            buffer.appendAnswer(RequestID(rawValue: 1), $0)
          }
        })
      frames.append(
        written { buffer in
          "+OK\r\n".bytes.withUnsafeBytes { buffer.appendReply(RequestID(rawValue: 1), $0) }
        })
    }
    return frames
  }

  /// Frames about members: rare, because each one may make a ring.
  private static func gossiping(_ generator: inout SeededGenerator) -> [UInt8] {
    var member = Besieged.member(
      generator.pick([5, 77, 78, 79]), generator.pick([.joined, .joining, .leaving, .removing]))
    member.revision = UInt32(generator.below(5))
    member.era = UInt32(generator.below(2))
    member.health = generator.pick([.alive, .suspect, .dead])
    member.isFilled = generator.oneIn(2)
    member.prepared = generator.next()
    if generator.oneIn(2) { return Besieged.members([member]) }
    var message = SwimMessage(
      kind: generator.pick([.probe, .ack, .indirect, .nack, .gossip]),
      sequence: UInt32(generator.below(4)), records: [member])
    message.target = generator.pick([5, 77, 1])
    return gossip(.swim, written { message.encode(to: &$0) })
  }

  private func mutate(_ frame: [UInt8], _ generator: inout SeededGenerator, _ asked: [UInt32])
    -> [UInt8]
  {
    var frame = frame
    // Answers to what was really asked, and ids of background work.
    if frame.count >= 9, !asked.isEmpty, generator.oneIn(2) {
      let id = generator.oneIn(4) ? UInt32(generator.below(8)) : generator.pick(asked)
      for index in 0..<4 { frame[5 + index] = UInt8(truncatingIfNeeded: id >> (8 * index)) }
    }
    for _ in 0..<generator.below(4) where frame.count > 5 {
      let index = 5 + generator.below(min(frame.count - 5, generator.oneIn(3) ? 10_000 : 24))
      frame[index] = generator.pick([0, 1, 127, 128, 255, UInt8(generator.below(256))])
    }
    switch generator.below(12) {
    case 0: frame = Array(frame[..<(5 + generator.below(max(1, frame.count - 5)))])
    case 1: frame += generator.bytes(generator.below(20))
    case 2: frame[4] = UInt8(1 + generator.below(18))
    default: break
    }
    let length = frame.count - 4
    for index in 0..<4 { frame[index] = UInt8(truncatingIfNeeded: length >> (8 * index)) }
    return frame
  }

  @Test("20,000 changed frames behind a valid hello do not stop a node", arguments: 1...20)
  func mutated(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let besieged = Besieged(seed: seed)
    let commands = [
      "SET key:1 x", "GET key:1", "INCR n", "DEL key:1 key:2", "MGET key:1 key:2 key:3", "KEYS *",
      "DBSIZE", "SCAN 0", "RANDOMKEY", "CLUSTER TRANSFERS", "CLUSTER PREFLIST key:1",
      "CLUSTER HINTS", "MSETNX {a}1 1 {a}2 2", "APPEND key:4 x", "INFO", "CLUSTER SHARDS",
      "FLUSHDB", "GETDEL key:5", "SET key:7 y PX 5", "VGET s:1", "CLUSTER NODES",
    ]
    besieged.command("CONFIG SET keyspace.s.conflict siblings")
    for index in 0..<50 { besieged.command("SET key:\(index) value") }
    for step in 0..<1000 {
      if besieged.links.isEmpty { _ = besieged.dialIn() }
      guard let link = besieged.links.isEmpty ? nil : generator.pick(besieged.links) else { break }
      let frames = HostileFrameTests.pool
      let isGossip = generator.oneIn(60)
      let frame = isGossip ? HostileFrameTests.gossiping(&generator) : generator.pick(frames)
      let sent = isGossip ? frame : mutate(frame, &generator, besieged.asked)
      besieged.send(sent, on: link.id)
      if generator.oneIn(3) { besieged.command(generator.pick(commands)) }
      if generator.oneIn(2) { besieged.tick(microseconds: UInt64(generator.below(40_000))) }
      if step % 100 == 0 { besieged.node.checkInvariants() }
    }
    besieged.node.checkInvariants()
    #expect(besieged.answers())
    #expect(besieged.closed > 5)
  }

  private static let pool: [[UInt8]] = {
    var generator = SeededGenerator(seed: 99)
    return honest(&generator)
  }()
}
