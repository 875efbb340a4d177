import Primitives
import Testing

@Suite("Glob patterns")
struct GlobTests {
  private func matches(_ pattern: [UInt8], _ text: [UInt8], ignoringCase: Bool = false) -> Bool {
    pattern.withUnsafeBytes { pattern in
      text.withUnsafeBytes { globMatch(pattern: pattern, $0, ignoringCase: ignoringCase) }
    }
  }

  /// Measured with KEYS on redis-server 7.0.15.
  private static let rows: [(pattern: String, text: String, matches: Bool)] = [
    ("", "", true), ("", "a", false), ("a", "", false), ("*", "", true), ("*", "abc", true),
    ("**", "", false), ("**", "x", true), ("a**b", "ab", true), ("a*b*c", "aXbYc", true),
    ("a*b*c", "aXbY", false),
    ("*abc", "ababc", true), ("*aab", "aaab", true), ("x*", "", false), ("?", "", false),
    ("?", "a", true), ("?", "ab", false), ("*?", "a", true), ("*?", "", false),
    ("h?llo", "hello", true), ("h[ae]llo", "hallo", true), ("h[ae]llo", "hillo", false),
    ("h[a-c]llo", "hbllo", true), ("h[c-a]llo", "hbllo", true), ("h[a-c]llo", "hdllo", false),
    ("h[^e]llo", "hello", false), ("h[^e]llo", "hallo", true), ("[", "[", false),
    ("[", "a", false), ("[^", "a", true), ("[^", "^", true), ("a[b", "ab", true),
    ("a[bc", "ac", true), ("a\\", "a\\", true), ("\\*", "*", true), ("\\*", "a", false),
    ("[\\]]", "]", true), ("[a-]", "-", false), ("[a-]", "a", true), ("[a-", "a", true),
    ("[a-", "-", true), ("[]", "a", false), ("[]a", "a", false), ("[^]", "a", true),
    ("[a-c-e]", "-", true), ("[a-c-e]", "d", false), ("\\\\a", "a", false),
    ("\\\\a", "\\a", true), ("[\\", "\\", true), ("[\\a]", "a", true), ("A", "a", false),
  ]

  @Test("Patterns match what they match in Redis")
  func table() {
    for row in GlobTests.rows {
      #expect(
        matches(row.pattern.bytes, row.text.bytes) == row.matches, "\(row.pattern) on \(row.text)")
    }
  }

  @Test("Without case a letter is its other form, too")
  func ignoringCase() {
    for (pattern, text) in [("ABC", "abc"), ("a*C", "AxxC"), ("[A-C]", "b"), ("[^x]", "a")] {
      #expect(matches(pattern.bytes, text.bytes, ignoringCase: true), "\(pattern) on \(text)")
    }
    #expect(!matches("[^A]".bytes, "a".bytes, ignoringCase: true))
  }

  @Test("Random patterns match as a recursive matcher says", arguments: Seeds.some)
  func reference(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let alphabet = Array("aabb**??[]^-\\".utf8)
    for _ in 0..<3000 {
      let pattern = (0..<generator.below(8)).map { _ in generator.pick(alphabet) }
      let text = (0...generator.below(5)).map { _ in generator.pick(Array("abc[-\\".utf8)) }
      #expect(
        matches(pattern, text) == recursive(pattern[...], text[...]),
        "\(pattern.text) on \(text.text)")
    }
  }

  /// `*` by trying every rest; all else by `globMatch` itself on one byte.
  private func recursive(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
    guard let first = pattern.first else { return text.isEmpty }
    if first == UInt8(ascii: "*") {
      let rest = pattern.dropFirst()
      return (text.startIndex...text.endIndex).contains { recursive(rest, text[$0...]) }
    }
    guard let byte = text.first else { return false }
    let length = elementLength(pattern)
    return matches(Array(pattern.prefix(length)), [byte])
      && recursive(pattern.dropFirst(length), text.dropFirst())
  }

  /// How many bytes of the pattern stand for one byte of text.
  private func elementLength(_ pattern: ArraySlice<UInt8>) -> Int {
    let bytes = Array(pattern)
    if bytes[0] == UInt8(ascii: "\\") { return min(2, bytes.count) }
    guard bytes[0] == UInt8(ascii: "[") else { return 1 }
    var at = 1
    if at < bytes.count, bytes[at] == UInt8(ascii: "^") { at += 1 }
    while at < bytes.count, bytes[at] != UInt8(ascii: "]") {
      if bytes[at] == UInt8(ascii: "\\"), at + 1 < bytes.count {
        at += 2
      } else if at + 2 < bytes.count, bytes[at + 1] == UInt8(ascii: "-") {
        at += 3
      } else {
        at += 1
      }
    }
    return min(at + 1, bytes.count)
  }

  @Test("A hostile pattern of 100,000 characters ends at once")
  func adversarial() {
    let pattern = Array(repeating: "a*".bytes, count: 50_000).flatMap { $0 } + "b".bytes
    let text = Array(repeating: UInt8(ascii: "a"), count: 100_000)
    let clock = ContinuousClock()
    let elapsed = clock.measure { #expect(!matches(pattern, text)) }
    #expect(elapsed < .seconds(2))
    let short = Array(repeating: "a*".bytes, count: 20).flatMap { $0 } + "b".bytes
    let exponential = clock.measure { #expect(!matches(short, Array(text.prefix(60)))) }
    #expect(exponential < .milliseconds(500))
  }
}
