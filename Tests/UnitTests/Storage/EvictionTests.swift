import Objects
import Primitives
import Storage
import Testing

@Suite("Eviction")
struct EvictionTests {
  /// Keys that are drawn by Zipf's law.
  private struct Zipf {
    private var cumulative: [Double] = []
    private var generator: SeededGenerator

    init(keys: Int, exponent: Double, seed: UInt64) {
      generator = SeededGenerator(seed: seed)
      var sum = 0.0
      for rank in 1...keys {
        // Exponents here are 1 and a half.
        let power = exponent == 1 ? Double(rank) : Double(rank).squareRoot()
        sum += 1 / power
        cumulative.append(sum)
      }
    }

    mutating func next() -> Int {
      let at = Double(generator.below(1 << 30)) / Double(1 << 30) * (cumulative.last ?? 0)
      var low = 0
      var high = cumulative.count - 1
      while low < high {
        let middle = (low + high) / 2
        if cumulative[middle] < at { low = middle + 1 } else { high = middle }
      }
      return low
    }
  }

  /// A cache of so many keys that evicts by an exact order.
  private struct ExactCache {
    let capacity: Int
    let countsUses: Bool
    private var ranks: [Int: Int] = [:]
    private var clock = 0

    init(capacity: Int, countsUses: Bool) {
      self.capacity = capacity
      self.countsUses = countsUses
    }

    /// True for a hit.
    mutating func use(_ key: Int) -> Bool {
      clock += 1
      if let rank = ranks[key] {
        ranks[key] = countsUses ? rank + 1 : clock
        return true
      }
      if ranks.count == capacity, let victim = ranks.min(by: { $0.value < $1.value })?.key {
        ranks[victim] = nil
      }
      ranks[key] = countsUses ? 1 : clock
      return false
    }
  }

  /// Hits of a table of `capacity` keys and of an exact cache, of all requests.
  private func hitRatios(
    _ order: EvictionOrder, exponent: Double, capacity: Int, requests: Int
  ) -> (table: Double, exact: Double) {
    let fixture = TableFixture(databases: 1, slots: 256, seed: 7)
    fixture.table.accessClock.countsUses = order == .frequency
    var exact = ExactCache(capacity: capacity, countsUses: order == .frequency)
    var zipf = Zipf(keys: capacity * 10, exponent: exponent, seed: 11)
    var generator = SeededGenerator(seed: 3)
    var pool = EvictionPool()
    var hits = (table: 0, exact: 0)
    for request in 0..<requests {
      let number = zipf.next()
      // 2,000 requests a second.
      let now = 1_000_000 + UInt64(request / 2)
      fixture.table.accessClock.set(milliseconds: now)
      if exact.use(number) { hits.exact += 1 }
      let key = "key:\(number)".bytes
      let isHit = key.withUnsafeBytes { raw in
        fixture.table.read(
          database: 0, slot: fixture.slot(key), hash: fixture.table.hash(raw), key: raw) != nil
      }
      if isHit {
        hits.table += 1
        continue
      }
      while fixture.table.liveCount(database: 0) >= capacity {
        let isGone = fixture.table.evict(
          order, onlyWithDeadline: false, samples: 10, now: now, pool: &pool, &generator)
        #expect(isGone)
        if !isGone { break }
      }
      write(fixture, key, request + 1)
    }
    return (Double(hits.table) / Double(requests), Double(hits.exact) / Double(requests))
  }

  private func write(
    _ fixture: TableFixture, _ key: [UInt8], _ stamp: Int, deadline: UInt64 = 0, bytes: Int = 8
  ) {
    key.withUnsafeBytes { raw in
      let place = fixture.table.write(
        database: 0, slot: fixture.slot(key), hash: fixture.table.hash(raw), key: raw,
        version: fixture.version(stamp), deadline: deadline, flags: .none, valueLength: bytes)
      place?.initializeMemory(as: UInt8.self, repeating: 7, count: bytes)
    }
  }

  @Test("Hits on a Zipf trace are within 2 points of exact LRU and LFU", arguments: [1.0, 0.5])
  func hitRatio(exponent: Double) {
    for order in [EvictionOrder.recency, .frequency] {
      let ratios = hitRatios(order, exponent: exponent, capacity: 1000, requests: 100_000)
      print("eviction: \(order), exponent \(exponent): \(ratios)")
      #expect(ratios.table > ratios.exact - 0.02)
    }
  }

