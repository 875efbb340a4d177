import Glibc

/// A fixed number of requests under way over many connections, which take turns.
///
/// Each answer is followed by the next request, on the next connection that is idle: with 50 under
/// way, 10,000 connections are all used, and no more is asked of the server than by 50. Four
/// requests of five are GETs, one is a SET, of 64-byte values of the first keys of `KeyLoader`.
final class TurnLoad {
  let node: ServerNode
  private var descriptors: [Int32] = []
  private var ready: ReadyList
  /// Bytes of the answer that are still to come, and when the request was sent.
  private var awaited: [Int]
  private var sentAt: [Int]
  private var chunk = [UInt8](repeating: 0, count: 65_536)
  private let requests: [(bytes: [UInt8], answer: Int)]
  private var nextRequest = 0
  private var nextConnection = 0

  static let keys = 4096
  static let underWay = 50

  struct Result {
    /// Requests a second.
    let rate: Double
    let delays: Delays
    /// Microseconds of the server's processor time for a request.
    let processorTime: Double
  }

  /// Opens the connections; the keys must be there.
  init(node: ServerNode, connections: Int) throws(BenchError) {
    self.node = node
    ready = try ReadyList()
    awaited = Array(repeating: 0, count: connections)
    sentAt = awaited
    requests = (0..<Self.keys).map { key in
      let isSet = key % 5 == 0
      let answer = isSet ? "+OK\r\n".utf8.count : "$64\r\n\r\n".utf8.count + Workload.valueSize
      return (KeyLoader.request((key &* 2_654_435_761) % Self.keys, isSet: isSet), answer)
    }
    descriptors.reserveCapacity(connections)
    for index in 0..<connections {
      descriptors.append(try ClientSocket.connect(port: node.port, index: index))
      try ready.add(descriptors[index], index: index)
    }
  }

  deinit {
    for descriptor in descriptors { close(descriptor) }
  }

  /// A PING and a GET on every connection, one after another.
  func useAll() throws(BenchError) {
    let ping = RESPConnection.request(["PING"])
    for index in descriptors.indices {
      try ClientSocket.send(ping, to: descriptors[index])
      guard ClientSocket.take(&chunk, from: descriptors[index], waits: true) > 0,
        chunk[0] == UInt8(ascii: "+")
      else {
        throw BenchError("connection \(index + 1) of \(descriptors.count) was not served")
      }
      try ClientSocket.send(
        KeyLoader.request(index % Self.keys, isSet: false), to: descriptors[index])
      guard ClientSocket.take(&chunk, from: descriptors[index], waits: true) > 0,
        chunk[0] == UInt8(ascii: "$")
      else { throw BenchError("connection \(index + 1) got no value") }
    }
  }

  /// `count` requests over the first `active` connections.
  func run(requests count: Int, over active: Int) throws(BenchError) -> Result {
    var delays: [Double] = []
    delays.reserveCapacity(count)
    let processor = try node.processorTime()
    let start = Monotonic.now()
    for _ in 0..<min(Self.underWay, active, count) { try sendNext(among: active) }
    var sent = min(Self.underWay, active, count)
    while delays.count < count {
      // Outside the closure: both it and `wait` would want all of `self`.
      let indices = try readyIndices()
      guard !indices.isEmpty else { throw BenchError("no answer for ten seconds") }
      for index in indices where try receive(index) {
        delays.append(Double(Monotonic.now() - sentAt[index]) / 1e6)
        if sent < count {
          try sendNext(among: active)
          sent += 1
        }
      }
    }
    let seconds = Monotonic.seconds(since: start)
    return Result(
      rate: Double(count) / seconds, delays: Delays(milliseconds: delays),
      processorTime: (try node.processorTime() - processor) * 1e6 / Double(count))
  }

  private func readyIndices() throws(BenchError) -> [Int] {
    var indices: [Int] = []
    try ready.wait(milliseconds: 10_000) { (index, _) throws(BenchError) in indices.append(index) }
    return indices
  }

  private func sendNext(among active: Int) throws(BenchError) {
    repeat {
      nextConnection = nextConnection + 1 < active ? nextConnection + 1 : 0
    } while awaited[
      nextConnection] > 0
    nextRequest = nextRequest + 1 < requests.count ? nextRequest + 1 : 0
    awaited[nextConnection] = requests[nextRequest].answer
    sentAt[nextConnection] = Monotonic.now()
    try ClientSocket.send(requests[nextRequest].bytes, to: descriptors[nextConnection])
  }

  /// Takes what has come; whether it ends the answer.
  private func receive(_ index: Int) throws(BenchError) -> Bool {
    let count = ClientSocket.take(&chunk, from: descriptors[index], waits: false)
    if count < 0 && errno == EAGAIN { return false }
    guard count > 0, awaited[index] >= count, chunk[0] != UInt8(ascii: "-") else {
      throw BenchError(
        count > 0
          ? "unexpected answer: \(String(decoding: chunk[..<min(count, 80)], as: UTF8.self))"
          : "the server closed a connection")
    }
    awaited[index] -= count
    return awaited[index] == 0
  }
}
