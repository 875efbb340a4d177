import Primitives

// # When an object was used, and how often
//
// Each record has 32 bits for what eviction asks of it, as in Redis, whose figures operators know:
//
//     0 | ticks of 16 ms, 31 bits                      recency: when it was used last
//     1 | 7 unused | minute, 16 bits | counter, 8      frequency: Morris's counter, and when it fell
//
// The counter grows with probability 1 / ((counter - 5) · log-factor + 1), so 8 bits count millions of
// uses, and falls by one every `decay` minutes. Which of the two is kept follows the policy; an object
// that still has the other kind counts as just used, or as new, until it is used again.
//
// Rejected: 24 bits of seconds, as Redis has (objects of one second look alike, and a small cache turns
// over in less); no field, and the order of writes instead (hits would not count).

/// What records are marked with when they are used.
public struct AccessClock: Sendable {
  /// The counter of a new object, so that it outlives those that are used no more.
  public static let newCounter: UInt32 = 5
  private static let frequencyFlag: UInt32 = 1 << 31

  /// Whether uses are counted instead of dated.
  public var countsUses = false
  /// `lfu-log-factor`, `lfu-decay-time`.
  public var logFactor = 10
  public var decayMinutes = 1
  private var ticks: UInt32 = 0
  private var minute: UInt32 = 0
  private var noise: UInt64 = 0x9e37_79b9_7f4a_7c15

  public init() {}

  public mutating func set(milliseconds: UInt64) {
    ticks = UInt32(truncatingIfNeeded: milliseconds >> 4) & ~AccessClock.frequencyFlag
    minute = UInt32(truncatingIfNeeded: milliseconds / 60_000) & 0xffff
  }

  /// The mark of an object that is new.
  @inline(__always) var fresh: UInt32 {
    countsUses ? frequency(AccessClock.newCounter) : ticks
  }

  @inline(__always) private func frequency(_ counter: UInt32) -> UInt32 {
    AccessClock.frequencyFlag | minute << 8 | counter
  }

  /// The mark of an object that is used now.
  @inline(__always)
  mutating func used(_ mark: UInt32) -> UInt32 {
    if _fastPath(!countsUses) { return ticks }
    return counted(mark)
  }

  @inline(never)
  private mutating func counted(_ mark: UInt32) -> UInt32 {
    let counter = counter(mark)
    guard counter < 255 else { return frequency(255) }
    noise = mix(noise &+ 0x9e37_79b9_7f4a_7c15)
    let base = counter > AccessClock.newCounter ? UInt64(counter - AccessClock.newCounter) : 0
    let odds = base &* UInt64(logFactor) &+ 1
    // One in `odds`.
    let grows = (noise >> 32) &* odds < 1 << 32
    return frequency(grows ? counter + 1 : counter)
  }

  /// The counter as it is now.
  public func counter(_ mark: UInt32) -> UInt32 {
    guard mark & AccessClock.frequencyFlag != 0 else { return AccessClock.newCounter }
    let counter = mark & 0xff
    guard decayMinutes > 0 else { return counter }
    let elapsed = (minute &- (mark >> 8 & 0xffff)) & 0xffff
    let fallen = Int(elapsed) / decayMinutes
    return fallen >= Int(counter) ? 0 : counter - UInt32(fallen)
  }

  /// Milliseconds since the last use; 0 when uses are counted.
  public func idle(_ mark: UInt32) -> UInt64 {
    guard mark & AccessClock.frequencyFlag == 0 else { return 0 }
    return UInt64((ticks &- mark) & ~AccessClock.frequencyFlag) << 4
  }
}
