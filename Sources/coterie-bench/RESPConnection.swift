import Glibc

/// A blocking connection that speaks just enough RESP to ask, load and verify.
struct RESPConnection: ~Copyable {
  private let descriptor: Int32
  /// Received, not yet parsed: `buffer[start...]`.
  private var buffer: [UInt8] = []
  private var start = 0

  /// No single answer should take longer; a server that hangs must not hang us.
  private static let timeout = timeval(tv_sec: 10, tv_usec: 0)
  private static let chunkSize = 65_536

  init(port: Int) throws(BenchError) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw .system("cannot make a socket") }
    var limit = Self.timeout
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    let descriptor = descriptor
    guard
      sockaddr_in(loopbackPort: port).withSockaddr({ connect(descriptor, $0, $1) }) == 0
    else {
      let reason = errno
      close(descriptor)
      throw .system("cannot connect to 127.0.0.1:\(port)", code: reason)
    }
  }

  deinit {
    close(descriptor)
  }

  /// Sends one command and waits for its answer.
  mutating func ask(_ words: [String]) throws(BenchError) -> RESPReply {
    var request: [UInt8] = []
    RESPConnection.append(words.map { Array($0.utf8) }, to: &request)
    try send(request)
    return try nextReply()
  }

  /// Appends a command in the form servers parse fastest, an array of bulk strings.
  static func append(_ words: [[UInt8]], to request: inout [UInt8]) {
    request += "*\(words.count)\r\n".utf8
    for word in words {
      request += "$\(word.count)\r\n".utf8
      request += word
      request += "\r\n".utf8
    }
  }

  /// Sends commands without waiting for the answers; ask for those with `nextReply`.
  func send(_ request: [UInt8]) throws(BenchError) {
    var sent = 0
    while sent < request.count {
      let count = request.withUnsafeBytes { bytes in
        // Without a signal: that a server has gone is an answer, not a reason to die.
        Glibc.send(descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw .system("cannot send to the server") }
      sent += count
    }
  }

  /// Waits for the next answer.
  mutating func nextReply() throws(BenchError) -> RESPReply {
    let line = try nextLine()
    let text = String(decoding: line.dropFirst(), as: UTF8.self)
    switch line.first {
    case UInt8(ascii: "+"): return .simple(text)
    case UInt8(ascii: "-"): return .error(text)
    case UInt8(ascii: ":"): return .integer(try number(text))
    case UInt8(ascii: "$"): return .bulk(try nextBulk(length: try number(text)))
    case UInt8(ascii: "*"):
      var items: [RESPReply] = []
      for _ in 0..<max(0, try number(text)) { items.append(try nextReply()) }
      return .array(items)
    default: throw BenchError("the server sent an answer of an unexpected kind: \(text)")
    }
  }

  private func number(_ text: String) throws(BenchError) -> Int {
    guard let number = Int(text) else {
      throw BenchError("the server sent '\(text)' where a number should be")
    }
    return number
  }

  private mutating func nextLine() throws(BenchError) -> [UInt8] {
    while true {
      if let end = buffer[start...].firstIndex(of: UInt8(ascii: "\r")), end + 1 < buffer.count {
        defer { start = end + 2 }
        return Array(buffer[start..<end])
      }
      try receive()
    }
  }

  private mutating func nextBulk(length: Int) throws(BenchError) -> [UInt8]? {
    guard length >= 0 else { return nil }
    while buffer.count - start < length + 2 { try receive() }
    defer { start += length + 2 }
    return Array(buffer[start..<start + length])
  }

  private mutating func receive() throws(BenchError) {
    buffer.removeFirst(start)
    start = 0
    let used = buffer.count
    buffer.append(contentsOf: repeatElement(0, count: Self.chunkSize))
    let descriptor = descriptor
    var count: Int
    repeat {
      count = buffer.withUnsafeMutableBytes {
        recv(descriptor, $0.baseAddress! + used, Self.chunkSize, 0)
      }
    } while count < 0 && errno == EINTR
    let reason = errno
    buffer.removeLast(Self.chunkSize - max(0, count))
    guard count != 0 else { throw BenchError("the server closed the connection") }
    guard count > 0 else { throw .system("no answer from the server", code: reason) }
  }
}
