import Primitives
import RESP

// # A connection's order
//
// Commands of one connection may wait for other nodes at the same time, and still their replies
// leave in request order. While nothing waits, replies go straight to `output`. Behind a waiting
// operation they queue in `staged`, with an entry each:
//
//     output:  ready bytes  │ queue: [op 17 …waiting] [12 bytes staged] [op 18 done] [op 19 …]
//                           └ when op 17 is done, its reply, the 12 bytes and op 18's reply move up
//
// And they *act* in order. Two commands on one key that both run at this node, or both go to the
// same other node over one link, meet there in order. If their ways differ, the second one waits
// until nothing of this connection is under way: `localKeys` and `forwardedKeys` are small filters
// of the keys that are.

/// One client's connection.
struct Session: ~Copyable {
  var generation: UInt32 = 0
  var isOpen = false
  /// The id that CLIENT ID answers.
  var id = 0

  var parser = RequestParser()
  var input = ByteBuffer()
  /// On the heap, so that a reply can be written while the session is looked at.
  let output = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
  var queue = ReplyQueue()

  var database = 0
  var resp: UInt8 = 2
  var flags: SessionFlags = []
  /// The user's place in the node's access control; that of the default user before a login.
  var user = 0

  /// Operations of this connection that wait for other nodes.
  var inFlight = 0
  var forwardsInFlight = 0
  var largeInFlight = 0
  var localKeys: UInt64 = 0
  var forwardedKeys: UInt64 = 0
  /// The routing epoch of the forwarded ones.
  var routeEpoch = 0

  var name = ""
  var libraryName = ""
  var libraryVersion = ""
  var address = ""
  var localAddress = ""
  var descriptor: Int32 = -1
  /// It came by TLS.
  var isEncrypted = false
  var openedAt: UInt64 = 0
  var lastActive: UInt64 = 0
  var lastCommand = -1
  var lastSubcommand = ""
  var commands = 0

  /// Bytes of buffers that are counted for this connection.
  var counted = 0
  /// Since when it has had to log in, in monotonic microseconds.
  var loginSince: UInt64 = 0
  /// Since when the request at hand is incomplete, in monotonic microseconds; 0: there is none.
  var requestSince: UInt64 = 0
  /// Since when more waits to be read than the soft limit allows; 0: it does not.
  var softSince: UInt64 = 0

  init() { output.initialize(to: ByteBuffer()) }

  deinit {
    output.deinitialize(count: 1)
    output.deallocate()
  }

  /// Memory of the connection's buffers.
  var bufferBytes: Int {
    input.capacity + output.pointee.capacity + queue.staged.pointee.capacity
  }

  mutating func open() {
    generation &+= 1
    isOpen = true
    parser = RequestParser()
    input.removeAll()
    output.pointee.removeAll()
    queue.removeAll()
    database = 0
    resp = 2
    flags = []
    user = 0
    inFlight = 0
    forwardsInFlight = 0
    largeInFlight = 0
    localKeys = 0
    forwardedKeys = 0
    name = ""
    libraryName = ""
    libraryVersion = ""
    lastCommand = -1
    lastSubcommand = ""
    commands = 0
    requestSince = 0
    softSince = 0
  }

  /// Memory of the connection, with what the shell keeps for it.
  var memoryBytes: Int {
    bufferBytes + MemoryLayout<Session>.stride + Limits.connectionBytes
  }

  /// Bytes of replies that the client has not read.
  @inline(__always) var waitingBytes: Int {
    output.pointee.totalCount &+ (queue.isEmpty ? 0 : queue.staged.pointee.totalCount)
  }

  /// Gives back the memory that nothing needs now.
  mutating func releaseIdleBuffers() {
    input.shrink(keeping: 0)
    output.pointee.shrink(keeping: 0)
    if queue.isEmpty, queue.holdsMemory { queue.removeAll() }
    queue.staged.pointee.shrink(keeping: 0)
    if parser.isIdle { parser.releaseMemory() }
  }
}

