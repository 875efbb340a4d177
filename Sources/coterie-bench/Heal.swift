import Foundation

/// The whole run of `coterie-bench heal`: a cluster for each measurement, hurt and watched.
struct Heal {
  let options: HealOptions
  private var launcher: Launcher
  /// Starts the node that heals.
  private let other: Spawner
  private(set) var results: [HealResult] = []
  private(set) var comparisons: [ComparisonResult] = []
  private(set) var failures: [String] = []

  /// Nothing measured here may take longer.
  private static let limit = Duration.seconds(300)
  /// Seconds of anti-entropy's period while it is measured.
  private static let interval = 2

  init(options: HealOptions, launcher: Launcher, other: Spawner) {
    self.options = options
    self.launcher = launcher
    self.other = other
  }

  mutating func run() {
    attempt("refill") { this throws(BenchError) in try this.measureRefill() }
    attempt("hints") { this throws(BenchError) in try this.measureHints() }
    attempt("anti-entropy") { this throws(BenchError) in try this.measureAntiEntropy() }
  }

  private mutating func attempt(
    _ name: String, _ body: (inout Heal) throws(BenchError) -> Void
  ) {
    guard options.wants(name) else { return }
    do throws(BenchError) {
      try body(&self)
    } catch {
      failures.append("\(name): \(error)")
      note("failed: \(failures.last!)")
    }
  }

  private func note(_ line: String) { StandardError.print(line) }

  // MARK: Refill

  private mutating func measureRefill() throws(BenchError) {
    var cluster = try cluster(of: 3, "--keyspace.default.n", "3")
    defer { cluster.stop() }
    try load(cluster)
    let before = try watch(cluster.first)
    note("refill: killing a node")
    cluster.kill()
    let client = PacedClient(port: cluster.first.port, keys: options.keys)
    let started = ContinuousClock.now
    try cluster.restart()
    let hurt = cluster.hurt
    try wait(for: "a refilled node") { () throws(BenchError) in
      // It takes no connections for a moment.
      (try? hurt.info("coterie")["filled"]) == "1"
    }
    let seconds = (ContinuousClock.now - started) / .seconds(1)
    let during = try client.stop()
    let held = try hurt.keysHeld()
    guard held == options.keys else {
      throw hurt.process.failure("says that it is filled with \(held) of \(options.keys) keys")
    }
    note("refill: \(seconds.text(2)) s, \(try hurt.count("filled_keys")) objects were sent")
    results.append(
      HealResult(
        title: "refill", keys: held, seconds: seconds, before: before, during: during))
  }

  // MARK: Hints

  private mutating func measureHints() throws(BenchError) {
    let cluster = try cluster(of: 4, "--keyspace.default.n", "3")
    defer { cluster.stop() }
    for node in cluster.nodes {
      try node.configure("hint-memory", "4gb", "hint-memory-per-node", "4gb")
    }
    try load(cluster)
    let before = try watch(cluster.first)
    note("hints: stopping a node, writing \(options.keys) keys")
    cluster.suspend()
    try KeyLoader(port: cluster.first.port).change(count: options.keys)
    try calmDown(cluster.others)
    let kept = try HealingCluster.sum("hints", over: cluster.others)
    let dropped = try HealingCluster.sum("hints_dropped", over: cluster.others)
    guard dropped == 0, kept > options.keys / 2 else {
      throw BenchError("of \(options.keys) writes \(kept) are kept as hints, \(dropped) dropped")
    }
    let client = PacedClient(port: cluster.first.port, keys: options.keys)
    let started = ContinuousClock.now
    cluster.hurt.process.resume()
    try wait(for: "the delivery of \(kept) hints") { () throws(BenchError) in
      try HealingCluster.sum("hints", over: cluster.others) == 0
    }
    let seconds = (ContinuousClock.now - started) / .seconds(1)
    let during = try client.stop()
    note("hints: \(kept) in \(seconds.text(2)) s")
    results.append(
      HealResult(title: "hints", keys: kept, seconds: seconds, before: before, during: during))
  }

  // MARK: Anti-entropy

  private mutating func measureAntiEntropy() throws(BenchError) {
    let cluster = try cluster(
      of: 2, "--keyspace.default.n", "2", "--keyspace.default.w", "1",
      "--keyspace.default.r", "1")
    defer { cluster.stop() }
    try load(cluster)
    try wait(for: "all keys on the other node") { () throws(BenchError) in
      try cluster.hurt.keysHeld() == options.keys
    }
    for node in cluster.nodes {
      try node.configure(
        "hint-memory", "0", "hint-memory-per-node", "0", "anti-entropy-interval", "\(Self.interval)"
      )
    }
    var rounds = try Rounds(of: cluster)
    note("anti-entropy: stopping a node, changing \(options.different) keys")
    cluster.suspend()
    try KeyLoader(port: cluster.first.port).change(count: options.different)
    cluster.hurt.process.resume()
    let different = options.different
    let first = try rounds.pass(1) { $0.repairs >= different }
    let later = try rounds.pass(2) { _ in true }
    comparisons.append(
      ComparisonResult(
        keys: options.keys, different: different, bytes: first.bytes, repairs: first.repairs,
        laterRounds: later.exchanges, laterBytes: later.bytes, laterRepairs: later.repairs))
  }

  // MARK: Steps

  private mutating func cluster(
    of count: Int, _ arguments: String...
  ) throws(BenchError) -> HealingCluster {
    note("starting \(count) nodes")
    let rate = options.rate.map { ["--transfer-rate", $0] } ?? []
    let cluster = try launcher.healingCluster(of: count, lastOn: other, arguments: arguments + rate)
    do throws(BenchError) {
      // A cluster takes commands while its nodes still join; what they miss then is no repair.
      try wait(for: "settled cluster") { () throws(BenchError) in
        for node in cluster.nodes where try !node.isSettled(among: count) { return false }
        return true
      }
      return cluster
    } catch {
      cluster.stop()
      throw error
    }
  }

  private func load(_ cluster: HealingCluster) throws(BenchError) {
    note("loading \(options.keys) keys")
    try cluster.deployment.explainingFailure { () throws(BenchError) in
      try KeyLoader(port: cluster.first.port).load(count: options.keys)
    }
    try calmDown(cluster.nodes)
  }

  /// Waits till what a load has left behind is done: the third of three copies, for example.
  private func calmDown(_ nodes: [ServerNode]) throws(BenchError) {
    try wait(for: "end of the load") { () throws(BenchError) in
      for node in nodes where try node.operationsWaiting() > 0 { return false }
      return true
    }
    Thread.sleep(forTimeInterval: 1)
  }

  private func watch(_ node: ServerNode) throws(BenchError) -> Latencies {
    try PacedClient.watch(port: node.port, keys: options.keys, seconds: options.calmSeconds)
  }

  private func wait(
    for wanted: String, _ isThere: () throws(BenchError) -> Bool
  ) throws(BenchError) {
    let deadline = Deadline(in: Self.limit)
    while try !isThere() {
      if deadline.hasPassed { throw BenchError("no \(wanted) within \(Self.limit)") }
      Thread.sleep(forTimeInterval: 0.02)
    }
  }
}
