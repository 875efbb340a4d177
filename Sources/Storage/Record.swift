import Objects
import Primitives

/// One object in the table, by the address of its bytes.
///
///     u64  stamp
///     u64  actor's index (16) | value length (30) | key length or 255 (8) | flags (10)
///            flags = those of ObjectFlags (3) | tree (3) | 2 unused | block (1) | 1 unused
///     u32  when or how often it was used: see AccessClock
///     u64  deadline, Unix ms                        when flagged
///     u32  key length                               when the field above says 255
///     key, value                                    from `bigValueBytes` on the address of a blob
///
/// 20 bytes beside key and value, 28 with a TTL.
struct Record {
  let base: UnsafeMutableRawPointer

  static let headBytes = 20
  static let longKey = 255
  /// Flags above those of `ObjectFlags`.
  private static let blockFlag: UInt64 = 1 << 8
  private static let lengthMask: UInt64 = 1 << 30 - 1

  @inline(__always) init(_ base: UnsafeMutableRawPointer) { self.base = base }

  @inline(__always) var stamp: Stamp { Stamp(rawValue: base.load(as: UInt64.self)) }
  @inline(__always) private var word: UInt64 { base.load(fromByteOffset: 8, as: UInt64.self) }
  @inline(__always) var actorIndex: Int { Int(truncatingIfNeeded: word & 0xffff) }
  @inline(__always) var valueLength: Int {
    Int(truncatingIfNeeded: word >> 16 & Record.lengthMask)
  }
  @inline(__always) var flags: ObjectFlags {
    ObjectFlags(rawValue: UInt8(truncatingIfNeeded: word >> 54 & 7))
  }
  /// The hash tree that the record counts in.
  @inline(__always) var tree: Int { Int(truncatingIfNeeded: word >> 57 & 7) }
  /// Whether the record has a block of its own instead of a cell.
  @inline(__always) var isBlock: Bool { word >> 54 & Record.blockFlag != 0 }

  @inline(__always) private var shortKey: Int { Int(truncatingIfNeeded: word >> 46 & 0xff) }
  /// The bit of `ObjectFlags.deadline`, read where it lies.
  @inline(__always) var hasDeadline: Bool { word >> 56 & 1 == 1 }
  @inline(__always) private var deadlineBytes: Int { hasDeadline ? 8 : 0 }

  @inline(__always) var deadline: UInt64 {
    hasDeadline ? base.loadUnaligned(fromByteOffset: Record.headBytes, as: UInt64.self) : 0
  }

  @inline(__always) var keyLength: Int {
    let short = shortKey
    if _fastPath(short != Record.longKey) { return short }
    return Int(
      base.loadUnaligned(fromByteOffset: Record.headBytes &+ deadlineBytes, as: UInt32.self))
  }
  @inline(__always) private var keyOffset: Int {
    Record.headBytes &+ deadlineBytes &+ (shortKey == Record.longKey ? 4 : 0)
  }
  @inline(__always) var key: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base + keyOffset, count: keyLength)
  }
  /// Whether the value lies in a blob of its own.
  @inline(__always) var isBig: Bool { valueLength >= Limits.bigValueBytes }
  /// Behind the key: the value, or where it is.
  @inline(__always) var valueBase: UnsafeMutableRawPointer { base + keyOffset + keyLength }
  /// Of a big value.
  var blob: Blob {
    get { Blob(address: valueBase.loadUnaligned(as: UInt.self)) }
    nonmutating set { valueBase.storeBytes(of: newValue.address, as: UInt.self) }
  }
  @inline(__always) var valueStart: UnsafeMutableRawPointer {
    if _slowPath(isBig) { return blob.start }
    return valueBase
  }
  @inline(__always) var value: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: valueStart, count: valueLength)
  }
  /// Bytes in use, without those of a blob.
  @inline(__always) var size: Int { keyOffset &+ keyLength &+ Record.room(for: valueLength) }

  /// What a value takes in a record.
  @inline(__always)
  static func room(for valueLength: Int) -> Int {
    _fastPath(valueLength < Limits.bigValueBytes) ? valueLength : MemoryLayout<UInt>.size
  }

  /// The bytes a record needs.
  @inline(__always)
  static func size(keyLength: Int, valueLength: Int, hasDeadline: Bool) -> Int {
    headBytes &+ (hasDeadline ? 8 : 0) &+ (keyLength >= longKey ? 4 : 0) &+ keyLength
      &+ room(for: valueLength)
  }

  /// Writes everything but key and value.
  @inline(__always)
  func writeHead(
    stamp: Stamp, actorIndex: Int, flags: ObjectFlags, deadline: UInt64, keyLength: Int,
    valueLength: Int, isBlock: Bool, tree: Int
  ) {
    let short = keyLength < Record.longKey ? keyLength : Record.longKey
    var all = UInt64(flags.rawValue) | UInt64(truncatingIfNeeded: tree & 7) << 3
    if deadline != 0 { all |= UInt64(ObjectFlags.deadline.rawValue) }
    if isBlock { all |= Record.blockFlag }
    base.storeBytes(of: stamp.rawValue, as: UInt64.self)
    base.storeBytes(
      of: UInt64(truncatingIfNeeded: actorIndex) | UInt64(truncatingIfNeeded: valueLength) << 16
        | UInt64(truncatingIfNeeded: short) << 46 | all << 54,
      toByteOffset: 8, as: UInt64.self)
    var at = Record.headBytes
    if deadline != 0 {
      base.storeBytes(of: deadline, toByteOffset: at, as: UInt64.self)
      at &+= 8
    }
    if _slowPath(short == Record.longKey) {
      base.storeBytes(of: UInt32(keyLength), toByteOffset: at, as: UInt32.self)
    }
  }

  /// When or how often it was used.
  @inline(__always) var access: UInt32 {
    get { base.load(fromByteOffset: 16, as: UInt32.self) }
    nonmutating set { base.storeBytes(of: newValue, toByteOffset: 16, as: UInt32.self) }
  }

  /// Moves the record to another tree, in place.
  func writeTree(_ tree: Int) {
    let rest = word & ~(7 << 57)
    base.storeBytes(
      of: rest | UInt64(truncatingIfNeeded: tree & 7) << 57, toByteOffset: 8, as: UInt64.self)
  }
}
