import CMemory
import Objects
import Primitives

// # The table
//
// All objects of one node. What it is asked for most is one key at a time, what it must never do is
// stop the node for a rehash, and what the cluster asks for is slots: count them, walk them, move
// them, drop them. So it is a table of slots:
//
//     database → 16384 slot entries (16 bytes each)
//                  → one segment                                up to 128 keys in the slot
//                  → a directory of 2^d segments by hash bits   above (extendible hashing:
//                        → segment                               Fagin et al., TODS 1979)
//                              → entry: fingerprint, address → record: version, key, value
//
// A look-up costs one load of the slot entry (256 KiB a database, so in cache), one or two lines of
// the segment and the record itself. A million keys over 16384 slots are 61 a slot: one segment
// each. Nothing is ever rehashed: a segment grows by an eighth (a copy of at most 1 KiB) and splits
// at 128 entries, so the longest step of an insertion is 128 records' keys hashed again, about 10 µs.
//
// Beside key and value an object costs 20 bytes of head (28 with a TTL), up to 7 of rounding, about
// 9 of entry: measured in the README's table.
//
// Rejected: one open-addressing table for all keys (18 bytes a key right after doubling, a rehash to
// spread over many steps, and no slot without a scan); a hash table a slot with probing (the slack
// costs twice the bytes; sorted entries make SCAN's cursor trivial).

/// A key's place in the table as far as its bytes say, and where the search for it begins.
public struct LocatedKey {
  public var isValid = false
  public var slot = 0
  public var hash: UInt64 = 0
  fileprivate var root: UInt = 0

  public init() {}

  public init(isValid: Bool, slot: Int, hash: UInt64) {
    self.isValid = isValid
    self.slot = slot
    self.hash = hash
  }
}

/// The objects of one node, by database, slot and key.
public struct Table: ~Copyable {
  /// A slot of one database.
  struct Home {
    /// 0, the address of a segment, or that of a directory with the lowest bit set.
    var root: UInt = 0
    /// Keys that are no tombstones.
    var live: UInt32 = 0
    /// Keys and tombstones.
    var total: UInt32 = 0
  }

  public let databases: Int
  public let slots: Int
  let homes: UnsafeMutablePointer<UnsafeMutablePointer<Home>?>
  /// On the heap, because `deinit` still has to free records through it.
  let arena: UnsafeMutablePointer<RecordArena>
  /// The values that lie outside of records, and the graveyard of what is large.
  public let blobs = BlobStore.make()
  /// Keeps big values where they came in.
  public var lender: Lender
  /// A big value that is about to be written and may be kept in place: see Table+BigValues.
  var offered: UnsafeRawBufferPointer?
  /// The next write changes bytes that it keeps: nobody else may be reading them.
  public var mustOwnNext = false
  var actors = ActorTable()
  var trees: HashTrees
  private let seed: UInt64

  /// Counts by database.
  let counts: UnsafeMutablePointer<Counts>
  /// Bytes of segments and directories.
  var indexBytes = 0
  /// Databases that were flushed and whose memory is not given back yet, oldest first.
  var flushed: [FlushedDatabase] = []
  /// Objects in them, and those that are gone.
  public internal(set) var flushedCount = 0
  public internal(set) var freedCount = 0
  /// Objects that are sibling sets: as long as there are none, a write need not look for them.
  public internal(set) var siblingSets = 0
  /// Marks records that are used.
  public var accessClock = AccessClock()
  /// Where the next look for an object with a deadline goes on; -1 anywhere.
  var sampleSlot = -1
  /// Merges after which a key had more concurrent values than before.
  public internal(set) var conflicts = 0

  struct Counts {
    var live = 0
    var tombstones = 0
    var deadlines = 0
    var deadlineSum: UInt64 = 0
    /// No object has a later stamp.
    var latest = Stamp.zero
  }

  public init(databases: Int, slots: Int, seed: UInt64) {
    self.databases = databases
    self.slots = slots
    self.seed = seed
    trees = HashTrees(databases: databases, slots: slots)
    lender = Lender(blobs)
    arena = .allocate(capacity: 1)
    arena.initialize(to: RecordArena())
    homes = .allocate(capacity: databases)
    homes.initialize(repeating: nil, count: databases)
    counts = .allocate(capacity: databases)
    counts.initialize(repeating: Counts(), count: databases)
  }

  deinit {
    for database in 0..<databases {
      guard let table = homes[database] else { continue }
      for slot in 0..<slots { Table.freeAll(&table[slot], arena) }
      table.deallocate()
    }
    for old in flushed { old.freeAll(slots, arena) }
    homes.deallocate()
    counts.deallocate()
    arena.deinitialize(count: 1)
    arena.deallocate()
    BlobStore.close(blobs)
  }

  // MARK: Counts

