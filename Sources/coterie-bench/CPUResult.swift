/// A CPU row, measured.
struct CPUResult {
  let row: Row
  /// Medians of the rounds.
  let coterie: Measurement
  let redis: Measurement
  /// The ratio in each single round. How far apart they are says how far to trust the median.
  let roundRatios: [Double]

  init(row: Row, coterieRounds: [Measurement], redisRounds: [Measurement]) {
    self.row = row
    coterie = .median(of: coterieRounds)
    redis = .median(of: redisRounds)
    roundRatios = zip(coterieRounds, redisRounds).map { $0.cpuPerOperation / $1.cpuPerOperation }
  }

  /// Coterie's CPU an operation over Redis's; below 1 Coterie is the cheaper one.
  var ratio: Double { coterie.cpuPerOperation / redis.cpuPerOperation }

  /// Whether the row's bar is met; nil for a row that has none.
  var meetsBar: Bool? { row.bar.map { ratio <= $0 } }
}
