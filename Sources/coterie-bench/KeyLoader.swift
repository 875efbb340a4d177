/// Fills a server with keys, and makes sure they are there.
///
/// Keys are named as redis-benchmark names them, so that its GETs hit.
struct KeyLoader {
  let port: Int

  /// Commands under way at once: about 30 kB of requests and 20 kB of answers, which fits into
  /// the sockets' buffers, so that neither side ever waits for the other to read.
  private static let batchSize = 256

  private static let value = [UInt8](repeating: UInt8(ascii: "v"), count: Workload.valueSize)

  /// Bytes of a key and of its value.
  static let entrySize = key(0).count + Workload.valueSize

  /// Stores keys 0 to `count`.
  func load(count: Int) throws(BenchError) {
    let set = Array("SET".utf8)
    try exchange(
      count: count, command: { [set, Self.key($0), Self.value] }, check: { $0 == .simple("OK") })
  }

  /// Reads keys 0 to `count` and throws unless every one has its value.
  func verify(count: Int) throws(BenchError) {
    let get = Array("GET".utf8)
    try exchange(
      count: count, command: { [get, Self.key($0)] }, check: { $0 == .bulk(Self.value) })
  }

  /// The number of keys the server says it has.
  func databaseSize() throws(BenchError) -> Int {
    var connection = try RESPConnection(port: port)
    let reply = try connection.ask(["DBSIZE"])
    guard case .integer(let size) = reply else {
      throw BenchError("DBSIZE was answered with \(reply.summary)")
    }
    return size
  }

  private func exchange(
    count: Int, command: (Int) -> [[UInt8]], check: (RESPReply) -> Bool
  ) throws(BenchError) {
    var connection = try RESPConnection(port: port)
    var request: [UInt8] = []
    for first in stride(from: 0, to: count, by: Self.batchSize) {
      let batch = first..<min(first + Self.batchSize, count)
      request.removeAll(keepingCapacity: true)
      for index in batch { RESPConnection.append(command(index), to: &request) }
      try connection.send(request)
      for index in batch {
        let reply = try connection.nextReply()
        guard check(reply) else {
          let words = command(index).prefix(2).map { String(decoding: $0, as: UTF8.self) }
          throw BenchError("\(words.joined(separator: " ")) was answered with \(reply.summary)")
        }
      }
    }
  }

  /// `key:` and twelve digits.
  private static func key(_ index: Int) -> [UInt8] {
    let digits = Array(String(index).utf8)
    return Array("key:".utf8) + repeatElement(UInt8(ascii: "0"), count: 12 - digits.count) + digits
  }
}
