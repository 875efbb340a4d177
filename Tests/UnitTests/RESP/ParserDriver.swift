import Primitives
import RESP

/// What a run of bytes was taken for.
enum Parsed: Equatable, CustomStringConvertible {
  case request([[UInt8]])
  case failure(ProtocolError)

  static func words(_ words: String...) -> Parsed { .request(words.map(\.bytes)) }

  var description: String {
    switch self {
    case .request(let words): "request \(words.map(\.text))"
    case .failure(let error): "failure \(error.text.text)"
    }
  }
}

/// A connection's input: bytes arrive in pieces, requests are taken as soon as they are whole.
final class ParserDriver {
  private var parser = RequestParser()
  private var arguments = ArgumentList()
  private(set) var pending: [UInt8] = []
  private(set) var parsed: [Parsed] = []
  private(set) var isBroken = false

  /// Whether the parser says that it is between two requests.
  var isIdle: Bool { parser.isIdle }
  var bytesNeeded: Int { parser.bytesNeeded }

  init() {}

  /// More bytes. The pending ones move in memory, as a growing buffer's do.
  func feed(_ piece: [UInt8]) {
    pending = Array(pending + piece)
    while !isBroken, !pending.isEmpty, step() {}
  }

  /// Changes bytes that the parser has been shown.
  func overwrite(_ place: Int, _ text: String) {
    for (offset, byte) in text.utf8.enumerated() { pending[place + offset] = byte }
  }

  private func step() -> Bool {
    let outcome = pending.withUnsafeBytes { bytes in
      let outcome = parser.next(bytes, into: &arguments)
      if case .request = outcome {
        parsed.append(.request((0..<arguments.count).map { Array(arguments[$0]) }))
      }
      return outcome
    }
    switch outcome {
    case .request(let length): pending.removeFirst(length)
    case .incomplete: return false
    case .malformed(let error):
      parsed.append(.failure(error))
      isBroken = true
    }
    return true
  }

  /// What these pieces are taken for.
  static func parse(_ pieces: [[UInt8]]) -> [Parsed] {
    let driver = ParserDriver()
    for piece in pieces { driver.feed(piece) }
    return driver.parsed
  }
}
