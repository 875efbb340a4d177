/// Tells a living link from a dead one by pings: the machine beside each dialled link.
///
///     heard ──silence ≥ pingInterval──▶ asked ──silence ≥ deadAfter──▶ dead (the link is closed)
///       ▲                                 │
///       └────────── any byte ─────────────┘
///
/// A link that closes by itself (the peer's process died) is dead at once; this machine is for a
/// peer that is stopped or cut off. SWIM's indirect pings come with membership proper.
package struct LinkHealth: Sendable {
  private var lastHeard: UInt64
  private var lastPing: UInt64

  /// What the link's owner should do.
  package enum Verdict: Sendable, Equatable {
    case fine
    case ping
    case dead
  }

  /// Times are monotonic microseconds.
  package init(openedAt now: UInt64) {
    lastHeard = now
    lastPing = 0
  }

  package mutating func heard(at now: UInt64) { lastHeard = now }

  package mutating func verdict(
    at now: UInt64, pingInterval: UInt64, deadAfter: UInt64
  ) -> Verdict {
    let silence = now &- min(lastHeard, now)
    if silence >= deadAfter { return .dead }
    if silence >= pingInterval, now &- min(lastPing, now) >= pingInterval {
      lastPing = now
      return .ping
    }
    return .fine
  }
}