  public func liveCount(database: Int) -> Int { counts[database].live }
  public func tombstoneCount(database: Int) -> Int { counts[database].tombstones }
  /// Objects with the tombstones.
  public func totalCount(database: Int) -> Int {
    counts[database].live + counts[database].tombstones
  }
  /// Objects with a deadline that are no tombstones.
  public func deadlineCount(database: Int) -> Int { counts[database].deadlines }
  /// The mean of those objects' deadlines; 0 when there are none.
  public func meanDeadline(database: Int) -> UInt64 {
    let count = UInt64(counts[database].deadlines)
    return count == 0 ? 0 : counts[database].deadlineSum / count
  }
  /// Bytes held for objects and their index.
  public var bytes: Int {
    arena.pointee.bytes + indexBytes + trees.bytes + blobs.pointee.liveBytes
      + blobs.pointee.buriedBytes
  }
  /// Bytes of objects, their index and the hash trees, without memory that waits to be used again.
  @inline(__always)
  public var usedBytes: Int {
    arena.pointee.usedBytes &+ indexBytes &+ trees.bytes &+ blobs.pointee.liveBytes
  }
  /// Bytes of records with the rounding of their cells, and of big values.
  public var recordBytes: Int { arena.pointee.usedBytes + blobs.pointee.liveBytes }
  /// Bytes of segments and directories.
  public var tableBytes: Int { indexBytes }
  /// Bytes that no record needs and that are not given back: free cells of chunks.
  public var slackBytes: Int { arena.pointee.residentBytes - arena.pointee.usedBytes }
  /// Bytes of the hash trees.
  public var treeBytes: Int { trees.bytes }

  @inline(__always)
  public func liveCount(database: Int, slot: Int) -> Int {
    guard let table = homes[database] else { return 0 }
    return Int(table[slot].live)
  }

  /// Objects of a slot with its tombstones.
  public func totalCount(database: Int, slot: Int) -> Int {
    guard let table = homes[database] else { return 0 }
    return Int(table[slot].total)
  }

  @inline(__always)
  public func hash(_ key: UnsafeRawBufferPointer) -> UInt64 { hashKey(key, seed: seed) }

  // MARK: Finding

  /// Where a key is, or where it would be.
  private struct Place {
    var segment: Segment
    var index: Int
    var record: Record
  }

  @inline(__always)
  func segment(_ home: Home, _ hash: UInt64) -> Segment? {
    guard home.root != 0 else { return nil }
    if _fastPath(home.root & 1 == 0) {
      return Segment(UnsafeMutableRawPointer(bitPattern: home.root).unsafelyUnwrapped)
    }
    let directory = Directory(home.root)
    return directory[directory.place(hash)]
  }

  @inline(__always)
  private func find(_ home: Home, _ hash: UInt64, _ key: UnsafeRawBufferPointer) -> Place? {
    guard let segment = segment(home, hash) else { return nil }
    let fingerprint = hash >> 32 & 0xffff
    let entries = segment.entries
    let used = segment.used
    var at = segment.lowerBound(fingerprint)
    while at < used, entries[at] >> 48 == fingerprint {
      let record = Entry(entries[at]).record
      if _fastPath(record.key.equals(key)) {
        return Place(segment: segment, index: at, record: record)
      }
      at &+= 1
    }
    return nil
  }

  /// The object under `key`, dead or alive; nil when there is none. The view holds until the next
  /// mutation.
  @inline(__always)
  public func object(
    database: Int, slot: Int, hash: UInt64, key: UnsafeRawBufferPointer
  ) -> ObjectView? {
    guard let table = homes[database], let place = find(table[slot], hash, key) else { return nil }
    return view(place.record)
  }

  /// As `object`, and marks the object as used.
  @inline(__always)
  public mutating func read(
    database: Int, slot: Int, hash: UInt64, key: UnsafeRawBufferPointer
  ) -> ObjectView? {
    guard let table = homes[database], let place = find(table[slot], hash, key) else { return nil }
    place.record.access = accessClock.used(place.record.access)
    return view(place.record)
  }

  /// What an object is marked with, for `accessClock`, and the bytes that it takes.
  public func usage(
    database: Int, slot: Int, hash: UInt64, key: UnsafeRawBufferPointer
  ) -> (access: UInt32, bytes: Int)? {
    guard let table = homes[database], let place = find(table[slot], hash, key) else { return nil }
    let record = place.record
    let memory =
      record.isBlock
      ? RecordArena.blockCapacity(record.base) + 16 : RecordArena.cellSize(for: record.size)
    return (record.access, memory + 9 + (record.isBig ? record.valueLength : 0))
  }

  @inline(__always)
  func view(_ record: Record) -> ObjectView {
    ObjectView(
      version: Version(stamp: record.stamp, actor: actors.actor(record.actorIndex)),
      deadline: record.deadline, flags: record.flags, value: record.value,
      blob: record.isBig ? record.blob : nil)
  }

  /// Begins to fetch the entry of a slot.
  @inline(__always)
  public func prefetch(database: Int, slot: Int) {
    if let table = homes[database] { coterie_prefetch(table + slot) }
  }

