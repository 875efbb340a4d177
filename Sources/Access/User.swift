import Primitives
import RESP

/// Whether a DUMP payload of the user's is looked at closely: kept and shown for Redis's sake.
enum PayloadRule: Sendable {
  case unsaid
  case sanitize
  case skip
}

/// A user: who may log in how, and do what. The rules are those of Redis 7.0.
public struct User: Equatable, Sendable {
  public let name: [UInt8]
  public private(set) var isOn = false
  /// Any password will do, and none is needed to begin with if it is the default user.
  public private(set) var needsNoPassword = false
  private var payloads = PayloadRule.unsaid
  private(set) var passwords: [PasswordHash] = []
  private(set) var root: Selector
  private(set) var selectors: [Selector] = []
  /// What a new selector lets the user do with channels: `acl-pubsub-default`.
  var startsWithAllChannels: Bool

  /// A user that may do nothing, as ACL SETUSER makes one.
  public init(_ name: [UInt8], _ catalog: AccessCatalog, startsWithAllChannels: Bool = false) {
    self.name = name
    self.startsWithAllChannels = startsWithAllChannels
    root = Selector(catalog, allowsAllChannels: startsWithAllChannels)
  }

  /// The default user as long as nothing is configured: on, without a password, may do everything.
  public static func initialDefault(_ catalog: AccessCatalog) -> User {
    var user = User(AccessControl.defaultName, catalog)
    for rule in ["on", "nopass", "~*", "&*", "+@all"] { user.applyKnown(rule, catalog) }
    return user
  }

  /// Everything, always: the node need not ask.
  public var isUnlimited: Bool { root.isUnlimited || selectors.contains(where: \.isUnlimited) }

  // MARK: Rules

  /// Takes one rule, a selector in its parentheses included. After an error the user is half
  /// changed: rules are tried on a copy.
  public mutating func apply(_ rule: [UInt8], _ catalog: AccessCatalog) throws(RuleError) {
    guard let first = rule.first else { return }
    switch String(decoding: rule.map(lowercased), as: UTF8.self) {
    case "on": isOn = true
    case "off": isOn = false
    case "nopass":
      needsNoPassword = true
      passwords = []
    case "resetpass":
      needsNoPassword = false
      passwords = []
    case "skip-sanitize-payload": payloads = .skip
    case "sanitize-payload": payloads = .sanitize
    case "clearselectors": selectors = []
    case "reset": reset(catalog)
    default:
      switch first {
      case UInt8(ascii: ">"), UInt8(ascii: "#"): try addPassword(rule)
      case UInt8(ascii: "<"), UInt8(ascii: "!"): try removePassword(rule)
      case UInt8(ascii: "(") where rule.last == UInt8(ascii: ")"): try addSelector(rule, catalog)
      default: try root.apply(rule, catalog)
      }
    }
  }

  /// A rule of the program's own.
  private mutating func applyKnown(_ rule: String, _ catalog: AccessCatalog) {
    do { try apply(Array(rule.utf8), catalog) } catch { fatalError("\(rule): \(error)") }
  }

  mutating func reset(_ catalog: AccessCatalog) {
    self = User(name, catalog, startsWithAllChannels: startsWithAllChannels)
    payloads = .sanitize
  }

  private func hash(_ rule: [UInt8], plain: UInt8) throws(RuleError) -> PasswordHash {
    if rule[0] == plain { return PasswordHash(of: rule.dropFirst()) }
    guard let hash = PasswordHash(hex: rule.dropFirst()) else { throw .badHash }
    return hash
  }

  private mutating func addPassword(_ rule: [UInt8]) throws(RuleError) {
    let fresh = try hash(rule, plain: UInt8(ascii: ">"))
    if !passwords.contains(fresh) { passwords.append(fresh) }
    needsNoPassword = false
  }

  private mutating func removePassword(_ rule: [UInt8]) throws(RuleError) {
    let gone = try hash(rule, plain: UInt8(ascii: "<"))
    guard let index = passwords.firstIndex(of: gone) else { throw .noSuchPassword }
    passwords.remove(at: index)
  }

  private mutating func addSelector(
    _ rule: [UInt8], _ catalog: AccessCatalog
  ) throws(RuleError) {
    var selector = Selector(catalog, allowsAllChannels: startsWithAllChannels)
    for word in wordsOfSelector(rule) {
      // Shown in parentheses again it would be read as something else. Redis takes it, and what it
      // saves then is no ACL file.
      if word.last == UInt8(ascii: ")") || word.contains(where: { $0 == 34 || $0 == 39 }) {
        throw .syntax
      }
      try selector.apply(word, catalog)
    }
    selectors.append(selector)
  }

