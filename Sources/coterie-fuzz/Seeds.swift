import Keyspaces
import Membership
import Objects
import PeerProtocol
import Primitives

// Seeds come from the encoders themselves, so that they follow the formats.

let requestSeeds: [[UInt8]] = [
  "*1\r\n$4\r\nPING\r\n",
  "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
  "PING\r\nSET k \"a\\x00\\n\\\"b\" \r\nGET 'it\\'s'\n\r\n",
  "*2\r\n$3\r\nGET\r\n$0\r\n\r\n*0\r\n*-1\r\nPING\n",
  "*1\r\n$536870913\r\n",
  "*1\r\n$536870912\r\nx",
  "*2147483648\r\n",
  "*2147483647\r\n$1\r\na\r\n",
  "*1\r\n!4\r\nPING\r\n",
  "*x\r\n",
  "*1\r\n$-1\r\n",
  "SET k \"open\r\n",
  "SET k \"a\"b\r\n",
  "*1\r\r$4\rXPING\r\n",
].map { Array($0.utf8) }

// MARK: Objects

private func version(_ stamp: UInt64, _ actor: UInt64) -> Version {
  Version(stamp: Stamp(rawValue: stamp << 16), actor: Actor(rawValue: actor))
}

/// Two writes that raced, of an object that was once `conflict lww`.
private let raced: SiblingSet = {
  let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
  var left = SiblingSet(
    lww: ObjectView(version: version(3, 9), deadline: 0, flags: .tombstone, value: nothing))
  let first = version(5, 1)
  left.write(
    Sibling(version: first, deadline: 0, value: Array("one".utf8)), dot: first,
    replacing: CausalContext())
  return left
}()

private let other: SiblingSet = {
  var right = SiblingSet()
  for (stamp, deadline) in [(4, 0), (6, 1_000), (7, 2_000)] as [(UInt64, UInt64)] {
    let dot = version(stamp, 2)
    right.write(
      Sibling(version: dot, deadline: deadline, value: Array("v\(stamp)".utf8)), dot: dot,
      replacing: CausalContext())
  }
  return right
}()

private let wasLWW: SiblingSet = withExactCopy(of: Array("old".utf8)) { bytes in
  SiblingSet(lww: ObjectView(version: version(8, 3), deadline: 9, flags: .none, value: bytes))
}

let siblingSeeds: [[UInt8]] = [
  Pair.bytes(raced.encoded(), other.encoded()),
  Pair.bytes(other.encoded(), wasLWW.encoded()),
  Pair.bytes(wasLWW.encoded(), wasLWW.encoded()),
  Pair.bytes(join(raced, other).encoded(), raced.encoded()),
  Pair.bytes(SiblingSet().encoded(), join(join(raced, other), wasLWW).encoded()),
  ContextToken.print(CausalContext()),
  ContextToken.print(join(raced, other).context),
]

/// One script a kind of step, one of everything, and one that passes the cap.
let historySeeds: [[UInt8]] =
  (0...9).map { step in [0, 0, 1, 1, 2, 0, step, 2, 5, 1, 5, 0] }
  + [
    (0..<60).flatMap { [UInt8($0 * 7 % 10), UInt8($0)] },
    (0..<150).flatMap { [1, $0 < 105 ? 0 : 1] } + [5, 0, 5, 1, 5, 2],
  ]

// MARK: Frames

private func frames(_ write: (inout ByteBuffer, UnsafeRawBufferPointer) -> Void) -> [UInt8] {
  withExactCopy(of: Array("key".utf8)) { key in written { write(&$0, key) } }
}

private let id = RequestID(rawValue: 7)

private let nonce = withExactCopy(of: Array(1...32)) { Nonce($0) } ?? Nonce()

