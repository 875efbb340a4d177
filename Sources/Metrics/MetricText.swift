import Primitives

// # Metrics
//
// What a node counts, in Prometheus's text format 0.0.4: families of samples, each family with a
// line of help and its type, all samples of a family in one place:
//
//     # HELP coterie_peer_up Whether the link to a node is up.
//     # TYPE coterie_peer_up gauge
//     coterie_peer_up{peer="10.0.0.2:6379"} 1
//
// The rules, which `promtool check metrics` enforces: base units (seconds, bytes), counters end in
// `_total`, gauges in nothing of the kind, a histogram's buckets are cumulative and end in `+Inf`.
//
// The text goes straight to bytes. Numbers are integers, and times are microseconds that are written as
// seconds digit by digit: nothing here is a float, so equal counts make equal bytes.

/// What a family's samples mean.
public enum MetricKind: Sendable {
  /// Only grows, and starts at 0 with the process.
  case counter
  case gauge
  case histogram

  fileprivate var word: StaticString {
    switch self {
    case .counter: "counter"
    case .gauge: "gauge"
    case .histogram: "histogram"
    }
  }
}

/// The number of a sample.
public enum MetricValue: Sendable {
  case integer(Int)
  /// Microseconds, written as seconds.
  case microseconds(UInt64)
}

/// One label of a sample.
public struct MetricLabel {
  fileprivate let name: StaticString
  fileprivate let value: String

  public init(_ name: StaticString, _ value: String) {
    self.name = name
    self.value = value
  }
}

/// Writes metrics. See the essay above.
public struct MetricText: ~Copyable {
  /// What was written; who lends its own buffer swaps it in and out.
  public var text = ByteBuffer()
  private var name: StaticString = ""

  public init() {}

  /// Begins a family; its samples follow.
  public mutating func begin(_ name: StaticString, _ kind: MetricKind, _ help: StaticString) {
    self.name = name
    text.append("# HELP ")
    text.append(name)
    text.append(" ")
    text.append(help)
    text.append("\n# TYPE ")
    text.append(name)
    text.append(" ")
    text.append(kind.word)
    text.append("\n")
  }

  /// A family of one sample.
  public mutating func counter(_ name: StaticString, _ help: StaticString, _ value: Int) {
    begin(name, .counter, help)
    sample(.integer(value))
  }

  /// A family of one sample.
  public mutating func gauge(_ name: StaticString, _ help: StaticString, _ value: Int) {
    begin(name, .gauge, help)
    sample(.integer(value))
  }

  // MARK: Samples

  public mutating func sample(_ value: MetricValue) {
    text.append(name)
    finish(value)
  }

  public mutating func sample(_ value: MetricValue, _ label: MetricLabel) {
    text.append(name)
    append("{", label)
    text.append("}")
    finish(value)
  }

  public mutating func sample(_ value: MetricValue, _ first: MetricLabel, _ second: MetricLabel) {
    text.append(name)
    append("{", first)
    append(",", second)
    text.append("}")
    finish(value)
  }

  public mutating func sample(_ value: MetricValue, _ labels: [MetricLabel]) {
    text.append(name)
    for (place, label) in labels.enumerated() { append(place == 0 ? "{" : ",", label) }
    if !labels.isEmpty { text.append("}") }
    finish(value)
  }

  /// The upper bounds of a histogram's buckets, in microseconds: 100 µs to 1 s.
  public static let bounds: [UInt64] = [
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
  ]

  /// All lines of one histogram of the family. A bound of `LatencyHistogram` is up to 6.25 % below the
  /// one that is written.
  public mutating func sample(_ histogram: LatencyHistogram, _ label: MetricLabel? = nil) {
    for bound in MetricText.bounds {
      bucket(label, bound, histogram.count(upTo: bound * 1000))
    }
    bucket(label, nil, histogram.count)
    finish("_sum", label, .microseconds(histogram.sum / 1000))
    finish("_count", label, .integer(Int(histogram.count)))
  }

  /// One bucket; without a bound it is that of everything.
  private mutating func bucket(_ label: MetricLabel?, _ bound: UInt64?, _ count: UInt64) {
    text.append(name)
    text.append("_bucket")
    if let label { append("{", label) }
    text.append(label == nil ? "{le=\"" : ",le=\"")
    if let bound { append(seconds: bound) } else { text.append("+Inf") }
    text.append("\"}")
    finish(.integer(Int(count)))
  }

  private mutating func finish(
    _ suffix: StaticString, _ label: MetricLabel?, _ value: MetricValue
  ) {
    text.append(name)
    text.append(suffix)
    if let label {
      append("{", label)
      text.append("}")
    }
    finish(value)
  }

  private mutating func append(_ separator: StaticString, _ label: MetricLabel) {
    text.append(separator)
    text.append(label.name)
    text.append("=\"")
    append(escaped: label.value)
    text.append("\"")
  }

  /// A label's value may hold anything: three characters are written with a backslash.
  private mutating func append(escaped value: String) {
    for byte in value.utf8 {
      switch byte {
      case UInt8(ascii: "\\"): text.append("\\\\")
      case UInt8(ascii: "\""): text.append("\\\"")
      case UInt8(ascii: "\n"): text.append("\\n")
      default: text.append(byte)
      }
    }
  }

  private mutating func finish(_ value: MetricValue) {
    text.append(" ")
    switch value {
    case .integer(let value): text.append(decimal: value)
    case .microseconds(let value): append(seconds: value)
    }
    text.append("\n")
  }

  /// `0.0001` for 100, `2` for 2,000,000.
  private mutating func append(seconds microseconds: UInt64) {
    text.append(decimal: Int(microseconds / 1_000_000))
    var rest = microseconds % 1_000_000
    guard rest > 0 else { return }
    text.append(".")
    var unit: UInt64 = 100_000
    while rest > 0 {
      text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / unit))
      rest %= unit
      unit /= 10
    }
  }
}
