import Access
import Commands
import Primitives
import RESP

/// A user to try rules on.
struct Subject {
  static let catalog = AccessCatalog(CommandTable())

  var access = AccessControl(Subject.catalog)

  init(_ rules: String = "") { _ = set(rules) }

  /// Applies rules that stand between spaces; returns the text of the refusal.
  mutating func set(_ rules: String, to name: String = "u") -> String? {
    let words = rules.split(separator: " ").map { String($0).bytes }
    guard let merged = try? mergeSelectors(words) else { return "unmatched" }
    do throws(AccessControl.Refusal) {
      try access.set(name.bytes, merged)
      return nil
    } catch {
      return "'\(error.rule.text)': \(error.reason.text)"
    }
  }

  /// The user as a line, without `user u`.
  var line: String { String(user.line(Subject.catalog).text.dropFirst("user u ".count)) }

  var user: User { access[access.place(of: "u".bytes) ?? 0] }

  func verdict(_ words: String) -> Verdict? {
    verdict(words.split(separator: " ").map { String($0).bytes })
  }

  func verdict(_ words: [[UInt8]]) -> Verdict? {
    var list = ArgumentList()
    list.fill(words)
    return withUnsafeMutablePointer(to: &list) { list in
      let call = CallWords(list)
      guard let number = Subject.catalog.number(calledBy: call) else { return nil }
      return user.verdict(on: number, call, Subject.catalog)
    }
  }
}
