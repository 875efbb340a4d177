import Primitives

/// One of the 16384 buckets of keys, as in Redis Cluster.
public struct Slot: Hashable, Comparable, Sendable {
  public static let count = 16384

  public var index: Int

  @inline(__always) public init(_ index: Int) { self.index = index }

  public static func < (left: Slot, right: Slot) -> Bool { left.index < right.index }
}

/// Finds the slot of a key: CRC16 of the key, or of its {hash tag}, modulo 16384.
///
/// The CRC is CCITT's (polynomial 0x1021, start 0, "XMODEM"), as Redis Cluster's specification says
/// (appendix A). Eight bytes are taken a step with eight tables (Kounavis and Berry, "Novel table
/// lookup-based algorithms for high-performance CRC generation", 2005): a 16-byte key costs two
/// steps instead of sixteen dependent look-ups.
public struct SlotHasher: ~Copyable {
  private let tables: UnsafeMutablePointer<UInt16>

  public init() {
    tables = UnsafeMutablePointer<UInt16>.allocate(capacity: 8 * 256)
    for byte in 0..<256 {
      var crc = UInt16(byte) << 8
      for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
      tables[byte] = crc
    }
    for level in 1..<8 {
      for byte in 0..<256 {
        let crc = tables[(level - 1) * 256 + byte]
        tables[level * 256 + byte] = crc << 8 ^ tables[Int(crc >> 8)]
      }
    }
  }

  deinit { tables.deallocate() }

  /// The slot of `key`. Cost: the tag search, and two table steps for 16 bytes.
  @inline(__always)
  public func slot(of key: UnsafeRawBufferPointer) -> Slot {
    Slot(Int(crc(hashed(key)) & 0x3fff))
  }

  /// What of the key is hashed: the bytes between the first `{` and the next `}` unless there are
  /// none, else the whole key.
  @inline(__always)
  private func hashed(_ key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    var at = 0
    let count = key.count
    // Eight bytes at a time: is one of them a brace (Mycroft's test for a zero byte)?
    while at &+ 8 <= count {
      let word =
        key.loadUnaligned(fromByteOffset: at, as: UInt64.self) ^ 0x7b7b_7b7b_7b7b_7b7b
      if _slowPath((word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080 != 0) { break }
      at &+= 8
    }
    while at < count {
      if _slowPath(key[at] == UInt8(ascii: "{")) { return tag(key, opened: at) }
      at &+= 1
    }
    return key
  }

  @inline(never)
  private func tag(_ key: UnsafeRawBufferPointer, opened: Int) -> UnsafeRawBufferPointer {
    var close = opened + 1
    while close < key.count, key[close] != UInt8(ascii: "}") { close += 1 }
    if close == key.count || close == opened + 1 { return key }
    return key.slice(opened + 1, close - opened - 1)
  }

  @inline(__always)
  public func crc(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
    var crc: UInt16 = 0
    var at = 0
    let count = bytes.count
    while at &+ 8 <= count {
      let word = bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
      let first = Int(UInt8(truncatingIfNeeded: word) ^ UInt8(truncatingIfNeeded: crc >> 8))
      let second = Int(UInt8(truncatingIfNeeded: word >> 8) ^ UInt8(truncatingIfNeeded: crc))
      var next = tables[7 &* 256 &+ first] ^ tables[6 &* 256 &+ second]
      next ^= tables[5 &* 256 &+ Int(truncatingIfNeeded: word >> 16 & 0xff)]
      next ^= tables[4 &* 256 &+ Int(truncatingIfNeeded: word >> 24 & 0xff)]
      next ^= tables[3 &* 256 &+ Int(truncatingIfNeeded: word >> 32 & 0xff)]
      next ^= tables[2 &* 256 &+ Int(truncatingIfNeeded: word >> 40 & 0xff)]
      next ^= tables[1 &* 256 &+ Int(truncatingIfNeeded: word >> 48 & 0xff)]
      next ^= tables[Int(truncatingIfNeeded: word >> 56)]
      crc = next
      at &+= 8
    }
    while at < count {
      crc = crc << 8 ^ tables[Int(UInt8(truncatingIfNeeded: crc >> 8) ^ bytes[at])]
      at &+= 1
    }
    return crc
  }
}
