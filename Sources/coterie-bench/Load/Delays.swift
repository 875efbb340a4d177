/// How long answers took, in milliseconds.
struct Delays {
  private let ordered: [Double]

  init(milliseconds: [Double]) { ordered = milliseconds.sorted() }

  var count: Int { ordered.count }
  var p50: Double { quantile(0.5) }
  var p99: Double { quantile(0.99) }
  var p999: Double { quantile(0.999) }
  var worst: Double { ordered.last ?? 0 }

  private func quantile(_ share: Double) -> Double {
    ordered.isEmpty ? 0 : ordered[min(ordered.count - 1, Int(Double(ordered.count) * share))]
  }

  /// For example `0.05 / 0.20 / 3.10 ms`: p50, p99, worst.
  var text: String { "\(p50.text(2)) / \(p99.text(2)) / \(worst.text(2)) ms" }

  /// What was seen in all of some stretches.
  static func all(_ parts: [Delays]) -> Delays {
    Delays(milliseconds: parts.flatMap(\.ordered))
  }
}
