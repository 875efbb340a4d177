import Membership
import Objects
import PeerProtocol
import Primitives
import Testing

@Suite("Members")
struct MemberTests {
  private static let now: UInt64 = 1_800_000_000_000

  private func member(
    _ id: UInt64, incarnation: UInt64 = now, actor: UInt64 = 1, port: UInt16 = 7001
  ) -> Member {
    Member(
      id: id, actor: Actor(rawValue: actor), incarnation: incarnation, host: "127.0.0.1",
      port: port, peerPort: port + 10_000, name: "n\(id)", zone: "z", weight: 1, isFilled: true)
  }

  /// Records of a few nodes with equal and different ranks and contents.
  private func records(_ seed: UInt64) -> [Member] {
    var generator = SeededGenerator(seed: seed)
    return (0..<30).map { _ in
      var record = member(
        UInt64(2 + generator.below(4)), incarnation: MemberTests.now - UInt64(generator.below(3)),
        port: UInt16(7000 + generator.below(2)))
      record.era = UInt32(generator.below(3))
      record.revision = UInt32(generator.below(3))
      record.status = generator.pick([.joined, .forgotten, .joining, .leaving, .removing])
      record.health = generator.pick([.alive, .suspect, .dead])
      record.isFilled = generator.oneIn(2)
      record.prepared = UInt64(generator.below(2))
      return record
    }
  }

  private func table(_ records: [Member]) -> MemberTable {
    var table = MemberTable(own: member(1))
    for record in records { _ = table.merge(record, now: MemberTests.now) }
    return table
  }

  @Test("Records in any order, any number of times, end as the same table", arguments: Seeds.many)
  func mergeLaws(seed: UInt64) {
    var generator = SeededGenerator(seed: seed &+ 99)
    let records = records(seed)
    let first = table(records)
    for _ in 0..<5 {
      let other = table(generator.shuffled(records + records.prefix(10)))
      #expect(other.all == first.all)
      #expect(other.digest == first.digest)
    }
    var relayed = MemberTable(own: member(1))
    for record in first.all { _ = relayed.merge(record, now: MemberTests.now) }
    #expect(relayed.all == first.all)
    for record in first.all {
      let again = relayed.merge(record, now: MemberTests.now)
      #expect(again == .known)
    }
    #expect(first.members == first.all.filter { $0.status != .forgotten })
  }

  @Test("The join of two records is a lattice's, over all four ranks", arguments: Seeds.many)
  func recordLaws(seed: UInt64) {
    func join(_ left: Member, _ right: Member) -> Member { right.replaces(left) ? right : left }
    let records = records(seed).map { record in
      var record = record
      record.id = 2
      return record
    }
    for left in records {
      #expect(!left.replaces(left))
      for right in records {
        #expect(join(left, right) == join(right, left))
        #expect(left == right || left.replaces(right) != right.replaces(left))
        for third in records.prefix(8) {
          #expect(join(join(left, right), third) == join(left, join(right, third)))
        }
      }
    }
  }

  @Test("An era wins over any incarnation, that over any revision, that over any health")
  func ranks() {
    var lower = member(2, incarnation: 5)
    lower.era = 1
    let changes: [(inout Member) -> Void] = [
      { $0.era += 1 }, { $0.incarnation += 1 }, { $0.revision += 1 }, { $0.health = .dead },
    ]
    for (place, raise) in changes.enumerated() {
      var higher = lower
      raise(&higher)
      var other = lower
      for lesser in changes[(place + 1)...] { lesser(&other) }
      #expect(higher.replaces(other) && !other.replaces(higher), "rank \(place)")
    }
    #expect(!lower.replaces(lower))
    var other = lower
    other.port = 9
    #expect(other.replaces(lower) != lower.replaces(other))
  }

  @Test("A false record of oneself is refuted with a higher incarnation")
  func refutation() {
    var table = MemberTable(own: member(1))
    var forged = member(1)
    forged.revision = 8
    forged.status = .forgotten
    let outcome = table.merge(forged, now: MemberTests.now)
    #expect(outcome == .refuted)
    #expect(table.own.status == .joined)
    #expect(table.own.replaces(forged))
    var others = MemberTable(own: member(2))
    _ = others.merge(forged, now: MemberTests.now)
    let answer = others.merge(table.own, now: MemberTests.now)
    #expect(answer == .changed)
    #expect(others[1] == table.own)
    let again = table.merge(forged, now: MemberTests.now)
    #expect(again == .known)
    let own = table.merge(table.own, now: MemberTests.now)
    #expect(own == .known)
  }

