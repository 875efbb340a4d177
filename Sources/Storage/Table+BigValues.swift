import Primitives

// Values from `Limits.bigValueBytes` on: the record holds the address of a blob. See Blob.

extension Table {
  /// Says that the bytes that are written next may be kept where they lie, until `endOffer`: they
  /// are a big value in the buffer that `lender` was told of.
  @inline(__always)
  public mutating func offer(_ bytes: UnsafeRawBufferPointer) {
    if _slowPath(bytes.count >= Limits.bigValueBytes) { offered = bytes }
  }

  @inline(__always)
  public mutating func endOffer() { offered = nil }

  /// The blob of a value of `length` bytes: the offered bytes, or the old value's when it keeps all of
  /// them, or a new one with the first `keep` bytes of the old value. What is not kept reads as
  /// zeros, and the table's is the one reference to what may be written over.
  mutating func blob(of length: Int, keeping keep: Int, of old: Record?) -> Blob {
    if keep == 0, let offered, offered.count == length, let kept = lender.keep(offered) {
      return kept
    }
    if let old, old.isBig, keep == old.valueLength {
      let blob = old.blob
      if !(mustOwnNext && blob.isShared), blob.resize(to: length) {
        // The old record lets go of it next.
        blob.retain()
        return blob
      }
    }
    let fresh = BlobStore.allocate(length, growing: keep > 0, in: blobs)
    if let old, keep > 0 { fresh.start.copyMemory(from: old.valueStart, byteCount: keep) }
    return fresh
  }
}
