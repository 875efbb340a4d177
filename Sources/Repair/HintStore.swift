import Objects
import Primitives

// # Hints
//
// Writes that this node keeps for owners that are away (Dynamo, SOSP 2007, section 4.6). A hint is
// one object of one key for one target; a later write of the same key joins it, so a target never
// gets more than one object a key, however often it was written.
//
//     kept ──batch──▶ in flight ──taken──▶ gone
//      ▲                 │
//      └──link lost, refused──┘
//
// A target's hints leave in the order of their versions: a heap of (stamp, place), in which entries
// that a later write has overtaken are skipped. All hints end in `merge`, so the order is a courtesy
// to readers of the target, and delivering twice harms nothing (riak_kv#847).
//
// Limits: bytes for each target and in all, above which the oldest hints of that target, or of the
// fullest one, are dropped and counted; anti-entropy finds what they held. And an age, which is below
// that of tombstones: a hint that outlived a deletion would bring the key back (keydb#83).
//
// A hint costs its bytes and `overhead`, measured at 1,000,000 hints of 64 bytes.

/// The hints of one node.
package struct HintStore: ~Copyable {
  /// Bytes that a hint takes beside its key and its object.
  package static let overhead = 160

  private struct Name: Hashable {
    var target: UInt64
    var database: UInt8
    var key: [UInt8]
  }

  private struct Hint {
    var name: Name
    var object: [UInt8]
    var stamp: Stamp
    /// Counts the changes of this place: a heap entry of another count is stale.
    var edition: UInt32
  }

  private struct HeapEntry {
    var stamp: Stamp
    var place: Int
    var edition: UInt32
  }

  /// The hints for one owner.
  private struct Target {
    var id: UInt64
    var heap: [HeapEntry] = []
    var count = 0
    var bytes = 0
    var inFlight: [(place: Int, edition: UInt32)] = []
  }

  /// Sorted by id.
  private var targets: [Target] = []
  private var places: [Name: Int] = [:]
  private var hints: [Hint?] = []
  private var vacant: [Int] = []
  private var editions: UInt32 = 0
  package private(set) var bytes = 0
  package private(set) var count = 0
  /// Counts removals: what a write of this node has seen here may be gone when it changes.
  package private(set) var epoch = 0

  package init() {}

  // MARK: Keeping

  /// What `keep` is bounded by, in bytes.
  package struct Bounds: Sendable {
    package var perTarget: Int
    package var inAll: Int
    package init(perTarget: Int, inAll: Int) {
      self.perTarget = perTarget
      self.inAll = inAll
    }
  }

  /// Keeps an object for `target`, joined with what is kept for the same key. Returns how many
  /// older hints had to go; nil when the object alone is above the bounds and is not kept.
  package mutating func keep(
    target: UInt64, database: Int, key: UnsafeRawBufferPointer, object: ObjectView,
    within bounds: Bounds
  ) -> Int? {
    let size = key.count + object.encodedSize + HintStore.overhead
    guard size <= bounds.perTarget, size <= bounds.inAll else { return nil }
    let name = Name(target: target, database: UInt8(truncatingIfNeeded: database), key: Array(key))
    let index = indexOfTarget(target)
    editions &+= 1
    if let place = places[name], var hint = hints[place] {
      let joined = hint.object.withUnsafeBytes { raw in
        ObjectView.decode(raw).flatMap { ObjectView.join($0, object) }
      }
      guard let joined else { return nil }
      targets[index].bytes += joined.bytes.count - hint.object.count
      bytes += joined.bytes.count - hint.object.count
      hint.object = joined.bytes
      hint.stamp = joined.stamp
      hint.edition = editions
      hints[place] = hint
      push(index, HeapEntry(stamp: hint.stamp, place: place, edition: editions))
    } else {
      var encoded = ByteBuffer()
      object.encode(to: &encoded)
      let hint = Hint(
        name: name, object: encoded.bytes, stamp: object.version.stamp, edition: editions)
      let place = vacant.popLast() ?? hints.count
      if place == hints.count { hints.append(hint) } else { hints[place] = hint }
      places[name] = place
      count += 1
      targets[index].count += 1
      let size = cost(hint)
      targets[index].bytes += size
      bytes += size
      push(index, HeapEntry(stamp: hint.stamp, place: place, edition: editions))
    }
    return makeRoom(index, bounds)
  }

  private func cost(_ hint: Hint) -> Int {
    hint.name.key.count + hint.object.count + HintStore.overhead
  }

  private mutating func indexOfTarget(_ id: UInt64) -> Int {
    let index = targets.firstIndex { $0.id >= id } ?? targets.count
    if index == targets.count || targets[index].id != id {
      targets.insert(Target(id: id), at: index)
    }
    return index
  }

  private mutating func makeRoom(_ index: Int, _ bounds: Bounds) -> Int {
    var dropped = 0
    while targets[index].bytes > bounds.perTarget, dropOldest(index) { dropped += 1 }
    while bytes > bounds.inAll {
      guard let fullest = targets.indices.max(by: { targets[$0].bytes < targets[$1].bytes }),
        dropOldest(fullest)
      else { break }
      dropped += 1
    }
    return dropped
  }

  private mutating func dropOldest(_ index: Int) -> Bool {
    guard let entry = pop(index) else {
      while let first = targets[index].inFlight.first {
        targets[index].inFlight.removeFirst()
        guard isCurrent(first.place, first.edition) else { continue }
        remove(first.place)
        return true
      }
      return false
    }
    remove(entry.place)
    return true
  }

  private mutating func remove(_ place: Int) {
    guard let hint = hints[place] else { return }
    let index = indexOfTarget(hint.name.target)
    let size = cost(hint)
    targets[index].bytes -= size
    targets[index].count -= 1
    bytes -= size
    count -= 1
    epoch += 1
    places[hint.name] = nil
    hints[place] = nil
    vacant.append(place)
  }

  private func isCurrent(_ place: Int, _ edition: UInt32) -> Bool {
    hints[place]?.edition == edition
  }

  // MARK: The heaps

  /// Entries in all heaps, those included that no longer stand for a hint. For tests.
  package var heapEntries: Int { targets.reduce(0) { $0 + $1.heap.count } }

  private mutating func push(_ index: Int, _ entry: HeapEntry) {
    if targets[index].heap.count > 2 * targets[index].count + 64 { compact(index) }
    sift(index, entry)
  }

  /// Drops the entries that later writes have overtaken: a key that is written over and over while
  /// its owner is away leaves one each time, and no bound counts them.
  private mutating func compact(_ index: Int) {
    let entries = targets[index].heap
    targets[index].heap = []
    for entry in entries where isCurrent(entry.place, entry.edition) { sift(index, entry) }
  }

  private mutating func sift(_ index: Int, _ entry: HeapEntry) {
    targets[index].heap.append(entry)
    var child = targets[index].heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard targets[index].heap[child].stamp < targets[index].heap[parent].stamp else { return }
      targets[index].heap.swapAt(child, parent)
      child = parent
    }
  }

  /// The entry with the lowest stamp that still stands for a hint.
  private mutating func pop(_ index: Int) -> HeapEntry? {
    while let entry = popAny(index) {
      if isCurrent(entry.place, entry.edition) { return entry }
    }
    return nil
  }

  private mutating func popAny(_ index: Int) -> HeapEntry? {
    guard let first = targets[index].heap.first else { return nil }
    let last = targets[index].heap.removeLast()
    let count = targets[index].heap.count
    guard count > 0 else { return first }
    targets[index].heap[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [parent * 2 + 1, parent * 2 + 2] where child < count {
        if targets[index].heap[child].stamp < targets[index].heap[least].stamp { least = child }
      }
      if least == parent { return first }
      targets[index].heap.swapAt(parent, least)
      parent = least
    }
  }

  // MARK: Delivering

  /// Puts the oldest hints for `target` into `batch`, up to about `limit` bytes:
  /// u8 database | u32 key length | key | u32 object length | object, each. They are in flight until
  /// `taken` or `lost`. Returns how many there are.
  package mutating func takeBatch(
    for target: UInt64, limit: Int, into batch: inout ByteBuffer
  ) -> Int {
    let index = indexOfTarget(target)
    var taken = 0
    while batch.count < limit, let entry = pop(index), let hint = hints[entry.place] {
      batch.append(hint.name.database)
      batch.append(littleEndian: UInt32(hint.name.key.count))
      batch.append(hint.name.key)
      batch.append(littleEndian: UInt32(hint.object.count))
      batch.append(hint.object)
      targets[index].inFlight.append((entry.place, entry.edition))
      taken += 1
    }
    return taken
  }

  /// The target holds the batch. What was written meanwhile stays. Returns how many are gone.
  package mutating func taken(by target: UInt64) -> Int {
    let index = indexOfTarget(target)
    let batch = targets[index].inFlight
    targets[index].inFlight = []
    var gone = 0
    for (place, edition) in batch where isCurrent(place, edition) {
      remove(place)
      gone += 1
    }
    return gone
  }

  /// The target may not hold the batch: it goes out again.
  package mutating func lost(_ target: UInt64) {
    let index = indexOfTarget(target)
    let batch = targets[index].inFlight
    targets[index].inFlight = []
    for (place, edition) in batch where isCurrent(place, edition) {
      guard let stamp = hints[place]?.stamp else { continue }
      push(index, HeapEntry(stamp: stamp, place: place, edition: edition))
    }
  }

  package func isInFlight(_ target: UInt64) -> Bool {
    targets.contains { $0.id == target && !$0.inFlight.isEmpty }
  }

  /// Drops a target's hints: it is no member any more. Returns how many.
  package mutating func forget(_ target: UInt64) -> Int {
    lost(target)
    let index = indexOfTarget(target)
    var dropped = 0
    while dropOldest(index) { dropped += 1 }
    targets.remove(at: indexOfTarget(target))
    return dropped
  }

  /// Drops the hints of a database that a flush has covered.
  package mutating func flush(database: Int, upTo barrier: Stamp) {
    guard count > 0 else { return }
    for place in hints.indices {
      guard let hint = hints[place], Int(hint.name.database) == database, hint.stamp <= barrier
      else { continue }
      remove(place)
    }
  }

  /// Drops hints whose version is older than `oldest`. Returns how many.
  package mutating func expire(before oldest: Stamp) -> Int {
    var dropped = 0
    for index in targets.indices {
      while let first = targets[index].heap.first, first.stamp < oldest {
        guard let entry = pop(index) else { break }
        if entry.stamp < oldest {
          remove(entry.place)
          dropped += 1
        } else {
          push(index, entry)
        }
      }
    }
    return dropped
  }

  // MARK: Looking

  /// What is kept of a key, for whichever targets, joined: an encoded object.
  package func object(database: Int, key: UnsafeRawBufferPointer) -> [UInt8]? {
    guard count > 0 else { return nil }
    var found: [UInt8]?
    for target in targets where target.count > 0 {
      let name = Name(
        target: target.id, database: UInt8(truncatingIfNeeded: database), key: Array(key))
      guard let place = places[name], let object = hints[place]?.object else { continue }
      found = found.flatMap { ObjectView.join($0, object) } ?? object
    }
    return found
  }

  /// Who hints are kept for.
  package struct Summary: Sendable {
    package var target: UInt64
    package var count: Int
    package var bytes: Int
    /// The stamp of the oldest one, in flight or not.
    package var oldest: Stamp?
  }

  /// One line a target that has hints.
  package func summaries() -> [Summary] {
    var summaries: [Summary] = []
    for target in targets where target.count > 0 {
      var oldest: Stamp?
      for entry in target.heap where isCurrent(entry.place, entry.edition) {
        oldest = min(oldest ?? entry.stamp, entry.stamp)
      }
      for (place, edition) in target.inFlight where isCurrent(place, edition) {
        if let stamp = hints[place]?.stamp { oldest = min(oldest ?? stamp, stamp) }
      }
      summaries.append(
        Summary(target: target.id, count: target.count, bytes: target.bytes, oldest: oldest))
    }
    return summaries
  }

  package var targetIDs: [UInt64] { targets.filter { $0.count > 0 }.map(\.id) }

  /// A stamp at or below that of every hint; nil when there is none. Cost: one look a target.
  package var oldest: Stamp? {
    guard count > 0 else { return nil }
    var least: Stamp?
    for target in targets where target.count > 0 {
      if let stamp = target.heap.first?.stamp { least = min(least ?? stamp, stamp) }
      for (place, _) in target.inFlight {
        if let stamp = hints[place]?.stamp { least = min(least ?? stamp, stamp) }
      }
    }
    return least
  }
}
