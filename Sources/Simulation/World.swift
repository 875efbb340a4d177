import CacheNode
import Keyspaces
import Objects
import Primitives

// # The simulated world
//
// Whole nodes, the very code that the server runs, in one process: the network between them and the
// clocks that they read are simulated, and everything that happens comes from one queue of events in
// the order of simulated time. Nothing else moves time or chooses: the same seed gives the same run.
//
//     event at t ─▶ node (bytes came, link closed, wake up, client sends) ─▶ finishTick
//               ─▶ what it wrote ─▶ network: delay, loss, doubling, order ─▶ events later than t
//
// The network (World+Network) has two natures, drawn by seed. As streams it is TCP: a link keeps its
// order, and what a partition swallows leaves a hole behind which nothing more comes until the link
// is given up. As messages it is worse than TCP: writes, reads, their answers and gossip are lost,
// doubled and overtake each other; only forwarded commands, which must not be doubled, keep their
// order.
//
// A node keeps its place for ever: who leaves or dies for good is marked, who joins gets a new place
// and with it a new address. A crash loses the node's memory; its state file stays.

/// The nodes, the network and the clock of one run.
final class World {
  let options: SimulationOptions
  var random: SeededGenerator
  /// Microseconds of true time since the start.
  private(set) var now: UInt64 = 0
  var queue = EventQueue<Event>()
  private(set) var nodes: [SimulatedNode] = []
  /// Ways that are closed, and by how many faults.
  var cuts: [Direction: Int] = [:]
  /// Ways that are slow, and how many times slower than usual.
  var slowness: [Direction: UInt64] = [:]
  var faultsEnabled = true
  var faults = FaultCounts()
  private var actions: [Action] = []
  private var dirtyLinks: [LinkID] = []
  private var dirtySessions: [SessionID] = []
  /// A running hash of all that was delivered.
  private(set) var trace: UInt64 = 0
  private(set) var events = 0
  var failure: String?

  // What the simulation does when it is its turn.
  var clientBytes: (SimulatedNode, SessionID, UnsafeRawBufferPointer) -> Void = { _, _, _ in }
  var clientTurn: (Int) -> Void = { _ in }
  var faultTurn: () -> Void = {}
  var observeTurn: () -> Void = {}
  var overseeTurn: () -> Void = {}
  /// Called before a node's memory goes.
  var nodeEnds: (SimulatedNode) -> Void = { _ in }
  /// Called when the network or the set of running nodes changed.
  var disturbed: () -> Void = {}
  /// Called after a node's round; only when a key is traced.
  var settled: ((SimulatedNode) -> Void)?
  /// What nodes log; only when a key is traced.
  var logged: ((SimulatedNode, String) -> Void)?

  /// True time's zero: any Unix time will do.
  static let epoch: UInt64 = 1_700_000_000_000_000
  static let basePort: UInt16 = 7000

  init(_ options: SimulationOptions) {
    self.options = options
    random = SeededGenerator(seed: options.seed)
    for _ in 0..<options.nodes { addPlace() }
    for place in nodes { boot(place) }
  }

  /// Those that belong to the cluster, up or down; without one that is leaving.
  var members: [SimulatedNode] { nodes.filter { $0.membership == .member } }

  // MARK: Time

  func schedule(after microseconds: UInt64, _ event: Event) {
    queue.push(now + microseconds, event)
  }

  /// What a node's clocks say.
  func instant(_ place: SimulatedNode) -> Instant {
    let wall = Int(World.epoch + now) + place.skew
    return Instant(wallMicroseconds: UInt64(wall), monotonicMicroseconds: now + 1_000_000)
  }

  /// How far any clock may be from true time, in microseconds.
  var widestSkew: UInt64 {
    nodes.reduce(UInt64(options.skew) * 1000) { max($0, UInt64(abs($1.skew))) }
  }

  /// Runs until a moment, or until something failed.
  func run(until end: UInt64) {
    while failure == nil, let next = queue.nextTime, next <= end {
      let (time, event) = queue.pop()
      now = max(now, time)
      events += 1
      handle(event)
    }
    now = max(now, end)
  }

  func run(for microseconds: UInt64) { run(until: now + microseconds) }

  func note(_ kind: UInt64, _ detail: UInt64) {
    trace = mix(trace ^ mix(now) ^ kind << 56 ^ detail)
  }

  // MARK: Nodes

  @discardableResult
  private func addPlace() -> SimulatedNode {
    let skew = options.skew == 0 ? 0 : random.below(options.skew * 2) - options.skew
    if skew != 0 { faults[.clockSkew] += 1 }
    let place = SimulatedNode(
      index: nodes.count, id: random.next() | 1, actor: Actor(rawValue: random.next() | 1),
      skew: skew * 1000)
    nodes.append(place)
    return place
  }

  /// A new, empty node starts, with the addresses of the others.
  func join() {
    boot(addPlace())
    disturbed()
  }

  private func boot(_ place: SimulatedNode) {
    place.bootedAt = now
    var configuration = NodeConfiguration(
      id: place.id, actor: place.actor, incarnation: place.incarnation, name: "n\(place.index)",
      randomSeed: random.next())
    configuration.port = World.basePort + UInt16(place.index)
    configuration.peerPort = configuration.port
    configuration.databases = 1
    _ = configuration.parameters.set(
      "anti-entropy-interval", "\(SimulationOptions.antiEntropySeconds)")
    configuration.seeds = nodes.filter { $0.membership != .gone }.map {
      Endpoint(host: "sim", port: World.basePort + UInt16($0.index))
    }
    configuration.saved = place.saved
    configuration.sabotage = options.sabotage
    if options.hasSecret { configuration.clusterSecret = Array("of the simulated nodes".utf8) }
    configuration.keyspaceRegisters = registers()
    place.node = Node(configuration, now: instant(place))
    settle(place)
  }

