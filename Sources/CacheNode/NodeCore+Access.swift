import Access
import Primitives
import RESP

// Access control of connections. A connection whose user may do everything, which is every one as
// long as nothing is configured, has no `restricted` flag, and its commands pass with the one look at
// the flags that they take anyway. The flags are set anew when users change.

extension NodeCore {
  // MARK: Before a command

  /// Whether the user of the session may run the request. False when not; then it is answered.
  @inline(never)
  mutating func isAllowed(_ index: Int, _ command: Int) -> Bool {
    let session = sessions[index]
    let words = CallWords(arguments)
    let catalog = access.catalog
    var number = catalog.numbers[command]
    if commandTable.commands[command].isContainer, words.count > 1 {
      // Existence and arity come first, as in Redis.
      guard let subcommand = catalog.subcommand(of: number, words[1]) else {
        _ = unknownSubcommand(index, commandTable.commands[command])
        return false
      }
      number = subcommand
      guard catalog.entries[number].accepts(words.count) else {
        _ = fail(
          index, "ERR wrong number of arguments for '\(catalog.entries[number].name)' command")
        return false
      }
      session.pointee.lastSubcommand = words[1].text.lowercased()
    }
    if session.pointee.flags.contains(.needsLogin), !catalog.entries[number].isForAnybody {
      commandIndex.entries[command].rejected += 1
      meter.pointee.refused = command
      _ = fail(index, "NOAUTH Authentication required.")
      return false
    }
    let place = session.pointee.user
    switch access.verdict(of: place, on: number, words) {
    case .allowed: return true
    case .deniedCommand:
      let name = catalog.entries[number].name
      meter.pointee.refused = command
      logRefusal(index, .command, Array(name.utf8), username: access[place].name)
      _ = fail(index, "NOPERM this user has no permissions to run the '\(name)' command")
    case .deniedKey(let word):
      meter.pointee.refused = command
      logRefusal(
        index, .key, Array(words[word].prefix(Limits.loggedNameBytes)), username: access[place].name
      )
      _ = fail(
        index,
        "NOPERM this user has no permissions to access one of the keys used as arguments")
    }
    commandIndex.entries[command].rejected += 1
    return false
  }

  /// Notes a refusal for ACL LOG.
  mutating func logRefusal(
    _ index: Int, _ reason: AccessLog.Reason, _ object: [UInt8], username: [UInt8]
  ) {
    accessLog.add(
      reason, Array(object.prefix(Limits.loggedNameBytes)),
      username: Array(username.prefix(Limits.loggedNameBytes)), client: clientLine(index), at: wall,
      limit: parameters.number("acllog-max-len"))
  }

  // MARK: The user of a connection

  /// A connection as it begins and as RESET leaves it: the default user's, logged in if nobody has
  /// to.
  mutating func beginAsDefaultUser(_ index: Int) {
    let session = sessions[index]
    session.pointee.user = AccessControl.defaultPlace
    if access.needsAuthentication {
      session.pointee.flags.remove(.authenticated)
    } else {
      session.pointee.flags.insert(.authenticated)
    }
    refreshAccess(index)
  }

  /// Sets the flags that follow from the user and the login.
  mutating func refreshAccess(_ index: Int) {
    let session = sessions[index]
    let needsLogin =
      access.needsAuthentication && !session.pointee.flags.contains(.authenticated)
    if needsLogin, !session.pointee.flags.contains(.needsLogin) {
      session.pointee.loginSince = monotonic
    }
    session.pointee.flags.remove([.needsLogin, .restricted])
    if needsLogin { session.pointee.flags.insert(.needsLogin) }
    if needsLogin || !access[session.pointee.user].isUnlimited {
      session.pointee.flags.insert(.restricted)
    }
    session.pointee.parser.isUnauthenticated = needsLogin
  }

  /// The same for all connections: users have changed.
  mutating func refreshAccess() {
    for index in 0..<sessions.end where sessions[index].pointee.isOpen { refreshAccess(index) }
  }

  /// Takes a user from its connections and closes them: the one that asked, if there is one, behind
  /// its reply.
  mutating func closeSessions(ofUser place: Int, asking: Int?) {
    for index in 0..<sessions.end where sessions[index].pointee.isOpen {
      let session = sessions[index]
      guard session.pointee.user == place else { continue }
      session.pointee.user = AccessControl.defaultPlace
      session.pointee.flags.remove(.authenticated)
      refreshAccess(index)
      if index == asking { closeAfterReplies(index) } else { kill(index) }
    }
  }

  func userName(_ index: Int) -> String {
    String(decoding: access[sessions[index].pointee.user].name, as: UTF8.self)
  }

  // MARK: Who is let in

  /// What a client from this address is told and closed with: there are as many as there may be, or
  /// strangers are kept out.
  mutating func refusal(of address: String) -> String? {
    if sessions.count >= clients.shares.clients {
      statistics.pointee.rejectedConnections += 1
      return "-ERR max number of clients reached\r\n"
    }
    guard access.isOpen, parameters.isYes("protected-mode"),
      !NodeCore.isLocal(address)
    else { return nil }
    statistics.pointee.rejectedConnections += 1
    return NodeCore.protectedText
  }

  static func isLocal(_ address: String) -> Bool {
    address.hasPrefix("127.") || address.hasPrefix("[::1]:")
  }

  private static let protectedText =
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password "
    + "is set for the default user. In this mode connections are only accepted from the loopback "
    + "interface. If you want to connect from external computers to Redis you may adopt one of the "
    + "following solutions: 1) Just disable protected mode sending the command 'CONFIG SET "
    + "protected-mode no' from the loopback interface by connecting to Redis from the same host "
    + "the server is running, however MAKE SURE Redis is not publicly accessible from internet if "
    + "you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just "
    + "disable the protected mode by editing the Redis configuration file, and setting the "
    + "protected mode option to 'no', and then restarting the server. 3) If you started the server "
    + "manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an "
    + "authentication password for the default user. NOTE: You only need to do one of the above "
    + "things in order for the server to start accepting connections from the outside.\r\n"
}
