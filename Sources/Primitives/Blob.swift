// # Big values
//
// A value of 512 MiB is 131,072 pages. Copying it stops a node for 150 to 300 ms, half of which is the
// kernel's zeroing of fresh pages, and giving it back in one go for 30 to 60 ms. So from `bigValueBytes`
// on a value is never copied on its usual way and never given back in one go. Who holds what:
//
//     client's input ByteBuffer ─── gives its pages away ──▶ Extent: a run of pages
//                                                               ▲   ▲
//     record in the table ──▶ Blob: a part of an extent, with ──┘   │
//     outputs (attachments) ──▶ a reference count                   │
//     what lies between the blobs of a request, dead from birth ──▶ Blob
//
//     the last reference goes ──▶ BlobStore's graveyard ──▶ some MiB a round: madvise, then munmap
//
// - A blob that anybody but the table refers to is never written to; `Table` makes a new one instead.
//   It may grow behind its end, and its pages may move: whoever refers to it keeps (blob, offset,
//   length) and no address beyond the step at hand.
// - A request with several big values gives several blobs of one extent (MSET). The extent's addresses
//   go with its last blob; a dead blob's pages go before.
// - A blob's bytes count once, as used memory, until they are given back: `liveBytes` while somebody
//   refers to them, `buriedBytes` behind that.
//
// Rejected: copying in slices while the session waits (half the memory bandwidth, twice the memory
// for a moment, and a session state for each command); a thread that frees, as Redis has it (the
// machines have none, and munmap holds the lock that every page fault of the loop needs).

/// A run of pages that blobs are parts of.
struct Extent {
  var base: UnsafeMutableRawPointer
  var capacity: Int
  /// Below this offset bytes may have been written that belong to no blob.
  var dirtyEnd: Int
  /// Blobs in it, and the lender while it is one's.
  var blobs = 0

  /// One fewer is in it; the last one takes it along.
  static func letGo(_ extent: UnsafeMutablePointer<Extent>) {
    extent.pointee.blobs -= 1
    guard extent.pointee.blobs == 0 else { return }
    Pages.release(extent.pointee.base, extent.pointee.capacity)
    extent.deinitialize(count: 1)
    extent.deallocate()
  }
}

/// A counted reference's target: bytes that several may refer to. See the essay above. A value is
/// one pointer wide; `retain` and `release` are called by hand.
public struct Blob: Equatable {
  struct Head {
    var references = 1
    var extent: UnsafeMutablePointer<Extent>
    var offset: Int
    var length: Int
    var store: UnsafeMutablePointer<BlobStore>
    /// In the graveyard: behind this one, and how much was given back, from the end on.
    var next: UnsafeMutablePointer<Head>?
    var given = 0
  }

  let head: UnsafeMutablePointer<Head>

  init(_ head: UnsafeMutablePointer<Head>) { self.head = head }

  /// From `address`, where a record keeps it.
  public init(address: UInt) {
    head = UnsafeMutablePointer(bitPattern: address).unsafelyUnwrapped
  }

  public var address: UInt { UInt(bitPattern: head) }
  public var count: Int { head.pointee.length }
  public var start: UnsafeMutableRawPointer {
    head.pointee.extent.pointee.base + head.pointee.offset
  }
  public var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: start, count: count)
  }
  /// Somebody else refers to it, too.
  public var isShared: Bool { head.pointee.references > 1 }

  public func retain() { head.pointee.references += 1 }

  /// The last one buries it.
  public func release() {
    head.pointee.references -= 1
    if head.pointee.references == 0 { head.pointee.store.pointee.bury(head) }
  }

  /// Makes it `length` long in place, growing with zeros: nothing moves but page tables. False when
  /// its pages belong to others, too.
  public func resize(to length: Int) -> Bool {
    let extent = head.pointee.extent
    guard extent.pointee.blobs == 1 else { return false }
    let offset = head.pointee.offset
    let end = offset + length
    if end > extent.pointee.capacity {
      let size = Pages.rounded(end + length / 4)
      extent.pointee.base = Pages.resize(
        extent.pointee.base, from: extent.pointee.capacity, to: size)
      extent.pointee.capacity = size
    }
    let dirty = min(extent.pointee.dirtyEnd, end) - (offset + head.pointee.length)
    if dirty > 0 { (start + count).initializeMemory(as: UInt8.self, repeating: 0, count: dirty) }
    head.pointee.store.pointee.liveBytes += length - head.pointee.length
    head.pointee.length = length
    extent.pointee.dirtyEnd = max(extent.pointee.dirtyEnd, end)
    return true
  }
}

