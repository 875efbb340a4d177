import Foundation

/// Coterie nodes of which the last one is hurt and heals.
struct HealingCluster {
  private(set) var deployment: Deployment
  private let last: Launcher
  private let arguments: [String]

  init(deployment: Deployment, last: Launcher, arguments: [String]) {
    self.deployment = deployment
    self.last = last
    self.arguments = arguments
  }

  var nodes: [ServerNode] { deployment.nodes }
  /// The one that clients talk to.
  var first: ServerNode { deployment.nodes[0] }
  var hurt: ServerNode { deployment.nodes[deployment.nodes.count - 1] }
  var others: [ServerNode] { Array(deployment.nodes.dropLast()) }

  /// Longer than links to a silent node live (`Timing.linkDeadAfter`), and than the failure detector
  /// takes to call it dead.
  private static let absence = 6.0

  /// `kill -9`: the node's data is gone. The others have time to notice.
  func kill() {
    hurt.process.kill()
    Thread.sleep(forTimeInterval: Self.absence)
  }

  /// Starts the killed node again, with its identity and without its data.
  mutating func restart() throws(BenchError) {
    let node = try last.startCoterie(hurt.port, arguments)
    deployment = Deployment(nodes: others + [node])
  }

  /// Stops the last node for so long that the others give up their links to it.
  func suspend() {
    hurt.process.suspend()
    Thread.sleep(forTimeInterval: Self.absence)
  }

  func stop() { deployment.stop() }

  /// The sum of a number of INFO replication over some nodes.
  static func sum(_ field: String, over nodes: [ServerNode]) throws(BenchError) -> Int {
    var sum = 0
    for node in nodes { sum += try node.count(field) }
    return sum
  }
}
