/// What a node measures durations with. It is told the time once a tick, which is too coarse for a
/// command; reading a clock is its shell's part (DESIGN.md, section 2), so the shell lends it a function.
///
/// It is for INFO, SLOWLOG and LATENCY; all that a node does by it is to end a step of upkeep that takes
/// long on a slow machine. A node without one, as in the simulator, measures with the time of its ticks.
public struct DurationClock: Sendable {
  /// Ticks since some moment. Called once or twice a command: a few nanoseconds.
  public var read: @convention(c) () -> UInt64
  /// Nanoseconds of 2^32 ticks.
  public var scale: UInt64

  public init(scale: UInt64, read: @escaping @convention(c) () -> UInt64) {
    self.scale = scale
    self.read = read
  }

  /// The nanoseconds that so many ticks are.
  @inline(__always)
  public func nanoseconds(ticks: UInt64) -> UInt64 {
    let (high, low) = ticks.multipliedFullWidth(by: scale)
    return high &<< 32 | low &>> 32
  }
}
