/// What a cache is to its clients, as plainly as it can be written: values and deadlines, by database
/// and key.
struct CommandModel {
  struct Entry: Equatable {
    var value: [UInt8]
    /// Unix milliseconds; 0: none.
    var deadline: UInt64 = 0
  }

  typealias Key = [UInt8]

  /// Unix milliseconds.
  var now: UInt64 = 0
  var database = 0
  private(set) var databases = Array(repeating: [Key: Entry](), count: 16)
  /// Siblings by database and key, of the keyspace that keeps them; each write has a number of its own.
  private(set) var allSiblings = Array(repeating: [Key: [Int: [UInt8]]](), count: 16)

  subscript(key: Key) -> Entry? {
    get {
      databases[database][key].flatMap { $0.deadline == 0 || $0.deadline > now ? $0 : nil }
    }
    set { databases[database][key] = newValue }
  }

  /// Those of the chosen database.
  var siblings: [Key: [Int: [UInt8]]] {
    get { allSiblings[database] }
    set { allSiblings[database] = newValue }
  }

  /// Keys that live, in the chosen database.
  var keys: [Key] {
    databases[database].keys.filter { self[$0] != nil }
      + siblings.filter { !$0.value.isEmpty }.map(\.key)
  }

  /// Those whose deadline has passed, and that nobody has looked at since, perhaps.
  var passed: Int { databases[database].keys.count { self[$0] == nil } }

  mutating func flush(all: Bool) {
    for number in databases.indices where all || number == database {
      databases[number] = [:]
      allSiblings[number] = [:]
    }
  }

  // MARK: Parts of commands

  /// A whole number as Redis reads it: nothing but its shortest form.
  static func integer(_ bytes: [UInt8]) -> Int? {
    let text = String(decoding: bytes, as: UTF8.self)
    return Int(text).flatMap { String($0) == text ? $0 : nil }
  }

  mutating func increment(_ key: Key, by step: Int) -> [UInt8] {
    let old = self[key]
    guard let number = old.map({ CommandModel.integer($0.value) }) ?? 0 else {
      return Predicted.error("ERR value is not an integer or out of range")
    }
    let (sum, overflow) = number.addingReportingOverflow(step)
    if overflow { return Predicted.error("ERR increment or decrement would overflow") }
    self[key] = Entry(value: Array("\(sum)".utf8), deadline: old?.deadline ?? 0)
    return Predicted.integer(sum)
  }

  mutating func append(_ key: Key, _ bytes: [UInt8]) -> [UInt8] {
    let old = self[key]
    self[key] = Entry(value: (old?.value ?? []) + bytes, deadline: old?.deadline ?? 0)
    return Predicted.integer(self[key]?.value.count ?? 0)
  }

  mutating func setRange(_ key: Key, _ offset: Int, _ bytes: [UInt8]) -> [UInt8] {
    if offset < 0 { return Predicted.error("ERR offset is out of range") }
    let old = self[key]
    var value = old?.value ?? []
    if bytes.isEmpty { return Predicted.integer(value.count) }
    if offset + bytes.count > 512 << 20 {
      return Predicted.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    }
    let end = offset + bytes.count
    if value.count < end { value += Array(repeating: 0, count: end - value.count) }
    value.replaceSubrange(offset..<end, with: bytes)
    self[key] = Entry(value: value, deadline: old?.deadline ?? 0)
    return Predicted.integer(value.count)
  }

  func range(_ key: Key, _ start: Int, _ end: Int) -> [UInt8] {
    let value = self[key]?.value ?? []
    if start < 0, end < 0, start > end { return Predicted.bulk([]) }
    let first = max(0, start < 0 ? value.count + start : start)
    let last = min(value.count - 1, max(0, end < 0 ? value.count + end : end))
    return Predicted.bulk(first > last ? [] : Array(value[first...last]))
  }

  /// EXPIRE and its kin, at a deadline that may lie in the past.
  mutating func expire(_ key: Key, at when: Int, _ option: String) -> [UInt8] {
    guard let entry = self[key] else { return Predicted.integer(0) }
    let current = Int(entry.deadline)
    let isAllowed =
      switch option {
      case "NX": current == 0
      case "XX": current != 0
      case "GT": current != 0 && when > current
      case "LT": current == 0 || when < current
      default: true
      }
    guard isAllowed else { return Predicted.integer(0) }
    self[key] = when <= Int(now) ? nil : Entry(value: entry.value, deadline: UInt64(when))
    return Predicted.integer(1)
  }

  func timeToLive(_ key: Key, _ answer: (Int) -> Int) -> [UInt8] {
    guard let entry = self[key] else { return Predicted.integer(-2) }
    return Predicted.integer(entry.deadline == 0 ? -1 : answer(Int(entry.deadline)))
  }
}
