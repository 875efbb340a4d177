import Objects
import Primitives

/// Which objects go first when memory is short.
public enum EvictionOrder: Sendable {
  /// Those that were used longest ago, as the access clock dates them.
  case recency
  /// Those that are used least, as it counts.
  case frequency
  /// Those that expire soonest.
  case deadline
  /// Any.
  case random
}

/// Objects that should go, of those that samples have shown: the best of many samples is near the best
/// of all (Redis 3.0 keeps such a pool for the same reason). Sorted, the best last.
public struct EvictionPool: Sendable {
  struct Candidate: Sendable {
    var database: Int
    var slot: Int
    var hash: UInt64
    var key: [UInt8]
    /// The higher, the earlier it goes.
    var rank: UInt64
  }

  static let places = 16
  private var candidates: [Candidate] = []

  public init() { candidates.reserveCapacity(EvictionPool.places + 1) }

  public mutating func removeAll() { candidates.removeAll(keepingCapacity: true) }

  func wants(_ rank: UInt64) -> Bool {
    candidates.count < EvictionPool.places || rank > (candidates.first?.rank ?? 0)
  }

  mutating func insert(_ candidate: Candidate) {
    guard
      !candidates.contains(where: {
        $0.hash == candidate.hash && $0.slot == candidate.slot
          && $0.database == candidate.database && $0.key == candidate.key
      })
    else { return }
    let place = candidates.firstIndex { $0.rank >= candidate.rank } ?? candidates.count
    candidates.insert(candidate, at: place)
    if candidates.count > EvictionPool.places { candidates.removeFirst() }
  }

  mutating func takeBest() -> Candidate? { candidates.popLast() }
}

extension Table {
  /// Entries that one look for a sample passes over at most.
  private static let sampleReach = 512

  /// Removes one object by the order given, without a tombstone: it was evicted, not deleted. False
  /// when none was found; with few deadlines among many keys the next call looks further on.
  ///
  /// Cost: `samples` times three cache misses.
  public mutating func evict(
    _ order: EvictionOrder, onlyWithDeadline: Bool, samples: Int, now: UInt64,
    pool: inout EvictionPool, _ random: inout SeededGenerator,
    isPinned: (_ hash: UInt64) -> Bool = { _ in false }
  ) -> Bool {
    for database in 0..<databases {
      let among =
        onlyWithDeadline ? deadlineCount(database: database) : liveCount(database: database)
      for _ in 0..<(among == 0 ? 0 : order == .random ? 1 : min(samples, among)) {
        guard let (slot, record) = pick(database, onlyWithDeadline, &random) else { continue }
        let rank = order == .random ? random.next() : rank(record, order, now)
        guard pool.wants(rank) else { continue }
        let hash = hash(record.key)
        if isPinned(hash) { continue }
        pool.insert(
          EvictionPool.Candidate(
            database: database, slot: slot, hash: hash, key: Array(record.key), rank: rank))
      }
    }
    while let best = pool.takeBest() {
      if isPinned(best.hash) { continue }
      let isGone = best.key.withUnsafeBytes { key in
        guard
          let object = object(
            database: best.database, slot: best.slot, hash: best.hash, key: key),
          !object.isTombstone, !onlyWithDeadline || object.deadline != 0
        else { return false }
        return remove(database: best.database, slot: best.slot, hash: best.hash, key: key)
      }
      if isGone { return true }
    }
    return false
  }

  private func rank(_ record: Record, _ order: EvictionOrder, _ now: UInt64) -> UInt64 {
    let deadline = record.deadline
    if deadline != 0, deadline <= now { return .max }
    switch order {
    case .recency: return accessClock.idle(record.access)
    case .frequency: return 255 - UInt64(accessClock.counter(record.access))
    case .deadline: return .max - 1 - deadline
    case .random: return 0
    }
  }

  /// Some object that is no tombstone.
  private mutating func pick(
    _ database: Int, _ onlyWithDeadline: Bool, _ random: inout SeededGenerator
  ) -> (slot: Int, record: Record)? {
    guard let table = homes[database] else { return nil }
    var slot = onlyWithDeadline && sampleSlot >= 0 ? sampleSlot : random.below(slots)
    sampleSlot = -1
    var looked = 0
    for _ in 0..<slots {
      if table[slot].live > 0 {
        let bits = random.next()
        let segment = segment(table[slot], bits)
        let used = segment?.used ?? 0
        let start = used == 0 ? 0 : Int(truncatingIfNeeded: (bits & 0xffff_ffff) % UInt64(used))
        for step in 0..<used {
          let entry = Entry(segment.unsafelyUnwrapped.entries[(start + step) % used])
          looked += 1
          if entry.isTombstone || (onlyWithDeadline && !entry.hasDeadline) { continue }
          // Sets of siblings are marked, too.
          if onlyWithDeadline, !entry.record.hasDeadline { continue }
          return (slot, entry.record)
        }
      }
      slot = (slot + 1) % slots
      if looked >= Table.sampleReach {
        if onlyWithDeadline { sampleSlot = slot }
        return nil
      }
    }
    return nil
  }

  // MARK: Moving together

  /// Moves records of one slot that lie in sparse chunks, so that those get free: from the segment
  /// that holds this place on, until `limit` records were looked at. No view of an object holds across this
  /// call.
  public mutating func compact(
    database: Int, slot: Int, from first: Int, limit: Int
  ) -> (looked: Int, moved: Int, next: Int?) {
    guard let table = homes[database], table[slot].total > 0 else { return (0, 0, nil) }
    let arena = arena
    var looked = 0
    var moved = 0
    let next = Table.forEachSegment(table[slot], from: first) { segment, _ in
      looked += segment.used
      for index in 0..<segment.used {
        let entry = Entry(segment.entries[index])
        let record = entry.record
        if record.isBlock { continue }
        let size = record.size
        let cell = RecordArena.cellSize(for: size)
        guard arena.pointee.isSparse(record.base, cell: cell) else { continue }
        let fresh = arena.pointee.allocateCell(cell)
        fresh.copyMemory(from: record.base, byteCount: size)
        segment.entries[index] =
          Entry(fingerprint: entry.bits >> 48, record: fresh, flags: entry.bits & 7).bits
        arena.pointee.freeCell(record.base, cell: cell)
        moved += 1
      }
      return looked < limit
    }
    return (looked, moved, next)
  }
}
