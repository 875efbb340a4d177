import Glibc

/// Writes many values, some hundred commands at a time.
struct Writer: ~Copyable {
  private let descriptor: Int32
  private var request: [UInt8] = []
  private var commands = 0
  private var chunk = [UInt8](repeating: 0, count: 65_536)
  private(set) var written = 0
  /// Answered with an error: above `maxmemory`, for example.
  private(set) var refused = 0

  private static let filler = [UInt8](repeating: UInt8(ascii: "f"), count: 1 << 20)
  /// The answers of so many commands fit into a socket's buffer while nobody reads.
  private static let commandLimit = 512
  private static let byteLimit = 1 << 18

  init(port: Int) throws(BenchError) { descriptor = try ClientSocket.connect(port: port) }

  deinit { close(descriptor) }

  /// `SET key:number <size bytes> [word number]`.
  mutating func set(
    _ key: Int, size: Int, option: (word: String, number: Int)? = nil
  ) throws(BenchError) {
    begin(option == nil ? 3 : 5, "SET")
    append("key:\(key)")
    request += "$\(size)\r\n".utf8
    request += Self.filler[..<size]
    request += "\r\n".utf8
    if let option {
      append(option.word)
      append("\(option.number)")
    }
    try commandEnded()
  }

  mutating func delete(_ key: Int) throws(BenchError) {
    begin(2, "DEL")
    append("key:\(key)")
    try commandEnded()
  }

  /// Sends what is left and reads all answers.
  mutating func flush() throws(BenchError) {
    guard commands > 0 else { return }
    try ClientSocket.send(request, to: descriptor)
    var isAtStart = true
    while commands > 0 {
      let count = ClientSocket.take(&chunk, from: descriptor, waits: true)
      guard count > 0 else { throw BenchError("the server closed the connection of a writer") }
      for byte in chunk[..<count] {
        if isAtStart && byte == UInt8(ascii: "-") { refused += 1 }
        isAtStart = byte == UInt8(ascii: "\n")
        if isAtStart { commands -= 1 }
      }
    }
    request.removeAll(keepingCapacity: true)
  }

  private mutating func begin(_ words: Int, _ name: String) {
    request += "*\(words)\r\n".utf8
    append(name)
  }

  private mutating func append(_ word: String) {
    request += "$\(word.utf8.count)\r\n".utf8
    request += word.utf8
    request += "\r\n".utf8
  }

  private mutating func commandEnded() throws(BenchError) {
    commands += 1
    written += 1
    if commands == Self.commandLimit || request.count > Self.byteLimit { try flush() }
  }
}
