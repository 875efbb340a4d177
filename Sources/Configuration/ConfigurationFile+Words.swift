import Primitives

// Words of a line, as redis-server reads and writes them: quotes, and in double quotes the escapes
// \n \r \t \b \a and \xHH. All of it by bytes: to Swift a quote and a combining accent behind it are
// one character, which is no quote.

extension ConfigurationFile {
  /// The words of a line, unquoted; none for a comment; nil for a quote that is not closed, or is
  /// followed by something else than a space.
  static func words(of line: String) -> [String]? {
    var rest = Array(line.utf8)[...]
    var words: [String] = []
    while true {
      rest = rest.drop(while: isSpace)
      guard let first = rest.first else { return words }
      if first == UInt8(ascii: "#"), words.isEmpty { return [] }
      guard let word = takeWord(&rest) else { return nil }
      words.append(String(decoding: word, as: UTF8.self))
    }
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 32 || (9...13).contains(byte) || byte == 0
  }

  private static func takeWord(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
    var word: [UInt8] = []
    while let byte = rest.first, !isSpace(byte) {
      rest.removeFirst()
      guard byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") else {
        word.append(byte)
        continue
      }
      guard takeQuoted(byte, &rest, &word), rest.first.map(isSpace) ?? true else { return nil }
    }
    return word
  }

  /// What stands before the closing quote; false when there is none.
  private static func takeQuoted(
    _ quote: UInt8, _ rest: inout ArraySlice<UInt8>, _ word: inout [UInt8]
  ) -> Bool {
    while let byte = rest.popFirst() {
      if byte == quote { return true }
      guard byte == UInt8(ascii: "\\"), let next = rest.first else {
        word.append(byte)
        continue
      }
      if quote == UInt8(ascii: "'") {
        // Only the quote can be escaped between single ones.
        word.append(next == quote ? quote : byte)
        if next == quote { rest.removeFirst() }
        continue
      }
      rest.removeFirst()
      word.append(unescaped(next, &rest))
    }
    return false
  }

  private static func unescaped(_ byte: UInt8, _ rest: inout ArraySlice<UInt8>) -> UInt8 {
    switch byte {
    case UInt8(ascii: "n"): return 10
    case UInt8(ascii: "r"): return 13
    case UInt8(ascii: "t"): return 9
    case UInt8(ascii: "b"): return 8
    case UInt8(ascii: "a"): return 7
    case UInt8(ascii: "x"):
      let digits = rest.prefix(2).compactMap { Character(UnicodeScalar($0)).hexDigitValue }
      guard digits.count == 2 else { return byte }
      rest.removeFirst(2)
      return UInt8(digits[0] << 4 | digits[1])
    default: return byte
    }
  }

  /// A value as it stands on a line. Values of several words (bind, cluster-seeds) are words there.
  static func quoted(_ value: String) -> String {
    let bytes = Array(value.utf8)
    let isPlain = !bytes.contains { isSpecial($0) && $0 != 32 }
    let isWords = !bytes.isEmpty && bytes.first != 32 && bytes.last != 32
    let isSingle = !zip(bytes, bytes.dropFirst()).contains { $0 == 32 && $1 == 32 }
    return isPlain && isWords && isSingle ? value : quotedWord(value)
  }

  private static func isSpecial(_ byte: UInt8) -> Bool {
    byte <= 32 || byte == 127 || "\"'#\\".utf8.contains(byte)
  }

  private static func quotedWord(_ value: String) -> String {
    var text: [UInt8] = []
    appendQuoted(value.utf8, keepingHighBytes: true, to: &text)
    return String(decoding: text, as: UTF8.self)
  }
}
