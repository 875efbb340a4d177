import Commands
import Primitives

/// The commands as access control sees them: a number for each command and subcommand, and what a
/// decision needs to know of it without a String. Made from the command table, so that a command
/// that is added there is under control by that.
///
/// Numbers follow the table's order, each container's subcommands directly behind it; they are
/// those of one process and are never written anywhere.
public final class AccessCatalog: Sendable {
  /// One command or subcommand.
  public struct Entry: Sendable {
    /// "get", "client|list".
    public let name: String
    let nameBytes: [UInt8]
    /// Which categories it is in, a bit each.
    let categories: UInt32
    /// The container's number; -1 for a command.
    let parent: Int
    /// The numbers of its subcommands; empty for most.
    let subcommands: Range<Int>
    /// Flag "no_auth": anybody may, at any time.
    public let isForAnybody: Bool
    let arity: Int
    let keys: KeyRule?

    /// Whether a call of so many words, the name included, has neither too few nor too many.
    public func accepts(_ words: Int) -> Bool { arity < 0 ? words >= -arity : words == arity }
  }

  /// Where a command's keys are, and what it does with them.
  struct KeyRule: Sendable {
    let spec: KeySpec
    let permissions: KeyPermissions
    /// SET alone: it reads the key if GET is among its options.
    let readsWithGet: Bool
  }

  /// Redis's categories in Redis's order, whether Coterie has commands in them yet or not.
  public static let categories = [
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap",
    "hyperloglog", "geo", "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous",
    "connection", "transaction", "scripting",
  ]

  public let entries: [Entry]
  /// By index in the command table: the command's number.
  public let numbers: [Int]

  private let found: [[UInt8]: Int]

  public init(_ table: CommandTable) {
    var entries: [Entry] = []
    var numbers: [Int] = []
    for command in table.commands {
      let number = entries.count
      let subcommands = number + 1..<number + 1 + command.subcommands.count
      numbers.append(number)
      entries.append(Entry(command, parent: -1, subcommands: subcommands))
      for subcommand in command.subcommands {
        entries.append(Entry(subcommand, parent: number, subcommands: 0..<0))
      }
    }
    self.entries = entries
    self.numbers = numbers
    found = Dictionary(uniqueKeysWithValues: zip(entries.map(\.nameBytes), entries.indices))
  }

  /// The number of "get" or "client|list", in any case.
  public func number(of name: some Sequence<UInt8>) -> Int? { found[name.map(lowercased)] }

  /// The number of the category, in any case.
  static func category(_ name: some Sequence<UInt8>) -> Int? {
    let name = name.map(lowercased)
    return categories.firstIndex { Array($0.utf8) == name }
  }

  /// The subcommand that the second word of a call names; nil when the container has none such.
  public func subcommand(of container: Int, _ word: UnsafeRawBufferPointer) -> Int? {
    let prefix = entries[container].nameBytes.count + 1
    return entries[container].subcommands.first { number in
      let name = entries[number].nameBytes
      guard name.count == prefix + word.count else { return false }
      return word.indices.allSatisfy { lowercased(word[$0]) == name[prefix + $0] }
    }
  }

  /// The place of a subcommand among those of the container with this index in the command table.
  public func subcommandPlace(of command: Int, _ word: UnsafeRawBufferPointer) -> Int? {
    let container = numbers[command]
    return subcommand(of: container, word).map { $0 - entries[container].subcommands.lowerBound }
  }

  /// What the words call: a command, or a container's subcommand; nil when there is no such one.
  public func number(calledBy words: CallWords) -> Int? {
    guard let number = number(of: words[0]), entries[number].parent < 0 else { return nil }
    guard !entries[number].subcommands.isEmpty, words.count > 1 else { return number }
    return subcommand(of: number, words[1])
  }

  /// ACL CAT: the names of the commands in a category; nil when there is no such category.
  public func commands(inCategory name: [UInt8]) -> [String]? {
    guard let category = AccessCatalog.category(name) else { return nil }
    return entries.filter { $0.categories & 1 << UInt32(category) != 0 }.map(\.name)
  }
}

extension AccessCatalog.Entry {
  fileprivate init(_ spec: CommandSpec, parent: Int, subcommands: Range<Int>) {
    name = spec.name
    nameBytes = Array(spec.name.utf8)
    categories = spec.categories.reduce(0) { bits, name in
      guard let category = AccessCatalog.categories.firstIndex(of: name) else {
        fatalError("the command table puts \(spec.name) in \(name), which is no category")
      }
      return bits | 1 << UInt32(category)
    }
    self.parent = parent
    self.subcommands = subcommands
    isForAnybody = spec.isAllowedUnauthenticated
    arity = spec.arity
    keys = spec.keySpecs.first.map { keySpec in
      AccessCatalog.KeyRule(
        spec: keySpec, permissions: KeyPermissions(flags: keySpec.flags),
        readsWithGet: keySpec.flags.contains("variable_flags"))
    }
  }
}
