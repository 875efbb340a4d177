import Primitives

// # Who is alive
//
// SWIM (Das, Gupta, Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group
// Membership Protocol", DSN 2002) with suspicion (section 4.2), round-robin probing (4.3) and three
// ideas of Lifeguard (Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More Accurate
// Failure Detection", DSN 2018):
//
//     period      each node probes one other, the next of a shuffled list      (SWIM 4.3)
//     probe ──▶ ack                                        within probeTimeout
//     again, and by 3 others ──probe──▶ ack ──▶ ack        twice within the rest of the period
//     else        suspect: told to all; the suspect itself answers with a higher revision
//     suspect for as long as `suspicion` says  ──▶  dead: told to all
//
// The length of a suspicion falls from `longest` to `shortest` as others confirm it (Lifeguard's
// dynamic suspicion); a node that misses answers itself waits longer and blames later (its local
// health multiplier); a probe tells its target that it is suspected (the buddy system: all its
// records travel with the probe). A node that was stopped itself and wakes up late starts its
// probes anew and blames nobody for that time.
//
// A wrong suspicion costs all nodes something, and there are the more of them the more nodes there
// are. So they have to be rare: when one message in ten is lost, a probe with one direct and three
// indirect attempts fails once in 130 times, which at 1,500 nodes would be 39 suspicions a second; two
// more rounds of all attempts make that once in 90,000.
//
// News travels with probes and acks, and while there is any also to 3 others every gossip interval.
// A record is passed on about 6 log10(10 n) times by each node, so the cost a second does not depend
// on the number of nodes: `coterie-sim --membership` prints it.
//
// Nothing here evicts a member: a dead one keeps its slots until an operator says otherwise. What
// follows from death is that ring changes do not wait for its word, and what operators see.
//
// Acks also carry what the settling of tombstones needs: since when their sender holds nothing that
// belongs to others (see Settlement.swift).

/// The failure detector and the gossip of one node.
public struct Swim: Sendable {
  public var members: MemberTable
  private let timing: SwimTiming
  /// Probed in this order; shuffled at each round.
  private var order: [UInt64] = []
  private var next = 0
  private var probe: Probe?
  private var relays: [Relay] = []
  private var suspicions: [Suspicion] = []
  private var news: [News] = []
  private var sequence: UInt32 = 0
  private var nextProbe: UInt64 = 0
  private var nextGossip: UInt64 = 0
  private var lastTick: UInt64 = 0
  /// Lifeguard's local health multiplier: 0 is well.
  public private(set) var localHealth = 0
  /// The last ack of each member.
  private var heard: [UInt64: Heard] = [:]

  /// A member's last word on what it keeps for others.
  private struct Heard {
    var incarnation: UInt64
    /// Own wall clock, in milliseconds, when it was asked.
    var askedAt: UInt64
    var oldest: UInt64
  }

  private struct Probe {
    var target: UInt64
    var sequence: UInt32
    var sentAt: UInt64
    var wallAt: UInt64
    /// When all is tried anew.
    var triesAt: UInt64
    var endsAt: UInt64
    var helpers = 0
    var nacks = 0
  }

  /// A probe on behalf of another node.
  private struct Relay {
    var asker: UInt64
    var askersSequence: UInt32
    var sequence: UInt32
    var nackAt: UInt64
    var hasNacked = false
    var endsAt: UInt64
  }

  private struct Suspicion {
    var id: UInt64
    var incarnation: UInt64
    var revision: UInt32
    var since: UInt64
    /// Who suspects it, this node or others: at most `SwimTiming.confirmations` and one.
    var accusers: [UInt64]
  }

  private struct News {
    var id: UInt64
    var sent = 0
  }

  public init(members: MemberTable, timing: SwimTiming) {
    self.members = members
    self.timing = timing
  }

  /// When `tick` has something to do.
  public var nextDue: UInt64 {
    guard members.count > 1 else { return .max }
    var due = nextProbe
    if let probe { due = min(due, probe.triesAt, probe.endsAt) }
    if !news.isEmpty { due = min(due, nextGossip) }
    for relay in relays { due = min(due, relay.hasNacked ? relay.endsAt : relay.nackAt) }
    for suspicion in suspicions { due = min(due, end(suspicion)) }
    return due
  }

  // MARK: News

  /// A record changed: it is passed on. Called for every change that did not come from `Swim` itself.
  public mutating func spread(_ id: UInt64) {
    if let place = news.firstIndex(where: { $0.id == id }) {
      news[place].sent = 0
    } else {
      news.append(News(id: id))
    }
  }

