import Foundation
import Glibc

/// A program this run has started, its output in files.
struct ChildProcess: Sendable {
  let name: String
  let pid: pid_t
  /// File that collects what it prints on standard output.
  let outputPath: String
  /// File that collects what it prints on standard error.
  let errorPath: String
  private let custody: Custody

  /// Runs the words of a command line. Output goes to files in `directory`, not to pipes, so that
  /// no child ever waits for us to read.
  init(
    _ words: [String], name: String, directory: String, custody: Custody
  ) throws(BenchError) {
    self.name = name
    self.custody = custody
    let outputPath = "\(directory)/\(name).out"
    let errorPath = "\(directory)/\(name).err"
    self.outputPath = outputPath
    self.errorPath = errorPath
    pid = try custody.adopt { () throws(BenchError) in
      try Self.spawn(words, output: outputPath, error: errorPath)
    }
  }

  /// Processor time of all its threads, living and gone, in user and in kernel mode.
  ///
  /// The process's CPU clock counts nanoseconds; `/proc/<pid>/stat` counts ticks of 10 ms, and
  /// `/proc/<pid>/schedstat` only the first thread.
  func cpuTime() throws(BenchError) -> Duration {
    var clock = clockid_t()
    let code = clock_getcpuclockid(pid, &clock)
    guard code == 0 else { throw .system("no CPU clock of \(name)", code: code) }
    var time = timespec()
    guard clock_gettime(clock, &time) == 0 else { throw .system("cannot read \(name)'s CPU clock") }
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  /// Waits till it exits and throws unless it did so with 0. A child that outstays is killed.
  func finish(by deadline: Deadline) throws(BenchError) {
    while !deadline.hasPassed {
      if let status = try custody.reapIfExited(pid) {
        guard status == 0 else { throw failure("failed") }
        return
      }
      // Nothing is lost by noticing late: an idle server's CPU clock stands still.
      usleep(5_000)
    }
    custody.kill(pid)
    throw failure("did not finish in time and was killed")
  }

  /// Throws, with what it printed last, if it has exited: a server should not.
  func checkIsRunning() throws(BenchError) {
    if try custody.reapIfExited(pid) != nil { throw failure("exited by itself") }
  }

  /// Kills it, if it still runs.
  func kill() {
    custody.kill(pid)
  }

  /// Stops it where it is, as a machine that hangs; nothing it holds is lost.
  func suspend() { custody.send(SIGSTOP, to: pid) }

  /// Lets it go on.
  func resume() { custody.send(SIGCONT, to: pid) }

  /// An error that ends in the last lines the child printed.
  func failure(_ what: String) -> BenchError {
    let printed = [outputPath, errorPath].map(Self.lastLines).filter { !$0.isEmpty }
    return BenchError((["\(name) \(what)"] + printed).joined(separator: "\n"))
  }

  private static func lastLines(ofFile path: String) -> String {
    guard let data = FileManager.default.contents(atPath: path) else { return "" }
    let lines = String(decoding: data, as: UTF8.self).split(separator: "\n").suffix(5)
    return lines.map { "  | \($0.prefix(200))" }.joined(separator: "\n")
  }
}