  @Test("An incarnation more than a day ahead evicts nobody (LESSONS.md, D20)")
  func forgedIncarnation() {
    let day: UInt64 = 86_400_000
    var table = table([member(2)])
    for incarnation in [MemberTests.now + day + 1, .max - 1, .max] {
      for id in [1, 2, 3] as [UInt64] {
        let outcome = table.merge(member(id, incarnation: incarnation), now: MemberTests.now)
        #expect(outcome == .refused, "node \(id), incarnation \(incarnation)")
      }
    }
    for count in [UInt32.max / 2 + 1, .max] {
      for id in [1, 2, 3] as [UInt64] {
        var revised = member(id)
        revised.revision = count
        let revision = table.merge(revised, now: MemberTests.now)
        var renewed = member(id)
        renewed.era = count
        let era = table.merge(renewed, now: MemberTests.now)
        #expect(revision == .refused && era == .refused, "node \(id), \(count)")
      }
    }
    #expect(table.own == member(1))
    #expect(table[2] == member(2))
    #expect(table[3] == nil)
    let latest = member(1, incarnation: MemberTests.now + day, actor: 5)
    let outcome = table.merge(latest, now: MemberTests.now)
    #expect(outcome == .refuted)
    #expect(table.own.replaces(latest))
  }

  /// What others believe in the end of node 1, of whom they were told `forged` first.
  private func heal(_ forged: Member) -> [Member?] {
    var own = MemberTable(own: member(1))
    var others = (2...4).map { MemberTable(own: member($0)) }
    for place in others.indices {
      _ = others[place].merge(member(1), now: MemberTests.now)
      _ = others[place].merge(forged, now: MemberTests.now)
      if let said = others[place][1] { _ = own.merge(said, now: MemberTests.now + 1) }
    }
    for place in others.indices { _ = others[place].merge(own.own, now: MemberTests.now + 1) }
    return others.map { $0[1] }
  }

