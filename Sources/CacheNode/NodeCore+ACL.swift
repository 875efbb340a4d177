import Access
import Commands
import Primitives
import RESP

// ACL: the users of this node. Replies are those of Redis 7.0.

extension NodeCore {
  mutating func executeACL(_ index: Int, _ name: String) -> Bool {
    let takesAtMostThree = ["cat", "genpass", "log"].contains(name)
    if takesAtMostThree, arguments.pointee.count > 3 {
      return wrongSubcommandArity(index, "ACL")
    }
    switch name {
    case "cat": return listCategories(index)
    case "deluser": return deleteUsers(index)
    case "dryrun": return dryRun(index)
    case "genpass": return generatePassword(index)
    case "getuser": return showUser(index)
    case "list": return reply(index, bulks: access.lines)
    case "load": return loadUsers(index)
    case "log": return showAccessLog(index)
    case "save": return saveUsers(index)
    case "setuser": return setUser(index)
    case "users": return reply(index, bulks: access.names)
    case "whoami":
      let name = access[sessions[index].pointee.user].name
      return replyNow(index) { $0.pointee.appendBulk(name) }
    default:
      return replyNow(index, lines: NodeCore.aclHelp)
    }
  }

  private mutating func reply(_ index: Int, bulks: [[UInt8]]) -> Bool {
    replyNow(index) { reply in
      reply.pointee.appendArrayHeader(bulks.count)
      for bulk in bulks { reply.pointee.appendBulk(bulk) }
    }
  }

  mutating func fail(_ index: Int, _ text: [UInt8]) -> Bool {
    return replyNow(index) { $0.pointee.appendError(text) }
  }

  private func words(from first: Int) -> [[UInt8]] {
    (first..<max(first, arguments.pointee.count)).map { Array(arguments.pointee[$0]) }
  }

  /// The bytes before the first NUL, as C prints them.
  private func printed(_ bytes: [UInt8]) -> [UInt8] { Array(bytes.prefix { $0 != 0 }) }

  // MARK: Users

  private mutating func setUser(_ index: Int) -> Bool {
    let name = Array(arguments.pointee[2])
    guard isOneWord(name) else {
      return fail(index, "ERR Usernames can't contain spaces or null characters")
    }
    let words = words(from: 3)
    do throws(UnmatchedParenthesis) {
      let rules = try mergeSelectors(words)
      do throws(AccessControl.Refusal) {
        try access.set(name, rules)
      } catch {
        return fail(
          index,
          Array("ERR Error in ACL SETUSER modifier '".utf8) + printed(error.rule)
            + Array("': \(error.reason.text)".utf8))
      }
    } catch {
      return fail(
        index,
        Array("ERR Unmatched parenthesis in acl selector starting at '".utf8)
          + printed(words[error.index]) + Array("'.".utf8))
    }
    refreshAccess()
    return replyOK(index)
  }

  private mutating func deleteUsers(_ index: Int) -> Bool {
    let names = words(from: 2)
    guard !names.contains(AccessControl.defaultName) else {
      return fail(index, "ERR The 'default' user cannot be removed")
    }
    let places = Set(names.compactMap { access.place(of: $0) }).sorted()
    _ = reply(index, integer: places.count)
    for place in places {
      closeSessions(ofUser: place, asking: index)
      access.remove(place)
    }
    return true
  }

  private mutating func showUser(_ index: Int) -> Bool {
    let resp = sessions[index].pointee.resp
    guard let place = access.place(of: arguments.pointee[2]) else {
      return replyNow(index) { $0.pointee.appendNull(resp: resp) }
    }
    let user = access[place]
    let (root, others) = user.selectorTexts(access.catalog)
    return replyNow(index) { reply in
      reply.pointee.appendMapHeader(6, resp: resp)
      reply.pointee.appendBulk("flags")
      reply.pointee.appendSetHeader(user.flags.count, resp: resp)
      for flag in user.flags { reply.pointee.appendBulk(flag) }
      reply.pointee.appendBulk("passwords")
      reply.pointee.appendArrayHeader(user.passwordHashes.count)
      for hash in user.passwordHashes { reply.pointee.appendBulk(hash) }
      reply.pointee.append(root)
      reply.pointee.appendBulk("selectors")
      reply.pointee.appendArrayHeader(others.count)
      for selector in others {
        reply.pointee.appendMapHeader(3, resp: resp)
        reply.pointee.append(selector)
      }
    }
  }

