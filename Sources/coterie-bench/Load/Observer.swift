import Glibc
import Synchronization

/// The other client: it sends one short command each millisecond and notes how long each answer took,
/// while somebody else does something heavy or hostile to the server.
///
/// A command that was due while an answer was awaited counts with the time from when it was due, or
/// one long silence would pass for one slow answer (coordinated omission).
final class Observer: Sendable {
  private struct State {
    var delays: [Double] = []
    var failure: BenchError?
    var mustStop = false
  }

  private let state = Mutex(State())
  private let port: Int
  private let words: [String]
  private let thread = Mutex<BackgroundThread?>(nil)

  private static let interval = 1_000_000

  /// Begins at once.
  init(port: Int, asking words: [String] = ["PING"]) throws(BenchError) {
    self.port = port
    self.words = words
    let started = try BackgroundThread { [self] in
      do throws(BenchError) {
        try run()
      } catch {
        state.withLock { $0.failure = error }
      }
    }
    thread.withLock { $0 = started }
  }

  /// Ends it, and tells what it saw. That it was refused or cut off is an error.
  func stop() throws(BenchError) -> Delays {
    state.withLock { $0.mustStop = true }
    thread.withLock { $0 }?.join()
    let state = state.withLock { $0 }
    if let failure = state.failure { throw BenchError("the other client: \(failure)") }
    return Delays(milliseconds: state.delays)
  }

  /// What it sees in so many seconds.
  static func watch(
    port: Int, asking words: [String] = ["PING"], seconds: Double
  ) throws(BenchError) -> Delays {
    let observer = try Observer(port: port, asking: words)
    Monotonic.sleep(milliseconds: Int(seconds * 1000))
    return try observer.stop()
  }

  /// What it sees while `body` runs.
  static func during(
    port: Int, asking words: [String] = ["PING"], _ body: () throws(BenchError) -> Void
  ) throws(BenchError) -> Delays {
    let observer = try Observer(port: port, asking: words)
    do throws(BenchError) {
      try body()
    } catch {
      _ = try? observer.stop()
      throw error
    }
    return try observer.stop()
  }

  private func run() throws(BenchError) {
    BackgroundThread.goFirst()
    var connection = try RESPConnection(port: port)
    let request = RESPConnection.request(words)
    var due = Monotonic.now()
    while !state.withLock({ $0.mustStop }) {
      due += Self.interval
      Monotonic.sleep(until: due)
      // Not when it was due: being woken late is the fault of this program's machine.
      let start = Monotonic.now()
      try connection.send(request)
      let reply = try connection.nextReply()
      if case .error(let text) = reply { throw BenchError("was answered with -\(text)") }
      let end = Monotonic.now()
      note(end - start)
      while due + Self.interval < end {
        due += Self.interval
        note(end - due)
      }
    }
  }

  private func note(_ nanoseconds: Int) {
    state.withLock { $0.delays.append(Double(nanoseconds) / 1e6) }
  }
}
