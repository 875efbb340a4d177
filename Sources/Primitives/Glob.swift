// # Glob patterns
//
// Redis's rules: `*`, `?`, `[a-z]`, `[^a]`, `\x`; everything but `*` takes exactly one byte. Its
// quirks are kept, for clients see them: a class that is never closed ends with the pattern, a `\`
// that is last stands for itself, an escaped byte in a class is compared as it is even where case
// is ignored, the ends of a range are signed bytes, as C's `char` is on x86 (`[a-\xff]` takes what
// is *not* between: -1 to 97), and the empty text matches `*`, but not `**`.
//
// A pattern comes from anybody who may send KEYS, SCAN or a rule, so it may be made to be slow.
// Two ways, the second only where the first turns out to be slow:
//
//     straight    remember the last star, go back to it: no memory, and linear for what people write
//     shift-and   once the first took too many steps: what is between two stars is looked for with
//                 one bit an element and all elements at once, 64 a step; what follows the last
//                 star is compared where it must stand, at the end
//
// The first alone takes pattern × text steps (`*aaa…ab*` in `aaa…a`): 10 ms for two times 4 KiB,
// the second 0.2. Recursion, as in Redis, takes a stack as deep as there are stars. See Cox, "Glob
// Matching Can Be Simple And Fast Too", and Baeza-Yates and Gonnet, "A New Approach to Text
// Searching", CACM 1992.

/// Whether `text` matches the glob `pattern`, with Redis's rules. Never recursive; the cost is
/// bounded as `GlobMatcher.mostSteps` says.
public func globMatch(
  pattern: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, ignoringCase: Bool
) -> Bool {
  var matcher = GlobMatcher(pattern, ignoringCase: ignoringCase)
  return matcher.matches(text)
}

/// One comparison of a pattern with a text, and what it cost.
public struct GlobMatcher {
  /// Bytes of the pattern and words of bits that were looked at: never above `mostSteps`.
  public private(set) var steps = 0

  private let pattern: UnsafeRawBufferPointer
  private let ignoringCase: Bool
  private let allowance: Int

  /// `allowance`: steps of the straight way for each byte of pattern and text, beside
  /// `freeSteps`: more than a pattern takes that was not made to be slow, and few beside those of the
  /// other way. Tests say 0 to see the other way alone.
  public init(
    _ pattern: UnsafeRawBufferPointer, ignoringCase: Bool,
    allowance: Int = GlobMatcher.usualAllowance
  ) {
    self.pattern = pattern
    self.ignoringCase = ignoringCase
    self.allowance = allowance
  }

  public static var usualAllowance: Int { 8 }

  /// A key of usual length is done with the straight way in so many, which take some microseconds.
  private static let freeSteps = 1024

  /// What a comparison costs at most, by the lengths alone: the straight way's allowance, some looks
  /// at each byte of the pattern, and a word for each 64 elements at each byte of the text.
  public static func mostSteps(pattern: Int, text: Int) -> Int {
    24 * pattern + 8 * text + (pattern / 64 + 1) * text + freeSteps + 64
  }

  public mutating func matches(_ text: UnsafeRawBufferPointer) -> Bool {
    if text.isEmpty { return pattern.isEmpty || (pattern.count == 1 && pattern[0] == star) }
    let limit =
      allowance == 0 ? 0 : allowance * (pattern.count + text.count) + GlobMatcher.freeSteps
    var p = 0
    var t = 0
    var starPattern = -1
    var starText = 0
    while true {
      if p < pattern.count, pattern[p] == star {
        starPattern = p
        starText = t
        p += 1
        steps += 1
        continue
      }
      if t == text.count { return p == pattern.count }
      if p < pattern.count, let next = element(at: p, takes: text[t]) {
        p = next
        t += 1
        continue
      }
      guard starPattern >= 0 else { return false }
      // What stands before the last star has its first place; only the rest is open.
      if steps > limit { return matchesRest(starPattern, text, starText) }
      starText += 1
      t = starText
      p = starPattern + 1
    }
  }
}

private let star = UInt8(ascii: "*")

// MARK: One element

extension GlobMatcher {
  /// The pattern position behind the element at `p` when that element takes `byte`; nil when not.
  private mutating func element(at p: Int, takes byte: UInt8) -> Int? {
    steps += 1
    switch pattern[p] {
    case UInt8(ascii: "?"):
      return p + 1
    case UInt8(ascii: "["):
      return classElement(p + 1, takes: byte)
    case UInt8(ascii: "\\") where p + 1 < pattern.count:
      return same(pattern[p + 1], byte) ? p + 2 : nil
    default:
      return same(pattern[p], byte) ? p + 1 : nil
    }
  }

  private mutating func classElement(_ start: Int, takes byte: UInt8) -> Int? {
    var found = false
    let (end, isNegated, looks) = walkClass(start) { part in
      switch part {
      case .exactly(let one): if one == byte { found = true }
      case .either(let one): if same(one, byte) { found = true }
      case .range(let low, let high): if (low...high).contains(signed(byte)) { found = true }
      }
    }
    steps += looks
    return found != isNegated ? end : nil
  }

