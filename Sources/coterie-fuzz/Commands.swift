import Commands
import Primitives

// A script: one byte of options, then a command after the other, each drawn from the bytes. Commands
// on keys (`CommandCalls`) go to one node or to any of three and must answer what a model says
// (`CommandModel`). All others, `administrativeCommands`, are given what is drawn for words: they
// must answer with one whole reply each and leave the keys alone. In between time passes.
//
//     options     bit 0: three nodes, else one; bit 1: users are kept in a file
//     command     its number in `Script.commands`, then what it draws
//     255         time passes
//
// Every command of the table has a place in one of the two lists: the program ends at its start when
// one is missing, or when one is listed that the table does not have. Whoever adds a command adds it
// here; to `administrativeCommands` if its reply can't be foretold.
//
// Each administrative call has a connection of its own, for it may close it, change its protocol
// or its user.

/// Commands that are run with any words. Subcommands are named as in the table; a container's own
/// name stands for a subcommand that there is not.
let administrativeCommands = [
  "hello", "quit", "reset", "auth", "readonly", "readwrite", "client", "client|id", "client|info",
  "client|list", "client|getname", "client|setname", "client|setinfo", "client|kill",
  "client|reply", "client|no-evict", "client|no-touch", "client|pause", "client|unpause",
  "client|unblock", "client|trackinginfo", "client|getredir", "client|help", "object",
  "object|encoding", "object|freq", "object|idletime", "object|refcount", "object|help", "time",
  "role", "command", "command|count", "command|info", "command|docs", "command|list",
  "command|getkeys", "command|getkeysandflags", "command|help", "info", "config", "config|get",
  "config|set", "config|rewrite", "config|resetstat", "config|help", "acl", "acl|cat",
  "acl|deluser", "acl|dryrun", "acl|genpass", "acl|getuser", "acl|help", "acl|list", "acl|load",
  "acl|log", "acl|save", "acl|setuser", "acl|users", "acl|whoami", "memory", "memory|usage",
  "memory|stats", "memory|help", "wait", "shutdown", "cluster", "cluster|info", "cluster|myid",
  "cluster|nodes", "cluster|slots", "cluster|shards", "cluster|keyslot",
  "cluster|countkeysinslot", "cluster|getkeysinslot", "cluster|meet", "cluster|leave",
  "cluster|forget", "cluster|preflist", "cluster|hints", "cluster|transfers", "cluster|help",
  "slowlog", "slowlog|get", "slowlog|len", "slowlog|reset", "slowlog|help", "latency",
  "latency|latest", "latency|history", "latency|reset", "latency|histogram", "latency|doctor",
  "latency|graph", "latency|help", "monitor", "debug",
]

/// Runs a script. Ends the process when a reply is not what the model says.
func checkCommands(_ bytes: [UInt8]) {
  guard let options = bytes.first else { return }
  var script = Script(bytes.dropFirst(), options)
  script.run()
}

/// Ends the process when the table and the lists name other commands.
func checkThatAllCommandsTakePart() {
  let listed = Set(dataCommands.map(\.name) + administrativeCommands)
  property(
    listed.count == dataCommands.count + administrativeCommands.count, "a command is listed twice")
  let known = Set(CommandTable().commands.flatMap { [$0.name] + $0.subcommands.map(\.name) })
  let missing = known.subtracting(listed).sorted().joined(separator: " ")
  property(missing.isEmpty, "Sources/coterie-fuzz/Commands.swift gives no words to: \(missing)")
  let unknown = listed.subtracting(known).sorted().joined(separator: " ")
  property(unknown.isEmpty, "commands that the table does not have: \(unknown)")
}

/// One for each command, first thing in its script, alone and among three; what follows is random.
let commandSeeds: [[UInt8]] = {
  checkThatAllCommandsTakePart()
  var generator = SeededGenerator(seed: 0xc0de)
  return (0..<Script.commandCount).map { number in
    [UInt8(number & 3), UInt8(number)]
      + (0..<160).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
  }
}()

struct Script {
  static let commandCount = dataCommands.count + administrativeCommands.count
  /// Commands of one script.
  private static let longest = 96

  private var draw: Draw
  private var model = CommandModel()
  private let pump: CommandPump
  /// A connection a node, for the commands on keys.
  private var clients: [CommandPump.Client] = []
  private var history: [String] = []

