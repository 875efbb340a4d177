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
// A target's hints leave in the order of their versions (HintQueue). A hint that is written over
// keeps its place in the line and goes to the end when it comes to the head: one entry a hint,
// however often it changes. All hints end in `merge`, so the order is a courtesy to readers of the target,
// and delivering twice harms nothing (riak_kv#847).
//
// A node may keep a million hints and serves clients meanwhile, so nothing here grows in one step:
// hints lie in pages, and the index by key is 1,024 small dictionaries of hashes.
//
// Limits: bytes for each target and in all, above which the oldest hints of that target, or of the
// fullest one, are dropped and counted; anti-entropy finds what they held. And an age, which is below
// that of tombstones: a hint that outlived a deletion would bring the key back (keydb#83).
//
// A hint costs its bytes and `overhead`, measured at 1,000,000 hints of 64 bytes.

/// The hints of one node.
public struct HintStore: ~Copyable {
  /// Bytes that a hint takes beside its key and its object.
  public static let overhead = 176
  private static let shards = 1024
  private static let pageHints = 4096
  private static let seed: UInt64 = 0x41d7

  private struct Hint {
    var target: UInt64
    /// Of target, database and key.
    var hash: UInt64
    /// The key, and behind it the encoded object.
    var bytes: [UInt8]
    var keyLength: Int
    var database: UInt8
    var stamp: Stamp
    /// Tells it from an earlier hint in this place.
    var birth: UInt32
    /// Counts its changes: what changes in flight goes out again.
    var edition: UInt32
    /// Gone out as it is, and so not in the line.
    var isInFlight = false

    var cost: Int { bytes.count + HintStore.overhead }
  }

  /// The hints for one owner.
  private struct Target: ~Copyable {
    let id: UInt64
    var queue = HintQueue()
    var count = 0
    var bytes = 0
    var inFlight: [(place: Int, birth: UInt32, edition: UInt32)] = []

    init(id: UInt64) { self.id = id }
  }

  /// By id.
  private var ids: [UInt64] = []
  private var targets: [UnsafeMutablePointer<Target>] = []
  private var places = [[UInt64: Int]](repeating: [:], count: shards)
  private var pages: [[Hint?]] = []
  private var end = 0
  private var vacant: [Int] = []
  private var births: UInt32 = 0
  public private(set) var bytes = 0
  public private(set) var count = 0
  /// Counts removals: what a write of this node has seen here may be gone when it changes.
  public private(set) var epoch = 0

  public init() {}

  deinit {
    for target in targets {
      target.deinitialize(count: 1)
      target.deallocate()
    }
  }

  // MARK: Keeping

  /// What `keep` is bounded by, in bytes.
  public struct Bounds: Sendable {
    public var perTarget: Int
    public var inAll: Int
    public init(perTarget: Int, inAll: Int) {
      self.perTarget = perTarget
      self.inAll = inAll
    }
  }

  /// Keeps an object for `target`, joined with what is kept for the same key. Returns how many
  /// older hints had to go; nil when it is not kept: it alone is above the bounds, or another key
  /// has its 64 bits of hash.
  public mutating func keep(
    target: UInt64, database: Int, key: UnsafeRawBufferPointer, object: ObjectView,
    within bounds: Bounds
  ) -> Int? {
    let size = key.count + object.encodedSize + HintStore.overhead
    guard size <= bounds.perTarget, size <= bounds.inAll else { return nil }
    let hash = hash(target, database, key)
    if let place = places[shard(hash)][hash] {
      guard isHint(at: place, target, database, key), join(place, key, object) else { return nil }
    } else {
      insert(target, database, key, object, hash)
    }
    return makeRoom(target, bounds)
  }

  private func hash(_ target: UInt64, _ database: Int, _ key: UnsafeRawBufferPointer) -> UInt64 {
    hashKey(
      key, seed: HintStore.seed ^ mix(mix(target) &+ UInt64(truncatingIfNeeded: database)))
  }

