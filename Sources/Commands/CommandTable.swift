import Primitives

/// All commands this server knows, parsed from `CommandText`. Nothing else in the program lists
/// commands, their arity or their flags; COMMAND and its subcommands are printed from here.
///
/// - `CommandTable+Info.swift`: COMMAND, COMMAND INFO, COMMAND COUNT
/// - `CommandTable+Docs.swift`: COMMAND DOCS
/// - `CommandTable+List.swift`: COMMAND LIST
/// - `CommandTable+Keys.swift`: COMMAND GETKEYS and GETKEYSANDFLAGS
public struct CommandTable: Sendable {
  /// The commands, without subcommands, in the order of the text; an index here never changes.
  public let commands: [CommandSpec]

  private let indices: [String: Int]

  /// Parses the text. A mistake in it stops the program, and says in which line it is.
  public init() {
    var parser = CommandTextParser()
    for text in CommandText.all { parser.parse(text) }
    commands = parser.commands
    indices = Dictionary(uniqueKeysWithValues: zip(commands.map(\.name), commands.indices))
  }

  /// The index in `commands` of a top-level command whose name is given in lower case.
  public func index(ofLowercased name: String) -> Int? { indices[name] }

  /// The command of this name, in any case; "client|list" names a subcommand.
  public func command(named name: String) -> CommandSpec? {
    let parts = name.utf8.split(
      separator: UInt8(ascii: "|"), maxSplits: 1, omittingEmptySubsequences: false)
    guard let index = indices[lowercasedASCII(Substring(parts[0]))] else { return nil }
    return parts.count == 1
      ? commands[index] : commands[index].subcommand(named: String(Substring(parts[1])))
  }
}

/// `text` with A–Z in lower case and all else as it was: a name that is not ASCII matches nothing,
/// where Unicode's rules would take the Kelvin sign for a k.
func lowercasedASCII(_ text: some StringProtocol) -> String {
  String(decoding: text.utf8.map(lowercased), as: UTF8.self)
}

func lowercasedASCII(_ word: [UInt8]) -> String {
  String(decoding: word.map(lowercased), as: UTF8.self)
}
