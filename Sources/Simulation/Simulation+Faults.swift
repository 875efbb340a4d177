extension Simulation {
  /// Draws one fault, in whose beginning and end the clients hurry.
  func fault() {
    guard phase == .load else { return }
    world.schedule(after: UInt64(300_000 + random.below(3_500_000)), .fault)
    let kinds = options.faultKinds
    if !kinds.isEmpty { begin(kinds[random.below(kinds.count)]) }
    hurry()
  }

  private func begin(_ kind: FaultKind) {
    let members = world.members
    let place = members[random.below(members.count)]
    switch kind {
    case .partition, .oneWayPartition: partition(kind)
    case .cutLink, .slowLink: troubleLink(kind)
    case .pause:
      place.pausedUntil = world.now + UInt64(50_000 + random.below(1_500_000))
      calmSince = max(calmSince, place.pausedUntil)
      world.faults[.pause] += 1
    case .crash: crash(place)
    case .clockJump:
      place.skew = (random.below(options.skew * 2) - options.skew) * 1000
      world.faults[.clockJump] += 1
    case .join, .leave, .replacement: changeRing(kind, place)
    // Those are no moments.
    case .lostMessage, .doubledMessage, .overtakenMessage, .clockSkew: break
    }
  }

  /// Mostly short. A node that refills waits 10 s for others (`Refill.patience`) and gives up then:
  /// what goes on for so long is the same as a copy lost, so networks are worse for less.
  private func duration() -> UInt64 {
    let isRefilling = world.nodes.contains { $0.isEmptied }
    return UInt64(200_000 + random.below(!isRefilling && random.oneIn(4) ? 7_500_000 : 1_300_000))
  }

  private func partition(_ kind: FaultKind) {
    guard world.cuts.isEmpty else { return }
    let places = world.nodes.filter { $0.membership != .gone }.map(\.index)
    let side = Set(places.filter { _ in random.oneIn(2) })
    var ways: [Direction] = []
    for from in places {
      for to in places where side.contains(from) != side.contains(to) {
        if kind == .oneWayPartition, side.contains(to) { continue }
        ways.append(Direction(from: from, to: to))
      }
    }
    guard !ways.isEmpty else { return }
    world.faults[kind] += 1
    world.cut(ways, for: duration())
  }

  /// Cuts or slows one way between two nodes.
  private func troubleLink(_ kind: FaultKind) {
    let places = world.nodes.filter { $0.membership != .gone }.map(\.index)
    let from = places[random.below(places.count)]
    let to = places[random.below(places.count)]
    guard from != to else { return }
    let way = Direction(from: from, to: to)
    world.faults[kind] += 1
    if kind == .cutLink {
      world.cut([way], for: duration())
    } else if world.slowness[way] == nil {
      world.slow(way, by: UInt64(10 + random.below(41)), for: duration())
    }
  }

  // MARK: Crashes

  /// Nodes whose memory is lost and not yet made up for.
  var memoriesLost: Int {
    let replaced = ringChange?.isReplacement == true ? 1 : 0
    return replaced + world.nodes.filter { $0.membership != .gone && $0.isEmptied }.count
  }

  private func crash(_ place: SimulatedNode) {
    guard place.node != nil, memoriesLost < options.crashesAtOnce else { return }
    world.faults[.crash] += 1
    world.crash(place)
    recountHighest()
    let down = 200_000 + random.below(random.oneIn(4) ? 6_000_000 : 1_500_000)
    world.schedule(after: UInt64(down), .restart(place.index))
  }

  /// A process ends, by a crash or because it left: what it held is seen a last time, and its
  /// clients go elsewhere.
  func ends(_ place: SimulatedNode) {
    observe(place)
    operators[place.index] = nil
    for client in clients where client.node == place.index && client.session != nil {
      client.disconnect()
      if phase == .load { schedule(client, after: UInt64(1000 + random.below(50_000))) }
    }
  }

  // MARK: Calm

  /// The network or the set of running nodes changed.
  func disturbed() {
    calmSince = max(calmSince, world.now)
    if phase == .load, random.oneIn(2) { hurry() }
  }

  /// Sees who is up and filled: a change, too, which no event tells of.
  func lookAtNodes() {
    let state = world.nodes.map { $0.node?.isFilled ?? false }
    if state != fillState {
      fillState = state
      calmSince = max(calmSince, world.now)
    }
  }

  /// Whether a command that was sent then, and was refused, had owners enough in touch.
  ///
  /// For two seconds before it and until now nothing changed; the nodes in touch with the client's
  /// are in touch with each other; those that are not are too few to break any quorum. Messages are
  /// quick, so that no queue behind a key's lock takes longer than a command may.
  func hadQuorum(_ client: SimulatedClient, sentAt: UInt64) -> Bool {
    lookAtNodes()
    guard options.loss == 0, options.delay <= 2000, ringChange == nil,
      sentAt >= calmSince + Simulation.recovery
    else { return false }
    let members = world.members
    let group = members.filter {
      $0.node?.isFilled == true && $0.node?.isChanging == false
        && isInTouch(client.node, $0.index)
    }
    guard group.contains(where: { $0.index == client.node }),
      group.allSatisfy({ left in group.allSatisfy { isInTouch(left.index, $0.index) } })
    else { return false }
    let copies = min(options.copies, members.count)
    return copies - (members.count - group.count) >= max(options.write, options.read)
  }

  private func isInTouch(_ left: Int, _ right: Int) -> Bool {
    let way = Direction(from: left, to: right)
    return [way, way.reversed].allSatisfy { !world.isCut($0) && world.slowness[$0] == nil }
  }
}
