import Objects
import PeerProtocol
import Primitives
import Repair
import Testing

/// Hints in the plainest form: what each target should get of each key.
private struct HintModel {
  struct Name: Hashable {
    var target: UInt64
    var database: Int
    var key: [UInt8]
  }

  struct Hint {
    var object: [UInt8]
    var stamp: Stamp
  }

  var hints: [Name: Hint] = [:]
  /// By target, in the order of the batch.
  var flights: [UInt64: [Name]] = [:]

  func size(_ name: Name) -> Int {
    name.key.count + (hints[name]?.object.count ?? 0) + HintStore.overhead
  }

  func names(_ target: UInt64) -> [Name] { hints.keys.filter { $0.target == target } }
  func bytes(_ target: UInt64) -> Int { names(target).reduce(0) { $0 + size($1) } }
  var bytes: Int { hints.keys.reduce(0) { $0 + size($1) } }
  var targets: [UInt64] { Set(hints.keys.map(\.target)).sorted() }

  /// Those that wait, the oldest first.
  func waiting(_ target: UInt64) -> [Name] {
    names(target).filter { !(flights[target]?.contains($0) ?? false) }
      .sorted { (hints[$0]?.stamp ?? .zero) < (hints[$1]?.stamp ?? .zero) }
  }

  mutating func remove(_ name: Name) {
    hints[name] = nil
    flights[name.target]?.removeAll { $0 == name }
  }

  mutating func keep(_ name: Name, _ object: [UInt8], _ bounds: HintStore.Bounds) -> Int {
    let joined = hints[name].map { ObjectView.join($0.object, object) ?? [] } ?? object
    let stamp = joined.withUnsafeBytes { ObjectView.decode($0)?.version.stamp ?? .zero }
    hints[name] = Hint(object: joined, stamp: stamp)
    flights[name.target]?.removeAll { $0 == name }
    var dropped = 0
    while bytes(name.target) > bounds.perTarget { dropped += dropOldest(name.target) }
    while bytes > bounds.inAll {
      guard let fullest = targets.max(by: { bytes($0) < bytes($1) }) else { break }
      dropped += dropOldest(fullest)
    }
    return dropped
  }

  private mutating func dropOldest(_ target: UInt64) -> Int {
    guard let name = waiting(target).first ?? flights[target]?.first else { return 0 }
    remove(name)
    return 1
  }
}

@Suite("Hints")
struct HintStoreTests {
  private typealias Name = HintModel.Name

  /// The store, its model, and the steps that change both.
  private struct Pair: ~Copyable {
    var store = HintStore()
    var model = HintModel()
    var removed = 0
    var bounds = HintStore.Bounds(perTarget: 5000, inAll: 9000)

    mutating func keep(_ name: HintModel.Name, _ object: [UInt8]) {
      let before = model.hints.count
      let isNew = model.hints[name] == nil
      let dropped = name.key.withUnsafeBytes { key in
        object.withUnsafeBytes { raw in
          ObjectView.decode(raw).flatMap {
            store.keep(
              target: name.target, database: name.database, key: key, object: $0, within: bounds)
          }
        }
      }
      let size = name.key.count + object.count + HintStore.overhead
      guard size <= min(bounds.perTarget, bounds.inAll) else {
        #expect(dropped == nil)
        return
      }
      let expected = model.keep(name, object, bounds)
      #expect(dropped == expected)
      removed += before + (isNew ? 1 : 0) - model.hints.count
      #expect(store.bytes <= bounds.inAll)
    }

    mutating func takeBatch(_ target: UInt64, _ limit: Int) {
      var batch = ByteBuffer()
      let taken = store.takeBatch(for: target, limit: limit, into: &batch)
      let expected = model.waiting(target).prefix(taken)
      #expect(taken == expected.count)
      let bytes = written { buffer in
        for name in expected {
          buffer.append(UInt8(name.database))
          buffer.append(littleEndian: UInt32(name.key.count))
          buffer.append(name.key)
          buffer.append(littleEndian: UInt32(model.hints[name]?.object.count ?? 0))
          buffer.append(model.hints[name]?.object ?? [])
        }
      }
      #expect(batch.bytes == bytes)
      #expect(batch.count >= limit || taken == model.waiting(target).count)
      model.flights[target, default: []] += expected
    }

    mutating func taken(_ target: UInt64) {
      let gone = store.taken(by: target)
      let flight = model.flights[target] ?? []
      #expect(gone == flight.count)
      for name in flight { model.remove(name) }
      removed += flight.count
    }

    mutating func lost(_ target: UInt64) {
      store.lost(target)
      model.flights[target] = nil
    }

    mutating func expire(_ oldest: Stamp) {
      let dropped = store.expire(before: oldest)
      let old = model.targets.flatMap { model.waiting($0) }.filter {
        (model.hints[$0]?.stamp ?? .zero) < oldest
      }
      #expect(dropped == old.count)
      for name in old { model.remove(name) }
      removed += old.count
    }

    mutating func forget(_ target: UInt64) {
      let dropped = store.forget(target)
      let names = model.names(target)
      #expect(dropped == names.count)
      for name in names { model.remove(name) }
      removed += names.count
    }