/// The blobs of one node: their bytes, and those that wait to be given back.
public struct BlobStore: ~Copyable {
  /// Bytes that somebody refers to.
  public internal(set) var liveBytes = 0
  /// Bytes that nobody refers to and that are not given back yet.
  public private(set) var buriedBytes = 0
  /// Values and buffers that wait, and that are gone.
  public private(set) var buriedCount = 0
  public private(set) var freedCount = 0
  private var first: UnsafeMutablePointer<Blob.Head>?
  private var last: UnsafeMutablePointer<Blob.Head>?
  /// Blobs that exist.
  private var blobs = 0
  /// The node lives: nothing is freed but by `step`.
  private var isOpen = true

  /// A store on the heap, because blobs find it by its address. Ends with `close`.
  public static func make() -> UnsafeMutablePointer<BlobStore> {
    let store = UnsafeMutablePointer<BlobStore>.allocate(capacity: 1)
    store.initialize(to: BlobStore())
    return store
  }

  private init() {}

  /// The node ends: what waits goes now, what is still referred to goes with its last reference,
  /// and the store with it.
  public static func close(_ store: UnsafeMutablePointer<BlobStore>) {
    store.pointee.isOpen = false
    store.pointee.step(.max)
    if store.pointee.blobs == 0 { destroy(store) }
  }

  private static func destroy(_ store: UnsafeMutablePointer<BlobStore>) {
    store.deinitialize(count: 1)
    store.deallocate()
  }

  /// A blob of `length` zeros, with room behind it when it is `growing`. The caller holds the one
  /// reference.
  public static func allocate(
    _ length: Int, growing: Bool = false, in store: UnsafeMutablePointer<BlobStore>
  ) -> Blob {
    let capacity = Pages.rounded(max(1, growing ? length + length / 4 : length))
    let extent = UnsafeMutablePointer<Extent>.allocate(capacity: 1)
    extent.initialize(
      to: Extent(base: Pages.take(capacity), capacity: capacity, dirtyEnd: length))
    return part(of: extent, 0, length, in: store)
  }

  /// The blob of some bytes of an extent.
  static func part(
    of extent: UnsafeMutablePointer<Extent>, _ offset: Int, _ length: Int,
    in store: UnsafeMutablePointer<BlobStore>
  ) -> Blob {
    let head = UnsafeMutablePointer<Blob.Head>.allocate(capacity: 1)
    head.initialize(
      to: Blob.Head(extent: extent, offset: offset, length: length, store: store))
    extent.pointee.blobs += 1
    store.pointee.blobs += 1
    store.pointee.liveBytes += length
    return Blob(head)
  }

  mutating func bury(_ head: UnsafeMutablePointer<Blob.Head>) {
    liveBytes -= head.pointee.length
    buriedBytes += head.pointee.length
    buriedCount += 1
    head.pointee.next = nil
    if let last { last.pointee.next = head } else { first = head }
    last = head
    guard !isOpen else { return }
    let store = head.pointee.store
    step(.max)
    if blobs == 0 { BlobStore.destroy(store) }
  }

  public var hasBuried: Bool { first != nil }

  /// Gives back about `budget` bytes in whole pages, at most a page more.
  public mutating func step(_ budget: Int) {
    var left = budget
    while left > 0, let head = first {
      let rest = head.pointee.length - head.pointee.given
      let slice = min(rest, max(left, Pages.pageBytes))
      let end = head.pointee.offset + rest
      // From the end on, cut at pages; those at the edges may hold others' bytes and go with the extent.
      let start = slice == rest ? head.pointee.offset : Pages.rounded(end - slice)
      Pages.clear(head.pointee.extent.pointee.base, from: start, to: end)
      head.pointee.given += end - start
      buriedBytes -= end - start
      left -= max(end - start, 1)
      if head.pointee.given == head.pointee.length { free(head) }
    }
  }

  private mutating func free(_ head: UnsafeMutablePointer<Blob.Head>) {
    first = head.pointee.next
    if first == nil { last = nil }
    buriedCount -= 1
    freedCount += 1
    blobs -= 1
    Extent.letGo(head.pointee.extent)
    head.deinitialize(count: 1)
    head.deallocate()
  }
}
