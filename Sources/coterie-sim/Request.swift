import CacheNode
import Primitives

/// What the command line asks for.
struct Request {
  enum Task {
    case search
    case replay(seed: UInt64)
    case allBugs
    case soak
    case membership
  }
  var task = Task.search
  var seeds = 1000
  var from: UInt64?
  /// A file of seeds that failed once, one a line, each with a remark.
  var again: String?
  var bug: Sabotage = []
  var bugName = ""
  var printsTrace = false
  var key: String?
  /// Of the failure detectors alone: cluster sizes, per cents of lost messages, seconds at rest.
  var sizes = [5, 10, 100, 1500]
  var losses = [0, 10]
  var seconds = 60

  static let usage = """
    usage: coterie-sim [--seeds N] [--from SEED] [--again FILE] [--bug NAME] [--trace]
           coterie-sim --seed SEED [--key KEY] [--bug NAME]
           coterie-sim --soak [--from SEED]
           coterie-sim --membership [--nodes 5,10,100,1500] [--loss 0,10] [--seconds 60]

    Runs N simulated clusters (default 1000), each wholly determined by its seed and at least a minute
    long, and checks what must hold. A failure prints the seed; --seed replays it.

      --seeds N      how many seeds
      --from SEED    the first one; without it, one by the clock
      --again FILE   first every seed in FILE: a number at the start of each line
      --seed SEED    this one alone, with its options, its faults and its trace hash
      --key KEY      with --seed: print every command on this key and its reply
      --bug NAME     plant a bug and stop at the first seed that finds it
      --bugs         plant each bug in turn, 200 seeds each: all must be found
      --trace        print each seed's trace hash: the same in every process
      --soak         run seed after seed until SIGINT or SIGTERM, through failures
      --membership   what the failure detectors cost and how fast they are, for each number of
                     --nodes and each per cent of --loss, after --seconds at rest
    """

  /// Nil when the words make no sense.
  init?(_ words: [String]) {
    var words = words[...]
    while let word = words.popFirst() {
      switch word {
      case "--bugs": task = .allBugs
      case "--soak": task = .soak
      case "--membership": task = .membership
      case "--trace": printsTrace = true
      default:
        guard let value = words.popFirst(), take(word, value) else { return nil }
      }
    }
  }

  /// Takes an option with its value; false when there is none of the kind.
  private mutating func take(_ word: String, _ value: String) -> Bool {
    switch word {
    case "--seeds":
      guard let count = Int(value), count > 0 else { return false }
      seeds = count
    case "--from":
      guard let seed = UInt64(value) else { return false }
      from = seed
    case "--seed":
      guard let seed = UInt64(value) else { return false }
      task = .replay(seed: seed)
    case "--bug":
      guard let found = Sabotage.named.first(where: { $0.name == value }) else { return false }
      bug = found.bug
      bugName = value
    case "--nodes":
      guard let numbers = Request.numbers(value, 2...Limits.members) else { return false }
      sizes = numbers
    case "--loss":
      guard let numbers = Request.numbers(value, 0...99) else { return false }
      losses = numbers
    case "--seconds":
      guard let count = Int(value), (1...86_400).contains(count) else { return false }
      seconds = count
    case "--again": again = value
    case "--key": key = value
    default: return false
    }
    return true
  }

  /// Numbers with commas between them.
  private static func numbers(_ text: String, _ allowed: ClosedRange<Int>) -> [Int]? {
    let words = text.split(separator: ",", omittingEmptySubsequences: false)
    let numbers = words.compactMap { Int($0) }.filter(allowed.contains)
    return numbers.count == words.count ? numbers : nil
  }
}
