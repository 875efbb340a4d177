/// A server's answer, as far as this program asks for any.
indirect enum RESPReply: Equatable {
  case simple(String)
  case error(String)
  case integer(Int)
  /// A string of bytes, or nil where there is none.
  case bulk([UInt8]?)
  case array([RESPReply])

  /// The answer in words, for error messages.
  var summary: String {
    switch self {
    case .simple(let text): text
    case .error(let text): "-\(text)"
    case .integer(let number): ":\(number)"
    case .bulk(nil): "(nil)"
    case .array(let items): "[\(items.map(\.summary).joined(separator: ", "))]"
    case .bulk(let bytes?): "\"\(String(decoding: bytes.prefix(200), as: UTF8.self))\""
    }
  }
}
