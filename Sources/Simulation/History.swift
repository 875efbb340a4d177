import Objects
import Primitives

// # Checkers
//
// What must hold, whatever happened (shared/LESSONS.md, second table):
//
//   order        a connection's commands on keys of its own answer as if run one after another
//   register     with R+W>N a read that starts after an acknowledged write sees it or a later one
//   siblings     a value that was acknowledged lives until a write whose context covered it
//   identity     one version is one write: the same value and the same deadline wherever it is seen
//   convergence  replicas that got the same writes hold the same bytes
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
  private(set) var added: [String: Int] = [:]

  mutating func began(_ key: String) { added[key, default: 0] += 1 }

  mutating func acknowledged(_ key: String, _ value: String) {
    acknowledged[key, default: []].insert(value)
  }

  /// A write went out whose context covers these.
  mutating func covers(_ key: String, _ values: [String]) {
    covered[key, default: []].formUnion(values)
  }

  var keys: [String] { added.keys.sorted() }

  /// Values that should be among `found` and are not.
  func lost(_ key: String, _ found: Set<String>) -> [String] {
    (acknowledged[key] ?? []).subtracting(covered[key] ?? []).subtracting(found).sorted()
  }
}

/// What each version was seen to be.
struct Identities {
  private struct Seen: Equatable {
    var value: [UInt8]?
    var deadline: UInt64
  }
  private var seen: [String: Seen] = [:]

  /// Takes the objects of one node; returns a contradiction to what was seen before.
  mutating func observe(
    _ snapshot: [(database: Int, key: [UInt8], object: [UInt8])]
  ) -> String? {
    for (_, key, bytes) in snapshot {
      let problem = bytes.withUnsafeBytes { raw -> String? in
        guard let view = ObjectView.decode(raw) else { return "an object does not decode" }
        if view.isSiblings {
          guard let set = SiblingSet(view) else { return "a sibling set does not decode" }
          for sibling in set.siblings {
            if let problem = note(key, sibling.version, sibling.value, sibling.deadline) {
              return problem
            }
          }
          return nil
        }
        return note(key, view.version, view.isTombstone ? nil : Array(view.value), view.deadline)
      }
      if let problem { return problem }
    }
    return nil
  }

  private mutating func note(
    _ key: [UInt8], _ version: Version, _ value: [UInt8]?, _ deadline: UInt64
  ) -> String? {
    let name = String(decoding: key, as: UTF8.self)
    let id = "\(name) \(version.stamp.rawValue) \(version.actor.rawValue)"
    guard let known = seen[id] else {
      seen[id] = Seen(value: value, deadline: deadline)
      return nil
    }
    if known.deadline != deadline {
      return "\(name): one version with two deadlines, \(known.deadline) and \(deadline)"
    }
    if let before = known.value, let value, before != value {
      return "\(name): one version with two values, "
        + "\(String(decoding: before, as: UTF8.self)) and \(String(decoding: value, as: UTF8.self))"
    }
    if known.value == nil, value != nil { seen[id]?.value = value }
    return nil
  }
}
