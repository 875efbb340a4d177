import Glibc

/// A node that has run out of descriptors.
extension LoadRun {
  private static let descriptors = 256
  private static let clients = 1000
  private static let cpuBar = 0.2
  private static let recoveryBar = 1000.0

  func measureDescriptors() throws(BenchError) -> [Finding] {
    let seconds = options.isQuick ? 1.5 : 5.0
    let setup = "ulimit -n \(Self.descriptors)"
    return try withServer(.coterie, ["--loglevel", "notice"], setup: setup) {
      node throws(BenchError) in
      var crowd = try Crowd(port: node.port, clients: Self.clients)
      try crowd.go(seconds: 1, retrying: true)
      let trying = try share(node) { () throws(BenchError) in
        try crowd.go(seconds: seconds, retrying: true)
      }
      let admitted = crowd.admitted
      try crowd.go(seconds: 0.5, retrying: false)
      let full = try share(node) { () throws(BenchError) in
        try crowd.go(seconds: seconds, retrying: false)
      }
      let open = node.descriptors()
      let joined = try join(node)
      let recovery = try recover(node, &crowd)
      return [
        .bound(
          "clients let in", "\(admitted) of \(Self.clients)", bar: "≥ 80", admitted >= 80),
        .note("descriptors open while full", "\(open) of \(Self.descriptors)"),
        .time(
          "CPU while full and nobody asks", "\((full * 100).text(1)) % of a core", bar: "≤ 20 %",
          full <= Self.cpuBar),
        .note(
          "CPU while the rest try 4 times a second", "\((trying * 100).text(1)) % of a core"),
        .bound("another node joins while full", joined ?? "yes", bar: "yes", joined == nil),
        .time(
          "a client is served after all have gone", "\(recovery.text(0)) ms", bar: "≤ 1000 ms",
          recovery <= Self.recoveryBar),
      ]
    }
  }

  /// The share of a core that the server takes while `body` runs.
  private func share(
    _ node: ServerNode, _ body: () throws(BenchError) -> Void
  ) throws(BenchError) -> Double {
    let start = Monotonic.now()
    let before = try node.processorTime()
    try body()
    return (try node.processorTime() - before) / Monotonic.seconds(since: start)
  }

  /// Starts a second node that joins the full one and uses it. Nil, or why that did not work.
  private func join(_ node: ServerNode) throws(BenchError) -> String? {
    let other = try launcher.launched(
      .coterie, ["--cluster-seeds", "127.0.0.1:\(node.port)"], setup: "")
    defer { other.process.kill() }
    do throws(BenchError) {
      try other.awaitAnswer(by: Deadline(in: .seconds(10)))
      try other.awaitCluster(of: 2, by: Deadline(in: .seconds(10)))
      // Half of them live on the full node.
      try KeyLoader(port: other.port).load(count: 100)
      try KeyLoader(port: other.port).verify(count: 100)
      return nil
    } catch {
      return "no: \(error.description.split(whereSeparator: \.isNewline).first?.prefix(120) ?? "")"
    }
  }

  /// Milliseconds from the going of all clients until a new one is answered.
  private func recover(
    _ node: ServerNode, _ crowd: inout Crowd
  ) throws(BenchError) -> Double {
    let start = Monotonic.now()
    crowd.leave()
    while Monotonic.seconds(since: start) < 10 {
      if (try? node.ask("PING")) == .simple("PONG") {
        return Monotonic.seconds(since: start) * 1000
      }
      Monotonic.sleep(milliseconds: 5)
    }
    return .infinity
  }
}
