import Glibc
import Simulation

/// `--membership`: one line for each number of nodes and each loss.
enum MembershipTable {
  private static let headings = [
    "nodes", "loss %", "messages/s", "most", "bytes/s", "most", "first knows", "all know",
    "change", "wrong deaths", "wrong suspicions",
  ]

  /// Prints the lines as they come. Returns 1 when a living node was declared dead.
  static func print(_ request: Request) -> Int32 {
    Swift.print(
      """
      Failure detectors alone: messages of 1 ms ± 0.5 ms, \(request.seconds) s at rest.
      messages/s, bytes/s: sent by one node, the mean and the node with the most.
      first knows, all know: seconds from a node's death, the worst of several; change: seconds
      from a node's change of its record until all have it; wrong suspicions: of one node an hour.

      """)
    show(headings)
    var wrongDeaths = 0
    for size in request.sizes {
      for loss in request.losses {
        var options = MembershipOptions(nodes: size, loss: loss, seconds: request.seconds)
        if let seed = request.from { options.seed = seed }
        let result = MembershipWorld.run(options)
        wrongDeaths += result.wrongDeaths
        show(cells(result))
      }
    }
    return wrongDeaths == 0 ? 0 : 1
  }

  private static func cells(_ result: MembershipResult) -> [String] {
    [
      "\(result.options.nodes)", "\(result.options.loss)",
      text(result.messages.mean, 1), text(result.messages.most, 1),
      text(result.bytes.mean, 0), text(result.bytes.most, 0), seconds(result.firstKnows),
      seconds(result.allKnow), seconds(result.changeKnown), "\(result.wrongDeaths)",
      text(result.wrongSuspicionsPerNodeHour, 2),
    ]
  }

  private static func seconds(_ microseconds: UInt64?) -> String {
    microseconds.map { text(Double($0) / 1_000_000, 2) } ?? "never"
  }

  /// A positive number with so many digits behind the point.
  private static func text(_ number: Double, _ digits: Int) -> String {
    guard digits > 0 else { return "\(Int(number.rounded()))" }
    let factor = [1, 10, 100][digits]
    let whole = Int((number * Double(factor)).rounded())
    let rest = String(whole % factor)
    return "\(whole / factor)." + String(repeating: "0", count: digits - rest.utf8.count) + rest
  }

  private static func show(_ cells: [String]) {
    let columns = zip(headings, cells).map { heading, cell in
      String(repeating: " ", count: max(0, max(6, heading.count) - cell.count)) + cell
    }
    Swift.print(columns.joined(separator: "  "))
    fflush(nil)
  }
}
