import Primitives

/// A reply as a simulated client reads it.
enum Reply: Equatable {
  case simple(String)
  case error(String)
  case integer(Int)
  case bulk([UInt8]?)
  case array([Reply])

  /// Reads the reply at the front of `bytes`; nil when it is not whole.
  static func read(_ bytes: [UInt8], at: inout Int) -> Reply? {
    guard let end = line(bytes, at) else { return nil }
    let kind = bytes[at]
    let text = String(decoding: bytes[at + 1..<end], as: UTF8.self)
    var next = end + 2
    let reply: Reply
    switch kind {
    case UInt8(ascii: "+"): reply = .simple(text)
    case UInt8(ascii: "-"): reply = .error(text)
    case UInt8(ascii: ":"): reply = .integer(Int(text) ?? 0)
    case UInt8(ascii: "$"):
      let length = Int(text) ?? -1
      if length < 0 {
        reply = .bulk(nil)
      } else {
        guard bytes.count >= next + length + 2 else { return nil }
        reply = .bulk(Array(bytes[next..<next + length]))
        next += length + 2
      }
    default:
      var items: [Reply] = []
      for _ in 0..<max(0, Int(text) ?? 0) {
        guard let item = read(bytes, at: &next) else { return nil }
        items.append(item)
      }
      reply = .array(items)
    }
    at = next
    return reply
  }

  private static func line(_ bytes: [UInt8], _ start: Int) -> Int? {
    var at = start
    while at + 1 < bytes.count {
      if bytes[at] == 13, bytes[at + 1] == 10 { return at }
      at += 1
    }
    return nil
  }

  var errorWord: String? {
    guard case .error(let text) = self else { return nil }
    return String(text.prefix { $0 != " " })
  }

  var text: String? {
    guard case .bulk(let bytes) = self else { return nil }
    return bytes.map { String(decoding: $0, as: UTF8.self) }
  }
}

/// A command in RESP.
func encode(_ words: [String]) -> [UInt8] {
  var bytes = Array("*\(words.count)\r\n".utf8)
  for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
  return bytes
}
