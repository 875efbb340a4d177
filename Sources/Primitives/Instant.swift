/// The time of one tick of the event loop, read once and passed down.
///
/// The wall clock stamps versions and deadlines and may jump; the monotonic one measures waiting.
public struct Instant: Sendable, Equatable {
  /// Unix time in microseconds.
  public var wallMicroseconds: UInt64
  /// Microseconds since some fixed moment; never goes back.
  public var monotonicMicroseconds: UInt64

  public init(wallMicroseconds: UInt64, monotonicMicroseconds: UInt64) {
    self.wallMicroseconds = wallMicroseconds
    self.monotonicMicroseconds = monotonicMicroseconds
  }

  /// Unix time in milliseconds: the unit of deadlines and of the hybrid logical clock.
  @inline(__always) public var wallMilliseconds: UInt64 { wallMicroseconds / 1000 }
}
