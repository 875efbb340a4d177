import Access
import CacheNode
import Configuration
import Glibc
import Keyspaces
import Objects
import Primitives
import Reactor

// # The server
//
// One node in one process on one event loop:
//
//     EventLoop.runOnce ─▶ handlers: accept, read → Node, connected, signal, timer
//     finishTick        ─▶ the node goes on with what is due
//     flush             ─▶ one write a link and a client that has something to say
//     actions           ─▶ dial, close, save, log, rewrite
//
// Peers are written before clients: what the others should work on is on its way while this node
// still writes replies.

/// A running node with its sockets.
public final class Server {
  let loop = EventLoop()
  let settings: Settings
  private let file: String?
  private let log: Log
  private let store: StateStore
  let tls: TLSContexts
  var node: Node
  var now: Instant
  private var isClockFresh = false

  private var listeners: [Listener] = []
  private var watchers: [Watcher] = []
  /// By the index of their session or link.
  private var clients: [ClientConnection?] = []
  private var peers: [PeerConnection?] = []
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(
    byteCount: Server.readBytes, alignment: 4096)

  /// Listens again after descriptors ran out.
  private var reopening: Watcher?
  private var nextWarning: UInt64 = 0
  /// What this round has read from clients.
  private var roundBytes = 0
  var roundWritten = 0
  /// TLS handshakes under way, the oldest first, by kind.
  var handshakes: [[Handshake]] = Handshake.Kind.allCases.map { _ in [] }
  var handshakeSteps = 0
  var handshakeLog = RefusalLog()

  private var timer: Watcher?
  private var timerDue = UInt64.max
  /// `metrics-port`, when there is one.
  private var admin: HTTPServer?
  private var shellFigures = ShellFigures()
  private var isStopping = false
  private var stopDeadline = UInt64.max

  // Reused lists.
  private var actions: [Action] = []
  private var dirtySessions: [SessionID] = []
  private var dirtyLinks: [LinkID] = []

  /// What one read takes at most; also a client's share of a round.
  private static let readBytes = 64 << 10
  /// Connections that one round accepts at most.
  private static let acceptsPerRound = 64
  /// Microseconds until accepting is tried again when there were no descriptors, and between two
  /// lines of the log about that.
  private static let reopenAfter: UInt64 = 100_000
  private static let warningInterval: UInt64 = 10_000_000
  /// How long a stopping node waits for what is under way, in microseconds.
  private static let stopPatience: UInt64 = 5_000_000

  /// Prepares a node: reads its state, opens its ports.
  public init(settings: Settings, file: String?) throws(ConfigurationError) {
    self.settings = settings
    self.file = file
    let port = UInt16(settings.mainPort)
    let given = settings.parameters["node-name"] ?? ""
    let name = given.isEmpty ? "node-\(port)" : given
    do {
      log = try Log(path: settings.parameters["logfile"] ?? "", name: name)
      store = StateStore(directory: settings.parameters["dir"] ?? ".", port: port)
      now = readClocks()
      let saved = try store.load()
      var configuration = Server.configuration(settings, name, saved, now, file)
      configuration.access = try Server.users(settings)
      configuration.clusterSecret = try Server.clusterSecret(settings)
      let tls = try TLSContexts(settings.parameters, log: log)
      self.tls = tls
      configuration.applyTLS = { tls.apply($0) }
      node = Node(configuration, now: now)
      try openPorts()
      try openMetricsPort()
    } catch let error as StartError {
      throw ConfigurationError(error.description)
    } catch {
      throw ConfigurationError("\(error)")
    }
  }

  deinit { readBuffer.deallocate() }

