import Foundation
import Glibc
import Synchronization

/// Everything this run must not leave behind: the processes it started and its directories.
///
/// Both the measuring thread and the one that waits for Ctrl-C come here, so starting and reaping
/// happen under one lock. That makes two accidents impossible: a child born while the clean-up
/// runs, and a signal sent to a process identifier the system has already given to another.
final class Custody: Sendable {
  private struct State {
    var children: Set<pid_t> = []
    var directories: [String] = []
  }

  private let state = Mutex(State())

  /// Starts a child through `spawn` and keeps its identifier until it is reaped.
  func adopt(_ spawn: () throws(BenchError) -> pid_t) throws(BenchError) -> pid_t {
    try state.withLock { state throws(BenchError) in
      let pid = try spawn()
      state.children.insert(pid)
      return pid
    }
  }

  /// Makes a directory that goes away with everything in it.
  func makeDirectory() throws(BenchError) -> String {
    try state.withLock { state throws(BenchError) in
      var template = Array("\(NSTemporaryDirectory())/coterie-bench-XXXXXX".utf8CString)
      guard let path = mkdtemp(&template) else {
        throw .system("cannot make a temporary directory")
      }
      let directory = String(cString: path)
      state.directories.append(directory)
      return directory
    }
  }

  /// The wait status of a child that has exited, or nil while it runs. It is reaped and forgotten.
  func reapIfExited(_ pid: pid_t) throws(BenchError) -> Int32? {
    try state.withLock { state throws(BenchError) in
      guard state.children.contains(pid) else { throw BenchError("process \(pid) has ended") }
      var status: Int32 = 0
      guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
      state.children.remove(pid)
      return status
    }
  }

  /// Kills a child, if it is still ours, and reaps it.
  ///
  /// There is no gentle signal first: nothing a benchmarked server holds is worth writing out.
  func kill(_ pid: pid_t) {
    state.withLock { state in
      if state.children.remove(pid) != nil { Self.end(pid) }
    }
  }

  /// Sends a signal to a child, if it is still ours.
  func send(_ signal: Int32, to pid: pid_t) {
    state.withLock { state in
      if state.children.contains(pid) { _ = Glibc.kill(pid, signal) }
    }
  }

  /// Kills every child and removes every directory.
  ///
  /// With an exit code it then ends this program, still under the lock: the measuring thread,
  /// whose servers have just died, comes here before it can report that as a failure, and waits.
  func releaseAll(thenExitWith code: Int32? = nil) {
    state.withLock { state in
      for child in state.children { Self.end(child) }
      state.children = []
      for directory in state.directories {
        try? FileManager.default.removeItem(atPath: directory)
      }
      state.directories = []
      if let code { _exit(code) }
    }
  }

  private static func end(_ pid: pid_t) {
    _ = Glibc.kill(pid, SIGKILL)
    while waitpid(pid, nil, 0) == -1 && errno == EINTR {}
  }
}
