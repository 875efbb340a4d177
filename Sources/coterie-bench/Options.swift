/// The command line of `coterie-bench compare`, parsed and with every default filled in.
struct Options {
  /// Requests of one round without pipelining; with it, `Workload.pipelinedFactor` times as many.
  var requests = 200_000
  /// Rounds of a row; the median counts, so an odd number is best.
  var rounds = 5
  /// Keys of the memory row. A million makes the server's fixed costs vanish beside them.
  var memoryKeys = 1_000_000
  /// Where `coterie-server` is; by default beside this program.
  var serverPath: String?
  /// Where `redis-server` is; by default on `PATH`.
  var redisPath: String?
  /// Print the README's table instead of the one for terminals.
  var printsMarkdown = false
  /// Beginnings of the names of the rows to measure; empty means all.
  var selection: [String] = []
  /// Print the usage text and measure nothing.
  var wantsHelp = false

  /// Distinct keys the CPU rows read and write, as the project's goals fix it.
  static let keys = 100_000

  init() {}

  /// Parses the words after the program's name.
  init(arguments: [String]) throws(UsageError) {
    if arguments.isEmpty || !Set(arguments).isDisjoint(with: ["help", "-h", "--help"]) {
      wantsHelp = true
      return
    }
    guard arguments[0] == "compare" else {
      throw UsageError("unknown command '\(arguments[0])'")
    }
    // Before the others, so that an explicit number wins wherever it stands.
    if arguments.contains("--quick") { shrink() }
    var words = arguments.dropFirst()
    while let option = words.popFirst() {
      try apply(option, from: &words)
    }
  }

  /// Sizes for a smoke test: every path is walked, the figures mean little.
  private mutating func shrink() {
    requests = 10_000
    rounds = 1
    memoryKeys = 100_000
  }

  private mutating func apply(
    _ option: String, from words: inout ArraySlice<String>
  ) throws(UsageError) {
    switch option {
    case "--quick": break
    case "--markdown": printsMarkdown = true
    case "--requests": requests = try Self.count(option, from: &words)
    case "--rounds": rounds = try Self.count(option, from: &words)
    case "--server": serverPath = try words.takeValue(of: option)
    case "--redis": redisPath = try words.takeValue(of: option)
    case "--only": selection += try Self.names(option, from: &words)
    default: throw UsageError("unknown option '\(option)'")
    }
  }

  private static func count(
    _ option: String, from words: inout ArraySlice<String>
  ) throws(UsageError) -> Int {
    let text = try words.takeValue(of: option)
    guard let number = Int(text), (1...1_000_000_000).contains(number) else {
      throw UsageError("\(option) needs a whole number of at least 1, not '\(text)'")
    }
    return number
  }

  private static func names(
    _ option: String, from words: inout ArraySlice<String>
  ) throws(UsageError) -> [String] {
    let names = try words.takeValue(of: option).split(separator: ",").map(String.init)
    for name in names where !Row.all.contains(where: { $0.isSelected(by: [name]) }) {
      let known = Row.all.map(\.name).joined(separator: ", ")
      throw UsageError("no row's name begins with '\(name)'; the rows are \(known)")
    }
    return names
  }
}
