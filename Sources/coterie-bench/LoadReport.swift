/// What redis-benchmark says of one run.
struct LoadReport {
  /// Requests a second.
  let throughput: Double
  /// Half of all requests were answered within this, in milliseconds.
  let p50: Double
  /// 99 of 100 requests were answered within this, in milliseconds.
  let p99: Double

  init(throughput: Double, p50: Double, p99: Double) {
    self.throughput = throughput
    self.p50 = p50
    self.p99 = p99
  }

  /// Reads `redis-benchmark --csv`: a line of column names, then a line for the one test.
  init(csv: String) throws(BenchError) {
    let rows = csv.split(whereSeparator: \.isNewline).map(Self.cells).filter { $0.count > 1 }
    guard rows.count == 2, rows[0].count == rows[1].count else {
      throw BenchError("redis-benchmark printed no table of two lines:\n\(csv)")
    }
    let cells = Dictionary(zip(rows[0], rows[1])) { first, _ in first }
    func number(_ column: String) throws(BenchError) -> Double {
      guard let number = cells[column].flatMap({ Double($0) }) else {
        throw BenchError("redis-benchmark printed no number for \(column):\n\(csv)")
      }
      return number
    }
    throughput = try number("rps")
    p50 = try number("p50_latency_ms")
    p99 = try number("p99_latency_ms")
  }

  /// What several generators saw together: their throughputs add up; of latencies only bounds
  /// can be known from percentiles, so the worst one stands for all.
  static func together(_ reports: [LoadReport]) -> LoadReport {
    LoadReport(
      throughput: reports.reduce(0) { $0 + $1.throughput },
      p50: reports.map(\.p50).max() ?? 0,
      p99: reports.map(\.p99).max() ?? 0)
  }

  private static func cells(ofLine line: Substring) -> [String] {
    line.split(separator: ",").map { $0.filter { $0 != "\"" } }
  }
}
