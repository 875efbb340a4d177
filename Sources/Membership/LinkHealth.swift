import Primitives

/// Tells a living link from a dead one: the machine beside each dialled link.
///
///     quiet ──sent──▶ expecting ──pingInterval──▶ pinged ──silence ≥ deadAfter──▶ dead
///       ▲                  │                         │              (the link is closed)
///       └──── any byte ────┴─────────────────────────┘
///
/// Only a link that something was sent on is expected to say anything, so an idle one costs nothing.
/// A link that closes by itself (the peer's process died) is dead at once; this machine is for a
/// peer that is stopped or cut off while it is needed. Whether a peer is alive for the cluster is
/// another question: see Swim.swift.
///
/// A large value is an exception twice. While it is being written a ping stands behind it in the same
/// stream, so that nothing can be heard: but who takes bytes lives, and each part that the other end
/// takes starts the silence anew. And once it has all of it, it needs time to store it, the longer the
/// more it is: the silence may last longer, by what was taken since anything was heard.
public struct LinkHealth: Sendable {
  /// The first thing sent since anything was heard, or the last part that was taken of something
  /// large; 0 when there is none.
  private var waitingSince: UInt64 = 0
  /// Bytes taken of something large since anything was heard.
  private var taken: UInt64 = 0
  private var lastPing: UInt64 = 0
  /// When anything was last heard, in monotonic microseconds; 0 before.
  public private(set) var heardAt: UInt64 = 0

  /// What the link's owner should do.
  public enum Verdict: Sendable, Equatable {
    case fine
    case ping
    case dead
  }

  public init() {}

  public mutating func heard(at now: UInt64) {
    waitingSince = 0
    taken = 0
    heardAt = now
  }

  /// This process itself stood still and does not know what was said meanwhile: the silence starts
  /// anew.
  public mutating func resumed(at now: UInt64) {
    if waitingSince != 0 { waitingSince = now }
  }

  /// Something that is or will be answered was sent.
  public mutating func sent(at now: UInt64) {
    if waitingSince == 0 { waitingSince = now }
  }

  /// The other end took a part of what waits for it, and more waits: it is expected to say something
  /// when it has all, though an answer to something else has come meanwhile.
  public mutating func progressed(_ bytes: Int, at now: UInt64) {
    taken &+= UInt64(bytes)
    waitingSince = now
  }

  /// Times are monotonic microseconds.
  public mutating func verdict(
    at now: UInt64, pingInterval: UInt64, deadAfter: UInt64
  ) -> Verdict {
    guard waitingSince != 0 else { return .fine }
    let silence = now &- min(waitingSince, now)
    if silence >= deadAfter + taken / Limits.storedPerMicrosecond { return .dead }
    if silence >= pingInterval, now &- min(lastPing, now) >= pingInterval {
      lastPing = now
      return .ping
    }
    return .fine
  }
}