  @Test("Whatever is forged, it is refused or refuted, and the node stays a member (D20)")
  func forgedRanks() {
    let largest = UInt32.max / 2
    let ranks: [(name: String, change: (inout Member) -> Void)] = [
      ("the next revision", { $0.revision += 1 }),
      ("the highest revision", { $0.revision = largest }),
      ("a refused revision", { $0.revision = largest + 1 }),
      ("the next incarnation", { $0.incarnation += 1 }),
      ("a day's incarnation", { $0.incarnation += 86_400_000 }),
      ("a refused incarnation", { $0.incarnation = .max }),
      (
        "both",
        {
          $0.incarnation += 86_400_000
          $0.revision = largest
        }
      ),
      ("a refused era", { $0.era = .max }),
    ]
    for status in [MemberStatus.forgotten, .leaving, .removing, .joining] {
      for health in [MemberHealth.alive, .dead] {
        for rank in ranks {
          var forged = member(1)
          forged.status = status
          forged.health = health
          rank.change(&forged)
          for said in heal(forged) {
            #expect(
              said?.status == .joined && said?.health == .alive,
              "\(rank.name), \(status), \(health): \(said.debugDescription)")
          }
        }
      }
    }
  }

  @Test("A restart is a new identity that beats suspect and dead (LESSONS.md, D21)")
  func restart() {
    for health in [MemberHealth.suspect, .dead] {
      var table = table([member(2)])
      let isSaid = table.setHealth(2, health)
      #expect(isSaid && table[2]?.health == health)
      let stale = table.merge(member(2), now: MemberTests.now)
      #expect(stale == .known)
      #expect(table[2]?.health == health)
      let outcome = table.merge(
        member(2, incarnation: MemberTests.now + 1, actor: 2), now: MemberTests.now)
      #expect(outcome == .changed)
      #expect(table[2]?.health == .alive)
      #expect(table[2]?.actor == Actor(rawValue: 2))
    }
  }

  @Test("Who was forgotten stays so over its restarts, until it starts over")
  func forgottenStays() {
    var table = table([member(2)])
    let isForgotten = table.remove(2, to: .forgotten)
    #expect(isForgotten)
    #expect(table.members.map(\.id) == [1])
    #expect(table.all.map(\.id) == [1, 2])
    for later in [0, 1, 80_000_000] as [UInt64] {
      var record = member(2, incarnation: MemberTests.now + later, actor: 2)
      record.revision = 9
      let outcome = table.merge(record, now: MemberTests.now)
      #expect(outcome == .known)
      #expect(table[2]?.status == .forgotten)
    }
    var node = MemberTable(own: member(2, incarnation: MemberTests.now + 5))
    let order = table[2].map { node.merge($0, now: MemberTests.now) }
    #expect(order == .removed)
    #expect(node.own.status == .forgotten)
    node.startOver(now: MemberTests.now + 6)
    #expect(node.all.count == 1 && node.own.status == .joining)
    let back = table.merge(node.own, now: MemberTests.now)
    #expect(back == .changed)
    #expect(table.members.map(\.id) == [1, 2])
  }

  @Test("Only other members can be removed, first from the ring and then for good")
  func remove() {
    var table = table([member(2)])
    var outcomes: [Bool] = []
    for (id, status) in [
      (1, .forgotten), (9, .forgotten), (2, .removing), (2, .removing), (2, .forgotten),
      (2, .forgotten), (2, .removing),
    ] as [(UInt64, MemberStatus)] {
      outcomes.append(table.remove(id, to: status))
    }
    #expect(outcomes == [false, false, true, false, true, false, false])
  }

  @Test("Health only gets worse at one rank, and nobody says it of itself")
  func setHealth() {
    var table = table([member(2)])
    let rows: [(id: UInt64, health: MemberHealth, isNews: Bool)] = [
      (1, .dead, false), (9, .dead, false), (2, .alive, false), (2, .suspect, true),
      (2, .suspect, false), (2, .alive, false), (2, .dead, true), (2, .suspect, false),
    ]
    for row in rows {
      let isNews = table.setHealth(row.id, row.health)
      #expect(isNews == row.isNews, "\(row.id) \(row.health)")
    }
  }

  @Test("Tables have one digest exactly when they are equal but for health", arguments: Seeds.some)
  func digest(seed: UInt64) {
    func bare(_ table: MemberTable) -> [Member] {
      table.all.map { record in
        var record = record
        record.health = .alive
        return record
      }
    }
    var tables = (0..<8).map { table(records(seed &* 8 &+ $0 % 6)) }
    tables.append(tables[0])
    for id in 2...5 as ClosedRange<UInt64> { _ = tables[8].setHealth(id, .dead) }
    tables.append(tables[0])
    tables[9].updateOwn { $0.isFilled = false }
    for left in tables {
      for right in tables {
        #expect((left.digest == right.digest) == (bare(left) == bare(right)))
      }
    }
  }

  @Test("A change of one's own record is news to others")
  func updateOwn() {
    var table = MemberTable(own: member(1))
    let before = table.own
    table.updateOwn { $0.isFilled = false }
    #expect(table.own.replaces(before))
    #expect(!table.own.isFilled)
  }

  @Test("A table comes back as it was sent", arguments: Seeds.some)
  func roundTrip(seed: UInt64) {
    let table = table(records(seed))
    let bytes = written { table.encode(to: &$0) }
    #expect(bytes.withUnsafeBytes { MemberTable.decode($0) } == table.all)
  }

  @Test("Cut and changed tables never stop the process", arguments: Seeds.few)
  func damaged(seed: UInt64) {
    let table = table(records(seed))
    let bytes = written { table.encode(to: &$0) }
    for end in 0..<bytes.count {
      #expect(Array(bytes[..<end]).withUnsafeBytes { MemberTable.decode($0) } == nil)
    }
    #expect((bytes + [0]).withUnsafeBytes { MemberTable.decode($0) } == nil)
    for index in bytes.indices {
      for bit in 0..<8 {
        let changed = bytes.flipping(index, bits: 1 << bit)
        guard let members = changed.withUnsafeBytes({ MemberTable.decode($0) }) else { continue }
        let again = written { buffer in
          buffer.append(littleEndian: UInt32(members.count))
          for member in members { member.encode(to: &buffer) }
        }
        #expect(again == changed)
      }
    }
  }

  @Test("Records that would break a reply's line are refused")
  func unprintable() {
    for bad in ["a b", "a\nb", "a,b", "\u{7f}", String(repeating: "x", count: 256)] {
      for field in 0..<3 {
        var record = member(2)
        switch field {
        case 0: record.host = bad
        case 1: record.name = bad
        default: record.zone = bad
        }
        #expect(!decodes(record), "\(bad.debugDescription) in field \(field)")
      }
    }
    for (weight, isFine) in [(0, false), (1, true), (100, true), (101, false)] as [(UInt16, Bool)] {
      var record = member(2)
      record.weight = weight
      #expect(decodes(record) == isFine, "weight \(weight)")
    }
    #expect(!decodes(member(0)))
  }

  private func decodes(_ member: Member) -> Bool {
    written { member.encode(to: &$0) }.withUnsafeBytes { raw in
      var reader = FieldReader(raw)
      return Member(from: &reader) != nil
    }
  }

  @Test("An id is printed as 40 hexadecimal digits and read back", arguments: Seeds.few)
  func hexID(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for id in [1, 15, .max] + (0..<100).map({ _ in generator.next() }) {
      let text = Member.hexID(id)
      #expect(text.utf8.count == 40)
      #expect(text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) })
      #expect(Member.id(hex: text) == id)
      #expect(Member.id(hex: String(text.dropLast())) == nil)
      #expect(Member.id(hex: text + "0") == nil)
      let last = text.last == "0" ? "1" : "0"
      #expect(Member.id(hex: text.dropLast() + last) == nil)
    }
    #expect(Member.id(hex: "") == nil)
    #expect(Member.id(hex: String(repeating: "g", count: 40)) == nil)
  }
}

