import Coordination
import Objects
import PeerProtocol
import Primitives

// # Operations
//
// What waits for other nodes. The states:
//
//     read      asked R-1 owners ──same/behind/object──▶ R answered ─▶ reply ─▶ lingers for late
//     write     merged here, sent ──written───────────▶ W answered ─▶ reply ─▶ lingers for late
//     modify    holds the key's lock, reads as above ─▶ evaluates ─▶ writes as above
//     forward   sent whole to an owner ──reply────────▶ reply
//     gather    waits for its children: the parts of MGET, MSET, DEL, DBSIZE, …
//     query     asked one node about its part ──answer─▶ gather
//
// Each can fail: its deadline passes, or the links it depends on close. A failed read applied
// nothing, which `-NOREPLICAS` says; a failed write or forward may have: `-NOQUORUM`.
//
// Operations live in a slab and keep their buffers, so that a quorum GET or SET allocates nothing
// once the slab is warm. Its place and a 16-bit generation are the request's id on the wire.

enum OperationKind: UInt8 {
  case read, write, modify, forward, gather, query
}

/// Who gets the reply.
enum Origin {
  case session(SessionID)
  /// A node that forwarded the command.
  case link(LinkID, RequestID)
  /// Part `position` of a gather.
  case parent(Int, generation: UInt16, position: Int)
  /// Delivered, or nobody.
  case none
}

struct Operation: ~Copyable {
  let index: Int
  var generation: UInt16 = 0
  var isTaken = false
  var kind = OperationKind.read
  var isDone = false
  var origin = Origin.none
  var handler = Handler.get
  var database = 0
  var resp: UInt8 = 2
  var slot = 0
  /// W and R of the key's keyspace when the operation began.
  var write = 1
  var read = 1
  var hash: UInt64 = 0
  var quorum = Quorum(needed: 1)
  /// Peer indices of the slot's owners at the start, by rank.
  var owners = InlineArray<14, UInt16>(repeating: 0)
  /// Owners in the ring that is read from come first; behind them, while the ring changes, those
  /// that only the other one gives.
  var ringCount = 0
  var ownerCount = 0
  /// Owners in the other ring, and its W; none while the ring rests.
  var others = OwnerSet()
  var otherWrite = 0
  /// Places that a fallback has taken, and whose they are.
  var standIns = OwnerSet()
  var homes = InlineArray<14, UInt16>(repeating: 0)
  var isSloppy = true
  /// `RingPlan.targetID` when it began.
  var planID: UInt64 = 0
  /// Owners that answered with less than the best version.
  var stale = OwnerSet()
  /// Owners that have been asked for this read at all.
  var asked = OwnerSet()
  /// Monotonic microseconds; see `timeEnds`.
  var deadline: UInt64 = 0
  /// However much time it gets, it is over by then.
  var latest: UInt64 = 0
  /// Its time was over, and it got more.
  var hasMoreTime = false
  var hedgeAt: UInt64 = 0
  /// The version that the reply shows (read) or that was stamped (write).
  var version = Version.none
  /// The connection's keys filter has this operation among the forwarded ones.
  var isForward = false
  /// How often a write had to go out with a later stamp.
  var restamps = 0
  /// Clocks may differ by `max-clock-skew`, and one more stamp is above all that was seen.
  static let mostRestamps = 3
  /// Counted among the node's pending reads.
  var isCountedRead = false
  /// Counted among its connection's large replies.
  var isLarge = false
  var holdsLock = false
  /// A modify that has read its quorum and written.
  var hasWritten = false
  /// For forward and query: the peer asked.
  var target = 0
  /// Of a forwarded command.
  var forwardedBytes = 0
  /// The command in RESP, or the key alone for a read and a blind write.
  var request = ByteBuffer()
  var keyLength = 0
  /// The value of a big object that is sent: `request` has only its head then.
  private(set) var blob: Blob?
  /// How much of it is the value: it may grow behind that.
  private(set) var blobLength = 0
  let reply = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
  var gather: Gather?
  /// Waits behind another's lock; it starts anew when its turn comes.
  var isWaiting = false
  /// Part of a command that holds the locks of its keys.
  var ignoresLocks = false
  /// The client wants no reply.
  var isSilent = false
  /// Of a client's operation: the number of the command's entry, and when it began to run.
  var command = -1
  var startedAt: UInt64 = 0
  /// Its words cut short, for SLOWLOG.
  var words = ByteBuffer()

