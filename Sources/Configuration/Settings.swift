import Access
import CacheNode
import Keyspaces
import Objects
import Primitives

/// Everything that the conf file and the command line say.
public struct Settings: Sendable {
  public var parameters = ParameterStore()
  /// Keyspace settings as first values, which any CONFIG SET of the cluster outranks.
  public var keyspaceRegisters: [SettingRegister] = []
  public var seeds: [Endpoint] = []
  public var bindAddresses: [String] = ["127.0.0.1"]
  /// For other nodes: those of `bind` unless `cluster-bind` says otherwise.
  public var clusterAddresses: [String] = ["127.0.0.1"]
  /// The users, without those of the ACL file.
  public var access = AccessControl()

  public init(_ directives: [Directive]) throws(ConfigurationError) {
    var keyspaces: [String: Keyspace] = [:]
    for directive in directives where directive.name.lowercased() != "user" {
      let name = directive.name.lowercased()
      if name.hasPrefix("keyspace.") {
        try take(keyspace: directive, &keyspaces)
      } else if ParameterStore.spec(name) == nil {
        throw ConfigurationError(
          "\(directive.place): unknown directive '\(directive.name)'\(Settings.suggestion(name))")
      } else if let allowed = parameters.set(name, directive.value) {
        throw ConfigurationError(
          "\(directive.place): \(directive.name) '\(directive.value)': \(allowed)")
      }
    }
    try readUsers(directives.filter { $0.name.lowercased() == "user" })
    for (name, keyspace) in keyspaces.sorted(by: { $0.key < $1.key }) {
      if let contradiction = keyspace.contradiction {
        throw ConfigurationError(
          "keyspace.\(name).\(contradiction.parameter): \(contradiction.text)")
      }
    }
    try readAddresses(directives)
  }

  private mutating func take(
    keyspace directive: Directive, _ keyspaces: inout [String: Keyspace]
  ) throws(ConfigurationError) {
    guard let split = KeyspaceSettings.split(directive.name), let parameter = split.parameter else {
      throw ConfigurationError(
        "\(directive.place): unknown directive '\(directive.name)'; a keyspace has "
          + Keyspace.parameters.joined(separator: ", "))
    }
    var keyspace = keyspaces[split.keyspace] ?? Keyspace()
    if let allowed = keyspace.set(parameter, directive.value) {
      throw ConfigurationError(
        "\(directive.place): \(directive.name) '\(directive.value)': \(allowed)")
    }
    keyspaces[split.keyspace] = keyspace
    let value = directive.value.lowercased()
    // Below every CONFIG SET; equal on every node that is given the same value.
    let rank = Array(value.utf8).withUnsafeBytes { hashKey($0, seed: 1) }
    let name = "keyspace.\(split.keyspace).\(parameter)"
    keyspaceRegisters.removeAll { $0.name == name }
    keyspaceRegisters.append(
      SettingRegister(
        name: name, value: value,
        version: Version(stamp: Stamp(rawValue: 1), actor: Actor(rawValue: rank))))
  }

  /// `requirepass` first, then the lines of users, which may say otherwise of the default user.
  private mutating func readUsers(_ lines: [Directive]) throws(ConfigurationError) {
    access.startsWithAllChannels = parameters["acl-pubsub-default"] == "allchannels"
    access.setDefaultPassword(parameters["requirepass"] ?? "")
    if let line = lines.first, !(parameters["aclfile"] ?? "").isEmpty {
      throw ConfigurationError(
        "\(line.place): users are in the conf file and there is an aclfile, too; declare them in one "
          + "of the two")
    }
    for line in lines {
      if let error = access.define(line.words.map { Array($0.utf8) }) {
        throw ConfigurationError("\(line.place): user '\(line.words[0])': \(error)")
      }
    }
  }

