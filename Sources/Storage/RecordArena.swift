import Glibc
import Primitives

/// Memory for records: cells of 8-byte steps, packed without a header in 64 KiB chunks.
///
/// A general allocator spends 8 to 24 bytes beside each block; with a million small objects that is
/// most of the overhead that DESIGN.md allows. Here a chunk holds cells of one size and 64 bytes of
/// head, found from any cell by masking its address, so a cell costs its size. Freed cells are
/// chained inside their chunk; chunks come from and return to regions of 16, and a region that runs
/// empty goes back to the system. Records above `largestCell` have a block of their own, which
/// remembers its capacity.
///
/// When many records have gone and others did not need their cells, chunks are sparse: `isSparse` names
/// those whose records should move, so that whole chunks get free. A free chunk's pages go back to the
/// system at once, whatever its region still holds.
///
/// Rejected: one `malloc` a record (glibc: 112 bytes for 96); a free list a size over all chunks
/// (after a churn of sizes nothing could be given back); chunks straight from the system (aligned
/// blocks of 64 KiB touch a page more each, 6 %).
struct RecordArena: ~Copyable {
  static let chunkBytes = 64 << 10
  static let chunksPerRegion = 16
  static let largestCell = 4096
  private static let pageBytes = 4096
  private static let headBytes = 64
  private static let smallestCell = 24
  /// Cells step by 8 up to this size and by 64 above.
  private static let fineLimit = 512
  private static let classCount =
    (fineLimit - smallestCell) / 8 + 1 + (largestCell - fineLimit) / 64

  /// The first chunk of each class that has a free cell.
  private let open: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  /// The first region that has a free chunk.
  private var openRegion: UnsafeMutableRawPointer?
  /// Bytes taken from the system.
  private(set) var bytes = 0
  /// Bytes of chunks that have a record, and of blocks: the rest has no pages.
  private(set) var residentBytes = 0
  /// Bytes of the cells and blocks that are in use.
  private(set) var usedBytes = 0

  init() {
    open = .allocate(capacity: RecordArena.classCount)
    open.initialize(repeating: nil, count: RecordArena.classCount)
  }

  /// The chunks are freed with the last record; the table frees its records first.
  deinit { open.deallocate() }

  /// The size of the cell that a record of `size` bytes gets.
  @inline(__always)
  static func cellSize(for size: Int) -> Int {
    if size <= fineLimit { return max(smallestCell, (size &+ 7) & ~7) }
    return (size &+ 63) & ~63
  }

  @inline(__always)
  private static func classIndex(cell: Int) -> Int {
    cell <= fineLimit
      ? (cell &- smallestCell) / 8
      : (fineLimit &- smallestCell) / 8 &+ (cell &- fineLimit) / 64
  }

  // MARK: Cells

  @inline(__always)
  mutating func allocateCell(_ cell: Int) -> UnsafeMutableRawPointer {
    let kind = RecordArena.classIndex(cell: cell)
    let chunk = Chunk(base: open[kind] ?? newChunk(kind, cell))
    let record: UnsafeMutableRawPointer
    if let free = chunk.free {
      chunk.free = free.load(as: UnsafeMutableRawPointer?.self)
      record = free
    } else {
      record = chunk.base + Int(chunk.fresh)
      chunk.fresh &+= UInt32(truncatingIfNeeded: cell)
    }
    chunk.live &+= 1
    usedBytes &+= cell
    if chunk.isFull(cell) { unlink(chunk, kind) }
    return record
  }

  @inline(__always)
  mutating func freeCell(_ record: UnsafeMutableRawPointer, cell: Int) {
    let chunk = Chunk(holding: record)
    let kind = RecordArena.classIndex(cell: cell)
    let wasFull = chunk.isFull(cell)
    record.storeBytes(of: chunk.free, as: UnsafeMutableRawPointer?.self)
    chunk.free = record
    chunk.live &-= 1
    usedBytes &-= cell
    if chunk.live == 0 {
      if !wasFull { unlink(chunk, kind) }
      releaseChunk(chunk)
    } else if wasFull {
      link(chunk, kind)
    }
  }

