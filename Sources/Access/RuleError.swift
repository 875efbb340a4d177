/// Why a rule is not taken. The texts are Redis's, which tools match on.
public enum RuleError: Error, Equatable, Sendable {
  case syntax
  case unknownCommandOrCategory
  case patternAfterAllKeys
  case channelAfterAllChannels
  case noSuchPassword
  case badHash
  case firstArgumentOfSubcommand

  public var text: String {
    switch self {
    case .syntax: "Syntax error"
    case .unknownCommandOrCategory: "Unknown command or category name in ACL"
    case .patternAfterAllKeys:
      "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have "
        + "any effect. Try 'resetkeys' to start with an empty list of patterns"
    case .channelAfterAllChannels:
      "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not "
        + "have any effect. Try 'resetchannels' to start with an empty list of channels"
    case .noSuchPassword: "The password you are trying to remove from the user does not exist"
    case .badHash:
      "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
        + "characters"
    case .firstArgumentOfSubcommand: "Allowing first-arg of a subcommand is not supported"
    }
  }
}

/// A selector whose `(` is not followed by a `)`.
public struct UnmatchedParenthesis: Error, Equatable, Sendable {
  /// Which of the rules begins with the `(`.
  public let index: Int
}
