import Primitives

/// The replies at the front of bytes, RESP2 or RESP3, as a client reads them.
struct CommandReply {
  private let bytes: [UInt8]
  private var at = 0

  /// How many whole replies the bytes are; nil when they are something else.
  static func count(_ bytes: [UInt8]) -> Int? {
    var reader = CommandReply(bytes: bytes)
    var count = 0
    while reader.at < bytes.count {
      guard reader.skip(depth: 0) else { return nil }
      count += 1
    }
    return count
  }

  /// The bulk strings of one reply, in order, however nested; nil when it is none.
  static func strings(_ bytes: [UInt8]) -> [[UInt8]]? {
    guard count(bytes) == 1 else { return nil }
    var reader = CommandReply(bytes: bytes)
    var strings: [[UInt8]] = []
    while reader.at < bytes.count {
      let kind = bytes[reader.at]
      guard let number = reader.header() else { return nil }
      if kind == UInt8(ascii: "$"), number >= 0 {
        strings.append(Array(bytes[reader.at..<reader.at + number]))
        reader.at += number + 2
      }
    }
    return strings
  }

  private mutating func skip(depth: Int) -> Bool {
    guard depth < 16, at < bytes.count else { return false }
    let kind = bytes[at]
    switch kind {
    case UInt8(ascii: "$"), UInt8(ascii: "!"), UInt8(ascii: "="):
      guard let length = header() else { return false }
      if length == -1 { return kind == UInt8(ascii: "$") }
      guard length >= 0, at + length + 2 <= bytes.count, bytes[at + length] == 13,
        bytes[at + length + 1] == 10
      else { return false }
      at += length + 2
      return true
    case UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: ">"), UInt8(ascii: "%"):
      guard let count = header() else { return false }
      if count == -1 { return kind == UInt8(ascii: "*") }
      guard count >= 0 else { return false }
      for _ in 0..<(kind == UInt8(ascii: "%") ? 2 * count : count) {
        guard skip(depth: depth + 1) else { return false }
      }
      return true
    case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "#"),
      UInt8(ascii: ","), UInt8(ascii: "("):
      return line() != nil
    case UInt8(ascii: ":"):
      return header() != nil
    default:
      return false
    }
  }

  /// The rest of a line; nil when no CR LF ends it.
  private mutating func line() -> ArraySlice<UInt8>? {
    guard let end = bytes[at...].firstIndex(where: { $0 == 13 || $0 == 10 }),
      end + 1 < bytes.count, bytes[end] == 13, bytes[end + 1] == 10
    else { return nil }
    defer { at = end + 2 }
    return bytes[(at + 1)..<end]
  }

  /// The number in a line; -1 or 0 where there is none is for the caller to judge.
  private mutating func header() -> Int? {
    let kind = bytes[at]
    guard let line = line() else { return nil }
    let number = Int(String(decoding: line, as: UTF8.self))
    return "$!=*~>%:".utf8.contains(kind) ? number : 0
  }
}

/// Replies as bytes, for predictions.
enum Predicted {
  static let ok = Array("+OK\r\n".utf8)
  static let none = Array("$-1\r\n".utf8)
  static func integer(_ value: Int) -> [UInt8] { Array(":\(value)\r\n".utf8) }
  static func bulk(_ value: [UInt8]?) -> [UInt8] {
    value.map { Array("$\($0.count)\r\n".utf8) + $0 + [13, 10] } ?? none
  }
  static func array(_ values: [[UInt8]?]) -> [UInt8] {
    Array("*\(values.count)\r\n".utf8) + values.flatMap { bulk($0) }
  }
  static func error(_ text: String) -> [UInt8] { Array("-\(text)\r\n".utf8) }
}
