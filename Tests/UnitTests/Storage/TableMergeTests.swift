import Objects
import Primitives
import Storage
import Testing

@Suite("Merging into the table")
struct TableMergeTests {
  private func object(_ view: ObjectView) -> ModelObject { TableFixture.copy(view) }

  /// The objects of a history: every state of every replica as it would be on the wire.
  private func objects(_ seed: UInt64) -> [ModelObject] {
    SiblingHistory(seed: seed).states.map { set in
      if set.context.seen.isEmpty, set.siblings.allSatisfy(\.isLWW) { return plain(set) }
      return ModelObject(
        version: set.version, deadline: 0,
        flags: set.siblings.isEmpty ? .emptySiblings : .siblings, value: set.encoded())
    }
  }

  /// What only LWW writes made travels as a plain object.
  private func plain(_ set: SiblingSet) -> ModelObject {
    let sibling = set.siblings.last
    return ModelObject(
      version: set.context.seenLWW, deadline: sibling?.deadline ?? 0,
      flags: sibling == nil ? .tombstone : .none, value: sibling?.value ?? [])
  }

  @Test(
    "Replicas that got the same objects in any order hold the same bytes", arguments: Seeds.many)
  func convergence(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let objects = objects(seed)
    let key = ModelKey(database: 0, bytes: "cart".bytes)
    var first: ModelObject?
    for replica in 0..<8 {
      let fixture = TableFixture(slots: 1, seed: UInt64(replica))
      for object in generator.shuffled(objects + objects.prefix(generator.below(10))) {
        #expect(fixture.mergeOnly(key, object) != .refused)
      }
      fixture.table.checkInvariants()
      let end = fixture.object(key)
      if replica == 0 { first = end }
      #expect(end == first, "replica \(replica)")
    }
    #expect(first != nil)
  }

  @Test("An object that is merged again changes nothing", arguments: Seeds.some)
  func idempotent(seed: UInt64) {
    let key = ModelKey(database: 0, bytes: "cart".bytes)
    let fixture = TableFixture(slots: 1, seed: seed)
    for object in objects(seed) {
      _ = fixture.mergeOnly(key, object)
      let held = fixture.object(key)
      #expect(fixture.mergeOnly(key, object) != .changed)
      #expect(fixture.object(key) == held)
    }
  }

  @Test("LWW keeps the later version in either order, ties go to the actor, never to the value")
  func lastWriterWins() {
    let key = ModelKey(database: 0, bytes: "k".bytes)
    func object(_ stamp: Int, _ actor: Int, _ value: String) -> ModelObject {
      ModelObject(
        version: Version(
          stamp: Stamp(rawValue: UInt64(stamp)), actor: Actor(rawValue: UInt64(actor))),
        deadline: 0, flags: value.isEmpty ? .tombstone : .none, value: value.bytes)
    }
    let pairs = [
      (object(1, 9, "zz"), object(2, 1, "a")), (object(5, 1, "zz"), object(5, 2, "a")),
      (object(1, 9, "zz"), object(2, 1, "")), (object(1, 1, ""), object(2, 1, "a")),
    ]
    for (lower, higher) in pairs {
      for order in [[lower, higher], [higher, lower]] {
        let fixture = TableFixture(slots: 1, seed: 1)
        for object in order { fixture.merge(key, object) }
        #expect(fixture.object(key) == higher)
      }
    }
  }

  @Test("Sibling sets are counted as long as they are there")
  func siblingCount() {
    let fixture = TableFixture(slots: 4, seed: 1)
    let set = objects(1).last { $0.flags.contains(.siblings) }
    guard let set else {
      Issue.record("the history made no sibling set")
      return
    }
    for index in 0..<10 {
      _ = fixture.mergeOnly(ModelKey(database: 0, bytes: "\(index)".bytes), set)
      #expect(fixture.table.siblingSets == index + 1)
    }
    for index in 0..<10 {
      let key = ModelKey(database: 0, bytes: "\(index)".bytes)
      key.bytes.withUnsafeBytes { raw in
        _ = fixture.table.remove(
          database: 0, slot: fixture.slot(key.bytes), hash: fixture.table.hash(raw), key: raw)
      }
      #expect(fixture.table.siblingSets == 9 - index)
    }
  }
}
