import CMemory

/// Runs of whole pages, beside the allocator: see CMemory for why.
enum Pages {
  static let pageBytes = 4096

  static func rounded(_ bytes: Int) -> Int { (bytes + pageBytes - 1) & ~(pageBytes - 1) }

  static func take(_ bytes: Int) -> UnsafeMutableRawPointer {
    guard let base = coterie_pages_take(bytes) else { fatalError("no memory for \(bytes) bytes") }
    return base
  }

  /// The same pages in a run of `bytes`, maybe elsewhere.
  static func resize(
    _ base: UnsafeMutableRawPointer, from old: Int, to bytes: Int
  ) -> UnsafeMutableRawPointer {
    guard let moved = coterie_pages_resize(base, old, bytes) else {
      fatalError("no memory for \(bytes) bytes")
    }
    return moved
  }

  /// Gives back the memory of the whole pages between two offsets.
  static func clear(_ base: UnsafeMutableRawPointer, from start: Int, to end: Int) {
    let first = rounded(start)
    let last = end & ~(pageBytes - 1)
    if last > first { coterie_pages_clear(base + first, last - first) }
  }

  static func release(_ base: UnsafeMutableRawPointer, _ bytes: Int) {
    if bytes > 0 { coterie_pages_release(base, bytes) }
  }
}

extension ByteBuffer {
  /// Memory for `size` bytes: from the allocator, or pages.
  static func take(_ size: Int) -> (base: UnsafeMutableRawPointer?, capacity: Int) {
    if size == 0 { return (nil, 0) }
    if size < Limits.pagedBufferBytes {
      return (UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8), size)
    }
    let capacity = Pages.rounded(size)
    return (Pages.take(capacity), capacity)
  }

  static func free(_ storage: UnsafeMutableRawPointer?, _ capacity: Int) {
    guard let storage else { return }
    if capacity < Limits.pagedBufferBytes {
      storage.deallocate()
    } else {
      Pages.release(storage, capacity)
    }
  }

  /// Room for `needed` bytes in all. The pages in front of the read end go, the others are moved by
  /// the kernel: nothing is copied, however much waits.
  mutating func growPages(_ needed: Int) {
    let front = head & ~(Pages.pageBytes - 1)
    let kept = capacity - front
    let wanted = (tail - head) + (head - front) + (needed - count)
    // Room that was not touched costs nothing, and the steps have to be geometric all the same:
    // page tables are moved, too. Not below the capacity that says that these are pages.
    let size = Pages.rounded(max(wanted, kept + kept / 4, Limits.pagedBufferBytes))
    let base = storage.unsafelyUnwrapped
    storage = Pages.resize(base + front, from: kept, to: size)
    Pages.release(base, front)
    capacity = size
    head -= front
    tail -= front
  }

  /// Gives back what was consumed, a megabyte at a time.
  @inline(never)
  mutating func noteConsumed(_ size: Int) {
    attachments?.pointee.consumed += size
    guard capacity >= Limits.pagedBufferBytes, let storage else { return }
    let step = Limits.pagedBufferBytes
    let before = (head - size) & ~(step - 1)
    let now = head & ~(step - 1)
    if now > before { Pages.clear(storage, from: before, to: now) }
  }
}