  /// Why the node may not start with these users: strangers would get in. Nil when they would not.
  /// Whoever knows that no stranger reaches the address says `protected-mode no`.
  public func exposure(of access: AccessControl) -> String? {
    guard parameters.isYes("protected-mode") else { return nil }
    let hasSecret =
      !parameters.clusterSecret.isEmpty || !(parameters["cluster-secret-file"] ?? "").isEmpty
    if !hasSecret, let address = clusterAddresses.first(where: { !Settings.isLoopback($0) }) {
      // Both at once, for who has neither.
      let also =
        access.needsAuthentication
        ? "" : "; the default user needs a password, too: requirepass or users (user, aclfile)"
      let name = (parameters["cluster-bind"] ?? "").isEmpty ? "bind" : "cluster-bind"
      return
        "\(name) \(address): others reach this address, and nodes need no secret to join; set "
        + "cluster-secret (the same on all nodes), or cluster-bind 127.0.0.1 for a node that is to "
        + "be alone, or protected-mode no where no stranger gets there\(also)"
    }
    guard !access.needsAuthentication, mainPort != 0,
      let address = bindAddresses.first(where: { !Settings.isLoopback($0) })
    else { return nil }
    return
      "bind \(address): others reach this address, and the default user needs no password; set "
      + "requirepass or users (user, aclfile), or protected-mode no where no stranger gets there"
  }

  private static func isLoopback(_ host: String) -> Bool {
    host.hasPrefix("127.") || host == "::1" || host == "localhost"
  }

  private mutating func readAddresses(
    _ directives: [Directive]
  ) throws(ConfigurationError) {
    let bind = parameters["bind"] ?? ""
    bindAddresses = Settings.addresses(bind)
    let clusterBind = Settings.addresses(parameters["cluster-bind"] ?? "")
    clusterAddresses = clusterBind.isEmpty ? bindAddresses : clusterBind
    if !parameters.clusterSecret.isEmpty, !(parameters["cluster-secret-file"] ?? "").isEmpty {
      throw ConfigurationError("cluster-secret and cluster-secret-file: give one of the two")
    }
    let words = (parameters["cluster-seeds"] ?? "").split { $0 == "," || $0 == " " }
    for word in words {
      guard let colon = word.lastIndex(of: ":"),
        let port = UInt16(word[word.index(after: colon)...]), port > 0, colon > word.startIndex
      else {
        let place = directives.last { $0.name.lowercased() == "cluster-seeds" }?.place ?? ""
        throw ConfigurationError(
          "\(place): cluster-seeds '\(word)': must be host:port of another node's client port, "
            + "several of them separated by commas")
      }
      let peerPort = UInt32(port) + 10_000
      guard let peer = UInt16(exactly: peerPort) else {
        throw ConfigurationError(
          "cluster-seeds '\(word)': its peer port would be \(peerPort), above 65535")
      }
      seeds.append(Endpoint(host: String(word[..<colon]), port: peer))
    }
    let port = parameters.number("port")
    let tlsPort = parameters.number("tls-port")
    guard tlsPort == 0 || tlsPort != port else {
      throw ConfigurationError("tls-port \(tlsPort): port is the same; 0 switches one of them off")
    }
    guard parameters.number("cluster-port") != 0 || basePort <= 55_535 else {
      throw ConfigurationError(
        "port \(basePort): the peer port is the client port + 10000; above 55535 set cluster-port")
    }
  }

  private static func addresses(_ text: String) -> [String] {
    text.split(separator: " ").map { $0.hasPrefix("-") ? String($0.dropFirst()) : String($0) }
  }

  /// The port that names this node: `port`, and `tls-port` where that is off.
  public var mainPort: Int {
    let port = parameters.number("port")
    return port != 0 ? port : parameters.number("tls-port")
  }

  /// The client port that the peer port is counted from: with `tls-cluster` that for TLS, as in Redis.
  private var basePort: Int {
    let tlsPort = parameters.number("tls-port")
    return parameters.isYes("tls-cluster") && tlsPort != 0 ? tlsPort : mainPort
  }

  /// The client port + 10000 unless `cluster-port` says otherwise.
  public var peerPort: UInt16 {
    let given = parameters.number("cluster-port")
    return UInt16(given != 0 ? given : basePort + 10_000)
  }

  /// The nearest directive, for a slip of the finger.
  private static func suggestion(_ name: String) -> String {
    let near = ParameterStore.specs.map(\.name).min { distance($0, name) < distance($1, name) }
    guard let near, distance(near, name) <= 2 else {
      return "; conf/coterie.conf lists all there are"
    }
    return "; did you mean '\(near)'?"
  }

  /// Levenshtein's distance.
  private static func distance(_ left: String, _ right: String) -> Int {
    let left = Array(left)
    let right = Array(right)
    var row = Array(0...right.count)
    for i in 0..<left.count {
      var diagonal = row[0]
      row[0] = i + 1
      for j in 0..<right.count {
        let substituted = diagonal + (left[i] == right[j] ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[right.count]
  }
}
