/// One run of the failure detectors alone: see MembershipWorld.swift.
package struct MembershipOptions: Sendable {
  package var nodes: Int
  /// Per cent of messages that never arrive.
  package var loss: Int
  /// Simulated time of the measurement at rest, in seconds.
  package var seconds: Int
  package var seed: UInt64 = 1

  /// Times one node dies, each time in another copy of the world; the worst one counts.
  static let kills = 5
  /// What has not come to all by then will not come, in seconds.
  static let patience = 120

  package init(nodes: Int, loss: Int, seconds: Int) {
    self.nodes = nodes
    self.loss = loss
    self.seconds = seconds
  }
}

/// What a run has shown. Rates are of messages and bytes sent, of one node in one second.
package struct MembershipResult: Sendable {
  package var options: MembershipOptions
  package var messages = Rate()
  package var bytes = Rate()
  /// Microseconds from a death until the first node takes it for one, and until all do; nil when
  /// that did not come within `MembershipOptions.patience`. The longest of several deaths.
  package var firstKnows: UInt64? = 0
  package var allKnow: UInt64? = 0
  /// Microseconds from a node's change of its own record until all have it.
  package var changeKnown: UInt64? = 0
  /// Living nodes of which anybody said that they are dead, at any time.
  package var wrongDeaths = 0
  /// Wrong suspicions of the time at rest, by anybody, of one node in an hour.
  package var wrongSuspicionsPerNodeHour = 0.0

  package struct Rate: Sendable {
    package var mean = 0.0
    /// Of the node with the most.
    package var most = 0.0
  }
}
