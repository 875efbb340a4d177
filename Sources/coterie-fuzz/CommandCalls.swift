import Primitives

/// What a reply has to be.
enum Expected {
  case exactly([UInt8])
  /// One whole reply whose strings are these, in any order; or each of them among them.
  case strings([[UInt8]])
  case among([[UInt8]])
  case count(atLeast: Int, atMost: Int)
  /// Whatever it is, the model learns the key's value and deadline from the node.
  case learned
  /// A scan that goes on until its cursor is 0 and then has seen these, without duplicates.
  case scan([[UInt8]])
  case versionedGet(CommandModel.Key)
  case newToken(CommandModel.Key, value: [UInt8])
}

/// One call and what the model says of it. `model` has changed already.
struct DataCall {
  var words: [[UInt8]]
  var expected: Expected

  init(_ words: [[UInt8]], _ expected: Expected) {
    self.words = words
    self.expected = expected
  }

  init(_ words: [[UInt8]], reply: [UInt8]) { self.init(words, .exactly(reply)) }
}

/// The bytes of a script, drawn from one after the other; zeros behind its end.
struct Draw {
  private var rest: ArraySlice<UInt8>
  /// Keys of one slot, for commands that need that among several nodes.
  var isAlone = true
  /// The last token of each sibling key, by database.
  var tokens: [Int: [CommandModel.Key: (token: [UInt8], seen: Set<Int>)]] = [:]
  var writes = 0

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  mutating func below(_ bound: Int) -> Int {
    let wide = bound > 256 ? Int(byte()) << 8 : 0
    return (wide | Int(byte())) % bound
  }

  mutating func pick<Element>(_ list: [Element]) -> Element { list[below(list.count)] }

  mutating func word(_ list: [String]) -> [UInt8] { Array(pick(list).utf8) }

  mutating func key() -> [UInt8] { pick(Draw.keys) }

  static let keys: [[UInt8]] =
    ["a", "b", "k:1", "k:2", "{t}x", "{t}y", "", "long"].map { Array($0.utf8) } + [
      [0, 13, 10, 255]
    ]
  static let siblingKeys = ["sib:1", "sib:2"].map { Array($0.utf8) }

  mutating func value() -> [UInt8] {
    switch below(16) {
    case 0: []
    case 1: Array("9223372036854775807".utf8)
    case 2: Array("-9223372036854775808".utf8)
    case 3: [0, 13, 10, 200, byte()]
    case 4: Array(repeating: byte(), count: 40 + below(600))
    case 5: Array(repeating: byte(), count: below(64) == 0 ? 100_000 : 45)
    case 6: word(["01", " 1", "1.5", "+1", "-0", "1e3", "inf"])
    case 7...10: Array("\(Int8(bitPattern: byte()))".utf8)
    default: Array("v\(byte())".utf8)
    }
  }

  /// A deadline's option as words, and as Unix milliseconds.
  mutating func deadline(_ now: UInt64) -> (words: [[UInt8]], at: UInt64) {
    let ahead = UInt64(1 + below(5000))
    switch below(4) {
    case 0: return ([Array("EX".utf8), Array("\(ahead)".utf8)], now + ahead * 1000)
    case 1: return ([Array("px".utf8), Array("\(ahead)".utf8)], now + ahead)
    case 2:
      let at = below(8) == 0 ? 1 : now / 1000 + ahead
      return ([Array("EXAT".utf8), Array("\(at)".utf8)], at * 1000)
    default: return ([Array("PXAT".utf8), Array("\(now + ahead)".utf8)], now + ahead)
    }
  }
}

/// Makes a call and its prediction, and changes the model.
typealias DataGenerator = @Sendable (inout Draw, inout CommandModel) -> DataCall

private func words(_ name: String, _ rest: [UInt8]...) -> [[UInt8]] { [Array(name.utf8)] + rest }
private func text(_ number: Int) -> [UInt8] { Array("\(number)".utf8) }

/// Commands on keys: the model says what they answer.
let dataCommands: [(name: String, make: DataGenerator)] =
  stringCommands + numberCommands + keyCommands + expiryCommands + wholeCommands + siblingCommands

