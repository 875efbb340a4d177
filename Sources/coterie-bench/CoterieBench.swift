import Foundation

/// `coterie-bench`: what Coterie costs, measured beside Redis in one run.
///
/// Figures of two runs, let alone two machines, do not compare; figures of one run do. So both
/// servers stand on the same core under the same load generator, take turns, and the answer is
/// a ratio. The measure is processor time and not throughput: with 50 clients and one core for
/// the load, throughput mostly says how fast redis-benchmark is.
///
/// ```
///   Options ── Comparison ──┬── Launcher ────── Deployment ── ServerNode ── ChildProcess
///                  │        ├── CPUMeter ────── LoadGenerator (redis-benchmark)
///                  │        └── KeyLoader ───── RESPConnection
///                Report                         Custody: nothing outlives the run
///
///   HealOptions ── Heal ──┬── Launcher ── HealingCluster ── ServerNode
///                    │    ├── PacedClient, KeyLoader ────── RESPConnection
///               HealReport└── Rounds
///
///   LoadOptions ── LoadRun ──┬── Launcher ── ServerNode
///                     │      ├── TurnLoad, Observer, Writer … (`Load/`)
///                LoadTable   └── Finding: a figure and its bar
/// ```
@main
enum CoterieBench {
  static func main() {
    let words = Array(CommandLine.arguments.dropFirst())
    if words.first == "ring" { return RingReport.print(quick: words.contains("--quick")) }
    do {
      if words.first == "heal" { return try heal(HealOptions(arguments: words.dropFirst())) }
      if words.first == "load" { return try load(LoadOptions(arguments: words.dropFirst())) }
      let options = try Options(arguments: words)
      if options.wantsHelp {
        print(Options.usage)
      } else {
        exit(try compare(options) ? 0 : 1)
      }
    } catch let error as UsageError {
      complain("\(error.reason)\nTry coterie-bench --help.")
      exit(2)
    } catch {
      complain("\(error)")
      exit(1)
    }
  }

  /// Measures and prints; whether everything could be run.
  private static func compare(_ options: Options) throws(BenchError) -> Bool {
    try withSpawners(options) { servers, load in
      var comparison = Comparison(
        options: options, launcher: Launcher(spawner: servers),
        generator: LoadGenerator(spawner: load))
      comparison.run()
      print(Report(comparison: comparison).text)
      return comparison.failures.isEmpty
    }
  }

  /// The same for `heal`; ends the program when something could not be run.
  private static func heal(_ options: HealOptions) throws(BenchError) {
    if options.wantsHelp { return print(HealOptions.usage) }
    var common = Options()
    common.serverPath = options.serverPath
    let couldRun = try withSpawners(common) { servers, load in
      var heal = Heal(options: options, launcher: Launcher(spawner: servers), other: load)
      heal.run()
      print(HealReport(heal: heal).text)
      return heal.failures.isEmpty
    }
    if !couldRun { exit(1) }
  }

  /// The same for `load`; ends the program when a bar is missed.
  private static func load(_ options: LoadOptions) throws(BenchError) {
    if options.wantsHelp { return print(LoadOptions.usage) }
    var common = Options()
    common.serverPath = options.serverPath
    common.redisPath = options.redisPath
    let isGood = try withSpawners(common) { servers, load in
      var run = LoadRun(options: options, servers: servers, load: load)
      run.run()
      print(LoadTable(run: run).text)
      return run.isGood
    }
    if !isGood { exit(1) }
  }

  /// Lends `body` a spawner on a core for the servers and one on a core for the load.
  private static func withSpawners(
    _ options: Options, _ body: (_ servers: Spawner, _ load: Spawner) -> Bool
  ) throws(BenchError) -> Bool {
    let custody = Custody()
    Interruption.releaseOnSignal(custody)
    defer { custody.releaseAll() }
    let programs = try Programs(options: options)
    if programs.coterieServerIsDebugBuild {
      complain("warning: \(programs.coterieServer) is a debug build; its figures mean nothing")
    }
    let (servers, load) = try cores()
    let directory = try custody.makeDirectory()
    func spawner(on core: Core) -> Spawner {
      Spawner(programs: programs, core: core, custody: custody, directory: directory)
    }
    return body(spawner(on: servers), spawner(on: load))
  }

  /// A core for all servers and one for the load, the same if there is only one.
  private static func cores() throws(BenchError) -> (servers: Core, load: Core) {
    let cores = try Core.available()
    guard cores.count > 1 else {
      complain("warning: only one core; servers and load share it, throughput will suffer")
      return (cores[0], cores[0])
    }
    return (cores[0], cores[1])
  }

  private static func complain(_ text: String) {
    StandardError.print("coterie-bench: \(text)")
  }
}
