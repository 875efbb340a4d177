import Objects
import Placement
import Primitives
import Storage

// # Memory
//
// `maxmemory` bounds what the node counts: objects with the rounding of their cells, their index, the
// hash trees, hints, and the buffers of clients and links. The first three are exact at any moment, so are
// clients with large buffers; the others are summed up ten times a second.
//
//     a write of a client, here or forwarded   above the limit objects are evicted until there is room,
//                                              at most `evictionsAtOnce`; the loop goes on with it
//                                              between events. With noeviction, with nothing to evict,
//                                              or far above the limit: -OOM
//     a write of another node                  the same; where a client would hear -OOM it is refused,
//                                              and does not count toward W. Deletions are always taken
//     anti-entropy                             above fifteen sixteenths of the limit nothing is pulled
//                                              for a key that is not here: it may have been evicted
//
// An eviction is local and no deletion (DESIGN.md, section 7): no tombstone, no message. Another owner
// may still have the object, and a read of several owners brings it back.
//
// Memory of records that went is used again by records of the same size. When sizes change, chunks get
// sparse; above `slackBytes` and an eighth of what is used, slots are walked and records moved together:
// a step ten times a second, and more as fast as slack grows, so that a whole walk is over before slack
// has grown by another eighth. Without that a change from small values to large ones took twice
// `maxmemory` of resident memory for the second that the change lasted.

/// What `maxmemory` and its policy come to.
struct MemoryState {
  var limit = Int.max
  /// Nil: noeviction.
  var order: EvictionOrder?
  var onlyWithDeadline = false
  var samples = 5
  /// Bytes of hints, clients and links.
  var others = 0
  var links = 0
  /// Where the walk that puts memory together goes on.
  var compactAt = SlotWalk()
  /// Records that the present walk has moved.
  var moved = 0
  /// Records to look at because slack has grown.
  var owed = 0
  /// Slack up to which growth is paid for.
  var lastSlack = 0
  /// The slack that the last walk could do little about.
  var restingSlack = 0
  /// Nothing was found to evict: the loop need not look again before.
  var retryAt: UInt64 = 0

  mutating func set(policy: String) {
    onlyWithDeadline = policy.hasPrefix("volatile-")
    switch policy.split(separator: "-").last {
    case "lru": order = .recency
    case "lfu": order = .frequency
    case "random": order = .random
    case "ttl": order = .deadline
    default: order = nil
    }
  }
}

extension NodeCore {
  static let outOfMemoryText = "OOM command not allowed when used memory > 'maxmemory'."

  /// Bytes that count toward `maxmemory`.
  @inline(__always) var countedBytes: Int { table.usedBytes &+ memory.others }

  /// Bytes that INFO calls used: those, and what is being given back.
  var usedBytes: Int { countedBytes + table.blobs.pointee.buriedBytes }

  @inline(__always) var isOverLimit: Bool { countedBytes > memory.limit }

  mutating func applyMemoryParameters() {
    let limit = parameters.number("maxmemory")
    memory.limit = limit == 0 ? .max : limit
    memory.samples = parameters.number("maxmemory-samples")
    let policy = parameters["maxmemory-policy"] ?? "noeviction"
    memory.set(policy: policy)
    evictionPool.removeAll()
    table.accessClock.countsUses = policy.hasSuffix("-lfu")
    table.accessClock.logFactor = parameters.number("lfu-log-factor")
    table.accessClock.decayMinutes = parameters.number("lfu-decay-time")
  }

  /// Evicts until there is room. False when there is none to be had now: the write is refused.
  mutating func makeRoom() -> Bool {
    // What was flushed goes before anything that is alive.
    if table.hasFlushed { table.freeFlushed(Limits.recordsFreedAtOnce) }
    guard isOverLimit else { return true }
    evict(atMost: Limits.evictionsAtOnce)
    guard isOverLimit else { return true }
    if table.hasFlushed { return true }
    guard memory.order != nil, canEvict else { return false }
    // The loop goes on evicting; who writes faster than that has to wait.
    return countedBytes - memory.limit < memory.limit / 16 + Limits.memoryOvershoot
  }

  private var canEvict: Bool {
    for database in 0..<table.databases {
      let count =
        memory.onlyWithDeadline
        ? table.deadlineCount(database: database) : table.liveCount(database: database)
      if count > 0 { return true }
    }
    return false
  }

  private mutating func evict(atMost most: Int, since start: UInt64? = nil) {
    guard let order = memory.order, !table.hasFlushed else { return }
    var left = most
    // A command that has read a key and will write it must find it as it was.
    let locks = locks
    while left > 0, isOverLimit {
      guard
        table.evict(
          order, onlyWithDeadline: memory.onlyWithDeadline, samples: memory.samples, now: wall,
          pool: &evictionPool, &generator, isPinned: { !locks.isEmpty && locks[$0] != nil })
      else {
        memory.retryAt = monotonic + 1000
        return
      }
      statistics.pointee.evicted += 1
      left -= 1
      if let start, isOverdue(since: start) { return }
    }
  }

  @inline(never)
  mutating func refuseOutOfMemory(_ index: Int, _ entry: UnsafeMutablePointer<CommandEntry>)
    -> Bool
  {
    entry.pointee.rejected += 1
    meter.pointee.refused = sessions[index].pointee.lastCommand
    return replyNow(index) { $0.pointee.appendError(NodeCore.outOfMemoryText) }
  }

  /// Whether a write of another node can be taken.
  @inline(never)
  mutating func hasRoom(for object: ObjectView) -> Bool {
    if object.isTombstone || makeRoom() { return true }
    statistics.pointee.refusedForMemory += 1
    return false
  }

