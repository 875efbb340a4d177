import Primitives

// # Parameters of one node
//
// Redis's names for what Redis has, so that `CONFIG GET` and conf files of Redis users work; ours
// beside them. Keyspace settings are not here: they belong to the cluster (Keyspaces). A parameter
// that a tool reads or sets on connecting exists and reads back what was set even where it has
// nothing to act on here yet; its description says so.

/// What a parameter may hold.
public enum ParameterKind: Sendable {
  case text
  case yesNo
  case integer(ClosedRange<Int>)
  /// Bytes, with `kb`, `mb`, `gb`.
  case memory
  case memoryAbove(Int)
  /// Bytes, or a share of `maxmemory` with `%`.
  case memoryOrShare
  case outputLimits
  case choice([String])
  /// Pairs of seconds and changes.
  case savePoints
  /// Numbers from 0 to 100, with decimals.
  case percentiles
  /// The letters of keyspace events.
  case eventClasses
  /// Text that is never shown.
  case secret
}

/// A parameter's name, default, and what it may hold.
public struct ParameterSpec: Sendable {
  public let name: String
  public let kind: ParameterKind
  public let initial: String
  /// Whether CONFIG SET may change it.
  public let isMutable: Bool
}

/// All parameters of a node and their values.
public struct ParameterStore: Sendable {
  public static let specs: [ParameterSpec] = [
    fixed("port", .integer(0...65_535), "6379"),
    fixed("cluster-port", .integer(0...65_535), "0"),
    fixed("bind", .text, "127.0.0.1"),
    fixed("cluster-bind", .text, ""),
    fixed("cluster-secret", .secret, ""),
    fixed("cluster-secret-file", .text, ""),
    fixed("tls-port", .integer(0...65_535), "0"),
    fixed("tls-cluster", .yesNo, "no"),
    open("tls-cert-file", .text, ""),
    open("tls-key-file", .text, ""),
    open("tls-key-file-pass", .text, ""),
    open("tls-ca-cert-file", .text, ""),
    open("tls-ca-cert-dir", .text, ""),
    open("tls-auth-clients", .choice(["no", "yes", "optional"]), "yes"),
    open("tls-protocols", .text, ""),
    open("tls-ciphers", .text, ""),
    open("tls-ciphersuites", .text, ""),
    open("tls-prefer-server-ciphers", .yesNo, "no"),
    open("tls-session-caching", .yesNo, "yes"),
    open("tls-session-cache-size", .integer(0...Int(Int32.max)), "20480"),
    open("tls-session-cache-timeout", .integer(0...Int(Int32.max)), "300"),
    fixed("metrics-port", .integer(0...65_535), "0"),
    fixed("metrics-bind", .text, "127.0.0.1"),
    fixed("dir", .text, "."),
    fixed("logfile", .text, ""),
    open("loglevel", .choice(["debug", "verbose", "notice", "warning"]), "notice"),
    fixed("databases", .integer(1...16), "16"),
    open("timeout", .integer(0...Int(Int32.max)), "0"),
    open("tcp-keepalive", .integer(0...Int(Int32.max)), "300"),
    fixed("tcp-backlog", .integer(0...Int(Int32.max)), "511"),
    open("maxclients", .integer(1...1_000_000), "10000"),
    fixed("cluster-enabled", .yesNo, "no"),
    fixed("cluster-seeds", .text, ""),
    fixed("cluster-announce-ip", .text, ""),
    fixed("node-name", .text, ""),
    fixed("zone", .text, ""),
    open("weight", .integer(1...100), "1"),
    open("max-clock-skew", .integer(1...86_400_000), "500"),
    open("tombstone-ttl", .integer(60...Int(Int32.max)), "86400"),
    open("hint-ttl", .integer(1...Int(Int32.max)), "10800"),
    open("hint-memory", .memory, "268435456"),
    open("hint-memory-per-node", .memory, "134217728"),
    open("anti-entropy-interval", .integer(1...86_400), "10"),
    open("transfer-rate", .memory, "16777216"),
    open("operation-timeout", .integer(10...60_000), "1000"),
    open("requirepass", .text, ""),
    fixed("aclfile", .text, ""),
    open("acllog-max-len", .integer(0...Int.max), "128"),
    open("acl-pubsub-default", .choice(["allchannels", "resetchannels"]), "resetchannels"),
    open("protected-mode", .yesNo, "yes"),
    open("client-query-buffer-limit", .memoryAbove(1 << 20), "1073741824"),
    open(
      "client-output-buffer-limit", .outputLimits,
      "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"),
    open("maxmemory-clients", .memoryOrShare, "10%"),
    open("maxmemory", .memory, "0"),
    open(
      "maxmemory-policy",
      .choice([
        "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru",
        "allkeys-lfu", "allkeys-random", "noeviction",
      ]), "noeviction"),
    open("maxmemory-samples", .integer(1...64), "5"),
    open("lfu-log-factor", .integer(0...Int(Int32.max)), "10"),
    open("lfu-decay-time", .integer(0...Int(Int32.max)), "1"),
    open("slowlog-log-slower-than", .integer(-1...Int.max), "10000"),
    open("slowlog-max-len", .integer(0...Int.max), "128"),
    open("latency-monitor-threshold", .integer(0...Int.max), "0"),
    open("latency-tracking", .yesNo, "yes"),
    open("latency-tracking-info-percentiles", .percentiles, "50 99 99.9"),
    fixed("enable-debug-command", .choice(["no", "yes", "local"]), "no"),
    // Read or set by clients and tools; nothing here acts on them yet.
    open("save", .savePoints, ""),
    open("appendonly", .yesNo, "no"),
    open("appendfsync", .choice(["everysec", "always", "no"]), "everysec"),
    open("hz", .integer(1...500), "10"),
    open("notify-keyspace-events", .eventClasses, ""),
    open("replica-read-only", .yesNo, "yes"),
    open("proto-max-bulk-len", .memoryAbove(1 << 20), "536870912"),
    open("lazyfree-lazy-user-flush", .yesNo, "no"),
    open("lazyfree-lazy-user-del", .yesNo, "no"),
    open("list-max-listpack-size", .integer(-5...Int(Int32.max)), "-2"),
    open("hash-max-listpack-entries", .integer(0...Int.max), "512"),
    open("set-max-intset-entries", .integer(0...Int.max), "512"),
    open("zset-max-listpack-entries", .integer(0...Int.max), "128"),
    open("stop-writes-on-bgsave-error", .yesNo, "yes"),
    open("activedefrag", .yesNo, "no"),
    open("lua-time-limit", .integer(0...Int.max), "5000"),
    open("busy-reply-threshold", .integer(0...Int.max), "5000"),
    open("cluster-require-full-coverage", .yesNo, "yes"),
    open("cluster-node-timeout", .integer(0...Int.max), "15000"),
  ]