  init(_ bytes: ArraySlice<UInt8>, _ options: UInt8) {
    draw = Draw(bytes)
    draw.isAlone = options & 1 == 0
    pump = CommandPump(nodes: draw.isAlone ? 1 : 3, hasUserFile: options & 2 != 0)
    clients = pump.nodes.indices.map { [pump] in pump.connect(to: $0) }
  }

  mutating func run() {
    for _ in 0..<Script.longest where !draw.isAtEnd {
      let number = Int(draw.byte())
      model.now = pump.milliseconds
      if number == 255 {
        letTimePass()
      } else if number % Script.commandCount < dataCommands.count {
        runData(dataCommands[number % Script.commandCount].make)
      } else {
        runAdministrative(administrativeCommands[number % Script.commandCount - dataCommands.count])
      }
    }
    checkKeys()
    for node in pump.nodes { node.checkInvariants() }
  }

  private mutating func letTimePass() {
    let most = draw.isAlone ? 60_000 : 2_000
    let milliseconds = draw.pick([1, draw.below(300), draw.below(most)])
    note("\(milliseconds) ms pass")
    pump.advance(milliseconds: UInt64(milliseconds))
    model.now = pump.milliseconds
  }

  // MARK: Commands on keys

  private mutating func runData(_ make: DataGenerator) {
    let call = make(&draw, &model)
    let place = draw.below(clients.count)
    note(call.words, at: place)
    let reply = answer(to: call.words, at: place)
    switch call.expected {
    case .exactly(let bytes): expect(reply == bytes, reply, "the model says \(shown(bytes))")
    case .strings(let strings): expectStrings(CommandReply.strings(reply), strings, reply)
    case .among(let strings):
      let found = CommandReply.strings(reply) ?? []
      expect(found.count == 1 && strings.contains(found[0]), reply, "no living key")
    case .count(let least, let most):
      let found = Int(String(decoding: reply.dropFirst().dropLast(2), as: UTF8.self)) ?? -1
      expect((least...most).contains(found), reply, "the model has \(least) to \(most)")
    case .learned:
      expect(CommandReply.count(reply) == 1, reply, "not one reply")
      learn(call.words[1], at: place)
    case .scan(let keys): goOn(call.words, reply, expecting: keys, at: place)
    case .versionedGet(let key): expectSiblings(of: key, reply)
    case .newToken(let key, _):
      let strings = CommandReply.strings(reply) ?? []
      expect(strings.count == 1 && reply[0] == 36, reply, "no token")
      _ = key
    }
    if let name = call.words.first, name == Array("SELECT".utf8), reply == Predicted.ok {
      for other in clients.indices where other != place {
        expect(answer(to: call.words, at: other) == reply, reply, "not selected everywhere")
      }
    }
  }

  /// Sends one command and waits for its reply.
  private mutating func answer(to words: [[UInt8]], at place: Int) -> [UInt8] {
    if pump.isClosed.contains(clients[place]) { reconnect(place) }
    pump.send(encoded(words), from: clients[place])
    return pump.take(clients[place])
  }

  /// Somebody has killed the connection.
  private mutating func reconnect(_ place: Int) {
    pump.disconnect(clients[place])
    clients[place] = pump.connect(to: place)
    pump.send(
      encoded([Array("SELECT".utf8), Array("\(model.database)".utf8)]), from: clients[place])
    let reply = pump.take(clients[place])
    expect(reply == Predicted.ok, reply, "a new connection can't select")
  }

  private func encoded(_ words: [[UInt8]]) -> [UInt8] {
    written { buffer in
      buffer.appendArrayHeader(words.count)
      for word in words { buffer.appendBulk(word) }
    }
  }

  /// Takes value and deadline from the node.
  private mutating func learn(_ key: [UInt8], at place: Int) {
    let reply = answer(to: [Array("GET".utf8), key], at: place)
    let deadline = model[key]?.deadline ?? 0
    model[key] = CommandReply.strings(reply)?.first.map { .init(value: $0, deadline: deadline) }
  }

