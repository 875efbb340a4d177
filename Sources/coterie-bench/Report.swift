/// The results in print.
struct Report {
  let comparison: Comparison

  /// All of it, with a closing line on the bars.
  var text: String {
    var parts = [circumstances]
    if !comparison.cpuResults.isEmpty { parts.append(render(cpuTable)) }
    if !comparison.memoryResults.isEmpty { parts.append(render(memoryTable)) }
    parts.append(verdict)
    return parts.joined(separator: "\n\n")
  }

  private var circumstances: String {
    let options = comparison.options
    return """
      \(Machine.description); servers on one core, load on another.
      Median of \(options.rounds) rounds of \(options.requests) requests, pipelined \
      \(options.requests * Workload.pipelinedFactor).
      \(Workload.valueSize)-byte values, \(Options.keys) random keys, 50 connections.
      Ratio: Coterie's CPU over Redis's; rounds: its range in single rounds, which tells the noise.
      ms: latency of half and of 99 % of the requests, a pipeline counted as one.
      """
  }

  private func render(_ table: TextTable) -> String {
    comparison.options.printsMarkdown ? table.markdown : table.aligned
  }

  // MARK: Tables

  private var cpuTable: TextTable {
    var table = TextTable([
      "server CPU an operation", "Coterie µs", "Redis µs", "ratio", "rounds", "bar", "met",
      "Coterie op/s", "Redis op/s", "Coterie ms", "Redis ms",
    ])
    for result in comparison.cpuResults {
      table.add([
        result.row.title, result.coterie.cpuPerOperation.text(2),
        result.redis.cpuPerOperation.text(2), result.ratio.text(2), range(result.roundRatios),
        result.row.bar.map { "≤ \($0.text(2))" } ?? "-", mark(result.meetsBar),
        result.coterie.load.throughput.text(0), result.redis.load.throughput.text(0),
        latencies(result.coterie.load), latencies(result.redis.load),
      ])
    }
    return table
  }

  private var memoryTable: TextTable {
    var table = TextTable([
      "resident bytes a key", "keys", "Coterie", "Redis", "ratio", "bar", "met",
    ])
    for result in comparison.memoryResults {
      table.add([
        result.row.title, "\(result.keys)", result.coterie.text(1), result.redis.text(1),
        result.ratio.text(2), result.row.bar.map { "≤ \($0.text(0))" } ?? "-",
        mark(result.meetsBar),
      ])
    }
    return table
  }

  private func latencies(_ load: LoadReport) -> String {
    "\(load.p50.text(2))/\(load.p99.text(2))"
  }

  private func range(_ ratios: [Double]) -> String {
    "\((ratios.min() ?? 0).text(2))-\((ratios.max() ?? 0).text(2))"
  }

  private func mark(_ isMet: Bool?) -> String {
    switch isMet {
    case true?: "yes"
    case false?: "no"
    case nil: "-"
    }
  }

  // MARK: Verdict

  private var verdict: String {
    let verdicts: [(name: String, isMet: Bool?)] =
      comparison.cpuResults.map { ($0.row.name, $0.meetsBar) }
      + comparison.memoryResults.map { ($0.row.name, $0.meetsBar) }
    let met = verdicts.filter { $0.isMet == true }.map(\.name)
    let missed = verdicts.filter { $0.isMet == false }.map(\.name)
    return """
      Bars met: \(met.count) of \(met.count + missed.count).
      Met: \(list(met)).
      Missed: \(list(missed)).
      """ + failures
  }

  /// First lines only: the rest, what a server printed, was shown when it happened.
  private var failures: String {
    comparison.failures
      .map { "\nCould not be run: \($0.split(separator: "\n").first ?? "")" }.joined()
  }

  private func list(_ names: [String]) -> String {
    names.isEmpty ? "none" : names.joined(separator: ", ")
  }
}
