import Access
import Commands
import Primitives
import Testing

@Suite("Access: decisions")
struct DecisionTests {
  @Test("A call is allowed when one selector allows all of it")
  func selectors() {
    let subject = Subject("+get ~a (+set ~b) (+get +set +mget ~c* %R~r)")
    let rows: [(call: String, verdict: Verdict)] = [
      ("get a", .allowed), ("get b", .deniedKey(1)), ("set b 1", .allowed),
      ("set a 1", .deniedKey(1)), ("get c1", .allowed), ("set c1 1", .allowed),
      ("get r", .allowed), ("set r 1", .deniedKey(1)), ("mget c1 r c2", .allowed),
      ("mget c1 r a", .deniedKey(3)), ("del a", .deniedCommand), ("ping", .deniedCommand),
      ("auth x", .allowed), ("hello", .allowed), ("reset", .allowed), ("quit", .allowed),
    ]
    for row in rows { #expect(subject.verdict(row.call) == row.verdict, "\(row.call)") }
  }

  @Test("What a command does with its key is what the pattern has to allow")
  func permissions() {
    let subject = Subject("+@all %R~r %W~w ~k")
    let rows: [(call: String, verdict: Verdict)] = [
      ("get r", .allowed), ("get w", .deniedKey(1)), ("set w 1", .allowed),
      ("set w 1 get", .deniedKey(1)), ("set w 1 ex 5 GET", .deniedKey(1)),
      ("set k 1 get", .allowed), ("set r 1", .deniedKey(1)), ("set get get", .deniedKey(1)),
      ("append w x", .allowed), ("incr w", .deniedKey(1)), ("incr k", .allowed),
      ("exists w r k", .allowed), ("exists x", .deniedKey(1)), ("strlen w", .allowed),
      ("del w", .allowed), ("del w r", .deniedKey(2)), ("mset w 1 k 2", .allowed),
      ("mset w r k r", .allowed), ("mset w 1 r 2", .deniedKey(3)),
      ("object encoding w", .allowed), ("object encoding x", .deniedKey(2)),
      ("memory usage x", .deniedKey(2)), ("vget r", .allowed), ("vget w", .deniedKey(1)),
      ("vset w 1 context t", .allowed), ("vset r 1 context t", .deniedKey(1)),
      ("vdel r context t", .deniedKey(1)), ("flushall", .allowed), ("keys *", .allowed),
    ]
    for row in rows { #expect(subject.verdict(row.call) == row.verdict, "\(row.call)") }
  }

  @Test("Every key of every command needs a permission")
  func everyKey() {
    let subject = Subject("+@all ~k")
    for spec in CommandTable().commands.flatMap({ [$0] + $0.subcommands }) where spec.hasKeys {
      let name = spec.name.split(separator: "|").map { String($0).bytes }
      let least = max(spec.arity < 0 ? -spec.arity : spec.arity, name.count + 1)
      let count = spec.arity < 0 ? least + (least - name.count) % max(1, spec.keyStep) + 2 : least
      let words = name + Array(repeating: "k".bytes, count: count - name.count)
      #expect(subject.verdict(words) == .allowed, "\(spec.name)")
      for place in spec.keySpecs[0].positions(wordCount: words.count) {
        var other = words
        other[place] = "x".bytes
        #expect(subject.verdict(other) == .deniedKey(place), "\(spec.name)")
      }
    }
  }

  @Test("Every command has categories, of which one is fast or slow")
  func categories() {
    for spec in CommandTable().commands.flatMap({ [$0] + $0.subcommands }) {
      #expect(spec.categories.filter { ["fast", "slow"].contains($0) }.count == 1, "\(spec.name)")
      if spec.isWrite { #expect(spec.categories.contains("write"), "\(spec.name)") }
      if spec.isReadOnly { #expect(spec.categories.contains("read"), "\(spec.name)") }
      if spec.flags.contains("admin") {
        #expect(spec.categories.contains("admin") && spec.categories.contains("dangerous"))
      }
    }
  }

  @Test("Subcommands and first arguments")
  func subcommands() {
    let subject = Subject("+client|id +config -config|set +select|1")
    let rows: [(call: String, verdict: Verdict?)] = [
      ("client id", .allowed), ("CLIENT ID", .allowed), ("client list", .deniedCommand),
      ("client", .deniedCommand), ("config get x", .allowed), ("config set x y", .deniedCommand),
      ("config", .allowed), ("select 1", .allowed), ("select 0", .deniedCommand),
      ("select", .deniedCommand), ("client nosuch", nil), ("client|id", nil), ("nosuch", nil),
    ]
    for row in rows { #expect(subject.verdict(row.call) == row.verdict, "\(row.call)") }
    // To Unicode the Kelvin sign is a K, to the protocol it is not.
    #expect(subject.verdict(["client".bytes, "\u{212A}ill".bytes]) == nil)
  }

  @Test("Only who may do everything is not asked")
  func unlimited() {
    let rows: [(rules: String, isUnlimited: Bool)] = [
      ("+@all ~*", true), ("+@all ~* -get", false), ("+@all ~* -get +get", false), ("+@all", false),
      ("~* +@read", false), ("+@all ~* resetkeys ~*", true), ("(+@all ~*)", true),
      ("(+@all) ~*", false),
    ]
    for row in rows {
      #expect(Subject(row.rules).user.isUnlimited == row.isUnlimited, "\(row.rules)")
    }
  }
}