  /// The news at hand goes out at the next tick.
  public mutating func hurry() { nextGossip = 0 }

  /// How often one node passes a record on: SWIM's λ log n. Who is passed over by all misses the
  /// refutation of a wrong suspicion: at 5 nodes and 10 % loss once in e^(12 · 0.9), which is 50,000.
  private var passes: Int { 6 * (Swim.digits(members.count + 1) + 1) }

  /// The decimal logarithm, rounded up; at least 1.
  private static func digits(_ number: Int) -> Int {
    var bound = 10
    var digits = 1
    while bound < number {
      bound *= 10
      digits += 1
    }
    return digits
  }

  /// The records for one message: what was passed on least often first, and what concerns the
  /// receiver itself in any case.
  private mutating func records(for receiver: UInt64) -> [Member] {
    var chosen: [Member] = []
    if let record = members[receiver], record.health != .alive { chosen.append(record) }
    news.sort { $0.sent == $1.sent ? $0.id < $1.id : $0.sent < $1.sent }
    for place in news.indices where chosen.count < Limits.gossipRecords {
      guard news[place].id != receiver, let record = members[news[place].id] else { continue }
      chosen.append(record)
      news[place].sent += 1
    }
    let limit = passes
    news.removeAll { $0.sent >= limit }
    return chosen
  }

  // MARK: Time

  /// Does what is due. `now` is monotonic microseconds, `wall` Unix milliseconds.
  public mutating func tick(
    now: UInt64, wall: UInt64, _ generator: inout SeededGenerator, _ actions: inout [SwimAction]
  ) {
    noteSleep(now)
    guard members.count > 1 else { return }
    endRelays(now, &actions)
    if let current = probe {
      if now >= current.endsAt {
        probe = nil
        probeFailed(current, now, &actions)
      } else if now >= current.triesAt {
        tryAgain(now, &generator, &actions)
      }
    }
    if probe == nil, now >= nextProbe {
      nextProbe = now + timing.period * UInt64(localHealth + 1)
      beginProbe(now, wall, &generator, &actions)
    }
    endSuspicions(now, &actions)
    if !news.isEmpty, now >= nextGossip {
      nextGossip = now + timing.gossip
      gossip(&generator, &actions)
    }
  }

  /// This process was stopped for a while: whoever did not answer in that time is not to blame.
  private mutating func noteSleep(_ now: UInt64) {
    defer { lastTick = now }
    guard lastTick != 0, now > lastTick + timing.period * 2, nextDue < now - timing.period else {
      return
    }
    probe = nil
    for place in suspicions.indices { suspicions[place].since = now }
  }

  private mutating func beginProbe(
    _ now: UInt64, _ wall: UInt64, _ generator: inout SeededGenerator,
    _ actions: inout [SwimAction]
  ) {
    guard let target = nextTarget(&generator) else { return }
    sequence &+= 1
    let patience = timing.probeTimeout * UInt64(localHealth + 1)
    probe = Probe(
      target: target, sequence: sequence, sentAt: now, wallAt: wall,
      triesAt: now + patience,
      endsAt: now + max(timing.period, timing.probeTimeout * 3) * UInt64(localHealth + 1))
    actions.append(.send(to: target, message(.probe, sequence, to: target)))
  }

  private mutating func nextTarget(_ generator: inout SeededGenerator) -> UInt64? {
    for _ in 0..<2 {
      while next < order.count {
        next += 1
        let id = order[next - 1]
        // Whoever is dead shows itself by dialling, or is met by the node's own dialling.
        if let member = members[id], member.status.isMember, member.health != .dead { return id }
      }
      order = members.members.map(\.id).filter { $0 != members.ownID }
      for place in order.indices.dropLast() {
        order.swapAt(place, place + generator.below(order.count - place))
      }
      next = 0
    }
    return nil
  }

  /// The direct probe can't be sent, or its answer is late: others try (SWIM 3.1), and so does this
  /// node itself.
  private mutating func tryAgain(
    _ now: UInt64, _ generator: inout SeededGenerator, _ actions: inout [SwimAction]
  ) {
    guard var current = probe else { return }
    let isFirst = current.helpers == 0
    current.triesAt = now + timing.probeTimeout * UInt64(localHealth + 1)
    actions.append(
      .send(to: current.target, message(.probe, current.sequence, to: current.target)))
    for helper in some(timing.helpers, besides: current.target, &generator) {
      // The answers of later helpers may come after the end.
      if isFirst { current.helpers += 1 }
      var request = message(.indirect, current.sequence, to: helper)
      request.target = current.target
      actions.append(.send(to: helper, request))
    }
    probe = current
  }

