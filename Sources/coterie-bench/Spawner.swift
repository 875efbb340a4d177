/// Starts programs on one core, so that they die with this one.
struct Spawner: Sendable {
  let programs: Programs
  let core: Core
  let custody: Custody
  /// Where the programs' own directories and what they print go.
  let directory: String

  /// Starts a program; `name` is for messages and must differ from those of its siblings.
  ///
  /// Two small tools go first and then `exec` the program, so the process stays the same one.
  /// `taskset` pins it before its first instruction and with it every thread it will ever have.
  /// `setpriv` has the kernel kill it if we are killed too suddenly for `Custody` to do so.
  func start(
    _ program: String, _ arguments: [String], name: String
  ) throws(BenchError) -> ChildProcess {
    let words =
      [programs.setpriv, "--pdeathsig", "KILL", programs.taskset, "--cpu-list", "\(core.number)"]
      + [program] + arguments
    return try ChildProcess(words, name: name, directory: directory, custody: custody)
  }
}
