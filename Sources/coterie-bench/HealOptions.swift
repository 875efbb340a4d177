/// The command line of `coterie-bench heal`.
struct HealOptions {
  /// Keys that are lost, missed or compared.
  var keys = 1_000_000
  /// Of `keys`, those in which the owners differ before anti-entropy.
  var different: Int { max(1, min(100, keys / 10_000)) }
  /// Seconds of the foreground before anything is hurt.
  var calmSeconds = 10.0
  /// `transfer-rate` of the servers; nil for their default.
  var rate: String?
  var serverPath: String?
  var printsMarkdown = false
  /// Beginnings of the names of what to measure; empty means all.
  var selection: [String] = []
  var wantsHelp = false

  static let names = ["refill", "hints", "anti-entropy"]

  /// Parses the words after `heal`.
  init(arguments: some Collection<String>) throws(UsageError) {
    if arguments.contains("--quick") { shrink() }
    var words = Array(arguments)[...]
    while let option = words.popFirst() {
      switch option {
      case "--quick": break
      case "--help", "-h": wantsHelp = true
      case "--markdown": printsMarkdown = true
      case "--keys": keys = try Self.keys(from: &words)
      case "--rate": rate = try words.takeValue(of: option)
      case "--server": serverPath = try words.takeValue(of: option)
      case "--only": selection = try Self.selection(from: &words)
      default: throw UsageError("unknown option '\(option)'")
      }
    }
  }

  /// Sizes for a smoke test: every path is walked, the figures mean little.
  private mutating func shrink() {
    keys = 20_000
    calmSeconds = 2
  }

  func wants(_ name: String) -> Bool {
    selection.isEmpty || selection.contains { name.hasPrefix($0) }
  }

  private static func keys(from words: inout ArraySlice<String>) throws(UsageError) -> Int {
    let text = try words.takeValue(of: "--keys")
    guard let number = Int(text), (1000...100_000_000).contains(number) else {
      throw UsageError("--keys needs a whole number of at least 1000, not '\(text)'")
    }
    return number
  }

  private static func selection(
    from words: inout ArraySlice<String>
  ) throws(UsageError) -> [String] {
    let chosen = try words.takeValue(of: "--only").split(separator: ",").map(String.init)
    for name in chosen where !names.contains(where: { $0.hasPrefix(name) }) {
      throw UsageError("'\(name)' is none of \(names.joined(separator: ", "))")
    }
    return chosen
  }

  /// What `coterie-bench heal --help` prints.
  static let usage = """
    usage: coterie-bench heal [options]

    Hurts one node of a small cluster and measures how it gets back what it lacks, and what clients
    of another node notice of that: one GET or SET at a time, \(PacedClient.pace) a second.

      refill        three nodes hold the same keys; one is killed and starts again, empty
      hints         four nodes, three copies of each key; one stops, all keys are written, it goes on
      anti-entropy  two nodes hold the same keys but for a few, which one of them missed

    options:
      --keys N         keys (default 1000000), with values of \(Workload.valueSize) bytes
      --only NAME,...  measure only some of the three
      --rate SIZE      transfer-rate of the servers, for example 8mb
      --server PATH    coterie-server to measure (default: the one beside coterie-bench)
      --quick          20,000 keys, for smoke tests; the bars are meant for a million
      --markdown       print the tables of the README
      --help           print this

    The node that heals shares a core with the client, the others share another one.
    Exits with 0 whatever the figures say, with 1 if something could not be run.
    """
}
