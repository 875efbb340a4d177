import Primitives

/// The opaque token that VGET hands out and VSET and VDEL take: a causal context in printable form.
///
/// `c1` and base64url of the encoded context and a 32-bit checksum of it. The empty token says "I
/// have seen nothing". A token that was cut, mistyped or made by another release is an error to the
/// client and never a sibling.
public enum ContextToken {
  private static let mark: [UInt8] = Array("c1".utf8)
  private static let digits = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
  private static let checksumSeed: UInt64 = 0xc07e_51e0

  public static func print(_ context: CausalContext) -> [UInt8] {
    var buffer = ByteBuffer()
    context.encode(to: &buffer)
    let sum = UInt32(truncatingIfNeeded: hashKey(buffer.readable, seed: checksumSeed))
    buffer.append(littleEndian: sum)
    return mark + base64(buffer.bytes)
  }

  /// Nil for a bad token.
  public static func parse(_ token: UnsafeRawBufferPointer) -> CausalContext? {
    if token.isEmpty { return CausalContext() }
    guard token.count > mark.count, token[0] == mark[0], token[1] == mark[1],
      let bytes = unbase64(token.slice(2, token.count - 2)), bytes.count > 4
    else { return nil }
    return bytes.withUnsafeBytes { raw in
      let body = raw.slice(0, raw.count - 4)
      let sum = UInt32(truncatingIfNeeded: hashKey(body, seed: checksumSeed))
      guard raw.integer(raw.count - 4, as: UInt32.self) == sum,
        let (context, end) = CausalContext.decode(body), end == body.count
      else { return nil }
      return context
    }
  }

  private static func base64(_ bytes: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 4 / 3 + 3)
    var at = 0
    while at < bytes.count {
      let present = min(3, bytes.count - at)
      var group: UInt32 = 0
      for index in 0..<3 { group = group << 8 | (index < present ? UInt32(bytes[at + index]) : 0) }
      for index in 0...present { text.append(digits[Int(group >> UInt32(18 - 6 * index) & 63)]) }
      at += 3
    }
    return text
  }

  private static func unbase64(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
    guard text.count % 4 != 1 else { return nil }
    var bytes: [UInt8] = []
    var group: UInt32 = 0
    var held = 0
    for byte in text {
      guard let digit = digits.firstIndex(of: byte) else { return nil }
      group = group << 6 | UInt32(digit)
      held += 6
      if held >= 8 {
        held -= 8
        bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(held)))
      }
    }
    // Left-over bits must be zero, so that one context has one token.
    guard group & (1 << UInt32(held) - 1) == 0 else { return nil }
    return bytes
  }
}
