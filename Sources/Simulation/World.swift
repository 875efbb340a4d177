import CacheNode
import Keyspaces
import Objects
import Placement
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
// The network has two natures, drawn by seed. As streams it is TCP: a link keeps its order, and
// what a partition swallows leaves a hole behind which nothing more comes until the link is given
// up. As messages it is worse than TCP: writes, reads, their answers and gossip are lost, doubled
// and overtake each other; only forwarded commands, which must not be doubled, keep their order.
//
// A crash loses the node's memory; its state file stays. At most one node is down or refilling at a
// time, which is what N=3, W=R=2 promises to survive.

/// One node's place in the world.
final class SimulatedNode {
  let index: Int
  var node: Node?
  /// Difference of its wall clock from true time, in microseconds.
  var skew: Int
  var saved: SavedState?
  var actor: Actor
  var id: UInt64
  var incarnation: UInt64 = 1
  var pausedUntil: UInt64 = 0
  var wakeAt = UInt64.max
  var pipes: [LinkID: Pipe] = [:]

  init(index: Int, id: UInt64, actor: Actor, skew: Int) {
    self.index = index
    self.id = id
    self.actor = actor
    self.skew = skew
  }
}

/// A link between two nodes.
final class Pipe {
  struct End {
    var node: Int
    var link: LinkID
    /// The node's life that opened it: a restarted node has other links.
    var incarnation: UInt64
    /// When what was sent to this end last arrives.
    var lastArrival: UInt64 = 0
    /// Something sent to this end was swallowed: nothing more comes.
    var isBroken = false
  }
  var ends: [End]
  var isOpen = true

  init(_ ends: [End]) { self.ends = ends }
}

/// Everything that can happen.
enum Event {
  case connect(from: Int, LinkID, incarnation: UInt64, to: Int)
  case connectFailed(Int, LinkID, incarnation: UInt64)
  case bytes(Pipe, end: Int, [UInt8])
  case closed(Pipe, end: Int)
  case wake(Int)
  case client(Int)
  case fault
  case restart(Int)
  case observe
}

