import CacheNode
import Primitives

/// What one simulated run is made of; all of it is drawn from the seed.
public struct SimulationOptions: Sendable {
  /// `anti-entropy-interval` of all nodes, in seconds.
  public static let antiEntropySeconds = 5

  public var seed: UInt64
  public var sabotage: Sabotage = []
  public var nodes: Int
  public var copies: Int
  public var write: Int
  public var read: Int
  public var clients: Int
  /// Milliseconds of load with faults; then all heals.
  public var faultMilliseconds: UInt64
  /// The longest time that a message takes, in microseconds.
  public var delay: UInt64
  /// Messages one by one, lost, doubled and out of order, instead of streams that keep their order.
  public var isDatagram: Bool
  /// Per cent of lost messages, of doubled ones.
  public var loss: Int
  public var duplication: Int
  public var partitions: Bool
  public var slowLinks: Bool
  public var crashes: Bool
  public var pauses: Bool
  /// The largest difference of a node's wall clock from true time, in milliseconds.
  public var skew: Int
  public var clockJumps: Bool
  public var joins: Bool
  public var leaves: Bool
  public var replacements: Bool
  public var blindWriteSibling: Bool
  /// Fallbacks count toward W.
  public var isSloppy: Bool
  /// The nodes prove to each other that they know a secret.
  public var hasSecret: Bool

  /// Draws the options.
  public init(seed: UInt64, sabotage: Sabotage = []) {
    var random = SeededGenerator(seed: seed ^ 0x0b7105)
    self.seed = seed
    self.sabotage = sabotage
    nodes = 3 + random.below(3)
    copies = min(nodes, [1, 2, 3, 3, 3, 5][random.below(6)])
    switch random.below(4) {
    case 0:
      write = 1
      read = 1
    case 1:
      write = 1 + random.below(copies)
      read = 1 + random.below(copies)
    default:
      write = copies / 2 + 1
      read = copies / 2 + 1
    }
    clients = 3 + random.below(4)
    faultMilliseconds = UInt64(55_000 + random.below(7000))
    delay = [200, 2000, 10_000, 40_000][random.below(4)]
    isDatagram = random.oneIn(2)
    loss = isDatagram && random.oneIn(2) ? 1 + random.below(10) : 0
    duplication = isDatagram && random.oneIn(2) ? 1 + random.below(20) : 0
    partitions = random.oneIn(3)
    slowLinks = random.oneIn(4)
    crashes = random.oneIn(3)
    pauses = random.oneIn(4)
    skew = random.oneIn(2) ? 1 + random.below(150) : 0
    clockJumps = skew > 0 && random.oneIn(2)
    joins = random.oneIn(3)
    leaves = random.oneIn(3)
    replacements = random.oneIn(4)
    blindWriteSibling = random.oneIn(2)
    isSloppy = random.oneIn(2)
    hasSecret = random.oneIn(2)
    // What a planted bug needs to show at all.
    if !sabotage.isDisjoint(with: [.reusedActor, .emptyVotes, .oneSource]) { crashes = true }
    if !sabotage.isDisjoint(with: [.fallbackActor, .hintOverwrites]) { isSloppy = true }
    if !sabotage.isDisjoint(
      with: [
        .fallbackActor, .hintOverwrites, .noRefutation, .hastyReaping, .earlyReaping, .revival,
      ])
    {
      partitions = true
    }
    if sabotage.contains(.emptyVotes) {
      // One copy answers a read: the empty one.
      copies = 3
      write = 3
      read = 1
      isSloppy = false
    }
    if sabotage.contains(.oneRing) {
      joins = true
      leaves = true
      clients = 8
    }
  }

  /// What `Simulation.fault` chooses from; messages are lost and doubled all the time.
  var faultKinds: [FaultKind] {
    var kinds: [FaultKind] = []
    if partitions { kinds += [.partition, .oneWayPartition, .cutLink] }
    if slowLinks { kinds += [.slowLink, .slowLink] }
    if crashes { kinds += [.crash, .crash] }
    if pauses { kinds += [.pause, .pause] }
    if clockJumps { kinds.append(.clockJump) }
    if joins { kinds.append(.join) }
    if leaves { kinds.append(.leave) }
    if replacements { kinds.append(.replacement) }
    return kinds
  }

  /// R copies and W copies always have one in common: not where a fallback may count as one.
  public var isStrict: Bool {
    let isQuiet = !(partitions || slowLinks || losesMemory || pauses || loss > 0)
    return write + read > copies && (!isSloppy || isQuiet)
  }
  /// Any two writes have a copy in common, so that a later one sees an earlier one's stamp.
  public var writesMeet: Bool { write * 2 > copies }
  /// Some nodes lose their memory.
  public var losesMemory: Bool { crashes || replacements }
  /// Every message arrives in the end, on a link that stays.
  public var isLossless: Bool {
    loss == 0 && !partitions && !slowLinks && !losesMemory && !pauses && !joins && !leaves
  }
  /// How many nodes may be without their memory at once: fewer than hold an acknowledged write.
  public var crashesAtOnce: Int { max(1, min(write, copies) - 1) }
  /// So many crashes at once lose nothing that was acknowledged.
  public var survivesCrashes: Bool { !losesMemory || (isStrict && write >= 2) }

  /// One line.
  public var summary: String {
    var words = ["nodes \(nodes), n \(copies) w \(write) r \(read), clients \(clients)"]
    words.append(isDatagram ? "messages" : "streams")
    words.append("delay \(delay) µs")
    if loss > 0 { words.append("loss \(loss) %") }
    if duplication > 0 { words.append("duplication \(duplication) %") }
    if partitions { words.append("partitions") }
    if slowLinks { words.append("slow links") }
    if crashes { words.append("crashes") }
    if pauses { words.append("pauses") }
    if skew > 0 { words.append("skew \(skew) ms") }
    if clockJumps { words.append("clock jumps") }
    if joins { words.append("joins") }
    if leaves { words.append("leaves") }
    if replacements { words.append("replacements") }
    if isSloppy { words.append("sloppy") }
    if hasSecret { words.append("secret") }
    return words.joined(separator: ", ")
  }
}