  private static func configuration(
    _ settings: Settings, _ name: String, _ saved: SavedState?, _ now: Instant, _ file: String?
  ) -> NodeConfiguration {
    var random = SystemRandomNumberGenerator()
    var configuration = NodeConfiguration(
      id: saved?.id ?? UInt64.random(in: 1...UInt64.max, using: &random),
      actor: Actor(rawValue: UInt64.random(in: 1...UInt64.max, using: &random)),
      incarnation: max(now.wallMilliseconds, (saved?.incarnation ?? 0) + 1),
      name: name, randomSeed: random.next())
    configuration.parameters = settings.parameters
    configuration.keyspaceRegisters = settings.keyspaceRegisters
    configuration.seeds = settings.seeds
    configuration.port = UInt16(settings.parameters.number("port"))
    configuration.tlsPort = UInt16(settings.parameters.number("tls-port"))
    configuration.peerPort = settings.peerPort
    configuration.zone = settings.parameters["zone"] ?? ""
    configuration.weight = UInt16(settings.parameters.number("weight"))
    configuration.databases = settings.parameters.number("databases")
    configuration.host = announcedHost(settings)
    configuration.saved = saved
    configuration.processID = Int(getpid())
    configuration.operatingSystem = operatingSystem()
    configuration.executable = CommandLine.arguments.first ?? ""
    configuration.processFigures = { readProcessFigures() }
    configuration.descriptors = { raiseDescriptors(to: $0) }
    configuration.durationClock = makeDurationClock()
    configuration.configurationFile = file ?? ""
    configuration.secret = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
    return configuration
  }

  /// The users of the conf file, or those of the ACL file if there is one.
  private static func users(_ settings: Settings) throws -> AccessControl {
    var access = settings.access
    if let path = settings.parameters["aclfile"], !path.isEmpty {
      guard let bytes = StateStore.readBytes(path) else {
        throw StartError("aclfile '\(path)': \(String(cString: strerror(errno)))")
      }
      do throws(AccessControl.FileErrors) {
        access = try access.replaced(byFile: bytes, named: path)
      } catch {
        throw StartError("aclfile: \(String(decoding: error.text, as: UTF8.self))")
      }
    }
    if let exposure = settings.exposure(of: access) { throw StartError(exposure) }
    return access
  }

  /// `cluster-secret`, or what its file holds but for the end of the line.
  private static func clusterSecret(_ settings: Settings) throws(StartError) -> [UInt8] {
    guard let path = settings.parameters["cluster-secret-file"], !path.isEmpty else {
      return Array(settings.parameters.clusterSecret.utf8)
    }
    guard var bytes = StateStore.readBytes(path) else {
      throw StartError("cluster-secret-file '\(path)': \(String(cString: strerror(errno)))")
    }
    while let last = bytes.last, last == 10 || last == 13 { bytes.removeLast() }
    guard bytes.count >= Limits.shortestSecret else {
      throw StartError(
        "cluster-secret-file '\(path)': must hold at least \(Limits.shortestSecret) bytes")
    }
    return bytes
  }

  /// What others dial: `cluster-announce-ip`, else the first address that is not "all of them".
  private static func announcedHost(_ settings: Settings) -> String {
    if let given = settings.parameters["cluster-announce-ip"], !given.isEmpty { return given }
    let wildcards = ["0.0.0.0", "::", "*"]
    return settings.bindAddresses.first { !wildcards.contains($0) } ?? "127.0.0.1"
  }

  private func openPorts() throws {
    let parameters = settings.parameters
    try listen(settings.bindAddresses, parameters.number("port"))
    try listen(settings.bindAddresses, parameters.number("tls-port"), isEncrypted: true)
    try listen(
      settings.clusterAddresses, Int(settings.peerPort), isPeer: true,
      isEncrypted: parameters.isYes("tls-cluster"))
  }

  private func listen(
    _ addresses: [String], _ port: Int, isPeer: Bool = false, isEncrypted: Bool = false
  ) throws {
    let backlog = Int32(settings.parameters.number("tcp-backlog"))
    for address in addresses where port > 0 {
      let host = address == "*" ? "0.0.0.0" : address
      do {
        let socket = try Socket.listen(host, UInt16(port), backlog: backlog)
        let listener = Listener(socket: socket, isPeer: isPeer, isEncrypted: isEncrypted)
        listener.watcher = loop.watch(.readable(socket.descriptor)) {
          [unowned self, unowned listener] in
          self.acceptAll(listener)
        }
        listeners.append(listener)
      } catch {
        throw StartError(error.description)
      }
    }
  }

