import Foundation

/// Drives redis-benchmark, on a core the servers do not use.
struct LoadGenerator {
  let spawner: Spawner

  /// Slower than 500 requests a second is not slow but stuck.
  private static let slowestThroughput = 500

  /// Does `requests` requests at each of the ports at once, and waits for the end.
  func run(
    _ work: Workload, at ports: [Int], requests: Int
  ) throws(BenchError) -> LoadReport {
    let limit = 30 + requests * ports.count / Self.slowestThroughput
    let deadline = Deadline(in: .seconds(limit))
    var generators: [ChildProcess] = []
    for (index, port) in ports.enumerated() {
      generators.append(
        try spawner.start(
          spawner.programs.redisBenchmark,
          Self.arguments(work, port: port, requests: requests),
          name: "redis-benchmark-\(index + 1)"))
    }
    defer {
      for generator in generators { generator.kill() }
    }
    var reports: [LoadReport] = []
    for generator in generators {
      try generator.finish(by: deadline)
      reports.append(try Self.report(of: generator))
    }
    return .together(reports)
  }

  private static func arguments(_ work: Workload, port: Int, requests: Int) -> [String] {
    [
      "-h", "127.0.0.1", "-p", "\(port)", "-t", work.command.rawValue,
      "-d", "\(Workload.valueSize)", "-r", "\(Options.keys)", "-n", "\(requests)",
      "-c", "\(work.connectionsPerGenerator)", "-P", "\(work.pipeline)", "--csv",
    ]
  }

  private static func report(of generator: ChildProcess) throws(BenchError) -> LoadReport {
    guard let csv = FileManager.default.contents(atPath: generator.outputPath) else {
      throw generator.failure("left no output")
    }
    return try LoadReport(csv: String(decoding: csv, as: UTF8.self))
  }
}