  /// Some living members by chance.
  private func some(
    _ count: Int, besides excluded: UInt64, _ generator: inout SeededGenerator
  ) -> [UInt64] {
    var chosen: [UInt64] = []
    let all = members.members
    for _ in 0..<count * 4 where chosen.count < count {
      let member = all[generator.below(all.count)]
      guard member.id != members.ownID, member.id != excluded, member.health == .alive,
        !chosen.contains(member.id)
      else { continue }
      chosen.append(member.id)
    }
    return chosen
  }

  private mutating func gossip(
    _ generator: inout SeededGenerator, _ actions: inout [SwimAction]
  ) {
    for receiver in some(timing.fanout, besides: 0, &generator) {
      actions.append(.send(to: receiver, message(.gossip, 0, to: receiver)))
    }
  }

  // MARK: Failures

  private mutating func probeFailed(
    _ failed: Probe, _ now: UInt64, _ actions: inout [SwimAction]
  ) {
    // Helpers that did not even say that they had no answer point at this node's own network.
    localHealth = min(timing.worstHealth, localHealth + max(0, failed.helpers - failed.nacks))
    guard let member = members[failed.target], member.status.isMember else { return }
    suspect(member, by: members.ownID, now, &actions)
  }

  private mutating func suspect(
    _ member: Member, by accuser: UInt64, _ now: UInt64, _ actions: inout [SwimAction]
  ) {
    guard member.id != members.ownID, member.health != .dead else { return }
    if let place = suspicions.firstIndex(where: { $0.id == member.id }) {
      let known = suspicions[place]
      if known.incarnation == member.incarnation, known.revision == member.revision {
        if known.accusers.count <= timing.confirmations, !known.accusers.contains(accuser) {
          suspicions[place].accusers.append(accuser)
          spread(member.id)
        }
        return
      }
      suspicions.remove(at: place)
    }
    suspicions.append(
      Suspicion(
        id: member.id, incarnation: member.incarnation, revision: member.revision, since: now,
        accusers: [accuser]))
    if members.setHealth(member.id, .suspect) {
      spread(member.id)
      actions.append(.changed(member.id))
    }
  }

  /// When a suspicion ends in death: Lifeguard's section 4.2, with the logarithm of the number of
  /// those who confirm replaced by equal steps.
  private func end(_ suspicion: Suspicion) -> UInt64 {
    let shortest =
      timing.period * timing.suspicionPeriods * UInt64(Swim.digits(members.count + 1))
    let wanted = min(timing.confirmations, max(0, members.count - 3))
    guard wanted > 0 else { return suspicion.since + shortest }
    let confirmed = min(wanted, suspicion.accusers.count - 1)
    let spare = shortest * (timing.longestSuspicion - 1) * UInt64(wanted - confirmed)
    return suspicion.since + shortest + spare / UInt64(wanted)
  }

  private mutating func endSuspicions(_ now: UInt64, _ actions: inout [SwimAction]) {
    var place = 0
    while place < suspicions.count {
      let suspicion = suspicions[place]
      guard let member = members[suspicion.id], member.health == .suspect,
        member.incarnation == suspicion.incarnation, member.revision == suspicion.revision
      else {
        suspicions.remove(at: place)
        continue
      }
      if now >= end(suspicion) {
        suspicions.remove(at: place)
        if members.setHealth(member.id, .dead) {
          spread(member.id)
          actions.append(.changed(member.id))
        }
      } else {
        place += 1
      }
    }
  }

  private mutating func endRelays(_ now: UInt64, _ actions: inout [SwimAction]) {
    for place in relays.indices where !relays[place].hasNacked && now >= relays[place].nackAt {
      relays[place].hasNacked = true
      let relay = relays[place]
      actions.append(.send(to: relay.asker, message(.nack, relay.askersSequence, to: relay.asker)))
    }
    relays.removeAll { now >= $0.endsAt }
  }

  // MARK: Messages

  private mutating func message(
    _ kind: SwimMessage.Kind, _ sequence: UInt32, to receiver: UInt64
  ) -> SwimMessage {
    SwimMessage(kind: kind, sequence: sequence, records: records(for: receiver))
  }