  /// Fetches into the cache what finding these keys will touch. Each pass asks for one level for all
  /// keys, so that their misses overlap: three in a row for one key cost as much as for sixteen.
  /// Prefetches and not loads, which would fill the core's window of instructions until they end.
  public func prefetch(
    database: Int, _ keys: UnsafeMutablePointer<LocatedKey>, _ count: Int
  ) {
    guard let table = homes[database] else { return }
    for place in 0..<count where keys[place].isValid {
      let home = table[keys[place].slot]
      guard home.root & 1 == 0, let base = UnsafeMutableRawPointer(bitPattern: home.root) else {
        keys[place].root = 0
        continue
      }
      keys[place].root = home.root
      // A lone segment holds all of the slot, so the entry's place is known without its header.
      let fingerprint = keys[place].hash >> 32 & 0xffff
      let guess = Int(truncatingIfNeeded: (fingerprint &* UInt64(home.total)) >> 16)
      coterie_prefetch(base)
      coterie_prefetch(Segment(base).entries + guess)
    }
    for place in 0..<count where keys[place].isValid && keys[place].root != 0 {
      let segment = Segment(UnsafeMutableRawPointer(bitPattern: keys[place].root).unsafelyUnwrapped)
      let at = segment.lowerBound(keys[place].hash >> 32 & 0xffff)
      guard at < segment.used else { continue }
      // Head and key lie on the first line, a small value on the next.
      let record = Entry(segment.entries[at]).record
      coterie_prefetch(record.base)
      coterie_prefetch(record.base + 64)
    }
  }

  // MARK: Writing

  /// Makes `key`'s object one of this version, with room for `valueLength` bytes of value, of which
  /// the first `keeping` are those of the object that was there. Returns where the value goes; nil
  /// when the table can't name another actor.
  ///
  /// Overwriting with a value that fits the same cell allocates nothing.
  @inline(__always)
  public mutating func write(
    database: Int, slot: Int, hash: UInt64, key: UnsafeRawBufferPointer, version: Version,
    deadline: UInt64, flags: ObjectFlags, valueLength: Int, keeping: Int = 0, tree: Int = 0
  ) -> UnsafeMutableRawPointer? {
    guard valueLength <= Limits.recordValueBytes, let actor = actors.retain(version.actor) else {
      return nil
    }
    let table = homes[database] ?? makeDatabase(database)
    if version.stamp > counts[database].latest { counts[database].latest = version.stamp }
    if _fastPath(!flags.contains(.siblings)) {
      trees.toggle(tree, database, slot, element(version.stamp, actor))
    }
    guard let place = find(table[slot], hash, key) else {
      return insert(
        &table[slot], database, hash, key, version.stamp, actor, deadline, flags, valueLength,
        tree)
    }
    let old = place.record
    trees.toggle(old.tree, database, slot, element(old))
    actors.release(old.actorIndex)
    let oldFlags = old.flags
    if oldFlags.rawValue | flags.rawValue != 0 || deadline != 0 {
      recount(database, &table[slot], old, flags, deadline)
    }
    // The same length and no deadline on either side is what most overwrites are.
    if old.valueLength == valueLength, deadline == 0, oldFlags.rawValue == flags.rawValue,
      valueLength < Limits.bigValueBytes
    {
      old.writeHead(
        stamp: version.stamp, actorIndex: actor, flags: flags, deadline: 0,
        keyLength: key.count, valueLength: valueLength, isBlock: old.isBlock, tree: tree)
      old.access = accessClock.used(old.access)
      return old.valueStart
    }
    return reshape(place, key, version.stamp, actor, deadline, flags, valueLength, keeping, tree)
  }

  /// Adjusts the counts for an object that changes its kind or deadline.
  private mutating func recount(
    _ database: Int, _ home: inout Home, _ old: Record, _ flags: ObjectFlags, _ deadline: UInt64
  ) {
    forget(database, &home, old)
    count(database, &home, flags, deadline)
  }

  private mutating func forget(_ database: Int, _ home: inout Home, _ record: Record) {
    home.total &-= 1
    if record.flags.contains(.siblings) { siblingSets &-= 1 }
    if record.flags.contains(.tombstone) {
      counts[database].tombstones &-= 1
      return
    }
    home.live &-= 1
    counts[database].live &-= 1
    if record.deadline != 0 {
      counts[database].deadlines &-= 1
      counts[database].deadlineSum &-= record.deadline
    }
  }

  @inline(__always)
  private mutating func count(
    _ database: Int, _ home: inout Home, _ flags: ObjectFlags, _ deadline: UInt64
  ) {
    home.total &+= 1
    if _slowPath(flags.contains(.siblings)) { siblingSets &+= 1 }
    if flags.contains(.tombstone) {
      counts[database].tombstones &+= 1
      return
    }
    home.live &+= 1
    counts[database].live &+= 1
    if deadline != 0 {
      counts[database].deadlines &+= 1
      counts[database].deadlineSum &+= deadline
    }
  }

