import Keyspaces
import Objects
import Primitives
import RESP

// CONFIG: this node's parameters, and the cluster's keyspaces under the same command.

extension NodeCore {
  mutating func executeConfig(_ index: Int, _ name: String) -> Bool {
    switch name {
    case "get": return getConfig(index)
    case "set": return setConfig(index)
    case "resetstat":
      statistics.pointee = NodeStatistics()
      resetCommandStatistics()
      return replyOK(index)
    case "rewrite":
      if sessions[index].pointee.inFlight > 0 { return stall(index) }
      return rewriteConfig(index)
    default: return syntaxError(index)
    }
  }

  /// Puts parameters into force that the node keeps elsewhere.
  mutating func applyParameters() {
    operationTimeout = UInt64(parameters.number("operation-timeout")) * 1000
    // Those that are under way keep their time: they are looked at, and wait on.
    deadlines.bring(forwardTo: monotonic + operationTimeout)
    extensions.bring(forwardTo: monotonic + extensionInterval)
    maximumSkew = UInt64(parameters.number("max-clock-skew"))
    logLevel = LogLevel(parameters["loglevel"] ?? "notice") ?? .notice
    antiEntropyPeriod = UInt64(parameters.number("anti-entropy-interval")) * 1_000_000
    access.startsWithAllChannels = parameters["acl-pubsub-default"] == "allchannels"
    nextExchange = min(nextExchange, monotonic + antiEntropyPeriod)
    applyMemoryParameters()
    applyClientParameters()
    applyEyeParameters()
    let weight = UInt16(clamping: parameters.number("weight"))
    if members.own.nextWeight != weight, members.own.status.isMember {
      changeOwn { $0.nextWeight = weight }
    }
  }

  // MARK: GET

  /// Every keyspace's settings by full name, sorted.
  private func keyspaceValues() -> [(name: String, value: String)] {
    keyspaceMap.names.enumerated().flatMap { index, name in
      Keyspace.parameters.compactMap { parameter in
        keyspaceMap.keyspaces[index].value(of: parameter).map {
          ("keyspace.\(name).\(parameter)", $0)
        }
      }
    }
  }

  private mutating func getConfig(_ index: Int) -> Bool {
    var matching: [(name: String, value: String)] = []
    for place in 2..<arguments.pointee.count {
      for found in matches(arguments.pointee[place])
      where !matching.contains(where: { $0.name.lowercased() == found.name.lowercased() }) {
        matching.append(found)
      }
    }
    let resp = sessions[index].pointee.resp
    return replyNow(index) { reply in
      reply.pointee.appendMapHeader(matching.count, resp: resp)
      for (name, value) in matching {
        reply.pointee.appendBulk(name)
        reply.pointee.appendBulk(value)
      }
    }
  }

  /// The parameters that a word of CONFIG GET names. Without a glob's characters the word itself is
  /// the name, and is shown in the client's spelling, as in Redis.
  private func matches(_ word: UnsafeRawBufferPointer) -> [(name: String, value: String)] {
    let isPattern = word.contains { $0 == 42 || $0 == 63 || $0 == 91 }
    if !isPattern {
      if let value = parameters[word.text] { return [(word.text, value)] }
      return keyspaceValues().filter { $0.name == word.text }
    }
    var all = ParameterStore.specs.map { ($0.name, parameters[$0.name] ?? "") }
    all += keyspaceValues()
    return all.filter { name, _ in
      Array(name.utf8).withUnsafeBytes { globMatch(pattern: word, $0, ignoringCase: true) }
    }
  }

  // MARK: SET

