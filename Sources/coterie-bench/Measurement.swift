/// What one round, or the median of several, says of one system under one kind of work.
struct Measurement {
  /// Processor time the servers spent on one operation, in microseconds.
  let cpuPerOperation: Double
  let load: LoadReport

  /// Each figure's median by itself: a round with a hiccup in one figure still counts in others.
  static func median(of rounds: [Measurement]) -> Measurement {
    Measurement(
      cpuPerOperation: rounds.map(\.cpuPerOperation).median,
      load: LoadReport(
        throughput: rounds.map(\.load.throughput).median,
        p50: rounds.map(\.load.p50).median,
        p99: rounds.map(\.load.p99).median))
  }
}
