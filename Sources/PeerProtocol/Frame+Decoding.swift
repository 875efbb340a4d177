import Objects
import Primitives

extension Frame {
  /// Reads the frame at the front of `bytes`. Cost: constant, apart from sibling sets, which are
  /// checked whole.
  @inline(__always)
  public static func decode(_ bytes: UnsafeRawBufferPointer) -> FrameOutcome {
    guard let length = bytes.integer(0, as: UInt32.self) else { return .incomplete(needed: 5) }
    guard length >= 1, Int(length) <= Limits.frameBytes else {
      return .malformed(.tooLong(Int(length)))
    }
    let total = Int(length) &+ 4
    if bytes.count < total { return partial(bytes, total) }
    guard let kind = FrameKind(rawValue: bytes[4]) else {
      return .malformed(.unknownKind(bytes[4]))
    }
    guard let frame = body(kind, bytes.slice(5, total &- 5)) else {
      return .malformed(kind == .hello ? .notCoterie : .malformed(kind))
    }
    return .frame(frame, length: total)
  }

  private static func partial(_ bytes: UnsafeRawBufferPointer, _ total: Int) -> FrameOutcome {
    if bytes.count > 4, FrameKind(rawValue: bytes[4]) == nil {
      return .malformed(.unknownKind(bytes[4]))
    }
    return .incomplete(needed: total)
  }

  @inline(__always)
  private static func body(_ kind: FrameKind, _ body: UnsafeRawBufferPointer) -> Frame? {
    switch kind {
    case .write, .read, .written, .same, .behind, .object, .hint:
      guard let raw = body.integer(0, as: UInt32.self) else { return nil }
      return replication(kind, RequestID(rawValue: raw), body)
    case .forward, .reply, .query, .answer:
      guard let raw = body.integer(0, as: UInt32.self) else { return nil }
      return routing(kind, RequestID(rawValue: raw), body)
    case .hello, .ping, .pong, .members, .settings, .digest, .swim, .proof:
      return gossip(kind, body)
    }
  }

  @inline(__always)
  private static func replication(
    _ kind: FrameKind, _ id: RequestID, _ body: UnsafeRawBufferPointer
  ) -> Frame? {
    switch kind {
    case .same: return body.count == 4 ? .same(id) : nil
    case .behind: return body.count == 5 ? .behind(id, knows: body[4] != 0) : nil
    case .written:
      guard body.count == 13, let status = WriteStatus(rawValue: body[4]),
        let stamp = body.integer(5, as: UInt64.self)
      else { return nil }
      return .written(id, status, Stamp(rawValue: stamp))
    case .write:
      guard let size = body.integer(6, as: UInt32.self), body.count &- 10 >= Int(size),
        let object = ObjectView.decode(body.slice(10 &+ Int(size), body.count &- 10 &- Int(size)))
      else { return nil }
      return .write(
        id, database: Int(body[4]), key: body.slice(10, Int(size)), object: object,
        wantsAnswer: body[5] != 0)
    case .hint:
      guard let home = body.integer(4, as: UInt64.self),
        let size = body.integer(14, as: UInt32.self), body.count &- 18 >= Int(size),
        let object = ObjectView.decode(body.slice(18 &+ Int(size), body.count &- 18 &- Int(size)))
      else { return nil }
      return .hint(
        id, home: home, database: Int(body[12]), key: body.slice(18, Int(size)), object: object,
        wantsAnswer: body[13] != 0)
    case .read:
      guard body.count >= 29, let stamp = body.integer(5, as: UInt64.self),
        let actor = body.integer(13, as: UInt64.self),
        let digest = body.integer(21, as: UInt64.self)
      else { return nil }
      return .read(
        id, database: Int(body[4]), key: body.slice(29, body.count &- 29),
        held: Version(stamp: Stamp(rawValue: stamp), actor: Actor(rawValue: actor)),
        digest: digest)
    case .object:
      guard let object = ObjectView.decode(body.slice(4, body.count &- 4)) else { return nil }
      return .object(id, object)
    default: return nil
    }
  }

  private static func routing(
    _ kind: FrameKind, _ id: RequestID, _ body: UnsafeRawBufferPointer
  ) -> Frame? {
    switch kind {
    case .forward:
      guard body.count >= 6, body[5] == 2 || body[5] == 3 else { return nil }
      return .forward(
        id, database: Int(body[4]), resp: body[5], request: body.slice(6, body.count - 6))
    case .query:
      guard body.count >= 6, let what = QueryKind(rawValue: body[4]) else { return nil }
      return .query(id, what, database: Int(body[5]), body.slice(6, body.count - 6))
    case .reply: return .reply(id, body.slice(4, body.count - 4))
    case .answer: return .answer(id, body.slice(4, body.count - 4))
    default: return nil
    }
  }

  private static func gossip(_ kind: FrameKind, _ body: UnsafeRawBufferPointer) -> Frame? {
    switch kind {
    case .hello:
      guard body.count >= Hello.byteCount,
        body.integer(0, as: UInt32.self) == PeerProtocolVersion.magic,
        let oldest = body.integer(4, as: UInt16.self),
        let newest = body.integer(6, as: UInt16.self),
        let node = body.integer(8, as: UInt64.self), let actor = body.integer(16, as: UInt64.self),
        let nonce = Nonce(body.slice(24, Nonce.byteCount)), body[56] <= 1
      else { return nil }
      var hello = Hello(
        node: node, actor: Actor(rawValue: actor), nonce: nonce, proves: body[56] == 1)
      hello.oldest = oldest
      hello.newest = newest
      return .hello(hello)
    case .ping, .pong:
      guard body.count == 8, let time = body.integer(0, as: UInt64.self) else { return nil }
      return kind == .ping ? .ping(time) : .pong(time)
    case .members: return .members(body)
    case .settings: return .settings(body)
    case .swim: return .swim(body)
    case .proof: return body.count == Frame.proofBytes ? .proof(body) : nil
    case .digest:
      guard body.count == 24, let members = body.integer(0, as: UInt64.self),
        let settings = body.integer(8, as: UInt64.self),
        let clock = body.integer(16, as: UInt64.self)
      else { return nil }
      return .digest(members: members, settings: settings, clock: Stamp(rawValue: clock))
    default: return nil
    }
  }
}
