/// The results of `load` in print.
struct LoadTable {
  let run: LoadRun

  var text: String {
    var parts = [circumstances]
    if !run.results.isEmpty { parts.append(render(table)) }
    parts.append(verdict)
    return parts.joined(separator: "\n\n")
  }

  private var circumstances: String {
    """
    \(Machine.description); servers on one core, load on another\
    \(run.options.isQuick ? "; --quick: small sizes, of which the times say little" : "").
    Three figures with slashes: p50 / p99 / worst of another client's commands, one each ms.
    """
  }

  private func render(_ table: TextTable) -> String {
    run.options.printsMarkdown ? table.markdown : table.aligned
  }

  private var table: TextTable {
    var table = TextTable(["scenario", "figure", "measured", "bar", "met", "Redis"])
    for result in run.results {
      for (place, finding) in result.findings.enumerated() {
        table.add([
          place == 0 ? name(of: result.scenario) : "", finding.figure, finding.measured,
          finding.bar ?? "-", finding.isMet.map { $0 ? "yes" : "no" } ?? "-",
          result.redis.first { $0.figure == finding.figure }?.measured ?? "-",
        ])
      }
    }
    return table
  }

  private func name(of scenario: Scenario) -> String {
    run.options.printsMarkdown ? "`\(scenario.rawValue)`" : scenario.rawValue
  }

  private var verdict: String {
    let bars = run.results.flatMap(\.findings).filter { $0.isMet != nil }
    var lines = ["Bars met: \(bars.count { $0.isMet == true }) of \(bars.count)."]
    for result in run.results {
      for finding in result.findings where finding.isMet == false {
        let note = run.isForgiven(finding) ? " (a time: forgiven)" : ""
        lines.append(
          "Missed: \(result.scenario.rawValue), \(finding.figure): \(finding.measured)\(note)")
      }
    }
    lines += run.failures.map {
      "Could not be run: \($0.split(whereSeparator: \.isNewline).first ?? "")"
    }
    return lines.joined(separator: "\n")
  }
}
