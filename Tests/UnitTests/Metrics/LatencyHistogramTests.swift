import Metrics
import Primitives
import Testing

@Suite("Latency histograms")
struct LatencyHistogramTests {
  /// Durations of all magnitudes, from a seed.
  private static func durations(_ count: Int, seed: UInt64) -> [UInt64] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      let bits = Int.random(in: 0...37, using: &generator)
      return UInt64.random(in: 0...(1 << UInt64(bits)), using: &generator)
    }
  }

  @Test("each duration falls into the bucket whose ends are around it")
  func buckets() {
    for value in Self.durations(20_000, seed: 1) + (0..<5000).map(UInt64.init) {
      let bucket = LatencyHistogram.bucket(of: value)
      #expect(value <= LatencyHistogram.upperEnd(of: bucket))
      if bucket > 0 { #expect(value > LatencyHistogram.upperEnd(of: bucket - 1)) }
      #expect(LatencyHistogram.upperEnd(of: bucket) - value <= value / 16)
    }
    #expect(LatencyHistogram.bucket(of: .max) == LatencyHistogram.bucketCount - 1)
    let last = LatencyHistogram.bucketCount - 1
    #expect(LatencyHistogram.upperEnd(of: last) == LatencyHistogram.longest)
  }

  @Test(
    "percentiles are those of the sorted durations, or up to a sixteenth more", arguments: 1...8)
  func percentiles(seed: UInt64) {
    let durations = Self.durations(Int(seed) * 997, seed: seed).sorted()
    var histogram = LatencyHistogram()
    for duration in durations { histogram.record(duration) }
    #expect(histogram.count == UInt64(durations.count))
    #expect(histogram.sum == durations.reduce(0, +))
    for millionths in [0, 1, 1000, 500_000, 900_000, 990_000, 999_000, 999_999, 1_000_000] {
      let rank = (durations.count * millionths + 999_999) / 1_000_000
      let exact = durations[max(0, rank - 1)]
      let found = histogram.percentile(millionths: millionths)
      #expect(found >= exact, "\(millionths)")
      #expect(found <= exact + exact / 16, "\(millionths)")
    }
  }

  @Test("counts up to a power of two are exact, others at most a sixteenth below")
  func counts() {
    let durations = Self.durations(5000, seed: 9)
    var histogram = LatencyHistogram()
    for duration in durations { histogram.record(duration) }
    for bits in 0...38 {
      let limit = UInt64(1) << UInt64(bits) - 1
      #expect(histogram.count(upTo: limit) == UInt64(durations.count { $0 <= limit }))
    }
    for microseconds in [100, 250, 500, 1000, 2500, 10_000, 1_000_000] {
      let limit = UInt64(microseconds) * 1000
      let found = histogram.count(upTo: microseconds)
      #expect(found <= durations.count { $0 <= limit })
      #expect(found >= durations.count { $0 <= limit - limit / 16 })
    }
  }

  @Test("what is longer than the longest counts as that")
  func longest() {
    var histogram = LatencyHistogram()
    histogram.record(.max, times: 3)
    #expect(histogram.count(upTo: LatencyHistogram.longest - 1) == 0)
    #expect(histogram.count(upTo: LatencyHistogram.longest) == 3)
    #expect(histogram.percentile(millionths: 500_000) == LatencyHistogram.longest)
  }

  @Test("an empty histogram answers 0, and two added are one")
  func sums() {
    var one = LatencyHistogram()
    #expect(one.percentile(millionths: 990_000) == 0)
    #expect(one.count(upTo: UInt64.max) == 0)
    var other = LatencyHistogram()
    one.record(10, times: 2)
    other.record(1000)
    one.add(other)
    #expect(one.count == 3)
    #expect(one.sum == 1020)
    #expect(one.count(upTo: 10 as UInt64) == 2)
  }
}
