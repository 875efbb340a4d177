import Primitives

/// Up to some hundred entries of one slot, sorted by fingerprint: the unit of growth and of scans.
///
///     u16 used | u16 capacity | u8 depth | 3 bytes unused | capacity × u64 entry
///     entry = fingerprint (16) | address of the record (48, the low 3 bits are flags)
///
/// Fingerprints are evenly spread hash bits, so an entry's place is known within a few entries from
/// its fingerprint alone: interpolation instead of probing. There are no gaps and no deleted marks;
/// an entry costs 8 bytes and the slack of one growth step. An insertion moves half of at most
/// `splitAt` entries: 512 bytes. Order by fingerprint is what SCAN's cursor counts in.
struct Segment {
  let base: UnsafeMutableRawPointer

  static let headBytes = 8
  /// A segment that holds this many entries is split in two before it takes another.
  static let splitAt = 128
  /// The deepest directory: 2^16 segments a slot. Beyond, segments grow.
  static let deepest = 16

  @inline(__always) init(_ base: UnsafeMutableRawPointer) { self.base = base }

  static func make(capacity: Int, depth: Int) -> Segment {
    let base = UnsafeMutableRawPointer.allocate(
      byteCount: headBytes + capacity * 8, alignment: 8)
    let segment = Segment(base)
    segment.used = 0
    segment.capacity = capacity
    segment.depth = depth
    return segment
  }

  @inline(__always) var used: Int {
    get { Int(base.load(as: UInt16.self)) }
    nonmutating set { base.storeBytes(of: UInt16(truncatingIfNeeded: newValue), as: UInt16.self) }
  }
  @inline(__always) var capacity: Int {
    get { Int(base.load(fromByteOffset: 2, as: UInt16.self)) }
    nonmutating set {
      base.storeBytes(
        of: UInt16(truncatingIfNeeded: newValue), toByteOffset: 2, as: UInt16.self)
    }
  }
  /// How many bits of the hash all entries share; below the directory's depth, several of its
  /// places lead here.
  @inline(__always) var depth: Int {
    get { Int(base.load(fromByteOffset: 4, as: UInt8.self)) }
    nonmutating set {
      base.storeBytes(of: UInt8(truncatingIfNeeded: newValue), toByteOffset: 4, as: UInt8.self)
    }
  }
  @inline(__always) var entries: UnsafeMutablePointer<UInt64> {
    (base + Segment.headBytes).assumingMemoryBound(to: UInt64.self)
  }
  var bytes: Int { Segment.headBytes + capacity * 8 }

  /// The first entry whose fingerprint is not below `fingerprint`.
  @inline(__always)
  func lowerBound(_ fingerprint: UInt64) -> Int {
    let used = used
    let entries = entries
    var at = Int(truncatingIfNeeded: (fingerprint &* UInt64(truncatingIfNeeded: used)) >> 16)
    if at < used, entries[at] >> 48 < fingerprint {
      repeat { at &+= 1 } while at < used && entries[at] >> 48 < fingerprint
      return at
    }
    while at > 0, entries[at &- 1] >> 48 >= fingerprint { at &-= 1 }
    return at
  }

  /// The room that `count` entries get: an eighth to spare, at least two.
  static func capacity(for count: Int) -> Int { min(max(2, (count + count / 8 + 2) & ~1), 65_535) }
}

/// An entry of a segment.
struct Entry {
  let bits: UInt64

  static let addressMask: UInt64 = 0x0000_ffff_ffff_fff8
  static let deadlineFlag: UInt64 = 1
  static let tombstoneFlag: UInt64 = 2

  @inline(__always) init(_ bits: UInt64) { self.bits = bits }

  @inline(__always)
  init(fingerprint: UInt64, record: UnsafeMutableRawPointer, flags: UInt64) {
    bits = fingerprint << 48 | UInt64(UInt(bitPattern: record)) | flags
  }

  @inline(__always) var record: Record {
    Record(
      UnsafeMutableRawPointer(bitPattern: UInt(bits & Entry.addressMask)).unsafelyUnwrapped)
  }
  @inline(__always) var hasDeadline: Bool { bits & Entry.deadlineFlag != 0 }
  @inline(__always) var isTombstone: Bool { bits & Entry.tombstoneFlag != 0 }
}
