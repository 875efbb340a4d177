import Keyspaces
import Objects
import Placement
import Primitives
import Storage

extension NodeCore {
  /// How often links are checked, in microseconds.
  private static let tickInterval: UInt64 = 20_000
  /// Keys whose deadline passed that one step of the expiry cycle takes at most.
  private static let expiryBatch = 512
  /// Slots that one step looks at: a full round takes 16 steps.
  private static let expirySlots = 1024

  /// Goes on with what waited for this round's events, then with what is due.
  mutating func finishTick() {
    let round = meter.roundStart == 0 ? stepBegins() : meter.roundStart
    for link in overfullLinks { dropLink(link, "it takes too little of what it is sent") }
    overfullLinks.removeAll(keepingCapacity: true)
    let eviction = stepBegins()
    stepEviction()
    stepEnds("eviction-cycle", eviction)
    stepPause()
    resumeSessions()
    runDeadlines()
    if monotonic >= timers.tick {
      timers.tick = monotonic + NodeCore.tickInterval
      tickLinks()
      sampler.sample(statistics.commands, at: monotonic)
      inputSampler.sample(statistics.inputBytes, at: monotonic)
      outputSampler.sample(statistics.outputBytes, at: monotonic)
    }
    stepSwim()
    applyRecords()
    if monotonic >= timers.gossip {
      timers.gossip = monotonic + configuration.timing.gossip
      let start = stepBegins()
      gossip()
      noteSettled()
      advanceChange()
      applyRecords()
      stepEnds("gossip", start)
    }
    if monotonic >= timers.expiry {
      timers.expiry = monotonic + configuration.timing.expiry
      cycleObjects()
    }
    resumeSessions()
    if latencyMonitor.threshold != nil { stepEnds("event-loop", round) }
    meter.roundStart = 0
  }

  /// What the links and the repair need fifty times a second.
  private mutating func tickLinks() {
    var start = stepBegins()
    checkLinks()
    dialMissing()
    considerFounding()
    stepEnds("links", start)
    fillBudgets()
    start = stepBegins()
    stepFill()
    stepEnds("fill-cycle", start)
    start = stepBegins()
    stepHints()
    stepEnds("hints-cycle", start)
    start = stepBegins()
    stepAntiEntropy()
    stepEnds("anti-entropy", start)
    if isChanging { advanceChange() }
    stepLeftovers()
  }

  /// What the objects need ten times a second.
  private mutating func cycleObjects() {
    var start = stepBegins()
    if isExpiryActive { expireDue() }
    stepEnds("expire-cycle", start)
    start = stepBegins()
    reapTombstones()
    stepEnds("tombstone-cycle", start)
    start = stepBegins()
    stepMemory()
    stepEnds("memory-cycle", start)
  }

  /// A lone node without deadlines wakes for the expiry cycle only.
  var nextDue: UInt64 {
    if !resuming.isEmpty { return monotonic }
    var due = min(timers.gossip, timers.expiry, evictionDue)
    if !isAlone || !seedLinks.isEmpty || links.count > 0 { due = min(due, timers.tick) }
    if clusterState != .removed { due = min(due, swim.nextDue) }
    if meter.isPaused { due = min(due, pause.until) }
    return min(due, deadlines.nextDue, hedges.nextDue)
  }

  // MARK: Expiry

  /// One step of the active cycle: objects whose deadline passed give their memory back. On a
  /// node alone they go; else their version stays as a tombstone, so that a stale copy of an older
  /// value can't come back.
  private mutating func expireDue() {
    var left = NodeCore.expiryBatch
    for database in 0..<table.databases
    where table.deadlineCount(database: database) > 0 || table.siblingSets > 0 {
      for step in 0..<NodeCore.expirySlots where left > 0 {
        let slot = (timers.expirySlot + step) % Slot.count
        let due = table.dueKeys(database: database, slot: slot, now: wall, limit: left)
        left -= due.count
        for key in due { expire(database, slot, key) }
      }
    }
    timers.expirySlot = (timers.expirySlot + NodeCore.expirySlots) % Slot.count
  }

