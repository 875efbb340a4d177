import Objects
import Primitives
import Testing

@Suite("Sibling sets")
struct SiblingSetTests {
  private func join(_ left: SiblingSet, _ right: SiblingSet) -> SiblingSet {
    var result = left
    result.merge(right)
    return result
  }

  @Test("Merging is commutative, associative and idempotent", arguments: Seeds.many)
  func laws(seed: UInt64) {
    let states = SiblingHistory(seed: seed).states
    var generator = SeededGenerator(seed: seed &+ 1000)
    for _ in 0..<200 {
      let (a, b, c) = (generator.pick(states), generator.pick(states), generator.pick(states))
      #expect(join(a, b).encoded() == join(b, a).encoded())
      #expect(join(a, join(b, c)).encoded() == join(join(a, b), c).encoded())
      #expect(join(a, a).encoded() == a.encoded())
      #expect(join(join(a, b), b).encoded() == join(a, b).encoded())
      #expect(join(a, SiblingSet()).encoded() == a.encoded())
    }
  }

  @Test("States merged in any order end as the values that nobody replaced", arguments: Seeds.many)
  func convergence(seed: UInt64) {
    let history = SiblingHistory(seed: seed)
    var generator = SeededGenerator(seed: seed &+ 2000)
    for _ in 0..<10 {
      let joined = generator.shuffled(history.states).reduce(into: SiblingSet()) { $0.merge($1) }
      #expect(joined.siblings == history.survivors)
    }
  }

  @Test("Histories make concurrent values, deletions and values of both kinds")
  func historiesAreNotTrivial() {
    let histories = Seeds.many.map { SiblingHistory(seed: $0) }
    let states = histories.flatMap(\.states)
    #expect(states.contains { $0.siblings.count >= 4 })
    #expect(states.contains { $0.siblings.isEmpty && !$0.context.seen.isEmpty })
    #expect(states.contains { $0.siblings.contains(where: \.isLWW) && $0.siblings.count > 1 })
    #expect(histories.contains { $0.survivors.count < $0.writes.count / 2 })
  }

  @Test("An encoded set decodes to itself", arguments: Seeds.some)
  func roundTrip(seed: UInt64) throws {
    for state in SiblingHistory(seed: seed).states {
      let bytes = state.encoded()
      let decoded = try #require(bytes.withUnsafeBytes { SiblingSet(decoding: $0) })
      #expect(decoded == state)
      #expect(decoded.encoded() == bytes)
    }
  }

  @Test("Truncated bytes are no set, and longer ones are none either", arguments: Seeds.few)
  func truncated(seed: UInt64) throws {
    let state = try #require(SiblingHistory(seed: seed).states.last)
    let bytes = state.encoded()
    for end in 0..<bytes.count {
      #expect(Array(bytes[..<end]).withUnsafeBytes { SiblingSet(decoding: $0) } == nil)
    }
    #expect((bytes + [0]).withUnsafeBytes { SiblingSet(decoding: $0) } == nil)
  }