  /// `/metrics`, `/health` and `/ready`; without a password, so on the loopback unless told otherwise.
  private func openMetricsPort() throws {
    let port = UInt16(settings.parameters.number("metrics-port"))
    let host = settings.parameters["metrics-bind"] ?? ""
    guard port > 0 else { return }
    do {
      admin = try HTTPServer(loop, host: host == "*" ? "0.0.0.0" : host, port: port) {
        [unowned self] path, body in
        self.readClock()
        self.shellFigures.droppedHTTPConnections = self.admin?.dropped ?? 0
        return answerAdmin(path, self.node, self.shellFigures, self.now, &body)
      }
    } catch {
      throw StartError("metrics-port: \(error.description)")
    }
  }

  // MARK: Running

  /// Runs until the node is told to stop.
  public func run() {
    signal(SIGPIPE, SIG_IGN)
    for number in [SIGTERM, SIGINT] {
      watchers.append(loop.watch(.signal(number)) { [unowned self] in self.stop() })
    }
    timer = loop.watch(.timer) { [unowned self] in self.timerDue = .max }
    reopening = loop.watch(.timer) { [unowned self] in
      for listener in self.listeners { listener.watcher?.start() }
    }
    watchers.append(housekeeping())
    write(.notice, readyText)
    finishRound()
    while !isFinished {
      isClockFresh = false
      roundBytes = 0
      roundWritten = 0
      handshakeSteps = 0
      loop.runOnce()
      finishRound()
      admin?.finishRound()
      measureRound()
    }
    save(node.savedState)
    write(.notice, "stopped")
  }

  private var isFinished: Bool {
    guard isStopping else { return false }
    if now.monotonicMicroseconds >= stopDeadline { return true }
    return node.drain(now: now) && clients.allSatisfy { !($0?.isWaitingToWrite ?? false) }
  }

  private func stop() {
    guard !isStopping else { return }
    write(.notice, "stopping: no new connections; finishing what is under way")
    isStopping = true
    stopDeadline = now.monotonicMicroseconds + Server.stopPatience
    listeners.removeAll()
    endAcceptedHandshakes()
  }

  private var readyText: String {
    let ports = [("", "port"), (" (TLS)", "tls-port")].compactMap { kind, name in
      let port = settings.parameters.number(name)
      return port > 0 ? "\(port)\(kind)" : nil
    }
    let kind = settings.parameters.isYes("tls-cluster") ? " (TLS)" : ""
    return "ready: clients on port \(ports.isEmpty ? "0" : ports.joined(separator: " and ")), "
      + "peers on port \(settings.peerPort)\(kind)"
  }

  /// Ends handshakes that take too long.
  private func housekeeping() -> Watcher {
    var watcher: Watcher?
    let timer = loop.watch(.timer) { [unowned self] in
      self.readClock()
      self.expireHandshakes()
      self.admin?.closeOverdue(now: self.now.monotonicMicroseconds)
      watcher?.schedule(microseconds: 1_000_000)
    }
    watcher = timer
    timer.schedule(microseconds: 1_000_000)
    return timer
  }

  @inline(__always)
  func readClock() {
    if isClockFresh { return }
    now = readClocks()
    isClockFresh = true
  }

  private func finishRound() {
    readClock()
    node.finishTick(now: now)
    flushLinks()
    flushSessions()
    runActions()
    let due = node.nextDue
    if due < timerDue {
      timerDue = due
      let wait = due > now.monotonicMicroseconds ? due - now.monotonicMicroseconds : 0
      timer?.schedule(microseconds: max(wait, 1))
    }
  }

  /// Counts how long the round took: from its first reading of the clock to one more at its end.
  @inline(__always)
  private func measureRound() {
    let end = readMonotonicMicroseconds()
    shellFigures.rounds.record((end - min(end, now.monotonicMicroseconds)) * 1000)
  }

  func write(_ level: LogLevel, _ text: String) {
    if level >= node.logLevel { log.write(level, text) }
  }

  // MARK: Accepting

