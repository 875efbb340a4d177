import Foundation

/// Starts the servers, all on one core, and waits till they are ready.
struct Launcher {
  let spawner: Spawner
  var ports = FreePorts()

  private static let startLimit = Duration.seconds(15)
  /// Joining takes a few rounds of gossip, not more.
  private static let clusterLimit = Duration.seconds(30)

  init(spawner: Spawner) {
    self.spawner = spawner
  }

  /// One Redis that writes nothing to disk: what Coterie, a cache, is compared with.
  mutating func redis() throws(BenchError) -> Deployment {
    let port = try ports.take()
    let arguments = ["--port", "\(port)", "--save", "", "--appendonly", "no"]
    return try ready([
      start(spawner.programs.redisServer, "redis", port, arguments + ["--bind", "127.0.0.1"])
    ])
  }

  /// One Coterie node that keeps one copy of everything.
  mutating func coterie() throws(BenchError) -> Deployment {
    let port = try ports.take()
    let arguments = ["--port", "\(port)", "--keyspace.default.n", "1", "--loglevel", "warning"]
    return try ready([start(spawner.programs.coterieServer, "coterie", port, arguments)])
  }

  /// Three Coterie nodes with three copies of everything, writes and reads by quorums of two.
  mutating func coterieCluster() throws(BenchError) -> Deployment {
    var free: [Int] = []
    for _ in 0..<3 { free.append(try ports.take()) }
    let seeds = free.map { "127.0.0.1:\($0)" }.joined(separator: ",")
    var nodes: [ServerNode] = []
    for port in free {
      let arguments = [
        "--port", "\(port)", "--cluster-seeds", seeds, "--keyspace.default.n", "3",
        "--keyspace.default.w", "2", "--keyspace.default.r", "2", "--loglevel", "warning",
      ]
      nodes.append(try start(spawner.programs.coterieServer, "coterie", port, arguments))
    }
    return try ready(nodes)
  }

  /// Coterie nodes of one cluster, the last one on a core of `other` where there is another one: it
  /// is the one that heals, and on a machine of its own it would not take time from the rest.
  mutating func healingCluster(
    of count: Int, lastOn other: Spawner, arguments: [String]
  ) throws(BenchError) -> HealingCluster {
    var free: [Int] = []
    for _ in 0..<count { free.append(try ports.take()) }
    let seeds = free.map { "127.0.0.1:\($0)" }.joined(separator: ",")
    let common = ["--cluster-seeds", seeds, "--loglevel", "notice"] + arguments
    let last = Launcher(spawner: other)
    var nodes: [ServerNode] = []
    for port in free.dropLast() {
      nodes.append(try startCoterie(port, common))
    }
    nodes.append(try last.startCoterie(free[count - 1], common))
    return HealingCluster(deployment: try ready(nodes), last: last, arguments: common)
  }

  /// Starts a node; a second one with the same port takes up where the first one was killed.
  func startCoterie(_ port: Int, _ arguments: [String]) throws(BenchError) -> ServerNode {
    let arguments = ["--port", "\(port)"] + arguments
    return try start(spawner.programs.coterieServer, "coterie", port, arguments)
  }

  func start(
    _ program: String, _ system: String, _ port: Int, _ arguments: [String]
  ) throws(BenchError) -> ServerNode {
    let name = "\(system)-server-\(port)"
    let home = "\(spawner.directory)/\(name)"
    do {
      try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    } catch {
      throw BenchError("cannot make \(home): \(error)")
    }
    let process = try spawner.start(program, arguments + ["--dir", home], name: name)
    return ServerNode(process: process, port: port)
  }

  /// Waits for all nodes. If they fail they are stopped, or they would disturb what comes next.
  func ready(_ nodes: [ServerNode]) throws(BenchError) -> Deployment {
    let deployment = Deployment(nodes: nodes)
    do throws(BenchError) {
      let startDeadline = Deadline(in: Self.startLimit)
      for node in nodes { try node.awaitAnswer(by: startDeadline) }
      let clusterDeadline = Deadline(in: Self.clusterLimit)
      for node in nodes where nodes.count > 1 {
        try node.awaitCluster(of: nodes.count, by: clusterDeadline)
      }
      return deployment
    } catch {
      deployment.stop()
      throw error
    }
  }
}
