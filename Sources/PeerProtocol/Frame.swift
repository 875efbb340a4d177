import Objects
import Primitives

// # The peer protocol
//
// Nodes talk over TCP in frames: a length, a kind, a body. All integers are little-endian.
//
//     u32 length of what follows | u8 kind | body
//
// The first frame in each direction is `hello`: who speaks, and which versions of the protocol it
// knows. Both take the highest version that both know; without one the link is closed with a line
// in the log. Kinds of a later version are only sent on links that agreed on it, so two releases
// can talk. A frame that can't be read closes its link and is counted; it never stops a node.
//
// Where the cluster has a secret both prove that they know it, before anything else is taken:
//
//     dialler   hello ─▶        proof ─▶
//     acceptor        ◀─ hello         ◀─ proof, and from here on everything else
//
// A proof is HMAC-SHA256 over both hellos, each with 32 bytes that were never used before, and the
// role of who proves: it fits one link and one direction, so a recorded one and a reflected one are
// worth nothing. The dialler proves first: who only knocks gets nothing to guess the secret by.
//
// Each node dials every other one. Requests go out on the link that the node dialled, and their
// answers come back on it, so requests from one node to another are taken in the order in which
// they were sent. `write`, `read` and their answers may be lost, doubled or come in another order
// without harm: they carry versions, and all they do is merge. `forward` may do none of these.
//
//     request        body                                            answers
//     write          id, database, key, object                       written
//     hint           id, absent owner, database, key, object         written
//     read           id, database, version held, key                 same, behind, object
//     forward        id, database, resp, arguments in RESP           reply
//     query          id, what, database, parameters                  answer
//     ping           sender's clock                                  pong
//     swim           a message of the failure detector               swim
//     members, settings, digest                                      (gossip: none)
//
// `same` is 5 bytes after the length: the usual read costs two small frames and no value.

/// What a frame says.
public enum FrameKind: UInt8, Sendable {
  case hello = 1
  case ping = 2
  case pong = 3
  case write = 4
  case written = 5
  case read = 6
  case same = 7
  case behind = 8
  case object = 9
  case forward = 10
  case reply = 11
  case query = 12
  case answer = 13
  case members = 14
  case settings = 15
  case digest = 16
  case hint = 17
  case swim = 18
  case proof = 19
}

/// What a `query` asks a node about its own part of the data.
public enum QueryKind: UInt8, Sendable {
  case count = 1
  case keys = 2
  case scan = 3
  case randomKey = 4
  case clock = 5
  case flush = 6
  case slotCount = 8
  case slotKeys = 9
  /// The three levels of a comparison of hash trees: see NodeCore+Exchange.
  case compare = 10
  case branch = 11
  case want = 12
  /// The asker has all that this node had when the comparison began.
  case compared = 13
  /// A batch of hints for the node that is asked.
  case hints = 14
  /// The asker has slots that are the asked one's: it should compare them.
  case handover = 15
  /// The asker has pulled what was handed over.
  case taken = 17
  /// The version of one key, for CLUSTER PREFLIST.
  case version = 16
  /// How far the asked node is with moving slots, for CLUSTER TRANSFERS.
  case progress = 18
}

/// The versions of the protocol that this release knows.
public enum PeerProtocolVersion {
  public static let oldest: UInt16 = 2
  public static let newest: UInt16 = 2
  static let magic: UInt32 = 0x5254_4f43  // "COTR" on the wire
}

/// Names one waiting operation of the asking node; an answer brings it back.
public struct RequestID: Hashable, Sendable {
  public var rawValue: UInt32
  @inline(__always) public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// The first frame on a link.
public struct Hello: Equatable, Sendable {
  public var oldest = PeerProtocolVersion.oldest
  public var newest = PeerProtocolVersion.newest
  public var node: UInt64
  public var actor: Actor
  /// Never used before.
  public var nonce: Nonce
  /// The sender has a cluster secret: it wants a proof, and has one.
  public var proves: Bool

