import Membership
import Objects
import PeerProtocol
import Primitives
import Testing

@Suite("The failure detector")
struct SwimTests {
  @Test("Of five nodes a dead one is dead for all within 5 s", arguments: Seeds.some)
  func death(seed: UInt64) {
    var world = SwimWorld(5, seed: seed)
    world.run(milliseconds: 3000)
    world.isSilent[2] = true
    let spent = world.run(atMost: 5000) { world in
      [0, 1, 3, 4].allSatisfy { world.health(of: 2, at: $0) == .dead }
    }
    #expect(spent != nil, "\((0..<5).map { world.health(of: 2, at: $0) })")
    #expect(world.died.allSatisfy { $0.of == 2 } && world.suspected.allSatisfy { $0.of == 2 })
  }

  @Test("At 10 % loss nobody who lives is declared dead in 60 s", arguments: Seeds.some)
  func loss(seed: UInt64) {
    for count in [3, 5, 20] {
      var world = SwimWorld(count, seed: seed)
      world.lossPercent = 10
      world.run(milliseconds: 60_000)
      #expect(world.died.isEmpty, "\(count) nodes: \(world.died)")
    }
  }

  @Test("Messages are lost in these worlds, and suspicions come of it and go")
  func lossIsNotTrivial() {
    var world = SwimWorld(5, seed: 1)
    world.lossPercent = 40
    world.run(milliseconds: 60_000)
    #expect(!world.suspected.isEmpty && world.refutations > 0)
  }

  @Test("A node that was away for a moment refutes what is said of it", arguments: Seeds.some)
  func refutation(seed: UInt64) {
    var world = SwimWorld(5, seed: seed)
    world.run(milliseconds: 2000)
    world.isSilent[4] = true
    let spent = world.run(atMost: 5000) { $0.health(of: 4, at: 0) == .suspect }
    #expect(spent != nil)
    world.isSilent[4] = false
    let healed = world.run(atMost: 3000) { world in
      (0..<4).allSatisfy { world.health(of: 4, at: $0) == .alive }
    }
    #expect(healed != nil)
    #expect(world.refutations > 0 && world.died.isEmpty)
    #expect((world.nodes[0].members[SwimWorld.id(4)]?.revision ?? 0) > 0)
    world.run(milliseconds: 5000)
    #expect(world.died.isEmpty && (0..<4).allSatisfy { world.health(of: 4, at: $0) == .alive })
  }

  @Test(
    "A dead node that comes back is alive for all, with its memory or without", arguments: [1, 2])
  func resurrection(seed: UInt64) {
    for restarts in [false, true] {
      var world = SwimWorld(5, seed: seed)
      world.isSilent[1] = true
      world.run(milliseconds: 10_000)
      #expect([0, 2, 3, 4].allSatisfy { world.health(of: 1, at: $0) == .dead })
      if restarts { world.restart(1) } else { world.isSilent[1] = false }
      let spent = world.run(atMost: 5000) { world in
        [0, 2, 3, 4].allSatisfy { world.health(of: 1, at: $0) == .alive }
      }
      #expect(spent != nil, "restarts \(restarts)")
    }
  }

  @Test("A node that was stopped for 20 s blames nobody for that time", arguments: Seeds.some)
  func stopped(seed: UInt64) {
    var world = SwimWorld(5, seed: seed)
    world.run(milliseconds: Int(2000 + seed * 70))
    world.isSilent[3] = true
    world.run(milliseconds: 20_000)
    world.isSilent[3] = false
    world.run(milliseconds: 10_000)
    #expect(world.suspected.allSatisfy { $0.of == 3 }, "\(world.suspected)")
    #expect(world.died.allSatisfy { $0.of == 3 })
    #expect((0..<5).allSatisfy { world.health(of: 3, at: $0) == .alive })
  }

  @Test(
    "Whoever can't reach a node directly learns from others that it lives", arguments: Seeds.some)
  func indirect(seed: UInt64) {
    var world = SwimWorld(5, seed: seed)
    world.cut = [[0, 1]]
    world.run(milliseconds: 30_000)
    #expect(world.suspected.isEmpty && world.died.isEmpty)
    // And without the others it does not.
    var pair = SwimWorld(2, seed: seed)
    pair.cut = [[0, 1]]
    pair.run(milliseconds: 30_000)
    #expect(pair.died.contains { $0 == (0, 1) } && pair.died.contains { $0 == (1, 0) })
  }

  @Test("A change of a record reaches all of 100 nodes within seconds", arguments: Seeds.few)
  func spreading(seed: UInt64) {
    var world = SwimWorld(100, seed: seed)
    world.run(milliseconds: 1000)
    world.changeOwn(7)
    let spent = world.run(atMost: 3000) { world in
      world.nodes.allSatisfy { $0.members[SwimWorld.id(7)]?.isFilled == false }
    }
    #expect(spent != nil)
  }

