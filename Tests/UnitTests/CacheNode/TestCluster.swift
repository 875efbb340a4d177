import CacheNode
import Objects
import Primitives
import Testing

/// Nodes in memory: links are byte queues, time is a number, and nothing is ever lost or late
/// unless a test says so.
final class TestCluster {
  /// One node with its ends of the links.
  private final class Place {
    var node: Node?
    var configuration: NodeConfiguration
    var links: [LinkID: (place: Int, id: LinkID)] = [:]
    var clients: [SessionID: Connected] = [:]
    var isFrozen = false
    /// Links with bytes that could not go in this millisecond, and what the others may still take.
    var waiting: Set<LinkID> = []
    var allowance: [LinkID: Int] = [:]

    init(_ configuration: NodeConfiguration) { self.configuration = configuration }
  }

  /// A client that keeps the cluster, and not the other way round.
  private struct Connected {
    weak var client: TestClient?
  }

  /// Bytes on their way.
  private struct Delivery {
    var place: Int
    var link: LinkID
    var bytes: [UInt8]
  }

  /// What one direction of a link takes in a millisecond.
  var bytesPerMillisecond = Int.max

  private(set) var microseconds: UInt64 = 1_000_000
  private(set) var log: [String] = []
  private var places: [Place] = []
  private var deliveries: [Delivery] = []
  private var generator: SeededGenerator
  /// Nodes that are to be no members any more: they left or were forgotten.
  private var gone: Set<Int> = []

  var now: Instant {
    Instant(
      wallMicroseconds: 1_800_000_000_000_000 + microseconds, monotonicMicroseconds: microseconds)
  }

  /// Starts the nodes; all but the first one have it as seed. `form` waits until they have met.
  init(
    _ count: Int, seed: UInt64 = 1,
    configure: (_ node: Int, inout NodeConfiguration) -> Void = { _, _ in }
  ) {
    generator = SeededGenerator(seed: seed)
    for index in 0..<count { addPlace { configure(index, &$0) } }
    for place in places { place.node = Node(place.configuration, now: now) }
  }

  private func addPlace(_ configure: (inout NodeConfiguration) -> Void) {
    let index = places.count
    var configuration = NodeConfiguration(
      id: generator.next() | 1, actor: Actor(rawValue: generator.next()),
      incarnation: now.wallMilliseconds, name: "n\(index)", randomSeed: generator.next())
    configuration.port = UInt16(7001 + index)
    configuration.peerPort = UInt16(17_001 + index)
    if index > 0 { configuration.seeds = [Endpoint(host: "127.0.0.1", port: 17_001)] }
    configuration.clusterSecret = Array("of the nodes in memory".utf8)
    configure(&configuration)
    places.append(Place(configuration))
  }

  /// Starts one more node, with the first one as seed; returns its number.
  func add(_ configure: (inout NodeConfiguration) -> Void = { _ in }) -> Int {
    addPlace(configure)
    let place = places[places.count - 1]
    place.node = Node(place.configuration, now: now)
    return places.count - 1
  }

  /// A cluster whose nodes know each other and hold what they own.
  static func formed(
    _ count: Int, seed: UInt64 = 1,
    configure: (_ node: Int, inout NodeConfiguration) -> Void = { _, _ in }
  ) -> TestCluster {
    let cluster = TestCluster(count, seed: seed, configure: configure)
    let isFormed = cluster.run(atMost: 10_000) { cluster.hasFormed }
    if !isFormed { Issue.record("the cluster did not form in 10 s: \(cluster.log)") }
    return cluster
  }

  /// All members that run know each other and hold what they own, and the ring rests. A lone node
  /// has nobody to found a cluster with; one that has left may keep its links.
  var hasFormed: Bool {
    living.allSatisfy { node in
      node.hasClusterFormed && node.isFilled && (places.count == 1 || !node.isChanging)
        && node.memberCount == places.count - gone.count && node.peersAlive >= living.count - 1
    }
  }

  /// The members that run.
  private var living: [Node] {
    places.indices.compactMap { index in
      gone.contains(index) || places[index].isFrozen ? nil : places[index].node
    }
  }

  /// From now on this node is to be no member.
  func expectGone(_ index: Int) { gone.insert(index) }

  func node(_ index: Int) -> Node? { places[index].node }

  // MARK: Time

  /// Lets a time pass, a millisecond a step.
  func run(milliseconds: Int) { _ = run(atMost: milliseconds) { false } }

  /// Lets time pass until a condition holds; false when it does not in that time.
  func run(atMost milliseconds: Int, until isDone: () -> Bool) -> Bool {
    for _ in 0..<milliseconds {
      settle()
      if isDone() { return true }
      microseconds += 1000
    }
    settle()
    return isDone()
  }

  /// Moves bytes until there are none, without any time.
  private func settle() {
    for place in places { place.allowance = [:] }
    for _ in 0..<10_000 {
      for index in places.indices { finishTick(index) }
      if deliveries.isEmpty { return }
      let batch = deliveries
      deliveries = []
      for delivery in batch { deliver(delivery) }
    }
    Issue.record("the nodes talk without end")
  }

