import Synchronization

/// A client that sends the same batch of commands again and again, as fast as it is served.
final class Flood: Sendable {
  private let outcome = Mutex<Swift.Result<Int, BenchError>>(.success(0))
  private let mustStop = Atomic<Bool>(false)
  private let thread = Mutex<BackgroundThread?>(nil)

  /// Begins at once; `answer` is that of each single command.
  init(port: Int, request: [UInt8], answer: [UInt8]) throws(BenchError) {
    let started = try BackgroundThread { [self] in
      let result = Swift.Result { () throws(BenchError) in
        var exchange = try Exchange(port: port)
        return try exchange.run(request, times: nil, answer: answer) {
          mustStop.load(ordering: .relaxed)
        }
      }
      outcome.withLock { $0 = result }
    }
    thread.withLock { $0 = started }
  }

  /// Ends it; how many commands were answered.
  func stop() throws(BenchError) -> Int {
    mustStop.store(true, ordering: .relaxed)
    thread.withLock { $0 }?.join()
    return try outcome.withLock { $0 }.get()
  }
}
