import Objects
import Primitives
import Storage
import Testing

@Suite("The table against a dictionary")
struct TableTests {
  /// Lengths on both sides of every cell class, of the largest cell and of blocks.
  private static let lengths =
    [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 100, 200, 254, 255, 256, 300, 480, 495, 496, 497, 512]
    + [513, 560, 1000, 2000, 4000, 4056, 4072, 4079, 4080, 4081, 4096, 4097, 5000, 20_000]

  private func randomObject(
    _ generator: inout SeededGenerator, stamp: Int, longest: Int = .max
  ) -> ModelObject {
    let isTombstone = generator.oneIn(6)
    let lengths = TableTests.lengths.filter { $0 <= longest }
    return ModelObject(
      version: Version(
        stamp: Stamp(rawValue: UInt64(stamp)), actor: Actor(rawValue: UInt64(generator.below(5)))),
      deadline: generator.oneIn(3) ? UInt64(1 + generator.below(1000)) : 0,
      flags: isTombstone ? .tombstone : .none,
      value: isTombstone ? [] : generator.bytes(generator.pick(lengths)))
  }

  private func randomKeys(_ generator: inout SeededGenerator, _ count: Int) -> [ModelKey] {
    (0..<count).map { place in
      let length = generator.oneIn(10) ? generator.pick([253, 254, 255, 256, 257, 300]) : 4
      return ModelKey(
        database: generator.below(2), bytes: "\(place):".bytes + generator.bytes(length))
    } + [ModelKey(database: 0, bytes: [])]
  }

  @Test("Small runs agree after each step", arguments: Seeds.some)
  func smallRuns(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let fixture = TableFixture(slots: 3, seed: seed)
    let keys = randomKeys(&generator, 12)
    for stamp in 1...250 {
      step(fixture, &generator, generator.pick(keys), stamp, longest: 6000)
      fixture.check()
    }
  }

  @Test("Many keys in few slots agree while directories split and empty", arguments: Seeds.few)
  func manyKeys(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let fixture = TableFixture(slots: 2, seed: seed)
    let keys = randomKeys(&generator, 6000)
    for stamp in 1...40_000 {
      step(fixture, &generator, generator.pick(keys), stamp, longest: 40, sweeps: false)
    }
    fixture.check()
    for key in generator.shuffled(keys) where !generator.oneIn(50) { fixture.remove(key) }
    fixture.check()
    for database in 0..<2 {
      for slot in 0..<2 { fixture.sweep(database: database, slot: slot) { _ in true } }
    }
    fixture.check()
    #expect(fixture.model.isEmpty)
  }

  private func step(
    _ fixture: TableFixture, _ generator: inout SeededGenerator, _ key: ModelKey, _ stamp: Int,
    longest: Int, sweeps: Bool = true
  ) {
    switch generator.below(sweeps ? 9 : 7) {
    case 0, 1, 2:
      fixture.write(key, randomObject(&generator, stamp: stamp, longest: longest))
    case 3:
      let old = 1 + generator.below(stamp)
      let stamp = generator.oneIn(2) ? stamp : old
      fixture.merge(key, randomObject(&generator, stamp: stamp, longest: longest))
    case 4, 5:
      extend(fixture, &generator, key, stamp)
    case 6:
      fixture.remove(key)
    case 7:
      let limit = UInt64(generator.below(1000))
      fixture.sweep(database: key.database, slot: fixture.slot(key.bytes)) {
        $0.isTombstone || ($0.deadline != 0 && $0.deadline < limit)
      }
    default:
      if generator.oneIn(4) { fixture.removeAll(database: key.database) }
    }
  }

  /// APPEND, SETRANGE and EXPIRE: the front of the value stays.
  private func extend(
    _ fixture: TableFixture, _ generator: inout SeededGenerator, _ key: ModelKey, _ stamp: Int
  ) {
    guard var object = fixture.model[key], !object.isTombstone else { return }
    let keep = generator.oneIn(2) ? object.value.count : generator.below(object.value.count + 1)
    object.version = fixture.version(stamp)
    object.deadline = generator.oneIn(2) ? 0 : UInt64(generator.below(1000))
    object.value = object.value.prefix(keep) + generator.bytes(generator.below(60))
    fixture.write(key, object, keeping: keep)
  }