/// What is special about a connection at the moment.
struct SessionFlags: OptionSet {
  let rawValue: UInt32

  /// In the list of sessions with something to write.
  static let dirty = SessionFlags(rawValue: 1 << 0)
  /// Take no more commands; close when all replies are written.
  static let closing = SessionFlags(rawValue: 1 << 1)
  /// The next command waits until nothing is under way.
  static let stalled = SessionFlags(rawValue: 1 << 2)
  /// The shell was told not to read.
  static let paused = SessionFlags(rawValue: 1 << 3)
  /// CLIENT REPLY OFF.
  static let silent = SessionFlags(rawValue: 1 << 4)
  /// CLIENT REPLY SKIP was the last command.
  static let skipNext = SessionFlags(rawValue: 1 << 5)
  /// The reply of the running command is not sent.
  static let skipThis = SessionFlags(rawValue: 1 << 6)
  static let noEvict = SessionFlags(rawValue: 1 << 7)
  static let noTouch = SessionFlags(rawValue: 1 << 8)
  /// The client has sent its last byte.
  static let halfClosed = SessionFlags(rawValue: 1 << 9)
  /// In the list of sessions to go on with at the end of the tick.
  static let resuming = SessionFlags(rawValue: 1 << 10)
  /// More output waits than is allowed; commands wait with it.
  static let choked = SessionFlags(rawValue: 1 << 12)
  /// The shell was told to close.
  static let closeAsked = SessionFlags(rawValue: 1 << 11)
  /// Not everything is allowed: access control is asked before each command.
  static let restricted = SessionFlags(rawValue: 1 << 13)
  /// Has logged in, or came when nobody had to.
  static let authenticated = SessionFlags(rawValue: 1 << 14)
  /// Has to log in before anything else; restricted, too.
  static let needsLogin = SessionFlags(rawValue: 1 << 15)
  /// Is shown the commands of all clients.
  static let monitor = SessionFlags(rawValue: 1 << 24)
  /// In the list of sessions that CLIENT PAUSE holds.
  static let held = SessionFlags(rawValue: 1 << 25)
}

/// The replies behind the first waiting operation, in request order.
struct ReplyQueue: ~Copyable {
  struct Entry {
    /// The operation whose reply comes here; -1 for staged bytes.
    var operation: Int32
    var bytes: Int
  }

  private var entries: [Entry] = []
  private var first = 0
  let staged = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)

  init() { staged.initialize(to: ByteBuffer()) }

  deinit {
    staged.deinitialize(count: 1)
    staged.deallocate()
  }

  @inline(__always) var isEmpty: Bool { first == entries.count }
  var count: Int { entries.count - first }
  var head: Entry { entries[first] }

  mutating func append(operation: Int) {
    entries.append(Entry(operation: Int32(operation), bytes: 0))
  }

  /// `bytes` more were staged.
  mutating func noteStaged(_ bytes: Int) {
    if first < entries.count, entries[entries.count - 1].operation < 0 {
      entries[entries.count - 1].bytes += bytes
    } else {
      entries.append(Entry(operation: -1, bytes: bytes))
    }
  }

  mutating func removeFirst() {
    first += 1
    if first == entries.count {
      entries.removeAll(keepingCapacity: entries.capacity <= 4096)
      first = 0
    } else if first >= 1024, first * 2 >= entries.count {
      entries.removeFirst(first)
      first = 0
    }
  }

  mutating func removeAll() {
    entries.removeAll()
    first = 0
    staged.pointee.removeAll()
  }

  /// Whether there is memory to give back.
  var holdsMemory: Bool { entries.capacity > 0 }

  /// Whether a waiting operation satisfies `condition`.
  func contains(_ condition: (Int) -> Bool) -> Bool {
    for place in first..<entries.count where entries[place].operation >= 0 {
      if condition(Int(entries[place].operation)) { return true }
    }
    return false
  }

  /// The operations that still own a place.
  var operations: [Int] {
    entries[first...].compactMap { $0.operation < 0 ? nil : Int($0.operation) }
  }
}