  private func shard(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> 54) }

  private func isHint(
    at place: Int, _ target: UInt64, _ database: Int, _ key: UnsafeRawBufferPointer
  ) -> Bool {
    guard let hint = hint(place) else { return false }
    return hint.target == target && Int(hint.database) == database
      && hint.keyLength == key.count && hint.bytes.prefix(key.count).elementsEqual(key)
  }

  private mutating func join(
    _ place: Int, _ key: UnsafeRawBufferPointer, _ object: ObjectView
  ) -> Bool {
    guard var hint = hint(place) else { return false }
    let joined = hint.bytes.withUnsafeBytes { raw in
      ObjectView.decode(raw.slice(hint.keyLength, raw.count - hint.keyLength))
        .flatMap { ObjectView.join($0, object) }
    }
    guard let joined else { return false }
    let target = target(hint.target)
    let growth = hint.keyLength + joined.bytes.count - hint.bytes.count
    target.pointee.bytes += growth
    bytes += growth
    hint.bytes = key + joined.bytes
    hint.stamp = joined.stamp
    hint.edition &+= 1
    if hint.isInFlight {
      hint.isInFlight = false
      enqueue(target, place, hint)
    }
    set(place, hint)
    settle(target)
    return true
  }

  private mutating func insert(
    _ id: UInt64, _ database: Int, _ key: UnsafeRawBufferPointer, _ object: ObjectView,
    _ hash: UInt64
  ) {
    var encoded = ByteBuffer()
    encoded.append(key)
    object.encode(to: &encoded)
    births &+= 1
    let hint = Hint(
      target: id, hash: hash, bytes: encoded.bytes, keyLength: key.count,
      database: UInt8(truncatingIfNeeded: database), stamp: object.version.stamp, birth: births,
      edition: 0)
    let place = vacant.popLast() ?? newPlace()
    set(place, hint)
    places[shard(hash)][hash] = place
    let target = target(id)
    count += 1
    bytes += hint.cost
    target.pointee.count += 1
    target.pointee.bytes += hint.cost
    target.pointee.queue.push(
      HintQueue.Entry(stamp: hint.stamp, place: place, birth: hint.birth))
  }

  private mutating func makeRoom(_ id: UInt64, _ bounds: Bounds) -> Int {
    let target = target(id)
    var dropped = 0
    while target.pointee.bytes > bounds.perTarget, dropOldest(target) { dropped += 1 }
    while bytes > bounds.inAll {
      guard let fullest = targets.max(by: { $0.pointee.bytes < $1.pointee.bytes }),
        dropOldest(fullest)
      else { break }
      dropped += 1
    }
    return dropped
  }

  private mutating func dropOldest(_ target: UnsafeMutablePointer<Target>) -> Bool {
    if let entry = next(target) {
      remove(entry.place)
      return true
    }
    while let first = target.pointee.inFlight.first {
      target.pointee.inFlight.removeFirst()
      guard let hint = hint(first.place), hint.birth == first.birth,
        hint.edition == first.edition
      else { continue }
      remove(first.place)
      return true
    }
    return false
  }

  private mutating func remove(_ place: Int) {
    guard let hint = hint(place) else { return }
    let target = target(hint.target)
    target.pointee.bytes -= hint.cost
    target.pointee.count -= 1
    bytes -= hint.cost
    count -= 1
    epoch += 1
    places[shard(hint.hash)][hint.hash] = nil
    set(place, nil)
    vacant.append(place)
    settle(target)
  }

  // MARK: Places

  @inline(__always)
  private func hint(_ place: Int) -> Hint? {
    pages[place / HintStore.pageHints][place % HintStore.pageHints]
  }

  private mutating func set(_ place: Int, _ hint: Hint?) {
    pages[place / HintStore.pageHints][place % HintStore.pageHints] = hint
  }

  private mutating func newPlace() -> Int {
    if end == pages.count * HintStore.pageHints {
      pages.append([Hint?](repeating: nil, count: HintStore.pageHints))
    }
    end += 1
    return end - 1
  }

  private mutating func target(_ id: UInt64) -> UnsafeMutablePointer<Target> {
    let index = ids.firstIndex { $0 >= id } ?? ids.count
    if index == ids.count || ids[index] != id {
      let target = UnsafeMutablePointer<Target>.allocate(capacity: 1)
      target.initialize(to: Target(id: id))
      ids.insert(id, at: index)
      targets.insert(target, at: index)
    }
    return targets[index]
  }

  /// Entries in all lines. For tests.
  public var queued: Int { targets.reduce(0) { $0 + $1.pointee.queue.count } }

  /// Brings to the head of a line an entry that stands for a hint as it is now. One that was written
  /// over since goes back with its present stamp.
  private func settle(_ target: UnsafeMutablePointer<Target>) {
    while let entry = target.pointee.queue.first {
      let hint = hint(entry.place)
      let isThere = hint?.birth == entry.birth
      if isThere, hint?.stamp == entry.stamp { return }
      _ = target.pointee.queue.pop()
      if isThere, let hint { enqueue(target, entry.place, hint) }
    }
  }

  /// Takes the oldest hint's entry out of its line.
  private func next(_ target: UnsafeMutablePointer<Target>) -> HintQueue.Entry? {
    defer { settle(target) }
    return target.pointee.queue.pop()
  }

  private func enqueue(_ target: UnsafeMutablePointer<Target>, _ place: Int, _ hint: Hint) {
    target.pointee.queue.push(
      HintQueue.Entry(stamp: hint.stamp, place: place, birth: hint.birth))
  }

  // MARK: Delivering

  /// Puts the oldest hints for `target` into `batch`, up to about `limit` bytes:
  /// u8 database | u32 key length | key | u32 object length | object, each. They are in flight until
  /// `taken` or `lost`. Returns how many there are.
  public mutating func takeBatch(
    for id: UInt64, limit: Int, into batch: inout ByteBuffer
  ) -> Int {
    let target = target(id)
    var taken = 0
    while batch.count < limit, let entry = next(target), var hint = hint(entry.place) {
      batch.append(hint.database)
      batch.append(littleEndian: UInt32(hint.keyLength))
      hint.bytes.withUnsafeBytes { raw in
        batch.append(raw.slice(0, hint.keyLength))
        batch.append(littleEndian: UInt32(raw.count - hint.keyLength))
        batch.append(raw.slice(hint.keyLength, raw.count - hint.keyLength))
      }
      hint.isInFlight = true
      set(entry.place, hint)
      target.pointee.inFlight.append((entry.place, hint.birth, hint.edition))
      taken += 1
    }
    return taken
  }

  /// The target holds the batch. What was written meanwhile stays. Returns how many are gone.
  public mutating func taken(by id: UInt64) -> Int {
    let batch = landed(id)
    for place in batch { remove(place) }
    return batch.count
  }

  /// The target may not hold the batch: it goes out again.
  public mutating func lost(_ id: UInt64) {
    let target = target(id)
    for place in landed(id) {
      guard var hint = hint(place) else { continue }
      hint.isInFlight = false
      set(place, hint)
      enqueue(target, place, hint)
    }
    settle(target)
  }

  /// The places of the hints that are in flight, as they went out; nothing is in flight any more.
  private mutating func landed(_ id: UInt64) -> [Int] {
    let target = target(id)
    let batch = target.pointee.inFlight
    target.pointee.inFlight = []
    return batch.filter { place, birth, edition in
      guard let hint = hint(place) else { return false }
      return hint.birth == birth && hint.edition == edition
    }.map(\.place)
  }

  public func isInFlight(_ id: UInt64) -> Bool {
    guard let index = ids.firstIndex(of: id) else { return false }
    return !targets[index].pointee.inFlight.isEmpty
  }

  /// Drops a target's hints: it is no member any more. Returns how many.
  public mutating func forget(_ id: UInt64) -> Int {
    let target = target(id)
    var dropped = 0
    while dropOldest(target) { dropped += 1 }
    let index = ids.firstIndex(of: id) ?? 0
    ids.remove(at: index)
    targets.remove(at: index)
    target.deinitialize(count: 1)
    target.deallocate()
    return dropped
  }

  /// Drops the hints of a database that a flush has covered.
  public mutating func flush(database: Int, upTo barrier: Stamp) {
    guard count > 0 else { return }
    for place in 0..<end {
      guard let hint = hint(place), Int(hint.database) == database, hint.stamp <= barrier else {
        continue
      }
      remove(place)
    }
  }

  /// Drops hints whose version is older than `oldest`. Returns how many.
  public mutating func expire(before oldest: Stamp) -> Int {
    var dropped = 0
    for target in targets {
      while let first = target.pointee.queue.first, first.stamp < oldest,
        let entry = next(target)
      {
        remove(entry.place)
        dropped += 1
      }
    }
    return dropped
  }

  // MARK: Looking

  /// What is kept of a key, for whichever targets, joined: an encoded object.
  public func object(database: Int, key: UnsafeRawBufferPointer) -> [UInt8]? {
    guard count > 0 else { return nil }
    var found: [UInt8]?
    for target in targets where target.pointee.count > 0 {
      let hash = hash(target.pointee.id, database, key)
      guard let place = places[shard(hash)][hash],
        isHint(at: place, target.pointee.id, database, key), let hint = hint(place)
      else { continue }
      let object = Array(hint.bytes.dropFirst(hint.keyLength))
      found = found.flatMap { ObjectView.join($0, object) } ?? object
    }
    return found
  }

  /// Who hints are kept for.
  public struct Summary: Sendable {
    public var target: UInt64
    public var count: Int
    public var bytes: Int
    /// The stamp of the oldest one, in flight or not.
    public var oldest: Stamp?
  }

  /// One line a target that has hints.
  public func summaries() -> [Summary] {
    var summaries: [Summary] = []
    for target in targets where target.pointee.count > 0 {
      summaries.append(
        Summary(
          target: target.pointee.id, count: target.pointee.count, bytes: target.pointee.bytes,
          oldest: oldest(target)))
    }
    return summaries
  }

  public var targetIDs: [UInt64] {
    targets.filter { $0.pointee.count > 0 }.map { $0.pointee.id }
  }

  /// Hints for one target.
  public func count(for id: UInt64) -> Int {
    ids.firstIndex(of: id).map { targets[$0].pointee.count } ?? 0
  }

  private func oldest(_ target: UnsafeMutablePointer<Target>) -> Stamp? {
    var least = target.pointee.queue.first?.stamp
    for (place, birth, edition) in target.pointee.inFlight {
      guard let hint = hint(place), hint.birth == birth, hint.edition == edition else { continue }
      least = min(least ?? hint.stamp, hint.stamp)
    }
    return least
  }

  /// The stamp of the oldest hint; nil when there is none. Cost: one look a target.
  public var oldest: Stamp? {
    guard count > 0 else { return nil }
    var least: Stamp?
    for target in targets where target.pointee.count > 0 {
      if let stamp = oldest(target) { least = min(least ?? stamp, stamp) }
    }
    return least
  }
}