private let stringCommands: [(name: String, make: DataGenerator)] = [
  (
    "get",
    { draw, model in
      let key = draw.key()
      return DataCall(words("GET", key), reply: Predicted.bulk(model[key]?.value))
    }
  ),
  ("set", { draw, model in makeSet(&draw, &model) }),
  (
    "setnx",
    { draw, model in
      let (key, value) = (draw.key(), draw.value())
      let isNew = model[key] == nil
      if isNew { model[key] = .init(value: value) }
      return DataCall(words("SETNX", key, value), reply: Predicted.integer(isNew ? 1 : 0))
    }
  ),
  (
    "setex",
    { draw, model in
      let (key, seconds, value) = (draw.key(), 1 + draw.below(9), draw.value())
      model[key] = .init(value: value, deadline: model.now + UInt64(seconds) * 1000)
      return DataCall(words("SETEX", key, text(seconds), value), reply: Predicted.ok)
    }
  ),
  (
    "psetex",
    { draw, model in
      let (key, time, value) = (draw.key(), 1 + draw.below(3000), draw.value())
      model[key] = .init(value: value, deadline: model.now + UInt64(time))
      return DataCall(words("PSETEX", key, text(time), value), reply: Predicted.ok)
    }
  ),
  (
    "getset",
    { draw, model in
      let (key, value) = (draw.key(), draw.value())
      let old = model[key]?.value
      model[key] = .init(value: value)
      return DataCall(words("GETSET", key, value), reply: Predicted.bulk(old))
    }
  ),
  (
    "getdel",
    { draw, model in
      let key = draw.key()
      let old = model[key]?.value
      model[key] = nil
      return DataCall(words("GETDEL", key), reply: Predicted.bulk(old))
    }
  ),
  ("getex", { draw, model in makeGetEx(&draw, &model) }),
  (
    "mget",
    { draw, model in
      let keys = (0...draw.below(5)).map { _ in draw.key() }
      return DataCall(
        words("MGET") + keys, reply: Predicted.array(keys.map { model[$0]?.value }))
    }
  ),
  (
    "mset",
    { draw, model in
      let pairs = (0...draw.below(4)).map { _ in [draw.key(), draw.value()] }
      for pair in pairs { model[pair[0]] = .init(value: pair[1]) }
      return DataCall(words("MSET") + pairs.flatMap { $0 }, reply: Predicted.ok)
    }
  ),
  (
    "msetnx",
    { draw, model in
      let tagged = ["{t}x", "{t}y"].map { Array($0.utf8) }
      let pairs = (0...draw.below(3)).map { _ in
        [draw.isAlone ? draw.key() : draw.pick(tagged), draw.value()]
      }
      let isFree = pairs.allSatisfy { model[$0[0]] == nil }
      if isFree { for pair in pairs { model[pair[0]] = .init(value: pair[1]) } }
      return DataCall(
        words("MSETNX") + pairs.flatMap { $0 }, reply: Predicted.integer(isFree ? 1 : 0))
    }
  ),
  (
    "strlen",
    { draw, model in
      let key = draw.key()
      return DataCall(
        words("STRLEN", key), reply: Predicted.integer(model[key]?.value.count ?? 0))
    }
  ),
  (
    "append",
    { draw, model in
      let (key, value) = (draw.key(), draw.value())
      return DataCall(words("APPEND", key, value), reply: model.append(key, value))
    }
  ),
  (
    "setrange",
    { draw, model in
      let (key, value) = (draw.key(), draw.value())
      let offset = draw.pick([0, 1, draw.below(2000), -1, 1 << 30])
      return DataCall(
        words("SETRANGE", key, text(offset), value), reply: model.setRange(key, offset, value))
    }
  ),
  ("getrange", { draw, model in makeRange("GETRANGE", &draw, model) }),
  ("substr", { draw, model in makeRange("SUBSTR", &draw, model) }),
]

private func makeRange(_ name: String, _ draw: inout Draw, _ model: CommandModel) -> DataCall {
  let key = draw.key()
  let ends = (0..<2).map { _ in
    draw.pick([Int(Int8(bitPattern: draw.byte())), 0, -1, Int.max, Int.min + 1])
  }
  return DataCall(
    words(name, key, text(ends[0]), text(ends[1])), reply: model.range(key, ends[0], ends[1]))
}

private func makeSet(_ draw: inout Draw, _ model: inout CommandModel) -> DataCall {
  let (key, value, options) = (draw.key(), draw.value(), draw.byte())
  let old = model[key]
  var call = words("SET", key, value)
  var deadline: UInt64 = 0
  switch options & 3 {
  case 1:
    let chosen = draw.deadline(model.now)
    call += chosen.words
    deadline = chosen.at
  case 2:
    call.append(Array("KEEPTTL".utf8))
    deadline = old?.deadline ?? 0
  default: break
  }
  var isDone = true
  switch options >> 2 & 3 {
  case 1:
    call.append(Array("nx".utf8))
    isDone = old == nil
  case 2:
    call.append(Array("XX".utf8))
    isDone = old != nil
  default: break
  }
  if isDone { model[key] = .init(value: value, deadline: deadline) }
  if options >> 4 & 3 == 1 {
    call.append(Array("GET".utf8))
    return DataCall(call, reply: Predicted.bulk(old?.value))
  }
  return DataCall(call, reply: isDone ? Predicted.ok : Predicted.none)
}

