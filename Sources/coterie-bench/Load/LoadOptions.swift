/// The command line of `coterie-bench load`.
struct LoadOptions {
  var isQuick = false
  /// Whether a missed time, rate or share of a processor is no reason to exit with 1.
  var forgivesTimes = false
  var usesRedis = true
  var serverPath: String?
  var redisPath: String?
  var printsMarkdown = false
  var scenarios = Scenario.allCases
  var wantsHelp = false

  /// Parses the words after `load`.
  init(arguments: some Collection<String>) throws(UsageError) {
    var words = Array(arguments)[...]
    while let option = words.popFirst() {
      switch option {
      case "--quick":
        isQuick = true
        usesRedis = false
      case "--forgive-times": forgivesTimes = true
      case "--no-redis": usesRedis = false
      case "--markdown": printsMarkdown = true
      case "--help", "-h": wantsHelp = true
      case "--server": serverPath = try words.takeValue(of: option)
      case "--redis": redisPath = try words.takeValue(of: option)
      case "--only": scenarios = try Self.scenarios(from: &words)
      default: throw UsageError("unknown option '\(option)'")
      }
    }
  }

  private static func scenarios(
    from words: inout ArraySlice<String>
  ) throws(UsageError) -> [Scenario] {
    let chosen = try words.takeValue(of: "--only").split(separator: ",").map(String.init)
    for name in chosen where !Scenario.allCases.contains(where: { $0.rawValue.hasPrefix(name) }) {
      let known = Scenario.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError("'\(name)' is none of \(known)")
    }
    return Scenario.allCases.filter { scenario in
      chosen.contains { scenario.rawValue.hasPrefix($0) }
    }
  }

  /// What `coterie-bench load --help` prints.
  static let usage = """
    usage: coterie-bench load [options]

    Starts a coterie-server for each scenario (and a redis-server after it where it has the same to
    show), loads it, and holds what it did against a bar.

    \(Scenario.allCases.map { "  " + $0.rawValue.padded(to: 13) + $0.title }.joined(separator: "\n"))

    options:
      --only NAME,...  only scenarios whose names begin so
      --quick          small sizes, no Redis: below a minute, for CI
      --forgive-times  exit with 0 though a time, a rate or a share of a processor misses its bar,
                       as it can on a busy machine; memory, descriptors, closings and answers count
      --no-redis       do not measure redis-server
      --server PATH    coterie-server to load (default: the one beside coterie-bench)
      --redis PATH     redis-server (default: the one on PATH)
      --markdown       print the table of the README
      --help           print this

    The servers share one core, the load has another. Exits with 0 if all bars are met, with 1 if one
    is missed or something could not be run, with 2 if the command line makes no sense.
    """
}