  /// What a class lists.
  private enum Part {
    case exactly(UInt8)
    case either(UInt8)
    case range(Int8, Int8)
  }

  /// Shows each part of the class whose first byte is at `start`; returns where it ends, and how
  /// many bytes it has.
  @inline(__always)
  private func walkClass(
    _ start: Int, _ show: (Part) -> Void
  ) -> (end: Int, isNegated: Bool, looks: Int) {
    var p = start
    let isNegated = p < pattern.count && pattern[p] == UInt8(ascii: "^")
    if isNegated { p += 1 }
    while p < pattern.count, pattern[p] != UInt8(ascii: "]") {
      if pattern[p] == UInt8(ascii: "\\"), p + 1 < pattern.count {
        p += 1
        show(.exactly(pattern[p]))
      } else if p + 2 < pattern.count, pattern[p + 1] == UInt8(ascii: "-") {
        let first = Int8(bitPattern: pattern[p])
        let last = Int8(bitPattern: pattern[p + 2])
        // Ordered first and folded then, as in Redis: `[Z-a]` may come to be empty.
        let low = signed(UInt8(bitPattern: min(first, last)))
        let high = signed(UInt8(bitPattern: max(first, last)))
        if low <= high { show(.range(low, high)) }
        p += 2
      } else {
        show(.either(pattern[p]))
      }
      p += 1
    }
    return (min(p + 1, pattern.count), isNegated, p - start)
  }

  @inline(__always)
  private func signed(_ byte: UInt8) -> Int8 {
    Int8(bitPattern: ignoringCase ? lowercased(byte) : byte)
  }

  @inline(__always)
  private func same(_ left: UInt8, _ right: UInt8) -> Bool {
    left == right || (ignoringCase && lowercased(left) == lowercased(right))
  }
}

// MARK: Shift-and

extension GlobMatcher {
  /// Whether the pattern from the star at `start` on takes `text` from `from` on.
  private mutating func matchesRest(
    _ start: Int, _ text: UnsafeRawBufferPointer, _ from: Int
  ) -> Bool {
    var p = start
    var t = from
    while true {
      while p < pattern.count, pattern[p] == star { p += 1 }
      if p == pattern.count { return true }
      let (end, elements) = segment(at: p)
      guard text.count - t >= elements else { return false }
      if end == pattern.count {
        return isTaken(p, text, text.count - elements)
      }
      guard let found = find(p, end, elements, text, t) else { return false }
      p = end
      t = found
    }
  }

  /// Where the elements from `start` on end, at a star or with the pattern, and how many they are.
  private mutating func segment(at start: Int) -> (end: Int, elements: Int) {
    var p = start
    var elements = 0
    while p < pattern.count, pattern[p] != star {
      p = end(ofElementAt: p)
      elements += 1
    }
    return (p, elements)
  }

  private mutating func end(ofElementAt p: Int) -> Int {
    steps += 1
    switch pattern[p] {
    case UInt8(ascii: "["):
      let (end, _, looks) = walkClass(p + 1) { _ in }
      steps += looks
      return end
    case UInt8(ascii: "\\") where p + 1 < pattern.count: return p + 2
    default: return p + 1
    }
  }

  /// Whether the elements from `start` to the pattern's end take the text from `from` to its end.
  private mutating func isTaken(
    _ start: Int, _ text: UnsafeRawBufferPointer, _ from: Int
  ) -> Bool {
    var p = start
    for t in from..<text.count {
      guard let next = element(at: p, takes: text[t]) else { return false }
      p = next
    }
    return true
  }

  /// Where the first place from `from` on ends that the elements between `start` and `end` take.
  private mutating func find(
    _ start: Int, _ end: Int, _ elements: Int, _ text: UnsafeRawBufferPointer, _ from: Int
  ) -> Int? {
    let words = (elements + 63) >> 6
    let masks = takers(start, end, words)
    defer { masks.deallocate() }
    // Bit i: the last i + 1 bytes are taken by the first i + 1 elements.
    let state = UnsafeMutablePointer<UInt64>.allocate(capacity: words)
    defer { state.deallocate() }
    state.initialize(repeating: 0, count: words)
    let last = UInt64(1) << UInt64((elements - 1) & 63)
    for t in from..<text.count {
      let mask = masks + Int(text[t]) * words
      var carry: UInt64 = 1
      for word in 0..<words {
        let shifted = state[word] << 1 | carry
        carry = state[word] >> 63
        state[word] = shifted & mask[word]
      }
      steps += words
      if state[words - 1] & last != 0 { return t + 1 }
    }
    return nil
  }

