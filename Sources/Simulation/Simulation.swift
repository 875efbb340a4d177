import CacheNode
import Objects
import Primitives

/// What a run came to.
package struct SimulationResult: Sendable {
  package var seed: UInt64
  package var options: SimulationOptions
  /// What went wrong; nil when nothing did.
  package var failure: String?
  /// A hash of every delivery and reply: the same seed gives the same one in any process.
  package var trace: UInt64
  package var events: Int
  package var commands: Int
  package var errors: Int
  package var simulatedMicroseconds: UInt64
}

/// One run: a cluster under load and faults, then healed and judged.
package final class Simulation {
  private let options: SimulationOptions
  private let world: World
  private var clients: [SimulatedClient] = []
  private var history = History()
  private var siblings = SiblingHistory()
  private var identities = Identities()
  private var random: SeededGenerator
  private var isLoadOn = false
  private var commands = 0
  private var errors = 0
  private var nextValue = 0
  private var finalErrors = 0
  /// A key whose commands and replies are printed.
  private let tracedKey: String?
  private var finalReplies = 0

  private static let sharedKeys = 4
  private static let ownKeys = 3
  /// Below the cap of siblings, which resolves.
  private static let addsPerKey = 40

  package init(_ options: SimulationOptions, tracedKey: String? = nil) {
    self.options = options
    self.tracedKey = tracedKey
    world = World(options)
    random = SeededGenerator(seed: options.seed ^ 0xc11e)
    clients = (0..<options.clients).map { SimulatedClient(index: $0) }
    world.clientBytes = { [unowned self] in self.received($0, $1, $2) }
    world.clientTurn = { [unowned self] in self.turn($0) }
    world.faultTurn = { [unowned self] in self.fault() }
    world.observeTurn = { [unowned self] in self.observe() }
    world.nodeCrashed = { [unowned self] in self.crashed($0) }
  }

  package static func run(seed: UInt64, sabotage: Sabotage = []) -> SimulationResult {
    Simulation(SimulationOptions(seed: seed, sabotage: sabotage)).run()
  }

  package func run() -> SimulationResult {
    formCluster()
    if world.failure == nil { runLoad() }
    if world.failure == nil { heal() }
    if world.failure == nil { judge() }
    return SimulationResult(
      seed: options.seed, options: options, failure: world.failure,
      trace: mix(world.trace ^ UInt64(commands) << 20 ^ UInt64(errors)), events: world.events,
      commands: commands, errors: errors, simulatedMicroseconds: world.now)
  }

  private func fail(_ what: String) {
    if world.failure == nil { world.failure = "at \(world.now / 1000) ms: \(what)" }
  }

  // MARK: Phases

  private var isFormed: Bool {
    world.nodes.allSatisfy {
      guard let node = $0.node else { return false }
      return node.memberCount == options.nodes && node.isFilled
        && node.peersAlive == options.nodes - 1
    }
  }

  private func formCluster() {
    world.faultsEnabled = false
    for _ in 0..<100 where !isFormed { world.run(until: world.now + 200_000) }
    if !isFormed { fail("the cluster did not form in 20 s") }
  }

  private func runLoad() {
    world.faultsEnabled = true
    isLoadOn = true
    for client in clients {
      world.schedule(after: UInt64(random.below(20_000)), .client(client.index))
    }
    world.schedule(after: 300_000, .fault)
    world.schedule(after: 500_000, .observe)
    world.run(until: world.now + options.faultMilliseconds * 1000)
  }

  /// Faults end; whoever is down comes back. Two seconds later every command has to succeed.
  private func heal() {
    isLoadOn = false
    world.faultsEnabled = false
    world.blocked = []
    for index in world.nodes.indices {
      world.nodes[index].pausedUntil = 0
      if world.nodes[index].node == nil { world.restart(index) }
    }
    world.run(until: world.now + 2_000_000)
    for _ in 0..<40 where !isFormed { world.run(until: world.now + 200_000) }
    if !isFormed { return fail("the cluster did not heal in 10 s") }
    // Replies to the load that are still out.
    world.run(until: world.now + 2_000_000)
    for client in clients where client.isWaiting {
      fail("client \(client.index) still waits for replies 2 s after the heal")
    }
  }

  private func judge() {
    observe()
    if options.isLossless, world.failure == nil { compareReplicas("without any repair") }
    guard world.failure == nil else { return }
    // From now on each read asks every owner, and so repairs every stale one.
    ask(
      0,
      [
        "CONFIG", "SET", "keyspace.default.r", "\(options.copies)", "keyspace.sib.r",
        "\(options.copies)",
      ])
    world.run(until: world.now + 1_000_000)
    for _ in 0..<2 {
      for key in 0..<Simulation.sharedKeys { readEverywhere("shared:\(key)", .readVersioned) }
      for key in siblings.keys { readEverywhere(key, .readSiblings) }
      for key in allKeys() { readEverywhere(key, .expiring) }
      world.run(until: world.now + 2_000_000)
    }
    if finalErrors > 0 {
      return fail("\(finalErrors) of \(finalReplies) reads failed after the heal")
    }
    if world.failure == nil { compareReplicas("after reads of all copies") }
    observe()
    if options.survivesCrashes, world.failure == nil { checkSiblings() }
  }

  private func allKeys() -> [String] {
    var keys: Set<String> = []
    for place in world.nodes {
      for object in place.node?.snapshot(now: world.instant(place)) ?? [] {
        keys.insert(String(decoding: object.key, as: UTF8.self))
      }
    }
    return keys.sorted()
  }

  private func readEverywhere(_ key: String, _ kind: Issued.Kind) {
    for node in world.nodes.indices {
      var words = ["VGET", key]
      if case .expiring = kind { words = ["GET", key] }
      ask(node, words)
    }
  }

  /// Sends one command of the final phase over a connection of its own.
  private func ask(_ node: Int, _ words: [String]) {
    let client = SimulatedClient(index: clients.count)
    clients.append(client)
    client.node = node
    let isSibling = words[0] == "VGET" && words[1].hasPrefix("sib:")
    let isShared = words[0] == "VGET" && words[1].hasPrefix("shared:")
    let kind: Issued.Kind = isSibling ? .readSiblings : isShared ? .readVersioned : .expiring
    send(client, [(words, Issued(kind: kind, key: words[1], sentAt: world.now))])
  }

  // MARK: Faults

  private func fault() {
    guard isLoadOn else { return }
    world.schedule(after: UInt64(100_000 + random.below(700_000)), .fault)
    let index = random.below(options.nodes)
    switch random.below(4) {
    case 0 where options.partitions: partition()
    case 1 where options.crashes:
      guard isFormedExceptLinks else { return }
      world.crash(index)
      world.schedule(after: UInt64(200_000 + random.below(1_500_000)), .restart(index))
    case 2 where options.pauses:
      world.nodes[index].pausedUntil = world.now + UInt64(50_000 + random.below(1_500_000))
    case 3 where options.clockJumps:
      let jump = random.below(options.skew * 2) - options.skew
      world.nodes[index].skew = jump * 1000
    default: break
    }
  }

  /// Nobody is down or refilling.
  private var isFormedExceptLinks: Bool {
    world.nodes.allSatisfy { $0.node?.isFilled ?? false }
  }

  private func partition() {
    if !world.blocked.isEmpty {
      world.blocked = []
      return
    }
    let isOneWay = random.oneIn(3)
    let side = (0..<options.nodes).filter { _ in random.oneIn(2) }
    for from in 0..<options.nodes {
      for to in 0..<options.nodes where side.contains(from) != side.contains(to) {
        if isOneWay, side.contains(to) { continue }
        world.blocked.insert(from * options.nodes + to)
      }
    }
  }

  private func crashed(_ index: Int) {
    observe(index)
    for client in clients where client.node == index && client.session != nil {
      client.disconnect()
      if isLoadOn {
        world.schedule(after: UInt64(1000 + random.below(50_000)), .client(client.index))
      }
    }
  }

  // MARK: Load

  private func turn(_ index: Int) {
    let client = clients[index]
    guard isLoadOn, !client.isWaiting else { return }
    if client.session == nil {
      let alive = world.nodes.filter { $0.node != nil }.map(\.index)
      guard !alive.isEmpty else { return }
      client.node = alive[random.below(alive.count)]
    }
    var batch: [([String], Issued)] = []
    for _ in 0..<1 + random.below(6) { batch.append(command(client)) }
    send(client, batch)
  }

  private func freshValue() -> String {
    nextValue += 1
    return "v\(nextValue)"
  }

  private func command(_ client: SimulatedClient) -> ([String], Issued) {
    switch random.below(10) {
    case 0, 1, 2, 3: return ownCommand(client)
    case 4, 5:
      let key = "shared:\(random.below(Simulation.sharedKeys))"
      let value = freshValue()
      history.began(key, value, at: world.now)
      return (["SET", key, value], Issued(kind: .write(value: value), key: key, sentAt: world.now))
    case 6:
      let key = "shared:\(random.below(Simulation.sharedKeys))"
      return (["VGET", key], Issued(kind: .readVersioned, key: key, sentAt: world.now))
    case 7, 8: return siblingCommand(client)
    default:
      let key = "expiring:\(random.below(50))"
      let words = ["SET", key, freshValue(), "PX", "\(200 + random.below(3000))"]
      return (words, Issued(kind: .expiring, key: key, sentAt: world.now))
    }
  }

  private func ownCommand(_ client: SimulatedClient) -> ([String], Issued) {
    let key = "own:\(client.index).\(client.era).\(random.below(Simulation.ownKeys))"
    let words: [String]
    switch random.below(9) {
    case 0, 1: words = ["SET", key, "\(random.below(1000))"]
    case 2, 3: words = ["GET", key]
    case 4, 5: words = ["INCR", key]
    case 6: words = ["APPEND", key, "\(random.below(10))"]
    case 7: words = [["GETSET", "SETNX"][random.below(2)], key, "\(random.below(1000))"]
    default: words = [["DEL", "STRLEN"][random.below(2)], key]
    }
    return (words, Issued(kind: .own(words: words), key: key, sentAt: world.now))
  }

  private func siblingCommand(_ client: SimulatedClient) -> ([String], Issued) {
    var number = random.below(3)
    while (siblings.added["sib:\(number)"] ?? 0) >= Simulation.addsPerKey { number += 3 }
    let key = "sib:\(number)"
    if random.oneIn(3) {
      return (["VGET", key], Issued(kind: .readSiblings, key: key, sentAt: world.now))
    }
    let value = freshValue()
    siblings.began(key)
    var token = ""
    if random.oneIn(2), let context = client.contexts.removeValue(forKey: key) {
      token = context.token
      siblings.covers(key, context.values)
    }
    return (
      ["VSET", key, value, "CONTEXT", token],
      Issued(kind: .add(value: value), key: key, sentAt: world.now)
    )
  }

  private func send(_ client: SimulatedClient, _ batch: [([String], Issued)]) {
    let place = world.nodes[client.node]
    guard let node = place.node else { return }
    if client.session == nil {
      client.session = node.sessionOpened(
        address: "sim", localAddress: "sim", descriptor: 0, now: world.instant(place))
    }
    guard let session = client.session else { return }
    var bytes: [UInt8] = []
    for (words, issued) in batch {
      bytes += encode(words)
      client.issued.append(issued)
      commands += 1
      if issued.key == tracedKey {
        print(
          "\(world.now) client \(client.index) → node \(client.node): \(words.joined(separator: " "))"
        )
      }
    }
    // A client's write reaches the node in two pieces as often as not.
    let cut = random.below(bytes.count + 1)
    for piece in [bytes[..<cut], bytes[cut...]] where !piece.isEmpty {
      Array(piece).withUnsafeBytes {
        node.sessionReceived(session, $0, now: world.instant(place))
      }
    }
    world.settle(place)
  }

  // MARK: Replies

  private func received(_ node: Int, _ session: SessionID, _ bytes: UnsafeRawBufferPointer) {
    guard let client = clients.first(where: { $0.node == node && $0.session == session }) else {
      return
    }
    client.received += Array(bytes)
    var at = 0
    while let reply = Reply.read(client.received, at: &at) {
      guard let issued = client.nextIssued() else {
        return fail("client \(client.index) got a reply that it did not ask for")
      }
      judge(client, issued, reply)
    }
    client.received.removeFirst(at)
    if !client.isWaiting, isLoadOn {
      world.schedule(after: UInt64(500 + random.below(30_000)), .client(client.index))
    }
  }

  private func judge(_ client: SimulatedClient, _ issued: Issued, _ reply: Reply) {
    if issued.key == tracedKey { print("\(world.now) client \(client.index) ← \(reply)") }
    let word = reply.errorWord
    if let word, ["NOREPLICAS", "NOQUORUM", "TRYAGAIN", "CLUSTERDOWN"].contains(word) {
      errors += 1
      if !isLoadOn, world.faultsEnabled == false { countFinal(failed: true) }
      // Only a write that may have been applied leaves the state open.
      if case .own = issued.kind, word == "NOQUORUM" { client.doubtful.insert(issued.key) }
      return
    }
    if !isLoadOn { countFinal(failed: false) }
    switch issued.kind {
    case .own(let words): judgeOwn(client, words, reply)
    case .write(let value): history.acknowledged(issued.key, value, at: world.now)
    case .readVersioned: judgeRead(issued, reply)
    case .add(let value): siblings.acknowledged(issued.key, value)
    case .readSiblings: noteSiblings(client, issued, reply)
    case .expiring: break
    }
  }

  private var judgesFinal: Bool { clients.count > options.clients }

  private func countFinal(failed: Bool) {
    guard judgesFinal else { return }
    finalReplies += 1
    if failed { finalErrors += 1 }
  }

  private var checksOrder: Bool {
    options.survivesCrashes
      && ((options.isStrict && options.writesMeet) || (!options.isDatagram && options.isLossless))
  }

  private func judgeOwn(_ client: SimulatedClient, _ words: [String], _ reply: Reply) {
    guard checksOrder, !client.doubtful.contains(words[1]) else { return }
    let expected = client.expected(words)
    if expected != reply {
      fail(
        "client \(client.index) at node \(client.node): \(words.joined(separator: " ")) answered "
          + "\(reply), in order it is \(expected)")
    }
  }

  private func versioned(_ reply: Reply) -> (token: String, values: [String])? {
    guard case .array(let parts) = reply, parts.count == 4, let token = parts[1].text,
      case .array(let values) = parts[3]
    else { return nil }
    return (token, values.compactMap(\.text))
  }

  private func judgeRead(_ issued: Issued, _ reply: Reply) {
    guard let (token, values) = versioned(reply) else {
      return fail("VGET \(issued.key) answered \(reply)")
    }
    guard options.isStrict, options.survivesCrashes else { return }
    let context = Array(token.utf8).withUnsafeBytes { ContextToken.parse($0) }
    let problem = history.read(
      issued.key, values.first, context?.seenLWW ?? .none, start: issued.sentAt,
      writesMeet: options.writesMeet)
    if let problem { fail(problem) }
  }

  private var finalSiblings: [String: Set<String>] = [:]

  private func noteSiblings(_ client: SimulatedClient, _ issued: Issued, _ reply: Reply) {
    guard let context = versioned(reply) else {
      return fail("VGET \(issued.key) answered \(reply)")
    }
    client.contexts[issued.key] = context
    if judgesFinal, !isLoadOn { finalSiblings[issued.key] = Set(context.values) }
  }

  // MARK: Judging the whole

  private func observe() {
    for place in world.nodes { observe(place.index) }
    if isLoadOn { world.schedule(after: 500_000, .observe) }
  }

  private func observe(_ index: Int) {
    let place = world.nodes[index]
    guard let node = place.node else { return }
    // As at time zero, so that nothing counts as dead and every value is compared.
    let start = Instant(wallMicroseconds: 0, monotonicMicroseconds: 0)
    if let problem = identities.observe(node.snapshot(now: start)) { fail(problem) }
  }

  /// All copies of a key are the same bytes.
  private func compareReplicas(_ when: String) {
    var copies: [[UInt8]: [[UInt8]]] = [:]
    let late = Instant(wallMicroseconds: .max / 2, monotonicMicroseconds: 0)
    for place in world.nodes {
      for object in place.node?.snapshot(now: late) ?? [] {
        copies[object.key, default: []].append(object.object)
      }
    }
    for (key, objects) in copies.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let name = String(decoding: key, as: UTF8.self)
      if Set(objects).count > 1 { return fail("\(name): replicas differ \(when)") }
      if objects.count < options.copies {
        return fail("\(name): \(objects.count) of \(options.copies) copies \(when)")
      }
    }
  }

  private func checkSiblings() {
    for key in siblings.keys {
      let lost = siblings.lost(key, finalSiblings[key] ?? [])
      if !lost.isEmpty {
        return fail("\(key): acknowledged siblings are gone: \(lost.joined(separator: " "))")
      }
    }
  }
}