  private func registers() -> [SettingRegister] {
    var values = [
      ("default.n", "\(options.copies)"), ("default.w", "\(options.write)"),
      ("default.r", "\(options.read)"), ("sib.n", "\(options.copies)"),
      ("sib.w", "\(options.write)"), ("sib.r", "\(options.read)"), ("sib.conflict", "siblings"),
    ]
    for keyspace in ["default", "sib"] {
      values.append(("\(keyspace).sloppy", options.isSloppy ? "yes" : "no"))
    }
    if options.blindWriteSibling { values.append(("sib.blind-write", "sibling")) }
    let version = Version(stamp: Stamp(rawValue: 1), actor: Actor(rawValue: 1))
    return values.map {
      SettingRegister(name: "keyspace.\($0.0)", value: $0.1, version: version)
    }
  }

  /// Ends a process at once. Its peers hear of it, as after `kill -9`.
  func end(_ place: SimulatedNode) {
    guard place.node != nil else { return }
    nodeEnds(place)
    place.node = nil
    place.wakeAt = .max
    place.pausedUntil = 0
    place.clients = [:]
    let pipes = place.pipes.sorted {
      ($0.key.index, $0.key.generation) < ($1.key.index, $1.key.generation)
    }
    place.pipes = [:]
    for (_, pipe) in pipes {
      pipe.isOpen = false
      let other = pipe.ends[0].node == place.index ? 1 : 0
      schedule(after: UInt64(100 + random.below(1000)), .closed(pipe, end: other))
    }
    disturbed()
  }

  /// Ends a process that keeps its place: its memory is lost.
  func crash(_ place: SimulatedNode) {
    end(place)
    place.lostMemory()
  }

  func restart(_ place: SimulatedNode) {
    guard place.node == nil, place.membership != .gone else { return }
    place.incarnation += 1
    if options.sabotage.contains(.reusedActor) {
      // The old name, and a clock that lives the last seconds once more.
      place.skew = max(place.skew - Int(min(now, 1_500_000)), -2_000_000)
    } else {
      place.actor = Actor(rawValue: random.next() | 1)
    }
    boot(place)
    disturbed()
  }

  // MARK: Events

  private func handle(_ event: Event) {
    switch event {
    case .wake(let index): wake(nodes[index], event)
    case .connect(let from, let link, let incarnation, let to):
      connect(nodes[from], link, incarnation, to, event)
    case .connectFailed(let index, let link, let incarnation):
      failToConnect(nodes[index], link, incarnation, event)
    case .bytes(let pipe, let end, let bytes): deliver(pipe, end, bytes, event)
    case .closed(let pipe, let end): close(pipe, end, event)
    case .client(let client): clientTurn(client)
    case .fault: faultTurn()
    case .restart(let index): restart(nodes[index])
    case .mend(let ways): mend(ways)
    case .quicken(let way):
      slowness[way] = nil
      disturbed()
    case .observe: observeTurn()
    case .oversee: overseeTurn()
    }
  }

  private func wake(_ place: SimulatedNode, _ event: Event) {
    guard place.node != nil, place.wakeAt <= now else { return }
    place.wakeAt = .max
    if isDeferred(place, event) { return }
    settle(place)
  }

  /// A stopped process sees what happened when it goes on.
  func isDeferred(_ place: SimulatedNode, _ event: Event) -> Bool {
    guard place.pausedUntil > now else { return false }
    if case .wake = event { place.wakeAt = place.pausedUntil }
    queue.push(place.pausedUntil, event)
    return true
  }

  // MARK: What a node leaves behind

  /// Ends a node's round: takes its actions and what it wrote, and sees when it wants to wake.
  func settle(_ place: SimulatedNode) {
    guard let node = place.node else { return }
    node.finishTick(now: instant(place))
    var rounds = 0
    repeat {
      flush(place, node)
      node.takeActions(into: &actions)
      for action in actions { run(action, place) }
      rounds += 1
    } while !actions.isEmpty && rounds < 10
    settled?(place)
    let due = max(node.nextDue, 1_000_000) - 1_000_000
    if due < place.wakeAt {
      place.wakeAt = max(due, now + 1)
      queue.push(place.wakeAt, .wake(place.index))
    }
  }

  private func run(_ action: Action, _ place: SimulatedNode) {
    switch action {
    case .connect(let link, let endpoint):
      dial(place, link, to: Int(endpoint.port) - Int(World.basePort))
    case .closeLink(let link): hangUp(place, link)
    case .save(let state): place.saved = state
    case .log(_, let text): logged?(place, text)
    case .closeSession, .setReading, .rewriteConfiguration, .saveUsers, .readUsers, .shutdown,
      .sleep:
      break
    }
  }

  private func flush(_ place: SimulatedNode, _ node: Node) {
    node.takeDirtyLinks(into: &dirtyLinks)
    for link in dirtyLinks {
      while node.withOutput(
        of: link,
        { bytes in
          if let pipe = place.pipes[link] { send(pipe, from: place, link, bytes) }
          return bytes.count
        })
      {}
    }
    node.takeDirtySessions(into: &dirtySessions)
    for session in dirtySessions {
      while node.withOutput(
        of: session,
        { bytes in
          clientBytes(place, session, bytes)
          return bytes.count
        })
      {}
    }
  }
}