  /// What stands in the parentheses, with quotes as in redis-cli; nothing when one is open, which
  /// Redis takes for an empty selector.
  private func wordsOfSelector(_ rule: [UInt8]) -> [[UInt8]] {
    var list = ArgumentList()
    let inside = Array(rule[1..<max(1, rule.count - 1)])
    return inside.withUnsafeBytes { bytes in
      guard !bytes.isEmpty, list.splitInline(bytes) else { return [] }
      return (0..<list.count).map { Array(list[$0]) }
    }
  }

  /// `requirepass`: the one password of the default user; empty for none.
  public mutating func setOnlyPassword(_ password: [UInt8]) {
    passwords = password.isEmpty ? [] : [PasswordHash(of: password)]
    needsNoPassword = password.isEmpty
  }

  // MARK: Decisions

  /// Whether the user may log in with this password. Every hash is compared, so that the time says
  /// nothing of which of them it was.
  public func accepts(_ password: PasswordHash) -> Bool {
    var isKnown = false
    for known in passwords where known == password { isKnown = true }
    return isOn && (needsNoPassword || isKnown)
  }

  /// What the user may do with a call of this command.
  public func verdict(
    on number: Int, _ words: CallWords, _ catalog: AccessCatalog
  ) -> Verdict {
    var worst = root.verdict(on: number, words, catalog)
    if worst == .allowed { return .allowed }
    for selector in selectors {
      switch (worst, selector.verdict(on: number, words, catalog)) {
      case (_, .allowed): return .allowed
      case (.deniedCommand, let verdict): worst = verdict
      case (.deniedKey(let known), .deniedKey(let place)): worst = .deniedKey(max(known, place))
      default: break
      }
    }
    return worst
  }

  // MARK: Descriptions

  /// "on", "nopass", … in Redis's order.
  public var flags: [String] {
    var flags = [isOn ? "on" : "off"]
    if needsNoPassword { flags.append("nopass") }
    switch payloads {
    case .unsaid: break
    case .sanitize: flags.append("sanitize-payload")
    case .skip: flags.append("skip-sanitize-payload")
    }
    return flags
  }

  public var passwordHashes: [[UInt8]] { passwords.map(\.hex) }

  /// The user as a line of ACL LIST, of an ACL file, of a conf file.
  public func line(_ catalog: AccessCatalog) -> [UInt8] {
    var words = [Array("user".utf8), name] + flags.map { Array($0.utf8) }
    words += passwords.map { [UInt8(ascii: "#")] + $0.hex }
    words.append(root.description(catalog))
    words += selectors.map { Array("(".utf8) + $0.description(catalog) + Array(")".utf8) }
    return joined(words)
  }

  /// A selector as ACL GETUSER shows it.
  public struct SelectorText: Equatable, Sendable {
    public let commands: [UInt8]
    public let keys: [UInt8]
    public let channels: [UInt8]

    init(_ selector: Selector, _ catalog: AccessCatalog) {
      commands = selector.commandRules(catalog)
      keys = selector.keyRules
      channels = selector.channelRules
    }
  }

  /// The root selector and the others.
  public func selectorTexts(
    _ catalog: AccessCatalog
  ) -> (root: SelectorText, others: [SelectorText]) {
    (SelectorText(root, catalog), selectors.map { SelectorText($0, catalog) })
  }
}

/// A user's rules as words, with the words of a selector in one: `(~a`, `+get)` is one rule. A `(`
/// within an open selector begins it anew, as in Redis.
public func mergeSelectors(_ words: [[UInt8]]) throws(UnmatchedParenthesis) -> [[UInt8]] {
  var rules: [[UInt8]] = []
  var selector: [UInt8] = []
  var start: Int?
  for (index, word) in words.enumerated() {
    let isClosed = word.last == UInt8(ascii: ")")
    if word.first == UInt8(ascii: "("), !isClosed {
      selector = word
      start = index
    } else if start == nil {
      rules.append(word)
    } else {
      selector += [32] + word
      guard isClosed else { continue }
      rules.append(selector)
      start = nil
    }
  }
  if let start { throw UnmatchedParenthesis(index: start) }
  return rules
}
