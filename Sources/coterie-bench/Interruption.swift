import Foundation
import Glibc

/// Ctrl-C and its relatives, turned into an orderly clean-up.
enum Interruption {
  /// Waits in a thread of its own for a signal to stop, then cleans up and exits.
  ///
  /// The signals are blocked and waited for, not handled: a handler may not take locks or remove
  /// files, a thread may. Must be called before any other thread starts, since threads inherit
  /// the mask. Signals that `nohup` or a shell told us to ignore stay ignored.
  static func releaseOnSignal(_ custody: Custody) {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP] where !isIgnored(signal) {
      sigaddset(&signals, signal)
    }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    let awaited = signals
    Thread.detachNewThread {
      var set = awaited
      var signal: Int32 = 0
      while sigwait(&set, &signal) != 0 {}
      // The shells' convention for a program that a signal ended.
      custody.releaseAll(thenExitWith: 128 + signal)
    }
  }

  private static func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    sigaction(signal, nil, &action)
    // Function pointers have no `==`; SIG_IGN is the address 1.
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
      == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
