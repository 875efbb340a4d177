import Glibc
import Synchronization

/// A thread that runs one closure and can be waited for.
final class BackgroundThread: Sendable {
  private let body: @Sendable () -> Void
  private let identifier = Mutex<pthread_t?>(nil)

  init(_ body: @escaping @Sendable () -> Void) throws(BenchError) {
    self.body = body
    // The thread owns a reference until it ends.
    let this = Unmanaged.passRetained(self)
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        let thread = Unmanaged<BackgroundThread>.fromOpaque(argument!).takeRetainedValue()
        thread.body()
        return nil
      }, this.toOpaque())
    guard code == 0 else {
      this.release()
      throw .system("cannot start a thread", code: code)
    }
    identifier.withLock { $0 = thread }
  }

  /// Waits for its end; once.
  func join() {
    let thread = identifier.withLock { identifier in
      defer { identifier = nil }
      return identifier
    }
    if let thread { pthread_join(thread, nil) }
  }

  /// Lets the calling thread run before ordinary ones whenever it is ready, where the system allows
  /// that: what measures delays must not wait for the load generator beside it.
  static func goFirst() {
    var parameters = sched_param()
    parameters.sched_priority = 1
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters)
  }
}
