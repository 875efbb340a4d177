import Foundation

/// Rounds of anti-entropy: in one, every node compares itself with all others.
struct Rounds {
  /// Sums over all nodes.
  struct Counts {
    var exchanges = 0
    var bytes = 0
    var repairs = 0
  }

  private let nodes: [ServerNode]
  private var exchanges: [Int]
  private var counts: Counts

  private static let limit = Duration.seconds(120)

  /// Counts from now on.
  init(of cluster: HealingCluster) throws(BenchError) {
    nodes = cluster.nodes
    (exchanges, counts) = try Self.read(nodes)
  }

  /// Waits until each node has ended so many comparisons since the last call, and until what was
  /// counted is `enough`. Returns what was counted.
  mutating func pass(
    _ rounds: Int, _ enough: (Counts) -> Bool
  ) throws(BenchError) -> Counts {
    let deadline = Deadline(in: Self.limit)
    while true {
      let (now, sums) = try Self.read(nodes)
      let difference = Counts(
        exchanges: sums.exchanges - counts.exchanges, bytes: sums.bytes - counts.bytes,
        repairs: sums.repairs - counts.repairs)
      let areDone = zip(now, exchanges).allSatisfy { $0 - $1 >= rounds }
      if areDone, enough(difference) {
        (exchanges, counts) = (now, sums)
        return difference
      }
      if deadline.hasPassed { throw BenchError("no end of a comparison; so far \(difference)") }
      Thread.sleep(forTimeInterval: 0.05)
    }
  }

  private static func read(_ nodes: [ServerNode]) throws(BenchError) -> ([Int], Counts) {
    var exchanges: [Int] = []
    var counts = Counts()
    for node in nodes {
      exchanges.append(try node.count("exchanges"))
      counts.exchanges += exchanges.last!
      counts.bytes += try node.count("exchange_bytes")
      counts.repairs += try node.count("repairs")
    }
    return (exchanges, counts)
  }
}
