import Membership
import Objects
import Primitives

// # Failure detectors alone
//
// Whole nodes are too large to have 1,500 of them in one process; their failure detectors (Swim.swift)
// are not. Here they talk to each other over a network that delays every message by about a
// millisecond and loses some, each message by itself: harder than the streams between real nodes,
// where what is lost is sent again. All know all members from the start.
//
//     at rest      what a node sends a second, and whom it suspects wrongly
//     a change     one node changes its own record: how long until all have it
//     a death      one node falls silent: how long until the first knows, until all do
//
// The world is a value: each death happens to a copy of it, so that all begin from the same state.
// The same options give the same result.

/// The failure detectors of a cluster, and the network between them.
public struct MembershipWorld {
  private struct Place {
    var swim: Swim
    var generator: SeededGenerator
    var isAlive = true
    /// When its next tick is due: an event of another time is stale.
    var wakesAt: UInt64 = 0
    var messages = 0
    var bytes = 0

    mutating func tick(now: UInt64, wall: UInt64, _ actions: inout [SwimAction]) {
      wakesAt = 0
      swim.tick(now: now, wall: wall, &generator, &actions)
    }
  }

  private enum Event {
    case wake(Int)
    case message(from: Int, to: Int, SwimMessage)
  }

  /// What the world waits for all living nodes to know.
  private struct Awaited {
    var place: Int
    var isDeath: Bool
    var revision: UInt32
    var knowers: Set<Int> = []
    var firstAt: UInt64?
  }

  /// Something that was said of a living node.
  private struct Slander: Hashable {
    var id: UInt64
    var revision: UInt32
  }

  private let options: MembershipOptions
  private var places: [Place] = []
  private var queue = EventQueue<Event>()
  private var random: SeededGenerator
  /// Monotonic microseconds; 0 means "never" to a failure detector.
  private var now: UInt64 = 1_000_000
  private var awaited: Awaited?
  private var wrongDeaths: Set<Slander> = []
  private var wrongSuspicions: Set<Slander> = []
  private var actions: [SwimAction] = []

  /// Unix milliseconds of the world's beginning, and everybody's incarnation.
  private static let beginning: UInt64 = 1_700_000_000_000
  private static let shortestDelay: UInt64 = 500
  private static let delaySpread = 1001
  /// Kind and length before each message on a peer link: Frame+Encoding.swift.
  private static let frameHead = 5

  public init(_ options: MembershipOptions) {
    self.options = options
    random = SeededGenerator(seed: options.seed ^ 0x5317)
    let table = MembershipWorld.table(options.nodes)
    for index in 0..<options.nodes {
      let members = MemberTable(of: MembershipWorld.id(index), knowing: table)
      places.append(
        Place(
          swim: Swim(members: members, timing: SwimTiming()),
          generator: SeededGenerator(seed: random.next())))
      // Real nodes do not start in the same microsecond.
      wake(index, at: now + UInt64(random.below(Int(SwimTiming().period))))
    }
  }

  /// Measures everything that `MembershipResult` holds.
  public static func run(_ options: MembershipOptions) -> MembershipResult {
    var world = MembershipWorld(options)
    var result = MembershipResult(options: options)
    world.measureRest(&result)
    world.measureChange(&result)
    for kill in 0..<MembershipOptions.kills {
      var copy = world
      copy.random = SeededGenerator(seed: options.seed &+ mix(UInt64(kill) + 1))
      copy.measureDeath(&result)
    }
    return result
  }

  // MARK: Members

  /// Ids that lie in the order of the places.
  private static func id(_ index: Int) -> UInt64 { UInt64(index) + 1 }
  private static func index(_ id: UInt64) -> Int { Int(id) - 1 }

  private static func table(_ count: Int) -> MemberTable {
    var table = MemberTable(own: record(0))
    for index in 1..<count { _ = table.merge(record(index), now: beginning) }
    return table
  }

  /// A record as long as those of real nodes.
  private static func record(_ index: Int) -> Member {
    Member(
      id: id(index), actor: Actor(rawValue: mix(id(index))), incarnation: beginning,
      host: "10.0.\(index / 250).\(index % 250 + 1)", port: 6379, peerPort: 16_379,
      name: "node-\(index)", zone: "zone-\(index % 3)", weight: 1, isFilled: true)
  }

  // MARK: Measuring

  private mutating func measureRest(_ result: inout MembershipResult) {
    // The first round, in which all begin at once, is not rest yet.
    run(for: 5_000_000)
    for index in places.indices {
      places[index].messages = 0
      places[index].bytes = 0
    }
    wrongSuspicions = []
    run(for: UInt64(options.seconds) * 1_000_000)
    result.messages = rate { $0.messages }
    result.bytes = rate { $0.bytes }
    let hours = Double(options.seconds) / 3600
    result.wrongSuspicionsPerNodeHour =
      Double(wrongSuspicions.count) / Double(options.nodes) / hours
    result.wrongDeaths = wrongDeaths.count
  }