  @Test("A value changes from every length to every other, with and without a deadline")
  func everyLength() {
    var generator = SeededGenerator(seed: 1)
    let key = ModelKey(database: 0, bytes: "key".bytes)
    let fixture = TableFixture(slots: 1, seed: 1)
    var stamp = 0
    for first in TableTests.lengths {
      for second in TableTests.lengths {
        for deadlines in 0..<4 {
          stamp += 2
          let old = ModelObject(
            version: fixture.version(stamp), deadline: deadlines & 1 == 1 ? 77 : 0, flags: .none,
            value: generator.bytes(first))
          fixture.write(key, old)
          let keep = min(first, second)
          let new = ModelObject(
            version: fixture.version(stamp + 1), deadline: deadlines & 2 == 2 ? 88 : 0,
            flags: .none,
            value: old.value.prefix(keep) + generator.bytes(second - keep))
          fixture.write(key, new, keeping: keep)
          #expect(fixture.object(key) == new, "\(first) to \(second), deadlines \(deadlines)")
        }
      }
    }
    fixture.check()
  }

  @Test("Keys of every length are told apart")
  func keyLengths() {
    let fixture = TableFixture(slots: 1, seed: 5)
    for length in Array(0...40) + [250, 253, 254, 255, 256, 300, 4000, 5000, 70_000] {
      let key = ModelKey(database: 1, bytes: Array(repeating: 107, count: length))
      for deadline in [0, 5] as [UInt64] {
        fixture.write(
          key,
          ModelObject(
            version: fixture.version(length + 1), deadline: deadline, flags: .none,
            value: "\(length)".bytes))
      }
    }
    fixture.check()
  }

  @Test("Appending byte by byte keeps all that was there")
  func appending() {
    var generator = SeededGenerator(seed: 9)
    let key = ModelKey(database: 0, bytes: "log".bytes)
    let fixture = TableFixture(slots: 1, seed: 9)
    var value: [UInt8] = []
    for stamp in 1...9000 {
      value.append(UInt8(truncatingIfNeeded: generator.next()))
      fixture.write(
        key,
        ModelObject(version: fixture.version(stamp), deadline: 0, flags: .none, value: value),
        keeping: value.count - 1)
    }
    fixture.check()
  }

  @Test("An emptied table gives its memory back", arguments: [true, false])
  func memory(atOnce: Bool) {
    var generator = SeededGenerator(seed: 3)
    let fixture = TableFixture(databases: 1, slots: 16, seed: 3)
    #expect(fixture.table.bytes == 0)
    let keys = randomKeys(&generator, 3000).map { ModelKey(database: 0, bytes: $0.bytes) }
    for _ in 0..<2 {
      for (stamp, key) in keys.enumerated() {
        fixture.write(key, randomObject(&generator, stamp: stamp + 1, longest: 5000))
      }
      #expect(fixture.table.bytes > 1 << 20)
      if atOnce {
        fixture.removeAll(database: 0)
      } else {
        for key in keys { fixture.remove(key) }
      }
      fixture.check()
      // What is left is the slots' own 16 bytes each, and 8 in the one hash tree.
      #expect(fixture.table.bytes == 16 * (16 + 8))
      #expect(fixture.table.siblingSets == 0)
    }
  }

  @Test("The overhead of a small object is at most 40 bytes, 48 with a deadline")
  func overhead() {
    let rows: [(deadline: UInt64, bound: Double)] = [(0, 40), (5, 48)]
    for row in rows {
      // Enough keys that the unused part of the last region is below 3 bytes a key.
      var table = Table(databases: 1, slots: 8192, seed: 1)
      let count = 500_000
      let version = Version(stamp: Stamp(rawValue: 1), actor: Actor(rawValue: 1))
      for index in 0..<count {
        "key:\(1_000_000 + index)".bytes.withUnsafeBytes { key in
          _ = table.write(
            database: 0, slot: index % 8192, hash: table.hash(key), key: key, version: version,
            deadline: row.deadline, flags: .none, valueLength: 64)
        }
      }
      let bytes = table.bytes
      let beside = Double(bytes) / Double(count) - 64 - 11
      print("table: \(beside) bytes beside key and value, deadline \(row.deadline != 0)")
      #expect(beside <= row.bound)
    }
  }

  @Test("More actors than a record can name are refused, until some are no longer used")
  func actors() {
    let fixture = TableFixture(databases: 1, slots: 64, seed: 1)
    func object(_ actor: Int) -> ModelObject {
      ModelObject(version: fixture.version(1, actor: actor), deadline: 0, flags: .none, value: [1])
    }
    func key(_ index: Int) -> ModelKey { ModelKey(database: 0, bytes: "\(index)".bytes) }
    for index in 0..<Limits.actors { fixture.write(key(index), object(index + 1)) }
    let extra = key(Limits.actors)
    #expect(fixture.mergeOnly(extra, object(Limits.actors + 1)) == .refused)
    #expect(fixture.object(extra) == nil)
    fixture.remove(key(5))
    fixture.merge(extra, object(Limits.actors + 1))
    #expect(fixture.object(extra) == object(Limits.actors + 1))
    fixture.check()
  }
}
