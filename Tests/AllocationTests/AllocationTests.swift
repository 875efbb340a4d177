import CAllocationCounter
import CacheNode
import Objects
import Primitives
import Testing

/// Allocations a command, exact and in both directions: a count that falls is written down here in
/// the commit that makes it fall.
@Suite("Allocations", .serialized)
struct AllocationTests {
  #if DEBUG
    private static let isMeasurable = false
  #else
    private static let isMeasurable = true
  #endif

  /// A node alone, with one client, and its time.
  private final class Bench {
    let node: Node
    let session: SessionID
    private var now = Instant(wallMicroseconds: 1_700_000_000_000_000, monotonicMicroseconds: 1)
    private var dirty: [SessionID] = []
    private var actions: [Action] = []

    init() throws {
      let configuration = NodeConfiguration(
        id: 1, actor: Actor(rawValue: 2), incarnation: 1, name: "alone", randomSeed: 3)
      node = Node(configuration, now: now)
      session = try #require(
        node.sessionOpened(address: "a", localAddress: "l", descriptor: 0, now: now))
      node.finishTick(now: now)
      node.takeActions(into: &actions)
    }

    /// One round of the event loop: a request in, its reply out.
    func round(_ request: [UInt8]) {
      now.monotonicMicroseconds += 10
      request.withUnsafeBytes { node.sessionReceived(session, $0, now: now) }
      node.takeDirtySessions(into: &dirty)
      for id in dirty { node.withOutput(of: id) { $0.count } }
    }

    /// Allocations a round over many rounds, after some to warm up.
    func allocationsPerRound(_ request: [UInt8]) -> Double {
      for _ in 0..<100 { round(request) }
      let before = coterie_allocations()
      for _ in 0..<10_000 { round(request) }
      return Double(coterie_allocations() - before) / 10_000
    }
  }

  private static func request(_ words: String...) -> [UInt8] {
    var text = "*\(words.count)\r\n"
    for word in words { text += "$\(word.utf8.count)\r\n\(word)\r\n" }
    return Array(text.utf8)
  }

  private static let value = String(repeating: "x", count: 64)

  @Test("the counter counts", .enabled(if: isMeasurable))
  func counterCounts() {
    let before = coterie_allocations()
    UnsafeMutableRawPointer.allocate(byteCount: 100, alignment: 8).deallocate()
    #expect(coterie_allocations() == before + 1)
  }

  @Test(
    "local commands on a warm key", .enabled(if: isMeasurable),
    arguments: [
      (request("GET", "key:000000000001"), 0.0),
      (request("SET", "key:000000000001", value), 0.0),
      (request("GET", "absent"), 0.0),
      (request("INCR", "counter"), 0.0),
      (request("STRLEN", "key:000000000001"), 0.0),
      (request("EXISTS", "key:000000000001"), 0.0),
    ])
  func localCommands(request: [UInt8], expected: Double) throws {
    let bench = try Bench()
    bench.round(Self.request("SET", "key:000000000001", Self.value))
    #expect(bench.allocationsPerRound(request) == expected)
  }

  @Test("a pipeline of 64 GETs allocates nothing", .enabled(if: isMeasurable))
  func pipeline() throws {
    let bench = try Bench()
    bench.round(Self.request("SET", "key:000000000001", Self.value))
    let pipeline = Array(
      repeatElement(Self.request("GET", "key:000000000001"), count: 64).joined())
    #expect(bench.allocationsPerRound(pipeline) == 0)
  }
}
