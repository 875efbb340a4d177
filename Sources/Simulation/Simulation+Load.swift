import CacheNode

extension Simulation {
  private static let sharedKeys = 4
  private static let ownKeys = 3
  private static let expiringKeys = 30
  /// Below the cap of siblings, which resolves.
  private static let addsPerKey = 40

  // MARK: Turns

  func schedule(_ client: SimulatedClient, after microseconds: UInt64) {
    client.turnAt = world.now + microseconds
    world.schedule(after: microseconds, .client(client.index))
  }

  /// All clients send some batches without a rest: something happens, or just did.
  func hurry() {
    for client in clients {
      client.haste = 1 + random.below(4)
      if !client.isWaiting { schedule(client, after: UInt64(random.below(30_000))) }
    }
  }

  /// After the last reply of a batch.
  func rest(_ client: SimulatedClient) {
    let isHasty = client.haste > 0
    if isHasty { client.haste -= 1 }
    schedule(
      client,
      after: UInt64(isHasty ? 500 + random.below(30_000) : 500_000 + random.below(2_500_000)))
  }

  func turn(_ client: SimulatedClient) {
    guard phase == .load, !client.isWaiting, world.now >= client.turnAt else { return }
    client.turnAt = .max
    if client.session != nil, random.oneIn(50) { hangUp(client) }
    if client.session == nil {
      let running = world.nodes.filter { $0.node != nil }.map(\.index)
      guard !running.isEmpty else { return schedule(client, after: 100_000) }
      client.node = running[random.below(running.count)]
    }
    let pausedUntil = world.nodes[client.node].pausedUntil
    if pausedUntil > world.now { return schedule(client, after: pausedUntil - world.now) }
    send(client, (0..<1 + random.below(6)).map { _ in command(client) })
  }

  private func hangUp(_ client: SimulatedClient) {
    let place = world.nodes[client.node]
    guard let session = client.session, place.pausedUntil <= world.now else { return }
    place.clients[session] = nil
    client.disconnect()
    place.node?.sessionClosed(session, now: world.instant(place))
    world.settle(place)
  }

  // MARK: Commands

  private func freshValue() -> String {
    nextValue += 1
    return "v\(nextValue)"
  }

  private func command(_ client: SimulatedClient) -> ([String], Issued) {
    switch random.below(20) {
    case 0...6: return ownCommand(client)
    case 7...9:
      let key = "shared:\(random.below(Simulation.sharedKeys))"
      let value = freshValue()
      history.began(key, value, at: world.now)
      return issue(["SET", key, value], .write(value: value))
    case 10, 11:
      return issue(["VGET", "shared:\(random.below(Simulation.sharedKeys))"], .readVersioned)
    case 12...15: return siblingCommand(client)
    case 16, 17: return expiringCommand()
    default: return doomedCommand(client)
    }
  }

  private func issue(_ words: [String], _ kind: Issued.Kind) -> ([String], Issued) {
    (words, Issued(kind: kind, key: words[1], sentAt: world.now))
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
    return issue(words, .own(words: words))
  }

  private func siblingCommand(_ client: SimulatedClient) -> ([String], Issued) {
    var number = random.below(3)
    while (siblings.added["sib:\(number)"] ?? 0) >= Simulation.addsPerKey { number += 3 }
    let key = "sib:\(number)"
    if random.oneIn(3) { return issue(["VGET", key], .readSiblings) }
    var context: (token: String, values: [String]) = ("", [])
    if random.oneIn(2), let known = client.contexts.removeValue(forKey: key) {
      context = known
      siblings.covers(key, context.values)
      if random.oneIn(6) {
        return issue(["VDEL", key, "CONTEXT", context.token], .removeSiblings(context.values))
      }
    }
    let value = freshValue()
    siblings.began(key)
    return issue(
      ["VSET", key, value, "CONTEXT", context.token],
      .add(value: value, covered: context.values))
  }

  private func expiringCommand() -> ([String], Issued) {
    let key = "expiring:\(random.below(Simulation.expiringKeys))"
    if random.oneIn(3) { return issue(["GET", key], .readExpiring) }
    let value = freshValue()
    let ttl = 200 + random.below(3000)
    return issue(["SET", key, value, "PX", "\(ttl)"], .expiring(value: value, ttl: ttl))
  }

  /// Writes a key, deletes one, or looks at a deleted one.
  private func doomedCommand(_ client: SimulatedClient) -> ([String], Issued) {
    if random.oneIn(3), !deletions.deleted.isEmpty {
      let key = deletions.deleted[random.below(deletions.deleted.count)]
      return issue(["GET", key], .readDeleted)
    }
    if random.oneIn(2), let key = deletions.takeStanding(of: client.index) {
      return issue(["DEL", key], .delete)
    }
    return issue(["SET", deletions.newKey(), freshValue()], .doom)
  }

  // MARK: Sending

  func send(_ client: SimulatedClient, _ batch: [([String], Issued)]) {
    let place = world.nodes[client.node]
    guard let node = place.node, !batch.isEmpty else { return }
    lookAtNodes()
    if client.session == nil {
      client.session = node.sessionOpened(
        address: "sim", localAddress: "sim", descriptor: 0, now: world.instant(place))
    }
    guard let session = client.session else { return }
    place.clients[session] = client
    var bytes: [UInt8] = []
    for (words, issued) in batch {
      bytes += encode(words)
      client.issued.append(issued)
      commands += 1
      if issued.key == tracedKey {
        print(
          "\(world.now) client \(client.index) → node \(client.node): "
            + words.joined(separator: " "))
      }
    }
    // A client's write reaches the node in two pieces as often as not.
    let cut = random.below(bytes.count + 1)
    for piece in [bytes[..<cut], bytes[cut...]] where !piece.isEmpty {
      piece.withUnsafeBytes {
        node.sessionReceived(session, $0, now: world.instant(place))
      }
    }
    world.settle(place)
  }

  /// The operator's connection to a node.
  func operatorClient(_ place: SimulatedNode) -> SimulatedClient {
    if let client = operators[place.index] { return client }
    let client = SimulatedClient(index: -1)
    client.node = place.index
    operators[place.index] = client
    return client
  }

  /// Sends commands of the liveness phase: all have to succeed.
  func ask(_ place: SimulatedNode, _ batch: [([String], Issued)]) {
    finalCommands += batch.count
    send(operatorClient(place), batch)
  }
}