  private func finishTick(_ index: Int) {
    let place = places[index]
    guard let node = place.node, !place.isFrozen else { return }
    node.finishTick(now: now)
    var sessions: [SessionID] = []
    node.takeDirtySessions(into: &sessions)
    for id in sessions {
      var isTaken = true
      while isTaken {
        isTaken = false
        node.withOutput(of: id) { bytes in
          guard let client = place.clients[id]?.client, client.reads else { return 0 }
          client.output += Array(bytes)
          isTaken = !bytes.isEmpty
          return bytes.count
        }
      }
    }
    var dirty: [LinkID] = []
    node.takeDirtyLinks(into: &dirty)
    for id in place.waiting where !dirty.contains(id) { dirty.append(id) }
    place.waiting = []
    for id in dirty {
      var isTaken = true
      var waits = false
      while isTaken {
        isTaken = false
        waits = node.withOutput(of: id) { bytes in
          // An end that is not connected yet keeps its bytes.
          guard let other = place.links[id] else { return 0 }
          let allowed = place.allowance[id] ?? bytesPerMillisecond
          let count = min(bytes.count, allowed)
          guard count > 0 else { return 0 }
          place.allowance[id] = allowed - count
          deliveries.append(
            Delivery(place: other.place, link: other.id, bytes: Array(bytes[..<count])))
          isTaken = true
          return count
        }
      }
      if waits { place.waiting.insert(id) }
    }
    var actions: [Action] = []
    node.takeActions(into: &actions)
    for action in actions { perform(action, of: index) }
  }

  private func deliver(_ delivery: Delivery) {
    let place = places[delivery.place]
    guard !place.isFrozen, place.links[delivery.link] != nil else { return }
    delivery.bytes.withUnsafeBytes { place.node?.linkReceived(delivery.link, $0, now: now) }
  }

  private func perform(_ action: Action, of index: Int) {
    let place = places[index]
    switch action {
    case .connect(let id, let endpoint): connect(index, id, endpoint)
    case .closeLink(let id):
      guard let other = place.links.removeValue(forKey: id) else { return }
      places[other.place].links[other.id] = nil
      places[other.place].node?.linkClosed(other.id, now: now)
    case .closeSession(let id):
      place.clients.removeValue(forKey: id)?.client?.isClosed = true
      place.node?.sessionClosed(id, now: now)
    case .save(let state): place.configuration.saved = state
    case .log(_, let text): log.append("n\(index): \(text)")
    case .setReading, .rewriteConfiguration, .saveUsers, .readUsers, .shutdown, .sleep: break
    }
  }

  private func connect(_ index: Int, _ id: LinkID, _ endpoint: Endpoint) {
    let other = places.firstIndex { $0.configuration.peerPort == endpoint.port }
    guard let other, !places[other].isFrozen, let id2 = places[other].node?.linkAccepted(now: now)
    else {
      places[index].node?.linkClosed(id, now: now)
      return
    }
    places[index].links[id] = (other, id2)
    places[other].links[id2] = (index, id)
    places[index].node?.linkOpened(id, now: now)
  }

  // MARK: Trouble

  /// `kill -9`: the process and its memory are gone, the others see closed links.
  func kill(_ index: Int) {
    let place = places[index]
    place.node = nil
    for connected in place.clients.values { connected.client?.isClosed = true }
    place.clients = [:]
    for (_, other) in place.links {
      places[other.place].links[other.id] = nil
      places[other.place].node?.linkClosed(other.id, now: now)
    }
    place.links = [:]
  }

  /// Starts a killed node with empty memory and its state file.
  func restart(_ index: Int) {
    let place = places[index]
    place.configuration.actor = Actor(rawValue: generator.next())
    place.configuration.incarnation += 1
    place.configuration.randomSeed = generator.next()
    place.node = Node(place.configuration, now: now)
  }

  /// `kill -STOP`: the node hears and says nothing; its links stay open.
  func freeze(_ index: Int) { places[index].isFrozen = true }
  func thaw(_ index: Int) { places[index].isFrozen = false }

  // MARK: Clients

  /// A new connection to a node.
  func client(_ index: Int) -> TestClient {
    let client = TestClient(cluster: self, node: index)
    let id = places[index].node?.sessionOpened(
      address: "127.0.0.1:5000\(index)", localAddress: "127.0.0.1:\(7001 + index)", descriptor: 9,
      now: now)
    if let id {
      places[index].clients[id] = Connected(client: client)
    } else {
      client.isClosed = true
    }
    client.session = id
    return client
  }

  func receive(_ bytes: [UInt8], from client: TestClient) {
    guard let id = client.session, !client.isClosed else { return }
    bytes.withUnsafeBytes { places[client.node].node?.sessionReceived(id, $0, now: now) }
  }
}