  /// Rewrites an existing record whose length or layout changes.
  @inline(never)
  private mutating func reshape(
    _ place: Place, _ key: UnsafeRawBufferPointer, _ stamp: Stamp, _ actor: Int,
    _ deadline: UInt64, _ flags: ObjectFlags, _ valueLength: Int, _ keeping: Int, _ tree: Int
  ) -> UnsafeMutableRawPointer {
    let old = place.record
    if old.isBig || valueLength >= Limits.bigValueBytes {
      return reshapeBig(
        place, key, stamp, actor, deadline, flags, valueLength, keeping, tree)
    }
    let keep = min(keeping, old.valueLength, valueLength)
    let access = accessClock.used(old.access)
    let size = Record.size(
      keyLength: key.count, valueLength: valueLength, hasDeadline: deadline != 0)
    if let capacity = reusable(old, size) {
      // `key` may lie in this very record, so it moves before the head is written over it.
      let shift =
        (deadline != 0 ? 8 : 0) - (old.flags.contains(.deadline) ? 8 : 0)
      let body = old.base + (old.size - old.keyLength - old.valueLength)
      if shift != 0 {
        (body + shift).copyMemory(from: body, byteCount: key.count + keep)
      }
      invariant(size <= capacity, "a record of \(size) bytes in a cell of \(capacity)")
      old.writeHead(
        stamp: stamp, actorIndex: actor, flags: flags, deadline: deadline,
        keyLength: key.count, valueLength: valueLength, isBlock: old.isBlock, tree: tree)
      old.access = access
      setEntry(place, old.base, flags, deadline)
      return old.valueStart
    }
    let fresh = make(size, growing: keep > 0)
    let record = Record(fresh.base)
    record.writeHead(
      stamp: stamp, actorIndex: actor, flags: flags, deadline: deadline,
      keyLength: key.count, valueLength: valueLength, isBlock: fresh.isBlock, tree: tree)
    record.access = access
    (record.valueStart - key.count).copyMemory(
      from: key.baseAddress ?? UnsafeRawPointer(record.base), byteCount: key.count)
    if keep > 0 { record.valueStart.copyMemory(from: old.valueStart, byteCount: keep) }
    setEntry(place, record.base, flags, deadline)
    free(old)
    return record.valueStart
  }

  /// As `reshape`, where the value is big or was.
  private mutating func reshapeBig(
    _ place: Place, _ key: UnsafeRawBufferPointer, _ stamp: Stamp, _ actor: Int,
    _ deadline: UInt64, _ flags: ObjectFlags, _ valueLength: Int, _ keeping: Int, _ tree: Int
  ) -> UnsafeMutableRawPointer {
    let old = place.record
    let keep = min(keeping, old.valueLength, valueLength)
    let fresh = make(
      Record.size(keyLength: key.count, valueLength: valueLength, hasDeadline: deadline != 0),
      growing: false)
    let record = Record(fresh.base)
    record.writeHead(
      stamp: stamp, actorIndex: actor, flags: flags, deadline: deadline,
      keyLength: key.count, valueLength: valueLength, isBlock: fresh.isBlock, tree: tree)
    record.access = accessClock.used(old.access)
    (record.valueBase - key.count).copyMemory(
      from: key.baseAddress ?? UnsafeRawPointer(record.base), byteCount: key.count)
    if record.isBig {
      record.blob = blob(of: valueLength, keeping: keep, of: old)
    } else if keep > 0 {
      record.valueStart.copyMemory(from: old.valueStart, byteCount: keep)
    }
    setEntry(place, record.base, flags, deadline)
    free(old)
    return record.valueStart
  }

  /// The capacity of `old` when a record of `size` bytes should stay in it.
  private func reusable(_ old: Record, _ size: Int) -> Int? {
    if old.isBlock {
      let capacity = RecordArena.blockCapacity(old.base)
      return size <= capacity && size > RecordArena.largestCell && size >= capacity / 4
        ? capacity : nil
    }
    guard size <= RecordArena.largestCell else { return nil }
    let cell = RecordArena.cellSize(for: old.size)
    return RecordArena.cellSize(for: size) == cell ? cell : nil
  }

  /// Memory for a record. One that grows by appending gets a quarter to spare.
  @inline(__always)
  mutating func make(
    _ size: Int, growing: Bool
  ) -> (base: UnsafeMutableRawPointer, isBlock: Bool) {
    if _fastPath(size <= RecordArena.largestCell) {
      return (arena.pointee.allocateCell(RecordArena.cellSize(for: size)), false)
    }
    return (arena.pointee.allocateBlock(growing ? size + size / 4 : size), true)
  }

  @inline(__always)
  mutating func free(_ record: Record) {
    if _slowPath(record.isBig) { record.blob.release() }
    if _slowPath(record.isBlock) {
      arena.pointee.freeBlock(record.base)
    } else {
      arena.pointee.freeCell(record.base, cell: RecordArena.cellSize(for: record.size))
    }
  }

