import Commands
import Primitives

// # Access control
//
// Who may do what on one node: its users, as in Redis 7.0, and nothing else. Words in, decisions
// out; files, sockets and the clock belong to others.
//
// A connection names its user by a place in `users`, so a decision is a look into an array. Places
// are reused; whoever removes a user takes it from its connections first. The default user has
// place 0 for ever. For connections whose user may do everything the node keeps a flag and does
// not ask at all (CacheNode, `SessionFlags.restricted`).
//
// Commands that arrive from another node were decided where the client is, and are not decided
// again: users belong to a node, as its conf file does.

/// The users of one node.
public struct AccessControl: Sendable {
  public static let defaultName = Array("default".utf8)
  /// The place of the default user.
  public static let defaultPlace = 0

  public let catalog: AccessCatalog
  /// By place; nil where there was one.
  private var users: [User?]
  /// The names in order, each with its place.
  private var order: [(name: [UInt8], place: Int)]
  /// `acl-pubsub-default allchannels`: what users that are new start with.
  public var startsWithAllChannels = false {
    didSet {
      for place in users.indices { users[place]?.startsWithAllChannels = startsWithAllChannels }
    }
  }

  public init(_ catalog: AccessCatalog) {
    self.catalog = catalog
    users = [.initialDefault(catalog)]
    order = [(AccessControl.defaultName, AccessControl.defaultPlace)]
  }

  public init() { self.init(AccessCatalog(CommandTable())) }

  // MARK: Looking up

  public subscript(place: Int) -> User {
    guard let user = users[place] else { fatalError("no user has place \(place)") }
    return user
  }

  public var defaultUser: User { self[AccessControl.defaultPlace] }

  /// Whether a connection can do nothing before it has logged in.
  public var needsAuthentication: Bool { !defaultUser.needsNoPassword || !defaultUser.isOn }

  /// Whether strangers would be let in: what protected mode is about.
  public var isOpen: Bool { defaultUser.needsNoPassword }

  public func place(of name: some Collection<UInt8>) -> Int? {
    let index = position(of: Array(name))
    return index < order.count && order[index].name.elementsEqual(name) ? order[index].place : nil
  }

  /// What the user at this place may do with a call of the command.
  public func verdict(of place: Int, on number: Int, _ words: CallWords) -> Verdict {
    users[place]?.verdict(on: number, words, catalog) ?? .deniedCommand
  }

  /// The places of all users.
  public var places: [Int] { order.map(\.place) }

  /// All names, sorted by their bytes.
  public var names: [[UInt8]] { order.map(\.name) }

  /// All users as lines, sorted by name.
  public var lines: [[UInt8]] { order.map { self[$0.place].line(catalog) } }

  /// Where the name is or belongs in `order`.
  private func position(of name: [UInt8]) -> Int {
    var low = 0
    var high = order.count
    while low < high {
      let middle = (low + high) / 2
      if order[middle].name.lexicographicallyPrecedes(name) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  /// The user that may log in with this name and password; nil when none may. A name that is not
  /// known takes as long as one that is.
  public func authenticate(
    _ name: some Collection<UInt8>, _ password: some Collection<UInt8>
  ) -> Int? {
    let hash = PasswordHash(of: password)
    guard let place = place(of: name) else { return nil }
    return self[place].accepts(hash) ? place : nil
  }

  // MARK: Changing

  /// A rule that was not taken, with the words as merged.
  public struct Refusal: Error, Equatable, Sendable {
    public let rule: [UInt8]
    public let reason: RuleError
  }

  /// ACL SETUSER: applies rules to a user, which is made if there is none; all of them or none.
  public mutating func set(_ name: [UInt8], _ rules: [[UInt8]]) throws(Refusal) {
    let known = place(of: name)
    var user =
      known.map { self[$0] }
      ?? User(name, catalog, startsWithAllChannels: startsWithAllChannels)
    for rule in rules {
      do throws(RuleError) {
        try user.apply(rule, catalog)
      } catch {
        throw Refusal(rule: rule, reason: error)
      }
    }
    replace(user)
  }

  /// The user in place of the one of the same name, if there is one.
  mutating func replace(_ user: User) {
    if let known = place(of: user.name) {
      users[known] = user
      return
    }
    let place = users.firstIndex { $0 == nil } ?? users.count
    if place == users.count { users.append(user) } else { users[place] = user }
    order.insert((user.name, place), at: position(of: user.name))
  }

  /// `requirepass`: empty for none.
  public mutating func setDefaultPassword(_ password: String) {
    users[AccessControl.defaultPlace]?.setOnlyPassword(Array(password.utf8))
  }

  /// Removes a user that no connection has any more. The default user stays.
  public mutating func remove(_ place: Int) {
    guard place != AccessControl.defaultPlace, let user = users[place] else { return }
    users[place] = nil
    order.remove(at: position(of: user.name))
  }
}