@Suite("The health of a link")
struct LinkHealthTests {
  /// One that is asked with the times of these tests.
  private final class WatchedLink {
    var health = LinkHealth()

    func verdict(at now: UInt64) -> LinkHealth.Verdict {
      health.verdict(at: now, pingInterval: 100, deadAfter: 500)
    }
  }

  @Test("A link that says nothing to what was sent is asked once an interval, then given up")
  func table() {
    let rows: [(at: UInt64, event: Character, verdict: LinkHealth.Verdict)] = [
      (1000, "-", .fine), (9000, "-", .fine), (10_000, "s", .fine), (10_099, "-", .fine),
      (10_100, "s", .ping), (10_150, "-", .fine), (10_200, "-", .ping), (10_250, "h", .fine),
      (20_000, "-", .fine), (20_000, "s", .fine), (20_499, "s", .ping), (20_500, "-", .dead),
      (20_510, "h", .fine), (29_000, "s", .fine), (29_500, "-", .dead),
    ]
    let link = WatchedLink()
    for row in rows {
      if row.event == "h" { link.health.heard(at: row.at) }
      if row.event == "s" { link.health.sent(at: row.at) }
      let verdict = link.verdict(at: row.at)
      #expect(verdict == row.verdict, "at \(row.at)")
    }
  }

  @Test("A link that takes a large value lives, and may be silent longer afterwards to store it")
  func largeValue() {
    let link = WatchedLink()
    link.health.sent(at: 1000)
    for now in stride(from: 1400 as UInt64, through: 5000, by: 400) {
      #expect(link.verdict(at: now) != .dead, "at \(now)")
      link.health.progressed(6400, at: now)
    }
    // Ten parts of 6,400 bytes: 100 microseconds each.
    #expect(link.verdict(at: 6499) != .dead)
    #expect(link.verdict(at: 6500) == .dead)
    link.health.heard(at: 7000)
    link.health.sent(at: 10_000)
    #expect(link.verdict(at: 10_500) == .dead, "what was taken before the answer counts no more")
    // The rest of the value goes, and an answer to something else has come meanwhile.
    link.health.heard(at: 11_000)
    #expect(link.verdict(at: 19_000) == .fine)
    link.health.progressed(6400, at: 20_000)
    #expect(link.verdict(at: 20_599) != .dead)
    #expect(link.verdict(at: 20_600) == .dead)
    #expect(link.health.heardAt == 11_000)
  }

  @Test("A process that stood still itself begins to wait anew, and forgets nothing that was taken")
  func resumed() {
    let link = WatchedLink()
    link.health.resumed(at: 500)
    #expect(link.verdict(at: 5000) == .fine, "nothing was sent")
    link.health.sent(at: 5000)
    link.health.progressed(6400, at: 5100)
    link.health.resumed(at: 9000)
    #expect(link.verdict(at: 9599) != .dead)
    #expect(link.verdict(at: 9600) == .dead)
    #expect(link.health.heardAt == 0)
  }

  @Test("A clock reading from before the last one counts as no time")
  func earlierReading() {
    let link = WatchedLink()
    link.health.sent(at: 1000)
    let verdict = link.verdict(at: 900)
    #expect(verdict == .fine)
  }
}
