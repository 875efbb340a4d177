/// What bringing a node's keys back took.
struct HealResult {
  let title: String
  /// Keys that were brought back.
  let keys: Int
  let seconds: Double
  /// What clients of another node saw before anything was hurt, and while the node healed.
  let before: Latencies
  let during: Latencies

  static let rateBar = 100_000.0
  static let slowdownBar = 2.0

  var rate: Double { Double(keys) / seconds }
  /// By how much the slowest hundredth of the answers got slower.
  var slowdown: Double { before.p99 > 0 ? during.p99 / before.p99 : 0 }
  var refused: Int { before.refused + during.refused }
}

/// What comparing two nodes took.
struct ComparisonResult {
  let keys: Int
  let different: Int
  /// Bytes of all queries and answers until all that differed was repaired.
  let bytes: Int
  let repairs: Int
  /// The same of further rounds, in which nothing differed.
  let laterRounds: Int
  let laterBytes: Int
  let laterRepairs: Int

  static let shareBar = 1.0

  /// Bytes as per cent of those of the keys and values.
  func share(_ bytes: Int) -> Double {
    Double(bytes) * 100 / Double(keys * KeyLoader.entrySize)
  }
}