  private func rate(_ count: (Place) -> Int) -> MembershipResult.Rate {
    let rates = places.map { Double(count($0)) / Double(options.seconds) }
    return .init(mean: rates.reduce(0, +) / Double(rates.count), most: rates.max() ?? 0)
  }

  private mutating func measureChange(_ result: inout MembershipResult) {
    let before = wrongDeaths.count
    let index = random.below(places.count)
    // As `NodeCore.changeOwn` does it.
    places[index].swim.members.updateOwn { $0.nextWeight += 1 }
    places[index].swim.spread(MembershipWorld.id(index))
    places[index].swim.hurry()
    wake(index, at: now)
    awaited = Awaited(
      place: index, isDeath: false, revision: places[index].swim.members.own.revision)
    result.changeKnown = awaitKnowers()
    result.wrongDeaths += wrongDeaths.count - before
  }

  private mutating func measureDeath(_ result: inout MembershipResult) {
    let before = wrongDeaths.count
    let started = now
    let index = random.below(places.count)
    places[index].isAlive = false
    awaited = Awaited(place: index, isDeath: true, revision: 0)
    result.allKnow = later(result.allKnow, awaitKnowers())
    result.firstKnows = later(result.firstKnows, awaited?.firstAt.map { $0 - started })
    result.wrongDeaths += wrongDeaths.count - before
  }

  private func later(_ one: UInt64?, _ other: UInt64?) -> UInt64? {
    guard let one, let other else { return nil }
    return max(one, other)
  }

  /// Runs until all know what is awaited. Returns how long that took.
  private mutating func awaitKnowers() -> UInt64? {
    let started = now
    let end = now + UInt64(MembershipOptions.patience) * 1_000_000
    while let awaited, awaited.knowers.count < options.nodes - 1 {
      guard let time = queue.nextTime, time <= end else { return nil }
      step()
    }
    return now - started
  }

  // MARK: Time

  private mutating func run(for microseconds: UInt64) {
    let end = now + microseconds
    while let time = queue.nextTime, time <= end { step() }
    now = end
  }

  private mutating func step() {
    let (time, event) = queue.pop()
    now = time
    switch event {
    case .wake(let index):
      guard places[index].isAlive, places[index].wakesAt == time else { return }
      places[index].tick(now: now, wall: wall, &actions)
      act(index, sender: index)
    case .message(let sender, let index, let message):
      guard places[index].isAlive else { return }
      places[index].swim.received(
        message, from: MembershipWorld.id(sender), oldest: .max, now: now, wall: wall, &actions)
      act(index, sender: sender)
    }
  }

  private var wall: UInt64 { MembershipWorld.beginning + now / 1000 }

  private mutating func wake(_ index: Int, at time: UInt64) {
    guard places[index].wakesAt == 0 || time < places[index].wakesAt else { return }
    places[index].wakesAt = time
    queue.push(time, .wake(index))
  }

  // MARK: Acting

  private mutating func act(_ index: Int, sender: Int) {
    for action in actions {
      switch action {
      case .send(let receiver, let message):
        send(message, from: index, to: MembershipWorld.index(receiver))
      case .answer(let message): send(message, from: index, to: sender)
      case .changed(let id): note(MembershipWorld.index(id), by: index)
      case .refuted: break
      case .removed, .refused: fatalError("node \(index): \(action)")
      }
    }
    actions.removeAll(keepingCapacity: true)
    let due = places[index].swim.nextDue
    if due != .max { wake(index, at: max(now, due)) }
  }

  private mutating func send(_ message: SwimMessage, from index: Int, to receiver: Int) {
    places[index].messages += 1
    places[index].bytes += MembershipWorld.size(message) + MembershipWorld.frameHead
    guard random.below(100) >= options.loss else { return }
    let delay =
      MembershipWorld.shortestDelay + UInt64(random.below(MembershipWorld.delaySpread))
    queue.push(now + delay, .message(from: index, to: receiver, message))
  }

  private static func size(_ message: SwimMessage) -> Int {
    var buffer = ByteBuffer()
    message.encode(to: &buffer)
    return buffer.count
  }

  /// A node has changed its mind about another one.
  private mutating func note(_ subject: Int, by index: Int) {
    let id = MembershipWorld.id(subject)
    guard let record = places[index].swim.members[id] else { return }
    if places[subject].isAlive, record.health != .alive {
      let slander = Slander(id: id, revision: record.revision)
      if record.health == .dead { wrongDeaths.insert(slander) }
      if record.health == .suspect { wrongSuspicions.insert(slander) }
    }
    guard let awaited, awaited.place == subject else { return }
    let knows =
      awaited.isDeath ? record.health == .dead : record.revision >= awaited.revision
    guard knows, self.awaited?.knowers.insert(index).inserted == true else { return }
    if awaited.firstAt == nil { self.awaited?.firstAt = now }
  }
}
