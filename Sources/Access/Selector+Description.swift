// # From a set back to rules
//
// Redis 7.0 keeps bits and no rules, so a list of rules that makes these bits has to be found. From
// `+@all` or `-@all`, whichever allows or refuses the commands to come, it takes the category that
// fits best, that is with the fewest commands too many, as long as one fits more than half; then
// single commands mend what is left. The same choices are made here, so that the same rules are
// shown in the same way: tools compare them.
//
// Single commands come in the order of the command table. In Redis their order is that of a hash
// table with a random seed.

extension Selector {
  /// `~key* resetchannels -@all +get`, as in ACL LIST and in files.
  func description(_ catalog: AccessCatalog) -> [UInt8] {
    var words = allowsAllKeys ? [Array("~*".utf8)] : patterns.map(\.text)
    if allowsAllChannels {
      words.append(Array("&*".utf8))
    } else {
      words.append(Array("resetchannels".utf8))
      words += channels.map { [UInt8(ascii: "&")] + $0 }
    }
    words.append(commandRules(catalog))
    return joined(words)
  }

  /// ACL GETUSER's "keys".
  var keyRules: [UInt8] {
    allowsAllKeys ? Array("~*".utf8) : joined(patterns.map(\.text))
  }

  /// ACL GETUSER's "channels".
  var channelRules: [UInt8] {
    allowsAllChannels ? Array("&*".utf8) : joined(channels.map { [UInt8(ascii: "&")] + $0 })
  }

  /// Rules that make this set of commands.
  func commandRules(_ catalog: AccessCatalog) -> [UInt8] {
    let isAdding = !commands.hasFuture
    var rules = [Array((isAdding ? "-@all" : "+@all").utf8)]
    // What the rules so far make.
    var made = Selector(catalog, allowsAllChannels: false)
    if !isAdding { made.setAllCommands(true) }
    // What is left to be said: a category that was taken counts no more.
    var left = self
    var isTaken = Array(repeating: false, count: AccessCatalog.categories.count)
    while let best = left.bestCategory(isAdding, isTaken, catalog) {
      isTaken[best] = true
      made.set(category: best, isAdding, catalog)
      left.set(category: best, !isAdding, catalog)
      rules.append(Array("\(isAdding ? "+" : "-")@\(AccessCatalog.categories[best])".utf8))
    }
    for (number, entry) in catalog.entries.enumerated() {
      let isAllowed = commands.contains(number)
      if isAllowed != made.commands.contains(number) {
        made.set(number, isAllowed, catalog)
        rules.append(Array("\(isAllowed ? "+" : "-")\(entry.name)".utf8))
      }
      guard !isAllowed, let arguments = firstArguments[number] else { continue }
      rules += arguments.map { Array("+\(entry.name)|".utf8) + $0 }
    }
    return joined(rules)
  }

  /// The category with the fewest commands that do not fit, among those that fit more often than
  /// not; of two such ones that in which more do.
  private func bestCategory(
    _ isAdding: Bool, _ isTaken: [Bool], _ catalog: AccessCatalog
  ) -> Int? {
    var best: Int?
    var fewest = Int.max
    var most = 0
    for category in AccessCatalog.categories.indices where !isTaken[category] {
      var allowed = 0
      var refused = 0
      for (number, entry) in catalog.entries.enumerated()
      where entry.categories & 1 << UInt32(category) != 0 {
        if commands.contains(number) { allowed += 1 } else { refused += 1 }
      }
      let (same, different) = isAdding ? (allowed, refused) : (refused, allowed)
      guard same > different, different < fewest || (different == fewest && same > most) else {
        continue
      }
      (best, fewest, most) = (category, different, same)
    }
    return best
  }
}

func joined(_ words: [[UInt8]]) -> [UInt8] { Array(words.joined(separator: [32])) }