  @inline(never)
  private mutating func newChunk(_ kind: Int, _ cell: Int) -> UnsafeMutableRawPointer {
    let base = takeChunk()
    let chunk = Chunk(base: base)
    chunk.next = nil
    chunk.previous = nil
    chunk.free = nil
    chunk.live = 0
    chunk.fresh = UInt32(RecordArena.headBytes)
    link(chunk, kind)
    return base
  }

  // MARK: Sparse chunks

  /// Whether a cell's record should move to another chunk: its own is less than seven eighths full,
  /// and not the one that takes new records.
  func isSparse(_ record: UnsafeMutableRawPointer, cell: Int) -> Bool {
    let chunk = Chunk(holding: record)
    let room = (RecordArena.chunkBytes - RecordArena.headBytes) / cell
    return Int(chunk.live) * 8 < room * 7
      && open[RecordArena.classIndex(cell: cell)] != chunk.base
  }

  // MARK: Chunks

  private mutating func takeChunk() -> UnsafeMutableRawPointer {
    let region = Region(base: openRegion ?? newRegion())
    let place = region.freeChunks.trailingZeroBitCount
    region.freeChunks &= region.freeChunks &- 1
    if region.freeChunks == 0 { unlink(region) }
    let base = region.base + place * RecordArena.chunkBytes
    Chunk(base: base).place = place
    residentBytes += RecordArena.chunkBytes
    return base
  }

  @inline(never)
  private mutating func releaseChunk(_ chunk: Chunk) {
    let place = chunk.place
    residentBytes -= RecordArena.chunkBytes
    let region = Region(base: chunk.base - place * RecordArena.chunkBytes)
    if region.freeChunks == 0 { link(region) }
    region.freeChunks |= 1 << UInt16(place)
    guard region.freeChunks == UInt16.max else { return giveBackPages(chunk) }
    unlink(region)
    region.base.deallocate()
    bytes -= RecordArena.chunkBytes * RecordArena.chunksPerRegion
  }

  /// A free chunk in a region that stays needs no memory; the first page of a region has its head.
  private func giveBackPages(_ chunk: Chunk) {
    let kept = chunk.place == 0 ? RecordArena.pageBytes : 0
    madvise(chunk.base + kept, RecordArena.chunkBytes - kept, MADV_DONTNEED)
  }

  private mutating func newRegion() -> UnsafeMutableRawPointer {
    let size = RecordArena.chunkBytes * RecordArena.chunksPerRegion
    let region = Region(
      base: .allocate(byteCount: size, alignment: RecordArena.chunkBytes))
    bytes += size
    region.freeChunks = UInt16.max
    link(region)
    return region.base
  }

  private mutating func link(_ region: Region) {
    region.previous = nil
    region.next = openRegion
    if let next = openRegion { Region(base: next).previous = region.base }
    openRegion = region.base
  }

  private mutating func unlink(_ region: Region) {
    if let next = region.next { Region(base: next).previous = region.previous }
    if let previous = region.previous {
      Region(base: previous).next = region.next
    } else {
      openRegion = region.next
    }
  }

  private mutating func link(_ chunk: Chunk, _ kind: Int) {
    chunk.previous = nil
    chunk.next = open[kind]
    if let next = open[kind] { Chunk(base: next).previous = chunk.base }
    open[kind] = chunk.base
  }

  private mutating func unlink(_ chunk: Chunk, _ kind: Int) {
    if let next = chunk.next { Chunk(base: next).previous = chunk.previous }
    if let previous = chunk.previous {
      Chunk(base: previous).next = chunk.next
    } else {
      open[kind] = chunk.next
    }
  }

  // MARK: Blocks

