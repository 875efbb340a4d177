import Metrics

// What operators count commands by: a few classes and outcomes. The calls and their durations are those
// of the commands' entries (CommandMeter); only errors are counted here once more, on their slow way.

/// What a command asks of the cluster.
enum OperationClass: Int, CaseIterable {
  /// Reads R copies of a key.
  case read
  /// Writes W copies without reading.
  case write
  /// Reads R copies, decides, writes W.
  case modify
  /// Asks several owners: several keys, or all nodes.
  case gather
  /// Asks nobody.
  case other

  /// The value of the label `operation`.
  var label: MetricLabel {
    switch self {
    case .read: MetricLabel("operation", "read")
    case .write: MetricLabel("operation", "write")
    case .modify: MetricLabel("operation", "modify")
    case .gather: MetricLabel("operation", "gather")
    case .other: MetricLabel("operation", "other")
    }
  }
}

extension CommandEntry {
  /// A subcommand's entry has the handler and the access of none.
  var operationClass: OperationClass {
    switch handler {
    case .mget, .mset, .msetnx, .scan, .keys, .randomkey, .dbsize, .flushdb, .flushall: .gather
    case .object, .memory: .other
    default:
      switch access {
      case .read: .read
      case .blind: .write
      case .modify: .modify
      case .none: .other
      }
    }
  }
}

/// How a command ended badly.
enum OperationFailure: Int, CaseIterable {
  case error
  /// Too few owners alive; nothing was applied.
  case noReplicas
  /// Short of W; may have been applied.
  case noQuorum
  case outOfMemory
  /// Not logged in, or not allowed.
  case denied
  /// This node is in no cluster.
  case clusterDown
  /// The owners change, or too much waits: the client may try again.
  case tryAgain

  var label: MetricLabel {
    switch self {
    case .error: MetricLabel("status", "error")
    case .noReplicas: MetricLabel("status", "no_replicas")
    case .noQuorum: MetricLabel("status", "no_quorum")
    case .outOfMemory: MetricLabel("status", "oom")
    case .denied: MetricLabel("status", "denied")
    case .clusterDown: MetricLabel("status", "cluster_down")
    case .tryAgain: MetricLabel("status", "try_again")
    }
  }

  /// What an error reply's first word stands for.
  init(_ word: String) {
    switch word {
    case "NOREPLICAS": self = .noReplicas
    case "NOQUORUM": self = .noQuorum
    case "OOM": self = .outOfMemory
    case "NOPERM", "NOAUTH", "WRONGPASS", "DENIED": self = .denied
    case "CLUSTERDOWN": self = .clusterDown
    case "TRYAGAIN": self = .tryAgain
    default: self = .error
    }
  }
}

/// Errors by class and kind.
struct OperationFailures {
  private var counts = Array(
    repeating: 0, count: OperationClass.allCases.count * OperationFailure.allCases.count)

  subscript(operation: OperationClass, failure: OperationFailure) -> Int {
    get { counts[operation.rawValue * OperationFailure.allCases.count + failure.rawValue] }
    set {
      counts[operation.rawValue * OperationFailure.allCases.count + failure.rawValue] = newValue
    }
  }
}

extension NodeCore {
  /// An error reply went to a client; `number` is its command's, or negative for one that was refused
  /// (`refused` knows it then) or is unknown.
  mutating func countFailure(_ word: String, of number: Int) {
    let number = number >= 0 ? number : meter.pointee.refused
    meter.pointee.refused = -1
    let operation = number >= 0 ? commandIndex.entries[number].operationClass : .other
    failures[operation, OperationFailure(word)] += 1
  }

  func writeOperations(_ metrics: inout MetricText) {
    var succeeded = Array(repeating: 0, count: OperationClass.allCases.count)
    var durations = Array(repeating: LatencyHistogram(), count: OperationClass.allCases.count)
    for number in 0..<commandIndex.total {
      let entry = commandIndex.entries + number
      guard entry.pointee.calls > 0 else { continue }
      let place = entry.pointee.operationClass.rawValue
      succeeded[place] += entry.pointee.calls - entry.pointee.failed
      if let histogram = entry.pointee.histogram { durations[place].add(histogram.pointee) }
    }
    metrics.begin(
      "coterie_operations_total", .counter,
      "Commands of clients of this node by what they ask of the cluster and how they ended.")
    for operation in OperationClass.allCases {
      metrics.sample(
        .integer(succeeded[operation.rawValue]), operation.label, MetricLabel("status", "ok"))
      for failure in OperationFailure.allCases {
        metrics.sample(.integer(failures[operation, failure]), operation.label, failure.label)
      }
    }
    metrics.begin(
      "coterie_operation_duration_seconds", .histogram,
      "From when a command begins to run to when its reply is ready.")
    for operation in OperationClass.allCases {
      metrics.sample(durations[operation.rawValue], operation.label)
    }
  }
}
