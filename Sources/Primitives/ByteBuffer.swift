/// A growable run of bytes with a read end and a write end.
///
/// Every byte that enters or leaves a node passes through one of these: requests that did not
/// arrive whole, replies on their way out, frames between nodes. Appending costs a bounds check and
/// a copy; an allocation happens only on growth, which doubles. Consuming moves the read end; the
/// space is taken back when the buffer runs empty or when growth would be needed otherwise.
///
/// From `pagedBufferBytes` on the bytes lie in pages of their own: growing moves page tables instead of
/// bytes, and what was consumed is given back on the way, so that no step costs more than a small one.
/// Big values in an output are not copied but attached: see ByteBuffer+Attachments.
public struct ByteBuffer: ~Copyable {
  var storage: UnsafeMutableRawPointer?
  var head: Int = 0
  var tail: Int = 0
  public internal(set) var capacity: Int = 0
  /// Big values between the bytes; nil is the rule.
  var attachments: UnsafeMutablePointer<Attachments>?

  public init() { storage = nil }

  /// One that has a copy of `bytes`.
  public init(_ bytes: UnsafeRawBufferPointer) {
    self.init()
    append(bytes)
  }

  public init(_ text: String) {
    self.init()
    append(text)
  }

  deinit {
    if let attachments { Attachments.free(attachments) }
    ByteBuffer.free(storage, capacity)
  }

  /// How many bytes wait to be read.
  @inline(__always) public var count: Int { tail &- head }
  @inline(__always) public var isEmpty: Bool { tail == head && attachments == nil }

  /// The bytes that wait to be read; valid until the next mutation.
  @inline(__always) public var readable: UnsafeRawBufferPointer {
    guard let storage else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: storage + head, count: tail &- head)
  }

  /// The readable bytes, writable: for patching a length that was not known when it was written.
  public var mutableReadable: UnsafeMutableRawBufferPointer {
    guard let storage else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
    return UnsafeMutableRawBufferPointer(start: storage + head, count: tail &- head)
  }

  /// Where the next byte goes, with room for `extra` bytes behind it. Follow with `advance`.
  @inline(__always)
  public mutating func reserve(_ extra: Int) -> UnsafeMutableRawPointer {
    if _slowPath(capacity &- tail < extra) { grow(extra) }
    return storage.unsafelyUnwrapped + tail
  }

  /// Declares `written` bytes behind the write end as written.
  @inline(__always) public mutating func advance(_ written: Int) { tail &+= written }

  /// Drops `size` bytes from the read end.
  @inline(__always)
  public mutating func consume(_ size: Int) {
    head &+= size
    if _slowPath(capacity >= Limits.pagedBufferBytes || attachments != nil) { noteConsumed(size) }
    if head == tail {
      head = 0
      tail = 0
    }
  }

  /// Drops bytes from the write end until `size` remain.
  public mutating func truncate(to size: Int) {
    tail = head &+ size
    if attachments != nil { dropAttachments(behind: size) }
  }

  @inline(__always) public mutating func removeAll() {
    if _slowPath(attachments != nil) { dropAttachments(behind: -1) }
    head = 0
    tail = 0
  }

  /// Gives memory back when more than `limit` bytes are held and at most a quarter is in use.
  @inline(__always)
  public mutating func shrink(keeping limit: Int) {
    if _slowPath(capacity > limit && count <= capacity / 4) { reallocate(max(count, 0)) }
  }

  @inline(never)
  mutating func grow(_ extra: Int) {
    let needed = count + extra
    if capacity >= Limits.pagedBufferBytes { return growPages(needed) }
    if needed <= capacity, head >= capacity / 2 {
      storage.unsafelyUnwrapped.copyMemory(
        from: storage.unsafelyUnwrapped + head, byteCount: count)
      tail = count
      head = 0
      return
    }
    let size = max(needed, capacity * 2, 64)
    // Only pages can be kept as a value: see Lender. What of them is not touched costs nothing.
    reallocate(size >= Limits.bigValueBytes ? max(size, Limits.pagedBufferBytes) : size)
  }

  mutating func reallocate(_ size: Int) {
    let used = count
    let fresh = ByteBuffer.take(size)
    if used > 0, let base = fresh.base, let storage {
      base.copyMemory(from: storage + head, byteCount: used)
    }
    ByteBuffer.free(storage, capacity)
    storage = fresh.base
    capacity = fresh.capacity
    head = 0
    tail = used
  }
}

