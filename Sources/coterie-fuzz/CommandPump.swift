import CacheNode
import Keyspaces
import Objects
import Primitives

/// Whole nodes in memory, joined by a network that delivers at once and in order: what `commands`
/// runs its scripts on. Time moves only when it is told to, for all of them.
final class CommandPump {
  /// One side of a link.
  private struct End: Hashable {
    var node: Int
    var link: LinkID
  }

  /// A client's connection.
  struct Client: Hashable {
    var node: Int
    var session: SessionID
  }

  /// What clients have been sent and nobody looked at.
  private(set) var received: [Client: [UInt8]] = [:]
  private(set) var isClosed: Set<Client> = []
  private(set) var nodes: [Node] = []
  /// Microseconds since the start.
  private(set) var time: UInt64 = 0

  private var links: [End: End] = [:]
  private var underway: [(to: End, bytes: [UInt8])] = []
  private var users: [[UInt8]?] = []
  private static let epoch: UInt64 = 1_700_000_000_000_000
  private static let basePort: UInt16 = 7001
  /// More rounds than any command takes; a network that never falls silent is a finding.
  private static let mostRounds = 10_000

  init(nodes count: Int, hasUserFile: Bool) {
    for index in 0..<count {
      nodes.append(
        Node(CommandPump.configuration(index, of: count, hasUserFile), now: now))
      users.append(nil)
    }
    settle()
    for _ in 0..<200 where !isFormed(count) { advance(milliseconds: 50) }
    property(
      isFormed(count),
      "\(count) nodes make no cluster: "
        + nodes.map {
          "\($0.hasClusterFormed) \($0.memberCount) \($0.membersAlive) \($0.peersAlive) \($0.isChanging) \($0.isFilled)"
        }.joined(separator: ", "))
  }

  private static func configuration(
    _ index: Int, of count: Int, _ hasUserFile: Bool
  ) -> NodeConfiguration {
    let number = UInt64(index + 1)
    var configuration = NodeConfiguration(
      id: number << 32 | 0xc0de, actor: Actor(rawValue: number), incarnation: 1,
      name: "n\(index)", randomSeed: number)
    configuration.port = basePort + UInt16(index)
    configuration.peerPort = configuration.port + 10_000
    configuration.secret = Array(repeating: UInt8(number), count: 32)
    configuration.seeds = (0..<count).filter { $0 != index && count > 1 }.map {
      Endpoint(host: "127.0.0.1", port: basePort + 10_000 + UInt16($0))
    }
    if hasUserFile { _ = configuration.parameters.set("aclfile", "users.acl") }
    let version = Version(stamp: Stamp(rawValue: 1), actor: Actor(rawValue: 1))
    configuration.keyspaceRegisters = [
      SettingRegister(name: "keyspace.sib.conflict", value: "siblings", version: version)
    ]
    return configuration
  }

  private func isFormed(_ count: Int) -> Bool {
    nodes.allSatisfy {
      $0.hasClusterFormed && $0.memberCount == count && $0.membersAlive == count
        && $0.peersAlive == count - 1 && (count == 1 || !$0.isChanging) && $0.isFilled
    }
  }

  // MARK: Time

  private var now: Instant {
    Instant(
      wallMicroseconds: CommandPump.epoch + time, monotonicMicroseconds: 1_000_000 + time)
  }

  /// Unix time.
  var milliseconds: UInt64 { now.wallMilliseconds }

  /// Lets time pass: alone at once, among others in steps that are shorter than their patience.
  func advance(milliseconds: UInt64) {
    var left = milliseconds * 1000
    repeat {
      let step = nodes.count == 1 ? left : min(left, 50_000)
      time += step
      left -= step
      settle()
    } while left > 0
  }

  // MARK: Clients

  func connect(to node: Int) -> Client {
    let session = nodes[node].sessionOpened(
      address: "127.0.0.1:50000", localAddress: "127.0.0.1:7001", descriptor: 7, now: now)
    property(session != nil, "a client finds no place")
    let client = Client(node: node, session: session ?? SessionID(index: 0, generation: 0))
    received[client] = []
    return client
  }

  func send(_ bytes: [UInt8], from client: Client) {
    guard !isClosed.contains(client) else { return }
    withExactCopy(of: bytes) {
      nodes[client.node].sessionReceived(client.session, $0, now: now)
    }
    settle()
  }

  /// What came for a client since it was last asked.
  func take(_ client: Client) -> [UInt8] {
    defer { received[client] = [] }
    return received[client] ?? []
  }

  func disconnect(_ client: Client) {
    if isClosed.remove(client) == nil {
      nodes[client.node].sessionClosed(client.session, now: now)
      settle()
      isClosed.remove(client)
    }
    received[client] = nil
  }

  // MARK: Rounds

  /// Runs until nothing is under way.
  private func settle() {
    var actions: [Action] = []
    for _ in 0..<CommandPump.mostRounds {
      var isQuiet = true
      for index in nodes.indices {
        nodes[index].finishTick(now: now)
        collect(from: index)
        nodes[index].takeActions(into: &actions)
        for action in actions { run(action, index) }
        isQuiet = isQuiet && actions.isEmpty
      }
      if isQuiet, underway.isEmpty { return }
      deliver()
    }
    property(false, "the nodes never come to rest")
  }

  private func collect(from index: Int) {
    var sessions: [SessionID] = []
    nodes[index].takeDirtySessions(into: &sessions)
    for session in sessions {
      while nodes[index].withOutput(
        of: session,
        { bytes in
          received[Client(node: index, session: session), default: []] += bytes
          return bytes.count
        })
      {}
    }
    var dirty: [LinkID] = []
    nodes[index].takeDirtyLinks(into: &dirty)
    for link in dirty {
      while nodes[index].withOutput(
        of: link,
        { bytes in
          if let other = links[End(node: index, link: link)] {
            underway.append((other, Array(bytes)))
          }
          return bytes.count
        })
      {}
    }
  }

  private func deliver() {
    let batch = underway
    underway.removeAll()
    for (end, bytes) in batch where links[end] != nil {
      withExactCopy(of: bytes) { nodes[end.node].linkReceived(end.link, $0, now: now) }
    }
  }

  private func run(_ action: Action, _ index: Int) {
    let node = nodes[index]
    switch action {
    case .connect(let link, let endpoint): dial(index, link, endpoint)
    case .closeLink(let link):
      guard let other = links.removeValue(forKey: End(node: index, link: link)) else { return }
      links[other] = nil
      nodes[other.node].linkClosed(other.link, now: now)
    case .closeSession(let session):
      let client = Client(node: index, session: session)
      collect(from: index)
      guard isClosed.insert(client).inserted else { return }
      node.sessionClosed(session, now: now)
    case .rewriteConfiguration(let session, _, _):
      node.rewriteFinished(session, error: nil, now: now)
    case .saveUsers(let session, let bytes):
      users[index] = bytes
      node.usersSaved(session, error: nil, now: now)
    case .readUsers(let session):
      let file = users[index].map { ReadFile.bytes($0) } ?? .failed("No such file or directory")
      node.usersRead(session, file, now: now)
    default: break
    }
  }

  private func dial(_ index: Int, _ link: LinkID, _ endpoint: Endpoint) {
    let target = Int(endpoint.port) - Int(CommandPump.basePort) - 10_000
    guard nodes.indices.contains(target), let accepted = nodes[target].linkAccepted(now: now)
    else { return nodes[index].linkClosed(link, now: now) }
    let (near, far) = (End(node: index, link: link), End(node: target, link: accepted))
    links[near] = far
    links[far] = near
    nodes[index].linkOpened(link, now: now)
  }
}
