import Primitives

/// The arguments of one request, as ranges of the bytes that they came in.
///
/// A list is reused from request to request: appending allocates only until the longest request so
/// far has been seen, and a list that grew beyond `retained` entries is given back.
public struct ArgumentList: ~Copyable {
  struct Range {
    var offset: Int
    var length: Int
  }

  var ranges: UnsafeMutablePointer<Range>?
  private var capacity = 0
  public private(set) var count = 0
  var base: UnsafeRawPointer?
  /// Inline requests are unescaped into bytes of their own.
  private var unescaped = ByteBuffer()

  private static let retained = 4096

  public init() {}

  deinit { ranges?.deallocate() }

  /// Argument `index`; valid while the request's bytes are.
  @inline(__always)
  public subscript(index: Int) -> UnsafeRawBufferPointer {
    let range = ranges.unsafelyUnwrapped[index]
    return UnsafeRawBufferPointer(
      start: base.unsafelyUnwrapped + range.offset, count: range.length)
  }

  /// How far the arguments reach from the request's beginning: about the request's length.
  @inline(__always)
  public var extent: Int {
    let last = ranges.unsafelyUnwrapped[count &- 1]
    return last.offset &+ last.length
  }

  /// Empties the list for a request whose bytes begin at `base`.
  @inline(__always)
  public mutating func reset(base: UnsafeRawPointer) {
    self.base = base
    count = 0
    if _slowPath(capacity > ArgumentList.retained) { release() }
  }

  /// Whether the list has memory to give back.
  public var holdsMemory: Bool { capacity > 0 || unescaped.capacity > 0 }

  /// The request's bytes moved; the ranges hold.
  public mutating func rebase(_ base: UnsafeRawPointer) { self.base = base }

  @inline(__always)
  public mutating func append(offset: Int, length: Int) {
    if _slowPath(count == capacity) { grow() }
    ranges.unsafelyUnwrapped[count] = Range(offset: offset, length: length)
    count &+= 1
  }

  @inline(never)
  private mutating func grow() {
    let size = max(16, capacity * 2)
    let fresh = UnsafeMutablePointer<Range>.allocate(capacity: size)
    if let ranges {
      fresh.update(from: ranges, count: count)
      ranges.deallocate()
    }
    ranges = fresh
    capacity = size
  }

  private mutating func release() {
    ranges?.deallocate()
    ranges = nil
    capacity = 0
  }

  /// Fills the list from separate byte strings: for commands that a node makes itself.
  public mutating func fill(_ words: [[UInt8]]) {
    unescaped.removeAll()
    count = 0
    for word in words {
      let start = unescaped.count
      unescaped.append(word)
      append(offset: start, length: word.count)
    }
    _ = unescaped.reserve(1)
    base = unescaped.readable.baseAddress
  }

  /// Fills the list with a name and some words of another list, which are valid while those are.
  public mutating func fill(
    _ name: StaticString, _ other: borrowing ArgumentList, _ words: Swift.Range<Int>
  ) {
    count = 0
    let start = UnsafeRawPointer(name.utf8Start)
    base = start
    append(offset: 0, length: name.utf8CodeUnitCount)
    for index in words {
      let word = other[index]
      append(offset: word.baseAddress.unsafelyUnwrapped - start, length: word.count)
    }
  }
}

// MARK: Inline requests

extension ArgumentList {
  /// Splits a line in words as Redis's `sdssplitargs`: `"…"` with `\xHH \n \r \t \b \a`, `'…'` with
  /// `\'`. False when a quote is open or a word goes on right behind a closing quote.
  public mutating func splitInline(_ line: UnsafeRawBufferPointer) -> Bool {
    unescaped.removeAll()
    count = 0
    var at = 0
    while true {
      while at < line.count, isSpace(line[at]) { at += 1 }
      if at == line.count { break }
      let start = unescaped.count
      guard let next = word(line, at) else { return false }
      append(offset: start, length: unescaped.count - start)
      at = next
    }
    _ = unescaped.reserve(1)
    base = unescaped.readable.baseAddress
    return true
  }

  private func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (byte >= 9 && byte <= 13) }

  /// Unescapes the word at `start`; returns the place behind it, nil when it is broken.
  private mutating func word(_ line: UnsafeRawBufferPointer, _ start: Int) -> Int? {
    var at = start
    while at < line.count, !isSpace(line[at]), line[at] != 0 {
      switch line[at] {
      case UInt8(ascii: "\""), UInt8(ascii: "'"):
        guard let end = quoted(line, at), end == line.count || isSpace(line[end]) else {
          return nil
        }
        return end
      default:
        unescaped.append(line[at])
        at += 1
      }
    }
    return at < line.count && line[at] == 0 ? line.count : at
  }

  private mutating func quoted(_ line: UnsafeRawBufferPointer, _ start: Int) -> Int? {
    let quote = line[start]
    var at = start + 1
    while at < line.count {
      let byte = line[at]
      if byte == quote { return at + 1 }
      if byte == UInt8(ascii: "\\"), at + 1 < line.count {
        if quote == UInt8(ascii: "\"") {
          at = escape(line, at + 1)
          continue
        }
        if line[at + 1] == quote {
          unescaped.append(quote)
          at += 2
          continue
        }
      }
      unescaped.append(byte)
      at += 1
    }
    return nil
  }

  private mutating func escape(_ line: UnsafeRawBufferPointer, _ at: Int) -> Int {
    if line[at] == UInt8(ascii: "x"), at + 2 < line.count, let high = hexDigit(line[at + 1]),
      let low = hexDigit(line[at + 2])
    {
      unescaped.append(high << 4 | low)
      return at + 3
    }
    switch line[at] {
    case UInt8(ascii: "n"): unescaped.append(10)
    case UInt8(ascii: "r"): unescaped.append(13)
    case UInt8(ascii: "t"): unescaped.append(9)
    case UInt8(ascii: "b"): unescaped.append(8)
    case UInt8(ascii: "a"): unescaped.append(7)
    default: unescaped.append(line[at])
    }
    return at + 1
  }

  private func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 48...57: byte - 48
    case 65...70: byte - 55
    case 97...102: byte - 87
    default: nil
    }
  }
}
