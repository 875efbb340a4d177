/// One run of the failure detectors alone: see MembershipWorld.swift.
public struct MembershipOptions: Sendable {
  public var nodes: Int
  /// Per cent of messages that never arrive.
  public var loss: Int
  /// Simulated time of the measurement at rest, in seconds.
  public var seconds: Int
  public var seed: UInt64 = 1

  /// Times one node dies, each time in another copy of the world; the worst one counts.
  static let kills = 5
  /// What has not come to all by then will not come, in seconds.
  static let patience = 120

  public init(nodes: Int, loss: Int, seconds: Int) {
    self.nodes = nodes
    self.loss = loss
    self.seconds = seconds
  }
}

/// What a run has shown. Rates are of messages and bytes sent, of one node in one second.
public struct MembershipResult: Sendable {
  public var options: MembershipOptions
  public var messages = Rate()
  public var bytes = Rate()
  /// Microseconds from a death until the first node takes it for one, and until all do; nil when
  /// that did not come within `MembershipOptions.patience`. The longest of several deaths.
  public var firstKnows: UInt64? = 0
  public var allKnow: UInt64? = 0
  /// Microseconds from a node's change of its own record until all have it.
  public var changeKnown: UInt64? = 0
  /// Living nodes of which anybody said that they are dead, at any time.
  public var wrongDeaths = 0
  /// Wrong suspicions of the time at rest, by anybody, of one node in an hour.
  public var wrongSuspicionsPerNodeHour = 0.0

  public struct Rate: Sendable {
    public var mean = 0.0
    /// Of the node with the most.
    public var most = 0.0
  }
}
