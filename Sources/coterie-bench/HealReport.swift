/// The results of `heal` in print.
struct HealReport {
  let heal: Heal

  var text: String {
    var parts = [circumstances]
    if !heal.results.isEmpty { parts.append(render(speedTable)) }
    if !heal.comparisons.isEmpty { parts.append(render(comparisonTable)) }
    parts += heal.failures.map { "Could not be run: \($0.split(separator: "\n").first ?? "")" }
    return parts.joined(separator: "\n\n")
  }

  private var circumstances: String {
    """
    \(Machine.description); the node that heals and the client on one core, the others on another.
    \(heal.options.keys) keys with values of \(Workload.valueSize) bytes.
    ms: latency of half and of 99 % of one client's requests to another node, \
    \(PacedClient.pace) a second.
    """
  }

  private func render(_ table: TextTable) -> String {
    heal.options.printsMarkdown ? table.markdown : table.aligned
  }

  private var speedTable: TextTable {
    var table = TextTable([
      "a node heals", "keys", "seconds", "keys/s", "bar", "met", "ms before", "ms during", "p99",
      "bar", "met", "refused",
    ])
    for result in heal.results {
      table.add([
        result.title, "\(result.keys)", result.seconds.text(2), result.rate.text(0),
        "≥ \(HealResult.rateBar.text(0))", mark(result.rate >= HealResult.rateBar),
        result.before.text, result.during.text, "× \(result.slowdown.text(2))",
        "≤ × \(HealResult.slowdownBar.text(0))", mark(result.slowdown <= HealResult.slowdownBar),
        "\(result.refused)",
      ])
    }
    return table
  }

  private var comparisonTable: TextTable {
    var table = TextTable([
      "anti-entropy", "keys", "different", "repairs", "bar", "met", "bytes", "% of data", "bar",
      "met",
    ])
    let bar = ComparisonResult.shareBar
    for result in heal.comparisons {
      table.add([
        "until repaired", "\(result.keys)", "\(result.different)", "\(result.repairs)",
        "\(result.different)", mark(result.repairs == result.different), "\(result.bytes)",
        result.share(result.bytes).text(3), "≤ \(bar.text(0))",
        mark(result.share(result.bytes) <= bar),
      ])
      table.add([
        "\(result.laterRounds) comparisons later", "\(result.keys)", "0",
        "\(result.laterRepairs)", "0", mark(result.laterRepairs == 0), "\(result.laterBytes)",
        result.share(result.laterBytes).text(3), "-", "-",
      ])
    }
    return table
  }

  private func mark(_ isMet: Bool) -> String { isMet ? "yes" : "no" }
}
