// Numbers as Redis reads and writes them. Reading never trusts: every step reports overflow.

/// The two digits of every number below 100, so that a division yields two digits at once.
public var digitPairs: StaticString {
  """
  0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546\
  474849505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394\
  9596979899
  """
}

/// Writes `value` in decimal to `place`, which has room for 20 bytes. Returns the bytes written.
@inline(__always)
public func writeDecimal(_ value: Int, to place: UnsafeMutableRawPointer) -> Int {
  var magnitude = value.magnitude
  var at = 0
  if value < 0 {
    place.storeBytes(of: 45, as: UInt8.self)
    at = 1
  }
  if magnitude < 10 {
    place.storeBytes(
      of: UInt8(truncatingIfNeeded: magnitude) &+ 48, toByteOffset: at, as: UInt8.self)
    return at &+ 1
  }
  let digits = decimalWidth(magnitude)
  var end = at &+ digits
  while magnitude >= 100 {
    let (quotient, pair) = magnitude.quotientAndRemainder(dividingBy: 100)
    end &-= 2
    let source = digitPairs.utf8Start + Int(truncatingIfNeeded: pair) &* 2
    (place + end).copyMemory(from: source, byteCount: 2)
    magnitude = quotient
  }
  if magnitude >= 10 {
    let source = digitPairs.utf8Start + Int(truncatingIfNeeded: magnitude) &* 2
    (place + (end &- 2)).copyMemory(from: source, byteCount: 2)
  } else {
    place.storeBytes(
      of: UInt8(truncatingIfNeeded: magnitude) &+ 48, toByteOffset: end &- 1, as: UInt8.self)
  }
  return at &+ digits
}

/// How many decimal digits `value` has.
public func decimalWidth(_ value: UInt) -> Int {
  var width = 1
  var rest = value
  while rest >= 10_000 {
    rest /= 10_000
    width &+= 4
  }
  if rest >= 1000 { return width &+ 3 }
  if rest >= 100 { return width &+ 2 }
  if rest >= 10 { return width &+ 1 }
  return width
}

/// A signed 64-bit integer in the one spelling Redis takes: no sign `+`, no leading zero, no space,
/// and no overflow. Nil for all else.
@inline(__always)
public func parseInteger(_ bytes: UnsafeRawBufferPointer) -> Int? {
  let count = bytes.count
  guard count > 0, count <= 20 else { return nil }
  var at = 0
  let negative = bytes[0] == 45
  if negative {
    at = 1
    guard count > 1 else { return nil }
  }
  let first = bytes[at] &- 48
  if first == 0 { return count == 1 ? 0 : nil }
  guard first < 10 else { return nil }
  var magnitude = UInt64(first)
  at &+= 1
  while at < count {
    let digit = bytes[at] &- 48
    guard digit < 10 else { return nil }
    let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
    let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
    if overflow || carry { return nil }
    magnitude = sum
    at &+= 1
  }
  if negative {
    guard magnitude <= UInt64(Int.max) + 1 else { return nil }
    return Int(truncatingIfNeeded: 0 &- magnitude)
  }
  return magnitude <= UInt64(Int.max) ? Int(magnitude) : nil
}

/// An unsigned 64-bit integer of digits only, as in a SCAN cursor. Nil for all else.
public func parseUnsigned(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
  guard bytes.count > 0, bytes.count <= 20 else { return nil }
  var value: UInt64 = 0
  for byte in bytes {
    let digit = byte &- 48
    guard digit < 10 else { return nil }
    let (product, overflow) = value.multipliedReportingOverflow(by: 10)
    let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
    if overflow || carry { return nil }
    value = sum
  }
  return value
}
