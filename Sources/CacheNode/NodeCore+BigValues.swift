import Primitives
import Storage

// What big values, big buffers and flushed databases leave behind is given back in slices: see Blob. It
// counts as used memory until then, but nothing is evicted for it, because it is on its way out.

extension NodeCore {
  /// Gives a big buffer's pages to the graveyard, with what was in them; a small one stays as it is.
  @inline(__always)
  func bury(_ buffer: inout ByteBuffer) {
    if _slowPath(buffer.capacity >= Limits.pagedBufferBytes) {
      buffer.removeAll()
      buffer.bury(in: table.blobs)
    }
  }

  /// Empties a buffer whose owner is gone: what is attached is let go by name, because the optimizer
  /// was seen to leave that out of an assignment's end of the old value; big pages go to the graveyard.
  func discard(_ buffer: inout ByteBuffer) {
    buffer.removeAll()
    if buffer.capacity >= Limits.pagedBufferBytes { buffer.bury(in: table.blobs) }
    buffer = ByteBuffer()
  }

  /// One slice, at most one a `burialInterval`: a busy loop has rounds of some microseconds.
  @inline(__always)
  mutating func stepBurials() {
    guard _slowPath(hasBuried), monotonic >= timers.burial else { return }
    timers.burial = monotonic + Limits.burialInterval
    table.blobs.pointee.step(Limits.bytesBuriedAtOnce)
    table.freeFlushed(Limits.recordsFreedAtOnce)
  }

  @inline(__always)
  private var hasBuried: Bool { table.blobs.pointee.hasBuried || table.hasFlushed }

  var burialDue: UInt64 { hasBuried ? max(monotonic, timers.burial) : .max }

  // MARK: What came in and goes out again

  /// Appends bytes of the input that is read right now: big ones are kept where they lie.
  mutating func appendKept(
    _ bytes: UnsafeRawBufferPointer, to buffer: UnsafeMutablePointer<ByteBuffer>
  ) {
    guard _slowPath(bytes.count >= Limits.bigValueBytes), let blob = table.lender.keep(bytes) else {
      return buffer.pointee.append(bytes)
    }
    buffer.pointee.attach(blob, 0, blob.count)
    blob.release()
  }

  /// Appends a word of a command that is forwarded to `scratch`.
  @inline(__always)
  mutating func appendWord(_ word: UnsafeRawBufferPointer) {
    guard _slowPath(word.count >= Limits.bigValueBytes) else {
      return scratch.pointee.appendBulk(word)
    }
    scratch.pointee.append(UInt8(ascii: "$"))
    scratch.pointee.append(decimal: word.count)
    scratch.pointee.append("\r\n")
    appendKept(word, to: scratch)
    scratch.pointee.append("\r\n")
  }
}