  /// For each byte `words` words: bit i is set when element i of the segment takes the byte.
  private mutating func takers(
    _ start: Int, _ end: Int, _ words: Int
  ) -> UnsafeMutablePointer<UInt64> {
    // Behind the masks, a bit for each element that takes most bytes (`?` takes all): it is written as
    // what it does not take, and turned round at the end. 4,096 of them took more than a millisecond.
    let masks = UnsafeMutablePointer<UInt64>.allocate(capacity: 257 * words)
    masks.initialize(repeating: 0, count: 257 * words)
    let flips = masks + 256 * words
    var areSomeFlipped = false
    steps += 8 * words
    var p = start
    var number = 0
    while p < end {
      var (set, next) = takenBytes(at: p)
      let bit = UInt64(1) << UInt64(number & 63)
      if set.count > 128 {
        set.invert()
        flips[number >> 6] |= bit
        areSomeFlipped = true
      }
      set.forEachByte { masks[Int($0) * words + (number >> 6)] |= bit }
      steps += 4
      p = next
      number += 1
    }
    guard areSomeFlipped else { return masks }
    for byte in 0..<256 {
      for word in 0..<words { masks[byte * words + word] ^= flips[word] }
    }
    return masks
  }

  /// The bytes that the element at `p` takes, and the position behind it.
  private mutating func takenBytes(at p: Int) -> (ByteSet, next: Int) {
    steps += 1
    var set = ByteSet()
    switch pattern[p] {
    case UInt8(ascii: "?"):
      set.invert()
      return (set, p + 1)
    case UInt8(ascii: "["):
      var ranges = ByteSet()
      let (end, isNegated, looks) = walkClass(p + 1) { part in
        switch part {
        case .exactly(let byte): set.insert(byte)
        case .either(let byte): insert(byte, &set)
        case .range(let low, let high): ranges.insert(low, high)
        }
      }
      steps += looks
      // A byte is folded before it is looked for between the ends of a range.
      if ignoringCase { ranges.treatUpperAsLower() }
      set.formUnion(ranges)
      if isNegated { set.invert() }
      return (set, end)
    case UInt8(ascii: "\\") where p + 1 < pattern.count:
      insert(pattern[p + 1], &set)
      return (set, p + 2)
    default:
      insert(pattern[p], &set)
      return (set, p + 1)
    }
  }

  private func insert(_ byte: UInt8, _ set: inout ByteSet) {
    set.insert(byte)
    guard ignoringCase else { return }
    set.insert(lowercased(byte))
    if byte &- 97 < 26 { set.insert(byte - 32) }
  }
}

/// Bytes, a bit each.
private struct ByteSet {
  private var bits: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  mutating func insert(_ byte: UInt8) {
    let bit = UInt64(1) << UInt64(byte & 63)
    switch byte >> 6 {
    case 0: bits.0 |= bit
    case 1: bits.1 |= bit
    case 2: bits.2 |= bit
    default: bits.3 |= bit
    }
  }

  /// The bytes between two signed ones, which are in order.
  mutating func insert(_ low: Int8, _ high: Int8) {
    if low < 0, high >= 0 {
      insertUnsigned(UInt8(bitPattern: low), 255)
      insertUnsigned(0, UInt8(high))
    } else {
      insertUnsigned(UInt8(bitPattern: low), UInt8(bitPattern: high))
    }
  }

  private mutating func insertUnsigned(_ low: UInt8, _ high: UInt8) {
    bits.0 |= ByteSet.word(0, low, high)
    bits.1 |= ByteSet.word(64, low, high)
    bits.2 |= ByteSet.word(128, low, high)
    bits.3 |= ByteSet.word(192, low, high)
  }

  /// The bits of the 64 bytes from `base` on that lie between `low` and `high`.
  private static func word(_ base: Int, _ low: UInt8, _ high: UInt8) -> UInt64 {
    let first = max(Int(low) - base, 0)
    let last = min(Int(high) - base, 63)
    guard first <= last else { return 0 }
    return (UInt64.max >> UInt64(63 - (last - first))) << UInt64(first)
  }

  /// A–Z are in the set exactly when a–z are.
  mutating func treatUpperAsLower() {
    let letters: UInt64 = ((1 << 26) - 1) << 1
    bits.1 = bits.1 & ~letters | bits.1 >> 32 & letters
  }

  mutating func formUnion(_ other: ByteSet) {
    bits.0 |= other.bits.0
    bits.1 |= other.bits.1
    bits.2 |= other.bits.2
    bits.3 |= other.bits.3
  }

  var count: Int {
    bits.0.nonzeroBitCount + bits.1.nonzeroBitCount + bits.2.nonzeroBitCount
      + bits.3.nonzeroBitCount
  }

  mutating func invert() {
    bits = (~bits.0, ~bits.1, ~bits.2, ~bits.3)
  }

  func forEachByte(_ body: (UInt8) -> Void) {
    ByteSet.forEachByte(in: bits.0, 0, body)
    ByteSet.forEachByte(in: bits.1, 64, body)
    ByteSet.forEachByte(in: bits.2, 128, body)
    ByteSet.forEachByte(in: bits.3, 192, body)
  }

  private static func forEachByte(in word: UInt64, _ base: UInt8, _ body: (UInt8) -> Void) {
    var word = word
    while word != 0 {
      body(base + UInt8(word.trailingZeroBitCount))
      word &= word - 1
    }
  }
}