  private func acceptAll(_ listener: Listener) {
    readClock()
    for _ in 0..<Server.acceptsPerRound {
      if listener.isPeer, isBesieged { return acceptLater(listener) }
      switch listener.socket.accept() {
      case .none: return
      case .exhausted:
        // Waiting beats spinning on a listener that stays readable.
        if now.monotonicMicroseconds >= nextWarning {
          write(.warning, "no file descriptors left: not accepting for a moment")
          nextWarning = now.monotonicMicroseconds + Server.warningInterval
        }
        return acceptLater(listener)
      case .connection(let socket, let address):
        if listener.isEncrypted {
          startHandshake(listener.isPeer ? .acceptedPeer : .client, socket, address)
        } else if listener.isPeer {
          openPeer(socket, address, nil)
        } else {
          openClient(socket, address, nil)
        }
      }
    }
  }

  private func acceptLater(_ listener: Listener) {
    listener.watcher?.stop()
    reopening?.schedule(microseconds: Server.reopenAfter)
  }

  /// Whether all places for strangers at the peer port are taken by some who came a moment ago. They
  /// get that moment: where the newest always took the oldest's place, a flood would keep each node out
  /// that has not said yet who it is. The others wait in the kernel, first come, first served.
  private var isBesieged: Bool {
    node.areStrangersYoung(now: now) || arePeerHandshakesYoung
  }

  /// Takes a client up that connected, over TLS when there is a stream.
  func openClient(_ socket: Socket, _ address: String, _ tls: TLSStream?) {
    if let text = node.refusal(of: address) { return say(text, socket, tls) }
    guard
      let id = node.sessionOpened(
        address: address, localAddress: socket.localAddress, descriptor: socket.descriptor,
        isEncrypted: tls != nil, now: now)
    else { return }
    socket.keepAlive(seconds: Int32(node.keepAliveSeconds))
    let client = ClientConnection(id: id, socket: socket, tls: tls)
    clients.put(client, at: id.index)
    client.reader = loop.watch(.readable(socket.descriptor)) { [unowned self, unowned client] in
      self.read(client)
    }
  }

  /// The last words to a connection that is not taken.
  private func say(_ text: String, _ socket: Socket, _ tls: TLSStream?) {
    var text = text
    text.withUTF8 {
      let bytes = UnsafeRawBufferPointer($0)
      if let tls { _ = tls.write(bytes) } else { _ = socket.write(bytes) }
    }
    tls?.sayEnd()
  }

  func openPeer(_ socket: Socket, _ address: String, _ tls: TLSStream?) {
    guard let id = node.linkAccepted(from: address, now: now) else { return }
    socket.keepAlive(seconds: 60)
    let peer = PeerConnection(id: id, socket: socket)
    peer.tls = tls
    watch(peer)
  }

  func watch(_ peer: PeerConnection) {
    peers.put(peer, at: peer.id.index)
    peer.reader = loop.watch(.readable(peer.socket.descriptor)) { [unowned self, unowned peer] in
      self.read(peer)
    }
  }

  // MARK: Reading

  @inline(__always)
  func read(_ client: ClientConnection) {
    readClock()
    if _slowPath(client.tls != nil) { return readEncrypted(client) }
    switch client.socket.read(into: readBuffer) {
    case .bytes(let count) where count > 0:
      noteRead(count)
      node.sessionReceived(
        client.id, UnsafeRawBufferPointer(rebasing: readBuffer[0..<count]), now: now)
    case .wouldBlock: return
    case .ended:
      client.reader?.stop()
      client.hasEnded = true
      node.sessionHalfClosed(client.id, now: now)
    case .bytes: close(client)
    }
  }

  /// A round reads so much and no more: then replies are written.
  @inline(__always)
  func noteRead(_ count: Int) {
    roundBytes &+= max(count, Limits.bytesPerRead)
    if _slowPath(roundBytes > Limits.bytesPerRound) { loop.endRound() }
  }

  func read(_ peer: PeerConnection) {
    readClock()
    if _slowPath(peer.tls != nil) { return readEncrypted(peer) }
    switch peer.socket.read(into: readBuffer) {
    case .bytes(let count) where count > 0:
      node.linkReceived(
        peer.id, UnsafeRawBufferPointer(rebasing: readBuffer[0..<count]), now: now)
    case .wouldBlock: return
    case .ended, .bytes: lose(peer)
    }
  }

  // MARK: Writing

  private func flushSessions() {
    node.takeDirtySessions(into: &dirtySessions)
    for id in dirtySessions {
      guard let client = clients.at(id.index), client.id == id else { continue }
      flush(client)
    }
  }

