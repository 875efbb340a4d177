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
      record.revision = UInt32(generator.below(3))
      record.status = generator.oneIn(4) ? .forgotten : .joined
      record.isFilled = generator.oneIn(2)
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
      #expect(other.members == first.members)
      #expect(other.digest == first.digest)
    }
    var relayed = MemberTable(own: member(1))
    for record in first.members { _ = relayed.merge(record, now: MemberTests.now) }
    #expect(relayed.members == first.members)
    for record in first.members {
      #expect(relayed.merge(record, now: MemberTests.now) == .known)
    }
  }

  @Test("A later incarnation wins over any revision, a later revision within it")
  func ranks() {
    let old = member(2, incarnation: 5)
    var changed = old
    changed.revision = 9
    let restarted = member(2, incarnation: 6, actor: 2)
    #expect(changed.replaces(old) && !old.replaces(changed))
    #expect(restarted.replaces(changed) && !changed.replaces(restarted))
    #expect(!old.replaces(old))
    var other = old
    other.port = 9
    #expect(other.replaces(old) != old.replaces(other))
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
    #expect(table.own == member(1))
    #expect(table[2] == member(2))
    #expect(table[3] == nil)
    let latest = member(1, incarnation: MemberTests.now + day, actor: 5)
    let outcome = table.merge(latest, now: MemberTests.now)
    #expect(outcome == .refuted)
    #expect(table.own.replaces(latest))
  }

  @Test("A restart is a new identity that replaces the dead one (LESSONS.md, D21)")
  func restart() {
    var table = table([member(2)])
    let isForgotten = table.forget(2)
    #expect(isForgotten)
    #expect(table.joined.map(\.id) == [1])
    let stale = table.merge(member(2), now: MemberTests.now)
    #expect(stale == .known)
    #expect(table.joined.map(\.id) == [1])
    let outcome = table.merge(
      member(2, incarnation: MemberTests.now + 1, actor: 2), now: MemberTests.now)
    #expect(outcome == .changed)
    #expect(table.joined.map(\.id) == [1, 2])
    #expect(table[2]?.actor == Actor(rawValue: 2))
  }

  @Test("Only others that are in the ring can be forgotten")
  func forget() {
    var table = table([member(2)])
    let own = table.forget(1)
    let unknown = table.forget(9)
    let first = table.forget(2)
    let second = table.forget(2)
    #expect([own, unknown, first, second] == [false, false, true, false])
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
    #expect(bytes.withUnsafeBytes { MemberTable.decode($0) } == table.members)
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
  @Test("A silent link is asked once an interval, then given up")
  func table() {
    let rows: [(at: UInt64, heard: Bool, verdict: LinkHealth.Verdict)] = [
      (1000, false, .fine), (1099, false, .fine), (1100, false, .ping), (1150, false, .fine),
      (1200, false, .ping), (1250, true, .fine), (1349, false, .fine), (1350, false, .ping),
      (1749, false, .ping), (1750, false, .dead), (1760, true, .fine), (2259, false, .ping),
      (2260, false, .dead),
    ]
    var health = LinkHealth(openedAt: 1000)
    for row in rows {
      if row.heard { health.heard(at: row.at) }
      let verdict = health.verdict(at: row.at, pingInterval: 100, deadAfter: 500)
      #expect(verdict == row.verdict, "at \(row.at)")
    }
  }

  @Test("A clock reading from before the last one counts as no time")
  func earlierReading() {
    var health = LinkHealth(openedAt: 1000)
    let verdict = health.verdict(at: 900, pingInterval: 100, deadAfter: 500)
    #expect(verdict == .fine)
  }
}
