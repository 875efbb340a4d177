import Primitives

// # Selectors
//
// A selector is a set of commands and the keys that they may touch. Every user has one, the root,
// and may have more, each written in parentheses; a call is allowed when a single one of them
// allows all of it.
//
// Rules change the set, and the set is all that is kept: neither Redis 7.0 nor this remembers the
// rules. What ACL LIST shows is found again from the set (`Selector+Description.swift`).

/// A set of commands and the keys that they may touch.
struct Selector: Equatable, Sendable {
  private(set) var commands: CommandSet
  /// Nothing was taken away since `+@all`.
  private(set) var allowsAllCommands = false
  /// By a command's number: first arguments that are allowed though the command is not, as in
  /// `+select|0`.
  private(set) var firstArguments: [Int: [[UInt8]]] = [:]
  private(set) var allowsAllKeys = false
  private(set) var patterns: [KeyPattern] = []
  private(set) var allowsAllChannels: Bool
  /// Kept and shown; Coterie has no channels yet.
  private(set) var channels: [[UInt8]] = []

  init(_ catalog: AccessCatalog, allowsAllChannels: Bool) {
    commands = CommandSet(count: catalog.entries.count)
    self.allowsAllChannels = allowsAllChannels
  }

  /// May do everything there is.
  var isUnlimited: Bool { allowsAllCommands && allowsAllKeys }

  // MARK: Rules

  mutating func apply(_ rule: [UInt8], _ catalog: AccessCatalog) throws(RuleError) {
    switch String(decoding: rule.map(lowercased), as: UTF8.self) {
    case "allkeys", "~*":
      allowsAllKeys = true
      patterns = []
    case "resetkeys":
      allowsAllKeys = false
      patterns = []
    case "allchannels", "&*":
      allowsAllChannels = true
      channels = []
    case "resetchannels":
      allowsAllChannels = false
      channels = []
    case "allcommands", "+@all": setAllCommands(true)
    case "nocommands", "-@all": setAllCommands(false)
    default: try applyWithOperand(rule, catalog)
    }
  }

  private mutating func applyWithOperand(
    _ rule: [UInt8], _ catalog: AccessCatalog
  ) throws(RuleError) {
    let operand = rule.dropFirst()
    switch rule.first {
    case UInt8(ascii: "~"): try addPattern(Array(operand), .all)
    case UInt8(ascii: "%"): try addPattern(withPermissions: Array(operand))
    case UInt8(ascii: "&"): try addChannel(Array(operand))
    case UInt8(ascii: "+") where operand.first == UInt8(ascii: "@"):
      try setCategory(Array(operand.dropFirst()), true, catalog)
    case UInt8(ascii: "-") where operand.first == UInt8(ascii: "@"):
      try setCategory(Array(operand.dropFirst()), false, catalog)
    case UInt8(ascii: "+"): try allow(Array(operand), catalog)
    case UInt8(ascii: "-"):
      guard let number = catalog.number(of: operand) else {
        throw .unknownCommandOrCategory
      }
      set(number, false, catalog)
    default: throw .syntax
    }
  }

  mutating func setAllCommands(_ isAllowed: Bool) {
    commands.setAll(isAllowed)
    allowsAllCommands = isAllowed
    firstArguments = [:]
  }

  /// A command, and with a container all of its subcommands.
  mutating func set(_ number: Int, _ isAllowed: Bool, _ catalog: AccessCatalog) {
    commands.set(number, isAllowed)
    firstArguments[number] = nil
    for subcommand in catalog.entries[number].subcommands { commands.set(subcommand, isAllowed) }
    if !isAllowed { allowsAllCommands = false }
  }

  private mutating func setCategory(
    _ name: [UInt8], _ isAllowed: Bool, _ catalog: AccessCatalog
  ) throws(RuleError) {
    guard let category = AccessCatalog.category(name) else { throw .unknownCommandOrCategory }
    set(category: category, isAllowed, catalog)
  }

  mutating func set(category: Int, _ isAllowed: Bool, _ catalog: AccessCatalog) {
    for (number, entry) in catalog.entries.enumerated()
    where entry.categories & 1 << UInt32(category) != 0 {
      set(number, isAllowed, catalog)
    }
  }

  /// `+get`, `+client|list`, `+select|0`.
  private mutating func allow(_ name: [UInt8], _ catalog: AccessCatalog) throws(RuleError) {
    guard let bar = name.lastIndex(of: UInt8(ascii: "|")) else {
      guard let number = catalog.number(of: name) else { throw .unknownCommandOrCategory }
      return set(number, true, catalog)
    }
    guard let number = catalog.number(of: name[..<bar]) else { throw .unknownCommandOrCategory }
    let entry = catalog.entries[number]
    let argument = Array(name[(bar + 1)...])
    guard entry.parent < 0 else { throw .firstArgumentOfSubcommand }
    guard !argument.isEmpty, isOneWord(argument) else { throw .syntax }
    guard entry.subcommands.isEmpty else {
      guard let subcommand = catalog.number(of: name) else { throw .unknownCommandOrCategory }
      return set(subcommand, true, catalog)
    }
    let isNew = !(firstArguments[number] ?? []).contains {
      $0.map(lowercased) == argument.map(lowercased)
    }
    if isNew { firstArguments[number, default: []].append(argument) }
  }

  private mutating func addPattern(withPermissions text: [UInt8]) throws(RuleError) {
    if allowsAllKeys { throw .patternAfterAllKeys }
    var permissions: KeyPermissions = []
    var at = 0
    while at < text.count {
      let letter = lowercased(text[at])
      at += 1
      if letter == UInt8(ascii: "~"), !permissions.isEmpty { break }
      if letter == UInt8(ascii: "r"), !permissions.contains(.read) {
        permissions.insert(.read)
      } else if letter == UInt8(ascii: "w"), !permissions.contains(.write) {
        permissions.insert(.write)
      } else {
        throw .syntax
      }
    }
    guard !permissions.isEmpty else { throw .syntax }
    try addPattern(Array(text[at...]), permissions)
  }

  private mutating func addPattern(
    _ glob: [UInt8], _ permissions: KeyPermissions
  ) throws(RuleError) {
    if allowsAllKeys { throw .patternAfterAllKeys }
    guard isOneWord(glob) else { throw .syntax }
    if let known = patterns.firstIndex(where: { $0.glob == glob }) {
      patterns[known].permissions.formUnion(permissions)
    } else {
      patterns.append(KeyPattern(glob: glob, permissions: permissions))
    }
  }

  private mutating func addChannel(_ glob: [UInt8]) throws(RuleError) {
    if allowsAllChannels { throw .channelAfterAllChannels }
    guard isOneWord(glob) else { throw .syntax }
    if !channels.contains(glob) { channels.append(glob) }
  }
}

/// Whether the bytes can be written as one word: no white space and no NUL.
public func isOneWord(_ bytes: some Sequence<UInt8>) -> Bool {
  bytes.allSatisfy { $0 != 0 && $0 != 32 && !(9...13).contains($0) }
}
