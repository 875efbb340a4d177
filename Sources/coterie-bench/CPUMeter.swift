import Foundation

/// Measures what work costs the servers in processor time.
struct CPUMeter {
  let generator: LoadGenerator
  let requests: Int

  /// Time for what an answered request leaves behind, such as the third of three copies and the
  /// closing of connections: that is part of its price. An idle server adds next to nothing.
  private static let settling = 0.05

  /// One round: the load, and the servers' CPU clocks before and after.
  func measure(_ work: Workload, on target: Deployment) throws(BenchError) -> Measurement {
    let share = work.requestsPerGenerator(round: requests)
    let ports = target.ports(forGenerators: work.generators)
    let before = try target.cpuTime()
    let load = try target.explainingFailure { () throws(BenchError) in
      try generator.run(work, at: ports, requests: share)
    }
    Thread.sleep(forTimeInterval: Self.settling)
    let spent = try target.cpuTime() - before
    return Measurement(
      cpuPerOperation: spent / .microseconds(1) / Double(share * work.generators), load: load)
  }

  /// A tenth of a round that nobody measures, so that no first round pays for cold caches.
  func warmUp(_ work: Workload, on target: Deployment) throws(BenchError) {
    let share = work.requestsPerGenerator(round: requests / 10)
    let ports = target.ports(forGenerators: work.generators)
    _ = try target.explainingFailure { () throws(BenchError) in
      try generator.run(work, at: ports, requests: share)
    }
  }
}
