/// What the simulator does to a cluster.
public enum FaultKind: Int, Sendable, CaseIterable {
  case lostMessage, doubledMessage, overtakenMessage
  case slowLink, cutLink, partition, oneWayPartition
  case pause, crash, clockSkew, clockJump
  case join, leave, replacement

  /// The plural, as in "3 crashes".
  public var name: String {
    switch self {
    case .lostMessage: "lost messages"
    case .doubledMessage: "doubled messages"
    case .overtakenMessage: "overtaken messages"
    case .slowLink: "slow links"
    case .cutLink: "cut links"
    case .partition: "partitions"
    case .oneWayPartition: "one-way partitions"
    case .pause: "pauses"
    case .crash: "crashes"
    case .clockSkew: "skewed clocks"
    case .clockJump: "clock jumps"
    case .join: "joins"
    case .leave: "leaves"
    case .replacement: "replacements"
    }
  }
}

/// How often each fault happened.
public struct FaultCounts: Sendable {
  private var counts = [Int](repeating: 0, count: FaultKind.allCases.count)

  public init() {}

  /// How often one kind happened.
  public subscript(kind: FaultKind) -> Int {
    get { counts[kind.rawValue] }
    set { counts[kind.rawValue] = newValue }
  }

  /// Adds the counts of another run.
  public static func += (left: inout FaultCounts, right: FaultCounts) {
    for index in left.counts.indices { left.counts[index] += right.counts[index] }
  }

  /// What happened at all: "3 crashes, 1 pauses".
  public var summary: String {
    let seen = FaultKind.allCases.filter { self[$0] > 0 }
    return seen.isEmpty ? "none" : seen.map { "\(self[$0]) \($0.name)" }.joined(separator: ", ")
  }
}
