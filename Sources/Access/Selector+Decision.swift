import Primitives

/// What access control says to a call. Later cases outrank earlier ones when all selectors refuse.
public enum Verdict: Equatable, Sendable {
  case allowed
  case deniedCommand
  /// The place of the key among the words of the call.
  case deniedKey(Int)
}

extension Selector {
  /// Whether this selector allows all of a call.
  func verdict(on number: Int, _ words: CallWords, _ catalog: AccessCatalog) -> Verdict {
    let entry = catalog.entries[number]
    if !allowsAllCommands, !entry.isForAnybody, !commands.contains(number),
      !allowsFirstArgument(number, words)
    {
      return .deniedCommand
    }
    guard !allowsAllKeys, let keys = entry.keys else { return .allowed }
    let needed = keys.permissions(of: words)
    for place in keys.spec.positions(wordCount: words.count)
    where !patterns.contains(where: { $0.allows(words[place], needed) }) {
      return .deniedKey(place)
    }
    return .allowed
  }

  private func allowsFirstArgument(_ number: Int, _ words: CallWords) -> Bool {
    guard words.count > 1, let allowed = firstArguments[number] else { return false }
    return allowed.contains { $0.map(lowercased) == words[1].map(lowercased) }
  }
}

extension AccessCatalog.KeyRule {
  /// What this call needs. SET reads when GET is among its options, and else it only writes.
  fileprivate func permissions(of words: CallWords) -> KeyPermissions {
    guard readsWithGet else { return permissions }
    let reads = (3..<max(3, words.count)).contains { words[$0].isWord("get") }
    return reads ? permissions : permissions.subtracting(.read)
  }
}
