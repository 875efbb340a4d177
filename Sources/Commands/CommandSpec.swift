/// What the table knows of one command or subcommand. The words are Redis's, as COMMAND and
/// COMMAND DOCS print them.
package struct CommandSpec: Sendable {
  /// In lower case; a subcommand is named with its container: "client|list".
  package let name: String

  /// How many words a call has, its name (and a subcommand's) included; at least so many if < 0.
  package let arity: Int

  /// As COMMAND prints them: "write", "denyoom", …
  package let flags: [String]

  /// Position of the first key, the command's name being 0; 0 when it has no keys.
  package let firstKey: Int

  /// Position of the last key; counted from the end when negative, -1 being the last argument.
  package let lastKey: Int

  /// Distance from one key to the next: 2 in MSET; 0 when there are no keys.
  package let keyStep: Int

  /// ACL categories, without their "@".
  package let categories: [String]

  /// Hints to clients: "request_policy:multi_shard", …
  package let tips: [String]

  /// How the keys are found and used; one entry when there are keys, none otherwise.
  package let keySpecs: [KeySpec]

  /// Those of a container such as CLIENT, in the order of the text.
  package let subcommands: [CommandSpec]

  /// "string", "generic", "connection", "server" or "cluster".
  package let group: String

  /// The version of Redis (for a command of our own: of Coterie) that first had it.
  package let since: String

  package let complexity: String
  package let summary: String

  /// The version that deprecated the command, if one did.
  package let deprecatedSince: String?

  /// What to use instead of a deprecated command.
  package let replacedBy: String?

  /// What may follow the name, in order.
  package let arguments: [ArgumentSpec]

  /// Flag "write": may change keys.
  package let isWrite: Bool

  /// Flag "readonly": reads keys and changes none.
  package let isReadOnly: Bool

  /// Flag "denyoom": refused while memory is above its limit.
  package let isDeniedWhenOutOfMemory: Bool

  /// Flag "no_auth": allowed before the client has authenticated.
  package let isAllowedUnauthenticated: Bool

  /// Flag "loading": allowed while the data set is being loaded.
  package let isAllowedWhileLoading: Bool

  /// Flag "no_multi": not allowed inside a transaction.
  package let isDeniedInTransactions: Bool
}

extension CommandSpec {
  /// Whether it can only be called through its subcommands.
  package var isContainer: Bool { !subcommands.isEmpty }

  package var hasKeys: Bool { !keySpecs.isEmpty }

  /// Flags of COMMAND DOCS.
  package var docFlags: [String] { deprecatedSince == nil ? [] : ["deprecated"] }

  /// Whether a call of so many words, the name included, has neither too few nor too many.
  package func accepts(wordCount: Int) -> Bool {
    arity < 0 ? wordCount >= -arity : wordCount == arity
  }

  /// The subcommand of this name ("list", in any case).
  package func subcommand(named word: String) -> CommandSpec? {
    let full = "\(name)|\(lowercasedASCII(word))"
    return subcommands.first { $0.name == full }
  }
}

/// A rule that finds keys among the words of a call, and says what the command does with them.
package struct KeySpec: Sendable {
  /// "RO", "RW", "OW" or "RM", then "access", "insert", "update", "delete", "variable_flags".
  package let flags: [String]

  /// A remark for the reader.
  package let notes: String?

  /// Position of the first key, the command's name being 0.
  package let begin: Int

  /// Position of the last key, relative to the first; from the end of the call when negative.
  package let last: Int

  /// Distance from one key to the next.
  package let step: Int

  /// The positions of the keys in a call of so many words, the name included.
  package func positions(wordCount: Int) -> StrideThrough<Int> {
    let end = last < 0 ? wordCount + last : min(begin + last, wordCount - 1)
    return stride(from: begin, through: end, by: step)
  }
}

/// An argument as COMMAND DOCS describes it.
package struct ArgumentSpec: Sendable {
  package let name: String

  /// "key", "string", "integer", "double", "pattern", "unix-time", "pure-token", or with parts:
  /// "oneof" and "block".
  package let type: String

  /// Which of the command's key specs finds it, when it is a key.
  package let keySpecIndex: Int?

  /// The literal word before the value; for a pure token, the whole argument.
  package let token: String?

  package let since: String?
  package let deprecatedSince: String?

  /// "optional", "multiple", "multiple_token".
  package let flags: [String]

  /// The alternatives of a oneof, the parts of a block.
  package let arguments: [ArgumentSpec]
}