/// The nodes, the network and the clock of one run.
package final class World {
  let options: SimulationOptions
  var random: SeededGenerator
  /// Microseconds of true time since the start.
  private(set) var now: UInt64 = 0
  private var queue = EventQueue()
  var nodes: [SimulatedNode] = []
  /// Directed pairs that can't reach each other: from × nodes + to.
  var blocked: Set<Int> = []
  var faultsEnabled = true
  private var actions: [Action] = []
  private var dirtyLinks: [LinkID] = []
  private var dirtySessions: [SessionID] = []
  /// A running hash of all that was delivered.
  package private(set) var trace: UInt64 = 0
  package private(set) var events = 0
  /// Called with bytes for a client.
  var clientBytes: (Int, SessionID, UnsafeRawBufferPointer) -> Void = { _, _, _ in }
  var clientTurn: (Int) -> Void = { _ in }
  var faultTurn: () -> Void = {}
  var observeTurn: () -> Void = {}
  var nodeCrashed: (Int) -> Void = { _ in }
  var failure: String?

  /// True time's zero: any Unix time will do.
  static let epoch: UInt64 = 1_700_000_000_000_000
  static let basePort: UInt16 = 7000

  init(_ options: SimulationOptions) {
    self.options = options
    random = SeededGenerator(seed: options.seed)
    for index in 0..<options.nodes {
      let skew = options.skew == 0 ? 0 : random.below(options.skew * 2) - options.skew
      nodes.append(
        SimulatedNode(
          index: index, id: random.next() | 1, actor: Actor(rawValue: random.next() | 1),
          skew: skew * 1000))
    }
    for index in nodes.indices { boot(index) }
  }

  // MARK: Time

  func schedule(after microseconds: UInt64, _ event: Event) {
    queue.push(now + microseconds, event)
  }

  /// What a node's clocks say.
  func instant(_ node: SimulatedNode) -> Instant {
    let wall = Int(World.epoch + now) + node.skew
    return Instant(wallMicroseconds: UInt64(wall), monotonicMicroseconds: now + 1_000_000)
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

  private func note(_ kind: UInt64, _ detail: UInt64) {
    trace = mix(trace ^ mix(now) ^ kind << 56 ^ detail)
  }

  // MARK: Nodes

  func boot(_ index: Int) {
    let place = nodes[index]
    var configuration = NodeConfiguration(
      id: place.id, actor: place.actor, incarnation: place.incarnation, name: "n\(index)",
      randomSeed: random.next())
    configuration.port = World.basePort + UInt16(index)
    configuration.peerPort = World.basePort + UInt16(index)
    configuration.databases = 1
    configuration.seeds = (0..<options.nodes).map {
      Endpoint(host: "sim", port: World.basePort + UInt16($0))
    }
    configuration.saved = place.saved
    configuration.sabotage = options.sabotage
    for (parameter, value) in [
      ("default.n", options.copies), ("default.w", options.write), ("default.r", options.read),
      ("sib.n", options.copies), ("sib.w", options.write), ("sib.r", options.read),
    ] {
      configuration.keyspaceRegisters.append(register("keyspace.\(parameter)", "\(value)"))
    }
    configuration.keyspaceRegisters.append(register("keyspace.sib.conflict", "siblings"))
    if options.blindWriteSibling {
      configuration.keyspaceRegisters.append(register("keyspace.sib.blind-write", "sibling"))
    }
    place.node = Node(configuration, now: instant(place))
    settle(place)
  }

  private func register(_ name: String, _ value: String) -> SettingRegister {
    SettingRegister(
      name: name, value: value,
      version: Version(stamp: Stamp(rawValue: 1), actor: Actor(rawValue: 1)))
  }

  /// Ends a node at once; its memory is gone. Its peers hear of it, as after `kill -9`.
  func crash(_ index: Int) {
    let place = nodes[index]
    guard place.node != nil else { return }
    nodeCrashed(index)
    place.node = nil
    place.wakeAt = .max
    let pipes = place.pipes.sorted {
      ($0.key.index, $0.key.generation) < ($1.key.index, $1.key.generation)
    }
    place.pipes = [:]
    for (_, pipe) in pipes {
      pipe.isOpen = false
      let other = pipe.ends[0].node == index ? 1 : 0
      schedule(after: UInt64(100 + random.below(1000)), .closed(pipe, end: other))
    }
  }

  func restart(_ index: Int) {
    let place = nodes[index]
    guard place.node == nil else { return }
    place.incarnation += 1
    if options.sabotage.contains(.reusedActor) {
      // The old name, and a clock that lives the last seconds once more.
      place.skew -= Int(min(now, 1_500_000))
    } else {
      place.actor = Actor(rawValue: random.next() | 1)
    }
    boot(index)
  }

  // MARK: Events

  private func handle(_ event: Event) {
    switch event {
    case .wake(let index):
      let place = nodes[index]
      guard place.node != nil, place.wakeAt <= now else { return }
      place.wakeAt = .max
      if deferred(index, event) { return }
      settle(place)
    case .connect(let from, let link, let incarnation, let to):
      connect(from, link, incarnation, to)
    case .connectFailed(let index, let link, let incarnation):
      let place = nodes[index]
      guard place.incarnation == incarnation, let node = place.node else { return }
      if deferred(index, event) { return }
      node.linkClosed(link, now: instant(place))
      settle(place)
    case .bytes(let pipe, let end, let bytes): deliver(pipe, end, bytes, event)
    case .closed(let pipe, let end): close(pipe, end, event)
    case .client(let client): clientTurn(client)
    case .fault: faultTurn()
    case .restart(let index): restart(index)
    case .observe: observeTurn()
    }
  }

  /// A stopped process sees what happened when it goes on.
  private func deferred(_ index: Int, _ event: Event) -> Bool {
    let until = nodes[index].pausedUntil
    guard until > now else { return false }
    if case .wake = event { nodes[index].wakeAt = until }
    queue.push(until, event)
    return true
  }

  private func connect(_ from: Int, _ link: LinkID, _ incarnation: UInt64, _ to: Int) {
    let source = nodes[from]
    guard source.incarnation == incarnation, source.node != nil else { return }
    if deferred(from, .connect(from: from, link, incarnation: incarnation, to: to)) { return }
    let target = nodes[to]
    guard let node = target.node, !isBlocked(from, to), !isBlocked(to, from),
      target.pausedUntil <= now, let accepted = node.linkAccepted(now: instant(target))
    else {
      schedule(after: 1000, .connectFailed(from, link, incarnation: incarnation))
      return
    }
    let pipe = Pipe([
      Pipe.End(node: from, link: link, incarnation: source.incarnation),
      Pipe.End(node: to, link: accepted, incarnation: target.incarnation),
    ])
    source.pipes[link] = pipe
    target.pipes[accepted] = pipe
    source.node?.linkOpened(link, now: instant(source))
    settle(source)
    if to != from { settle(target) }
  }

  private func deliver(_ pipe: Pipe, _ end: Int, _ bytes: [UInt8], _ event: Event) {
    let place = nodes[pipe.ends[end].node]
    guard pipe.isOpen, let node = place.node,
      place.incarnation == pipe.ends[end].incarnation
    else { return }
    if deferred(place.index, event) { return }
    note(1, bytes.withUnsafeBytes { hashKey($0, seed: UInt64(place.index)) })
    bytes.withUnsafeBytes {
      node.linkReceived(pipe.ends[end].link, $0, now: instant(place))
    }
    settle(place)
  }

  private func close(_ pipe: Pipe, _ end: Int, _ event: Event) {
    let place = nodes[pipe.ends[end].node]
    guard let node = place.node, place.incarnation == pipe.ends[end].incarnation,
      place.pipes[pipe.ends[end].link] === pipe
    else { return }
    if deferred(place.index, event) { return }
    note(2, UInt64(place.index))
    place.pipes[pipe.ends[end].link] = nil
    node.linkClosed(pipe.ends[end].link, now: instant(place))
    settle(place)
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
    let due = max(node.nextDue, 1_000_000) - 1_000_000
    if due < place.wakeAt {
      place.wakeAt = max(due, now + 1)
      queue.push(place.wakeAt, .wake(place.index))
    }
  }

  private func run(_ action: Action, _ place: SimulatedNode) {
    switch action {
    case .connect(let link, let endpoint):
      let to = Int(endpoint.port) - Int(World.basePort)
      let event = Event.connect(from: place.index, link, incarnation: place.incarnation, to: to)
      schedule(after: 100 + UInt64(random.below(Int(options.delay))), event)
    case .closeLink(let link):
      guard let pipe = place.pipes.removeValue(forKey: link) else { return }
      pipe.isOpen = false
      let other = pipe.ends[0].node == place.index && pipe.ends[0].link == link ? 1 : 0
      schedule(after: 200, .closed(pipe, end: other))
    case .save(let state): place.saved = state
    case .closeSession, .setReading, .rewriteConfiguration, .shutdown, .log: break
    }
  }

  private func flush(_ place: SimulatedNode, _ node: Node) {
    node.takeDirtyLinks(into: &dirtyLinks)
    for link in dirtyLinks {
      node.withOutput(of: link) { bytes in
        if let pipe = place.pipes[link] { send(pipe, from: place, link, bytes) }
        return bytes.count
      }
    }
    node.takeDirtySessions(into: &dirtySessions)
    for session in dirtySessions {
      node.withOutput(of: session) { bytes in
        clientBytes(place.index, session, bytes)
        return bytes.count
      }
    }
  }

  // MARK: The network

  func isBlocked(_ from: Int, _ to: Int) -> Bool { blocked.contains(from * nodes.count + to) }

  private func send(
    _ pipe: Pipe, from place: SimulatedNode, _ link: LinkID, _ bytes: UnsafeRawBufferPointer
  ) {
    guard pipe.isOpen, bytes.count > 0 else { return }
    let end = pipe.ends[0].node == place.index && pipe.ends[0].link == link ? 1 : 0
    if isBlocked(place.index, pipe.ends[end].node) { pipe.ends[end].isBroken = true }
    guard !pipe.ends[end].isBroken else { return }
    guard options.isDatagram, faultsEnabled else {
      return sendInOrder(pipe, end, Array(bytes))
    }
    var at = 0
    while let length = bytes.integer(at, as: UInt32.self) {
      let frame = Array(bytes.slice(at, Int(length) + 4))
      at += frame.count
      sendAlone(pipe, end, frame)
    }
  }

  private func sendInOrder(_ pipe: Pipe, _ end: Int, _ bytes: [UInt8]) {
    let arrival = max(
      now + 20 + UInt64(random.below(Int(options.delay))), pipe.ends[end].lastArrival)
    pipe.ends[end].lastArrival = arrival
    queue.push(arrival, .bytes(pipe, end: end, bytes))
  }

  /// Frames that only merge or tell: 2 to 9 and 14 to 16 of `FrameKind`.
  private func sendAlone(_ pipe: Pipe, _ end: Int, _ frame: [UInt8]) {
    let kind = frame[4]
    guard (2...9).contains(kind) || (14...16).contains(kind) else {
      return sendInOrder(pipe, end, frame)
    }
    if random.below(100) < options.loss { return }
    let copies = random.below(100) < options.duplication ? 2 : 1
    for _ in 0..<copies {
      // Nothing overtakes the hello that opens the link.
      let arrival = max(
        now + 20 + UInt64(random.below(Int(options.delay) * 2)), helloArrival(pipe, end))
      queue.push(arrival, .bytes(pipe, end: end, frame))
    }
  }

  private func helloArrival(_ pipe: Pipe, _ end: Int) -> UInt64 { pipe.ends[end].lastArrival }
}

/// Events in the order of time, and of their making at the same time: a binary heap.
private struct EventQueue {
  private var heap: [(time: UInt64, order: UInt64, event: Event)] = []
  private var made: UInt64 = 0

  var nextTime: UInt64? { heap.first?.time }

  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    (heap[left].time, heap[left].order) < (heap[right].time, heap[right].order)
  }

  mutating func push(_ time: UInt64, _ event: Event) {
    made += 1
    heap.append((time, made, event))
    var child = heap.count - 1
    while child > 0, isBefore(child, (child - 1) / 2) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func pop() -> (time: UInt64, event: Event) {
    let first = heap[0]
    let last = heap.removeLast()
    guard !heap.isEmpty else { return (first.time, first.event) }
    heap[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [parent * 2 + 1, parent * 2 + 2] where child < heap.count {
        if isBefore(child, least) { least = child }
      }
      if least == parent { return (first.time, first.event) }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
