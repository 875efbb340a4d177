import Membership
import Objects
import PeerProtocol
import Primitives

/// Another member, as this node deals with it.
struct Peer {
  var id: UInt64 = 0
  /// The link that this node dialled; -1 when there is none.
  var outLink = -1
  /// Dialled links in a row that were closed before the other end had said who it is.
  var refusals: UInt8 = 0
  /// Monotonic microseconds; no new attempt before.
  var nextDial: UInt64 = 0
  var health = MemberHealth.alive
  var incarnation: UInt64 = 0
  /// Monotonic microseconds: when its link was last lost.
  var lastAlive: UInt64 = 0
  /// Monotonic microseconds: the end of the last comparison in which this node pulled from it.
  var comparedAt: UInt64 = 0
  /// Unix milliseconds: the beginning of its comparison with this node, and of the last whole one.
  var comparesSince: UInt64 = 0
  /// Not before this is anything pulled from it that it was refused, or compared.
  var pullAt: UInt64 = 0
  var compareAt: UInt64 = 0
  var hasAllUpTo: UInt64 = 0
  /// Monotonic microseconds: when a part of a large value last went to it or came from it.
  var largeAt: UInt64 = 0
  /// Bytes of all links with it.
  var sentBytes = 0
  var receivedBytes = 0
  var dialsFailed = 0
  /// Links that this node dialled and lost: closed by the other side, or given up.
  var linksLost = 0
  var linksGivenUp = 0
}

/// A connection to or from another node.
struct Link: ~Copyable {
  var generation: UInt32 = 0
  var isOpen = false
  /// This node dialled it: its requests go out here.
  var isOutgoing = false
  /// TCP is up.
  var isConnected = false
  /// The other side's hello has come, and its proof where there is a secret.
  var isReady = false
  var isDirty = false
  /// Something came after the hello: the other side means this node.
  var hasSpoken = false
  var closeAsked = false
  /// What both ends said first; see NodeCore+Proof.
  var own = Hello(node: 0, actor: Actor(rawValue: 0))
  var theirs: Hello?
  /// Monotonic microseconds; by then the other end has to have said who it is.
  var unprovenUntil = UInt64.max
  /// It said something wrong about that.
  var wasRefused = false
  /// Where an accepted link comes from.
  var address = ""
  /// Who is at the other end; -1 until its hello.
  var peer = -1
  var endpoint: Endpoint?
  var input = ByteBuffer()
  let output = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
  var health = LinkHealth()
  /// Monotonic microseconds: since when there were always bytes that the other end had not taken; 0
  /// when there are none.
  var waitsSince: UInt64 = 0

  init() { output.initialize(to: ByteBuffer()) }

  deinit {
    output.deinitialize(count: 1)
    output.deallocate()
  }

  /// Memory of the link's buffers.
  var bufferBytes: Int { input.capacity + output.pointee.capacity }

  mutating func open(isOutgoing: Bool, endpoint: Endpoint?) {
    generation &+= 1
    isOpen = true
    self.isOutgoing = isOutgoing
    self.endpoint = endpoint
    isConnected = !isOutgoing
    isReady = false
    isDirty = false
    hasSpoken = false
    closeAsked = false
    theirs = nil
    unprovenUntil = .max
    wasRefused = false
    address = ""
    peer = -1
    input.removeAll()
    output.pointee.removeAll()
    health = LinkHealth()
    waitsSince = 0
  }
}
