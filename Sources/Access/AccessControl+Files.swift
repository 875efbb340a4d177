import Primitives

// ACL files, and the `user` lines of conf files: `user name rule…`, one a line. A file is taken
// whole or not at all, and all of its mistakes are told at once, in Redis's words.

extension AccessControl {
  /// These users in place of all there are. The default user is as at first if the file has none.
  /// Throws what is wrong with the file, every line of it.
  public func replaced(byFile bytes: [UInt8], named name: String) throws(FileErrors)
    -> AccessControl
  {
    var fresh = AccessControl(catalog)
    fresh.startsWithAllChannels = startsWithAllChannels
    var errors: [UInt8] = []
    var seen: Set<[UInt8]> = []
    let lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      let place = "\(name):\(index + 1)"
      fresh.take(line: line.map { $0 }, place, index + 1, &seen, &errors)
    }
    guard errors.isEmpty else { throw FileErrors(text: errors) }
    return fresh
  }

  /// Everything that is wrong with a file.
  public struct FileErrors: Error, Equatable, Sendable {
    public let text: [UInt8]
  }

  private mutating func take(
    line: [UInt8], _ place: String, _ number: Int, _ seen: inout Set<[UInt8]>,
    _ errors: inout [UInt8]
  ) {
    let words = trimmed(line).split(separator: 32, omittingEmptySubsequences: false).map(Array.init)
    guard words != [[]] else { return }
    guard words[0] == Array("user".utf8), words.count > 1 else {
      errors += Array(
        "\(place) should start with user keyword followed by the username. ".utf8)
      return
    }
    let name = words[1]
    guard isOneWord(name) else {
      errors += Array("'\(place): username '".utf8) + name
      errors += Array("' contains invalid characters. ".utf8)
      return
    }
    guard seen.insert(name).inserted else {
      errors += Array("WARNING: Duplicate user '".utf8) + name
      errors += Array("' found on line \(number). ".utf8)
      return
    }
    guard let rules = try? mergeSelectors(Array(words[2...])) else {
      errors += Array("\(place): Unmatched parenthesis in selector definition.".utf8)
      return
    }
    define(name, rules.map(trimmed), place, &errors)
  }

  /// A user from nothing. Of the mistakes that follow from each other only the first is told; those
  /// about commands, which hold no secret, all are.
  private mutating func define(
    _ name: [UInt8], _ rules: [[UInt8]], _ place: String, _ errors: inout [UInt8]
  ) {
    var user = User(name, catalog, startsWithAllChannels: startsWithAllChannels)
    var hasSyntaxError = false
    for rule in rules {
      do throws(RuleError) {
        try user.apply(rule, catalog)
      } catch {
        if error == .unknownCommandOrCategory {
          errors += Array("\(place): Error in applying operation '".utf8) + rule
          errors += Array("': \(error.text). ".utf8)
        } else if !hasSyntaxError {
          errors += Array("\(place): \(error.text). ".utf8)
          hasSyntaxError = true
        }
      }
    }
    replace(user)
  }

  private func trimmed(_ bytes: [UInt8]) -> [UInt8] {
    func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 13 || byte == 10 }
    let start = bytes.firstIndex { !isBlank($0) } ?? bytes.count
    let end = bytes.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? start
    return Array(bytes[start..<end])
  }

  /// A `user` line of a conf file, without the word `user`. Returns what is wrong with it.
  public mutating func define(_ words: [[UInt8]]) -> String? {
    guard let name = words.first, isOneWord(name) else {
      return "a username has no spaces"
    }
    // Only the default user is there already.
    guard place(of: name) == nil || name == AccessControl.defaultName else {
      return "Duplicate user found. A user can only be defined once in config files"
    }
    do throws(UnmatchedParenthesis) {
      let rules = try mergeSelectors(Array(words.dropFirst()))
      var user = User(name, catalog, startsWithAllChannels: startsWithAllChannels)
      if name == AccessControl.defaultName { user.reset(catalog) }
      for rule in rules {
        do throws(RuleError) {
          try user.apply(rule, catalog)
        } catch {
          return "'\(String(decoding: rule, as: UTF8.self))': \(error.text)"
        }
      }
      replace(user)
      return nil
    } catch {
      return "Unmatched parenthesis in selector definition"
    }
  }

  /// All users as an ACL file.
  public var fileText: [UInt8] { lines.flatMap { $0 + [10] } }
}
