import CacheNode
import Primitives

/// What a run came to.
public struct SimulationResult: Sendable {
  public var seed: UInt64
  public var options: SimulationOptions
  /// What went wrong; nil when nothing did.
  public var failure: String?
  /// A hash of every delivery and reply: the same seed gives the same one in any process.
  public var trace: UInt64
  public var events: Int
  public var commands: Int
  public var errors: Int
  public var simulatedMicroseconds: UInt64
  public var faults: FaultCounts
}

// # A run
//
//     form ─▶ load and faults, about a minute ─▶ heal ─▶ probe ─▶ converge ─▶ read everything
//
// The safety phase: clients send bursts of commands around the faults and little in between, and
// the checkers (History) judge every reply. Then the liveness phase: faults end, whoever is down
// comes back, a ring change goes on to its end. Two seconds later every node has to answer every
// command; two periods of anti-entropy later, with nothing read, all owners have to hold the same;
// and then everything that was promised has to be there, read from every node.

/// One run: a cluster under load and faults, then healed and judged.
public final class Simulation {
  enum Phase {
    case load
    case heal
    /// Everything has to succeed and to be as it should.
    case final
  }

  let options: SimulationOptions
  let world: World
  var clients: [SimulatedClient] = []
  /// An operator's connections, one a node, for the commands of the liveness phase.
  var operators: [Int: SimulatedClient] = [:]
  var history = History()
  var siblings = SiblingHistory()
  var deletions = DeletionHistory()
  var expiries = ExpiryHistory()
  var identities = Identities()
  var random: SeededGenerator
  var phase = Phase.heal
  var ringChange: RingChange? { didSet { calmSince = max(calmSince, world.now) } }
  /// Since when there is nothing to recover from but what the faults left behind.
  private var healedAt: UInt64 = 0
  var commands = 0
  var errors = 0
  var finalCommands = 0
  var finalReplies = 0
  var nextValue = 0
  /// Since when the network and the set of running nodes are as they are.
  var calmSince: UInt64 = 0
  /// What `calmSince` can't be told of by events: who is up and filled.
  var fillState: [Bool] = []
  /// A key whose commands, replies and copies are printed.
  let tracedKey: String?
  /// What was last printed of each node's copy.
  var tracedCopies: [Int: String] = [:]

  /// After a heal every command has to succeed from then on.
  static let recovery: UInt64 = 2_000_000

  public init(_ options: SimulationOptions, tracedKey: String? = nil) {
    self.options = options
    self.tracedKey = tracedKey
    world = World(options)
    random = SeededGenerator(seed: options.seed ^ 0xc11e)
    clients = (0..<options.clients).map { SimulatedClient(index: $0) }
    world.clientBytes = { [unowned self] in self.received($0, $1, $2) }
    world.clientTurn = { [unowned self] in self.turn(self.clients[$0]) }
    world.faultTurn = { [unowned self] in self.fault() }
    world.observeTurn = { [unowned self] in self.observeOne() }
    world.overseeTurn = { [unowned self] in self.oversee() }
    world.nodeEnds = { [unowned self] in self.ends($0) }
    world.disturbed = { [unowned self] in self.disturbed() }
    if tracedKey != nil {
      world.settled = { [unowned self] in self.traceCopy($0) }
      world.logged = { [unowned self] in
        print("\(self.world.now) node \($0.index) logs: \($1)")
      }
    }
  }

  public static func run(seed: UInt64, sabotage: Sabotage = []) -> SimulationResult {
    Simulation(SimulationOptions(seed: seed, sabotage: sabotage)).run()
  }

  public func run() -> SimulationResult {
    for phase in [formCluster, runLoad, heal, converge, readAll] where world.failure == nil {
      phase()
    }
    return SimulationResult(
      seed: options.seed, options: options, failure: world.failure,
      trace: mix(world.trace ^ UInt64(commands) << 20 ^ UInt64(errors)), events: world.events,
      commands: commands, errors: errors, simulatedMicroseconds: world.now, faults: world.faults)
  }

  func fail(_ what: String) {
    if world.failure == nil { world.failure = "at \(world.now / 1000) ms: \(what)" }
  }

  // MARK: Phases

  /// All members are up, filled and agree on who they are.
  private var isFormed: Bool {
    let members = world.members
    return members.allSatisfy {
      guard let node = $0.node else { return false }
      return node.memberCount == members.count && node.isFilled && !node.isChanging
        && node.peersAlive == members.count - 1 && node.membersAlive == members.count
    }
  }