  private static func fixed(
    _ name: String, _ kind: ParameterKind, _ initial: String
  ) -> ParameterSpec {
    ParameterSpec(name: name, kind: kind, initial: initial, isMutable: false)
  }

  private static func open(
    _ name: String, _ kind: ParameterKind, _ initial: String
  ) -> ParameterSpec {
    ParameterSpec(name: name, kind: kind, initial: initial, isMutable: true)
  }

  private var values: [String: String] = [:]

  public init() {}

  public static func spec(_ name: String) -> ParameterSpec? {
    let name = name.lowercased()
    return specs.first { $0.name == (aliases[name] ?? name) }
  }

  /// Names from before Redis 5.
  private static let aliases = ["slave-read-only": "replica-read-only"]

  /// The value as CONFIG GET shows it; nil for an unknown name.
  public subscript(name: String) -> String? {
    guard let spec = ParameterStore.spec(name) else { return nil }
    if case .secret = spec.kind { return spec.initial }
    return values[spec.name] ?? spec.initial
  }

  /// What `cluster-secret` holds; CONFIG GET does not show it.
  public var clusterSecret: String { values["cluster-secret"] ?? "" }

  /// The number that an integer or memory parameter holds.
  public func number(_ name: String) -> Int { Int(self[name] ?? "0") ?? 0 }

  public func isYes(_ name: String) -> Bool { self[name] == "yes" }

  /// Names that were given a value, in the order of the specs.
  public var given: [(name: String, value: String)] {
    ParameterStore.specs.compactMap { spec in values[spec.name].map { (spec.name, $0) } }
  }