  /// A record of its own, of at least `size` bytes; the capacity stands in front of it.
  mutating func allocateBlock(_ size: Int) -> UnsafeMutableRawPointer {
    let base = UnsafeMutableRawPointer.allocate(byteCount: size + 16, alignment: 16)
    base.storeBytes(of: size, as: Int.self)
    bytes += size + 16
    usedBytes += size + 16
    residentBytes += size + 16
    return base + 16
  }

  mutating func freeBlock(_ record: UnsafeMutableRawPointer) {
    let size = RecordArena.blockCapacity(record) + 16
    bytes -= size
    usedBytes -= size
    residentBytes -= size
    (record - 16).deallocate()
  }

  static func blockCapacity(_ record: UnsafeMutableRawPointer) -> Int {
    (record - 16).load(as: Int.self)
  }
}

/// What a region of 16 chunks knows of itself: bytes 40 to 63 of its first chunk's head.
private struct Region {
  let base: UnsafeMutableRawPointer

  /// A bit a chunk that is not in use.
  var freeChunks: UInt16 {
    get { base.load(fromByteOffset: 40, as: UInt16.self) }
    nonmutating set { base.storeBytes(of: newValue, toByteOffset: 40, as: UInt16.self) }
  }
  var next: UnsafeMutableRawPointer? {
    get { base.load(fromByteOffset: 48, as: UnsafeMutableRawPointer?.self) }
    nonmutating set {
      base.storeBytes(of: newValue, toByteOffset: 48, as: UnsafeMutableRawPointer?.self)
    }
  }
  var previous: UnsafeMutableRawPointer? {
    get { base.load(fromByteOffset: 56, as: UnsafeMutableRawPointer?.self) }
    nonmutating set {
      base.storeBytes(of: newValue, toByteOffset: 56, as: UnsafeMutableRawPointer?.self)
    }
  }
}

/// The head of a chunk: 40 of its first 64 bytes.
private struct Chunk {
  let base: UnsafeMutableRawPointer

  @inline(__always) init(base: UnsafeMutableRawPointer) { self.base = base }

  @inline(__always)
  init(holding record: UnsafeMutableRawPointer) {
    let address = UInt(bitPattern: record) & ~UInt(RecordArena.chunkBytes - 1)
    base = UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped
  }

  var next: UnsafeMutableRawPointer? {
    get { base.load(as: UnsafeMutableRawPointer?.self) }
    nonmutating set { base.storeBytes(of: newValue, as: UnsafeMutableRawPointer?.self) }
  }
  var previous: UnsafeMutableRawPointer? {
    get { base.load(fromByteOffset: 8, as: UnsafeMutableRawPointer?.self) }
    nonmutating set {
      base.storeBytes(of: newValue, toByteOffset: 8, as: UnsafeMutableRawPointer?.self)
    }
  }
  /// The first freed cell.
  var free: UnsafeMutableRawPointer? {
    get { base.load(fromByteOffset: 16, as: UnsafeMutableRawPointer?.self) }
    nonmutating set {
      base.storeBytes(of: newValue, toByteOffset: 16, as: UnsafeMutableRawPointer?.self)
    }
  }
  /// The offset of the first cell that was never used.
  var fresh: UInt32 {
    get { base.load(fromByteOffset: 24, as: UInt32.self) }
    nonmutating set { base.storeBytes(of: newValue, toByteOffset: 24, as: UInt32.self) }
  }
  /// Cells in use.
  var live: UInt32 {
    get { base.load(fromByteOffset: 28, as: UInt32.self) }
    nonmutating set { base.storeBytes(of: newValue, toByteOffset: 28, as: UInt32.self) }
  }

  /// The chunk's number in its region.
  var place: Int {
    get { Int(base.load(fromByteOffset: 32, as: UInt8.self)) }
    nonmutating set {
      base.storeBytes(of: UInt8(newValue), toByteOffset: 32, as: UInt8.self)
    }
  }

  @inline(__always) func isFull(_ cell: Int) -> Bool {
    free == nil && Int(fresh) &+ cell > RecordArena.chunkBytes
  }
}