let frameSeeds: [[UInt8]] =
  [
    frames { buffer, _ in
      buffer.appendHello(Hello(node: 1, actor: Actor(rawValue: 2)))
      buffer.appendHello(Hello(node: 1, actor: Actor(rawValue: 2), nonce: nonce, proves: true))
      withExactCopy(of: Array(33...64)) { buffer.appendGossip(.proof, $0) }
      buffer.appendPing(1)
      buffer.appendPong(2)
      buffer.appendDigest(members: 1, settings: 2, clock: Stamp(rawValue: 3))
    },
    frames { buffer, key in
      let object = ObjectView(version: version(1, 2), deadline: 0, flags: .none, value: key)
      buffer.appendWrite(id, database: 0, key: key, object: object, wantsAnswer: true)
      buffer.appendWritten(id, .superseded, Stamp(rawValue: 3))
      buffer.appendRead(id, database: 1, key: key, held: .none, digest: 0)
      buffer.appendSame(id)
      buffer.appendBehind(id, knows: true)
    },
    frames { buffer, key in
      let empty = UnsafeRawBufferPointer(start: nil, count: 0)
      let dead = ObjectView(version: version(1, 2), deadline: 0, flags: .tombstone, value: empty)
      let mortal = ObjectView(version: version(1, 2), deadline: 9, flags: .none, value: key)
      buffer.appendObject(id, dead)
      buffer.appendObject(id, mortal)
      buffer.appendWrite(id, database: 15, key: empty, object: mortal, wantsAnswer: false)
    },
    frames { buffer, _ in
      withExactCopy(of: join(raced, other).encoded()) { value in
        buffer.appendObject(
          id,
          ObjectView(
            version: join(raced, other).version, deadline: 0, flags: .siblings, value: value))
      }
    },
    frames { buffer, key in
      withExactCopy(of: requestSeeds[1]) { request in
        buffer.appendForward(id, database: 0, resp: 3, request: request)
      }
      buffer.appendReply(id, key)
      buffer.appendQuery(id, .scan, database: 0, key)
      buffer.appendAnswer(id, key)
    },
  ]
  + gossipBodies.map { kind, body in
    frames { buffer, _ in withExactCopy(of: body) { buffer.appendGossip(kind, $0) } }
  }

// MARK: Gossip

private func member(_ id: UInt64, _ name: String) -> Member {
  Member(
    id: id, actor: Actor(rawValue: id), incarnation: 1_600_000_000_000 + id, host: "127.0.0.1",
    port: 7001, peerPort: 17001, name: name, zone: "a", weight: 1, isFilled: true)
}

private let memberBody = written { buffer in
  buffer.append(littleEndian: UInt32(3))
  for record in [member(1, "own"), member(2, "two"), member(3, "three")] {
    record.encode(to: &buffer)
  }
}

private func settingsBody(_ settings: [(name: String, value: String)], _ stamp: UInt64) -> [UInt8] {
  var state = KeyspaceSettings(databases: 16)
  for (index, setting) in settings.enumerated() {
    _ = state.merge(
      SettingRegister(
        name: setting.name, value: setting.value, version: version(stamp, UInt64(index))))
  }
  _ = state.merge(barrier: Stamp(rawValue: stamp), database: 3)
  return written { state.encode(to: &$0) }
}

private let cart = settingsBody(
  [
    ("keyspace.cart.n", "5"), ("keyspace.cart.w", "quorum"), ("keyspace.cart.r", "2"),
    ("keyspace.cart.conflict", "siblings"), ("keyspace.cart.blind-write", "reject"),
    ("keyspace.app:cart.sloppy", "no"), ("keyspace.cart.ttl", "60"),
  ], 5)

private let dropped = settingsBody([("keyspace.cart", ""), ("keyspace.default.n", "1")], 6)

private let gossipBodies: [(FrameKind, [UInt8])] = [
  (.members, memberBody), (.settings, cart), (.settings, dropped),
]

let gossipSeeds: [[UInt8]] = [
  [0] + Pair.bytes(memberBody, memberBody),
  [1] + Pair.bytes(cart, dropped),
  [1] + Pair.bytes(dropped, cart),
]