  /// What a client may be written now.
  @inline(__always) var writtenAtOnce: Int {
    _fastPath(roundWritten < Limits.bytesWrittenPerRound)
      ? Limits.bytesWrittenAtOnce : Limits.bytesWrittenAtLeast
  }

  func flush(_ client: ClientConnection) {
    if _slowPath(client.tls != nil) { return flushEncrypted(client) }
    var failed = false
    let isBlocked = node.withOutput(of: client.id, atMost: writtenAtOnce) { bytes in
      let taken = client.socket.write(bytes)
      failed = taken == nil
      roundWritten &+= taken ?? 0
      return taken ?? 0
    }
    if failed { return close(client) }
    setWriting(client, isBlocked)
  }

  func setWriting(_ client: ClientConnection, _ isBlocked: Bool) {
    if isBlocked, client.writer == nil {
      client.writer = loop.watch(.writable(client.socket.descriptor)) {
        [unowned self, unowned client] in
        self.readClock()
        self.writable(client)
      }
    } else if !isBlocked {
      if let writer = client.writer {
        retired.append(writer)
        client.writer = nil
      }
      if client.closesWhenWritten { close(client) }
    }
  }

  private func flushLinks() {
    node.takeDirtyLinks(into: &dirtyLinks)
    for id in dirtyLinks {
      guard let peer = peers.at(id.index), peer.id == id else { continue }
      flush(peer)
    }
  }

  func flush(_ peer: PeerConnection) {
    guard peer.isConnected else { return }
    if _slowPath(peer.tls != nil) { return flushEncrypted(peer) }
    var failed = false
    let isBlocked = node.withOutput(of: peer.id) { bytes in
      let taken = peer.socket.write(bytes)
      failed = taken == nil
      return taken ?? 0
    }
    if failed { return lose(peer) }
    setWriting(peer, isBlocked)
  }

  func setWriting(_ peer: PeerConnection, _ isBlocked: Bool) {
    if isBlocked, peer.writer == nil {
      peer.writer = loop.watch(.writable(peer.socket.descriptor)) { [unowned self, unowned peer] in
        self.readClock()
        self.writable(peer)
      }
    } else if !isBlocked, let writer = peer.writer {
      retired.append(writer)
      peer.writer = nil
    }
  }

  // MARK: Closing

  func close(_ client: ClientConnection) {
    guard clients[client.id.index] === client else { return }
    client.tls?.sayEnd()
    clients[client.id.index] = nil
    retire(client.reader)
    retire(client.writer)
    client.reader = nil
    client.writer = nil
    node.sessionClosed(client.id, now: now)
    retired.append(client)
  }

  /// The connection is gone: the node hears of it.
  func lose(_ peer: PeerConnection) {
    let id = peer.id
    close(peer)
    node.linkClosed(id, now: now)
  }

  func close(_ peer: PeerConnection) {
    guard peers[peer.id.index] === peer else { return }
    peer.tls?.sayEnd()
    if let handshake = peer.handshake { end(handshake) }
    peers[peer.id.index] = nil
    retire(peer.reader)
    retire(peer.writer)
    peer.reader = nil
    peer.writer = nil
    retired.append(peer)
  }

  func retire(_ watcher: Watcher?) {
    guard let watcher else { return }
    watcher.stop()
    retired.append(watcher)
  }

  /// Connections and watchers that were closed in this round: their handlers may still be on the stack.
  var retired: [AnyObject] = []

  // MARK: Actions

  private func runActions() {
    node.takeActions(into: &actions)
    while !actions.isEmpty {
      for action in actions { run(action) }
      flushLinks()
      flushSessions()
      node.takeActions(into: &actions)
    }
    // No handler is on the stack here. The sockets end with their connections, in this round: whoever
    // waits for the end of its stream is not to wait for the next one.
    retired.removeAll(keepingCapacity: true)
  }

