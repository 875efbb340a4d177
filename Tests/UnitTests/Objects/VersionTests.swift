import Objects
import Primitives
import Testing

@Suite("Versions")
struct VersionTests {
  @Test("Versions are totally ordered by clock, then by actor", arguments: Seeds.few)
  func totalOrder(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let versions = (0..<40).map { _ in randomVersion(&generator) }
    for left in versions {
      for right in versions {
        let key = (left.stamp.rawValue, left.actor.rawValue)
        let other = (right.stamp.rawValue, right.actor.rawValue)
        #expect((left < right) == (key < other))
        #expect((left == right) == (key == other))
      }
    }
  }

  @Test("No write is older than the version of what is absent")
  func noneIsLowest() {
    #expect(Version.none < Version(stamp: Stamp(rawValue: 1), actor: Actor(rawValue: 0)))
    #expect(Version.none <= Version(stamp: .zero, actor: Actor(rawValue: 0)))
  }

  @Test("A stamp is 48 bits of milliseconds and 16 of counter")
  func stampParts() {
    let stamp = Stamp(milliseconds: 1_700_000_000_123, counter: 7)
    #expect(stamp.milliseconds == 1_700_000_000_123)
    #expect(stamp.rawValue == 1_700_000_000_123 << 16 | 7)
    #expect(stamp < Stamp(milliseconds: 1_700_000_000_123, counter: 8))
    #expect(stamp < Stamp(milliseconds: 1_700_000_000_124))
  }

  private func randomVersion(_ generator: inout SeededGenerator) -> Version {
    Version(
      stamp: Stamp(rawValue: UInt64(generator.below(6))),
      actor: Actor(rawValue: UInt64(generator.below(4))))
  }
}

@Suite("The hybrid logical clock")
struct HybridClockTests {
  @Test("Readings only grow, whatever the wall clock and the peers do", arguments: Seeds.some)
  func monotonic(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var clock = HybridClock()
    var highest = Stamp.zero
    for _ in 0..<2000 {
      let wall = UInt64(1_000_000 + generator.below(1000))
      if generator.oneIn(3) {
        let other = Stamp(
          milliseconds: wall + UInt64(generator.below(1000)), counter: UInt16(generator.below(9)))
        let isTaken = clock.observe(other, wallMilliseconds: wall, maximumSkew: 500)
        #expect(isTaken == (other <= highest || other.milliseconds <= wall + 500))
        if isTaken { highest = max(highest, other) }
        #expect(clock.last == highest)
      } else {
        let reading = clock.next(wallMilliseconds: wall)
        #expect(reading > highest)
        #expect(reading.milliseconds >= wall)
        highest = reading
      }
    }
  }

  @Test("A stamp is refused from one millisecond beyond the allowed skew")
  func skew() {
    var clock = HybridClock()
    let limit = Stamp(milliseconds: 1500, counter: .max)
    let beyond = Stamp(milliseconds: 1501)
    let tookBeyond = clock.observe(beyond, wallMilliseconds: 1000, maximumSkew: 500)
    #expect(!tookBeyond)
    #expect(clock.last == .zero)
    let tookLimit = clock.observe(limit, wallMilliseconds: 1000, maximumSkew: 500)
    #expect(tookLimit)
    #expect(clock.last == limit)
    let next = clock.next(wallMilliseconds: 1000)
    #expect(next > limit)
  }

  @Test("More readings in a millisecond than the counter holds go on in the next one")
  func counterOverflow() {
    var clock = HybridClock()
    var last = clock.next(wallMilliseconds: 10)
    for _ in 0..<70_000 {
      let next = clock.next(wallMilliseconds: 10)
      #expect(next.rawValue == last.rawValue + 1)
      last = next
    }
    #expect(last.milliseconds == 11)
  }
}
