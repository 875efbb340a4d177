import CacheNode

/// A change of the ring that is under way. Only the newcomer in a dead node's stead comes while
/// another change, the dead one's removal, may still go on.
enum RingChange {
  case joining
  case leaving(SimulatedNode)
  /// The dead node's id has to be forgotten; `askedAt` is when an operator last asked for that.
  case forgetting(id: String, askedAt: UInt64)
  case refilling

  var isReplacement: Bool {
    switch self {
    case .forgetting, .refilling: true
    case .joining, .leaving: false
    }
  }
}

extension Simulation {
  private static let overseeInterval: UInt64 = 200_000
  /// An operator who got no answer asks again.
  private static let operatorPatience: UInt64 = 2_000_000
  /// More than copies, so that owners differ; few, because all see all.
  private static let mostNodes = 8

  /// Begins one when none is under way and the cluster can bear it.
  func changeRing(_ kind: FaultKind, _ place: SimulatedNode) {
    let members = world.members
    guard ringChange == nil, !members.contains(where: { $0.node?.isChanging ?? false }) else {
      return
    }
    switch kind {
    case .join where members.count < Simulation.mostNodes:
      ringChange = .joining
      world.join()
    case .leave where place.node != nil && members.count > max(options.copies, 2):
      leave(place)
    case .replacement where place.node != nil && memoriesLost < options.crashesAtOnce:
      replace(place)
    default: return
    }
    guard ringChange != nil else { return }
    world.faults[kind] += 1
    world.schedule(after: Simulation.overseeInterval, .oversee)
  }

  private func leave(_ place: SimulatedNode) {
    guard place.pausedUntil <= world.now else { return }
    place.membership = .leaving
    ringChange = .leaving(place)
    operate(place, ["CLUSTER", "LEAVE"]) { [unowned self] reply in
      guard reply.errorWord != nil else { return }
      place.membership = .member
      self.ringChange = nil
    }
  }

  /// A node dies and does not come back: its id is forgotten, and a new one joins.
  private func replace(_ place: SimulatedNode) {
    var id: String?
    operate(place, ["CLUSTER", "MYID"]) { id = $0.text }
    guard let id else { return }
    world.crash(place)
    place.membership = .gone
    recountHighest()
    ringChange = .forgetting(id: id, askedAt: 0)
  }

  /// Looks at the change that is under way, and does what an operator does next.
  func oversee() {
    guard let change = ringChange else { return }
    switch change {
    case .joining, .refilling: if isAgreed { ringChange = nil }
    case .leaving(let place): if isAgreed { leaveForGood(place) }
    case .forgetting(let id, let askedAt):
      if world.now >= askedAt + Simulation.operatorPatience { askToForget(id) }
    }
    if ringChange != nil { world.schedule(after: Simulation.overseeInterval, .oversee) }
  }

  /// All members count each other, and nobody else; nobody is moving data.
  private var isAgreed: Bool {
    let members = world.members
    return members.allSatisfy {
      guard let node = $0.node else { return false }
      return node.memberCount == members.count && node.isFilled && !node.isChanging
    }
  }

  /// The others count it no longer: the process ends.
  private func leaveForGood(_ place: SimulatedNode) {
    guard place.node?.isChanging == false else { return }
    world.end(place)
    place.membership = .gone
    ringChange = nil
  }

  private func askToForget(_ id: String) {
    let living = world.members.filter { $0.node != nil && $0.pausedUntil <= world.now }
    guard !living.isEmpty else { return }
    ringChange = .forgetting(id: id, askedAt: world.now)
    operate(living[random.below(living.count)], ["CLUSTER", "FORGET", id]) {
      [unowned self] reply in
      guard case .simple = reply, case .forgetting = self.ringChange else { return }
      self.ringChange = .refilling
      self.world.join()
    }
  }

  private func operate(
    _ place: SimulatedNode, _ words: [String], _ then: @escaping (Reply) -> Void
  ) {
    send(
      operatorClient(place),
      [(words, Issued(kind: .operation(then), key: "", sentAt: world.now))])
  }
}
