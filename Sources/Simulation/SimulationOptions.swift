import CacheNode
import Primitives

/// What one simulated run is made of; all of it is drawn from the seed.
package struct SimulationOptions: Sendable {
  package var seed: UInt64
  package var sabotage: Sabotage = []
  package var nodes: Int
  package var copies: Int
  package var write: Int
  package var read: Int
  package var clients: Int
  /// Milliseconds of load with faults; then all heals.
  package var faultMilliseconds: UInt64
  /// The longest time that a message takes, in microseconds.
  package var delay: UInt64
  /// Messages one by one, lost, doubled and out of order, instead of streams that keep their order.
  package var isDatagram: Bool
  /// Per cent of lost messages, of doubled ones.
  package var loss: Int
  package var duplication: Int
  package var partitions: Bool
  package var crashes: Bool
  package var pauses: Bool
  /// The largest difference of a node's wall clock from true time, in milliseconds.
  package var skew: Int
  package var clockJumps: Bool
  package var blindWriteSibling: Bool

  /// Draws the options.
  package init(seed: UInt64, sabotage: Sabotage = []) {
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
    faultMilliseconds = UInt64(3000 + random.below(5000))
    delay = [200, 2000, 10_000, 40_000][random.below(4)]
    isDatagram = random.oneIn(2)
    loss = isDatagram && random.oneIn(2) ? 1 + random.below(10) : 0
    duplication = isDatagram && random.oneIn(2) ? 1 + random.below(20) : 0
    partitions = random.oneIn(3)
    crashes = random.oneIn(3)
    pauses = random.oneIn(4)
    skew = random.oneIn(2) ? 1 + random.below(150) : 0
    clockJumps = skew > 0 && random.oneIn(2)
    blindWriteSibling = random.oneIn(2)
    // What a planted bug needs to show at all.
    if sabotage.contains(.reusedActor) { crashes = true }
  }

  /// R copies and W copies always have one in common.
  package var isStrict: Bool { write + read > copies }
  /// Any two writes have a copy in common, so that a later one sees an earlier one's stamp.
  package var writesMeet: Bool { write * 2 > copies }
  /// Every message arrives in the end, on a link that stays.
  package var isLossless: Bool { loss == 0 && !partitions && !crashes && !pauses }
  /// A single crash at a time loses nothing that was acknowledged.
  package var survivesCrashes: Bool { !crashes || (isStrict && write >= 2) }

  package var summary: String {
    var words = ["nodes \(nodes), n \(copies) w \(write) r \(read), clients \(clients)"]
    words.append(isDatagram ? "messages" : "streams")
    words.append("delay \(delay) µs")
    if loss > 0 { words.append("loss \(loss) %") }
    if duplication > 0 { words.append("duplication \(duplication) %") }
    if partitions { words.append("partitions") }
    if crashes { words.append("crashes") }
    if pauses { words.append("pauses") }
    if skew > 0 { words.append("skew \(skew) ms") }
    if clockJumps { words.append("clock jumps") }
    return words.joined(separator: ", ")
  }
}
