import Primitives

// A byte of options, then a `Pair`: pattern and text. The options repeat both, so that few bytes
// make patterns that are hard to match.

/// A pattern matches what a plain matcher says it matches, both ways of the matcher agree, and
/// neither takes more steps than the lengths allow.
func checkGlob(_ bytes: [UInt8]) {
  guard let options = bytes.first, let pair = Pair(bytes.dropFirst()) else { return }
  let ignoringCase = options & 1 == 1
  let pattern = repeated(pair.first, Int(options >> 1 & 7) + 1)
  let text = repeated(pair.second, Int(options >> 4 & 15) + 1)
  let straight = compare(pattern, text, ignoringCase, allowance: GlobMatcher.usualAllowance)
  let shifted = compare(pattern, text, ignoringCase, allowance: 0)
  property(straight == shifted, "the two ways of the matcher disagree")
  // The plain one takes pattern × text.
  guard pattern.count * text.count <= 1 << 16 else { return }
  let plain = PlainPattern(pattern, ignoringCase: ignoringCase).matches(text)
  property(plain == straight, "a plain matcher says \(plain)")
}

private func repeated(_ bytes: ArraySlice<UInt8>, _ times: Int) -> [UInt8] {
  (0..<times).flatMap { _ in bytes }
}

private func compare(
  _ pattern: [UInt8], _ text: [UInt8], _ ignoringCase: Bool, allowance: Int
) -> Bool {
  withExactCopy(of: pattern) { pattern in
    withExactCopy(of: text) { text in
      var matcher = GlobMatcher(pattern, ignoringCase: ignoringCase, allowance: allowance)
      let result = matcher.matches(text)
      property(
        matcher.steps <= GlobMatcher.mostSteps(pattern: pattern.count, text: text.count),
        "\(matcher.steps) steps")
      return result
    }
  }
}

/// The text-book: elements, and for each the places of the text that can be behind it.
private struct PlainPattern {
  private enum Element {
    case star
    case oneOf([Bool])
  }

  private var elements: [Element] = []
  private let isEmptyOrStar: Bool
  private let ignoringCase: Bool

  init(_ pattern: [UInt8], ignoringCase: Bool) {
    self.ignoringCase = ignoringCase
    isEmptyOrStar = pattern.isEmpty || pattern == [UInt8(ascii: "*")]
    var rest = pattern[...]
    while let first = rest.popFirst() {
      switch first {
      case UInt8(ascii: "*"): elements.append(.star)
      case UInt8(ascii: "?"): elements.append(.oneOf(Array(repeating: true, count: 256)))
      case UInt8(ascii: "["): elements.append(.oneOf(readClass(&rest)))
      case UInt8(ascii: "\\"): elements.append(.oneOf(alike(rest.popFirst() ?? first)))
      default: elements.append(.oneOf(alike(first)))
      }
    }
  }

  private func alike(_ byte: UInt8) -> [Bool] {
    (0..<256).map { fold(UInt8($0)) == fold(byte) }
  }

  private func fold(_ byte: UInt8) -> UInt8 {
    ignoringCase && (65...90).contains(byte) ? byte + 32 : byte
  }

  private func readClass(_ rest: inout ArraySlice<UInt8>) -> [Bool] {
    let isNegated = rest.first == UInt8(ascii: "^")
    if isNegated { rest.removeFirst() }
    var taken = Array(repeating: false, count: 256)
    while let first = rest.popFirst(), first != UInt8(ascii: "]") {
      if first == UInt8(ascii: "\\"), let escaped = rest.popFirst() {
        taken[Int(escaped)] = true
      } else if rest.count >= 2, rest.first == UInt8(ascii: "-") {
        let ends = [first, rest[rest.startIndex + 1]].map { Int8(bitPattern: $0) }.sorted()
        let low = Int8(bitPattern: fold(UInt8(bitPattern: ends[0])))
        let high = Int8(bitPattern: fold(UInt8(bitPattern: ends[1])))
        for byte in 0...UInt8.max {
          let value = Int8(bitPattern: fold(byte))
          if value >= low, value <= high { taken[Int(byte)] = true }
        }
        rest.removeFirst(2)
      } else {
        for (byte, isAlike) in alike(first).enumerated() where isAlike { taken[byte] = true }
      }
    }
    return isNegated ? taken.map { !$0 } : taken
  }

  func matches(_ text: [UInt8]) -> Bool {
    if text.isEmpty { return isEmptyOrStar }
    var places = Array(repeating: false, count: text.count + 1)
    places[0] = true
    for element in elements {
      switch element {
      case .star:
        if let first = places.firstIndex(of: true) {
          for place in first...text.count { places[place] = true }
        }
      case .oneOf(let taken):
        for place in stride(from: text.count, to: 0, by: -1) {
          places[place] = places[place - 1] && taken[Int(text[place - 1])]
        }
        places[0] = false
      }
    }
    return places[text.count]
  }
}

let globSeeds: [[UInt8]] = [
  (0, "h[^a-c]l*\\**?", "hell*o"), (1, "[Z-a]*[\\A]", "zA"), (0x70, "*a*b", "aaab"),
  (0xf6, "*a[ab-]?", "ab"), (0xfe, "aaaaaaaa*", "aaaaaaab"), (0, "[a-", "-"), (0, "[", "a"),
  (0, "\\", "\\"), (0xf0, "*[ab][abc][a-b]?ab*b", "abba"), (0, "**?**", ""), (0, "[]a", "a"),
].map { options, pattern, text in
  [options] + Pair.bytes(Array(pattern.utf8), Array(text.utf8))
}
