import Glibc

/// SIGINT and SIGTERM: the soak ends with the seed that runs.
enum StopSignal {
  private static let signals: sigset_t = {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    return signals
  }()

  /// From now on these signals wait until `hasCome` looks.
  static func await() {
    var signals = signals
    sigprocmask(SIG_BLOCK, &signals, nil)
  }

  static var hasCome: Bool {
    var pending = sigset_t()
    sigpending(&pending)
    return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1
  }
}
