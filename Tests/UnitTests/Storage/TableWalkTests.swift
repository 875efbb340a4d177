import Objects
import Primitives
import Storage
import Testing

@Suite("Walking a slot")
struct TableWalkTests {
  private func key(_ index: Int) -> ModelKey { ModelKey(database: 0, bytes: "key:\(index)".bytes) }

  private func put(_ fixture: TableFixture, _ index: Int, deadline: UInt64 = 0) {
    fixture.write(
      key(index),
      ModelObject(version: fixture.version(1), deadline: deadline, flags: .none, value: [1]))
  }

  @Test("A walk in steps of any size visits each key once when nothing changes")
  func steps() {
    let fixture = TableFixture(databases: 1, slots: 1, seed: 11)
    for size in [0, 1, 5, 128, 129, 700, 5000] {
      for index in 0..<size { put(fixture, index) }
      for count in [1, 10, 1000, .max] {
        let walked = fixture.walk(database: 0, slot: 0, count: count)
        #expect(walked.count == size, "\(size) keys in steps of \(count)")
        #expect(Set(walked).count == size)
      }
    }
  }

  @Test(
    "Every key that stays is visited, though others come and go and segments split meanwhile",
    arguments: Seeds.some)
  func concurrentChanges(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let fixture = TableFixture(databases: 1, slots: 1, seed: seed)
    let staying = generator.pick([1, 60, 400, 3000])
    let passing = generator.pick([100, 2000, 8000])
    for index in 0..<staying { put(fixture, index) }
    for index in 0..<passing where generator.oneIn(2) { put(fixture, staying + index) }
    var visited: Set<[UInt8]> = []
    var position: ScanPosition? = .start
    while let from = position {
      let count = 1 + generator.below(40)
      position = fixture.table.walk(database: 0, slot: 0, from: from, count: count) {
        visited.insert(Array($0.key))
      }
      for _ in 0..<generator.below(200) {
        let index = staying + generator.below(passing)
        if generator.oneIn(2) { put(fixture, index) } else { fixture.remove(key(index)) }
      }
    }
    let missed = (0..<staying).filter { !visited.contains(key($0).bytes) }
    #expect(missed.isEmpty, "\(missed.count) of \(staying) keys were not visited")
    fixture.check()
  }

  @Test("A walk ends whatever position it is given", arguments: Seeds.few)
  func anyPosition(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let fixture = TableFixture(databases: 1, slots: 1, seed: seed)
    for index in 0..<1000 { put(fixture, index) }
    for _ in 0..<300 {
      var position: ScanPosition? = ScanPosition(
        rawValue: UInt32(truncatingIfNeeded: generator.next()))
      var steps = 0
      while let from = position, steps < 3000 {
        position = fixture.table.walk(database: 0, slot: 0, from: from, count: 1) { _ in }
        steps += 1
      }
      #expect(position == nil)
    }
  }

  @Test("Keys are due from their deadline on; a walk by segments finds each of them once")
  func dueKeys() {
    let fixture = TableFixture(databases: 1, slots: 1, seed: 2)
    for index in 0..<500 { put(fixture, index, deadline: UInt64(index)) }
    fixture.write(
      key(600),
      ModelObject(version: fixture.version(2), deadline: 5, flags: .tombstone, value: []))
    for now in [0, 1, 250, 499, 1000] as [UInt64] {
      let expected = (0..<500).filter { $0 != 0 && UInt64($0) <= now }.map { key($0).bytes }
      for looks in [1, 100, 10_000] {
        var due = KeyList()
        var next: Int? = 0
        var looked = 0
        while let from = next {
          let step = fixture.table.find(
            .deadlines(at: now), database: 0, slot: 0, from: from, looks: looks, into: &due)
          #expect(step.looked < looks + 256)
          looked += step.looked
          next = step.next
        }
        #expect(looked == 499)
        #expect(Set((0..<due.count).map { Array(due[$0]) }) == Set(expected), "at \(now)")
        #expect(due.count == expected.count)
      }
    }
    var tombstones = KeyList()
    _ = fixture.table.find(
      .tombstones(upTo: .max), database: 0, slot: 0, from: 0, looks: .max, into: &tombstones)
    #expect(tombstones.count == 1)
    _ = fixture.table.find(
      .tombstones(upTo: 0), database: 0, slot: 0, from: 0, looks: .max, into: &tombstones)
    #expect(tombstones.count == 1)
  }

  @Test("A walk goes on where it was while segments split and the slot is emptied and filled again")
  func splitsMeanwhile() {
    let fixture = TableFixture(databases: 1, slots: 1, seed: 5)
    for index in 0..<400 { put(fixture, index, deadline: 1) }
    var found: Set<[UInt8]> = []
    var next: Int? = 0
    var written = 400
    while let from = next {
      var due = KeyList()
      let step = fixture.table.find(
        .deadlines(at: 2), database: 0, slot: 0, from: from, looks: 1, into: &due)
      for place in 0..<due.count { found.insert(Array(due[place])) }
      // Each of these splits doubles some segments, behind the walk and in front of it.
      if written < 4000 {
        for index in written..<written + 400 { put(fixture, index) }
        written += 400
      }
      #expect(step.next.map { $0 > from } ?? true)
      next = step.next
    }
    // Whatever was there from the beginning was met.
    #expect(found == Set((0..<400).map { key($0).bytes }))
    fixture.table.checkInvariants()

    var some = KeyList()
    let half = fixture.table.find(
      .deadlines(at: 2), database: 0, slot: 0, from: 0, looks: 200, into: &some)
    #expect(half.next != nil)
    fixture.table.removeAll(database: 0)
    for index in 0..<10 { put(fixture, index, deadline: 1) }
    var due = KeyList()
    let rest = fixture.table.find(
      .deadlines(at: 2), database: 0, slot: 0, from: half.next ?? 0, looks: 1000, into: &due)
    #expect(due.count == 10)
    #expect(rest.next == nil)
    let moved = fixture.table.compact(database: 0, slot: 0, from: half.next ?? 0, limit: 1000)
    #expect(moved.looked == 10)
    #expect(moved.next == nil)
  }
}