  @Test("Only keys with a deadline go, and of those the one that expires first")
  func deadlines() {
    let fixture = TableFixture(databases: 1, slots: 256, seed: 7)
    for number in 0..<2000 { write(fixture, "lasting:\(number)".bytes, number + 1) }
    for number in 0..<12 {
      write(fixture, "dying:\(number)".bytes, 3000 + number, deadline: UInt64(10_000 + number))
    }
    var generator = SeededGenerator(seed: 3)
    var pool = EvictionPool()
    var tries = 0
    while fixture.table.deadlineCount(database: 0) > 0, tries < 10_000 {
      tries += 1
      _ = fixture.table.evict(
        .deadline, onlyWithDeadline: true, samples: 64, now: 1, pool: &pool, &generator)
    }
    #expect(fixture.table.deadlineCount(database: 0) == 0)
    #expect(fixture.table.liveCount(database: 0) == 2000)
    let isGone = fixture.table.evict(
      .deadline, onlyWithDeadline: true, samples: 64, now: 1, pool: &pool, &generator)
    #expect(!isGone)
    fixture.table.checkInvariants()
  }

  @Test("Tombstones are not evicted, and what is evicted leaves none")
  func tombstones() {
    let fixture = TableFixture(databases: 1, slots: 16, seed: 7)
    for number in 0..<100 {
      let key = "k\(number)".bytes
      key.withUnsafeBytes { raw in
        _ = fixture.table.write(
          database: 0, slot: fixture.slot(key), hash: fixture.table.hash(raw), key: raw,
          version: fixture.version(number + 1), deadline: 0,
          flags: number < 50 ? .tombstone : .none, valueLength: 0)
      }
    }
    var generator = SeededGenerator(seed: 3)
    var pool = EvictionPool()
    for order in [EvictionOrder.random, .recency] {
      for _ in 0..<(order == .random ? 25 : 100) {
        _ = fixture.table.evict(
          order, onlyWithDeadline: false, samples: 5, now: 1, pool: &pool, &generator)
      }
    }
    #expect(fixture.table.liveCount(database: 0) == 0)
    #expect(fixture.table.tombstoneCount(database: 0) == 50)
    fixture.table.checkInvariants()
  }

  @Test("A counter grows slowly, and falls by one a minute")
  func counter() {
    let fixture = TableFixture(databases: 1, slots: 16, seed: 7)
    fixture.table.accessClock.countsUses = true
    fixture.table.accessClock.set(milliseconds: 60_000_000)
    let key = "k".bytes
    write(fixture, key, 1)
    func count() -> UInt32 {
      key.withUnsafeBytes { raw in
        let usage = fixture.table.usage(
          database: 0, slot: fixture.slot(key), hash: fixture.table.hash(raw), key: raw)
        return usage.map { fixture.table.accessClock.counter($0.access) } ?? 0
      }
    }
    #expect(count() == AccessClock.newCounter)
    for _ in 0..<1000 {
      key.withUnsafeBytes { raw in
        _ = fixture.table.read(
          database: 0, slot: fixture.slot(key), hash: fixture.table.hash(raw), key: raw)
      }
    }
    // Redis's documentation: 18 after 1,000 uses at a factor of 10.
    let grown = count()
    #expect((12...26).contains(grown), "\(grown)")
    fixture.table.accessClock.set(milliseconds: 60_000_000 + 5 * 60_000)
    #expect(count() == grown - 5)
    fixture.table.accessClock.set(milliseconds: 60_000_000 + 600 * 60_000)
    #expect(count() == 0)
  }

  @Test("Memory of records that went is put together and given back; what is used never misses")
  func compaction() {
    let fixture = TableFixture(databases: 1, slots: 256, seed: 7)
    var generator = SeededGenerator(seed: 3)
    for number in 0..<100_000 {
      write(fixture, "key:\(number)".bytes, number + 1, bytes: generator.below(400))
    }
    let full = fixture.table.bytes
    for number in 0..<100_000 where number % 10 != 0 {
      let key = "key:\(number)".bytes
      key.withUnsafeBytes { raw in
        _ = fixture.table.remove(
          database: 0, slot: fixture.slot(key), hash: fixture.table.hash(raw), key: raw)
      }
    }
    let sparse = fixture.table.slackBytes
    for slot in 0..<256 {
      var from: Int? = 0
      while let first = from {
        let step = fixture.table.compact(database: 0, slot: slot, from: first, limit: 100)
        #expect(step.looked <= 300)
        from = step.next
      }
    }
    fixture.table.checkInvariants()
    #expect(
      fixture.table.slackBytes < sparse / 2, "\(full): \(sparse) to \(fixture.table.slackBytes)")
    #expect(fixture.table.liveCount(database: 0) == 10_000)
    for number in stride(from: 0, to: 100_000, by: 10) {
      let key = "key:\(number)".bytes
      let isThere = key.withUnsafeBytes { raw in
        fixture.table.object(
          database: 0, slot: fixture.slot(key), hash: fixture.table.hash(raw), key: raw)?.value
          .allSatisfy { $0 == 7 } ?? false
      }
      #expect(isThere)
    }
    fixture.table.removeAll(database: 0)
    #expect(fixture.table.recordBytes == 0)
  }
}