  @Test("Messages a node and second do not grow from 10 to 100 nodes, at rest or after a death")
  func cost() {
    var rates: [[Double]] = []
    for count in [10, 100] {
      var world = SwimWorld(count, seed: 1)
      world.run(milliseconds: 2000)
      var before = world.messages
      world.run(milliseconds: 20_000)
      let resting = Double(world.messages - before) / Double(count) / 20
      before = world.messages
      world.isSilent[0] = true
      world.run(milliseconds: 20_000)
      rates.append([resting, Double(world.messages - before) / Double(count) / 20])
    }
    #expect(rates[0][0] > 1 && rates[1][0] < 10, "\(rates)")
    #expect(rates[1][0] <= rates[0][0] * 1.1, "at rest: \(rates)")
    #expect(rates[1][1] <= rates[0][1] * 1.5, "after a death: \(rates)")
  }

  @Test("Nothing older is kept by others as far as all their last acks say")
  func settlement() {
    var world = SwimWorld(4, seed: 1)
    #expect(world.nodes[0].othersClearUpTo == 0)
    world.run(milliseconds: 10_000)
    let clear = world.nodes[0].othersClearUpTo
    #expect(clear > 5000 && clear < world.microseconds / 1000)
    world.isSilent[3] = true
    world.run(milliseconds: 10_000)
    let stuck = world.nodes[0].othersClearUpTo
    #expect(stuck < 11_100)
    world.restart(3)
    let spent = world.run(atMost: 10_000) { $0.nodes[0].othersClearUpTo > 20_000 }
    #expect(spent != nil)
  }
}

@Suite("Messages of the failure detector")
struct SwimMessageTests {
  private func messages(_ seed: UInt64) -> [SwimMessage] {
    var generator = SeededGenerator(seed: seed)
    return [SwimMessage.Kind.probe, .ack, .indirect, .nack, .gossip].flatMap { kind in
      [0, 1, 3].map { count in
        let records = (0..<count).map { index in
          var record = Member(
            id: generator.next() | 1, actor: Actor(rawValue: generator.next()),
            incarnation: generator.next(), host: "10.0.0.\(index)", port: 7001, peerPort: 17_001,
            name: "n\(index)", zone: index == 0 ? "" : "zöne", weight: 3, isFilled: index == 1)
          record.era = UInt32(index)
          record.revision = 9
          record.status = generator.pick([.joined, .leaving, .forgotten])
          record.health = generator.pick([.alive, .suspect, .dead])
          record.nextWeight = 100
          record.prepared = generator.next()
          record.committed = generator.next()
          return record
        }
        var message = SwimMessage(
          kind: kind, sequence: UInt32(truncatingIfNeeded: generator.next()), records: records)
        message.target = generator.next()
        message.oldest = generator.next()
        return message
      }
    }
  }

  private func decode(_ bytes: [UInt8]) -> SwimMessage? {
    bytes.withUnsafeBytes { SwimMessage.decode($0) }
  }

  @Test("A message comes back as it was sent; cut short or longer it is none", arguments: Seeds.few)
  func roundTrip(seed: UInt64) {
    for message in messages(seed) {
      let bytes = written { message.encode(to: &$0) }
      #expect(decode(bytes) == message)
      for end in 0..<bytes.count { #expect(decode(Array(bytes[..<end])) == nil, "\(end) bytes") }
      #expect(decode(bytes + [0]) == nil)
    }
  }

  @Test("A changed bit gives another message or none", arguments: Seeds.few)
  func flipped(seed: UInt64) {
    for message in messages(seed) {
      let bytes = written { message.encode(to: &$0) }
      for index in bytes.indices {
        for bit in 0..<8 {
          let changed = bytes.flipping(index, bits: 1 << bit)
          guard let other = decode(changed) else { continue }
          #expect(other != message && written { other.encode(to: &$0) } == changed)
        }
      }
    }
  }

  @Test("Kinds that there are not and absurd counts are refused")
  func absurd() {
    let bytes = written { SwimMessage(kind: .probe, sequence: 1, records: []).encode(to: &$0) }
    for kind in 0...255 as ClosedRange<UInt8> {
      var changed = bytes
      changed[0] = kind
      #expect((decode(changed) != nil) == (1...5).contains(kind))
    }
    for count in [1, UInt32(Limits.members), UInt32(Limits.members) + 1, .max] {
      let tail = written { $0.append(littleEndian: count) }
      #expect(decode(bytes.dropLast(4) + tail) == nil)
    }
  }
}
