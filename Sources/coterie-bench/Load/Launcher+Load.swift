extension Launcher {
  /// One server of a scenario. `setup` is what a shell does before it becomes the server: limits,
  /// groups, variables of the environment.
  func loaded(
    _ system: LoadRun.System, _ arguments: [String], setup: String
  ) throws(BenchError) -> Deployment {
    try ready([launched(system, arguments, setup: setup)])
  }

  /// The same, not waited for.
  func launched(
    _ system: LoadRun.System, _ arguments: [String], setup: String
  ) throws(BenchError) -> ServerNode {
    var ports = ports
    let port = try ports.take()
    var words = ["--port", "\(port)"]
    let program: String
    switch system {
    case .coterie:
      program = spawner.programs.coterieServer
      words += ["--keyspace.default.n", "1", "--loglevel", "warning"]
    case .redis:
      program = spawner.programs.redisServer
      // It takes 127.0.0.2, which connections come from as well, for another host.
      words += ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
      words += ["--protected-mode", "no"]
    }
    let shell = ["-c", "\(setup)\nexec \"$@\"", "sh", program]
    return try start("/bin/sh", system.rawValue, port, shell + words + arguments)
  }
}