extension ByteBuffer {
  @inline(__always)
  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > 0 else { return }
    reserve(bytes.count).copyMemory(
      from: bytes.baseAddress.unsafelyUnwrapped, byteCount: bytes.count)
    advance(bytes.count)
  }

  @inline(__always)
  public mutating func append(_ byte: UInt8) {
    reserve(1).storeBytes(of: byte, as: UInt8.self)
    advance(1)
  }

  /// Appends a constant; no `String` is made.
  @inline(__always)
  public mutating func append(_ text: StaticString) {
    append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  public mutating func append(_ text: String) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  public mutating func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { append($0) }
  }

  /// Overwrites four bytes that were appended before, `offset` bytes behind the first readable one.
  public mutating func patch(littleEndian value: UInt32, at offset: Int) {
    precondition(offset >= 0 && offset + 4 <= count)
    (storage.unsafelyUnwrapped + head + offset).storeBytes(of: value.littleEndian, as: UInt32.self)
  }

  /// A fixed-width integer, little-endian: the peer protocol's form.
  @inline(__always)
  public mutating func append<T: FixedWidthInteger>(littleEndian value: T) {
    reserve(MemoryLayout<T>.size).storeBytes(of: value.littleEndian, as: T.self)
    advance(MemoryLayout<T>.size)
  }

  /// A signed integer in decimal digits.
  @inline(__always)
  public mutating func append(decimal value: Int) {
    let place = reserve(20)
    advance(writeDecimal(value, to: place))
  }

  /// The bytes as an array of its own.
  public var bytes: [UInt8] { [UInt8](readable) }
}

extension UnsafeRawBufferPointer {
  /// The sub-range that starts at `offset`, unchecked beyond the debug build.
  @inline(__always)
  public func slice(_ offset: Int, _ length: Int) -> UnsafeRawBufferPointer {
    guard length > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(
      start: baseAddress.unsafelyUnwrapped + offset, count: length)
  }

  /// Equal bytes.
  @inline(__always)
  public func equals(_ other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    guard count > 0 else { return true }
    let left = baseAddress.unsafelyUnwrapped
    let right = other.baseAddress.unsafelyUnwrapped
    var at = 0
    while at &+ 8 <= count {
      if left.loadUnaligned(fromByteOffset: at, as: UInt64.self)
        != right.loadUnaligned(fromByteOffset: at, as: UInt64.self)
      {
        return false
      }
      at &+= 8
    }
    while at < count {
      if left.load(fromByteOffset: at, as: UInt8.self)
        != right.load(fromByteOffset: at, as: UInt8.self)
      {
        return false
      }
      at &+= 1
    }
    return true
  }

  /// Whether the bytes spell `word`, letters compared without case. `word` is in lower case.
  public func isWord(_ word: StaticString) -> Bool {
    guard count == word.utf8CodeUnitCount else { return false }
    for index in 0..<count where lowercased(self[index]) != word.utf8Start[index] { return false }
    return true
  }

  /// The bytes as text; bytes that are no UTF-8 are replaced.
  public var text: String { String(decoding: self, as: UTF8.self) }
}

/// An ASCII letter in lower case; any other byte unchanged.
@inline(__always)
public func lowercased(_ byte: UInt8) -> UInt8 {
  byte &- 65 < 26 ? byte | 0x20 : byte
}