  private func setEntry(
    _ place: Place, _ record: UnsafeMutableRawPointer, _ flags: ObjectFlags, _ deadline: UInt64
  ) {
    let fingerprint = place.segment.entries[place.index] >> 48
    place.segment.entries[place.index] =
      Entry(fingerprint: fingerprint, record: record, flags: Table.mark(flags, deadline)).bits
  }

  /// What an entry says of its record, so that walks need not touch it.
  private static func mark(_ flags: ObjectFlags, _ deadline: UInt64) -> UInt64 {
    (flags.contains(.tombstone) ? Entry.tombstoneFlag : 0)
      | (deadline != 0 || flags.contains(.siblings) ? Entry.deadlineFlag : 0)
  }

  private mutating func insert(
    _ home: inout Home, _ database: Int, _ hash: UInt64, _ key: UnsafeRawBufferPointer,
    _ stamp: Stamp, _ actor: Int, _ deadline: UInt64, _ flags: ObjectFlags, _ valueLength: Int,
    _ tree: Int
  ) -> UnsafeMutableRawPointer {
    let size = Record.size(
      keyLength: key.count, valueLength: valueLength, hasDeadline: deadline != 0)
    let memory = make(size, growing: false)
    let record = Record(memory.base)
    record.writeHead(
      stamp: stamp, actorIndex: actor, flags: flags, deadline: deadline,
      keyLength: key.count, valueLength: valueLength, isBlock: memory.isBlock, tree: tree)
    record.access = accessClock.fresh
    if let base = key.baseAddress, key.count > 0 {
      (record.valueBase - key.count).copyMemory(from: base, byteCount: key.count)
    }
    if _slowPath(record.isBig) { record.blob = blob(of: valueLength, keeping: 0, of: nil) }
    let segment = roomySegment(&home, hash)
    let fingerprint = hash >> 32 & 0xffff
    let at = segment.lowerBound(fingerprint)
    let entries = segment.entries
    let used = segment.used
    (entries + at + 1).update(from: entries + at, count: used - at)
    entries[at] =
      Entry(fingerprint: fingerprint, record: record.base, flags: Table.mark(flags, deadline)).bits
    segment.used = used + 1
    count(database, &home, flags, deadline)
    return record.valueStart
  }

  private mutating func makeDatabase(_ database: Int) -> UnsafeMutablePointer<Home> {
    let table = UnsafeMutablePointer<Home>.allocate(capacity: slots)
    table.initialize(repeating: Home(), count: slots)
    homes[database] = table
    indexBytes += slots * MemoryLayout<Home>.stride
    return table
  }

  // MARK: Hash trees

  /// What an object adds to its slot's digest. A version names one write of one key for ever, so it
  /// stands for key and value; a passed deadline and a tombstone change neither. Sets of siblings
  /// may differ under one version: their bytes count.
  @inline(__always)
  private func element(_ record: Record) -> UInt64 {
    if _slowPath(record.flags.contains(.siblings)) { return hashKey(record.value, seed: 0x51b1) }
    return element(record.stamp, record.actorIndex)
  }

  @inline(__always)
  private func element(_ stamp: Stamp, _ actor: Int) -> UInt64 {
    mix(stamp.rawValue ^ actors.mixed(actor))
  }

  /// What `object` would add to its slot's digest.
  public static func element(_ object: ObjectView) -> UInt64 {
    if object.isSiblings { return hashKey(object.value, seed: 0x51b1) }
    return mix(object.version.stamp.rawValue ^ mix(object.version.actor.rawValue))
  }

  /// The XOR of the elements of a slot's objects that count in one of `trees` (bit 0 is tree 0).
  public func digest(database: Int, slot: Int, trees wanted: UInt8) -> UInt64 {
    trees.digest(wanted, database, slot)
  }

  /// A set of siblings was written: its bytes are there now, and so is its element.
  mutating func countSiblings(
    database: Int, slot: Int, hash: UInt64, key: UnsafeRawBufferPointer
  ) {
    guard let table = homes[database], let place = find(table[slot], hash, key) else { return }
    trees.toggle(place.record.tree, database, slot, element(place.record))
  }

  /// Puts the objects of a slot into the trees that their keys say: a keyspace's setting changed.
  public mutating func plant(
    database: Int, slot: Int, _ tree: (UnsafeRawBufferPointer) -> Int
  ) {
    guard let table = homes[database], table[slot].total > 0 else { return }
    Table.forEachSegment(table[slot]) { segment, _ in
      for index in 0..<segment.used {
        let record = Entry(segment.entries[index]).record
        let right = tree(record.key)
        guard right != record.tree else { continue }
        let element = element(record)
        trees.toggle(record.tree, database, slot, element)
        trees.toggle(right, database, slot, element)
        record.writeTree(right)
      }
    }
  }

  // MARK: Segments

