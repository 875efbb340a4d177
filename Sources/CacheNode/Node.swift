import Objects
import PeerProtocol
import Primitives

// # A node without I/O
//
// One whole cache node, and the only place where the machines meet. Whoever holds it, the server's
// event loop or the simulator, tells it what happened and then looks at what it wants:
//
//     events                                   what they leave behind
//     opened, received, closed (clients)       bytes in outputs, listed in `dirtySessions`
//     accepted, opened, received, closed (links)     and `dirtyLinks`
//     finishTick(now)                          `actions`: dial, close, save, log, …
//
// A node reads no clock, draws no randomness but from its seed, and depends on no hash order: the
// same events give the same bytes.
//
// The way of a GET through the files of this part:
//
//     NodeCore+Sessions   bytes → requests, one after the other
//     NodeCore+Dispatch   the command's entry; its key's slot, keyspace and owners; here, there, or
//                         through an operation
//     Evaluator           the object and the words → the reply
//     NodeCore+Quorum     the operation that waits for the owners' answers
//     NodeCore+Links      frames from and to other nodes
//
// The hot state is one non-copyable struct, `NodeCore`, entered once an event: fields of a class
// cost an exclusivity check each (CRAFT.md: 14 ns against 3).

/// One cache node. See the essay above; the methods say only what their event is.
public final class Node {
  private var core: NodeCore

  public init(_ configuration: NodeConfiguration, now: Instant) {
    core = NodeCore(configuration, now: now)
    core.start()
  }

  // MARK: Clients

  /// A client connected. Nil when there is no place for it.
  public func sessionOpened(
    address: String, localAddress: String, descriptor: Int32, isEncrypted: Bool = false,
    now: Instant
  ) -> SessionID? {
    core.now = now
    let id = core.openSession(address, localAddress, descriptor)
    if let id { core.sessions[id.index].pointee.isEncrypted = isEncrypted }
    return id
  }

  /// A client sent bytes. They are all taken.
  public func sessionReceived(_ id: SessionID, _ bytes: UnsafeRawBufferPointer, now: Instant) {
    core.now = now
    core.receive(id, bytes)
  }

  /// A client sent its last byte; its replies still go out.
  public func sessionHalfClosed(_ id: SessionID, now: Instant) {
    core.now = now
    core.halfClose(id)
  }

  public func sessionClosed(_ id: SessionID, now: Instant) {
    core.now = now
    core.closeSession(id)
  }

  // MARK: Peers

  /// A peer dialled this node. Nil when there is no place for it.
  public func linkAccepted(from address: String = "", now: Instant) -> LinkID? {
    core.now = now
    return core.acceptLink(from: address)
  }

  /// The other end of a dialled link did not want this node, or is not who it should be: TLS failed.
  public func linkRefused(_ id: LinkID, _ why: String, now: Instant) {
    core.now = now
    core.linkRefused(id, why)
  }

  /// A link that this node dialled is open.
  public func linkOpened(_ id: LinkID, now: Instant) {
    core.now = now
    core.linkOpened(id)
  }

  public func linkReceived(_ id: LinkID, _ bytes: UnsafeRawBufferPointer, now: Instant) {
    core.now = now
    core.linkReceived(id, bytes)
  }

  /// A link closed or could not be opened.
  public func linkClosed(_ id: LinkID, now: Instant) {
    core.now = now
    core.linkClosed(id)
  }

  // MARK: Time

  /// All events of one round were told: go on with what waited for them, and with what is due.
  public func finishTick(now: Instant) {
    core.now = now
    core.finishTick()
  }

  /// When `finishTick` should be called at the latest, in monotonic microseconds.
  public var nextDue: UInt64 { core.nextDue }

  /// CONFIG REWRITE ended; nil for success.
  public func rewriteFinished(_ id: SessionID, error: String?, now: Instant) {
    core.now = now
    core.rewriteFinished(id, error)
  }

  /// ACL SAVE's file was written, or not.
  public func usersSaved(_ id: SessionID, error: String?, now: Instant) {
    core.now = now
    core.usersSaved(id, error)
  }

  /// ACL LOAD's file was read, or why it can't be.
  public func usersRead(_ id: SessionID, _ result: ReadFile, now: Instant) {
    core.now = now
    core.usersRead(id, result)
  }

  /// The process has stood still as DEBUG SLEEP asked.
  public func slept(_ id: SessionID, now: Instant) {
    core.now = now
    core.slept(id)
  }

