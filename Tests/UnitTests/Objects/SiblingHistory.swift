import Objects
import Primitives

/// A random history of one key on a few replicas, with every state that a replica went through.
///
/// Replicas write under their own clock to their own state, with contexts that some client read
/// from any replica at any time, and merge with one another. Some writes are of `conflict lww`.
struct SiblingHistory {
  struct Write {
    var sibling: Sibling?
    var covered: CausalContext
  }

  private(set) var states: [SiblingSet] = []
  private(set) var writes: [Write] = []
  private var replicas: [SiblingSet]
  private var clocks: [HybridClock]
  private var contexts: [CausalContext] = [CausalContext()]
  private var generator: SeededGenerator
  private let usesLWW: Bool

  init(seed: UInt64, replicas count: Int = 3, steps: Int = 40, usesLWW: Bool = true) {
    generator = SeededGenerator(seed: seed)
    replicas = Array(repeating: SiblingSet(), count: count)
    clocks = Array(repeating: HybridClock(), count: count)
    self.usesLWW = usesLWW
    for step in 0..<steps { self.step(UInt64(1000 + step / 4)) }
  }

  private mutating func step(_ wall: UInt64) {
    let at = generator.below(replicas.count)
    switch generator.below(usesLWW ? 6 : 5) {
    case 0, 1: write(at, wall)
    case 2: contexts.append(generator.pick(replicas).context)
    case 3: replicas[at].merge(generator.pick(states.isEmpty ? [SiblingSet()] : states))
    case 4: replicas[at].merge(generator.pick(replicas))
    default: writeLWW(at, wall)
    }
    states.append(replicas[at])
  }

  private mutating func version(_ at: Int, _ wall: UInt64) -> Version {
    _ = clocks[at].observe(
      replicas[at].version.stamp, wallMilliseconds: wall, maximumSkew: 1_000_000)
    return Version(
      stamp: clocks[at].next(wallMilliseconds: wall), actor: Actor(rawValue: UInt64(at + 1)))
  }

  private mutating func write(_ at: Int, _ wall: UInt64) {
    let version = version(at, wall)
    let covered = generator.oneIn(3) ? replicas[at].context : generator.pick(contexts)
    let sibling =
      generator.oneIn(5)
      ? nil
      : Sibling(
        version: version, deadline: generator.oneIn(3) ? 5000 : 0,
        value: generator.bytes(generator.below(6)))
    replicas[at].write(sibling, dot: version, replacing: covered)
    writes.append(Write(sibling: sibling, covered: covered))
  }

  private mutating func writeLWW(_ at: Int, _ wall: UInt64) {
    let version = version(at, wall)
    let value = generator.bytes(generator.below(6))
    let isDeletion = generator.oneIn(4)
    value.withUnsafeBytes { bytes in
      let view = ObjectView(
        version: version, deadline: 0, flags: isDeletion ? .tombstone : .none,
        value: isDeletion ? UnsafeRawBufferPointer(start: nil, count: 0) : bytes)
      let set = SiblingSet(lww: view)
      replicas[at].merge(set)
      var covered = CausalContext()
      if isDeletion { covered.seenLWW = version }
      writes.append(Write(sibling: set.siblings.first, covered: covered))
    }
  }

  /// What the join of all states must hold: the values that nobody replaced knowingly, and of LWW
  /// writes at most the highest one.
  var survivors: [Sibling] {
    let highestLWW = states.map(\.context.seenLWW).max() ?? .none
    return writes.compactMap(\.sibling).filter { sibling in
      if sibling.isLWW, sibling.version < highestLWW { return false }
      return !writes.contains { $0.covered.covers(sibling) }
    }.sorted { $0.version < $1.version }
  }
}
