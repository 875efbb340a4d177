/// Reads the format that `CommandText` describes. The text is ours, so a mistake in it is a
/// programmer's: it stops the program at start-up, naming the line.
struct CommandTextParser {
  private(set) var commands: [CommandSpec] = []

  private var lines: [Line] = []
  private var position = 0
  private var names: Set<String> = []

  /// Appends the commands of one text.
  mutating func parse(_ text: String) {
    lines = Line.split(text)
    position = 0
    while position < lines.count { commands.append(parseCommand(of: nil)) }
  }

  /// One block, and when it is a container's, those of its subcommands.
  private mutating func parseCommand(of container: String?) -> CommandSpec {
    let header = takeLine()
    let words = header.words()
    header.check(header.depth == 0 && words.count == 7, "a command has seven words")
    let name = String(words[0])
    header.check(names.insert(name).inserted, "a command is described once")
    header.check(container != nil || !name.utf8.contains(Self.bar), "its container comes first")
    let (first, last) = (header.integer(words[3]), header.integer(words[4]))
    let step = header.integer(words[5])
    let attributes = parseAttributes(first: first, last: last, step: step)
    header.check(!attributes.group.isEmpty && !attributes.summary.isEmpty, "needs docs and help")
    header.check((first > 0) == !attributes.keySpecs.isEmpty, "keys iff there is a first key")
    let arguments = parseArguments(depth: 1)
    let flags = header.list(words[2])
    return CommandSpec(
      name: name, arity: header.integer(words[1]), flags: flags,
      firstKey: first, lastKey: last, keyStep: step,
      categories: header.list(words[6]), tips: attributes.tips, keySpecs: attributes.keySpecs,
      subcommands: container == nil ? parseSubcommands(of: name) : [],
      group: attributes.group, since: attributes.since, complexity: attributes.complexity,
      summary: attributes.summary, deprecatedSince: attributes.deprecatedSince,
      replacedBy: attributes.replacedBy, arguments: arguments,
      isWrite: flags.contains("write"), isReadOnly: flags.contains("readonly"),
      isDeniedWhenOutOfMemory: flags.contains("denyoom"),
      isAllowedUnauthenticated: flags.contains("no_auth"),
      isAllowedWhileLoading: flags.contains("loading"),
      isDeniedInTransactions: flags.contains("no_multi"))
  }

  private mutating func parseSubcommands(of container: String) -> [CommandSpec] {
    let prefix = container + "|"
    var subcommands: [CommandSpec] = []
    while position < lines.count, lines[position].text.utf8.starts(with: prefix.utf8) {
      subcommands.append(parseCommand(of: container))
    }
    return subcommands
  }

  private mutating func parseAttributes(first: Int, last: Int, step: Int) -> Attributes {
    var attributes = Attributes()
    while let line = takeLine(depth: 1, argument: false) {
      let (keyword, rest) = line.cut(line.text)
      switch keyword {
      case "keys":
        let (flags, notes) = line.cut(rest)
        attributes.keySpecs.append(
          KeySpec(
            flags: line.list(flags), notes: notes.isEmpty ? nil : String(notes), begin: first,
            last: last < 0 ? last : last - first, step: step))
      case "tips":
        attributes.tips = line.words(of: rest).map(String.init)
      case "docs":
        let (group, more) = line.cut(rest)
        let (since, complexity) = line.cut(more)
        line.check(!complexity.isEmpty, "docs are a group, a version and a complexity")
        (attributes.group, attributes.since) = (String(group), String(since))
        attributes.complexity = String(complexity)
      case "help":
        attributes.summary = String(rest)
      case "deprecated":
        let (since, replacement) = line.cut(rest)
        line.check(!replacement.isEmpty, "deprecated since when, and what to use instead")
        (attributes.deprecatedSince, attributes.replacedBy) = (String(since), String(replacement))
      default:
        line.fail("unknown attribute")
      }
    }
    return attributes
  }

  private mutating func parseArguments(depth: Int) -> [ArgumentSpec] {
    var arguments: [ArgumentSpec] = []
    while let line = takeLine(depth: depth, argument: true) {
      let words = line.words()
      line.check(words.count >= 3, "an argument has a name and a type")
      var pairs: [Substring: String] = [:]
      var flags: [String] = []
      for word in words[3...] {
        let parts = word.utf8.split(separator: UInt8(ascii: "="), maxSplits: 1)
        if parts.count == 2 {
          pairs[Substring(parts[0])] = String(Substring(parts[1]))
        } else {
          flags.append(String(word))
        }
      }
      let argument = ArgumentSpec(
        name: String(words[1]), type: String(words[2]),
        keySpecIndex: pairs.removeValue(forKey: "key").map { line.integer(Substring($0)) },
        token: pairs.removeValue(forKey: "token"), since: pairs.removeValue(forKey: "since"),
        deprecatedSince: pairs.removeValue(forKey: "deprecated"), flags: flags,
        arguments: parseArguments(depth: depth + 1))
      line.check(pairs.isEmpty, "unknown attribute of an argument")
      arguments.append(argument)
    }
    return arguments
  }

  private mutating func takeLine() -> Line {
    defer { position += 1 }
    return lines[position]
  }

  /// The next line, if it is so deep and an argument or not, as asked.
  private mutating func takeLine(depth: Int, argument: Bool) -> Line? {
    guard position < lines.count else { return nil }
    let line = lines[position]
    guard line.depth == depth, line.isArgument == argument else { return nil }
    position += 1
    return line
  }

  private static let bar = UInt8(ascii: "|")
}

/// What the attribute lines of a block say.
private struct Attributes {
  var keySpecs: [KeySpec] = []
  var tips: [String] = []
  var group = ""
  var since = ""
  var complexity = ""
  var summary = ""
  var deprecatedSince: String?
  var replacedBy: String?
}

/// A line without its indentation. It is split on UTF-8, which need not look for the boundaries of
/// characters.
private struct Line {
  let number: Int
  let depth: Int
  let text: Substring

  static func split(_ text: String) -> [Line] {
    var lines: [Line] = []
    for (number, line) in text.utf8.split(separator: UInt8(ascii: "\n")).enumerated() {
      let content = line.drop { $0 == space }
      lines.append(
        Line(
          number: number + 1, depth: (line.count - content.count) / 2, text: Substring(content)))
    }
    return lines
  }

  var isArgument: Bool { text.utf8.first == UInt8(ascii: "-") }

  func words() -> [Substring] { words(of: text) }

  func words(of text: Substring) -> [Substring] {
    text.utf8.split(separator: Self.space).map { Substring($0) }
  }

  /// The first word, and what follows it.
  func cut(_ text: Substring) -> (Substring, Substring) {
    let word = text.utf8.prefix { $0 != Self.space }
    return (Substring(word), Substring(text.utf8.dropFirst(word.count + 1)))
  }

  func list(_ word: Substring) -> [String] {
    guard word != "-" else { return [] }
    return word.utf8.split(separator: UInt8(ascii: ",")).map { String(Substring($0)) }
  }

  func integer(_ word: Substring) -> Int {
    guard let value = Int(word) else { fail("\(word) is no integer") }
    return value
  }

  func check(_ condition: Bool, _ rule: @autoclosure () -> String) {
    if !condition { fail(rule()) }
  }

  func fail(_ rule: String) -> Never {
    fatalError("command text, line \(number): \(text): \(rule)")
  }

  private static let space = UInt8(ascii: " ")
}