  init(index: Int) {
    self.index = index
    reply.initialize(to: ByteBuffer())
  }

  deinit {
    blob?.release()
    reply.deinitialize(count: 1)
    reply.deallocate()
  }

  var requestID: RequestID {
    RequestID(rawValue: UInt32(generation) << 16 | UInt32(truncatingIfNeeded: index))
  }

  var key: UnsafeRawBufferPointer { request.readable.slice(0, keyLength) }

  /// Keeps the object of a write behind the key. A big value is referred to, not copied.
  mutating func keep(_ object: ObjectView) {
    request.truncate(to: keyLength)
    if let big = object.blob, !object.isSiblings {
      big.retain()
      releaseBlob()
      blob = big
      blobLength = object.value.count
      object.encodeHead(to: &request)
    } else {
      releaseBlob()
      object.encode(to: &request)
    }
  }

  mutating func releaseBlob() {
    blob?.release()
    blob = nil
    blobLength = 0
  }

  /// The object that was kept.
  var keptObject: ObjectView? {
    guard var kept = ObjectView.decode(object) else { return nil }
    if let blob {
      kept.value = blob.bytes.slice(0, blobLength)
      kept.blob = blob
    }
    return kept
  }

  /// Of a write: the encoded object, behind the key; without its value when there is a blob.
  var object: UnsafeRawBufferPointer {
    request.readable.slice(keyLength, request.count - keyLength)
  }

  mutating func reset(_ kind: OperationKind) {
    generation &+= 1
    // 0 is that of background work: see `takeBackgroundAnswer`.
    if generation == 0 { generation = 1 }
    isTaken = true
    self.kind = kind
    isDone = false
    origin = .none
    quorum = Quorum(needed: 1)
    ownerCount = 0
    ringCount = 0
    others = OwnerSet()
    otherWrite = 0
    standIns = OwnerSet()
    stale = OwnerSet()
    asked = OwnerSet()
    hasMoreTime = false
    target = 0
    forwardedBytes = 0
    hedgeAt = .max
    version = .none
    isForward = false
    restamps = 0
    isCountedRead = false
    isLarge = false
    holdsLock = false
    hasWritten = false
    request.removeAll()
    releaseBlob()
    reply.pointee.removeAll()
    keyLength = 0
    gather = nil
    isWaiting = false
    ignoresLocks = false
    isSilent = false
    command = -1
    words.removeAll()
  }

  /// Whose the place is: who stands in there does so for another.
  func home(_ rank: Int) -> Int { Int(standIns.contains(rank) ? homes[rank] : owners[rank]) }

  /// The rank of a peer among the owners.
  func rank(of peer: Int) -> Int? {
    for rank in 0..<ownerCount where Int(owners[rank]) == peer { return rank }
    return nil
  }
}

/// How the parts of a command over several keys or nodes become one reply.
enum Combination: Sendable {
  case array
  case sum
  case allOK
  /// MSETNX: first the keys are looked for, then written.
  case noneExists
  case count
  case keys
  case randomKey
  case scan
  case flushClock
  case flush
  case slotCount
  case slotKeys
  case preferenceList
  case transfers
}

/// A gather's parts. A class, because it is rare and long.
final class Gather {
  let combination: Combination
  var results: [[UInt8]]
  /// Results with large values in them, by position: `results` has nothing there.
  var largeResults: [Int: LargeReply] = [:]
  var missing: Int
  var error: [UInt8]?
  /// Its parts change something, so that a failed part leaves the whole in doubt.
  var isWrite = false
  /// The command's words, for those that go in phases.
  var words: [[UInt8]] = []
  var scan: ScanState?

  init(_ combination: Combination, parts: Int) {
    self.combination = combination
    results = Array(repeating: [], count: parts)
    missing = parts
  }
}

/// The reply of one part.
enum PartReply {
  case small([UInt8])
  case large(LargeReply)

  /// Takes what is in `buffer`: values that are attached to it are not copied.
  init(moving buffer: inout ByteBuffer) {
    guard _slowPath(buffer.attachedCount > 0) else {
      self = .small(buffer.bytes)
      return
    }
    let large = LargeReply()
    large.bytes.append(moving: &buffer, buffer.count)
    self = .large(large)
  }
}

final class LargeReply {
  var bytes = ByteBuffer()
}

/// Where a SCAN that asks several nodes stands.
struct ScanState {
  var slot: Int
  var found: [[UInt8]] = []
  var wanted: Int
  var hops = 0
  var parameters: [UInt8]
}