private func makeGetEx(_ draw: inout Draw, _ model: inout CommandModel) -> DataCall {
  let key = draw.key()
  let old = model[key]
  var call = words("GETEX", key)
  switch draw.below(3) {
  case 1:
    let chosen = draw.deadline(model.now)
    call += chosen.words
    if let old {
      model[key] = chosen.at <= model.now ? nil : .init(value: old.value, deadline: chosen.at)
    }
  case 2:
    call.append(Array("PERSIST".utf8))
    if let old { model[key] = .init(value: old.value) }
  default: break
  }
  return DataCall(call, reply: Predicted.bulk(old?.value))
}

private let numberCommands: [(name: String, make: DataGenerator)] = [
  (
    "incr",
    { draw, model in
      let key = draw.key()
      return DataCall(words("INCR", key), reply: model.increment(key, by: 1))
    }
  ),
  (
    "decr",
    { draw, model in
      let key = draw.key()
      return DataCall(words("DECR", key), reply: model.increment(key, by: -1))
    }
  ),
  (
    "incrby",
    { draw, model in
      let (key, step) = (draw.key(), draw.pick([0, draw.below(3000), -7, Int.max, Int.min]))
      return DataCall(words("INCRBY", key, text(step)), reply: model.increment(key, by: step))
    }
  ),
  (
    "decrby",
    { draw, model in
      let (key, step) = (draw.key(), draw.pick([0, draw.below(3000), -7, Int.max]))
      return DataCall(words("DECRBY", key, text(step)), reply: model.increment(key, by: -step))
    }
  ),
  (
    "incrbyfloat",
    { draw, model in
      let step = draw.word(["1", "0.5", "-1.25", "1e3", "nan", "inf", "1e400", "x"])
      return DataCall(words("INCRBYFLOAT", draw.key(), step), .learned)
    }
  ),
]

private let keyCommands: [(name: String, make: DataGenerator)] = [
  ("del", { draw, model in makeRemoval("DEL", &draw, &model) }),
  ("unlink", { draw, model in makeRemoval("UNLINK", &draw, &model) }),
  ("exists", { draw, model in makeCount("EXISTS", &draw, model) }),
  ("touch", { draw, model in makeCount("TOUCH", &draw, model) }),
  (
    "type",
    { draw, model in
      let key = draw.key()
      let reply = Array((model[key] == nil ? "+none\r\n" : "+string\r\n").utf8)
      return DataCall(words("TYPE", key), reply: reply)
    }
  ),
]

private func makeRemoval(
  _ name: String, _ draw: inout Draw, _ model: inout CommandModel
) -> DataCall {
  let keys = (0...draw.below(4)).map { _ in draw.key() }
  var count = 0
  for key in keys {
    if model[key] != nil { count += 1 }
    model[key] = nil
  }
  return DataCall(words(name) + keys, reply: Predicted.integer(count))
}

private func makeCount(_ name: String, _ draw: inout Draw, _ model: CommandModel) -> DataCall {
  let keys = (0...draw.below(4)).map { _ in draw.key() }
  return DataCall(words(name) + keys, reply: Predicted.integer(keys.count { model[$0] != nil }))
}

private let expiryCommands: [(name: String, make: DataGenerator)] = [
  ("expire", { draw, model in makeExpire("EXPIRE", 1000, isRelative: true, &draw, &model) }),
  ("pexpire", { draw, model in makeExpire("PEXPIRE", 1, isRelative: true, &draw, &model) }),
  ("expireat", { draw, model in makeExpire("EXPIREAT", 1000, isRelative: false, &draw, &model) }),
  ("pexpireat", { draw, model in makeExpire("PEXPIREAT", 1, isRelative: false, &draw, &model) }),
  (
    "ttl",
    { draw, model in
      let (key, now) = (draw.key(), Int(model.now))
      return DataCall(
        words("TTL", key), reply: model.timeToLive(key) { ($0 - now + 500) / 1000 })
    }
  ),
  (
    "pttl",
    { draw, model in
      let (key, now) = (draw.key(), Int(model.now))
      return DataCall(words("PTTL", key), reply: model.timeToLive(key) { $0 - now })
    }
  ),
  (
    "expiretime",
    { draw, model in
      let key = draw.key()
      return DataCall(
        words("EXPIRETIME", key), reply: model.timeToLive(key) { ($0 + 500) / 1000 })
    }
  ),
  (
    "pexpiretime",
    { draw, model in
      let key = draw.key()
      return DataCall(words("PEXPIRETIME", key), reply: model.timeToLive(key) { $0 })
    }
  ),
  (
    "persist",
    { draw, model in
      let key = draw.key()
      let old = model[key]
      if let old { model[key] = .init(value: old.value) }
      let isMortal = old.map { $0.deadline != 0 } ?? false
      return DataCall(words("PERSIST", key), reply: Predicted.integer(isMortal ? 1 : 0))
    }
  ),
]

