/// Big values between the bytes of a buffer: each belongs behind so many of the plain bytes.
///
/// `count` and `readable` of a buffer speak of its plain bytes only; `totalCount` counts everything,
/// and `nextRun` with `consumeRun` show everything in order. So a place that handles replies as
/// bytes has to move them with `append(moving:)`, or to `flatten` them first.
struct Attachments {
  struct Part {
    /// Behind so many plain bytes, counted from the beginning of the list.
    var position: Int
    var blob: Blob
    var offset: Int
    var length: Int
  }

  var parts: [Part] = []
  /// Parts at the front that are through.
  var first = 0
  /// Plain bytes that were consumed since the list began.
  var consumed = 0
  /// Bytes of the parts that wait.
  var bytes = 0

  static func free(_ list: UnsafeMutablePointer<Attachments>) {
    for part in list.pointee.parts[list.pointee.first...] { part.blob.release() }
    list.deinitialize(count: 1)
    list.deallocate()
  }
}

extension ByteBuffer {
  /// All bytes that wait, with those of attached values.
  @inline(__always)
  public var totalCount: Int {
    _fastPath(attachments == nil) ? count : count &+ attachedCount
  }

  /// Bytes of the values that are attached.
  @inline(never)
  public var attachedCount: Int { attachments?.pointee.bytes ?? 0 }

  /// Puts `length` bytes of a blob behind the bytes so far, and holds a reference until they are
  /// consumed.
  public mutating func attach(_ blob: Blob, _ offset: Int, _ length: Int) {
    guard length > 0 else { return }
    blob.retain()
    let list = attachmentList()
    list.pointee.parts.append(
      Attachments.Part(
        position: list.pointee.consumed + count, blob: blob, offset: offset, length: length))
    list.pointee.bytes += length
  }

  private mutating func attachmentList() -> UnsafeMutablePointer<Attachments> {
    if let attachments { return attachments }
    let list = UnsafeMutablePointer<Attachments>.allocate(capacity: 1)
    list.initialize(to: Attachments())
    attachments = list
    return list
  }

  /// A bulk string of bytes that lie in `blob`.
  public mutating func appendBulk(_ bytes: UnsafeRawBufferPointer, in blob: Blob) {
    append(UInt8(ascii: "$"))
    append(decimal: bytes.count)
    append("\r\n")
    append(bytes, in: blob)
    append("\r\n")
  }

  /// Bytes that lie in `blob`, attached unless they are few.
  public mutating func append(_ bytes: UnsafeRawBufferPointer, in blob: Blob?) {
    guard let blob, bytes.count >= Limits.bigValueBytes, let start = bytes.baseAddress else {
      return append(bytes)
    }
    attach(blob, start - UnsafeRawPointer(blob.start), bytes.count)
  }

  /// Forgets the attachments that lie behind the first `size` plain bytes; all with -1.
  @inline(never)
  mutating func dropAttachments(behind size: Int) {
    guard let list = attachments else { return }
    while list.pointee.parts.count > list.pointee.first,
      let part = list.pointee.parts.last,
      size < 0 || part.position - list.pointee.consumed > size
    {
      list.pointee.parts.removeLast()
      list.pointee.bytes -= part.length
      part.blob.release()
    }
    dropListIfDone()
  }

  private mutating func dropListIfDone() {
    guard let list = attachments, list.pointee.first == list.pointee.parts.count else { return }
    Attachments.free(list)
    attachments = nil
  }

  // MARK: Reading in order

  /// The next bytes in order that lie in one piece.
  public var nextRun: UnsafeRawBufferPointer {
    guard let list = attachments else { return readable }
    let part = list.pointee.parts[list.pointee.first]
    let before = part.position - list.pointee.consumed
    if before > 0 { return readable.slice(0, before) }
    return UnsafeRawBufferPointer(start: part.blob.start + part.offset, count: part.length)
  }

  /// Drops `size` bytes of `nextRun`.
  public mutating func consumeRun(_ size: Int) {
    guard let list = attachments,
      list.pointee.parts[list.pointee.first].position == list.pointee.consumed
    else { return consume(size) }
    let first = list.pointee.first
    list.pointee.bytes -= size
    list.pointee.parts[first].offset += size
    list.pointee.parts[first].length -= size
    guard list.pointee.parts[first].length == 0 else { return }
    list.pointee.parts[first].blob.release()
    list.pointee.first += 1
    if list.pointee.first >= 64 {
      list.pointee.parts.removeFirst(list.pointee.first)
      list.pointee.first = 0
    }
    dropListIfDone()
  }

  // MARK: Moving

  /// Appends the first `size` plain bytes of `other` with what is attached between them, and drops
  /// them there.
  @inline(__always)
  public mutating func append(moving other: inout ByteBuffer, _ size: Int) {
    if _fastPath(other.attachments == nil) {
      append(other.readable.slice(0, size))
      other.consume(size)
    } else {
      moveParts(of: &other, size)
    }
  }

  @inline(never)
  private mutating func moveParts(of other: inout ByteBuffer, _ size: Int) {
    var left = size
    while left > 0 || other.isAttachmentNext {
      let run = other.nextRun
      if other.isAttachmentNext, let list = other.attachments {
        let part = list.pointee.parts[list.pointee.first]
        attach(part.blob, part.offset, part.length)
        other.consumeRun(part.length)
      } else {
        let step = min(run.count, left)
        append(run.slice(0, step))
        other.consumeRun(step)
        left -= step
      }
    }
  }

  private var isAttachmentNext: Bool {
    guard let list = attachments else { return false }
    return list.pointee.parts[list.pointee.first].position == list.pointee.consumed
  }

  /// Everything in order, as an array of its own: for where a reply has to be bytes.
  public var flattened: [UInt8] {
    guard let list = attachments else { return bytes }
    var result: [UInt8] = []
    result.reserveCapacity(totalCount)
    var at = 0
    for part in list.pointee.parts[list.pointee.first...] {
      let before = part.position - list.pointee.consumed
      result.append(contentsOf: readable.slice(at, before - at))
      at = before
      result.append(
        contentsOf: UnsafeRawBufferPointer(
          start: part.blob.start + part.offset, count: part.length))
    }
    result.append(contentsOf: readable.slice(at, count - at))
    return result
  }
}
