import Commands

/// The options and tokens of a command, from the table, beside words that fit many.
private let table = CommandTable()

/// A call of an administrative command: its name, and a few drawn words.
func administrativeWords(_ name: String, _ draw: inout Draw) -> [[UInt8]] {
  var words = name.split(separator: "|").map { Array($0.utf8) }
  let spec = table.command(named: name)
  switch name {
  case "config|set": return words + parameterPairs(&draw)
  case "acl|setuser": words.append(draw.word(["u", "v", "w w"]))
  // A node that leaves takes no commands any more.
  case "cluster|leave" where !draw.isAlone: words.append(Array("x".utf8))
  case "shutdown": words.append(draw.word(["NOSAVE", "SAVE", "ABORT", "NOW", "FORCE", "x"]))
  default: break
  }
  let tokens = spec.map { allTokens($0.arguments) } ?? []
  // Mostly as many words as it takes.
  let wanted = max(abs(spec?.arity ?? 2), words.count) + (spec.map { $0.arity < 0 } ?? true ? 2 : 0)
  let count = draw.below(4) == 0 ? draw.below(8) : draw.below(wanted - words.count + 1)
  for _ in 0..<count {
    words.append(
      tokens.isEmpty || draw.below(2) == 0 ? anyWord(&draw) : Array(draw.pick(tokens).utf8))
  }
  return words
}

private func allTokens(_ arguments: [ArgumentSpec]) -> [String] {
  arguments.flatMap { ($0.token.map { [$0] } ?? []) + allTokens($0.arguments) }
}

private func anyWord(_ draw: inout Draw) -> [UInt8] {
  switch draw.below(8) {
  case 0: draw.key()
  case 1: draw.value()
  case 2: draw.word(table.commands.map(\.name))
  default: draw.word(anyWords)
  }
}

/// No "default" among them: without its rights the model's connections could say nothing more.
private let anyWords = [
  "", "0", "1", "-1", "2", "3", "16383", "16384", "9223372036854775807", "9223372036854775808", "*",
  "id", "addr", "laddr", "type", "user", "skipme", "normal", "pubsub", "yes", "no", "on", "off",
  "skip", "127.0.0.1", "127.0.0.1:50000", "7001", "u", "v", "~*", "%R~k*", "+@all", "-@write",
  "+client|id", "(+get", "~a)", ">p", "<p", "nopass", "reset", "resetkeys", "#x", "&*", "filterby",
  "pattern", "aclcat", "module", "read", "all", "everything", "clients", "memory", "count",
  "samples",
  "max*", "keyspace.*", "[", "lib-name", "lib-ver", "timeout", "x y", "ünï", "auth", "setname",
]

/// Parameters that change nothing for the model; and some that are none.
private let harmless = [
  "timeout", "hz", "loglevel", "acllog-max-len", "maxmemory-samples", "lfu-log-factor",
  "lfu-decay-time", "slowlog-max-len", "slowlog-log-slower-than", "notify-keyspace-events", "save",
  "latency-monitor-threshold", "hint-memory", "port", "nosuch", "", "keyspace.zz.n",
  "keyspace.zz.w", "keyspace.zz.conflict", "keyspace.zz", "keyspace.", "appendonly",
]

private func parameterPairs(_ draw: inout Draw) -> [[UInt8]] {
  (0...draw.below(3)).flatMap { _ in
    let name = draw.word(harmless)
    // Idle clients are closed after this, and reconnect.
    return [name, draw.below(3) == 0 ? anyWord(&draw) : draw.word(["1", "3", "100", "yes", "Ex"])]
  }
}
