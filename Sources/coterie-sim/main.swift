import CacheNode
import Glibc
import Simulation

// coterie-sim: runs simulated clusters seed by seed and says which seed failed and why.

private let usage = """
  usage: coterie-sim [--seeds N] [--from SEED] [--bug NAME] [--trace]
         coterie-sim --seed SEED [--bug NAME]

  Runs N simulated clusters (default 100), each wholly determined by its seed, and checks what must
  hold. A failure prints the seed; --seed replays it.

    --seeds N      how many seeds
    --from SEED    the first one; without it, one by the clock
    --seed SEED    this one alone, with its options and its trace hash
    --key KEY      with --seed: print every command on this key and its reply
    --bug NAME     plant a bug and stop at the first seed that finds it
    --bugs         plant each bug in turn, 200 seeds each: all must be found
    --trace        print each seed's trace hash: the same in every process
  """

private struct Request {
  var seeds = 100
  var from: UInt64?
  var single: UInt64?
  var bug: Sabotage = []
  var bugName = ""
  var allBugs = false
  var printsTrace = false
  var key: String?

  init?(_ words: [String]) {
    var at = 0
    func value() -> String? {
      at += 1
      return at < words.count ? words[at] : nil
    }
    while at < words.count {
      switch words[at] {
      case "--seeds":
        guard let count = value().flatMap({ Int($0) }), count > 0 else { return nil }
        seeds = count
      case "--from":
        guard let seed = value().flatMap({ UInt64($0) }) else { return nil }
        from = seed
      case "--seed":
        guard let seed = value().flatMap({ UInt64($0) }) else { return nil }
        single = seed
      case "--bug":
        guard let name = value(), let found = Sabotage.named.first(where: { $0.name == name })
        else { return nil }
        bug = found.bug
        bugName = name
      case "--bugs": allBugs = true
      case "--key": key = value()
      case "--trace": printsTrace = true
      default: return nil
      }
      at += 1
    }
  }
}

private func describe(_ result: SimulationResult) -> String {
  "seed \(result.seed): \(result.options.summary)\n  "
    + (result.failure.map { "FAILED \($0)" } ?? "held")
    + "\n  \(result.commands) commands, \(result.errors) errors, \(result.events) events, "
    + "\(result.simulatedMicroseconds / 1000) simulated ms, trace \(String(result.trace, radix: 16))"
}

/// Runs seeds until one fails. Returns it.
private func search(_ request: Request, _ bug: Sabotage, seeds: Int) -> SimulationResult? {
  let start = request.from ?? UInt64(time(nil)) * 1000
  var simulated: UInt64 = 0
  for seed in start..<start + UInt64(seeds) {
    let result = Simulation.run(seed: seed, sabotage: bug)
    simulated += result.simulatedMicroseconds
    if request.printsTrace { print("\(seed) \(String(result.trace, radix: 16))") }
    if result.failure != nil { return result }
  }
  if bug.isEmpty {
    print("\(seeds) seeds from \(start) held: \(simulated / 1_000_000) simulated seconds")
  }
  return nil
}

private func run(_ request: Request) -> Int32 {
  if let seed = request.single {
    let options = SimulationOptions(seed: seed, sabotage: request.bug)
    let result = Simulation(options, tracedKey: request.key).run()
    print(describe(result))
    return result.failure == nil ? 0 : 1
  }
  if request.allBugs {
    var missed: Int32 = 0
    // A dependence on hash order shows between processes only: Tests compare their traces.
    for (name, bug) in Sabotage.named where bug != .hashOrder {
      if let found = search(request, bug, seeds: 200) {
        print("\(name): found. \(describe(found))")
      } else {
        print("\(name): NOT FOUND within 200 seeds")
        missed += 1
      }
    }
    return missed
  }
  guard let failed = search(request, request.bug, seeds: request.seeds) else {
    if !request.bugName.isEmpty { print("\(request.bugName): not found in \(request.seeds) seeds") }
    return request.bugName.isEmpty ? 0 : 1
  }
  print(describe(failed))
  let bug = request.bugName.isEmpty ? "" : " --bug \(request.bugName)"
  print("replay: coterie-sim --seed \(failed.seed)\(bug)")
  return request.bugName.isEmpty ? 1 : 0
}

let words = Array(CommandLine.arguments.dropFirst())
if words.contains("--help") {
  print(usage)
  exit(0)
}
guard let request = Request(words) else {
  print(usage)
  exit(2)
}
exit(run(request))