  /// The segment for `hash`, with room for one more entry.
  private mutating func roomySegment(_ home: inout Home, _ hash: UInt64) -> Segment {
    while true {
      guard let segment = segment(home, hash) else {
        let first = makeSegment(capacity: Segment.capacity(for: 1), depth: 0)
        home.root = UInt(bitPattern: first.base)
        return first
      }
      if segment.used < Segment.splitAt || segment.depth == Segment.deepest {
        if segment.used < segment.capacity { return segment }
        invariant(segment.used < 65_535, "65,535 keys share 30 bits of hash and a slot")
        return resize(&home, hash, segment, Segment.capacity(for: segment.used + 1))
      }
      split(&home, hash, segment)
    }
  }

  private mutating func makeSegment(capacity: Int, depth: Int) -> Segment {
    let segment = Segment.make(capacity: capacity, depth: depth)
    indexBytes += segment.bytes
    return segment
  }

  private mutating func freeSegment(_ segment: Segment) {
    indexBytes -= segment.bytes
    segment.base.deallocate()
  }

  private mutating func resize(
    _ home: inout Home, _ hash: UInt64, _ segment: Segment, _ capacity: Int
  ) -> Segment {
    let fresh = makeSegment(capacity: capacity, depth: segment.depth)
    fresh.used = segment.used
    fresh.entries.update(from: segment.entries, count: segment.used)
    replace(&home, hash, segment, fresh, fresh)
    freeSegment(segment)
    return fresh
  }

  /// Puts `low` and `high` where `segment` stood: the halves by the next bit of the hash.
  private func replace(
    _ home: inout Home, _ hash: UInt64, _ segment: Segment, _ low: Segment, _ high: Segment
  ) {
    guard home.root & 1 == 1 else {
      home.root = UInt(bitPattern: low.base)
      return
    }
    let directory = Directory(home.root)
    let span = 1 << (directory.depth - segment.depth)
    let first = directory.place(hash) & ~(span - 1)
    for offset in 0..<span {
      directory[first + offset] = offset < span / 2 || low.base == high.base ? low : high
    }
  }

  private mutating func split(_ home: inout Home, _ hash: UInt64, _ segment: Segment) {
    let depth = segment.depth
    if home.root & 1 == 0 {
      home.root = Directory.make(depth: 1, filledWith: segment).root
      indexBytes += 8 + 2 * 8
    } else if Directory(home.root).depth == depth {
      let old = Directory(home.root)
      home.root = old.doubled().root
      indexBytes += 8 + (1 << (depth + 1)) * 8 - (8 + (1 << depth) * 8)
    }
    let room = Segment.capacity(for: segment.used / 2 + 8)
    let low = makeSegment(capacity: max(room, segment.used), depth: depth + 1)
    let high = makeSegment(capacity: max(room, segment.used), depth: depth + 1)
    for index in 0..<segment.used {
      let entry = segment.entries[index]
      let hash = self.hash(Entry(entry).record.key)
      let half = hash >> UInt64(63 - depth) & 1 == 0 ? low : high
      half.entries[half.used] = entry
      half.used += 1
    }
    replace(&home, hash, segment, low, high)
    freeSegment(segment)
  }

  // MARK: Removing

  /// Forgets the key altogether: no tombstone stays. True when it was there.
  @discardableResult
  public mutating func remove(
    database: Int, slot: Int, hash: UInt64, key: UnsafeRawBufferPointer
  ) -> Bool {
    guard let table = homes[database], let place = find(table[slot], hash, key) else {
      return false
    }
    trees.toggle(place.record.tree, database, slot, element(place.record))
    removeEntry(database, &table[slot], place.segment, place.index)
    shrink(&table[slot], hash, place.segment)
    return true
  }

  mutating func removeEntry(
    _ database: Int, _ home: inout Home, _ segment: Segment, _ index: Int
  ) {
    let record = Entry(segment.entries[index]).record
    actors.release(record.actorIndex)
    forget(database, &home, record)
    free(record)
    let used = segment.used
    let entries = segment.entries
    (entries + index).update(from: entries + index + 1, count: used - index - 1)
    segment.used = used - 1
  }

  /// Gives back what an emptier slot does not need.
  mutating func shrink(_ home: inout Home, _ hash: UInt64, _ segment: Segment) {
    if home.total == 0 {
      freeIndex(&home)
    } else if segment.capacity > 8, segment.used < segment.capacity / 2 {
      _ = resize(&home, hash, segment, Segment.capacity(for: segment.used))
    }
  }

  private mutating func freeIndex(_ home: inout Home) {
    Table.forEachSegment(home) { segment, _ in
      indexBytes -= segment.bytes
      segment.base.deallocate()
    }
    if home.root & 1 == 1 {
      indexBytes -= Directory(home.root).bytes
      Directory(home.root).base.deallocate()
    }
    home.root = 0
  }

  static func freeAll(
    _ home: inout Home, _ arena: UnsafeMutablePointer<RecordArena>
  ) {
    forEachSegment(home) { segment, _ in freeAll(segment, arena) }
    if home.root & 1 == 1 { Directory(home.root).base.deallocate() }
    home.root = 0
  }

