import CacheNode
import Objects
import Primitives

/// What the nodes hold, looked at from outside.
extension Simulation {
  /// A look at one node now and then: a snapshot costs as much as a hundred commands.
  func observeOne() {
    guard phase == .load else { return }
    observe(world.nodes[random.below(world.nodes.count)])
    world.schedule(after: 3_000_000, .observe)
  }

  func observeAll() {
    for place in world.nodes { observe(place) }
  }

  func observe(_ place: SimulatedNode, ownSlotsOnly: Bool = false) {
    guard let node = place.node else { return }
    // As at time zero, so that nothing counts as dead and every value is compared.
    let start = Instant(wallMicroseconds: 0, monotonicMicroseconds: 0)
    let snapshot = node.snapshot(now: start, ownSlotsOnly: ownSlotsOnly)
    if let problem = identities.observe(snapshot) { fail(problem) }
  }

  /// A memory is lost: of what only it held nothing has to remain, nor of what another one was about
  /// to drop, because that one held it now.
  func recountHighest() {
    identities.forgetHighest()
    for place in world.nodes { observe(place, ownSlotsOnly: true) }
  }

  /// Prints a node's copy of the traced key when it has changed.
  func traceCopy(_ place: SimulatedNode) {
    guard let node = place.node, let tracedKey else { return }
    let key = Array(tracedKey.utf8)
    let copy = node.snapshot(now: world.instant(place)).first { $0.key == key }
    let text = copy.map { Simulation.describe($0.object) } ?? "nothing"
    let line = "\(text); \(node.trace(key))"
    guard tracedCopies[place.index] != line else { return }
    tracedCopies[place.index] = line
    print("\(world.now)   node \(place.index): \(line)")
  }

  func allKeys() -> [String] {
    var keys: Set<String> = []
    for place in world.nodes {
      for object in place.node?.snapshot(now: world.instant(place)) ?? [] {
        keys.insert(String(decoding: object.key, as: UTF8.self))
      }
    }
    return keys.sorted()
  }

  /// All copies of a key are the same bytes, there are as many as N says, and what was deleted is
  /// dead in all of them.
  func compareReplicas(_ when: String) {
    var copies: [[UInt8]: [[UInt8]]] = [:]
    var holders: [[UInt8]: [String]] = [:]
    let late = Instant(wallMicroseconds: .max / 2, monotonicMicroseconds: 0)
    for place in world.nodes {
      for object in place.node?.snapshot(now: late) ?? [] {
        copies[object.key, default: []].append(object.object)
        holders[object.key, default: []].append(
          "node \(place.index): \(Simulation.describe(object.object))")
      }
    }
    let deleted = options.survivesCrashes ? Set(deletions.deleted) : []
    var held: [[UInt8]: Version] = [:]
    for (key, objects) in copies.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let name = String(decoding: key, as: UTF8.self)
      if let problem = problem(objects, isDeleted: deleted.contains(name)) {
        let all = (holders[key] ?? []).joined(separator: "\n    ")
        return fail("\(name): \(problem) \(when)\n    \(all)")
      }
      objects[0].withUnsafeBytes { held[key] = ObjectView.decode($0)?.version }
    }
    let problem = identities.problem(held) { name in
      name.hasPrefix("own:") || name.hasPrefix("doomed:") && !deletions.isStanding(name)
    }
    if let problem { fail("\(problem) \(when)") }
  }

  private static func describe(_ bytes: [UInt8]) -> String {
    bytes.withUnsafeBytes { raw in
      guard let view = ObjectView.decode(raw), let set = SiblingSet(view) else {
        return "malformed"
      }
      let values = set.siblings.map { String(decoding: $0.value, as: UTF8.self) }
      return "version \(view.version.stamp.rawValue) of \(view.version.actor.rawValue), flags "
        + "\(view.flags.rawValue), seen \(set.context.seen.count), "
        + values.joined(separator: " ")
    }
  }

  private func problem(_ objects: [[UInt8]], isDeleted: Bool) -> String? {
    if objects.contains(where: { $0 != objects[0] }) { return "replicas differ" }
    let isDead = objects[0].withUnsafeBytes { ObjectView.decode($0)?.isTombstone ?? false }
    if isDeleted, !isDead { return "deleted, and living" }
    let wanted = min(options.copies, world.members.count)
    // The dead are dropped when they are settled, not by all at once.
    if objects.count < wanted, isDead { return nil }
    return objects.count == wanted ? nil : "\(objects.count) of \(wanted) copies"
  }
}
