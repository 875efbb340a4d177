import Objects
import Primitives
import Storage
import Testing

@Suite("The table's hash trees")
struct TableDigestTests {
  private func key(_ index: Int, database: Int = 0) -> ModelKey {
    ModelKey(database: database, bytes: "key:\(index)".bytes)
  }

  private func object(
    _ generator: inout SeededGenerator, _ stamp: Int, deadline: UInt64 = 0
  ) -> ModelObject {
    let isTombstone = generator.oneIn(5)
    return ModelObject(
      version: Version(
        stamp: Stamp(rawValue: UInt64(stamp)), actor: Actor(rawValue: UInt64(generator.below(4)))),
      deadline: generator.oneIn(3) ? UInt64(1 + generator.below(100)) : deadline,
      flags: isTombstone ? .tombstone : .none,
      value: isTombstone ? [] : generator.bytes(generator.below(30)))
  }

  /// Sibling sets as they come over the wire.
  private func sets(_ seed: UInt64) -> [ModelObject] {
    SiblingHistory(seed: seed).states.filter { !$0.context.seen.isEmpty }.map { set in
      ModelObject(
        version: set.version, deadline: 0,
        flags: set.siblings.isEmpty ? .emptySiblings : .siblings, value: set.encoded())
    }
  }

  @Test("After every change the digests are those of a walk", arguments: Seeds.some)
  func everyChange(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let fixture = TableFixture(slots: 3, seed: seed)
    let sets = sets(seed)
    fixture.tree = { $0.count % 2 == 0 ? 1 : 3 }
    for stamp in 1...1500 {
      let key = key(generator.below(40), database: generator.below(2))
      switch generator.below(40) {
      case 0: fixture.sweep(database: key.database, slot: 1) { $0.isTombstone }
      case 1: if generator.oneIn(3) { fixture.removeAll(database: key.database) }
      case 2...4:
        let (even, odd) = (generator.below(8), generator.below(8))
        fixture.tree = { $0.count % 2 == 0 ? even : odd }
        fixture.plant()
      case 5...9: fixture.removeOnly(key)
      case 10...14: _ = fixture.mergeOnly(key, generator.pick(sets))
      case 15...24: _ = fixture.mergeOnly(key, object(&generator, 1 + generator.below(stamp)))
      default: fixture.write(key, object(&generator, stamp))
      }
      #expect(fixture.digests() == fixture.walkedDigests(), "step \(stamp)")
    }
    fixture.table.checkInvariants()
    #expect(fixture.digests().contains { $0 != 0 })
    for database in 0..<2 { fixture.removeAll(database: database) }
    #expect(fixture.digests().allSatisfy { $0 == 0 })
  }

  @Test(
    "Tables with the same objects have the same digests, whatever their order and seed",
    arguments: Seeds.some)
  func anyOrder(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var changes = (1...600).map { stamp in
      (key(generator.below(90), database: generator.below(2)), object(&generator, stamp))
    }
    changes += sets(seed).map { (key(200 + generator.below(3)), $0) }
    var first: [UInt64] = []
    for replica in 0..<4 {
      let fixture = TableFixture(slots: 3, seed: seed &+ UInt64(replica))
      fixture.tree = { $0.count % 3 }
      for (key, object) in generator.shuffled(changes) { _ = fixture.mergeOnly(key, object) }
      fixture.table.checkInvariants()
      if replica == 0 { first = fixture.digests() }
      #expect(fixture.digests() == first, "replica \(replica)")
    }
    #expect(Set(first).count > 10)
  }

  @Test("An object that passes its deadline stays in its place in the tree")
  func expiry() {
    let fixture = TableFixture(slots: 2, seed: 1)
    var generator = SeededGenerator(seed: 1)
    for index in 0..<50 {
      let value = generator.bytes(generator.pick([0, 5, 600]))
      fixture.write(
        key(index),
        ModelObject(version: fixture.version(index + 1), deadline: 5, flags: .none, value: value))
    }
    let before = fixture.digests()
    for index in 0..<50 {
      fixture.write(
        key(index),
        ModelObject(
          version: fixture.version(index + 1), deadline: 5, flags: .tombstone, value: []))
    }
    fixture.check()
    #expect(fixture.digests() == before)
  }

  @Test("What is overwritten takes its part with it, and so does what is removed")
  func overwriting() {
    func object(_ stamp: Int) -> ModelObject {
      ModelObject(
        version: Version(stamp: Stamp(rawValue: UInt64(stamp)), actor: Actor(rawValue: 7)),
        deadline: 0, flags: .none, value: [UInt8(stamp)])
    }
    let fixture = TableFixture(databases: 1, slots: 1, seed: 1)
    let empty = fixture.digests()
    fixture.write(key(1), object(1))
    let one = fixture.digests()
    #expect(one != empty)
    fixture.write(key(1), object(2))
    #expect(fixture.digests() != one)
    fixture.write(key(2), object(3))
    fixture.write(key(2), object(1))
    fixture.remove(key(1))
    // The same version under another key: a version names one write, and so one key.
    #expect(fixture.digests() == one)
    fixture.remove(key(2))
    #expect(fixture.digests() == empty)
  }

  @Test("A sibling set is not told by its version alone")
  func siblings() {
    let dot = Version(stamp: Stamp(rawValue: 9), actor: Actor(rawValue: 2))
    let other = Version(stamp: Stamp(rawValue: 5), actor: Actor(rawValue: 1))
    var first = SiblingSet()
    first.write(Sibling(version: dot, deadline: 0, value: [1]), dot: dot, replacing: first.context)
    var second = first
    var older = SiblingSet()
    older.write(
      Sibling(version: other, deadline: 0, value: [2]), dot: other, replacing: older.context)
    second.merge(older)
    #expect(first.version == second.version)
    let digests = [first, second].map { set in
      let fixture = TableFixture(databases: 1, slots: 1, seed: 1)
      _ = fixture.mergeOnly(
        key(1),
        ModelObject(version: set.version, deadline: 0, flags: .siblings, value: set.encoded()))
      return fixture.digests()
    }
    #expect(digests[0] != digests[1])
  }
}
