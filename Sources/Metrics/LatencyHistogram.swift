// # Latencies in log-linear buckets
//
// A duration in nanoseconds falls into one of 16 equal buckets between two powers of two:
//
//     0 1 2 … 15 │ 16 17 … 31 │ 32-33 34-35 … 62-63 │ 64-67 … │ …            one bucket each, then
//     exact        exact        2 wide                4 wide                 1/16 of the value wide
//
// so that a bucket's upper end is at most 6.25 % above what fell into it, at any magnitude, and
// finding the bucket is one count of leading zeros, a shift and an addition. As in Gil Tene's
// HdrHistogram, but with one array of a fixed size and no settings. Its ends lie on powers of two:
// what Redis shows of its histograms (LATENCY HISTOGRAM: 1024 ns, 2048 ns, …) is exact here.
//
// 560 counts reach to 2^38 ns, about 4.6 minutes; what takes longer counts as that. They are 4.5 KB
// a histogram: one for each command that was used at all.

/// How often something took how long. A plain value: no allocation, no reference in it.
public struct LatencyHistogram: Sendable {
  private static let subBits = 4
  private static let subCount = 1 << LatencyHistogram.subBits
  /// The longest duration that is told apart.
  public static let longest: UInt64 = 1 << 38 - 1
  /// Buckets of a histogram.
  public static let bucketCount = 560

  private var buckets = InlineArray<560, UInt64>(repeating: 0)
  /// Durations recorded.
  public private(set) var count: UInt64 = 0
  /// Their sum in nanoseconds.
  public private(set) var sum: UInt64 = 0

  public init() {}

  /// Counts a duration `times` times.
  @inline(__always)
  public mutating func record(_ nanoseconds: UInt64, times: UInt64 = 1) {
    buckets[LatencyHistogram.bucket(of: nanoseconds)] &+= times
    count &+= times
    sum &+= nanoseconds &* times
  }

  /// Counts all that another one has counted.
  public mutating func add(_ other: LatencyHistogram) {
    for bucket in 0..<LatencyHistogram.bucketCount { buckets[bucket] &+= other.buckets[bucket] }
    count &+= other.count
    sum &+= other.sum
  }

  // MARK: Buckets

  /// The bucket that a duration falls into.
  @inline(__always)
  public static func bucket(of nanoseconds: UInt64) -> Int {
    let value = min(nanoseconds, longest)
    if value < UInt64(subCount) { return Int(truncatingIfNeeded: value) }
    let shift = 59 &- value.leadingZeroBitCount
    return Int(truncatingIfNeeded: value &>> UInt64(truncatingIfNeeded: shift)) &+ shift &* subCount
  }

  /// The longest duration that falls into a bucket, in nanoseconds.
  public static func upperEnd(of bucket: Int) -> UInt64 {
    if bucket < subCount * 2 { return UInt64(bucket) }
    let shift = bucket / subCount - 1
    return UInt64(bucket % subCount + subCount + 1) << UInt64(shift) - 1
  }

  public subscript(bucket bucket: Int) -> UInt64 { buckets[bucket] }

  // MARK: Questions

  /// How many durations were at most so long. A bucket that reaches beyond is not counted: the answer
  /// is that for a limit at most 6.25 % lower, and exact for powers of two of nanoseconds less one.
  public func count(upTo nanoseconds: UInt64) -> UInt64 {
    if nanoseconds >= LatencyHistogram.longest { return count }
    var result: UInt64 = 0
    for bucket in 0..<LatencyHistogram.bucketCount {
      if LatencyHistogram.upperEnd(of: bucket) > nanoseconds { break }
      result &+= buckets[bucket]
    }
    return result
  }

  /// The same for microseconds.
  public func count(upTo microseconds: Int) -> UInt64 { count(upTo: UInt64(microseconds) * 1000) }

  /// The duration that so many millionths of all durations do not exceed, in nanoseconds: 990,000 for
  /// p99. The upper end of its bucket, so at most 6.25 % too high. 0 when nothing was recorded.
  public func percentile(millionths: Int) -> UInt64 {
    let product = count.multipliedFullWidth(by: UInt64(millionths))
    let (whole, rest) = UInt64(1_000_000).dividingFullWidth(product)
    let rank = max(1, min(count, whole + (rest > 0 ? 1 : 0)))
    var seen: UInt64 = 0
    for bucket in 0..<LatencyHistogram.bucketCount {
      seen &+= buckets[bucket]
      if seen >= rank { return LatencyHistogram.upperEnd(of: bucket) }
    }
    return 0
  }
}
