/// The time of one tick of the event loop, read once and passed down.
///
/// The wall clock stamps versions and deadlines and may jump; the monotonic one measures waiting.
package struct Instant: Sendable, Equatable {
  /// Unix time in microseconds.
  package var wallMicroseconds: UInt64
  /// Microseconds since some fixed moment; never goes back.
  package var monotonicMicroseconds: UInt64

  package init(wallMicroseconds: UInt64, monotonicMicroseconds: UInt64) {
    self.wallMicroseconds = wallMicroseconds
    self.monotonicMicroseconds = monotonicMicroseconds
  }

  /// Unix time in milliseconds: the unit of deadlines and of the hybrid logical clock.
  @inlinable @inline(__always) package var wallMilliseconds: UInt64 { wallMicroseconds / 1000 }
}
