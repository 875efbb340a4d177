import Foundation
import Glibc
import Synchronization

/// A client that asks for one thing at a time, at a fixed pace, and notes how long each answer took:
/// what somebody notices of the work in the background.
///
/// A request that was due while an answer was awaited is not made later: it counts with the time from
/// when it was due to that answer, or one long silence would pass for one slow request only
/// (coordinated omission).
final class PacedClient: Sendable {
  private struct State {
    var latencies: [Double] = []
    var refused = 0
    var failure: BenchError?
    var mustStop = false
  }

  private let state = Mutex(State())
  private let hasEnded = DispatchSemaphore(value: 0)
  private let port: Int
  private let keys: Int

  /// Requests a second.
  static let pace = 1000
  private static let interval = Duration.seconds(1) / pace

  /// Begins at once: GET and SET in turns, on the first `keys` keys of `KeyLoader`.
  init(port: Int, keys: Int) {
    self.port = port
    self.keys = keys
    Thread.detachNewThread { [self] in
      do throws(BenchError) {
        try run()
      } catch {
        state.withLock { $0.failure = error }
      }
      hasEnded.signal()
    }
  }

  /// Ends it, and tells what it saw. Failed requests are an error.
  func stop() throws(BenchError) -> Latencies {
    state.withLock { $0.mustStop = true }
    hasEnded.wait()
    let state = state.withLock { $0 }
    if let failure = state.failure { throw failure }
    return Latencies(milliseconds: state.latencies, refused: state.refused)
  }

  /// What a client sees in so many seconds.
  static func watch(
    port: Int, keys: Int, seconds: Double
  ) throws(BenchError) -> Latencies {
    let client = PacedClient(port: port, keys: keys)
    Thread.sleep(forTimeInterval: seconds)
    return try client.stop()
  }

  private func run() throws(BenchError) {
    var connection = try RESPConnection(port: port)
    var generator = SystemRandomNumberGenerator()
    var due = ContinuousClock.now
    var isSet = false
    while !state.withLock({ $0.mustStop }) {
      due += Self.interval
      Self.sleep(until: due)
      isSet.toggle()
      let request = KeyLoader.request(Int.random(in: 0..<keys, using: &generator), isSet: isSet)
      // Not when it was due: being woken late is the fault of this program's machine.
      let start = ContinuousClock.now
      try connection.send(request)
      let reply = try connection.nextReply()
      let end = ContinuousClock.now
      note(end - start, reply)
      while due + Self.interval < end {
        due += Self.interval
        note(end - due, reply)
      }
    }
  }

  private static func sleep(until due: ContinuousClock.Instant) {
    let left = max(.zero, due - .now)
    usleep(UInt32(left / .microseconds(1)))
  }

  private func note(_ latency: Duration, _ reply: RESPReply) {
    state.withLock {
      $0.latencies.append(latency / .milliseconds(1))
      if case .error = reply { $0.refused += 1 }
    }
  }
}

/// How long answers took.
struct Latencies {
  private let ordered: [Double]
  /// Requests that were answered with an error.
  let refused: Int

  init(milliseconds: [Double], refused: Int) {
    ordered = milliseconds.sorted()
    self.refused = refused
  }

  var count: Int { ordered.count }
  var p50: Double { percentile(50) }
  var p99: Double { percentile(99) }

  private func percentile(_ percent: Int) -> Double {
    ordered.isEmpty ? 0 : ordered[min(ordered.count - 1, ordered.count * percent / 100)]
  }

  /// Both percentiles, in milliseconds.
  var text: String { "\(p50.text(2))/\(p99.text(2))" }
}
