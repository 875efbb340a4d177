import Objects
import Primitives

// Frames are appended to the link's output and never built apart.

extension ByteBuffer {
  @inline(__always)
  private mutating func head(_ kind: FrameKind, _ bodyBytes: Int) {
    let place = reserve(5)
    place.storeBytes(of: UInt32(truncatingIfNeeded: bodyBytes &+ 1).littleEndian, as: UInt32.self)
    place.storeBytes(of: kind.rawValue, toByteOffset: 4, as: UInt8.self)
    advance(5)
  }

  public mutating func appendHello(_ hello: Hello) {
    head(.hello, Hello.byteCount)
    append(body: hello)
  }

  mutating func append(body hello: Hello) {
    append(littleEndian: PeerProtocolVersion.magic)
    append(littleEndian: hello.oldest)
    append(littleEndian: hello.newest)
    append(littleEndian: hello.node)
    append(littleEndian: hello.actor.rawValue)
    hello.nonce.append(to: &self)
    append(hello.proves ? 1 : 0)
  }

  public mutating func appendPing(_ time: UInt64) {
    head(.ping, 8)
    append(littleEndian: time)
  }

  public mutating func appendPong(_ time: UInt64) {
    head(.pong, 8)
    append(littleEndian: time)
  }

  @inline(__always)
  public mutating func appendWrite(
    _ id: RequestID, database: Int, key: UnsafeRawBufferPointer, object: ObjectView,
    wantsAnswer: Bool
  ) {
    head(.write, 10 &+ key.count &+ object.encodedSize)
    append(littleEndian: id.rawValue)
    append(UInt8(truncatingIfNeeded: database))
    append(wantsAnswer ? 1 : 0)
    append(littleEndian: UInt32(truncatingIfNeeded: key.count))
    append(key)
    object.encode(attachingTo: &self)
  }

  /// A write whose object is encoded already, but for a value in a blob; it wants an answer.
  @inline(__always)
  public mutating func appendWrite(
    _ id: RequestID, database: Int, key: UnsafeRawBufferPointer, encoded: UnsafeRawBufferPointer,
    blob: Blob? = nil, blobLength: Int = 0
  ) {
    head(.write, 10 &+ key.count &+ encoded.count &+ blobLength)
    append(littleEndian: id.rawValue)
    append(UInt8(truncatingIfNeeded: database))
    append(1)
    append(littleEndian: UInt32(truncatingIfNeeded: key.count))
    append(key)
    append(encoded)
    if let blob { append(blob.bytes.slice(0, blobLength), in: blob) }
  }

  /// A write for an absent owner.
  public mutating func appendHint(
    _ id: RequestID, home: UInt64, database: Int, key: UnsafeRawBufferPointer,
    encoded: UnsafeRawBufferPointer, blob: Blob? = nil, blobLength: Int = 0, wantsAnswer: Bool
  ) {
    head(.hint, 18 &+ key.count &+ encoded.count &+ blobLength)
    append(littleEndian: id.rawValue)
    append(littleEndian: home)
    append(UInt8(truncatingIfNeeded: database))
    append(wantsAnswer ? 1 : 0)
    append(littleEndian: UInt32(truncatingIfNeeded: key.count))
    append(key)
    append(encoded)
    if let blob { append(blob.bytes.slice(0, blobLength), in: blob) }
  }

  @inline(__always)
  public mutating func appendWritten(_ id: RequestID, _ status: WriteStatus, _ stamp: Stamp) {
    head(.written, 13)
    append(littleEndian: id.rawValue)
    append(status.rawValue)
    append(littleEndian: stamp.rawValue)
  }

  @inline(__always)
  public mutating func appendRead(
    _ id: RequestID, database: Int, key: UnsafeRawBufferPointer, held: Version, digest: UInt64
  ) {
    head(.read, 29 &+ key.count)
    append(littleEndian: id.rawValue)
    append(UInt8(truncatingIfNeeded: database))
    append(littleEndian: held.stamp.rawValue)
    append(littleEndian: held.actor.rawValue)
    append(littleEndian: digest)
    append(key)
  }

  @inline(__always)
  public mutating func appendSame(_ id: RequestID) {
    head(.same, 4)
    append(littleEndian: id.rawValue)
  }

