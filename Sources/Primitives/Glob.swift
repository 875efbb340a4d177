/// Whether `text` matches the glob `pattern`, with Redis's rules: `*`, `?`, `[a-z]`, `[^a]`, `\x`.
///
/// A `*` is handled by remembering the last one and going back to it, never by recursion, so that
/// the cost is at most pattern × text however hostile the pattern is (Cox, "Glob Matching Can Be
/// Simple And Fast Too").
package func globMatch(
  pattern: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, ignoringCase: Bool
) -> Bool {
  var p = 0
  var t = 0
  var starPattern = -1
  var starText = 0
  while true {
    if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
      starPattern = p
      starText = t
      p += 1
      continue
    }
    if t == text.count {
      return p == pattern.count
    }
    if p < pattern.count, let next = matchOne(pattern, p, text[t], ignoringCase) {
      p = next
      t += 1
      continue
    }
    guard starPattern >= 0 else { return false }
    starText += 1
    t = starText
    p = starPattern + 1
  }
}

/// The pattern position behind the element at `p` when that element takes `byte`; nil when not.
private func matchOne(
  _ pattern: UnsafeRawBufferPointer, _ p: Int, _ byte: UInt8, _ ignoringCase: Bool
) -> Int? {
  switch pattern[p] {
  case UInt8(ascii: "?"):
    return p + 1
  case UInt8(ascii: "["):
    return matchClass(pattern, p + 1, byte, ignoringCase)
  case UInt8(ascii: "\\") where p + 1 < pattern.count:
    return same(pattern[p + 1], byte, ignoringCase) ? p + 2 : nil
  default:
    return same(pattern[p], byte, ignoringCase) ? p + 1 : nil
  }
}

private func matchClass(
  _ pattern: UnsafeRawBufferPointer, _ start: Int, _ byte: UInt8, _ ignoringCase: Bool
) -> Int? {
  var p = start
  let negated = p < pattern.count && pattern[p] == UInt8(ascii: "^")
  if negated { p += 1 }
  var found = false
  // A class that is never closed ends with the pattern, as in Redis.
  while p < pattern.count, pattern[p] != UInt8(ascii: "]") {
    if pattern[p] == UInt8(ascii: "\\"), p + 1 < pattern.count {
      p += 1
      if pattern[p] == byte { found = true }
    } else if p + 2 < pattern.count, pattern[p + 1] == UInt8(ascii: "-") {
      let low = fold(min(pattern[p], pattern[p + 2]), ignoringCase)
      let high = fold(max(pattern[p], pattern[p + 2]), ignoringCase)
      let value = fold(byte, ignoringCase)
      if value >= low && value <= high { found = true }
      p += 2
    } else if same(pattern[p], byte, ignoringCase) {
      found = true
    }
    p += 1
  }
  guard found != negated else { return nil }
  return min(p + 1, pattern.count)
}

@inline(__always)
private func fold(_ byte: UInt8, _ ignoringCase: Bool) -> UInt8 {
  ignoringCase ? lowercased(byte) : byte
}

@inline(__always)
private func same(_ left: UInt8, _ right: UInt8, _ ignoringCase: Bool) -> Bool {
  left == right || (ignoringCase && lowercased(left) == lowercased(right))
}
