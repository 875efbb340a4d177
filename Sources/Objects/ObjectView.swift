import Primitives

/// What an object is, beside its bytes.
///
/// Not an `OptionSet`: used from another module its operations go through generic witnesses, which
/// took 15 % of a SET.
public struct ObjectFlags: Sendable, Equatable {
  public var rawValue: UInt8

  @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static var none: ObjectFlags { ObjectFlags(rawValue: 0) }
  /// A deletion, or an expired object whose value was dropped; it has no value.
  public static var tombstone: ObjectFlags { ObjectFlags(rawValue: 1) }
  /// The value is an encoded `SiblingSet`.
  public static var siblings: ObjectFlags { ObjectFlags(rawValue: 2) }
  /// A sibling set in which nothing is left.
  public static var emptySiblings: ObjectFlags { ObjectFlags(rawValue: 3) }
  /// A deadline follows.
  public static var deadline: ObjectFlags { ObjectFlags(rawValue: 4) }

  @inline(__always)
  public func contains(_ other: ObjectFlags) -> Bool { rawValue & other.rawValue != 0 }

  @inline(__always)
  public func with(_ other: ObjectFlags) -> ObjectFlags {
    ObjectFlags(rawValue: rawValue | other.rawValue)
  }

  @inline(__always)
  public func without(_ other: ObjectFlags) -> ObjectFlags {
    ObjectFlags(rawValue: rawValue & ~other.rawValue)
  }

  /// Whether no bit is set that has no meaning.
  public var isValid: Bool { rawValue < 8 }
}

/// A stored or received object, by reference: value + deadline + version + tombstone flag.
///
/// The bytes belong to the table or to a frame; a view must not outlive the step that made it.
public struct ObjectView {
  public var version: Version
  /// Unix milliseconds; 0 when there is none. For sibling sets each sibling has its own.
  public var deadline: UInt64
  public var flags: ObjectFlags
  public var value: UnsafeRawBufferPointer
  /// Where a big value of the table lies, for who sends it without copying.
  public var blob: Blob?

  @inline(__always)
  public init(
    version: Version, deadline: UInt64, flags: ObjectFlags, value: UnsafeRawBufferPointer,
    blob: Blob? = nil
  ) {
    self.version = version
    self.deadline = deadline
    self.flags = flags
    self.value = value
    self.blob = blob
  }

  @inline(__always) public var isTombstone: Bool { flags.contains(.tombstone) }
  @inline(__always) public var isSiblings: Bool { flags.contains(.siblings) }

  /// What a client sees at `now`: the value, or the highest living sibling's; nil when it is dead.
  @inline(__always)
  public func live(at now: UInt64) -> LiveValue? {
    if _slowPath(isSiblings) { return SiblingSet.highestLive(in: value, at: now) }
    if isTombstone || (deadline != 0 && deadline <= now) { return nil }
    return LiveValue(bytes: value, deadline: deadline, blob: blob)
  }
}

/// What a command reads of an object: bytes and deadline (0: none).
public struct LiveValue {
  public var bytes: UnsafeRawBufferPointer
  public var deadline: UInt64
  /// Where a big value of the table lies.
  public var blob: Blob?

  @inline(__always)
  public init(bytes: UnsafeRawBufferPointer, deadline: UInt64, blob: Blob? = nil) {
    self.bytes = bytes
    self.deadline = deadline
    self.blob = blob
  }
}

// MARK: On the wire

extension ObjectView {
  /// Bytes of the head on the wire, without the deadline.
  public static var headBytes: Int { 17 }

  /// Appends flags, stamp, actor, deadline if there is one, value: to the end of a frame.
  @inline(__always)
  public func encode(to buffer: inout ByteBuffer) {
    let hasDeadline = deadline != 0
    let size = ObjectView.headBytes &+ (hasDeadline ? 8 : 0) &+ value.count
    let place = buffer.reserve(size)
    let wire = hasDeadline ? flags.with(.deadline) : flags.without(.deadline)
    place.storeBytes(of: wire.rawValue, as: UInt8.self)
    place.storeBytes(of: version.stamp.rawValue.littleEndian, toByteOffset: 1, as: UInt64.self)
    place.storeBytes(of: version.actor.rawValue.littleEndian, toByteOffset: 9, as: UInt64.self)
    var at = ObjectView.headBytes
    if hasDeadline {
      place.storeBytes(of: deadline.littleEndian, toByteOffset: at, as: UInt64.self)
      at &+= 8
    }
    if let base = value.baseAddress, value.count > 0 {
      (place + at).copyMemory(from: base, byteCount: value.count)
    }
    buffer.advance(size)
  }

  /// As `encode`, but a big value of the table is attached instead of copied: for outputs.
  @inline(__always)
  public func encode(attachingTo buffer: inout ByteBuffer) {
    guard _slowPath(blob != nil) else { return encode(to: &buffer) }
    encodeHead(to: &buffer)
    buffer.append(value, in: blob)
  }

  /// Everything in front of the value.
  public func encodeHead(to buffer: inout ByteBuffer) {
    var head = self
    head.value = UnsafeRawBufferPointer(start: nil, count: 0)
    head.encode(to: &buffer)
  }

  /// Bytes that `encode` appends.
  public var encodedSize: Int {
    ObjectView.headBytes + (deadline != 0 ? 8 : 0) + value.count
  }

  /// Reads an object that takes all of `bytes`; nil when they are none.
  @inline(__always)
  public static func decode(_ bytes: UnsafeRawBufferPointer) -> ObjectView? {
    guard bytes.count >= headBytes else { return nil }
    let flags = ObjectFlags(rawValue: bytes[0])
    guard flags.isValid else { return nil }
    let stamp = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
    let actor = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 9, as: UInt64.self))
    var at = headBytes
    var deadline: UInt64 = 0
    if flags.contains(.deadline) {
      guard bytes.count >= at &+ 8 else { return nil }
      deadline = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      at &+= 8
    }
    guard deadline <= UInt64(Int.max), bytes.count &- at <= Limits.recordValueBytes else {
      return nil
    }
    let value = bytes.slice(at, bytes.count &- at)
    if flags.contains(.tombstone), !flags.contains(.siblings), value.count > 0 { return nil }
    let version = Version(stamp: Stamp(rawValue: stamp), actor: Actor(rawValue: actor))
    // The version of what is absent is no write's, and no set could hold it as a sibling.
    guard version != .none else { return nil }
    if flags.contains(.siblings) {
      // The head of a set says again what the set says.
      guard deadline == 0, let set = SiblingSet(decoding: value), set.version == version,
        flags.contains(.tombstone) == set.siblings.isEmpty
      else { return nil }
    }
    return ObjectView(version: version, deadline: deadline, flags: flags, value: value)
  }
}