  // MARK: Commands

  private mutating func listCategories(_ index: Int) -> Bool {
    guard arguments.pointee.count == 3 else {
      return reply(index, bulks: AccessCatalog.categories.map { Array($0.utf8) })
    }
    let name = Array(arguments.pointee[2])
    guard let commands = access.catalog.commands(inCategory: name) else {
      return fail(
        index, Array("ERR Unknown category '".utf8) + printed(name) + Array("'".utf8))
    }
    return reply(index, bulks: commands.map { Array($0.utf8) })
  }

  private mutating func dryRun(_ index: Int) -> Bool {
    let name = Array(arguments.pointee[2])
    guard let place = access.place(of: name) else {
      return fail(index, Array("ERR User '".utf8) + printed(name) + Array("' not found".utf8))
    }
    let call = CallWords(arguments, from: 3)
    guard let number = access.catalog.number(calledBy: call) else {
      return fail(
        index,
        Array("ERR Command '".utf8) + printed(Array(call[0])) + Array("' not found".utf8))
    }
    let entry = access.catalog.entries[number]
    guard entry.accepts(call.count) else {
      return fail(index, "ERR wrong number of arguments for '\(entry.name)' command")
    }
    switch access.verdict(of: place, on: number, call) {
    case .allowed: return replyOK(index)
    case .deniedCommand:
      return reply(
        index, bulk: "This user has no permissions to run the '\(entry.name)' command")
    case .deniedKey(let word):
      let text =
        Array("This user has no permissions to access the '".utf8) + printed(Array(call[word]))
        + Array("' key".utf8)
      return replyNow(index) { $0.pointee.appendBulk(text) }
    }
  }

  // MARK: Passwords

  private mutating func generatePassword(_ index: Int) -> Bool {
    var bits = 256
    if arguments.pointee.count == 3 {
      guard let given = parseInteger(arguments.pointee[2]) else {
        return fail(index, "ERR value is not an integer or out of range")
      }
      guard (1...4096).contains(given) else {
        return fail(
          index,
          "ERR ACL GENPASS argument must be the number of bits for the output password, a positive "
            + "number up to 4096")
      }
      bits = given
    }
    let password = passwordGenerator.digits((bits + 3) / 4)
    return replyNow(index) { $0.pointee.appendBulk(password) }
  }

  // MARK: The log

  private mutating func showAccessLog(_ index: Int) -> Bool {
    var count = 10
    if arguments.pointee.count == 3 {
      if arguments.pointee[2].isWord("reset") {
        accessLog.removeAll()
        return replyOK(index)
      }
      guard let given = parseInteger(arguments.pointee[2]) else {
        return fail(index, "ERR value is not an integer or out of range")
      }
      count = max(0, given)
    }
    let entries = accessLog.entries.prefix(count)
    let resp = sessions[index].pointee.resp
    let wall = wall
    return replyNow(index) { reply in
      reply.pointee.appendArrayHeader(entries.count)
      for entry in entries { reply.pointee.append(entry, at: wall, resp: resp) }
    }
  }

  // MARK: The file

