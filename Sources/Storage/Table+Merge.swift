import Objects
import Primitives

/// What merging an object into the table did.
public enum MergeOutcome: Equatable, Sendable {
  /// The table holds the incoming object, or the join of both.
  case changed
  /// The table held it already.
  case same
  /// The table holds a later version.
  case superseded(Version)
  /// The table can't name another actor.
  case refused
}

extension Table {
  /// The one thing that a replica does: joins what is stored under `key` with `incoming`.
  ///
  /// Commutative, associative and idempotent. `resolved` becomes true when a sibling set was cut to
  /// its highest version. Cost for LWW: one look-up and one copy of the value.
  @inline(__always)
  public mutating func merge(
    database: Int, slot: Int, hash: UInt64, key: UnsafeRawBufferPointer, incoming: ObjectView,
    tree: Int = 0, resolved: inout Bool
  ) -> MergeOutcome {
    if let stored = object(database: database, slot: slot, hash: hash, key: key) {
      if _slowPath(stored.isSiblings || incoming.isSiblings) {
        return mergeSiblings(database, slot, hash, key, stored, incoming, tree, &resolved)
      }
      if incoming.version <= stored.version {
        return incoming.version == stored.version ? .same : .superseded(stored.version)
      }
    }
    return store(
      database: database, slot: slot, hash: hash, key: key, object: incoming, tree: tree)
      ? .changed : .refused
  }

  /// Puts `object` under `key`, whatever was there. The object's bytes lie outside the table.
  @inline(__always)
  public mutating func store(
    database: Int, slot: Int, hash: UInt64, key: UnsafeRawBufferPointer, object: ObjectView,
    tree: Int = 0
  ) -> Bool {
    let flags = object.flags.without(.deadline)
    guard
      let place = write(
        database: database, slot: slot, hash: hash, key: key, version: object.version,
        deadline: object.deadline, flags: flags, valueLength: object.value.count, tree: tree)
    else { return false }
    if let base = object.value.baseAddress, UnsafeRawPointer(place) != base {
      place.copyMemory(from: base, byteCount: object.value.count)
    }
    if _slowPath(flags.contains(.siblings)) {
      countSiblings(database: database, slot: slot, hash: hash, key: key)
    }
    return true
  }

  @inline(never)
  private mutating func mergeSiblings(
    _ database: Int, _ slot: Int, _ hash: UInt64, _ key: UnsafeRawBufferPointer,
    _ stored: ObjectView, _ incoming: ObjectView, _ tree: Int, _ resolved: inout Bool
  ) -> MergeOutcome {
    // What is written is the joined set, never the bytes that came.
    endOffer()
    guard var set = SiblingSet(stored), let other = SiblingSet(incoming) else { return .refused }
    let before = set
    resolved = set.merge(other)
    if set == before, stored.isSiblings { return .same }
    if set.siblings.count > max(1, before.siblings.count) { conflicts += 1 }
    return store(siblings: set, database: database, slot: slot, hash: hash, key: key, tree: tree)
      ? .changed : .refused
  }

  /// Puts a sibling set under `key`. Copies the set's values.
  public mutating func store(
    siblings set: SiblingSet, database: Int, slot: Int, hash: UInt64,
    key: UnsafeRawBufferPointer, tree: Int = 0
  ) -> Bool {
    var set = set
    // A record's length has 30 bits. Of siblings that are larger together the highest stays.
    let size = set.siblings.reduce(0) { $0 + $1.value.count }
    if size > Limits.bulkBytes { set.resolve() }
    return set.encoded().withUnsafeBytes { bytes in
      store(
        database: database, slot: slot, hash: hash, key: key,
        object: ObjectView(
          version: set.version, deadline: 0,
          flags: set.siblings.isEmpty ? .emptySiblings : .siblings, value: bytes), tree: tree)
    }
  }
}
