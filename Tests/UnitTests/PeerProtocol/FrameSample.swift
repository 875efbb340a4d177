import Objects
import PeerProtocol
import Primitives
import Testing

/// A frame as bytes and as text, so that what was decoded can be compared.
struct FrameSample: Sendable, CustomTestStringConvertible {
  let bytes: [UInt8]
  let text: String

  var testDescription: String { text }

  init(_ text: String, _ write: (inout ByteBuffer) -> Void) {
    bytes = written(write)
    self.text = text
  }

  /// What a decoded frame says.
  static func describe(_ frame: Frame) -> String {
    switch frame {
    case .hello(let hello):
      "hello \(hello.oldest) \(hello.newest) \(hello.node) \(hello.actor.rawValue) "
        + "\(hello.bytes[24..<56].map { "\($0)" }.joined()) \(hello.proves)"
    case .ping(let time): "ping \(time)"
    case .pong(let time): "pong \(time)"
    case .write(let id, let database, let key, let object, let wantsAnswer):
      "write \(id.rawValue) \(database) \(key.text) \(describe(object)) \(wantsAnswer)"
    case .written(let id, let status, let stamp):
      "written \(id.rawValue) \(status) \(stamp.rawValue)"
    case .read(let id, let database, let key, let held, let digest):
      "read \(id.rawValue) \(database) \(key.text) \(describe(held)) \(digest)"
    case .same(let id): "same \(id.rawValue)"
    case .behind(let id, let knows): "behind \(id.rawValue) \(knows)"
    case .object(let id, let object): "object \(id.rawValue) \(describe(object))"
    case .forward(let id, let database, let resp, let request):
      "forward \(id.rawValue) \(database) \(resp) \(request.text)"
    case .reply(let id, let reply): "reply \(id.rawValue) \(reply.text)"
    case .query(let id, let kind, let database, let parameters):
      "query \(id.rawValue) \(kind) \(database) \(parameters.text)"
    case .answer(let id, let answer): "answer \(id.rawValue) \(answer.text)"
    case .members(let body): "members \(body.text)"
    case .settings(let body): "settings \(body.text)"
    case .digest(let members, let settings, let clock):
      "digest \(members) \(settings) \(clock.rawValue)"
    case .hint(let id, let home, let database, let key, let object, let wantsAnswer):
      "hint \(id.rawValue) \(home) \(database) \(key.text) \(describe(object)) \(wantsAnswer)"
    case .swim(let body): "swim \(body.text)"
    case .proof(let body): "proof \(body.text)"
    }
  }

  private static func describe(_ version: Version) -> String {
    "\(version.stamp.rawValue)/\(version.actor.rawValue)"
  }

  private static func describe(_ object: ObjectView) -> String {
    let flags = object.flags.without(.deadline).rawValue
    return "[\(describe(object.version)) \(object.deadline) \(flags) \(object.value.text)]"
  }

  private static let id = RequestID(rawValue: 0xdead_beef)
  private static let version = Version(stamp: Stamp(rawValue: 300), actor: Actor(rawValue: 4))

  private static func view(_ value: StaticString, deadline: UInt64 = 0) -> ObjectView {
    ObjectView(
      version: version, deadline: deadline,
      flags: value.utf8CodeUnitCount == 0 ? .tombstone : .none,
      value: raw(value))
  }

  private static func raw(_ text: StaticString) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
  }

  /// Every kind, with empty and with full fields.
  static let all: [FrameSample] = [
    FrameSample("hello 2 2 5 6 \(String(repeating: "0", count: 32)) false") {
      $0.appendHello(Hello(node: 5, actor: Actor(rawValue: 6)))
    },
    FrameSample("hello 2 2 5 6 \((1...32).map { "\($0)" }.joined()) true") { buffer in
      let nonce = Array(UInt8(1)...32).withUnsafeBytes { Nonce($0) } ?? Nonce()
      buffer.appendHello(Hello(node: 5, actor: Actor(rawValue: 6), nonce: nonce, proves: true))
    },
    FrameSample("proof 0123456789abcdef0123456789abcdef") {
      $0.appendGossip(.proof, raw("0123456789abcdef0123456789abcdef"))
    },
    FrameSample("ping 7") { $0.appendPing(7) },
    FrameSample("pong 8") { $0.appendPong(8) },
    FrameSample("write 3735928559 15 key [300/4 0 0 value] true") {
      $0.appendWrite(id, database: 15, key: raw("key"), object: view("value"), wantsAnswer: true)
    },
    FrameSample("write 3735928559 0  [300/4 99 1 ] false") {
      $0.appendWrite(
        id, database: 0, key: raw(""), object: view("", deadline: 99), wantsAnswer: false)
    },
    FrameSample("written 3735928559 merged 5") {
      $0.appendWritten(id, .merged, Stamp(rawValue: 5))
    },
    FrameSample("written 3735928559 superseded 6") {
      $0.appendWritten(id, .superseded, Stamp(rawValue: 6))
    },
    FrameSample("written 3735928559 refused 7") {
      $0.appendWritten(id, .refused, Stamp(rawValue: 7))
    },
    FrameSample("read 3735928559 3 key 300/4 12") {
      $0.appendRead(id, database: 3, key: raw("key"), held: version, digest: 12)
    },
    FrameSample("same 3735928559") { $0.appendSame(id) },
    FrameSample("behind 3735928559 true") { $0.appendBehind(id, knows: true) },
    FrameSample("behind 3735928559 false") { $0.appendBehind(id, knows: false) },
    FrameSample("object 3735928559 [300/4 44 0 v]") {
      $0.appendObject(id, view("v", deadline: 44))
    },
    FrameSample("forward 3735928559 2 3 *1") {
      $0.appendForward(id, database: 2, resp: 3, request: raw("*1"))
    },
    FrameSample("reply 3735928559 +OK") { $0.appendReply(id, raw("+OK")) },
    FrameSample("query 3735928559 slotKeys 1 pq") {
      $0.appendQuery(id, .slotKeys, database: 1, raw("pq"))
    },
    FrameSample("query 3735928559 count 0 ") { $0.appendQuery(id, .count, database: 0, raw("")) },
    FrameSample("answer 3735928559 a") { $0.appendAnswer(id, raw("a")) },
    FrameSample("query 3735928559 version 0 key") {
      $0.appendQuery(id, .version, database: 0, raw("key"))
    },
    FrameSample("hint 3735928559 77 15 key [300/4 0 0 value] true") { buffer in
      view("value").encoded().withUnsafeBytes {
        buffer.appendHint(
          id, home: 77, database: 15, key: raw("key"), encoded: $0, wantsAnswer: true)
      }
    },
    FrameSample("hint 3735928559 1 0  [300/4 99 1 ] false") { buffer in
      view("", deadline: 99).encoded().withUnsafeBytes {
        buffer.appendHint(id, home: 1, database: 0, key: raw(""), encoded: $0, wantsAnswer: false)
      }
    },
    FrameSample("swim s") { $0.appendGossip(.swim, raw("s")) },
    FrameSample("swim ") { $0.appendGossip(.swim, raw("")) },
    FrameSample("members m") { $0.appendGossip(.members, raw("m")) },
    FrameSample("settings ") { $0.appendGossip(.settings, raw("")) },
    FrameSample("digest 1 2 3") {
      $0.appendDigest(members: 1, settings: 2, clock: Stamp(rawValue: 3))
    },
  ]
}
