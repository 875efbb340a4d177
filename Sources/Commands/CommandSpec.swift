/// What the table knows of one command or subcommand. The words are Redis's, as COMMAND and
/// COMMAND DOCS print them.
public struct CommandSpec: Sendable {
  /// In lower case; a subcommand is named with its container: "client|list".
  public let name: String

  /// How many words a call has, its name (and a subcommand's) included; at least so many if < 0.
  public let arity: Int

  /// As COMMAND prints them: "write", "denyoom", …
  public let flags: [String]

  /// Position of the first key, the command's name being 0; 0 when it has no keys.
  public let firstKey: Int

  /// Position of the last key; counted from the end when negative, -1 being the last argument.
  public let lastKey: Int

  /// Distance from one key to the next: 2 in MSET; 0 when there are no keys.
  public let keyStep: Int

  /// ACL categories, without their "@".
  public let categories: [String]

  /// Hints to clients: "request_policy:multi_shard", …
  public let tips: [String]

  /// How the keys are found and used; one entry when there are keys, none otherwise.
  public let keySpecs: [KeySpec]

  /// Those of a container such as CLIENT, in the order of the text.
  public let subcommands: [CommandSpec]

  /// "string", "generic", "connection", "server" or "cluster".
  public let group: String

  /// The version of Redis (for a command of our own: of Coterie) that first had it.
  public let since: String

  public let complexity: String
  public let summary: String

  /// The version that deprecated the command, if one did.
  public let deprecatedSince: String?

  /// What to use instead of a deprecated command.
  public let replacedBy: String?

  /// What may follow the name, in order.
  public let arguments: [ArgumentSpec]

  /// Flag "write": may change keys.
  public let isWrite: Bool

  /// Flag "readonly": reads keys and changes none.
  public let isReadOnly: Bool

  /// Flag "denyoom": refused while memory is above its limit.
  public let isDeniedWhenOutOfMemory: Bool

  /// Flag "no_auth": allowed before the client has authenticated.
  public let isAllowedUnauthenticated: Bool

  /// Flag "loading": allowed while the data set is being loaded.
  public let isAllowedWhileLoading: Bool

  /// Flag "no_multi": not allowed inside a transaction.
  public let isDeniedInTransactions: Bool
}

extension CommandSpec {
  /// Whether it can only be called through its subcommands.
  public var isContainer: Bool { !subcommands.isEmpty }

  public var hasKeys: Bool { !keySpecs.isEmpty }

  /// Flags of COMMAND DOCS.
  public var docFlags: [String] { deprecatedSince == nil ? [] : ["deprecated"] }

  /// Whether a call of so many words, the name included, has neither too few nor too many.
  public func accepts(wordCount: Int) -> Bool {
    arity < 0 ? wordCount >= -arity : wordCount == arity
  }

  /// The subcommand of this name ("list", in any case).
  public func subcommand(named word: String) -> CommandSpec? {
    let full = "\(name)|\(lowercasedASCII(word))"
    return subcommands.first { $0.name == full }
  }
}

/// A rule that finds keys among the words of a call, and says what the command does with them.
public struct KeySpec: Sendable {
  /// "RO", "RW", "OW" or "RM", then "access", "insert", "update", "delete", "variable_flags".
  public let flags: [String]

  /// A remark for the reader.
  public let notes: String?

  /// Position of the first key, the command's name being 0.
  public let begin: Int

  /// Position of the last key, relative to the first; from the end of the call when negative.
  public let last: Int

  /// Distance from one key to the next.
  public let step: Int

  /// The positions of the keys in a call of so many words, the name included.
  public func positions(wordCount: Int) -> StrideThrough<Int> {
    let end = last < 0 ? wordCount + last : min(begin + last, wordCount - 1)
    return stride(from: begin, through: end, by: step)
  }
}

/// An argument as COMMAND DOCS describes it.
public struct ArgumentSpec: Sendable {
  public let name: String

  /// "key", "string", "integer", "double", "pattern", "unix-time", "pure-token", or with parts:
  /// "oneof" and "block".
  public let type: String

  /// Which of the command's key specs finds it, when it is a key.
  public let keySpecIndex: Int?

  /// The literal word before the value; for a pure token, the whole argument.
  public let token: String?

  public let since: String?
  public let deprecatedSince: String?

  /// "optional", "multiple", "multiple_token".
  public let flags: [String]

  /// The alternatives of a oneof, the parts of a block.
  public let arguments: [ArgumentSpec]
}