  public init(node: UInt64, actor: Actor, nonce: Nonce = Nonce(), proves: Bool = false) {
    self.node = node
    self.actor = actor
    self.nonce = nonce
    self.proves = proves
  }

  /// The bytes of the body, for a proof.
  public var bytes: [UInt8] {
    var buffer = ByteBuffer()
    buffer.append(body: self)
    return buffer.bytes
  }

  static let byteCount = 57

  /// The version both sides know; nil when there is none.
  public var agreed: UInt16? {
    let version = min(newest, PeerProtocolVersion.newest)
    return version >= max(oldest, PeerProtocolVersion.oldest) ? version : nil
  }
}

/// 32 bytes of chance, in place: a frame holds no reference.
public struct Nonce: Equatable, Sendable {
  public static let byteCount = 32
  private var first: UInt64 = 0
  private var second: UInt64 = 0
  private var third: UInt64 = 0
  private var fourth: UInt64 = 0

  public init() {}

  /// Nil for any other number of bytes.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count == Nonce.byteCount, let first = bytes.integer(0, as: UInt64.self),
      let second = bytes.integer(8, as: UInt64.self),
      let third = bytes.integer(16, as: UInt64.self),
      let fourth = bytes.integer(24, as: UInt64.self)
    else { return nil }
    self.first = first
    self.second = second
    self.third = third
    self.fourth = fourth
  }

  func append(to buffer: inout ByteBuffer) {
    for word in [first, second, third, fourth] { buffer.append(littleEndian: word) }
  }
}

/// How a replica took a write.
public enum WriteStatus: UInt8, Sendable {
  /// The replica holds this write, or one that includes it.
  case merged = 0
  /// The replica holds a later version, named in the frame; the write counts as merged and lost.
  case superseded = 1
  /// Not taken: the stamp is too far ahead of the replica's clock.
  case refused = 2
}

/// A received frame, its contents still in the link's buffer.
public enum Frame {
  /// An HMAC-SHA256.
  public static let proofBytes = 32

  case hello(Hello)
  case ping(UInt64)
  case pong(UInt64)
  case write(
    RequestID, database: Int, key: UnsafeRawBufferPointer, object: ObjectView, wantsAnswer: Bool)
  case written(RequestID, WriteStatus, Stamp)
  case read(RequestID, database: Int, key: UnsafeRawBufferPointer, held: Version, digest: UInt64)
  case same(RequestID)
  /// The replica holds an older version or nothing; `knows` is false when it can't tell what it
  /// should hold, because it lost its memory and is not refilled yet.
  case behind(RequestID, knows: Bool)
  case object(RequestID, ObjectView)
  case forward(RequestID, database: Int, resp: UInt8, request: UnsafeRawBufferPointer)
  case reply(RequestID, UnsafeRawBufferPointer)
  case query(RequestID, QueryKind, database: Int, UnsafeRawBufferPointer)
  case answer(RequestID, UnsafeRawBufferPointer)
  case members(UnsafeRawBufferPointer)
  case settings(UnsafeRawBufferPointer)
  case digest(members: UInt64, settings: UInt64, clock: Stamp)
  /// A write for `home`, an owner that is away, to be kept and delivered.
  case hint(
    RequestID, home: UInt64, database: Int, key: UnsafeRawBufferPointer, object: ObjectView,
    wantsAnswer: Bool)
  case swim(UnsafeRawBufferPointer)
  /// That the sender knows the cluster secret.
  case proof(UnsafeRawBufferPointer)
}

/// Why bytes are no frame.
public enum FrameError: Error, Equatable, Sendable {
  case tooLong(Int)
  case unknownKind(UInt8)
  case malformed(FrameKind)
  case notCoterie
}

/// What one look at a link's bytes yielded.
public enum FrameOutcome {
  case frame(Frame, length: Int)
  /// At least this many bytes must be there before another look can help.
  case incomplete(needed: Int)
  case malformed(FrameError)
}
