import Objects

/// What each version was seen to be, and the highest of each key.
struct Identities {
  private struct Seen: Equatable {
    var value: [UInt8]?
    var deadline: UInt64
  }
  private struct Identity: Hashable {
    var key: [UInt8]
    var version: Version
  }

  private var seen: [Identity: Seen] = [:]
  /// Of keys that are no siblings.
  private var highest: [[UInt8]: Version] = [:]

  typealias Snapshot = [(database: Int, key: [UInt8], object: [UInt8])]

  /// Takes the objects of one node; returns a contradiction to what was seen before.
  mutating func observe(_ snapshot: Snapshot) -> String? {
    for (_, key, bytes) in snapshot {
      if let problem = bytes.withUnsafeBytes({ observe(key, ObjectView.decode($0)) }) {
        return "\(String(decoding: key, as: UTF8.self)): \(problem)"
      }
    }
    return nil
  }

  private mutating func observe(_ key: [UInt8], _ view: ObjectView?) -> String? {
    guard let view else { return "an object does not decode" }
    guard view.isSiblings else {
      highest[key] = max(highest[key] ?? .none, view.version)
      return note(
        Identity(key: key, version: view.version), view.isTombstone ? nil : view.value,
        view.deadline)
    }
    guard let set = SiblingSet(view) else { return "a sibling set does not decode" }
    for sibling in set.siblings {
      let problem = sibling.value.withUnsafeBytes {
        note(Identity(key: key, version: sibling.version), $0, sibling.deadline)
      }
      if let problem { return problem }
    }
    return nil
  }

  private mutating func note(
    _ id: Identity, _ value: UnsafeRawBufferPointer?, _ deadline: UInt64
  ) -> String? {
    guard let known = seen[id] else {
      seen[id] = Seen(value: value.map { Array($0) }, deadline: deadline)
      return nil
    }
    if known.deadline != deadline {
      return "one version with two deadlines, \(known.deadline) and \(deadline)"
    }
    if let before = known.value, let value, !before.elementsEqual(value) {
      return "one version with two values, \(String(decoding: before, as: UTF8.self)) and "
        + String(decoding: value, as: UTF8.self)
    }
    if known.value == nil, let value { seen[id]?.value = Array(value) }
    return nil
  }

  // MARK: What has to remain

  /// Some node's memory went: only what the others hold has to remain.
  mutating func forgetHighest() { highest.removeAll(keepingCapacity: true) }

  /// Versions that should be in `held` or have been overwritten there, and are not. Keys that expire
  /// or that somebody deletes may be gone with all their copies.
  func problem(_ held: [[UInt8]: Version], isDeletable: (String) -> Bool) -> String? {
    for (key, version) in highest.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let name = String(decoding: key, as: UTF8.self)
      guard let last = held[key] else {
        let last = seen[Identity(key: key, version: version)]
        if last?.deadline != 0 || isDeletable(name) { continue }
        return "\(name): no copy is left"
      }
      if last < version {
        return "\(name): the version of \(last.stamp.milliseconds) remained, not that of "
          + "\(version.stamp.milliseconds)"
      }
    }
    return nil
  }
}