  /// Takes a message of another member. `oldest` is what this node's own acks are to say.
  public mutating func received(
    _ message: SwimMessage, from sender: UInt64, oldest: UInt64, now: UInt64, wall: UInt64,
    _ actions: inout [SwimAction]
  ) {
    for record in message.records { take(record, from: sender, now, wall, &actions) }
    switch message.kind {
    case .gossip: break
    case .probe:
      var ack = self.message(.ack, message.sequence, to: sender)
      ack.oldest = oldest
      // The refutation may have passed the sender over.
      if message.records.contains(where: { $0.id == members.ownID && $0.health != .alive }),
        !ack.records.contains(where: { $0.id == members.ownID })
      {
        ack.records.append(members.own)
      }
      actions.append(.answer(ack))
    case .ack: ackArrived(message, from: sender, &actions)
    case .nack:
      if probe?.sequence == message.sequence { probe?.nacks += 1 }
    case .indirect:
      guard relays.count < Limits.relays, members[message.target] != nil else { return }
      sequence &+= 1
      relays.append(
        Relay(
          asker: sender, askersSequence: message.sequence, sequence: sequence,
          nackAt: now + timing.probeTimeout, endsAt: now + timing.period * 2))
      actions.append(
        .send(to: message.target, self.message(.probe, sequence, to: message.target)))
    }
  }

  private mutating func ackArrived(
    _ ack: SwimMessage, from sender: UInt64, _ actions: inout [SwimAction]
  ) {
    if let current = probe, current.sequence == ack.sequence {
      if current.target == sender, let member = members[sender] {
        heard[sender] = Heard(
          incarnation: member.incarnation, askedAt: current.wallAt, oldest: ack.oldest)
      }
      localHealth = max(0, localHealth - 1)
      probe = nil
    } else if let place = relays.firstIndex(where: { $0.sequence == ack.sequence }) {
      let relay = relays.remove(at: place)
      actions.append(.send(to: relay.asker, message(.ack, relay.askersSequence, to: relay.asker)))
    }
  }

  /// Takes one record, from gossip or from a whole table.
  public mutating func take(
    _ record: Member, from sender: UInt64, _ now: UInt64, _ wall: UInt64,
    _ actions: inout [SwimAction]
  ) {
    if record.id == members.ownID, timing.isDeafToItself { return }
    let before = members[record.id]
    let outcome = members.merge(record, now: wall)
    switch outcome {
    case .known:
      // Another one says the same of a suspect: it confirms the suspicion.
      if record.health == .suspect, let before, before.health == .suspect,
        before.incarnation == record.incarnation, before.revision == record.revision
      {
        suspect(before, by: sender, now, &actions)
      }
    case .changed:
      spread(record.id)
      actions.append(.changed(record.id))
      if record.health == .suspect { suspect(record, by: sender, now, &actions) }
      if before?.incarnation != record.incarnation { heard[record.id] = nil }
    case .refuted:
      spread(members.ownID)
      actions.append(.refuted)
    case .removed: actions.append(.removed)
    case .refused: actions.append(.refused)
    }
  }

  // MARK: Settlement

  /// Unix milliseconds up to which all other members are known to keep nothing for others: the
  /// minimum over their last acks; 0 when one of them was never heard.
  public var othersClearUpTo: UInt64 {
    var least = UInt64.max
    for member in members.members where member.id != members.ownID {
      guard let last = heard[member.id], last.incarnation == member.incarnation else { return 0 }
      least = min(least, last.askedAt, last.oldest)
    }
    return least
  }
}

/// Times of the failure detector, in microseconds, and its counts.
public struct SwimTiming: Sendable {
  public var period: UInt64 = 300_000
  public var probeTimeout: UInt64 = 100_000
  public var gossip: UInt64 = 100_000
  /// Others that are asked for an indirect probe, and that news is passed to at a time.
  public var helpers = 3
  public var fanout = 3
  /// The shortest suspicion: periods, times the logarithm of the number of members.
  public var suspicionPeriods: UInt64 = 5
  /// The longest one: a multiple of the shortest, for a suspicion that nobody confirms.
  public var longestSuspicion: UInt64 = 2
  /// Confirmations that make it the shortest.
  public var confirmations = 3
  public var worstHealth = 8
  /// A planted bug: what is said of this node goes unanswered.
  public var isDeafToItself = false

  public init() {}
}

/// What the failure detector asks its node to do.
public enum SwimAction: Sendable {
  case send(to: UInt64, SwimMessage)
  /// Back to whoever sent the message at hand.
  case answer(SwimMessage)
  /// A record changed.
  case changed(UInt64)
  /// Another node had this one's record wrong.
  case refuted
  /// This node was taken out of the cluster.
  case removed
  /// A record was not believed.
  case refused
}
