/// How often something took how long: counts between fixed bounds from 100 µs to 1 s.
package struct DurationHistogram: Sendable, Equatable {
  /// The upper bounds, included, in microseconds. What is longer than the last counts behind it.
  package static let bounds: [UInt64] = [
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
  ]

  /// One more than there are bounds; not cumulative.
  package private(set) var counts: [Int]
  /// Microseconds in all.
  package private(set) var sum: UInt64 = 0

  package init() { counts = Array(repeating: 0, count: DurationHistogram.bounds.count + 1) }

  /// Counts one duration. Cost: a comparison for what is short, which most is.
  @inline(__always)
  package mutating func record(microseconds: UInt64) {
    sum &+= microseconds
    var place = 0
    while place < DurationHistogram.bounds.count, DurationHistogram.bounds[place] < microseconds {
      place &+= 1
    }
    counts[place] &+= 1
  }

  /// Adds what was counted elsewhere: `count` times a duration.
  package mutating func record(microseconds: UInt64, count: Int) {
    guard count > 0 else { return }
    let place = DurationHistogram.bounds.firstIndex { $0 >= microseconds }
    counts[place ?? DurationHistogram.bounds.count] += count
  }

  /// How many were counted.
  package var count: Int { counts.reduce(0, +) }
}