  static func freeAll(_ segment: Segment, _ arena: UnsafeMutablePointer<RecordArena>) {
    for index in 0..<segment.used {
      let record = Entry(segment.entries[index]).record
      if record.isBig { record.blob.release() }
      if record.isBlock {
        arena.pointee.freeBlock(record.base)
      } else {
        arena.pointee.freeCell(record.base, cell: RecordArena.cellSize(for: record.size))
      }
    }
    segment.base.deallocate()
  }

  /// Visits each segment of a slot once, in the order of the hash, with its first directory place
  /// scaled to 16 bits.
  static func forEachSegment(_ home: Home, _ body: (Segment, Int) -> Void) {
    _ = forEachSegment(home, from: 0) {
      body($0, $1)
      return true
    }
  }

  /// The same, from the segment that holds this place on and until `body` says false. Returns the
  /// place of the segment behind; nil at the slot's end.
  static func forEachSegment(
    _ home: Home, from start: Int, _ body: (Segment, Int) -> Bool
  ) -> Int? {
    guard home.root != 0 else { return nil }
    guard home.root & 1 == 1 else {
      _ = body(Segment(UnsafeMutableRawPointer(bitPattern: home.root).unsafelyUnwrapped), 0)
      return nil
    }
    let directory = Directory(home.root)
    let shift = 16 - directory.depth
    var place = start >> shift
    while place < 1 << directory.depth {
      let segment = directory[place]
      let places = 1 << (directory.depth - segment.depth)
      place &= ~(places - 1)
      let goesOn = body(segment, place << shift)
      place += places
      if !goesOn { return place < 1 << directory.depth ? place << shift : nil }
    }
    return nil
  }
}

/// The segments of a slot that has several: 2^depth places by the highest bits of the hash.
struct Directory {
  let base: UnsafeMutableRawPointer

  /// `root` is the address with the lowest bit set.
  @inline(__always) init(_ root: UInt) {
    base = UnsafeMutableRawPointer(bitPattern: root & ~1).unsafelyUnwrapped
  }

  var root: UInt { UInt(bitPattern: base) | 1 }
  var depth: Int { base.load(as: Int.self) }
  var bytes: Int { 8 + (1 << depth) * 8 }

  @inline(__always) func place(_ hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash >> UInt64(truncatingIfNeeded: 64 &- depth))
  }

  @inline(__always) subscript(place: Int) -> Segment {
    get { Segment(base.load(fromByteOffset: 8 + place * 8, as: UnsafeMutableRawPointer.self)) }
    nonmutating set {
      base.storeBytes(
        of: newValue.base, toByteOffset: 8 + place * 8, as: UnsafeMutableRawPointer.self)
    }
  }

  static func make(depth: Int, filledWith segment: Segment?) -> Directory {
    let base = UnsafeMutableRawPointer.allocate(byteCount: 8 + (1 << depth) * 8, alignment: 8)
    base.storeBytes(of: depth, as: Int.self)
    let directory = Directory(UInt(bitPattern: base) | 1)
    if let segment { for place in 0..<1 << depth { directory[place] = segment } }
    return directory
  }

  func doubled() -> Directory {
    let twice = Directory.make(depth: depth + 1, filledWith: nil)
    for place in 0..<1 << depth {
      twice[place * 2] = self[place]
      twice[place * 2 + 1] = self[place]
    }
    base.deallocate()
    return twice
  }
}

// MARK: Walking

/// A place in a slot's order of keys: 16 bits of directory, 12 of fingerprint. Holds while keys come
/// and go, and after splits, because both are bits of the hash.
public struct ScanPosition: Sendable, Equatable {
  public static let bits = 28
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public static let start = ScanPosition(rawValue: 0)
}

/// A key met on a walk.
public struct WalkedObject {
  public var key: UnsafeRawBufferPointer
  public var object: ObjectView
  /// What it adds to its slot's digest, and to which tree.
  public var element: UInt64
  public var tree: Int
}

/// What to do with a walked object.
public enum WalkVerdict: Sendable {
  case keep
  case remove
}

extension Table {
  /// Visits the objects of a slot from `position` on until at least `count` were visited; returns
  /// where to go on, nil when the slot is done. Objects with the same position are never parted.
  public func walk(
    database: Int, slot: Int, from position: ScanPosition, count: Int,
    _ visit: (WalkedObject) -> Void
  ) -> ScanPosition? {
    guard let table = homes[database] else { return nil }
    var visited = 0
    var stop: ScanPosition?
    let start = Int(position.rawValue >> 12)
    _ = Table.forEachSegment(table[slot], from: start) { segment, prefix in
      // The start lies inside of a segment where the slot was emptied and filled again since the last
      // call, or where a client made the cursor up.
      let from =
        prefix > start ? 0 : UInt64(position.rawValue & 0xfff)
      var previous: UInt64?
      for index in 0..<segment.used {
        let entry = segment.entries[index]
        let fine = entry >> 52
        if fine < from { continue }
        if visited >= count, fine != previous {
          stop = ScanPosition(rawValue: UInt32(prefix) << 12 | UInt32(fine))
          return false
        }
        previous = fine
        let record = Entry(entry).record
        visit(walked(record))
        visited += 1
      }
      return true
    }
    return stop
  }

