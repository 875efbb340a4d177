import Glibc
import Simulation

/// The sum of many runs.
struct Tally {
  private(set) var seeds = 0
  private(set) var failed: [UInt64] = []
  private var commands = 0
  private var errors = 0
  private var simulated: UInt64 = 0
  private var faults = FaultCounts()
  private let processorStart = clock()

  mutating func add(_ result: SimulationResult) {
    seeds += 1
    if result.failure != nil { failed.append(result.seed) }
    commands += result.commands
    errors += result.errors
    simulated += result.simulatedMicroseconds
    faults += result.faults
  }

  /// Seeds, simulated time and its ratio to the processor's, commands, faults by kind.
  var summary: String {
    let seconds = simulated / 1_000_000
    let processor = max(1, Int(clock() - processorStart) * 1000 / Int(CLOCKS_PER_SEC))
    return "\(seeds) seeds, \(seconds / 3600).\(seconds % 3600 / 360) simulated hours "
      + "(\(seconds * 1000 / UInt64(processor)) an hour of processor), \(failed.count) failed\n"
      + "  \(commands) commands, \(errors) refused\n  \(faults.summary)"
  }
}