  private func run(_ action: Action) {
    switch action {
    case .connect(let id, let endpoint): dial(id, endpoint)
    case .closeLink(let id):
      if let peer = peers.at(id.index), peer.id == id { close(peer) }
    case .closeSession(let id):
      guard let client = clients.at(id.index), client.id == id else { return }
      client.closesWhenWritten = true
      flush(client)
    case .setReading(let id, let isOn):
      guard let client = clients.at(id.index), client.id == id, !client.hasEnded else { return }
      if isOn { client.reader?.start() } else { client.reader?.stop() }
    case .save(let state): save(state)
    case .log(let level, let text): log.write(level, text)
    case .rewriteConfiguration(let id, let values, let users):
      let error = rewrite(values, users)
      node.rewriteFinished(id, error: error, now: now)
    case .saveUsers(let id, let bytes):
      node.usersSaved(id, error: StateStore.saveUsers(usersFile, bytes), now: now)
    case .readUsers(let id):
      let bytes = StateStore.readBytes(usersFile)
      let reason = String(cString: strerror(errno))
      node.usersRead(id, bytes.map { .bytes($0) } ?? .failed(reason), now: now)
    case .sleep(let id, let microseconds):
      usleep(UInt32(clamping: microseconds))
      isClockFresh = false
      readClock()
      node.slept(id, now: now)
    case .shutdown: stop()
    }
  }

  private func dial(_ id: LinkID, _ endpoint: Endpoint) {
    guard let socket = Socket.connect(endpoint.host, endpoint.port) else {
      return node.linkClosed(id, now: now)
    }
    let peer = PeerConnection(id: id, socket: socket)
    peer.isConnected = false
    peers.put(peer, at: id.index)
    peer.writer = loop.watch(.writable(socket.descriptor)) { [unowned self, unowned peer] in
      self.readClock()
      self.dialEnded(peer)
    }
  }

  private func dialEnded(_ peer: PeerConnection) {
    retire(peer.writer)
    peer.writer = nil
    guard peer.socket.pendingError == 0 else { return lose(peer) }
    if settings.parameters.isYes("tls-cluster") { return startHandshake(peer) }
    linkOpened(peer)
  }

  /// A link that this node dialled can be used.
  func linkOpened(_ peer: PeerConnection) {
    peer.isConnected = true
    watch(peer)
    node.linkOpened(peer.id, now: now)
  }

  private func save(_ state: SavedState) {
    if let error = store.save(state) { write(.warning, "the state file: \(error)") }
  }

  private var usersFile: String { settings.parameters["aclfile"] ?? "" }

  private func rewrite(
    _ values: [(name: String, value: String)], _ users: [String]
  ) -> String? {
    guard let file else { return "The server is running without a config file" }
    return store.rewrite(file, values, users, isDefault: ConfigurationFile.isDefault)
  }
}

extension Array {
  /// The element at `index`, nil beyond the end.
  @inline(__always)
  fileprivate func at<Wrapped>(_ index: Int) -> Wrapped? where Element == Wrapped? {
    index < count ? self[index] : nil
  }

  fileprivate mutating func put<Wrapped>(_ value: Wrapped, at index: Int)
  where Element == Wrapped? {
    while count <= index { append(nil) }
    self[index] = value
  }
}

/// A port that is listened on.
private final class Listener {
  let socket: Socket
  let isPeer: Bool
  let isEncrypted: Bool
  var watcher: Watcher?

  init(socket: Socket, isPeer: Bool, isEncrypted: Bool) {
    self.socket = socket
    self.isPeer = isPeer
    self.isEncrypted = isEncrypted
  }
}

/// A client's socket.
final class ClientConnection {
  let id: SessionID
  let socket: Socket
  /// Nil for a plain connection.
  let tls: TLSStream?
  var reader: Watcher?
  var writer: Watcher?
  var closesWhenWritten = false
  var hasEnded = false

  init(id: SessionID, socket: Socket, tls: TLSStream?) {
    self.id = id
    self.socket = socket
    self.tls = tls
  }

  var isWaitingToWrite: Bool { writer != nil }
}

/// A peer's socket.
final class PeerConnection {
  let id: LinkID
  let socket: Socket
  /// Nil for a plain connection, and until its handshake is done.
  var tls: TLSStream?
  var handshake: Handshake?
  var reader: Watcher?
  var writer: Watcher?
  var isConnected = true

  init(id: LinkID, socket: Socket) {
    self.id = id
    self.socket = socket
  }
}

/// Why a node can't start.
struct StartError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
