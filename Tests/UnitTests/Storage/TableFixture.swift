import Objects
import Primitives
import Storage
import Testing

/// What a table should hold under one key.
struct ModelObject: Equatable {
  var version: Version
  var deadline: UInt64
  var flags: ObjectFlags
  var value: [UInt8]

  var isTombstone: Bool { flags.contains(.tombstone) }
}

/// A key and its place.
struct ModelKey: Hashable {
  var database: Int
  var bytes: [UInt8]
}

/// A table beside a dictionary: every change is made to both.
final class TableFixture {
  var table: Table
  private(set) var model: [ModelKey: ModelObject] = [:]
  let slots: Int
  let databases: Int
  /// The hash tree that a key's objects are to count in.
  var tree: ([UInt8]) -> Int = { _ in 0 }

  init(databases: Int = 2, slots: Int, seed: UInt64) {
    self.databases = databases
    self.slots = slots
    table = Table(databases: databases, slots: slots, seed: seed)
  }

  /// Any function of the key will do; this one is not the hash's.
  func slot(_ key: [UInt8]) -> Int { key.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xffff } % slots }

  func version(_ stamp: Int, actor: Int = 1) -> Version {
    Version(stamp: Stamp(rawValue: UInt64(stamp)), actor: Actor(rawValue: UInt64(actor)))
  }

  // MARK: Changes

  /// Writes `object`; with `keeping`, only the value's bytes behind that many are given.
  func write(_ key: ModelKey, _ object: ModelObject, keeping: Int = 0) {
    key.bytes.withUnsafeBytes { raw in
      let place = table.write(
        database: key.database, slot: slot(key.bytes), hash: table.hash(raw), key: raw,
        version: object.version, deadline: object.deadline, flags: object.flags,
        valueLength: object.value.count, keeping: keeping, tree: tree(key.bytes))
      guard let place else {
        Issue.record("the table refuses an actor")
        return
      }
      for index in min(keeping, object.value.count)..<object.value.count {
        place.storeBytes(of: object.value[index], toByteOffset: index, as: UInt8.self)
      }
    }
    model[key] = object
  }

  /// Merges `object` and checks what the table says it did. The model knows LWW only.
  func merge(_ key: ModelKey, _ object: ModelObject) {
    let outcome = mergeOnly(key, object)
    guard let old = model[key] else {
      #expect(outcome == .changed)
      model[key] = object
      return
    }
    if object.version > old.version {
      #expect(outcome == .changed)
      model[key] = object
    } else {
      #expect(outcome == (object.version == old.version ? .same : .superseded(old.version)))
    }
  }

  func mergeOnly(_ key: ModelKey, _ object: ModelObject) -> MergeOutcome {
    var resolved = false
    return key.bytes.withUnsafeBytes { raw in
      object.value.withUnsafeBytes { value in
        table.merge(
          database: key.database, slot: slot(key.bytes), hash: table.hash(raw), key: raw,
          incoming: ObjectView(
            version: object.version, deadline: object.deadline, flags: object.flags, value: value),
          tree: tree(key.bytes), resolved: &resolved)
      }
    }
  }

  func remove(_ key: ModelKey) {
    let isRemoved = removeOnly(key)
    #expect(isRemoved == (model.removeValue(forKey: key) != nil))
  }

  @discardableResult
  func removeOnly(_ key: ModelKey) -> Bool {
    key.bytes.withUnsafeBytes { raw in
      table.remove(
        database: key.database, slot: slot(key.bytes), hash: table.hash(raw), key: raw)
    }
  }

  func sweep(database: Int, slot: Int, _ isDoomed: (ModelObject) -> Bool) {
    table.sweep(database: database, slot: slot) { walked in
      isDoomed(TableFixture.copy(walked.object)) ? .remove : .keep
    }
    model = model.filter { key, object in
      key.database != database || self.slot(key.bytes) != slot || !isDoomed(object)
    }
  }

  func removeAll(database: Int) {
    table.removeAll(database: database)
    model = model.filter { $0.key.database != database }
  }

  /// Puts all objects into the trees that `tree` says now.
  func plant() {
    for database in 0..<databases {
      for slot in 0..<slots { table.plant(database: database, slot: slot) { tree(Array($0)) } }
    }
  }

  // MARK: Looks

  /// The digests of all slots, for all trees and for each one, from a walk over the objects.
  func walkedDigests() -> [UInt64] {
    digests { database, slot, trees in
      var digest: UInt64 = 0
      _ = table.walk(database: database, slot: slot, from: .start, count: .max) { walked in
        #expect(walked.element == Table.element(walked.object))
        #expect(walked.tree == tree(Array(walked.key)))
        if trees >> UInt8(walked.tree) & 1 == 1 { digest ^= Table.element(walked.object) }
      }
      return digest
    }
  }

  /// The digests that the table keeps.
  func digests() -> [UInt64] {
    digests { table.digest(database: $0, slot: $1, trees: $2) }
  }

  private func digests(_ digest: (Int, Int, UInt8) -> UInt64) -> [UInt64] {
    (0..<databases).flatMap { database in
      (0..<slots).flatMap { slot in
        [UInt8.max, 0, 0b110, 1, 2, 4, 8].map { digest(database, slot, $0) }
      }
    }
  }

  static func copy(_ view: ObjectView) -> ModelObject {
    ModelObject(
      version: view.version, deadline: view.deadline, flags: view.flags.without(.deadline),
      value: Array(view.value))
  }

  func object(_ key: ModelKey) -> ModelObject? {
    key.bytes.withUnsafeBytes { raw in
      table.object(
        database: key.database, slot: slot(key.bytes), hash: table.hash(raw), key: raw
      ).map { TableFixture.copy($0) }
    }
  }

  /// All of a slot, walked in steps of `count`.
  func walk(database: Int, slot: Int, count: Int) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    var position: ScanPosition? = .start
    while let from = position {
      position = table.walk(database: database, slot: slot, from: from, count: count) {
        keys.append(Array($0.key))
      }
    }
    return keys
  }

  // MARK: Comparing

  /// Compares every object, count and walk with the model.
  func check(_ comment: Comment? = nil, location: SourceLocation = #_sourceLocation) {
    table.checkInvariants()
    #expect(digests() == walkedDigests(), sourceLocation: location)
    for (key, object) in model where self.object(key) != object {
      Issue.record("\(key) is \(String(describing: self.object(key)))", sourceLocation: location)
    }
    for database in 0..<databases { check(database, location) }
  }

  private func check(_ database: Int, _ location: SourceLocation) {
    let objects = model.filter { $0.key.database == database }
    let living = objects.values.filter { !$0.isTombstone }
    let withDeadline = living.filter { $0.deadline != 0 }
    #expect(table.liveCount(database: database) == living.count, sourceLocation: location)
    #expect(
      table.tombstoneCount(database: database) == objects.count - living.count,
      sourceLocation: location)
    #expect(table.deadlineCount(database: database) == withDeadline.count, sourceLocation: location)
    let sum = withDeadline.reduce(UInt64(0)) { $0 + $1.deadline }
    let mean = withDeadline.isEmpty ? 0 : sum / UInt64(withDeadline.count)
    #expect(table.meanDeadline(database: database) == mean, sourceLocation: location)
    let bySlot = Dictionary(grouping: objects.keys) { slot($0.bytes) }
    for slot in 0..<slots {
      let keys = bySlot[slot] ?? []
      #expect(
        table.totalCount(database: database, slot: slot) == keys.count, sourceLocation: location)
      let walked = walk(database: database, slot: slot, count: 7)
      #expect(
        walked.count == keys.count && Set(walked) == Set(keys.map(\.bytes)),
        sourceLocation: location)
    }
  }
}