  /// Near the limit what is missing here may have been evicted.
  var isNearLimit: Bool {
    memory.limit != .max && countedBytes > memory.limit - memory.limit / 16
  }

  /// When eviction has to go on; never when there is nothing to do.
  var evictionDue: UInt64 {
    guard memory.limit != .max, isOverLimit, memory.order != nil, canEvict else { return .max }
    return max(monotonic, memory.retryAt)
  }

  /// Once a round: eviction goes on.
  mutating func stepEviction() {
    table.accessClock.set(milliseconds: wall)
    if _slowPath(memory.limit != .max && isOverLimit) {
      evict(atMost: Limits.evictionsAtOnce, since: readTicks())
    }
  }

  /// Ten times a second: buffers are summed up, and sparse memory is put together.
  mutating func stepMemory() {
    sumBuffers()
    peakBytes = max(peakBytes, usedBytes)
    guard table.slackBytes > max(allowedSlack, memory.restingSlack + memory.restingSlack / 8),
      !table.hasFlushed
    else { return }
    _ = compact(atMost: Limits.recordsLookedAtAtOnce)
  }

  @inline(__always) private var allowedSlack: Int {
    max(Limits.slackBytes, table.usedBytes / 8)
  }

  /// Once a round: sparse memory is put together as fast as it comes. Not while what was flushed is
  /// being freed: it lies in the same chunks.
  mutating func stepCompaction() {
    if _slowPath(table.slackBytes > allowedSlack && !table.hasFlushed) { payForSlack() }
    memory.lastSlack = min(memory.lastSlack, table.slackBytes)
  }

  @inline(never)
  private mutating func payForSlack() {
    let growth = table.slackBytes - memory.lastSlack
    if growth > 0 {
      let records = (0..<table.databases).reduce(0) { $0 + table.totalCount(database: $1) }
      let share = min(1, 8 * Double(growth) / Double(max(table.usedBytes, 1)))
      let more = Int(share * Double(records))
      // Small growth is summed up.
      if more >= Limits.recordsWorthALook {
        memory.owed = min(records, memory.owed + more)
        memory.lastSlack = table.slackBytes
      }
    }
    guard memory.owed >= Limits.recordsWorthALook else { return }
    // Far above what is allowed memory comes before the others' time.
    let times = table.slackBytes > 2 * allowedSlack ? 4 : 1
    let most = min(memory.owed, times * Limits.recordsLookedAtAtOnce)
    memory.owed -= compact(atMost: most, times: times)
  }

  /// One step of the walk that puts memory together, so many times as long as upkeep usually is.
  /// Returns how many records it has looked at. When a whole walk has moved little, what is left is
  /// not worth another one until there is more of it.
  private mutating func compact(atMost limit: Int, times: Int = 1) -> Int {
    var left = limit
    var slots = Limits.slotsLookedAtAtOnce
    let begin = readTicks()
    while left > 0, slots > 0, !isOverdue(since: begin, times: times) {
      let at = memory.compactAt
      let isOver: Bool
      if table.totalCount(database: at.database) > 0 {
        let step = table.compact(
          database: at.database, slot: at.slot, from: at.place, limit: left)
        left -= step.looked
        slots -= 1
        memory.moved += step.moved
        isOver = memory.compactAt.advance(to: step.next, databases: table.databases)
      } else {
        slots -= Limits.slotsLookedAtAtOnce / table.databases
        isOver = memory.compactAt.nextDatabase(of: table.databases)
      }
      guard isOver else { continue }
      memory.restingSlack = memory.moved < Limits.recordsLookedAtAtOnce ? table.slackBytes : 0
      memory.moved = 0
      break
    }
    return limit - left
  }

  private mutating func sumBuffers() {
    memory.links = 0
    for index in 0..<links.end where links[index].pointee.isOpen {
      memory.links += links[index].pointee.bufferBytes
    }
    memory.others = clients.counted + memory.links + hints.bytes
  }

  // MARK: What operators see

  /// MEMORY STATS, by the names of Redis where it has one.
  func memoryStatistics() -> [(name: String, value: String)] {
    let keys = (0..<table.databases).reduce(0) { $0 + table.liveCount(database: $1) }
    let tombstones = (0..<table.databases).reduce(0) { $0 + table.tombstoneCount(database: $1) }
    let used = usedBytes
    let dataset = table.recordBytes
    return [
      ("peak.allocated", "\(max(peakBytes, used))"), ("total.allocated", "\(used)"),
      ("startup.allocated", "0"), ("replication.backlog", "0"), ("clients.slaves", "0"),
      ("clients.normal", "\(clients.counted)"), ("cluster.links", "\(memory.links)"),
      ("cluster.hints", "\(hints.bytes)"),
      ("hash.trees", "\(table.treeBytes)"), ("index", "\(table.tableBytes)"),
      ("overhead.total", "\(used - dataset)"), ("keys.count", "\(keys)"),
      ("keys.tombstones", "\(tombstones)"),
      ("keys.bytes-per-key", "\(keys == 0 ? 0 : used / keys)"),
      ("dataset.bytes", "\(dataset)"), ("allocator.slack", "\(table.slackBytes)"),
      ("allocator.resident", "\(configuration.processFigures().residentBytes)"),
    ]
  }

  mutating func replyMemoryStatistics(_ index: Int) -> Bool {
    let figures = memoryStatistics()
    let resp = sessions[index].pointee.resp
    return replyNow(index) { reply in
      reply.pointee.appendMapHeader(figures.count, resp: resp)
      for (name, value) in figures {
        reply.pointee.appendBulk(name)
        reply.pointee.appendInteger(Int(value) ?? 0)
      }
    }
  }
}
