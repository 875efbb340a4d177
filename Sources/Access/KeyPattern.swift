import Primitives

/// What a command does with a key, or what a pattern lets it do.
struct KeyPermissions: OptionSet, Sendable {
  let rawValue: UInt8

  static let read = KeyPermissions(rawValue: 1 << 0)
  static let write = KeyPermissions(rawValue: 1 << 1)
  static let all: KeyPermissions = [.read, .write]

  init(rawValue: UInt8) { self.rawValue = rawValue }

  /// What a key spec's flags need. EXISTS and its like tell nothing of a value and have neither
  /// "access" nor a kind of change: any pattern will do, as in Redis.
  init(flags: [String]) {
    self = []
    if flags.contains("access") { insert(.read) }
    if !Set(flags).isDisjoint(with: ["insert", "delete", "update"]) { insert(.write) }
  }
}

/// `~cart:*`, `%R~cart:*`: keys that a user may touch, and how.
struct KeyPattern: Equatable, Sendable {
  let glob: [UInt8]
  var permissions: KeyPermissions

  func allows(_ key: UnsafeRawBufferPointer, _ needed: KeyPermissions) -> Bool {
    guard permissions.isSuperset(of: needed) else { return false }
    return glob.withUnsafeBytes { globMatch(pattern: $0, key, ignoringCase: false) }
  }

  /// As a rule.
  var text: [UInt8] {
    switch permissions {
    case .read: Array("%R~".utf8) + glob
    case .write: Array("%W~".utf8) + glob
    default: Array("~".utf8) + glob
    }
  }
}