  /// What a client from there is told and then closed: there are enough, or protected mode keeps it out.
  public func refusal(of address: String) -> String? { core.refusal(of: address) }

  /// TLS handshakes that may be under way at once, of clients or at the peer port, where as many links
  /// may be open beside them before it is known whose they are.
  public func handshakesAllowed(ofPeers: Bool) -> Int {
    ofPeers ? core.clients.shares.strangers : core.handshakesAllowed
  }

  /// Whether as many links as may be have not said whose they are, and the oldest of them was opened
  /// less than `Limits.strangerGrace` ago.
  public func areStrangersYoung(now: Instant) -> Bool {
    core.areStrangersYoung(at: now.monotonicMicroseconds)
  }

  // MARK: What the shell takes

  /// Moves the actions to `list`, whose storage the node takes in exchange.
  public func takeActions(into list: inout [Action]) {
    list.removeAll(keepingCapacity: true)
    swap(&list, &core.actions)
  }

  /// Moves the sessions that have something to write to `list`.
  public func takeDirtySessions(into list: inout [SessionID]) {
    list.removeAll(keepingCapacity: true)
    swap(&list, &core.dirtySessions)
    for id in list { core.sessions[id.index].pointee.flags.remove(.dirty) }
  }

  public func takeDirtyLinks(into list: inout [LinkID]) {
    list.removeAll(keepingCapacity: true)
    swap(&list, &core.dirtyLinks)
    for id in list { core.links[id.index].pointee.isDirty = false }
  }

  /// Shows the bytes that wait for a client, run by run; `write` says how many it took, and is not
  /// shown more than `most`. True when more wait.
  @discardableResult
  public func withOutput(
    of id: SessionID, atMost most: Int = Limits.bytesWrittenAtOnce,
    _ write: (UnsafeRawBufferPointer) -> Int
  ) -> Bool {
    let session = core.sessions[id.index]
    guard session.pointee.generation == id.generation, session.pointee.isOpen else { return false }
    let before = session.pointee.output.pointee.totalCount
    let waits = Node.show(session.pointee.output, most, write)
    let taken = before &- session.pointee.output.pointee.totalCount
    core.statistics.pointee.outputBytes &+= taken
    core.statistics.pointee.writes &+= 1
    // Who reads is not idle, but a stranger has its time and no more.
    if _slowPath(waits), taken > 0, !session.pointee.flags.contains(.needsLogin) {
      session.pointee.lastActive = core.monotonic
    }
    session.pointee.output.pointee.shrink(keeping: Limits.idleBufferBytes)
    if _slowPath(waits || session.pointee.counted > Limits.largeBufferBytes) {
      core.recount(id.index)
    }
    if _slowPath(session.pointee.flags.contains(.choked)) { core.outputWritten(id.index) }
    return waits
  }

  @discardableResult
  public func withOutput(of id: LinkID, _ write: (UnsafeRawBufferPointer) -> Int) -> Bool {
    let link = core.links[id.index]
    guard link.pointee.generation == id.generation, link.pointee.isOpen else { return false }
    let before = link.pointee.output.pointee.totalCount
    let waits = Node.show(link.pointee.output, Limits.peerBytesWrittenAtOnce, write)
    let taken = before &- link.pointee.output.pointee.totalCount
    if _slowPath(waits != (link.pointee.waitsSince != 0)) {
      link.pointee.waitsSince = waits ? core.monotonic : 0
    }
    if link.pointee.peer > 0 { core.peers[link.pointee.peer].pointee.sentBytes &+= taken }
    if _slowPath(waits), taken > 0 {
      if link.pointee.isOutgoing { link.pointee.health.progressed(taken, at: core.monotonic) }
      if link.pointee.peer > 0, link.pointee.output.pointee.attachedCount > 0 {
        core.peers[link.pointee.peer].pointee.largeAt = core.monotonic
      }
    }
    link.pointee.output.pointee.shrink(keeping: Limits.idleBufferBytes << 4)
    return waits
  }

  @inline(__always)
  private static func show(
    _ output: UnsafeMutablePointer<ByteBuffer>, _ most: Int,
    _ write: (UnsafeRawBufferPointer) -> Int
  ) -> Bool {
    var left = most
    while left > 0, !output.pointee.isEmpty {
      let run = output.pointee.nextRun
      let shown = run.slice(0, min(run.count, left))
      let taken = write(shown)
      output.pointee.consumeRun(taken)
      left -= taken
      if taken < shown.count { return true }
    }
    return !output.pointee.isEmpty
  }