  /// All pairs or none: everything is tried on copies first.
  private mutating func setConfig(_ index: Int) -> Bool {
    guard arguments.pointee.count % 2 == 0 else {
      return syntaxError(index)
    }
    if sessions[index].pointee.inFlight > 0 { return stall(index) }
    let pairs = stride(from: 2, to: arguments.pointee.count, by: 2).map {
      (arguments.pointee[$0].text, arguments.pointee[$0 + 1].text)
    }
    var fresh = parameters
    var freshSettings = settings
    var seen: Set<String> = []
    let version = nextVersion()
    for (name, value) in pairs {
      let canonical = name.hasPrefix("keyspace.") ? name : name.lowercased()
      guard seen.insert(canonical).inserted else {
        return fail(index, failure(name, "duplicate parameter"))
      }
      let error =
        canonical.hasPrefix("keyspace.")
        ? tryKeyspace(canonical, value, version, &freshSettings)
        : tryParameter(canonical, value, &fresh)
      if let error { return fail(index, error) }
    }
    for (name, keyspace) in freshSettings.keyspaces().sorted(by: { $0.key < $1.key }) {
      if let contradiction = keyspace.contradiction {
        return fail(
          index, failure("keyspace.\(name).\(contradiction.parameter)", contradiction.text))
      }
    }
    guard fresh.number("hint-ttl") < fresh.number("tombstone-ttl") else {
      return fail(index, failure("hint-ttl", "hint-ttl must be below tombstone-ttl"))
    }
    if isChanging, fresh.number("weight") != parameters.number("weight") {
      return fail(index, failure("weight", "a ring change is under way; see CLUSTER TRANSFERS"))
    }
    if fresh.number("maxclients") != parameters.number("maxclients"),
      let error = refusedClients(fresh.number("maxclients"))
    {
      return fail(index, failure("maxclients", error))
    }
    // Last, because it takes effect at once.
    if let name = pairs.lazy.map(\.0).first(where: { $0.lowercased().hasPrefix("tls-") }),
      let error = configuration.applyTLS(fresh)
    {
      return fail(index, failure(name, error))
    }
    let isNewPassword = fresh["requirepass"] != parameters["requirepass"]
    parameters = fresh
    applyParameters()
    if isNewPassword {
      access.setDefaultPassword(parameters["requirepass"] ?? "")
      refreshAccess()
    }
    applyRecords()
    if freshSettings.digest != settings.digest {
      settings = freshSettings
      settingsChanged()
      announceSettings()
    }
    return replyOK(index)
  }

  private func failure(_ name: String, _ why: String) -> String {
    "ERR CONFIG SET failed (possibly related to argument '\(name)') - \(why)"
  }

  private func tryParameter(
    _ name: String, _ value: String, _ fresh: inout ParameterStore
  ) -> String? {
    guard let spec = ParameterStore.spec(name) else {
      return "ERR Unknown option or number of arguments for CONFIG SET - '\(name)'"
    }
    guard spec.isMutable else { return failure(name, "can't set immutable config") }
    return fresh.set(name, value).map { failure(name, $0) }
  }

  private func tryKeyspace(
    _ name: String, _ value: String, _ version: Version, _ fresh: inout KeyspaceSettings
  ) -> String? {
    guard let split = KeyspaceSettings.split(name) else {
      return "ERR Unknown option or number of arguments for CONFIG SET - '\(name)'"
    }
    if let parameter = split.parameter {
      var probe = Keyspace()
      if let error = probe.set(parameter, value) { return failure(name, error) }
    } else {
      // `keyspace.cart ""` ends a keyspace; anything else under that name is a slip.
      guard value.isEmpty else {
        return failure(
          name, "a keyspace has n, w, r, conflict, blind-write, sloppy and ttl; \"\" removes it")
      }
      guard split.keyspace != "default" else {
        return failure(name, "the keyspace default can't be removed")
      }
    }
    // Words that mean the same are kept in one spelling.
    let stored = value.lowercased()
    let full = split.parameter.map { "keyspace.\(split.keyspace).\($0)" } ?? name
    let known = fresh.keyspaces()[split.keyspace] != nil
    guard known || fresh.keyspaces().count < Limits.keyspaces || split.parameter == nil else {
      return failure(name, "there are \(Limits.keyspaces) keyspaces already")
    }
    _ = fresh.merge(SettingRegister(name: full, value: stored, version: version))
    return nil
  }

  // MARK: REWRITE

  private mutating func rewriteConfig(_ index: Int) -> Bool {
    guard let id = beginShellWork(index) else { return tooMany(index) }
    let values = parameters.given + keyspaceValues()
    actions.append(.rewriteConfiguration(id, values, users: usersForConfiguration))
    return true
  }

  /// The reply that the shell's answer will make takes its place; nil when there is none left.
  mutating func beginShellWork(_ index: Int) -> SessionID? {
    let session = sessions[index]
    let id = SessionID(index: index, generation: session.pointee.generation)
    guard let operation = takeOperation(.gather, .session(id)) else { return nil }
    operations[operation].pointee.gather = Gather(.allOK, parts: 1)
    session.pointee.queue.append(operation: operation)
    takeOver(operations[operation])
    session.pointee.inFlight += 1
    holdBack(index, bits: .max, isForward: true)
    return id
  }

  /// The shell has answered.
  mutating func endShellWork(_ id: SessionID, _ error: [UInt8]?) {
    guard let session = session(id), !session.pointee.queue.isEmpty,
      session.pointee.queue.head.operation >= 0
    else { return }
    let index = Int(session.pointee.queue.head.operation)
    if let error {
      operations[index].pointee.reply.pointee.appendError(Array("ERR ".utf8) + error)
    } else {
      operations[index].pointee.reply.pointee.appendOK()
    }
    deliver(index)
  }

  /// The shell has rewritten the file, or could not.
  mutating func rewriteFinished(_ id: SessionID, _ error: String?) {
    endShellWork(id, error.map { Array($0.utf8) })
  }
}
