/// Makes blobs of bytes that lie in a buffer, without copying them: while a buffer's requests run,
/// the values in it can be kept in place, and when they have run the buffer goes on with other pages.
///
///     begin(&input)      the buffer whose requests run now
///     keep(bytes)        these bytes of it become a blob
///     end(&input, n)     n bytes were read: what was not kept of them is buried, and what was not
///                        read moves to fresh pages
public struct Lender: ~Copyable {
  private let store: UnsafeMutablePointer<BlobStore>
  private var base: UnsafeMutableRawPointer?
  private var capacity = 0
  private var end = 0
  private var extent: UnsafeMutablePointer<Extent>?
  /// What was kept, in any order: offset and end.
  private var kept: [(start: Int, end: Int)] = []

  public init(_ store: UnsafeMutablePointer<BlobStore>) { self.store = store }

  /// The buffer's bytes stay where they are until `end`.
  @inline(__always)
  public mutating func begin(_ buffer: borrowing ByteBuffer) {
    guard _slowPath(buffer.capacity >= Limits.pagedBufferBytes) else { return }
    base = buffer.storage
    capacity = buffer.capacity
    end = buffer.tail
  }

  /// A blob of `bytes`, when they lie in the buffer; the caller holds the one reference.
  public mutating func keep(_ bytes: UnsafeRawBufferPointer) -> Blob? {
    guard let base, let start = bytes.baseAddress else { return nil }
    let offset = UnsafeRawPointer(start) - UnsafeRawPointer(base)
    guard offset >= 0, offset + bytes.count <= end else { return nil }
    // Twice the same bytes, as when a command runs again: the second one copies.
    if kept.contains(where: { $0.start < offset + bytes.count && offset < $0.end }) { return nil }
    let extent = self.extent ?? makeExtent(base)
    kept.append((offset, offset + bytes.count))
    return BlobStore.part(of: extent, offset, bytes.count, in: store)
  }

  private mutating func makeExtent(
    _ base: UnsafeMutableRawPointer
  ) -> UnsafeMutablePointer<Extent> {
    let fresh = UnsafeMutablePointer<Extent>.allocate(capacity: 1)
    // The lender's own part keeps blobs from growing where requests still lie.
    fresh.initialize(to: Extent(base: base, capacity: capacity, dirtyEnd: end, blobs: 1))
    extent = fresh
    return fresh
  }

  /// The requests have run and took `size` bytes of the buffer, which drops them. What is left in it
  /// moves if its pages were given away; a large buffer that is nearly empty is buried, not freed in
  /// one go.
  @inline(__always)
  public mutating func end(_ buffer: inout ByteBuffer, consumed size: Int) {
    guard _slowPath(base != nil) else { return buffer.consume(size) }
    finish(&buffer, size)
  }

  @inline(never)
  private mutating func finish(_ buffer: inout ByteBuffer, _ size: Int) {
    base = nil
    guard let extent else {
      guard size > 0, buffer.count - size <= buffer.capacity / 4 else {
        return buffer.consume(size)
      }
      buffer.head += size
      return buffer.bury(in: store, touched: end)
    }
    self.extent = nil
    // Not `consume`, which gives back what it passes.
    buffer.head += size
    buffer.leavePages()
    // What lies between the kept parts was read and is dead.
    kept.sort { $0.start < $1.start }
    var from = 0
    for part in kept + [(end, end)] {
      if part.start - from >= Lender.leastGap {
        BlobStore.part(of: extent, from, part.start - from, in: store).release()
      }
      from = part.end
    }
    kept.removeAll(keepingCapacity: true)
    Extent.letGo(extent)
  }

  /// Less than this between two values is not worth a slice of its own: it goes with the extent.
  private static let leastGap = 16 << 10
}

extension ByteBuffer {
  /// Goes on with other memory: the old pages belong to somebody else now.
  mutating func leavePages() {
    let waiting = readable
    storage = nil
    capacity = 0
    head = 0
    tail = 0
    if waiting.count > 0 { append(waiting) }
  }

  /// Gives a large buffer's pages to the graveyard, keeping what waits in it.
  public mutating func bury(in store: UnsafeMutablePointer<BlobStore>) {
    bury(in: store, touched: tail)
  }

  mutating func bury(in store: UnsafeMutablePointer<BlobStore>, touched: Int) {
    guard capacity >= Limits.pagedBufferBytes, let storage else { return }
    let extent = UnsafeMutablePointer<Extent>.allocate(capacity: 1)
    extent.initialize(to: Extent(base: storage, capacity: capacity, dirtyEnd: touched))
    leavePages()
    BlobStore.part(of: extent, 0, extent.pointee.capacity, in: store).release()
  }
}
