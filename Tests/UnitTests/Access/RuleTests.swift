import Access
import Primitives
import Testing

@Suite("Access: rules")
struct RuleTests {
  @Test("Rules are shown as Redis shows them")
  func lines() {
    let hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    let rows: [(rules: String, line: String)] = [
      ("", "off resetchannels -@all"),
      ("on nopass", "on nopass resetchannels -@all"),
      ("ON >secret", "on #\(hash) resetchannels -@all"),
      (">secret >secret #\(hash)", "off #\(hash) resetchannels -@all"),
      (">secret nopass", "off nopass resetchannels -@all"),
      (">secret nopass resetpass", "off resetchannels -@all"),
      (">secret <secret", "off resetchannels -@all"),
      (">secret !\(hash)", "off resetchannels -@all"),
      ("reset", "off sanitize-payload resetchannels -@all"),
      ("skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"),
      ("+get", "off resetchannels -@all +get"),
      ("+GET -get", "off resetchannels -@all"),
      ("allcommands", "off resetchannels +@all"),
      ("+@all -get", "off resetchannels +@all -get"),
      ("+@all -get +get", "off resetchannels +@all"),
      ("+@all nocommands", "off resetchannels -@all"),
      ("+@read -strlen", "off resetchannels -@all +@read -strlen"),
      ("+@read +@write", "off resetchannels -@all +@write +@read"),
      ("+client -client|kill", "off resetchannels -@all +client -client|kill"),
      ("+client|id +client|id", "off resetchannels -@all +client|id"),
      ("+config|get -config", "off resetchannels -@all"),
      ("+select|0 +select|One +select|ONE", "off resetchannels -@all +select|0 +select|One"),
      ("+select|0 +select", "off resetchannels -@all +select"),
      ("+select|0 -select", "off resetchannels -@all"),
      ("~a ~b ~a", "off ~a ~b resetchannels -@all"),
      ("%R~a %W~a %R~b %w~c %Wr~d", "off ~a %R~b %W~c ~d resetchannels -@all"),
      ("%R", "off %R~ resetchannels -@all"),
      ("~a allkeys", "off ~* resetchannels -@all"),
      ("allkeys resetkeys ~b", "off ~b resetchannels -@all"),
      ("&a &b &a", "off resetchannels &a &b -@all"),
      ("&a allchannels", "off &* -@all"),
      ("(+get ~a)", "off resetchannels -@all (~a resetchannels -@all +get)"),
      ("() (+@all)", "off resetchannels -@all (resetchannels -@all) (resetchannels +@all)"),
      ("(+get ~a) clearselectors", "off resetchannels -@all"),
      ("(+get (~a +set)", "off resetchannels -@all (~a resetchannels -@all +set)"),
    ]
    for row in rows {
      var subject = Subject()
      #expect(subject.set(row.rules) == nil, "\(row.rules)")
      #expect(subject.line == row.line, "\(row.rules)")
    }
  }

  @Test("A rule that is none changes nothing, and is named in Redis's words")
  func refusals() {
    let hash = String(repeating: "0", count: 64)
    let rows: [(rules: String, text: String)] = [
      ("foo", "'foo': Syntax error"), ("+", "'+': Unknown command or category name in ACL"),
      ("+nosuch", "'+nosuch': Unknown command or category name in ACL"),
      ("-@nosuch", "'-@nosuch': Unknown command or category name in ACL"),
      ("+config|nosuch", "'+config|nosuch': Unknown command or category name in ACL"),
      ("+config|get|x", "'+config|get|x': Allowing first-arg of a subcommand is not supported"),
      ("+get|", "'+get|': Syntax error"), ("%~x", "'%~x': Syntax error"),
      ("%RR~x", "'%RR~x': Syntax error"), ("%", "'%': Syntax error"), (")", "')': Syntax error"),
      ("<never", "'<never': The password you are trying to remove from the user does not exist"),
      (
        "!\(hash)", "'!\(hash)': The password you are trying to remove from the user does not exist"
      ),
      (
        "#x",
        "'#x': The password hash must be exactly 64 characters and contain only lowercase "
          + "hexadecimal characters"
      ),
      ("(on)", "'(on)': Syntax error"), ("(~a))", "'(~a))': Syntax error"), ("(+get", "unmatched"),
      ("+get (", "unmatched"),
    ]
    for row in rows {
      var subject = Subject("on nopass ~k +get &c (+set)")
      let before = subject.line
      #expect(subject.set("off resetkeys +@all " + row.rules) == row.text, "\(row.rules)")
      #expect(subject.line == before, "\(row.rules)")
    }
    var subject = Subject("allkeys allchannels")
    #expect(subject.set("~x")?.contains("'allkeys' flag") == true)
    #expect(subject.set("%R~x")?.contains("'allkeys' flag") == true)
    #expect(subject.set("&x")?.contains("'allchannels' flag") == true)
  }

