import CLinux
import Synchronization

/// The whole run of `coterie-bench load`.
///
/// Each scenario starts its own servers, does one thing to them, and returns findings: figures with
/// the bars they are held against. What is watched from outside is watched by an `Observer`, a client
/// in a thread of its own that the kernel prefers, so that the load generator beside it on the same
/// core does not show up in its figures. What other programs take from the server does: the run says
/// how long the server was ready and had no core.
struct LoadRun {
  let options: LoadOptions
  let servers: Spawner
  let load: Spawner
  private(set) var results: [Result] = []
  private(set) var failures: [String] = []

  struct Result {
    let scenario: Scenario
    let findings: [Finding]
    /// The same figures of redis-server, where they were measured.
    let redis: [Finding]
  }

  enum System: String, Sendable {
    case coterie
    case redis
  }

  init(options: LoadOptions, servers: Spawner, load: Spawner) {
    self.options = options
    self.servers = servers
    self.load = load
  }

  /// Whether all could be run and no bar is missed that counts.
  var isGood: Bool {
    failures.isEmpty
      && !results.flatMap(\.findings).contains { $0.isMet == false && !isForgiven($0) }
  }

  func isForgiven(_ finding: Finding) -> Bool { options.forgivesTimes && finding.kind == .time }

  var launcher: Launcher { Launcher(spawner: servers) }

  mutating func run() {
    Descriptors.raiseLimit()
    // The threads of this program inherit it.
    if coterie_pin_to_core(Int32(load.core.number)) != 0 { note("cannot stay on \(load.core)") }
    var early: [Scenario: Early] = [:]
    // Half a minute of waiting: in a quick run the others go on meanwhile.
    if options.isQuick && options.scenarios.count > 1 && options.scenarios.contains(.slowLoris) {
      early[.slowLoris] = try? Early(self, .slowLoris)
    }
    // What began early is asked for last.
    let ordered = options.scenarios.filter { early[$0] == nil } + early.keys
    for scenario in ordered {
      do throws(BenchError) {
        if let early = early[scenario] {
          results.append(try early.wait())
        } else {
          results.append(try measure(scenario))
        }
      } catch {
        failures.append("\(scenario.rawValue): \(error)")
        note("failed: \(failures.last!)")
      }
    }
  }

  private func measure(_ scenario: Scenario) throws(BenchError) -> Result {
    note("\(scenario.rawValue): \(scenario.title)")
    let findings = try findings(scenario, on: .coterie)
    var redis: [Finding] = []
    if options.usesRedis && scenario.isComparable {
      note("\(scenario.rawValue): redis-server")
      redis = try self.findings(scenario, on: .redis)
    }
    return Result(scenario: scenario, findings: findings, redis: redis)
  }

  private func findings(
    _ scenario: Scenario, on system: System
  ) throws(BenchError) -> [Finding] {
    switch scenario {
    case .connections: try measureConnections(system)
    case .cycles: try measureCycles(system)
    case .silent: try measureSilent()
    case .slowLoris: try measureSlowLoris()
    case .big: try measureBig(system)
    case .batch: try measureBatch(system)
    case .descriptors: try measureDescriptors()
    case .cgroup: try measureCgroup()
    case .expiry: try measureExpiry(system)
    case .allocator: try measureAllocators()
    case .fairness: try measureFairness(system)
    }
  }

  func note(_ line: String) { StandardError.print(line) }

  /// Runs `body` with a server of its own. If that fails because the server has died, its last words
  /// are the better explanation.
  func withServer<Value>(
    _ system: System = .coterie, _ arguments: [String] = [], setup: String = "",
    _ body: (ServerNode) throws(BenchError) -> Value
  ) throws(BenchError) -> Value {
    let deployment = try launcher.loaded(system, arguments, setup: setup)
    defer { deployment.stop() }
    let node = deployment.nodes[0]
    return try deployment.explainingFailure { () throws(BenchError) in
      let waited = node.waitedForCore()
      let value = try body(node)
      let others = node.waitedForCore() - waited
      if others > 0.05 {
        note("  \(system.rawValue) was ready and had no core for \(others.text(2)) s in all")
      }
      return value
    }
  }

  /// A scenario that runs beside the others.
  private final class Early: Sendable {
    private let outcome = Mutex<Swift.Result<Result, BenchError>?>(nil)
    private let thread = Mutex<BackgroundThread?>(nil)

    init(_ run: LoadRun, _ scenario: Scenario) throws(BenchError) {
      let started = try BackgroundThread { [self] in
        let result = Swift.Result { () throws(BenchError) in try run.measure(scenario) }
        outcome.withLock { $0 = result }
      }
      thread.withLock { $0 = started }
    }

    func wait() throws(BenchError) -> Result {
      thread.withLock { $0 }?.join()
      guard let outcome = outcome.withLock({ $0 }) else { throw BenchError("nothing came of it") }
      return try outcome.get()
    }
  }
}
