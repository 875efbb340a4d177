import Keyspaces
import Membership
import Objects
import PeerProtocol
import Primitives
import RESP

/// What a link made of its bytes.
private struct FrameTrace: Equatable {
  /// Each frame, written again.
  var frames: [[UInt8]] = []
  /// Where each frame ended.
  var ends: [Int] = []
  var error: FrameError?
}

/// The bytes of a peer: cut anywhere they are the same frames, and a frame that is written again is
/// the same bytes.
func checkFrames(_ bytes: [UInt8]) {
  let whole = trace(bytes, .whole(bytes))
  property(trace(bytes, .two(bytes)) == whole, "bytes that come in two are other frames")
  property(trace(bytes, .byteWise(bytes)) == whole, "bytes that come one by one are other frames")
  var start = 0
  for (again, end) in zip(whole.frames, whole.ends) {
    let frame = Array(bytes[start..<end])
    property(again == normalized(frame), "a frame that is written again is other bytes")
    property(trace(again, .whole(again)).frames == [again], "a frame reads otherwise alone")
    checkPrefixes(of: frame)
    start = end
  }
  let concatenated = Array(whole.frames.joined())
  property(
    trace(concatenated, .whole(concatenated)).frames == whole.frames,
    "frames in a row read otherwise than each alone")
}

/// Reads `bytes` as a link does.
private func trace(_ bytes: [UInt8], _ cuts: Cuts) -> FrameTrace {
  var cuts = cuts
  var trace = FrameTrace()
  var taken = 0
  var arrived = 0
  while arrived < bytes.count, trace.error == nil {
    arrived += cuts.next(at: arrived, of: bytes.count)
    withExactCopy(of: bytes[taken..<arrived]) { take($0, &trace, &taken) }
  }
  return trace
}

private func take(
  _ shown: UnsafeRawBufferPointer, _ trace: inout FrameTrace, _ taken: inout Int
) {
  var at = 0
  while at < shown.count {
    let rest = shown.slice(at, shown.count - at)
    switch Frame.decode(rest) {
    case .incomplete(let needed):
      property(needed > rest.count, "a frame needs \(needed) bytes and has \(rest.count)")
      return
    case .malformed(let error):
      trace.error = error
      return
    case .frame(let frame, let length):
      property(length >= 5 && length <= rest.count, "a frame of \(length) of \(rest.count) bytes")
      checkBody(frame)
      trace.frames.append(written { frame.append(to: &$0) })
      at += length
      taken += length
      trace.ends.append(taken)
    }
  }
}

/// What comes of a frame's body when a node takes it up.
private func checkBody(_ frame: Frame) {
  switch frame {
  case .members(let body): checkMembers([UInt8](body))
  case .settings(let body): checkSettings([UInt8](body))
  case .write(_, _, _, let object, _), .object(_, let object): checkObject(object)
  case .forward(_, _, _, let request):
    var parser = RequestParser()
    var arguments = ArgumentList()
    if case .request(let length) = parser.next(request, into: &arguments) {
      property(length <= request.count, "a forwarded command goes beyond its frame")
    }
  default: break
  }
}

private func checkObject(_ object: ObjectView) {
  let set = SiblingSet(object)
  property(set != nil, "an object that was taken can't be merged")
  guard let set else { return }
  checkEncoding(of: set)
  property(set.version == object.version, "an object is of another version than its siblings")
  guard object.isSiblings else { return }
  checkSet([UInt8](object.value))
  property(object.deadline == 0, "an object is more mortal than its siblings")
  property(object.isTombstone == set.siblings.isEmpty, "an object is dead and its siblings live")
}

/// Of a frame that has not come whole a link says that it has not; it needs no more than is missing.
private func checkPrefixes(of frame: [UInt8]) {
  let near = Array(0..<min(frame.count, 48)) + [frame.count / 2, frame.count - 1]
  for length in near {
    withExactCopy(of: frame.prefix(length)) { shown in
      guard case .incomplete(let needed) = Frame.decode(shown) else {
        return property(false, "\(length) of \(frame.count) bytes are taken for something")
      }
      property(needed > length && needed <= frame.count, "\(length) bytes ask for \(needed)")
    }
  }
}