  private mutating func goOn(
    _ words: [[UInt8]], _ first: [UInt8], expecting keys: [[UInt8]], at place: Int
  ) {
    var words = words
    var found: [[UInt8]] = []
    var reply = first
    for _ in 0..<1000 {
      guard let strings = CommandReply.strings(reply), let cursor = strings.first else {
        return expect(false, reply, "no cursor")
      }
      found += strings.dropFirst()
      if cursor == Array("0".utf8) { return expectStrings(found, keys, reply) }
      words[1] = cursor
      reply = answer(to: words, at: draw.isAlone ? place : (place + 1) % clients.count)
    }
    expect(false, reply, "a scan without end")
  }

  private mutating func expectSiblings(of key: [UInt8], _ reply: [UInt8]) {
    let strings = CommandReply.strings(reply) ?? []
    guard strings.count >= 3, strings[0] == Array("context".utf8) else {
      return expect(false, reply, "no siblings")
    }
    let held = model.siblings[key] ?? [:]
    expectStrings(Array(strings.dropFirst(3)), Array(held.values), reply)
    draw.tokens[model.database, default: [:]][key] = (strings[1], Set(held.keys))
  }

  // MARK: All others

  private mutating func runAdministrative(_ name: String) {
    let place = draw.below(clients.count)
    let client = pump.connect(to: place)
    if draw.below(4) == 0 {
      pump.send(encoded([Array("HELLO".utf8), Array("3".utf8)]), from: client)
      _ = pump.take(client)
    }
    var words = administrativeWords(name, &draw)
    // A pause holds everybody, also who would end it: it is a short one, and waited for.
    let pauses = name == "client|pause" && words.count > 2
    if pauses { words[2] = Array("\(draw.below(50))".utf8) }
    note(words, at: place)
    pump.send(encoded(words), from: client)
    let reply = pump.take(client)
    // A client may ask for silence, and a server that stops may have nothing more to say.
    let least = name == "client|reply" || name == "shutdown" ? 0 : 1
    let count = CommandReply.count(reply)
    expect(count.map { (least...1).contains($0) } ?? false, reply, "not one reply")
    pump.disconnect(client)
    if pauses { pump.advance(milliseconds: 60) }
    checkSize()
  }

  private mutating func checkSize() {
    let reply = answer(to: [Array("DBSIZE".utf8)], at: 0)
    let count = Int(String(decoding: reply.dropFirst().dropLast(2), as: UTF8.self)) ?? -1
    let keys = model.keys.count
    expect((keys...keys + model.passed).contains(count), reply, "\(keys) keys should be there")
  }

  /// Every key, at every node.
  private mutating func checkKeys() {
    model.now = pump.milliseconds
    for place in clients.indices {
      for key in Draw.keys {
        let value = answer(to: [Array("GET".utf8), key], at: place)
        expect(value == Predicted.bulk(model[key]?.value), value, "\(shown(key)) at the end")
        let time = answer(to: [Array("PEXPIRETIME".utf8), key], at: place)
        expect(time == model.timeToLive(key) { $0 }, time, "time of \(shown(key)) at the end")
      }
      for key in Draw.siblingKeys {
        expectSiblings(of: key, answer(to: [Array("VGET".utf8), key], at: place))
      }
    }
  }

  // MARK: Findings

  private func expectStrings(_ found: [[UInt8]]?, _ strings: [[UInt8]], _ reply: [UInt8]) {
    let sorted = found?.sorted { $0.lexicographicallyPrecedes($1) }
    expect(
      sorted == strings.sorted { $0.lexicographicallyPrecedes($1) }, reply,
      "the model has \(strings.map { shown($0) })")
  }

  private mutating func note(_ words: [[UInt8]], at place: Int) {
    note("\(place): " + words.map { shown($0) }.joined(separator: " "))
  }

  private mutating func note(_ line: @autoclosure () -> String) { history.append(line()) }

  private func expect(_ condition: Bool, _ reply: [UInt8], _ words: String) {
    if condition { return }
    for line in history.suffix(40) { print("broken:   \(line)") }
    property(false, "\(history.last ?? ""): \(shown(reply)): \(words)")
  }
}

private func shown(_ bytes: [UInt8]) -> String {
  let text = bytes.prefix(80).map { byte in
    (33...126).contains(byte) ? String(UnicodeScalar(byte)) : "\\\(String(byte, radix: 16))"
  }
  return "'" + text.joined() + (bytes.count > 80 ? "…\(bytes.count)'" : "'")
}
