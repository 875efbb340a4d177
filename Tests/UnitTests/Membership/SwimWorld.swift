import Membership
import Objects
import Primitives

/// Failure detectors and the messages between them: time is a number, loss and delay are seeded.
struct SwimWorld {
  /// A message on its way.
  private struct Envelope {
    var sender: Int
    var receiver: Int
    var message: SwimMessage
  }

  /// How a message travels: the chance of its loss, and its delay in steps.
  var lossPercent = 0
  var longestDelay = 3
  private(set) var nodes: [Swim] = []
  /// Killed, or stopped: hears and says nothing.
  var isSilent: [Bool]
  /// Pairs that can't reach each other directly.
  var cut: Set<[Int]> = []
  private(set) var messages = 0
  /// Who said it and of whom, each time that a node came to hold another one for suspect or dead.
  private(set) var suspected: [(by: Int, of: Int)] = []
  private(set) var died: [(by: Int, of: Int)] = []
  private(set) var refutations = 0
  private(set) var microseconds: UInt64 = 1_000_000
  private var inbox: [UInt64: [Envelope]] = [:]
  private var generator: SeededGenerator

  /// A step of time.
  private static let step: UInt64 = 10_000
  private static let digestInterval: UInt64 = 200_000

  init(_ count: Int, seed: UInt64) {
    generator = SeededGenerator(seed: seed)
    isSilent = Array(repeating: false, count: count)
    let records = (0..<count).map { SwimWorld.record($0) }
    for own in records {
      var table = MemberTable(own: own)
      for record in records where record.id != own.id { _ = table.merge(record, now: 1) }
      nodes.append(Swim(members: table, timing: SwimTiming()))
    }
  }

  static func id(_ index: Int) -> UInt64 { UInt64(index) + 1 }

  private static func record(_ index: Int) -> Member {
    Member(
      id: id(index), actor: Actor(rawValue: id(index)), incarnation: 1, host: "h", port: 1,
      peerPort: 2, name: "n\(index)", zone: "", weight: 1, isFilled: true)
  }

  /// What one node says of another.
  func health(of index: Int, at observer: Int) -> MemberHealth? {
    nodes[observer].members[SwimWorld.id(index)]?.health
  }

  /// A stopped node's process is started anew, with an incarnation above the last one.
  mutating func restart(_ index: Int) {
    isSilent[index] = false
    nodes[index].members.updateOwn { $0.incarnation += 1 }
    nodes[index].spread(SwimWorld.id(index))
  }

  mutating func changeOwn(_ index: Int) {
    nodes[index].members.updateOwn { $0.isFilled.toggle() }
    nodes[index].spread(SwimWorld.id(index))
  }

  // MARK: Time

  mutating func run(milliseconds: Int) {
    for _ in 0..<milliseconds / 10 { step() }
  }

  /// Lets time pass until a condition holds; returns how long that took, in milliseconds.
  mutating func run(atMost milliseconds: Int, until isDone: (SwimWorld) -> Bool) -> Int? {
    for spent in 0...milliseconds / 10 {
      if isDone(self) { return spent * 10 }
      step()
    }
    return nil
  }

  private mutating func step() {
    microseconds += SwimWorld.step
    for envelope in inbox.removeValue(forKey: microseconds) ?? [] { deliver(envelope) }
    for index in nodes.indices where !isSilent[index] && nodes[index].nextDue <= microseconds {
      var actions: [SwimAction] = []
      nodes[index].tick(now: microseconds, wall: wall, &generator, &actions)
      perform(actions, of: index, answering: nil)
    }
    if microseconds % SwimWorld.digestInterval == 0 { compareDigests() }
  }

  /// What a node does beside its failure detector: it compares the hash of its table with that of
  /// one other, and gets the whole table when they differ.
  private mutating func compareDigests() {
    for index in nodes.indices where !isSilent[index] {
      let other = generator.below(nodes.count)
      guard !isSilent[other], !cut.contains([index, other]), !cut.contains([other, index]),
        nodes[index].members.digest != nodes[other].members.digest,
        generator.below(100) >= lossPercent
      else { continue }
      var actions: [SwimAction] = []
      for record in nodes[other].members.all {
        nodes[index].take(record, from: SwimWorld.id(other), microseconds, wall, &actions)
      }
      perform(actions, of: index, answering: nil)
    }
  }

  private var wall: UInt64 { microseconds / 1000 }

  private mutating func deliver(_ envelope: Envelope) {
    let receiver = envelope.receiver
    guard !isSilent[receiver] else { return }
    var actions: [SwimAction] = []
    nodes[receiver].received(
      envelope.message, from: SwimWorld.id(envelope.sender), oldest: .max, now: microseconds,
      wall: wall, &actions)
    perform(actions, of: receiver, answering: envelope.sender)
  }

  private mutating func perform(_ actions: [SwimAction], of index: Int, answering asker: Int?) {
    for action in actions {
      switch action {
      case .send(let id, let message): send(message, index, Int(id) - 1)
      case .answer(let message): if let asker { send(message, index, asker) }
      case .changed(let id):
        let health = nodes[index].members[id]?.health
        if health == .suspect { suspected.append((index, Int(id) - 1)) }
        if health == .dead { died.append((index, Int(id) - 1)) }
      case .refuted: refutations += 1
      case .removed, .refused: break
      }
    }
  }

  private mutating func send(_ message: SwimMessage, _ sender: Int, _ receiver: Int) {
    messages += 1
    guard !cut.contains([sender, receiver]), !cut.contains([receiver, sender]),
      generator.below(100) >= lossPercent
    else { return }
    let delay = UInt64(1 + generator.below(longestDelay)) * SwimWorld.step
    inbox[microseconds + delay, default: []].append(
      Envelope(sender: sender, receiver: receiver, message: message))
  }
}