// MARK: Writing again

extension Frame {
  /// Appends the frame as its sender does.
  fileprivate func append(to buffer: inout ByteBuffer) {
    switch self {
    case .hello(let hello): buffer.appendHello(hello)
    case .ping(let time): buffer.appendPing(time)
    case .pong(let time): buffer.appendPong(time)
    case .write(let id, let database, let key, let object, let wantsAnswer):
      buffer.appendWrite(
        id, database: database, key: key, object: object, wantsAnswer: wantsAnswer)
    case .hint(let id, let home, let database, let key, let object, let wantsAnswer):
      object.encoded().withUnsafeBytes {
        buffer.appendHint(
          id, home: home, database: database, key: key, encoded: $0, wantsAnswer: wantsAnswer)
      }
    case .swim(let body): buffer.appendGossip(.swim, body)
    case .proof(let body): buffer.appendGossip(.proof, body)
    case .written(let id, let status, let stamp): buffer.appendWritten(id, status, stamp)
    case .read(let id, let database, let key, let held, let digest):
      buffer.appendRead(id, database: database, key: key, held: held, digest: digest)
    case .same(let id): buffer.appendSame(id)
    case .behind(let id, let knows): buffer.appendBehind(id, knows: knows)
    case .object(let id, let object): buffer.appendObject(id, object)
    case .forward(let id, let database, let resp, let request):
      buffer.appendForward(id, database: database, resp: resp, request: request)
    case .reply(let id, let reply): buffer.appendReply(id, reply)
    case .query(let id, let kind, let database, let parameters):
      buffer.appendQuery(id, kind, database: database, parameters)
    case .answer(let id, let answer): buffer.appendAnswer(id, answer)
    case .members(let body): buffer.appendGossip(.members, body)
    case .settings(let body): buffer.appendGossip(.settings, body)
    case .digest(let members, let settings, let clock):
      buffer.appendDigest(members: members, settings: settings, clock: clock)
    }
  }
}

/// A frame without what reading forgives; everything else must come back byte for byte.
///
/// Forgiven: any byte but 0 for true, a deadline that is given as "none", and what a later release
/// writes behind the hello that this one knows.
private func normalized(_ frame: [UInt8]) -> [UInt8] {
  var frame = frame
  switch FrameKind(rawValue: frame[4]) {
  case .hello: frame = Array(frame.prefix(5 + 57))
  case .behind: frame[5 + 4] = frame[5 + 4] == 0 ? 0 : 1
  case .object: normalizeDeadline(&frame, objectAt: 5 + 4)
  case .write:
    frame[5 + 5] = frame[5 + 5] == 0 ? 0 : 1
    let key = frame.withUnsafeBytes { $0.integer(5 + 6, as: UInt32.self) } ?? 0
    normalizeDeadline(&frame, objectAt: 5 + 10 + Int(key))
  case .hint:
    frame[5 + 13] = frame[5 + 13] == 0 ? 0 : 1
    let key = frame.withUnsafeBytes { $0.integer(5 + 14, as: UInt32.self) } ?? 0
    normalizeDeadline(&frame, objectAt: 5 + 18 + Int(key))
  default: break
  }
  let length = UInt32(frame.count - 4)
  for index in 0..<4 { frame[index] = UInt8(truncatingIfNeeded: length >> UInt32(8 * index)) }
  return frame
}

private func normalizeDeadline(_ frame: inout [UInt8], objectAt start: Int) {
  guard frame[start] & ObjectFlags.deadline.rawValue != 0,
    frame[(start + 17)..<(start + 25)].allSatisfy({ $0 == 0 })
  else { return }
  frame[start] &= ~ObjectFlags.deadline.rawValue
  frame.removeSubrange((start + 17)..<(start + 25))
}
