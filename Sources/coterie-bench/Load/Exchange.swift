import Glibc

/// Sends without end, or all of a long request, and reads what comes back meanwhile.
struct Exchange: ~Copyable {
  private let descriptor: Int32
  private var chunk = [UInt8](repeating: 0, count: 262_144)

  init(port: Int) throws(BenchError) { descriptor = try ClientSocket.connect(port: port) }

  deinit { close(descriptor) }

  /// Sends `request` `times` times over (nil: until `mustEnd`) and compares what comes back with
  /// `answer`, just as often. How many whole answers came.
  @discardableResult
  mutating func run(
    _ request: [UInt8], times: Int? = 1, answer: [UInt8], mustEnd: () -> Bool = { false }
  ) throws(BenchError) -> Int {
    var sent = 0
    var received = 0
    let toSend = times.map { $0 * request.count } ?? Int.max
    let toReceive = times.map { $0 * answer.count } ?? Int.max
    while received < toReceive && !mustEnd() {
      var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      if sent < toSend { poller.events |= Int16(POLLOUT) }
      guard poll(&poller, 1, 10_000) > 0 else { throw BenchError("no answer for ten seconds") }
      if poller.revents & Int16(POLLOUT) != 0 {
        sent += try send(request, from: sent % request.count)
      }
      if poller.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 {
        received += try receive(answer, from: received % answer.count)
      }
    }
    return received / answer.count
  }

  private func send(_ request: [UInt8], from start: Int) throws(BenchError) -> Int {
    let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    let count = request.withUnsafeBytes {
      Glibc.send(descriptor, $0.baseAddress! + start, $0.count - start, flags)
    }
    guard count >= 0 || errno == EAGAIN else { throw .system("cannot send to the server") }
    return max(0, count)
  }

  private mutating func receive(_ answer: [UInt8], from start: Int) throws(BenchError) -> Int {
    let count = ClientSocket.take(&chunk, from: descriptor, waits: false)
    if count < 0 && errno == EAGAIN { return 0 }
    guard count > 0 else { throw BenchError("the server closed the connection") }
    let isRight = chunk.withUnsafeBytes { got in
      answer.withUnsafeBytes { wanted in
        var compared = 0
        while compared < count {
          let place = (start + compared) % wanted.count
          let length = min(count - compared, wanted.count - place)
          let isSame =
            memcmp(got.baseAddress! + compared, wanted.baseAddress! + place, length) == 0
          if !isSame { return false }
          compared += length
        }
        return true
      }
    }
    guard isRight else { throw BenchError("the answers are wrong or out of order") }
    return count
  }
}
