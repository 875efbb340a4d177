/// One figure of a scenario, and the bar that it is held against.
struct Finding {
  /// What was measured, unique within its scenario.
  let figure: String
  let measured: String
  /// For example `≤ 12 KiB`; nil for a figure that informs only.
  var bar: String?
  var isMet: Bool?
  var kind = Kind.bound

  enum Kind {
    /// Memory, descriptors, closings, answers: holds on a busy machine as well.
    case bound
    /// A time, a rate or a share of a processor: a busy machine can miss it.
    case time
  }

  /// A figure without a bar.
  static func note(_ figure: String, _ measured: String) -> Finding {
    Finding(figure: figure, measured: measured)
  }

  static func bound(_ figure: String, _ measured: String, bar: String, _ isMet: Bool) -> Finding {
    Finding(figure: figure, measured: measured, bar: bar, isMet: isMet)
  }

  static func time(_ figure: String, _ measured: String, bar: String, _ isMet: Bool) -> Finding {
    Finding(figure: figure, measured: measured, bar: bar, isMet: isMet, kind: .time)
  }

  /// A delay of another client that must not exceed `milliseconds`.
  static func delay(_ figure: String, _ delay: Double, atMost milliseconds: Double) -> Finding {
    .time(
      figure, "\(delay.text(2)) ms", bar: "≤ \(milliseconds.text(0)) ms", delay <= milliseconds)
  }
}

/// A number of bytes in words.
func sizeText(_ bytes: Double) -> String {
  switch abs(bytes) {
  case ..<10_240: "\(bytes.text(0)) B"
  case ..<10_485_760: "\((bytes / 1024).text(1)) KiB"
  default: "\((bytes / 1_048_576).text(1)) MiB"
  }
}

func sizeText(_ bytes: Int) -> String { sizeText(Double(bytes)) }