  /// Takes a value; returns what is allowed when it is not. The texts are Redis's.
  public mutating func set(_ name: String, _ text: String) -> String? {
    guard let spec = ParameterStore.spec(name) else { return "unknown parameter" }
    switch spec.kind {
    case .text:
      values[spec.name] = text
    case .secret:
      guard text.isEmpty || text.utf8.count >= Limits.shortestSecret else {
        return "argument must have at least \(Limits.shortestSecret) bytes"
      }
      values[spec.name] = text
    case .yesNo:
      guard ["yes", "no"].contains(text.lowercased()) else {
        return "argument must be 'yes' or 'no'"
      }
      values[spec.name] = text.lowercased()
    case .integer(let range):
      guard let number = Int(text) else { return "argument couldn't be parsed into an integer" }
      guard range.contains(number) else {
        return "argument must be between \(range.lowerBound) and \(range.upperBound) inclusive"
      }
      values[spec.name] = "\(number)"
    case .memory:
      guard let bytes = ParameterStore.bytes(text) else { return "argument must be a memory value" }
      values[spec.name] = "\(bytes)"
    case .memoryAbove(let least):
      guard let bytes = ParameterStore.bytes(text) else { return "argument must be a memory value" }
      guard bytes >= least else {
        return "argument must be between \(least) and \(Int.max) inclusive"
      }
      values[spec.name] = "\(bytes)"
    case .memoryOrShare:
      if text.hasSuffix("%"), let share = Int(text.dropLast()), (0...100).contains(share) {
        values[spec.name] = text
        break
      }
      guard let bytes = ParameterStore.bytes(text) else {
        return "argument must be a memory or percent value"
      }
      values[spec.name] = "\(bytes)"
    case .outputLimits:
      var limits = OutputLimits()
      _ = limits.set(self[name] ?? "")
      if let error = limits.set(text) { return error }
      values[spec.name] = limits.text
    case .savePoints:
      let numbers = text.split(separator: " ").map { Int($0) ?? -1 }
      guard numbers.count % 2 == 0, numbers.allSatisfy({ $0 >= 0 }),
        stride(from: 0, to: numbers.count, by: 2).allSatisfy({ numbers[$0] >= 1 })
      else { return "Invalid save parameters" }
      values[spec.name] = text
    case .eventClasses:
      guard let canonical = ParameterStore.eventClasses(text) else {
        return "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
      }
      values[spec.name] = canonical
    case .percentiles:
      let words = text.split(separator: " ")
      let numbers = words.compactMap { ParameterStore.millionths(percent: $0) }
      guard numbers.count == words.count else { return "Invalid \(spec.name) parameters" }
      guard numbers.allSatisfy({ $0 <= 1_000_000 }) else {
        return "\(spec.name) parameters should sit between [0.0,100.0]"
      }
      values[spec.name] = numbers.map { ParameterStore.percent($0) }.joined(separator: " ")
    case .choice(let allowed):
      guard allowed.contains(text.lowercased()) else {
        return "argument(s) must be one of the following: " + allowed.joined(separator: ", ")
      }
      values[spec.name] = text.lowercased()
    }
    return nil
  }

  /// The letters in Redis's order, with `A` for all that it stands for; nil for an unknown one.
  private static func eventClasses(_ text: String) -> String? {
    let all = "g$lshzxetd"
    var letters = Set(text)
    guard letters.isSubset(of: Set("Ag$lshzxeKEtmdn")) else { return nil }
    if letters.contains("A") { letters.formUnion(all) }
    var canonical = letters.isSuperset(of: all) ? "A" : String(all.filter(letters.contains))
    canonical += String("KEmn".filter(letters.contains))
    return canonical
  }

  /// `99.9` in millionths of the whole; nil when it is no number. Beyond four decimals it is cut.
  public static func millionths(percent text: some StringProtocol) -> Int? {
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = Int(parts[0]), (0...1_000_000).contains(whole) else { return nil }
    guard parts.count > 1 else { return whole * 10_000 }
    let decimals = parts[1].prefix(4)
    guard parts[1].allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
    let padded = decimals + String(repeating: "0", count: 4 - decimals.count)
    return Int(padded).map { whole * 10_000 + $0 }
  }

  /// The reverse, in the shortest form.
  public static func percent(_ millionths: Int) -> String {
    guard millionths % 10_000 > 0 else { return "\(millionths / 10_000)" }
    var decimals = "\(millionths % 10_000)"
    decimals = String(repeating: "0", count: 4 - decimals.count) + decimals
    while decimals.hasSuffix("0") { decimals.removeLast() }
    return "\(millionths / 10_000).\(decimals)"
  }

  /// Whether nobody may read the value where commands are shown.
  public static func isSecret(_ name: String) -> Bool {
    [
      "requirepass", "masterauth", "masteruser", "cluster-secret", "tls-key-file-pass",
      "tls-client-key-file-pass",
    ].contains(name)
  }

  /// `100mb`, `1g`, `512`: Redis's units, where `k` is 1000 and `kb` 1024.
  public static func bytes(_ text: String) -> Int? {
    let text = text.lowercased()
    let digits = text.prefix { $0.isNumber }
    let factors = [
      "": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 1_000_000, "mb": 1 << 20, "g": 1_000_000_000,
      "gb": 1 << 30,
    ]
    guard let number = Int(digits), let factor = factors[String(text.dropFirst(digits.count))]
    else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : product
  }
}
