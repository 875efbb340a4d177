/// What a connection takes while it idles, and what many cost those that work.
extension LoadRun {
  private static let few = 100
  private static let bytesEach = 12.0 * 1024
  private static let rateBar = 0.75
  private static let delayBar = 2.0

  private var many: Int { options.isQuick ? 1000 : 10_000 }

  /// Two servers of the same kind on one core, one with few connections and one with many, take turns:
  /// what the machine does meanwhile meets both alike, and the best of the rounds counts.
  func measureConnections(_ system: System) throws(BenchError) -> [Finding] {
    let arguments = ["--maxclients", "\(many + 100)"]
    return try withServer(system, arguments, setup: Descriptors.setup) {
      crowded throws(BenchError) in
      try withServer(system, arguments) { calm throws(BenchError) in
        for node in [crowded, calm] { try KeyLoader(port: node.port).load(count: TurnLoad.keys) }
        let before = crowded.settledMemory()
        let all = try TurnLoad(node: crowded, connections: many)
        try all.useAll()
        let idle = crowded.settledMemory()
        let some = try TurnLoad(node: calm, connections: Self.few)
        var findings = [eachTakes(idle - before, "memory of each, used once and idle")]
        findings += try compare(all, some)
        let again = crowded.settledMemory(within: 15)
        findings.append(
          .note("memory of each after that", sizeText(Double(again - before) / Double(many))))
        return findings
      }
    }
  }

  private func eachTakes(_ growth: Int, _ figure: String) -> Finding {
    let each = Double(growth) / Double(many)
    return .bound(figure, sizeText(each), bar: "≤ 12 KiB", each <= Self.bytesEach)
  }

  private struct Best {
    var rate = 0.0
    var p99 = Double.infinity
    var processorTime = Double.infinity

    mutating func add(_ result: TurnLoad.Result) {
      rate = max(rate, result.rate)
      p99 = min(p99, result.delays.p99)
      processorTime = min(processorTime, result.processorTime)
    }
  }

  private func compare(
    _ all: TurnLoad, _ some: TurnLoad
  ) throws(BenchError) -> [Finding] {
    let requests = options.isQuick ? 10_000 : 200_000
    // 50 that work, then all in turn: with few and with many connections.
    var best = [Best](repeating: Best(), count: 4)
    for round in 0..<(options.isQuick ? 2 : 5) {
      best[0].add(try some.run(requests: requests, over: TurnLoad.underWay))
      best[1].add(try all.run(requests: requests, over: TurnLoad.underWay))
      best[2].add(try some.run(requests: requests, over: Self.few))
      best[3].add(try all.run(requests: requests, over: many))
      note(
        "  round \(round + 1): best requests/s \(best.map { $0.rate.text(0) }.joined(separator: " "))"
      )
    }
    return ratios("50 work", best[1], best[0]) + ratios("all in turn", best[3], best[2])
  }

  private func ratios(_ title: String, _ crowded: Best, _ calm: Best) -> [Finding] {
    let rate = crowded.rate / calm.rate
    let delay = crowded.p99 / calm.p99
    return [
      .time(
        "\(title): requests/s, of those with \(Self.few)",
        "\(crowded.rate.text(0)) = \((rate * 100).text(0)) %", bar: "≥ 75 %",
        rate >= Self.rateBar),
      .time(
        "\(title): p99, of that with \(Self.few)", "\(crowded.p99.text(2)) ms = × \(delay.text(2))",
        bar: "≤ × 2", delay <= Self.delayBar),
      .note(
        "\(title): server CPU, of that with \(Self.few)",
        "\(crowded.processorTime.text(2)) µs = × "
          + (crowded.processorTime / calm.processorTime).text(2)),
    ]
  }
}
