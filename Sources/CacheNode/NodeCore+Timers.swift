import Keyspaces
import Objects
import Placement
import Primitives
import Storage

extension NodeCore {
  /// How often links are checked, in microseconds.
  private static let tickInterval: UInt64 = 20_000
  /// Goes on with what waited for this round's events, then with what is due.
  mutating func finishTick() {
    let round = meter.pointee.roundStart == 0 ? stepBegins() : meter.pointee.roundStart
    for link in overfullLinks { dropLink(link, "it takes too little of what it is sent") }
    overfullLinks.removeAll(keepingCapacity: true)
    let eviction = stepBegins()
    stepEviction()
    stepCompaction()
    stepEnds("eviction-cycle", eviction)
    if _slowPath(clients.counted > clients.memory) { evictClients() }
    stepBurials()
    stepPause()
    runDeadlines()
    if monotonic >= timers.tick {
      timers.tick = monotonic + NodeCore.tickInterval
      tickLinks()
      sampler.sample(statistics.pointee.commands, at: monotonic)
      inputSampler.sample(statistics.pointee.inputBytes, at: monotonic)
      outputSampler.sample(statistics.pointee.outputBytes, at: monotonic)
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
    if monotonic >= timers.upkeep {
      timers.upkeep = monotonic + configuration.timing.expiry
      let start = stepBegins()
      stepClients()
      stepMemory()
      stepEnds("memory-cycle", start)
    }
    if monotonic >= timers.expiry {
      let start = stepBegins()
      if isExpiryActive {
        stepWalk(.deadlines(at: wall))
      } else {
        timers.expiry = monotonic + configuration.timing.expiry
      }
      stepEnds("expire-cycle", start)
    }
    if monotonic >= timers.reap {
      let start = stepBegins()
      stepWalk(.tombstones(upTo: reapableUpTo))
      stepEnds("tombstone-cycle", start)
    }
    resumeSessions()
    if latencyMonitor.threshold != nil { stepEnds("event-loop", round) }
    meter.pointee.roundStart = 0
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

  /// A lone node without deadlines wakes for the expiry cycle only.
  var nextDue: UInt64 {
    if !resuming.isEmpty { return monotonic }
    var due = min(
      timers.gossip, timers.upkeep, timers.expiry, timers.reap, evictionDue, burialDue)
    if !isAlone || !seedLinks.isEmpty || links.count > 0 { due = min(due, timers.tick) }
    if clusterState != .removed { due = min(due, swim.nextDue) }
    if meter.pointee.isPaused { due = min(due, pause.until) }
    return min(due, deadlines.nextDue, extensions.nextDue, hedges.nextDue)
  }

  // MARK: Expiry

  // Deadlines that passed and tombstones that are settled are looked for in two walks over all slots,
  // a step of some records at a time. Where a tenth of what a step looked at was due, the next one
  // follows at once; else steps are spread so that a walk takes `walkPeriod`, and small tables are
  // walked in a few steps. What is due and not yet found is dead to every command all the same.

  private mutating func stepWalk(_ sought: Table.Sought) {
    var at = sought.isDeadlines ? timers.expiryAt : timers.reapAt
    var found = KeyList()
    swap(&found, &foundKeys)
    var looked = 0
    var taken = 0
    var slots = Limits.slotsLookedAtAtOnce
    let begin = readTicks()
    var isOverdue = false
    while looked < Limits.walkedRecordsAtOnce, slots > 0, !isOverdue {
      slots -= 1
      guard count(sought, at.database) > 0 else {
        slots -= Limits.slotsLookedAtAtOnce / table.databases
        at.nextDatabase(of: table.databases)
        continue
      }
      guard table.totalCount(database: at.database, slot: at.slot) > 0 else {
        at.advance(to: nil, databases: table.databases)
        continue
      }
      let step = table.find(
        sought, database: at.database, slot: at.slot, from: at.place,
        looks: Limits.walkedRecordsAtOnce - looked, into: &found)
      looked += step.looked
      taken += found.count
      for place in 0..<found.count { take(sought, at.database, at.slot, found[place]) }
      found.removeAll()
      at.advance(to: step.next, databases: table.databases)
      isOverdue = self.isOverdue(since: begin)
    }
    swap(&found, &foundKeys)
    let isLong = isOverdue || looked >= Limits.walkedRecordsAtOnce / 4
    let isBehind = isLong && taken > 0 && taken * 10 >= looked
    let next = monotonic + (isBehind ? Limits.walkPause : restingInterval(sought))
    if sought.isDeadlines {
      timers.expiryAt = at
      timers.expiry = next
    } else {
      timers.reapAt = at
      timers.reap = next
    }
  }

  private func count(_ sought: Table.Sought, _ database: Int) -> Int {
    switch sought {
    case .tombstones: table.tombstoneCount(database: database)
    // Sets of siblings are not counted by their deadlines.
    case .deadlines: table.deadlineCount(database: database) + table.siblingSets
    }
  }

  /// Microseconds between two steps when little is due.
  private func restingInterval(_ sought: Table.Sought) -> UInt64 {
    let all = (0..<table.databases).reduce(0) { $0 + count(sought, $1) }
    let steps = UInt64(all / Limits.walkedRecordsAtOnce + 1)
    return min(max(Limits.walkPeriod / steps, Limits.walkPause), configuration.timing.expiry)
  }

  private mutating func take(
    _ sought: Table.Sought, _ database: Int, _ slot: Int, _ key: UnsafeRawBufferPointer
  ) {
    if sought.isDeadlines { return expire(database, slot, key) }
    statistics.pointee.tombstonesReaped += 1
    _ = table.remove(database: database, slot: slot, hash: table.hash(key), key: key)
  }

  /// The object's memory is given back. On a node alone it goes; else its version stays as a
  /// tombstone, so that a stale copy of an older value can't come back.
  private mutating func expire(_ database: Int, _ slot: Int, _ key: UnsafeRawBufferPointer) {
    let hash = table.hash(key)
    statistics.pointee.expired += 1
    if isAlone {
      table.remove(database: database, slot: slot, hash: hash, key: key)
      return
    }
    guard let object = table.object(database: database, slot: slot, hash: hash, key: key)
    else { return }
    let tree = policies[keyspaceMap.index(for: key)].tree
    if object.isSiblings {
      // All of them are dead: what the set has seen stays.
      guard var set = SiblingSet(object) else { return }
      set.removeSiblings(upTo: Stamp(rawValue: .max))
      _ = table.store(
        siblings: set, database: database, slot: slot, hash: hash, key: key, tree: tree)
      return
    }
    _ = table.write(
      database: database, slot: slot, hash: hash, key: key, version: object.version,
      deadline: object.deadline, flags: .tombstone, valueLength: 0, tree: tree)
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
  func snapshot(
    at now: UInt64, ownSlotsOnly: Bool
  ) -> [(database: Int, key: [UInt8], object: [UInt8])] {
    var result: [(database: Int, key: [UInt8], object: [UInt8])] = []
    for database in 0..<table.databases {
      for slot in 0..<Slot.count where table.totalCount(database: database, slot: slot) > 0 {
        if ownSlotsOnly, !isTracked(slot) { continue }
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
