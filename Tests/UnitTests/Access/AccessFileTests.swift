import Access
import Primitives
import Testing

@Suite("Access: files, the log and guessing")
struct AccessFileTests {
  private func load(_ text: String) -> Result<AccessControl, AccessControl.FileErrors> {
    Result { () throws(AccessControl.FileErrors) in
      try AccessControl(Subject.catalog).replaced(byFile: text.bytes, named: "f")
    }
  }

  @Test("A file replaces all users; one without a default user leaves that as it began")
  func loading() throws {
    let access = try load("\n user b on >x ~k  +get\r\n\tuser a nopass (+set ~q)\n").get()
    #expect(access.names.map(\.text) == ["a", "b", "default"])
    #expect(access.lines[2].text == "user default on nopass ~* &* +@all")
    #expect(
      try load("user default off").get().lines.map(\.text) == [
        "user default off resetchannels -@all"
      ])
  }

  @Test(
    "What is saved is read again as the same",
    arguments: ["", "user a on >x ~a (+get) +@all -set\n"])
  func saving(text: String) throws {
    let first = try load(text).get()
    let second = try load(first.fileText.text).get()
    #expect(second.lines == first.lines)
  }

  @Test("All mistakes of a file are told, and nothing is taken")
  func mistakes() throws {
    let rows: [(text: String, error: String)] = [
      ("usr a", "f:1 should start with user keyword followed by the username. "),
      ("user", "f:1 should start with user keyword followed by the username. "),
      ("user a on\nuser a off", "WARNING: Duplicate user 'a' found on line 2. "),
      ("user a (+get", "f:1: Unmatched parenthesis in selector definition."),
      ("user a foo bar", "f:1: Syntax error. "),
      (
        "user a foo +no\n\nuser b -no",
        "f:1: Syntax error. f:1: Error in applying operation '+no': Unknown command or category "
          + "name in ACL. f:3: Error in applying operation '-no': Unknown command or category name "
          + "in ACL. "
      ),
    ]
    for row in rows {
      switch load(row.text) {
      case .success: Issue.record("\(row.text) was taken")
      case .failure(let error): #expect(error.text.text == row.error)
      }
    }
  }

  @Test("Lines of a conf file define users once, the default user anew")
  func confLines() {
    var access = AccessControl(Subject.catalog)
    func define(_ line: String) -> String? {
      access.define(line.split(separator: " ").map { String($0).bytes })
    }
    #expect(define("a on (+get ~x) ~k") == nil)
    #expect(define("a off")?.contains("Duplicate") == true)
    #expect(define("b foo") == "'foo': Syntax error")
    #expect(define("b (+get") == "Unmatched parenthesis in selector definition")
    #expect(define("default +get") == nil)
    #expect(
      access.lines.map(\.text) == [
        "user a on ~k resetchannels -@all (~x resetchannels -@all +get)",
        "user default off sanitize-payload resetchannels -@all +get",
      ])
  }

  @Test("Equal refusals within a minute are one entry of the log")
  func log() {
    var log = AccessLog()
    func add(_ object: String, at time: UInt64, _ reason: AccessLog.Reason = .key) {
      log.add(reason, object.bytes, username: "u".bytes, client: "c", at: time, limit: 12)
    }
    for time in 0..<3 { add("a", at: UInt64(time) * 1000) }
    add("b", at: 3000)
    add("a", at: 4000)
    #expect(log.entries.map(\.count) == [4, 1])
    add("a", at: 5000, .command)
    #expect(log.entries.map(\.count) == [1, 4, 1])
    add("a", at: 4000 + 60_001)
    #expect(log.entries.map(\.count) == [1, 1, 4, 1])
    // Only the last ten are looked at, and no more than the limit are kept.
    for number in 0..<10 { add("n\(number)", at: 70_000) }
    add("a", at: 70_000)
    #expect(log.entries.count == 12)
    #expect(log.entries[0].count == 1)
  }

  @Test("Ten wrong passwords, then one every six seconds, for each address apart")
  func limiter() {
    var limiter = AttemptLimiter()
    let address = "10.0.0.1:5000"
    for _ in 0..<10 {
      #expect(limiter.wait(address, at: 1_000_000) == nil)
      limiter.fail(address, at: 1_000_000)
    }
    #expect(limiter.wait(address, at: 1_000_000) == 7)
    #expect(limiter.wait("10.0.0.1:6000", at: 1_000_000) == 7)
    #expect(limiter.wait("10.0.0.2:5000", at: 1_000_000) == nil)
    #expect(limiter.wait(address, at: 6_999_999) == 1)
    #expect(limiter.wait(address, at: 7_000_000) == nil)
    limiter.fail(address, at: 7_000_000)
    #expect(limiter.wait(address, at: 7_000_000) == 7)
    #expect(limiter.wait(address, at: 67_000_000) == nil)
  }

  @Test("Of IPv6 an address is its first four groups, and the table is bounded")
  func sources() {
    var limiter = AttemptLimiter()
    for number in 0..<10 { limiter.fail("[2001:db8:1:2::\(number)]:1", at: 1) }
    #expect(limiter.count == 1)
    #expect(limiter.wait("[2001:db8:1:2:ffff::9]:7", at: 1) != nil)
    #expect(limiter.wait("[2001:db8:1:3::9]:7", at: 1) == nil)
    #expect(limiter.wait("[::1]:7", at: 1) == nil)
    for number in 0..<2 * Limits.authenticationAddresses {
      limiter.fail("10.0.\(number / 256).\(number % 256):1", at: 2)
      limiter.fail("192.0.2.1:1", at: 3)
    }
    #expect(limiter.count == Limits.authenticationAddresses)
    #expect(limiter.wait("192.0.2.1:9", at: 3) != nil)
  }
}
