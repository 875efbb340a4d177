/// The whole run: starts the servers, measures the rows in turns, collects the results.
///
/// What cannot be run (a cluster that does not form, a row that meets an error) is noted in
/// `failures`, and the rest is measured all the same.
struct Comparison {
  let options: Options
  let meter: CPUMeter
  private var launcher: Launcher
  private(set) var cpuResults: [CPUResult] = []
  private(set) var memoryResults: [MemoryResult] = []
  private(set) var failures: [String] = []

  init(options: Options, launcher: Launcher, generator: LoadGenerator) {
    self.options = options
    self.launcher = launcher
    meter = CPUMeter(generator: generator, requests: options.requests)
  }

  mutating func run() {
    attempt("one node") { this throws(BenchError) in try this.measureCPU(nodes: 1) }
    attempt("three nodes") { this throws(BenchError) in try this.measureCPU(nodes: 3) }
    attempt("memory") { this throws(BenchError) in try this.measureMemory() }
  }

  private mutating func attempt(
    _ part: String, _ body: (inout Comparison) throws(BenchError) -> Void
  ) {
    do throws(BenchError) {
      try body(&self)
    } catch {
      failures.append("\(part): \(error)")
      note("failed: \(failures.last!)")
    }
  }

  // MARK: CPU

  private mutating func measureCPU(nodes: Int) throws(BenchError) {
    let rows = Row.all.filter { row in
      guard case .cpu(_, nodes) = row.kind else { return false }
      return row.isSelected(by: options.selection)
    }
    guard !rows.isEmpty else { return }
    note("starting \(nodes == 1 ? "one node" : "\(nodes) nodes") and one redis-server")
    let coterie = try nodes == 1 ? launcher.coterie() : launcher.coterieCluster()
    defer { coterie.stop() }
    let redis = try launcher.redis()
    defer { redis.stop() }
    try coterie.preload(keys: Options.keys)
    try redis.preload(keys: Options.keys)
    for row in rows {
      guard case .cpu(let work, _) = row.kind else { continue }
      attempt(row.name) { this throws(BenchError) in
        this.cpuResults.append(try this.measure(row, work, coterie: coterie, redis: redis))
      }
    }
  }

  /// The rounds of one row, in turns, so that whatever else the machine does meets both alike.
  private func measure(
    _ row: Row, _ work: Workload, coterie: Deployment, redis: Deployment
  ) throws(BenchError) -> CPUResult {
    try meter.warmUp(work, on: coterie)
    try meter.warmUp(work, on: redis)
    var coterieRounds: [Measurement] = []
    var redisRounds: [Measurement] = []
    for round in 1...options.rounds {
      coterieRounds.append(try meter.measure(work, on: coterie))
      redisRounds.append(try meter.measure(work, on: redis))
      note(
        "\(row.name) round \(round)/\(options.rounds):"
          + " coterie \(coterieRounds.last!.cpuPerOperation.text(2)),"
          + " redis \(redisRounds.last!.cpuPerOperation.text(2)) µs/op")
    }
    return CPUResult(row: row, coterieRounds: coterieRounds, redisRounds: redisRounds)
  }

  // MARK: Memory

  private mutating func measureMemory() throws(BenchError) {
    for row in Row.all where row.isSelected(by: options.selection) {
      guard case .memory = row.kind else { continue }
      note("loading \(options.memoryKeys) keys into one node, then into one redis-server")
      let coterie = try overhead(of: launcher.coterie())
      let redis = try overhead(of: launcher.redis())
      note("\(row.name): coterie \(coterie.text(1)), redis \(redis.text(1)) bytes a key")
      memoryResults.append(
        MemoryResult(row: row, keys: options.memoryKeys, coterie: coterie, redis: redis))
    }
  }

  /// Bytes by which a fresh server grows for one key, less the key's and its value's own.
  private func overhead(of target: Deployment) throws(BenchError) -> Double {
    defer { target.stop() }
    let node = target.nodes[0]
    let loader = KeyLoader(port: node.port)
    let before = try node.settledResidentSize()
    let size = try target.explainingFailure { () throws(BenchError) in
      try loader.load(count: options.memoryKeys)
      return try loader.databaseSize()
    }
    guard size == options.memoryKeys else {
      throw node.process.failure("has \(size) keys after \(options.memoryKeys) were stored")
    }
    let growth = try node.settledResidentSize() - before
    return Double(growth) / Double(options.memoryKeys) - Double(KeyLoader.entrySize)
  }

  private func note(_ line: String) {
    StandardError.print(line)
  }
}
