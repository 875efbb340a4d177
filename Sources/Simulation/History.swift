import Objects

// # Checkers
//
// What must hold, whatever happened (shared/LESSONS.md, second table):
//
//   order        a connection's commands on keys of its own answer as if run one after another
//   register     with R+W>N a read that starts after an acknowledged write sees it or a later one
//   siblings     a value that was acknowledged lives until a write whose context covered it, and
//                not after such a write was acknowledged
//   death        no deleted key and no expired one is seen again
//   identity     one version is one write: the same value and the same deadline wherever it is seen
//   highest      of the versions of a key that some node held, the highest that survived remains
//   answers      while enough owners of a key are in touch, commands on it succeed
//   convergence  owners hold the same bytes, as many copies as N says
//   liveness     after the heal, every command succeeds
//
// Each is switched off where its promise was not made: register where quorums do not meet, for
// instance. `Sabotage` plants the bugs that show that each can fail.

/// The writes and reads of keys that all clients share.
struct History {
  struct Write {
    var value: String
    var start: UInt64
    /// When it was acknowledged.
    var end: UInt64?
  }

  private(set) var writes: [String: [Write]] = [:]
  private var versions: [String: Version] = [:]

  mutating func began(_ key: String, _ value: String, at time: UInt64) {
    writes[key, default: []].append(Write(value: value, start: time, end: nil))
  }

  mutating func acknowledged(_ key: String, _ value: String, at time: UInt64) {
    guard let index = writes[key]?.firstIndex(where: { $0.value == value }) else { return }
    writes[key]?[index].end = time
  }

  /// Judges a read that began at `start`; returns what is wrong with it.
  mutating func read(
    _ key: String, _ value: String?, _ version: Version, start: UInt64, writesMeet: Bool
  ) -> String? {
    let all = writes[key] ?? []
    let before = all.filter { ($0.end ?? .max) < start }
    guard let value else {
      guard let lost = before.first else { return nil }
      return "\(key): a read at \(start) found nothing; \(lost.value) was acknowledged before"
    }
    guard let seen = all.first(where: { $0.value == value }) else {
      return "\(key): a read found \(value), which nobody wrote"
    }
    versions[value] = version
    for write in before where write.value != value {
      if writesMeet, let end = seen.end, end < write.start {
        return "\(key): a read at \(start) found \(value), acknowledged at \(end); "
          + "\(write.value) was written after that and acknowledged at \(write.end ?? 0)"
      }
      if let later = versions[write.value], later > version {
        return "\(key): a read at \(start) found \(value), older than the acknowledged "
          + "\(write.value)"
      }
    }
    return nil
  }
}

/// The acknowledged values of siblings keys.
struct SiblingHistory {
  private var acknowledged: [String: Set<String>] = [:]
  private var covered: [String: Set<String>] = [:]
  private var replaced: [String: Set<String>] = [:]
  private(set) var added: [String: Int] = [:]

  mutating func began(_ key: String) { added[key, default: 0] += 1 }

  mutating func acknowledged(_ key: String, _ value: String) {
    acknowledged[key, default: []].insert(value)
  }

  /// A write went out whose context covers these.
  mutating func covers(_ key: String, _ values: [String]) {
    covered[key, default: []].formUnion(values)
  }

  /// That write was acknowledged.
  mutating func replaced(_ key: String, _ values: [String]) {
    replaced[key, default: []].formUnion(values)
  }

  var keys: [String] { added.keys.sorted() }

  /// What is wrong with `found`, read when all was quiet; nil when nothing is.
  func problem(_ key: String, _ found: Set<String>) -> String? {
    let lost = (acknowledged[key] ?? []).subtracting(covered[key] ?? []).subtracting(found)
    if !lost.isEmpty { return "\(key): acknowledged siblings are gone: \(lost.sorted())" }
    let back = (replaced[key] ?? []).intersection(found)
    return back.isEmpty ? nil : "\(key): replaced siblings are back: \(back.sorted())"
  }
}

/// Keys that are written once and may then be deleted, by the same client, and never written again.
struct DeletionHistory {
  /// Acknowledged, and nobody has tried to delete them, by client.
  private var standing: [Int: [String]] = [:]
  private(set) var deleted: [String] = []
  private var made = 0

  mutating func newKey() -> String {
    made += 1
    return "doomed:\(made)"
  }

  mutating func written(_ key: String, by client: Int) { standing[client, default: []].append(key) }

  var standingKeys: [String] { standing.values.joined().sorted() }

  func isStanding(_ key: String) -> Bool { standing.values.contains { $0.contains(key) } }

  /// A key of this client that was written and that nobody has tried to delete.
  mutating func takeStanding(of client: Int) -> String? { standing[client]?.popLast() }

  mutating func deleted(_ key: String) { deleted.append(key) }
}

/// Values that were written with a TTL.
struct ExpiryHistory {
  private var ends: [String: UInt64] = [:]

  /// True time by which no clock that goes right can take the value for living.
  mutating func acknowledged(_ value: String, deadAt end: UInt64) { ends[value] = end }

  /// What is wrong with a read that began at `start`, on a clock at most `lag` microseconds behind;
  /// nil when nothing is.
  func problem(_ key: String, _ value: String, start: UInt64, lag: UInt64) -> String? {
    guard let end = ends[value], end + lag < start else { return nil }
    return "\(key): a read at \(start) found \(value), whose TTL had passed by \(end + lag)"
  }
}