  @Test("A changed byte is noticed or makes another set, told whole", arguments: Seeds.few)
  func flipped(seed: UInt64) throws {
    for state in SiblingHistory(seed: seed, steps: 12).states {
      let bytes = state.encoded()
      for index in bytes.indices {
        for bit in 0..<8 {
          let changed = bytes.flipping(index, bits: 1 << bit)
          let set = changed.withUnsafeBytes { SiblingSet(decoding: $0) }
          if let set { #expect(set.encoded() == changed) }
          _ = changed.withUnsafeBytes { SiblingSet.highestLive(in: $0, at: 10)?.bytes.count }
        }
      }
    }
  }

  @Test(
    "Two clients with stale contexts make exactly two siblings (LESSONS.md, D18)",
    arguments: [true, false])
  func noSiblingExplosion(learnsOfOthers: Bool) {
    var set = SiblingSet()
    var clock = HybridClock()
    var contexts = [CausalContext(), CausalContext()]
    for round in 0..<100 {
      let client = round % 2
      let dot = Version(stamp: clock.next(wallMilliseconds: 1000), actor: Actor(rawValue: 9))
      let sibling = Sibling(version: dot, deadline: 0, value: "round \(round)".bytes)
      set.write(sibling, dot: dot, replacing: contexts[client])
      #expect(set.siblings.count == min(2, round + 1), "round \(round)")
      // A client learns of its own write, and perhaps of all that its write met.
      if learnsOfOthers { contexts[client] = set.context } else { contexts[client].insert(dot) }
    }
    #expect(set.siblings.map(\.value) == ["round 98".bytes, "round 99".bytes])
  }

  @Test("A context replaces exactly what it covers")
  func contextCovers() {
    var set = SiblingSet()
    func version(_ stamp: UInt64, _ actor: UInt64) -> Version {
      Version(stamp: Stamp(rawValue: stamp), actor: Actor(rawValue: actor))
    }
    func put(_ version: Version, _ context: CausalContext) {
      set.write(
        Sibling(version: version, deadline: 0, value: [UInt8(version.stamp.rawValue)]),
        dot: version, replacing: context)
    }
    put(version(1, 1), CausalContext())
    let read = set.context
    put(version(2, 2), CausalContext())
    put(version(3, 3), read)
    #expect(set.siblings.map(\.value) == [[2], [3]])
    set.write(nil, dot: version(4, 1), replacing: set.context)
    #expect(set.siblings.isEmpty)
    #expect(set.version == version(4, 1))
  }

  @Test("A hundred siblings are kept, one more leaves the highest, and replicas still converge")
  func cap() {
    func set(_ stamps: Range<Int>, actor: UInt64) -> SiblingSet {
      stamps.reduce(into: SiblingSet()) { set, stamp in
        let version = Version(
          stamp: Stamp(rawValue: UInt64(stamp)), actor: Actor(rawValue: actor))
        set.write(
          Sibling(version: version, deadline: 0, value: "\(stamp)".bytes), dot: version,
          replacing: CausalContext())
      }
    }
    let (a, b, c) = (set(1..<61, actor: 1), set(100..<140, actor: 2), set(50..<70, actor: 3))
    #expect(join(a, b).siblings.count == Limits.siblings)
    var full = join(a, b)
    let isCut = full.merge(c)
    #expect(isCut)
    #expect(full.siblings.map(\.value) == ["139".bytes])
    var ends: [SiblingSet] = []
    for order in permutations([a, b, c]) { ends.append(join(join(order[0], order[1]), order[2])) }
    for order in permutations([a, b, c]) { ends.append(join(order[0], join(order[1], order[2]))) }
    let joined = ends.reduce(SiblingSet(), join)
    for end in ends { #expect(join(end, joined) == joined) }
    #expect(joined.siblings.map(\.value) == ["139".bytes])
  }

  @Test("A flush barrier takes siblings and leaves what was seen")
  func barrier() {
    for seed in Seeds.some {
      guard var set = SiblingHistory(seed: seed).states.last else { continue }
      let before = set
      let barrier = Stamp(milliseconds: 1005)
      set.removeSiblings(upTo: barrier)
      #expect(set.context == before.context)
      #expect(set.siblings == before.siblings.filter { $0.version.stamp > barrier })
    }
  }

  @Test("The live value is the highest sibling whose deadline has not passed")
  func highestLive() throws {
    var set = SiblingSet()
    for (stamp, deadline) in [(1, 0), (2, 100), (3, 50)] as [(UInt64, UInt64)] {
      let version = Version(stamp: Stamp(rawValue: stamp), actor: Actor(rawValue: stamp))
      set.write(
        Sibling(version: version, deadline: deadline, value: [UInt8(stamp)]), dot: version,
        replacing: CausalContext())
    }
    let bytes = set.encoded()
    let rows: [(now: UInt64, value: UInt8, deadline: UInt64)] = [
      (49, 3, 50), (50, 2, 100), (99, 2, 100), (100, 1, 0), (.max, 1, 0),
    ]
    bytes.withUnsafeBytes { raw in
      for row in rows {
        let live = SiblingSet.highestLive(in: raw, at: row.now)
        #expect(live.map { Array($0.bytes) } == [row.value], "at \(row.now)")
        #expect(live?.deadline == row.deadline, "at \(row.now)")
      }
    }
  }
}
