/// A system under measurement: one redis-server, one coterie-server, or three of those.
struct Deployment: Sendable {
  let nodes: [ServerNode]

  /// Processor time of all nodes together.
  func cpuTime() throws(BenchError) -> Duration {
    var total = Duration.zero
    for node in nodes { total += try node.process.cpuTime() }
    return total
  }

  /// Where each of a number of load generators connects: to a node of its own as far as there
  /// are nodes, so that several generators meet in the only node of a single server.
  func ports(forGenerators count: Int) -> [Int] {
    (0..<count).map { nodes[$0 % nodes.count].port }
  }

  /// Stores the keys of the CPU rows and reads every one back, so that GETs hit.
  func preload(keys: Int) throws(BenchError) {
    let loader = KeyLoader(port: nodes[0].port)
    try explainingFailure { () throws(BenchError) in
      try loader.load(count: keys)
      try loader.verify(count: keys)
    }
  }

  /// Runs `body`. If that fails and a node has died, the node's last words are the better
  /// explanation than whatever its clients say.
  func explainingFailure<Value>(
    _ body: () throws(BenchError) -> Value
  ) throws(BenchError) -> Value {
    do throws(BenchError) {
      return try body()
    } catch {
      for node in nodes { try node.process.checkIsRunning() }
      throw error
    }
  }

  /// Kills all nodes.
  func stop() {
    for node in nodes { node.process.kill() }
  }
}
