import CacheNode
import Foundation
import Primitives
import Synchronization
import Testing

private let slowClock = Mutex<UInt64>(0)

@Suite("Memory")
struct MemoryTests {
  private func call(_ cluster: TestCluster, _ index: Int, _ words: String) -> String {
    cluster.client(index).call(words.split(separator: " ").map { String($0).bytes })?.description
      ?? "none"
  }

  private static let oom = "-OOM command not allowed when used memory > 'maxmemory'."
  private static let value = String(repeating: "x", count: 1000)

  @Test("Without eviction writes are refused above maxmemory, and reads and deletions are not")
  func noEviction() {
    let cluster = TestCluster.formed(1)
    #expect(call(cluster, 0, "CONFIG SET maxmemory 3mb") == "OK")
    var refused = 0
    for number in 0..<4000 where call(cluster, 0, "SET k\(number) \(Self.value)") == Self.oom {
      refused += 1
    }
    #expect(refused > 1000 && refused < 3500)
    #expect(call(cluster, 0, "GET k0") == "\"\(Self.value)\"")
    #expect(call(cluster, 0, "SET k0 small") == Self.oom)
    #expect(call(cluster, 0, "INCR n") == Self.oom)
    #expect(call(cluster, 0, "MSET a 1 b 2") == Self.oom)
    #expect(call(cluster, 0, "APPEND k0 x") == Self.oom)
    for number in 0..<1000 { #expect(call(cluster, 0, "DEL k\(number)") == "1") }
    #expect(call(cluster, 0, "SET k0 small") == "OK")
    #expect(call(cluster, 0, "CONFIG SET maxmemory 0") == "OK")
    for number in 0..<4000 { #expect(call(cluster, 0, "SET k\(number) \(Self.value)") == "OK") }
    #expect(call(cluster, 0, "DBSIZE") == "4000")
  }

  @Test(
    "With every policy that evicts all is written, and memory keeps its bound",
    arguments: [
      "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
      "volatile-random", "volatile-ttl",
    ])
  func policies(policy: String) throws {
    let cluster = TestCluster.formed(1)
    #expect(call(cluster, 0, "CONFIG SET maxmemory 3mb maxmemory-policy \(policy)") == "OK")
    if policy.hasPrefix("volatile") {
      for number in 0..<500 {
        #expect(call(cluster, 0, "SET lasting:\(number) \(Self.value)") == "OK")
      }
    }
    for number in 0..<6000 {
      #expect(call(cluster, 0, "SET k\(number) \(Self.value) EX 1000") == "OK")
    }
    let info = call(cluster, 0, "INFO memory")
    let used = try #require(info.infoField("used_memory"))
    #expect(used <= 3 << 20)
    let evicted = try #require(call(cluster, 0, "INFO stats").infoField("evicted_keys"))
    #expect(evicted > 3000)
    if policy.hasPrefix("volatile") {
      for number in 0..<500 { #expect(call(cluster, 0, "EXISTS lasting:\(number)") == "1") }
    }
    let word = policy.hasSuffix("lfu") ? "FREQ" : "IDLETIME"
    #expect(Int(call(cluster, 0, "OBJECT \(word) k5999")) != nil)
    #expect(
      call(cluster, 0, "OBJECT \(policy.hasSuffix("lfu") ? "IDLETIME" : "FREQ") k5999")
        .hasPrefix("-ERR An LFU maxmemory policy is"))
    // Nothing is left to evict: the rest does not expire.
    guard policy.hasPrefix("volatile") else { return }
    var refused = 0
    for number in 0..<4000 where call(cluster, 0, "SET s\(number) \(Self.value)") == Self.oom {
      refused += 1
    }
    #expect(refused > 500)
  }

  @Test("Expiry ends its step by the clock, goes on while much is due, and rests when little is")
  func budget() {
    // Each look at this clock takes 100 µs.
    let lone = LoneNode(
      durationClock: DurationClock(scale: 1 << 32) {
        slowClock.withLock { time in
          time += 100_000
          return time
        }
      })
    let client = lone.open()
    for number in 0..<20_000 {
      _ = lone.call(client, ["SET".bytes, "k\(number)".bytes, "v".bytes])
    }
    _ = lone.call(client, "SET mortal v EX 1000")
    var rests = 0
    for _ in 0..<100 {
      lone.tick()
      if lone.node.nextDue > lone.now.monotonicMicroseconds + Limits.walkPause { rests += 1 }
    }
    #expect(rests > 90)
    for number in 0..<20_000 {
      _ = lone.call(client, ["PEXPIRE".bytes, "k\(number)".bytes, "10000000".bytes])
    }
    lone.tick(milliseconds: 10_000_001)
    let left = Int(lone.call(client, "DBSIZE").text.filter(\.isNumber)) ?? 0
    #expect((19_000..<20_001).contains(left), "one step left \(left)")
    var ticks = 0
    while lone.call(client, "DBSIZE").text != ":0\r\n", ticks < 20_000 {
      lone.tick()
      ticks += 1
    }
    #expect((20..<10_000).contains(ticks), "\(ticks) steps")
  }

  @Test("In a cluster evicted keys are no deletions, and nobody brings them back unasked")
  func cluster() throws {
    let cluster = TestCluster.formed(3)
    for index in 0..<3 {
      #expect(call(cluster, index, "CONFIG SET anti-entropy-interval 1") == "OK")
    }
    for number in 0..<2000 {
      #expect(call(cluster, number % 3, "SET k\(number) \(Self.value)") == "OK")
    }
    cluster.run(milliseconds: 3000)
    #expect(call(cluster, 0, "CONFIG SET maxmemory-policy allkeys-lru maxmemory 2mb") == "OK")
    cluster.run(milliseconds: 10_000)
    let used = try #require(call(cluster, 0, "INFO memory").infoField("used_memory"))
    #expect(used <= 2 << 20)
    let evicted = try #require(call(cluster, 0, "INFO stats").infoField("evicted_keys"))
    cluster.run(milliseconds: 10_000)
    // A buffer that grows for a moment may cost a key; what comes back would cost hundreds.
    let later = try #require(call(cluster, 0, "INFO stats").infoField("evicted_keys"))
    #expect(later <= evicted + 5)
    // Others still have them, and two owners are asked.
    for number in 0..<200 {
      #expect(call(cluster, 0, "GET k\(number)") == "\"\(Self.value)\"", "k\(number)")
    }
  }
}
