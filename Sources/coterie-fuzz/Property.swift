import Primitives

/// Ends the process, and libFuzzer's run with it, when `condition` does not hold.
@inline(__always)
func property(
  _ condition: Bool, _ words: @autoclosure () -> String, file: StaticString = #fileID,
  line: UInt = #line
) {
  invariant(condition, words(), file: file, line: line)
}

/// Shows `bytes` in an allocation of exactly their size, so that AddressSanitizer reports the first
/// byte that is read beyond them.
func withExactCopy<Result, Bytes: Collection<UInt8>>(
  of bytes: Bytes, _ body: (UnsafeRawBufferPointer) -> Result
) -> Result {
  let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
  defer { copy.deallocate() }
  copy.copyBytes(from: bytes)
  return body(UnsafeRawBufferPointer(copy))
}

/// The bytes that `write` appends.
func written(_ write: (inout ByteBuffer) -> Void) -> [UInt8] {
  var buffer = ByteBuffer()
  write(&buffer)
  return buffer.bytes
}

/// Two encodings in one input: the length of the first in two bytes, the first, the second.
struct Pair {
  let first: ArraySlice<UInt8>
  let second: ArraySlice<UInt8>

  init?(_ bytes: ArraySlice<UInt8>) {
    guard bytes.count >= 2 else { return nil }
    let length = Int(bytes[bytes.startIndex]) | Int(bytes[bytes.startIndex + 1]) << 8
    let rest = bytes.dropFirst(2)
    first = rest.prefix(length)
    second = rest.dropFirst(length)
  }

  /// An input that is read as this pair.
  static func bytes(_ first: [UInt8], _ second: [UInt8]) -> [UInt8] {
    [UInt8(truncatingIfNeeded: first.count), UInt8(truncatingIfNeeded: first.count >> 8)]
      + first + second
  }
}