  /// The level that is logged.
  public var logLevel: LogLevel { core.logLevel }
  public var maximumClients: Int { core.clients.shares.clients }
  public var keepAliveSeconds: Int { core.parameters.number("tcp-keepalive") }

  /// The state to save at the end.
  public var savedState: SavedState { core.savedState() }

  /// Stops taking commands; true when nothing is under way any more.
  public func drain(now: Instant) -> Bool {
    core.now = now
    return core.drain()
  }

  // MARK: For operators

  /// Writes everything that is counted in Prometheus's text format; see NodeCore+Metrics.
  public func writeMetrics(into text: inout ByteBuffer, of shell: ShellFigures, now: Instant) {
    core.now = now
    core.writeMetrics(into: &text, shell)
  }

  /// Why clients should not be sent here now; nil when they may be.
  public func unreadiness(now: Instant) -> String? {
    core.now = now
    return core.unreadiness()
  }

  // MARK: For the simulator and tests

  /// Every object of this node, or those in slots that are its own: database, key, canonical bytes,
  /// sorted.
  public func snapshot(
    now: Instant, ownSlotsOnly: Bool = false
  ) -> [(database: Int, key: [UInt8], object: [UInt8])] {
    core.snapshot(at: now.wallMilliseconds, ownSlotsOnly: ownSlotsOnly)
  }

  /// How this node sees a key's owners, for the simulator's traces.
  public func trace(_ key: [UInt8]) -> String { core.trace(key) }

  public func statistics() -> NodeStatistics { core.statistics.pointee }
  public var settingsText: String { core.settingsText() }
  public func checkInvariants() { core.table.checkInvariants() }
  public var hasClusterFormed: Bool { core.clusterState == .ok }
  public var memberCount: Int { core.members.count }
  /// Members that this node believes to be alive, itself included.
  public var membersAlive: Int { core.members.members.count { $0.health == .alive } }
  /// A ring change is under way.
  public var isChanging: Bool { core.isChanging || core.plan.isForming }
  public var isRemoved: Bool { core.clusterState == .removed }
  public var hintCount: Int { core.hints.count }
  public var hexID: String { core.members.own.hexID }
  public var isFilled: Bool { core.members.own.isFilled }
  public var peersAlive: Int { core.alivePeers() }
}

/// What became of reading a file.
public enum ReadFile: Sendable {
  case bytes([UInt8])
  case failed(String)
}

/// What a node counted since its start.
public struct NodeStatistics: Sendable {
  public var commands = 0
  public var evicted = 0
  public var evictedClients = 0
  /// Writes of other nodes that found no room.
  public var refusedForMemory = 0
  public var connections = 0
  public var rejectedConnections = 0
  public var inputBytes = 0
  /// Reads from and writes to clients.
  public var reads = 0
  public var writes = 0
  public var outputBytes = 0
  public var peerInputBytes = 0
  public var hits = 0
  public var misses = 0
  public var expired = 0
  public var errors = 0
  public var forwards = 0
  public var quorumReads = 0
  public var quorumWrites = 0
  /// Stale or missing copies that a read brought up to date.
  public var readRepairs = 0
  /// Writes that a later version made void: under LWW nobody will see them.
  public var discarded = 0
  public var conflicts = 0
  public var siblingsResolved = 0
  public var refusedStamps = 0
  public var badFrames = 0
  /// Links that were closed because the other end did not prove that it belongs to the cluster.
  public var refusedLinks = 0
  public var noReplicas = 0
  public var noQuorum = 0
  /// Operations that failed because answers did not come in time.
  public var timeouts = 0
  public var tombstonesReaped = 0
  public var transferredKeys = 0
  /// Objects that this node gave to their owners and dropped.
  public var handedOver = 0
  public var gossipSent = 0
  /// Comparisons that this node began and ended, their bytes, and objects that they brought.
  public var exchanges = 0
  public var exchangeBytes = 0
  public var repairs = 0
  public var hintsKept = 0
  public var hintsDelivered = 0
  /// Hints that had to make room, and that grew too old.
  public var hintsDropped = 0
  public var hintsExpired = 0
  public init() {}
}
