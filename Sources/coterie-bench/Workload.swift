/// What the load generator does to a server.
struct Workload: Sendable {
  let command: Command
  /// Requests a client sends before it waits for the answers; 1 is no pipelining.
  let pipeline: Int
  /// Three load generators, one a node, instead of one that talks to the first node.
  let isSpread: Bool

  enum Command: String, CaseIterable, Sendable {
    case get
    case set
  }

  /// Length of every value, in bytes.
  static let valueSize = 64

  /// Load generators of one round.
  var generators: Int { isSpread ? 3 : 1 }

  /// Clients of each load generator: 50 in all, or the nearest above that three divides.
  var connectionsPerGenerator: Int { isSpread ? 17 : 50 }

  /// For example `GET, pipeline 16`.
  var title: String {
    command.rawValue.uppercased() + (pipeline == 1 ? "" : ", pipeline \(pipeline)")
  }

  /// Pipelined requests for each one of `--requests`. They are so much cheaper that a round of as
  /// many would last a third of a second, and one hiccup of the machine would fill it: the same
  /// redis-server measured against itself came out at 1.24.
  static let pipelinedFactor = 5

  /// Each generator's share of a round: at least one pipeline, and always whole ones, because
  /// redis-benchmark would round a broken one up and blur the cost of an operation.
  func requestsPerGenerator(round: Int) -> Int {
    let total = pipeline == 1 ? round : round * Self.pipelinedFactor
    let batch = generators * pipeline
    return max(1, (total + batch - 1) / batch) * pipeline
  }
}
