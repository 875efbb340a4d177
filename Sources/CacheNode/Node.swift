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
package final class Node {
  private var core: NodeCore

  package init(_ configuration: NodeConfiguration, now: Instant) {
    core = NodeCore(configuration, now: now)
    core.start()
  }

  // MARK: Clients

  /// A client connected. Nil when there is no place for it.
  package func sessionOpened(
    address: String, localAddress: String, descriptor: Int32, isEncrypted: Bool = false,
    now: Instant
  ) -> SessionID? {
    core.now = now
    let id = core.openSession(address, localAddress, descriptor)
    if let id { core.sessions[id.index].pointee.isEncrypted = isEncrypted }
    return id
  }

  /// A client sent bytes. They are all taken.
  package func sessionReceived(_ id: SessionID, _ bytes: UnsafeRawBufferPointer, now: Instant) {
    core.now = now
    core.receive(id, bytes)
  }

  /// A client sent its last byte; its replies still go out.
  package func sessionHalfClosed(_ id: SessionID, now: Instant) {
    core.now = now
    core.halfClose(id)
  }

  package func sessionClosed(_ id: SessionID, now: Instant) {
    core.now = now
    core.closeSession(id)
  }

  // MARK: Peers

  /// A peer dialled this node. Nil when there is no place for it.
  package func linkAccepted(from address: String = "", now: Instant) -> LinkID? {
    core.now = now
    return core.acceptLink(from: address)
  }

  /// The other end of a dialled link did not want this node, or is not who it should be: TLS failed.
  package func linkRefused(_ id: LinkID, _ why: String, now: Instant) {
    core.now = now
    core.linkRefused(id, why)
  }

  /// A link that this node dialled is open.
  package func linkOpened(_ id: LinkID, now: Instant) {
    core.now = now
    core.linkOpened(id)
  }

  package func linkReceived(_ id: LinkID, _ bytes: UnsafeRawBufferPointer, now: Instant) {
    core.now = now
    core.linkReceived(id, bytes)
  }

  /// A link closed or could not be opened.
  package func linkClosed(_ id: LinkID, now: Instant) {
    core.now = now
    core.linkClosed(id)
  }

  // MARK: Time

  /// All events of one round were told: go on with what waited for them, and with what is due.
  package func finishTick(now: Instant) {
    core.now = now
    core.finishTick()
  }

  /// When `finishTick` should be called at the latest, in monotonic microseconds.
  package var nextDue: UInt64 { core.nextDue }

  /// CONFIG REWRITE ended; nil for success.
  package func rewriteFinished(_ id: SessionID, error: String?, now: Instant) {
    core.now = now
    core.rewriteFinished(id, error)
  }

  /// ACL SAVE's file was written, or not.
  package func usersSaved(_ id: SessionID, error: String?, now: Instant) {
    core.now = now
    core.usersSaved(id, error)
  }

  /// ACL LOAD's file was read, or why it can't be.
  package func usersRead(_ id: SessionID, _ result: ReadFile, now: Instant) {
    core.now = now
    core.usersRead(id, result)
  }

  /// The process has stood still as DEBUG SLEEP asked.
  package func slept(_ id: SessionID, now: Instant) {
    core.now = now
    core.slept(id)
  }

  /// What a client from there is told and then closed: there are enough, or protected mode keeps it out.
  package func refusal(of address: String) -> String? { core.refusal(of: address) }

  // MARK: What the shell takes

  /// Moves the actions to `list`, whose storage the node takes in exchange.
  package func takeActions(into list: inout [Action]) {
    list.removeAll(keepingCapacity: true)
    swap(&list, &core.actions)
  }

  /// Moves the sessions that have something to write to `list`.
  package func takeDirtySessions(into list: inout [SessionID]) {
    list.removeAll(keepingCapacity: true)
    swap(&list, &core.dirtySessions)
    for id in list { core.sessions[id.index].pointee.flags.remove(.dirty) }
  }

  package func takeDirtyLinks(into list: inout [LinkID]) {
    list.removeAll(keepingCapacity: true)
    swap(&list, &core.dirtyLinks)
    for id in list { core.links[id.index].pointee.isDirty = false }
  }

  /// Shows the bytes that wait for a client, run by run; `write` says how many it took, and is not
  /// shown more than `most`. True when more wait.
  @discardableResult
  package func withOutput(
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
  package func withOutput(of id: LinkID, _ write: (UnsafeRawBufferPointer) -> Int) -> Bool {
    let link = core.links[id.index]
    guard link.pointee.generation == id.generation, link.pointee.isOpen else { return false }
    let before = link.pointee.output.pointee.totalCount
    let waits = Node.show(link.pointee.output, Limits.peerBytesWrittenAtOnce, write)
    if link.pointee.peer > 0 {
      core.peers[link.pointee.peer].pointee.sentBytes &+=
        before &- link.pointee.output.pointee.totalCount
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
  package var logLevel: LogLevel { core.logLevel }
  package var maximumClients: Int { core.clients.count }
  package var keepAliveSeconds: Int { core.parameters.number("tcp-keepalive") }

  /// The state to save at the end.
  package var savedState: SavedState { core.savedState() }

  /// Stops taking commands; true when nothing is under way any more.
  package func drain(now: Instant) -> Bool {
    core.now = now
    return core.drain()
  }

  // MARK: For operators

  /// Writes everything that is counted in Prometheus's text format; see NodeCore+Metrics.
  package func writeMetrics(into text: inout ByteBuffer, of shell: ShellFigures, now: Instant) {
    core.now = now
    core.writeMetrics(into: &text, shell)
  }

  /// Why clients should not be sent here now; nil when they may be.
  package func unreadiness(now: Instant) -> String? {
    core.now = now
    return core.unreadiness()
  }

  // MARK: For the simulator and tests

  /// Every object of this node: database, key, canonical bytes, sorted.
  package func snapshot(now: Instant) -> [(database: Int, key: [UInt8], object: [UInt8])] {
    core.snapshot(at: now.wallMilliseconds)
  }

  /// How this node sees a key's owners, for the simulator's traces.
  package func trace(_ key: [UInt8]) -> String { core.trace(key) }

  package func statistics() -> NodeStatistics { core.statistics.pointee }
  package var settingsText: String { core.settingsText() }
  package func checkInvariants() { core.table.checkInvariants() }
  package var hasClusterFormed: Bool { core.clusterState == .ok }
  package var memberCount: Int { core.members.count }
  /// Members that this node believes to be alive, itself included.
  package var membersAlive: Int { core.members.members.count { $0.health == .alive } }
  /// A ring change is under way.
  package var isChanging: Bool { core.isChanging || core.plan.isForming }
  package var isRemoved: Bool { core.clusterState == .removed }
  package var hintCount: Int { core.hints.count }
  package var hexID: String { core.members.own.hexID }
  package var isFilled: Bool { core.members.own.isFilled }
  package var peersAlive: Int { core.alivePeers() }
}

/// What became of reading a file.
package enum ReadFile: Sendable {
  case bytes([UInt8])
  case failed(String)
}

/// What a node counted since its start.
package struct NodeStatistics: Sendable {
  package var commands = 0
  package var evicted = 0
  package var evictedClients = 0
  /// Writes of other nodes that found no room.
  package var refusedForMemory = 0
  package var connections = 0
  package var rejectedConnections = 0
  package var inputBytes = 0
  /// Reads from and writes to clients.
  package var reads = 0
  package var writes = 0
  package var outputBytes = 0
  package var peerInputBytes = 0
  package var hits = 0
  package var misses = 0
  package var expired = 0
  package var errors = 0
  package var forwards = 0
  package var quorumReads = 0
  package var quorumWrites = 0
  /// Stale or missing copies that a read brought up to date.
  package var readRepairs = 0
  /// Writes that a later version made void: under LWW nobody will see them.
  package var discarded = 0
  package var conflicts = 0
  package var siblingsResolved = 0
  package var refusedStamps = 0
  package var badFrames = 0
  /// Links that were closed because the other end did not prove that it belongs to the cluster.
  package var refusedLinks = 0
  package var noReplicas = 0
  package var noQuorum = 0
  /// Operations that failed because answers did not come in time.
  package var timeouts = 0
  package var tombstonesReaped = 0
  package var transferredKeys = 0
  /// Objects that this node gave to their owners and dropped.
  package var handedOver = 0
  package var gossipSent = 0
  /// Comparisons that this node began and ended, their bytes, and objects that they brought.
  package var exchanges = 0
  package var exchangeBytes = 0
  package var repairs = 0
  package var hintsKept = 0
  package var hintsDelivered = 0
  /// Hints that had to make room, and that grew too old.
  package var hintsDropped = 0
  package var hintsExpired = 0
  package init() {}
}