  private func formCluster() {
    world.faultsEnabled = false
    for _ in 0..<100 where !isFormed { world.run(for: 200_000) }
    if !isFormed { fail("the cluster did not form in 20 s") }
  }

  private func runLoad() {
    world.faultsEnabled = true
    phase = .load
    for client in clients { schedule(client, after: UInt64(random.below(20_000))) }
    world.schedule(after: 300_000, .fault)
    world.schedule(after: 500_000, .observe)
    world.run(for: options.faultMilliseconds * 1000)
  }

  /// Faults end; whoever is down comes back.
  private func heal() {
    phase = .heal
    world.faultsEnabled = false
    world.cuts = [:]
    world.slowness = [:]
    for place in world.nodes {
      place.pausedUntil = 0
      world.restart(place)
    }
    disturbed()
    healedAt = world.now
    world.run(for: Simulation.recovery)
    // A dead owner that is not replaced yet can't be among all of them.
    if ringChange?.isReplacement ?? false, max(options.write, options.read) == options.copies {
      awaitRing()
    }
    probe()
    let isChanging = ringChange != nil
    awaitRing()
    if !isFormed || ringChange != nil { return fail("the cluster did not heal in 20 s") }
    if isChanging { healedAt = world.now }
    for client in clients where client.isWaiting {
      fail("client \(client.index) still waits for replies after the heal")
    }
  }

  private func awaitRing() {
    for _ in 0..<100 where !isFormed || ringChange != nil { world.run(for: 200_000) }
  }

  /// Every node writes and reads keys that nobody has written before.
  private func probe() {
    phase = .final
    for place in world.members where world.now >= place.bootedAt + Simulation.recovery {
      var batch: [([String], Issued)] = []
      for number in 0..<16 {
        let key = "probe:\(place.index).\(number)"
        batch.append((["SET", key, "\(number)"], Issued(kind: .any, key: key, sentAt: world.now)))
        batch.append((["GET", key], Issued(kind: .any, key: key, sentAt: world.now)))
      }
      ask(place, batch)
    }
    awaitFinal("2 s after the heal")
  }

  /// Waits for the replies to all that `ask` sent; a reply that says no has failed the run already.
  func awaitFinal(_ when: String) {
    for _ in 0..<10 where finalReplies < finalCommands { world.run(for: 200_000) }
    let missing = finalCommands - finalReplies
    if missing > 0 { fail("\(missing) of \(finalCommands) commands have no reply \(when)") }
  }

  private func converge() {
    // What the probe wrote is on its way for less than half a second.
    world.run(
      until: max(
        healedAt + 2_000_000 * UInt64(SimulationOptions.antiEntropySeconds), world.now + 500_000))
    observeAll()
    compareReplicas("two periods of anti-entropy after the heal")
    // With nothing written, another period repairs nothing.
    let before = repairs
    world.run(for: 1_000_000 * UInt64(SimulationOptions.antiEntropySeconds))
    if repairs != before { fail("\(repairs - before) repairs though nothing was written") }
  }

  private var repairs: Int {
    world.nodes.reduce(0) { $0 + ($1.node?.statistics().repairs ?? 0) }
  }

  /// Every node knows everything, and nothing that is dead.
  private func readAll() {
    let keys = allKeys()
    for place in world.members {
      ask(place, keys.map { finalRead($0) })
      ask(place, siblings.keys.map { finalRead($0) })
      ask(place, deletions.deleted.map { finalRead($0, .readDeleted) })
      ask(place, deletions.standingKeys.map { finalRead($0, .readStanding) })
    }
    awaitFinal("to the last reads")
    compareReplicas("after the last reads")
  }

  private func finalRead(_ key: String, _ kind: Issued.Kind? = nil) -> ([String], Issued) {
    var words = ["GET", key]
    var kind = kind ?? .any
    if key.hasPrefix("expiring:") { kind = .readDeleted }
    if key.hasPrefix("shared:") { kind = .readVersioned }
    if key.hasPrefix("sib:") { kind = .readSiblings }
    switch kind {
    case .readVersioned, .readSiblings: words[0] = "VGET"
    default: break
    }
    return (words, Issued(kind: kind, key: key, sentAt: world.now))
  }
}
