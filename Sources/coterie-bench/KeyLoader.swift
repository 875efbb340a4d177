import Glibc

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

  /// Stores keys 0 to `count` with another value of the same length.
  func change(count: Int) throws(BenchError) {
    let set = Array("SET".utf8)
    let other = [UInt8](repeating: UInt8(ascii: "w"), count: Workload.valueSize)
    try exchange(
      count: count, command: { [set, Self.key($0), other] }, check: { $0 == .simple("OK") })
  }

  /// One encoded GET or SET.
  static func request(_ index: Int, isSet: Bool) -> [UInt8] {
    var request: [UInt8] = []
    let words = isSet ? [Array("SET".utf8), key(index), value] : [Array("GET".utf8), key(index)]
    RESPConnection.append(words, to: &request)
    return request
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
      var refused: [Int] = []
      for index in batch {
        let reply = try connection.nextReply()
        if Self.isBusy(reply) {
          refused.append(index)
        } else {
          try expect(reply, check, command(index))
        }
      }
      for index in refused {
        var reply: RESPReply
        repeat {
          usleep(10_000)
          request.removeAll(keepingCapacity: true)
          RESPConnection.append(command(index), to: &request)
          try connection.send(request)
          reply = try connection.nextReply()
        } while Self.isBusy(reply)
        try expect(reply, check, command(index))
      }
    }
  }

  /// The node has as much under way as it can: what it refused can be sent again.
  private static func isBusy(_ reply: RESPReply) -> Bool {
    if case .error(let text) = reply { text.hasPrefix("TRYAGAIN") } else { false }
  }

  private func expect(
    _ reply: RESPReply, _ check: (RESPReply) -> Bool, _ command: [[UInt8]]
  ) throws(BenchError) {
    guard check(reply) else {
      let words = command.prefix(2).map { String(decoding: $0, as: UTF8.self) }
      throw BenchError("\(words.joined(separator: " ")) was answered with \(reply.summary)")
    }
  }

  /// `key:` and twelve digits.
  private static func key(_ index: Int) -> [UInt8] {
    let digits = Array(String(index).utf8)
    return Array("key:".utf8) + repeatElement(UInt8(ascii: "0"), count: 12 - digits.count) + digits
  }
}