    func check() {
      #expect(store.count == model.hints.count && store.bytes == model.bytes)
      #expect(store.targetIDs == model.targets)
      #expect(store.epoch == removed)
      let summaries = store.summaries()
      #expect(summaries.map(\.target) == model.targets)
      for summary in summaries {
        let names = model.names(summary.target)
        #expect(summary.count == names.count && summary.bytes == model.bytes(summary.target))
        #expect(summary.oldest == names.compactMap { model.hints[$0]?.stamp }.min())
        #expect(
          store.isInFlight(summary.target) || model.flights[summary.target, default: []].isEmpty)
      }
      if let oldest = model.hints.values.map(\.stamp).min() {
        #expect(store.oldest.map { $0 <= oldest } == true)
      } else {
        #expect(store.oldest == nil)
      }
    }
  }

  private static func object(_ stamp: UInt64, _ value: [UInt8], deadline: UInt64 = 0) -> [UInt8] {
    value.withUnsafeBytes { raw in
      ObjectView(
        version: Version(stamp: Stamp(rawValue: stamp), actor: Actor(rawValue: 1)),
        deadline: deadline, flags: value.isEmpty ? .tombstone : .none, value: raw
      ).encoded()
    }
  }

  @Test("The store agrees with a plain list after every step", arguments: Seeds.many)
  func model(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var pair = Pair()
    // No two stamps are equal, so that the order is one.
    var stamps = generator.shuffled((1...1000).map { UInt64($0) })
    while let stamp = stamps.popLast() {
      let target = UInt64(1 + generator.below(3))
      switch generator.below(12) {
      case 0: pair.takeBatch(target, generator.pick([1, 300, 2000]))
      case 1: pair.taken(target)
      case 2: pair.lost(target)
      case 3: if generator.oneIn(4) { pair.expire(Stamp(rawValue: UInt64(generator.below(300)))) }
      case 4: if generator.oneIn(8) { pair.forget(target) }
      default:
        let name = Name(
          target: target, database: generator.below(2), key: "key:\(generator.below(12))".bytes)
        let value = generator.bytes(generator.pick([0, 1, 50, 400, 1500]))
        pair.keep(name, HintStoreTests.object(stamp, value))
      }
      pair.check()
    }
    for target in 1...3 as ClosedRange<UInt64> { pair.forget(target) }
    pair.check()
    #expect(pair.store.count == 0 && pair.store.bytes == 0)
  }

  @Test("A target gets a key once, as the join of all that was written", arguments: Seeds.some)
  func joins(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var store = HintStore()
    var joined = SiblingSet()
    let key = "cart".bytes
    for set in generator.shuffled(SiblingHistory(seed: seed).states) where set != SiblingSet() {
      joined.merge(set)
      set.encoded().withUnsafeBytes { raw in
        let object = ObjectView(
          version: set.version, deadline: 0,
          flags: set.siblings.isEmpty ? .emptySiblings : .siblings, value: raw)
        for target in 1...2 as ClosedRange<UInt64> where target == 1 || generator.oneIn(2) {
          _ = key.withUnsafeBytes {
            store.keep(
              target: target, database: 3, key: $0, object: object,
              within: HintStore.Bounds(perTarget: .max, inAll: .max))
          }
        }
      }
      let held = key.withUnsafeBytes { store.object(database: 3, key: $0) }
      let value = held?.withUnsafeBytes { ObjectView.decode($0).flatMap { SiblingSet($0) } }
      #expect(value == joined)
    }
    let count = store.count
    #expect(count == 2)
  }

  @Test("A look at a key joins what is kept for all targets")
  func look() {
    var store = HintStore()
    let bounds = HintStore.Bounds(perTarget: .max, inAll: .max)
    func keep(_ target: UInt64, _ stamp: UInt64, _ value: String) {
      let object = HintStoreTests.object(stamp, value.bytes)
      object.withUnsafeBytes { raw in
        guard let view = ObjectView.decode(raw) else { return }
        _ = "k".bytes.withUnsafeBytes {
          store.keep(target: target, database: 1, key: $0, object: view, within: bounds)
        }
      }
    }
    func object(_ database: Int, _ key: String) -> [UInt8]? {
      key.bytes.withUnsafeBytes { store.object(database: database, key: $0) }
    }
    #expect(object(1, "k") == nil)
    keep(7, 5, "five")
    keep(8, 9, "nine")
    keep(9, 7, "seven")
    #expect(object(1, "k") == HintStoreTests.object(9, "nine".bytes))
    #expect(object(0, "k") == nil && object(1, "l") == nil)
    keep(7, 4, "four")
    _ = store.forget(8)
    #expect(object(1, "k") == HintStoreTests.object(7, "seven".bytes))
    #expect(store.count == 2)
  }

  @Test("With no memory nothing is kept")
  func noMemory() {
    var pair = Pair()
    pair.bounds = HintStore.Bounds(perTarget: 0, inAll: 0)
    for stamp in 1...20 as ClosedRange<UInt64> {
      pair.keep(
        Name(target: 1, database: 0, key: "k\(stamp)".bytes), HintStoreTests.object(stamp, [1]))
      pair.check()
    }
    #expect(pair.store.count == 0)
  }

  @Test("A key that is written over and over costs one hint")
  func hotKey() {
    var store = HintStore()
    for stamp in 1...100_000 as ClosedRange<UInt64> {
      HintStoreTests.object(stamp, [1, 2, 3]).withUnsafeBytes { raw in
        guard let object = ObjectView.decode(raw) else { return }
        _ = "counter".bytes.withUnsafeBytes {
          store.keep(
            target: 1, database: 0, key: $0, object: object,
            within: HintStore.Bounds(perTarget: 1000, inAll: 1000))
        }
      }
    }
    #expect(store.count == 1 && store.bytes < 1000)
    #expect(store.queued < 200)
    let oldest = store.oldest ?? .zero
    #expect(oldest.rawValue > 99_000)
  }
}