private func makeExpire(
  _ name: String, _ unit: Int, isRelative: Bool, _ draw: inout Draw, _ model: inout CommandModel
) -> DataCall {
  let (key, option) = (draw.key(), draw.pick(["", "", "NX", "XX", "GT", "LT"]))
  let ahead = draw.pick([0, -1, 1, draw.below(5000), -100_000])
  let given = isRelative ? ahead : Int(model.now) / unit + ahead
  let when = given * unit + (isRelative ? Int(model.now) : 0)
  let call = words(name, key, text(given)) + (option.isEmpty ? [] : [Array(option.utf8)])
  return DataCall(call, reply: model.expire(key, at: when, option))
}

private let wholeCommands: [(name: String, make: DataGenerator)] = [
  (
    "scan",
    { draw, model in
      let options = draw.byte()
      var call = words("SCAN", text(0))
      if options & 1 == 1 { call += words("COUNT", text(1 + draw.below(20))) }
      let pattern = options & 2 == 0 ? nil : draw.word(patterns)
      if let pattern { call += words("MATCH", pattern) }
      if options & 12 == 12 { call += words("TYPE", Array("string".utf8)) }
      return DataCall(call, .scan(model.keys.filter { matches($0, pattern) }))
    }
  ),
  (
    "keys",
    { draw, model in
      let pattern = draw.word(patterns)
      return DataCall(
        words("KEYS", pattern), .strings(model.keys.filter { matches($0, pattern) }))
    }
  ),
  (
    "randomkey",
    { _, model in
      DataCall(
        words("RANDOMKEY"), model.keys.isEmpty ? .exactly(Predicted.none) : .among(model.keys))
    }
  ),
  (
    "dbsize",
    { _, model in
      let count = model.keys.count
      return DataCall(words("DBSIZE"), .count(atLeast: count, atMost: count + model.passed))
    }
  ),
  (
    "flushdb",
    { draw, model in
      model.flush(all: false)
      return DataCall(words("FLUSHDB") + draw.pick([[], words("ASYNC")]), reply: Predicted.ok)
    }
  ),
  (
    "flushall",
    { draw, model in
      model.flush(all: true)
      return DataCall(words("FLUSHALL") + draw.pick([[], words("sync")]), reply: Predicted.ok)
    }
  ),
  (
    "select",
    { draw, model in
      let number = draw.pick([0, 0, 1, 15, 16, -1])
      guard (0...15).contains(number) else {
        return DataCall(
          words("SELECT", text(number)), reply: Predicted.error("ERR DB index is out of range"))
      }
      model.database = number
      return DataCall(words("SELECT", text(number)), reply: Predicted.ok)
    }
  ),
  (
    "echo",
    { draw, _ in
      let value = draw.value()
      return DataCall(words("ECHO", value), reply: Predicted.bulk(value))
    }
  ),
  (
    "ping",
    { draw, _ in
      let value = draw.value()
      return DataCall(words("PING", value), reply: Predicted.bulk(value))
    }
  ),
]

private let patterns = ["*", "k:*", "?", "{t}*", "[ab]", "[^a]*", "nothing", "", "*\\:*1"]

private func matches(_ key: [UInt8], _ pattern: [UInt8]?) -> Bool {
  guard let pattern else { return true }
  return withExactCopy(of: pattern) { pattern in
    withExactCopy(of: key) { globMatch(pattern: pattern, $0, ignoringCase: false) }
  }
}

/// In the keyspace that keeps siblings.
private let siblingCommands: [(name: String, make: DataGenerator)] = [
  (
    "vget",
    { draw, model in
      let key = draw.pick(Draw.siblingKeys)
      return DataCall(words("VGET", key), .versionedGet(key))
    }
  ),
  (
    "vset",
    { draw, model in
      let (key, value) = (draw.pick(Draw.siblingKeys), draw.value())
      let known = draw.below(4) == 0 ? nil : draw.tokens[model.database]?[key]
      for number in known?.seen ?? [] { model.siblings[key]?[number] = nil }
      draw.writes += 1
      model.siblings[key, default: [:]][draw.writes] = value
      let call = words("VSET", key, value, Array("CONTEXT".utf8), known?.token ?? [])
      return DataCall(call, .newToken(key, value: value))
    }
  ),
  (
    "vdel",
    { draw, model in
      let key = draw.pick(Draw.siblingKeys)
      let known = draw.tokens[model.database]?[key]
      let before = model.siblings[key]?.count ?? 0
      for number in known?.seen ?? [] { model.siblings[key]?[number] = nil }
      let removed = before - (model.siblings[key]?.count ?? 0)
      return DataCall(
        words("VDEL", key, Array("context".utf8), known?.token ?? []),
        reply: Predicted.integer(removed))
    }
  ),
]