  private func walked(_ record: Record) -> WalkedObject {
    WalkedObject(
      key: record.key, object: view(record), element: element(record), tree: record.tree)
  }

  /// Visits every object of a slot and removes those that `judge` says to.
  public mutating func sweep(
    database: Int, slot: Int, _ judge: (WalkedObject) -> WalkVerdict
  ) {
    guard let table = homes[database], table[slot].total > 0 else { return }
    var doomed: [[UInt8]] = []
    Table.forEachSegment(table[slot]) { segment, _ in
      for index in 0..<segment.used {
        let record = Entry(segment.entries[index]).record
        if judge(walked(record)) == .remove {
          doomed.append(Array(record.key))
        }
      }
    }
    for key in doomed {
      key.withUnsafeBytes {
        _ = remove(database: database, slot: slot, hash: hash($0), key: $0)
      }
    }
  }

  /// What a walk over the table looks for.
  public enum Sought {
    /// Objects that are no tombstones and whose deadline, in Unix milliseconds, has passed at that time.
    case deadlines(at: UInt64)
    /// Tombstones that neither were written nor would have ended later than that.
    case tombstones(upTo: UInt64)

    public var isDeadlines: Bool {
      if case .deadlines = self { true } else { false }
    }

    func takes(_ object: ObjectView) -> Bool {
      switch self {
      case .deadlines(let time): object.live(at: time) == nil
      case .tombstones(let limit):
        object.isTombstone && max(object.version.stamp.milliseconds, object.deadline) <= limit
      }
    }
  }

  /// Looks at what is sought in a slot, segment by segment from the place `first` on, until at least
  /// `looks` records were looked at; collects the keys of those that are due. Says how many it looked
  /// at and where to go on; nil at the slot's end.
  public func find(
    _ sought: Sought, database: Int, slot: Int, from first: Int, looks: Int,
    into keys: inout KeyList
  ) -> (looked: Int, next: Int?) {
    guard let table = homes[database], table[slot].total > 0 else { return (0, nil) }
    var looked = 0
    let next = Table.forEachSegment(table[slot], from: first) { segment, _ in
      for index in 0..<segment.used {
        let entry = Entry(segment.entries[index])
        guard entry.isTombstone != sought.isDeadlines, entry.hasDeadline || !sought.isDeadlines
        else { continue }
        looked += 1
        if sought.takes(view(entry.record)) { keys.append(entry.record.key) }
      }
      return looked < looks
    }
    return (looked, next)
  }

  /// Drops all objects of a database at once.
  public mutating func removeAll(database: Int) {
    guard let table = homes[database] else { return }
    for slot in 0..<slots where table[slot].total > 0 {
      Table.forEachSegment(table[slot]) { segment, _ in
        for index in 0..<segment.used {
          let record = Entry(segment.entries[index]).record
          actors.release(record.actorIndex)
          if record.flags.contains(.siblings) { siblingSets -= 1 }
          free(record)
        }
      }
      freeIndex(&table[slot])
      table[slot].live = 0
      table[slot].total = 0
    }
    counts[database] = Counts()
    trees.removeAll(database: database)
  }

  /// Stops the process when the structure is inconsistent. For tests.
  public func checkInvariants() {
    for database in 0..<databases {
      guard let table = homes[database] else { continue }
      var live = 0
      for slot in 0..<slots {
        var total: UInt32 = 0
        var digest: UInt64 = 0
        Table.forEachSegment(table[slot]) { segment, prefix in
          invariant(segment.used <= segment.capacity, "a segment holds more than it can")
          var last: UInt64 = 0
          for index in 0..<segment.used {
            let entry = Entry(segment.entries[index])
            invariant(entry.bits >> 48 >= last, "fingerprints out of order in slot \(slot)")
            last = entry.bits >> 48
            let record = entry.record
            let hash = self.hash(record.key)
            invariant(hash >> 32 & 0xffff == last, "a key under another's fingerprint")
            if segment.depth > 0 {
              let shared = UInt64(64 - segment.depth)
              invariant(
                hash >> shared == UInt64(prefix) >> UInt64(16 - segment.depth),
                "a key in another's segment")
            }
            invariant(
              entry.isTombstone == record.flags.contains(.tombstone), "a false tombstone mark")
            if !entry.isTombstone { live += 1 }
            digest ^= element(record)
            total += 1
          }
        }
        invariant(
          digest == self.digest(database: database, slot: slot, trees: .max),
          "slot \(slot) has a tree that does not belong to its objects")
        invariant(
          total == table[slot].total, "slot \(slot) counts \(table[slot].total) of \(total)")
      }
      invariant(live == counts[database].live, "database \(database) miscounts its keys")
    }
  }
}