  @Test("What is shown of a user makes the same user", arguments: Seeds.many)
  func roundTrip(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let names = Subject.catalog.entries.map(\.name)
    for _ in 0..<20 {
      var subject = Subject()
      for _ in 0..<generator.below(12) {
        let sign = generator.pick(["+", "-"])
        let rule = generator.pick([
          sign + generator.pick(names), sign + generator.pick(names),
          "\(sign)@\(generator.pick(AccessCatalog.categories))", "\(sign)@all", "+select|1",
          "~k\(generator.below(3))", "%R~k\(generator.below(3))", "%W~k\(generator.below(3))",
          "allkeys", "resetkeys", "&c", "on", "off", "nopass", ">p\(generator.below(3))",
          "(+\(generator.pick(names)) ~a%)", "reset",
        ])
        _ = subject.set(rule)
      }
      var again = Subject()
      #expect(again.set(subject.line) == nil, "\(subject.line)")
      #expect(again.line == subject.line)
      #expect(again.user.isUnlimited || !subject.user.isUnlimited)
    }
  }

  @Test("The default user is there, stays, and may do everything")
  func defaultUser() {
    var access = AccessControl(Subject.catalog)
    #expect(access.lines.map(\.text) == ["user default on nopass ~* &* +@all"])
    #expect(access.defaultUser.isUnlimited && access.isOpen && !access.needsAuthentication)
    access.remove(AccessControl.defaultPlace)
    #expect(access.names.map(\.text) == ["default"])
    access.setDefaultPassword("secret")
    #expect(!access.isOpen && access.needsAuthentication && access.defaultUser.isUnlimited)
    #expect(access.authenticate("default".bytes, "secret".bytes) == AccessControl.defaultPlace)
    #expect(access.authenticate("default".bytes, "wrong".bytes) == nil)
    access.setDefaultPassword("")
    #expect(access.isOpen && !access.needsAuthentication)
  }

  @Test("Names are in order, and places are reused")
  func places() throws {
    var access = AccessControl(Subject.catalog)
    for name in ["b", "z", "a", "\u{FF}", ""] { try access.set(name.bytes, []) }
    #expect(access.names.map(\.text) == ["", "a", "b", "default", "z", "\u{FF}"])
    let place = try #require(access.place(of: "a".bytes))
    access.remove(place)
    #expect(access.place(of: "a".bytes) == nil)
    try access.set("c".bytes, ["on".bytes])
    #expect(access.place(of: "c".bytes) == place)
    #expect(access[place].name.text == "c")
    #expect(access.names.map(\.text) == ["", "b", "c", "default", "z", "\u{FF}"])
  }

  @Test("Who is off, or has no password, does not get in")
  func logins() throws {
    var subject = Subject("on >a >b")
    let place = try #require(subject.access.place(of: "u".bytes))
    func login(_ password: String) -> Int? {
      subject.access.authenticate("u".bytes, password.bytes)
    }
    #expect(login("a") == place && login("b") == place)
    #expect(login("c") == nil && login("") == nil)
    #expect(subject.access.authenticate("nosuch".bytes, "a".bytes) == nil)
    _ = subject.set("off")
    #expect(login("a") == nil)
    _ = subject.set("on resetpass")
    #expect(login("a") == nil && login("") == nil)
    _ = subject.set("nopass")
    #expect(login("anything") == place)
  }

  @Test("SHA-256 is SHA-256, and drawn passwords differ")
  func hashes() {
    #expect(
      PasswordHash(of: "".bytes).hex.text
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      PasswordHash(of: "abc".bytes).hex.text
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    var generator = PasswordGenerator(secret: [1, 2, 3])
    var drawn = Set((0..<100).map { _ in generator.digits(64).text })
    #expect(drawn.count == 100 && drawn.allSatisfy { $0.count == 64 })
    #expect(generator.digits(1).count == 1 && generator.digits(1024).count == 1024)
    var other = PasswordGenerator(secret: [1, 2, 4])
    #expect(drawn.insert(other.digits(64).text).inserted)
  }
}
