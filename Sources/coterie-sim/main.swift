import CacheNode
import Glibc
import Simulation

// coterie-sim: runs simulated clusters seed by seed and says which seed failed and why.

private func describe(_ result: SimulationResult) -> String {
  "seed \(result.seed): \(result.options.summary)\n  "
    + (result.failure.map { "FAILED \($0)" } ?? "held")
    + "\n  \(result.commands) commands, \(result.errors) refused, \(result.events) events, "
    + "\(result.simulatedMicroseconds / 1000) simulated ms, trace "
    + "\(String(result.trace, radix: 16))\n  faults: \(result.faults.summary)"
}

/// The first seed of a search for what nobody has seen yet.
private func freshSeed() -> UInt64 { UInt64(time(nil)) * 1000 }

/// The numbers at the starts of a file's lines; nil when it can't be read.
private func seeds(in path: String) -> [UInt64]? {
  guard let file = fopen(path, "r") else { return nil }
  defer { fclose(file) }
  var seeds: [UInt64] = []
  var line: UnsafeMutablePointer<CChar>?
  var capacity = 0
  defer { free(line) }
  while getline(&line, &capacity, file) > 0, let line {
    if let seed = UInt64(String(cString: line).prefix { $0.isNumber }) { seeds.append(seed) }
  }
  return seeds
}

/// Runs seeds until one fails. Returns it.
private func search(
  _ seeds: some Sequence<UInt64>, _ bug: Sabotage, printsTrace: Bool, _ tally: inout Tally
) -> SimulationResult? {
  for seed in seeds {
    let result = Simulation.run(seed: seed, sabotage: bug)
    tally.add(result)
    if printsTrace { print("\(seed) \(String(result.trace, radix: 16))") }
    if result.failure != nil { return result }
  }
  return nil
}

private func fresh(_ request: Request, _ count: Int) -> Range<UInt64> {
  let start = request.from ?? freshSeed()
  return start..<start + UInt64(count)
}

/// Searches with the bug that was asked for, or with none. A bug that is not found is a failure,
/// and so is one that nobody planted.
private func runSearch(_ request: Request) -> Int32 {
  var tally = Tally()
  var list: [UInt64] = []
  if let path = request.again {
    guard let found = seeds(in: path) else {
      print("cannot read \(path)")
      return 2
    }
    list = found
  }
  list += fresh(request, request.seeds)
  let failed = search(list, request.bug, printsTrace: request.printsTrace, &tally)
  if let failed {
    print(describe(failed))
    let bug = request.bugName.isEmpty ? "" : " --bug \(request.bugName)"
    print("replay: coterie-sim --seed \(failed.seed)\(bug)")
    return request.bugName.isEmpty ? 1 : 0
  }
  if request.bugName.isEmpty {
    if !request.printsTrace { print("all held: \(tally.summary)") }
    return 0
  }
  print("\(request.bugName): not found in \(request.seeds) seeds")
  return 1
}

private func runBugs(_ request: Request) -> Int32 {
  var missed: Int32 = 0
  // A dependence on hash order shows between processes only: Tests compare their traces.
  for (name, bug) in Sabotage.named where bug != .hashOrder {
    var tally = Tally()
    if let found = search(fresh(request, 200), bug, printsTrace: false, &tally) {
      print("\(name): found. \(describe(found))")
    } else {
      print("\(name): NOT FOUND within 200 seeds")
      missed += 1
    }
  }
  return missed
}

/// Runs until told to stop. A failure is printed, and the search goes on.
private func soak(_ request: Request) -> Int32 {
  StopSignal.await()
  var tally = Tally()
  var seed = request.from ?? freshSeed()
  var lastReport = time(nil)
  print("soaking from seed \(seed)")
  fflush(nil)
  while !StopSignal.hasCome {
    let result = Simulation.run(seed: seed)
    tally.add(result)
    if result.failure != nil { print(describe(result)) }
    seed += 1
    if time(nil) - lastReport >= 60 {
      lastReport = time(nil)
      print(tally.summary)
    }
    fflush(nil)
  }
  print("stopped before seed \(seed): \(tally.summary)")
  if !tally.failed.isEmpty { print("failed seeds: \(tally.failed)") }
  return tally.failed.isEmpty ? 0 : 1
}

private func replay(_ request: Request, _ seed: UInt64) -> Int32 {
  let options = SimulationOptions(seed: seed, sabotage: request.bug)
  let result = Simulation(options, tracedKey: request.key).run()
  print(describe(result))
  return result.failure == nil ? 0 : 1
}

let words = Array(CommandLine.arguments.dropFirst())
if words.contains("--help") {
  print(Request.usage)
  exit(0)
}
guard let request = Request(words) else {
  print(Request.usage)
  exit(2)
}
switch request.task {
case .search: exit(runSearch(request))
case .replay(let seed): exit(replay(request, seed))
case .allBugs: exit(runBugs(request))
case .soak: exit(soak(request))
case .membership: exit(MembershipTable.print(request))
}
