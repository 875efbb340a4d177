/// A set of commands and subcommands by their numbers in the catalog, and whether commands that do
/// not exist yet are in it, too.
struct CommandSet: Equatable, Sendable {
  private var words: [UInt64]
  /// What `+@all` gave and only `-@all` takes: a list of what is allowed says `+@all` then.
  private(set) var hasFuture = false

  init(count: Int) { words = Array(repeating: 0, count: (count + 63) >> 6) }

  @inline(__always) func contains(_ number: Int) -> Bool {
    words[number >> 6] & 1 << UInt64(number & 63) != 0
  }

  mutating func set(_ number: Int, _ isIn: Bool) {
    if isIn {
      words[number >> 6] |= 1 << UInt64(number & 63)
    } else {
      words[number >> 6] &= ~(1 << UInt64(number & 63))
    }
  }

  mutating func setAll(_ isIn: Bool) {
    hasFuture = isIn
    for index in words.indices { words[index] = isIn ? .max : 0 }
  }
}
