/// A 64-bit hash of a key: multiply-and-fold over 16 bytes a step, seeded by the node.
///
/// After Wang Yi's wyhash (public domain): two 64-bit lanes are mixed by one 64×64→128
/// multiplication whose halves are folded together. The seed is random per node, so that a client
/// can't choose keys that collide.
@inline(__always)
public func hashKey(_ key: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
  let count = key.count
  // Both factors of each product hide behind the seed, or a key that makes one of them 0 would have
  // the same hash under every seed.
  let hidden = secret2 ^ (seed << 32 | seed >> 32) &* secret1
  guard count > 0 else { return fold(seed ^ secret0, secret1) }
  let base = key.baseAddress.unsafelyUnwrapped
  var state = seed ^ secret0
  var low: UInt64
  var high: UInt64
  if count <= 16 {
    if count >= 8 {
      low = base.loadUnaligned(as: UInt64.self)
      high = base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
    } else if count >= 4 {
      low = UInt64(base.loadUnaligned(as: UInt32.self))
      high = UInt64(base.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
    } else {
      low =
        UInt64(base.load(as: UInt8.self)) << 16
        | UInt64(base.load(fromByteOffset: count >> 1, as: UInt8.self)) << 8
        | UInt64(base.load(fromByteOffset: count &- 1, as: UInt8.self))
      high = 0
    }
  } else {
    var at = 0
    while at &+ 16 < count {
      state = fold(
        base.loadUnaligned(fromByteOffset: at, as: UInt64.self) ^ hidden,
        base.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self) ^ state)
      at &+= 16
    }
    low = base.loadUnaligned(fromByteOffset: count &- 16, as: UInt64.self)
    high = base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
  }
  return fold(secret1 ^ UInt64(truncatingIfNeeded: count), fold(low ^ hidden, high ^ state))
}

public var secret0: UInt64 { 0xa076_1d64_78bd_642f }
public var secret1: UInt64 { 0xe703_7ed1_a0b4_28db }
public var secret2: UInt64 { 0x8ebc_6af0_9c88_c6e3 }

@inline(__always)
public func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
  let product = left.multipliedFullWidth(by: right)
  return product.high ^ product.low
}

/// Spreads the bits of `value`: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
@inline(__always)
public func mix(_ value: UInt64) -> UInt64 {
  var z = value &+ 0x9e37_79b9_7f4a_7c15
  z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
  z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
  return z ^ z >> 31
}