  public mutating func appendBehind(_ id: RequestID, knows: Bool) {
    head(.behind, 5)
    append(littleEndian: id.rawValue)
    append(knows ? 1 : 0)
  }

  public mutating func appendObject(_ id: RequestID, _ object: ObjectView) {
    head(.object, 4 + object.encodedSize)
    append(littleEndian: id.rawValue)
    object.encode(attachingTo: &self)
  }

  public mutating func appendForward(
    _ id: RequestID, database: Int, resp: UInt8, request: UnsafeRawBufferPointer
  ) {
    forwardHead(id, database, resp, request.count)
    append(request)
  }

  /// A command with what is attached to it, which leaves `request` empty.
  public mutating func appendForward(
    _ id: RequestID, database: Int, resp: UInt8, moving request: inout ByteBuffer
  ) {
    forwardHead(id, database, resp, request.totalCount)
    append(moving: &request, request.count)
  }

  private mutating func forwardHead(
    _ id: RequestID, _ database: Int, _ resp: UInt8, _ requestBytes: Int
  ) {
    head(.forward, 6 + requestBytes)
    append(littleEndian: id.rawValue)
    append(UInt8(truncatingIfNeeded: database))
    append(resp)
  }

  public mutating func appendReply(_ id: RequestID, _ reply: UnsafeRawBufferPointer) {
    head(.reply, 4 + reply.count)
    append(littleEndian: id.rawValue)
    append(reply)
  }

  /// A reply with what is attached to it, which leaves `reply` empty.
  public mutating func appendReply(_ id: RequestID, moving reply: inout ByteBuffer) {
    head(.reply, 4 + reply.totalCount)
    append(littleEndian: id.rawValue)
    append(moving: &reply, reply.count)
  }

  public mutating func appendQuery(
    _ id: RequestID, _ kind: QueryKind, database: Int, _ parameters: UnsafeRawBufferPointer
  ) {
    head(.query, 6 + parameters.count)
    append(littleEndian: id.rawValue)
    append(kind.rawValue)
    append(UInt8(truncatingIfNeeded: database))
    append(parameters)
  }

  public mutating func appendAnswer(_ id: RequestID, _ answer: UnsafeRawBufferPointer) {
    head(.answer, 4 + answer.count)
    append(littleEndian: id.rawValue)
    append(answer)
  }

  /// An answer with what is attached to it, which leaves `answer` empty.
  public mutating func appendAnswer(_ id: RequestID, moving answer: inout ByteBuffer) {
    head(.answer, 4 + answer.totalCount)
    append(littleEndian: id.rawValue)
    append(moving: &answer, answer.count)
  }

  public mutating func appendGossip(_ kind: FrameKind, _ body: UnsafeRawBufferPointer) {
    head(kind, body.count)
    append(body)
  }

  public mutating func appendDigest(members: UInt64, settings: UInt64, clock: Stamp) {
    head(.digest, 24)
    append(littleEndian: members)
    append(littleEndian: settings)
    append(littleEndian: clock.rawValue)
  }
}

// MARK: Fields

extension ByteBuffer {
  /// A string of at most 65,535 bytes behind its length.
  public mutating func append(field text: String) {
    let bytes = Array(text.utf8.prefix(65_535))
    append(littleEndian: UInt16(bytes.count))
    append(bytes)
  }
}

/// Reads fields one after the other from bytes that may end early; nil ends it.
public struct FieldReader {
  private let bytes: UnsafeRawBufferPointer
  private var at = 0

  public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  public var isAtEnd: Bool { at == bytes.count }
  public var rest: UnsafeRawBufferPointer { bytes.slice(at, bytes.count - at) }

  public mutating func integer<T: FixedWidthInteger>(_ type: T.Type) -> T? {
    guard let value = bytes.integer(at, as: type) else { return nil }
    at += MemoryLayout<T>.size
    return value
  }

  public mutating func text() -> String? {
    guard let count = integer(UInt16.self), let raw = take(Int(count)) else { return nil }
    return String(validating: raw, as: UTF8.self)
  }

  public mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
    guard count >= 0, bytes.count - at >= count else { return nil }
    defer { at += count }
    return bytes.slice(at, count)
  }
}