  private mutating func expire(_ database: Int, _ slot: Int, _ key: [UInt8]) {
    key.withUnsafeBytes { key in
      let hash = table.hash(key)
      if isAlone {
        statistics.expired += 1
        table.remove(database: database, slot: slot, hash: hash, key: key)
        return
      }
      guard
        let object = table.object(database: database, slot: slot, hash: hash, key: key)
      else { return }
      statistics.expired += 1
      if object.isSiblings {
        // All of them are dead: what the set has seen stays.
        guard var set = SiblingSet(object) else { return }
        set.removeSiblings(upTo: Stamp(rawValue: .max))
        _ = table.store(
          siblings: set, database: database, slot: slot, hash: hash, key: key,
          tree: policies[keyspaceMap.index(for: key)].tree)
        return
      }
      _ = table.write(
        database: database, slot: slot, hash: hash, key: key, version: object.version,
        deadline: object.deadline, flags: .tombstone, valueLength: 0,
        tree: policies[keyspaceMap.index(for: key)].tree)
    }
  }

  /// One step over the slots: tombstones that are settled go, and those older than `tombstone-ttl`.
  private mutating func reapTombstones() {
    for database in 0..<table.databases where table.tombstoneCount(database: database) > 0 {
      for step in 0..<NodeCore.expirySlots {
        let slot = (timers.reapSlot + step) % Slot.count
        let total = table.totalCount(database: database, slot: slot)
        guard total > table.liveCount(database: database, slot: slot) else { continue }
        var doomed: [[UInt8]] = []
        _ = table.walk(database: database, slot: slot, from: .start, count: .max) { walked in
          if isReapable(walked.object) { doomed.append(Array(walked.key)) }
        }
        statistics.tombstonesReaped += doomed.count
        for key in doomed {
          key.withUnsafeBytes {
            _ = table.remove(database: database, slot: slot, hash: table.hash($0), key: $0)
          }
        }
      }
    }
    timers.reapSlot = (timers.reapSlot + NodeCore.expirySlots) % Slot.count
  }

  // MARK: The end

  mutating func drain() -> Bool {
    isDraining = true
    for index in 0..<sessions.end where sessions[index].pointee.isOpen {
      if sessions[index].pointee.queue.isEmpty { closeAfterReplies(index) }
    }
    return operations.count == 0
  }

  // MARK: Tests

  /// Every object in canonical form: what is dead by time counts as without its value.
  func snapshot(at now: UInt64) -> [(database: Int, key: [UInt8], object: [UInt8])] {
    var result: [(database: Int, key: [UInt8], object: [UInt8])] = []
    for database in 0..<table.databases {
      for slot in 0..<Slot.count where table.totalCount(database: database, slot: slot) > 0 {
        _ = table.walk(database: database, slot: slot, from: .start, count: .max) { walked in
          var object = walked.object
          if !object.isSiblings, object.live(at: now) == nil {
            object.flags = .tombstone
            object.value = UnsafeRawBufferPointer(start: nil, count: 0)
          }
          var bytes = ByteBuffer()
          object.encode(to: &bytes)
          result.append((database, Array(walked.key), bytes.bytes))
        }
      }
    }
    return result.sorted {
      $0.database == $1.database
        ? $0.key.lexicographicallyPrecedes($1.key) : $0.database < $1.database
    }
  }

  func trace(_ key: [UInt8]) -> String {
    let slot = key.withUnsafeBytes { slotHasher.slot(of: $0).index }
    var owners = ["", ""]
    for rank in 0..<min(mostCopies, ring.copies) {
      owners[0] += " \(peers[Int(ring.owner(Slot(slot), rank: rank))].pointee.id % 1000)"
    }
    for rank in 0..<(isChanging ? min(mostCopies, shadow.copies) : 0) {
      owners[1] += " \(peers[Int(shadow.owner(Slot(slot), rank: rank))].pointee.id % 1000)"
    }
    return "id \(configuration.id % 1000), ring\(owners[0])"
      + (isChanging ? ", shadow\(owners[1])" : "")
      + (isTracked(slot) ? held.contains(slot) ? ", holds" : ", fills" : "")
      + (mayHoldLeftovers ? ", leftovers" : "")
      + (hints.count > 0 ? ", \(hints.count) hints" : "") + ", clear up to \(clearedAt % 1_000_000)"
  }
}