  private static let noFileText =
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    + "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    + "configuration file set) in order to store users in the Redis configuration."

  private var hasFile: Bool { !(parameters["aclfile"] ?? "").isEmpty }

  private mutating func saveUsers(_ index: Int) -> Bool {
    guard hasFile else { return fail(index, NodeCore.noFileText) }
    if sessions[index].pointee.inFlight > 0 { return stall(index) }
    guard let id = beginShellWork(index) else { return tooMany(index) }
    actions.append(.saveUsers(id, access.fileText))
    return true
  }

  /// The shell has written the ACL file, or could not.
  mutating func usersSaved(_ id: SessionID, _ error: String?) {
    if let error { log(.warning, "ACL SAVE: \(error)") }
    let text =
      "There was an error trying to save the ACLs. Please check the server logs for more information"
    endShellWork(id, error == nil ? nil : Array(text.utf8))
  }

  private mutating func loadUsers(_ index: Int) -> Bool {
    guard hasFile else { return fail(index, NodeCore.noFileText) }
    if sessions[index].pointee.inFlight > 0 { return stall(index) }
    guard let id = beginShellWork(index) else { return tooMany(index) }
    actions.append(.readUsers(id))
    return true
  }

  /// The shell has read the ACL file, or could not. All users but the default one are new ones, and
  /// their connections end, as in Redis 7.0.
  mutating func usersRead(_ id: SessionID, _ result: ReadFile) {
    let path = parameters["aclfile"] ?? ""
    switch result {
    case .failed(let reason):
      endShellWork(id, Array("Error loading ACLs, opening file '\(path)': \(reason)".utf8))
    case .bytes(let bytes):
      do throws(AccessControl.FileErrors) {
        let fresh = try access.replaced(byFile: bytes, named: path)
        let asking = session(id) == nil ? nil : id.index
        endShellWork(id, nil)
        let places = access.places.filter { $0 != AccessControl.defaultPlace }
        for place in places { closeSessions(ofUser: place, asking: asking) }
        access = fresh
        refreshAccess()
      } catch {
        let text =
          "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
        endShellWork(id, error.text + Array(text.utf8))
      }
    }
  }

  /// The `user` lines that CONFIG REWRITE writes: none when an ACL file has the users, nor when
  /// `requirepass` says all there is to say.
  var usersForConfiguration: [String] {
    if hasFile { return [] }
    var plain = AccessControl(access.catalog)
    plain.setDefaultPassword(parameters["requirepass"] ?? "")
    let lines = access.lines
    if lines == plain.lines { return [] }
    return lines.map { String(decoding: $0, as: UTF8.self) }
  }

  private static let aclHelp = [
    "ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CAT [<category>]",
    "    List all commands that belong to <category>, or all command categories",
    "    when no category is specified.",
    "DELUSER <username> [<username> ...]",
    "    Delete a list of users.",
    "DRYRUN <username> <command> [<arg> ...]",
    "    Returns whether the user can execute the given command without executing the command.",
    "GETUSER <username>",
    "    Get the user's details.",
    "GENPASS [<bits>]",
    "    Generate a secure 256-bit user password. The optional `bits` argument can",
    "    be used to specify a different size.",
    "LIST",
    "    Show users details in config file format.",
    "LOAD",
    "    Reload users from the ACL file.",
    "LOG [<count> | RESET]",
    "    Show the ACL log entries.",
    "SAVE",
    "    Save the current config to the ACL file.",
    "SETUSER <username> <attribute> [<attribute> ...]",
    "    Create or modify a user with the specified attributes.",
    "USERS",
    "    List all the registered usernames.",
    "WHOAMI",
    "    Return the current connection username.",
    "HELP",
    "    Prints this help.",
  ]
}

extension ByteBuffer {
  /// Three fields of ACL GETUSER.
  fileprivate mutating func append(_ selector: User.SelectorText) {
    appendBulk("commands")
    appendBulk(selector.commands)
    appendBulk("keys")
    appendBulk(selector.keys)
    appendBulk("channels")
    appendBulk(selector.channels)
  }

  /// An entry of ACL LOG.
  fileprivate mutating func append(_ entry: AccessLog.Entry, at wall: UInt64, resp: UInt8) {
    appendMapHeader(7, resp: resp)
    appendBulk("count")
    appendInteger(entry.count)
    appendBulk("reason")
    appendBulk(entry.reason.rawValue)
    appendBulk("context")
    appendBulk("toplevel")
    appendBulk("object")
    appendBulk(entry.object)
    appendBulk("username")
    appendBulk(entry.username)
    appendBulk("age-seconds")
    let age = secondsText(milliseconds: wall > entry.at ? wall - entry.at : 0)
    if resp == 3 { append(",\(age)\r\n") } else { appendBulk(age) }
    appendBulk("client-info")
    appendBulk(entry.client)
  }
}

/// Seconds without needless zeros: 12, 0.5, 0.009.
private func secondsText(milliseconds: UInt64) -> String {
  let (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
  guard rest > 0 else { return "\(seconds)" }
  var digits = "\(1000 + rest)".dropFirst()
  while digits.last == "0" { digits = digits.dropLast() }
  return "\(seconds).\(digits)"
}
