// INCRBYFLOAT computes in C's `long double`, and clients see the digits that gives: 80-bit on x86.

#if arch(x86_64) || arch(i386)
  /// What INCRBYFLOAT computes in; the 80-bit format where the processor has it, as Redis does.
  public typealias ExtendedFloat = Float80
#else
  public typealias ExtendedFloat = Double
#endif

/// A number in the spellings that Redis takes for INCRBYFLOAT: no spaces, no NaN; `inf` is a number.
public func parseFloat(_ bytes: UnsafeRawBufferPointer) -> ExtendedFloat? {
  guard bytes.count > 0, bytes.count < 256, !isSpace(bytes[0]), bytes[bytes.count - 1] != 0 else {
    return nil
  }
  guard let value = ExtendedFloat(bytes.text), !value.isNaN else { return nil }
  // `inf` is a number, a number that overflows is none.
  if value.isInfinite, bytes.contains(where: { $0 >= 48 && $0 <= 57 }) { return nil }
  // So is one that is too small to be told from 0.
  let mantissa = bytes.prefix { $0 | 0x20 != UInt8(ascii: "e") }
  if value == 0, mantissa.contains(where: { $0 >= 49 && $0 <= 57 }) { return nil }
  return value
}

private func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (byte >= 9 && byte <= 13) }

/// `value` as `%.17Lf` prints it, without the zeros at the end: Redis's "human friendly" form.
///
/// The digits are exact: the binary fraction is expanded in decimal with big integers and rounded
/// half to even at the 17th place, as the C library does.
public func formatFloat(_ value: ExtendedFloat) -> String {
  guard value.isFinite else { return value < 0 ? "-inf" : "inf" }
  guard value != 0 else { return "0" }
  let places = 17
  let bits = ExtendedFloat.significandBitCount + 1
  // value = mantissa × 2^exponent, with an integral mantissa of `bits` bits.
  let exponent = Int(value.exponent) - (bits - 1)
  let mantissa = UInt64((value.magnitude.significand * power(ofTwo: bits - 1)))
  var digits = BigDecimal(mantissa)
  if exponent >= 0 {
    for _ in 0..<exponent { digits.multiply(by: 2) }
    for _ in 0..<places { digits.multiply(by: 10) }
  } else {
    for _ in 0..<places { digits.multiply(by: 10) }
    digits.shiftRightRoundingHalfToEven(-exponent)
  }
  var text = digits.description
  if text.count <= places { text = String(repeating: "0", count: places + 1 - text.count) + text }
  var whole = String(text.dropLast(places))
  var fraction = String(text.suffix(places))
  while fraction.last == "0" { fraction.removeLast() }
  // What rounds to nothing has no sign.
  if value.sign == .minus, whole != "0" || !fraction.isEmpty { whole = "-" + whole }
  return fraction.isEmpty ? whole : whole + "." + fraction
}

private func power(ofTwo exponent: Int) -> ExtendedFloat {
  ExtendedFloat(sign: .plus, exponent: ExtendedFloat.Exponent(exponent), significand: 1)
}

/// A natural number of any size, in binary limbs; just enough for printing floats.
private struct BigDecimal: CustomStringConvertible {
  private var limbs: [UInt32]

  init(_ value: UInt64) {
    limbs = [UInt32(truncatingIfNeeded: value), UInt32(truncatingIfNeeded: value >> 32)]
  }

  mutating func multiply(by factor: UInt32) {
    var carry: UInt64 = 0
    for index in limbs.indices {
      let product = UInt64(limbs[index]) * UInt64(factor) + carry
      limbs[index] = UInt32(truncatingIfNeeded: product)
      carry = product >> 32
    }
    if carry > 0 { limbs.append(UInt32(carry)) }
  }

  mutating func shiftRightRoundingHalfToEven(_ shift: Int) {
    var half = false
    var rest = false
    for bit in 0..<shift {
      let set = bit / 32 < limbs.count && limbs[bit / 32] >> UInt32(bit % 32) & 1 == 1
      if bit == shift - 1 { half = set } else { rest = rest || set }
    }
    let words = shift / 32
    let bits = UInt32(shift % 32)
    limbs = words < limbs.count ? Array(limbs[words...]) : [0]
    if bits > 0 {
      for index in limbs.indices {
        let high = index + 1 < limbs.count ? limbs[index + 1] << (32 - bits) : 0
        limbs[index] = limbs[index] >> bits | high
      }
    }
    if half && (rest || limbs[0] & 1 == 1) { increment() }
  }

  private mutating func increment() {
    for index in limbs.indices {
      let (sum, overflow) = limbs[index].addingReportingOverflow(1)
      limbs[index] = sum
      if !overflow { return }
    }
    limbs.append(1)
  }

  var description: String {
    var limbs = limbs
    var groups: [String] = []
    repeat {
      var remainder: UInt64 = 0
      for index in limbs.indices.reversed() {
        let value = remainder << 32 | UInt64(limbs[index])
        limbs[index] = UInt32(value / 1_000_000_000)
        remainder = value % 1_000_000_000
      }
      groups.append(String(remainder))
      while limbs.count > 1, limbs[limbs.count - 1] == 0 { limbs.removeLast() }
    } while limbs != [0]
    var text = groups.removeLast()
    for group in groups.reversed() {
      text += String(repeating: "0", count: 9 - group.count) + group
    }
    return text
  }
}
