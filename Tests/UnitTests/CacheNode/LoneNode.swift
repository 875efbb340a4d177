import CacheNode
import Objects
import Primitives

/// Clients of a lone node that read as much as a test says.
final class LoneNode {
  let node: Node
  private var microseconds: UInt64 = 1_000_000
  var now: Instant {
    Instant(
      wallMicroseconds: 1_800_000_000_000_000 + microseconds, monotonicMicroseconds: microseconds)
  }

  init(durationClock: DurationClock? = nil) {
    var configuration = NodeConfiguration(
      id: 1, actor: Actor(rawValue: 2), incarnation: 1, name: "n", randomSeed: 3)
    configuration.port = 7001
    configuration.durationClock = durationClock
    node = Node(
      configuration,
      now: Instant(wallMicroseconds: 1_800_000_001_000_000, monotonicMicroseconds: 1_000_000))
    tick()
  }

  func open() -> SessionID {
    node.sessionOpened(address: "a", localAddress: "b", descriptor: 1, now: now)!
  }

  func tick(milliseconds: UInt64 = 1) {
    microseconds += milliseconds * 1000
    node.finishTick(now: now)
  }

  /// Sends a request in pieces of 64 KiB, as the server reads them.
  func send(_ id: SessionID, _ words: [[UInt8]]) { send(id, raw: TestClient.request(words)) }

  func send(_ id: SessionID, raw bytes: [UInt8]) {
    var at = 0
    while at < bytes.count {
      let end = min(at + 65_536, bytes.count)
      bytes.withUnsafeBytes {
        node.sessionReceived(id, UnsafeRawBufferPointer(rebasing: $0[at..<end]), now: now)
      }
      at = end
    }
    tick()
  }

  /// Reads at most `limit` bytes.
  func read(_ id: SessionID, _ limit: Int = .max) -> [UInt8] {
    var result: [UInt8] = []
    var waits = true
    while waits, result.count < limit {
      waits = node.withOutput(of: id) { bytes in
        let taken = min(bytes.count, limit - result.count)
        result += Array(bytes.prefix(taken))
        return taken
      }
      tick()
    }
    return result
  }

  func call(_ id: SessionID, _ words: [[UInt8]]) -> [UInt8] {
    send(id, words)
    return read(id)
  }

  func call(_ id: SessionID, _ words: String) -> [UInt8] {
    call(id, words.split(separator: " ").map { String($0).bytes })
  }

  func info(_ id: SessionID, _ field: String) -> Int? {
    call(id, "INFO everything").text.infoField(field)
  }

  /// Lets the graveyard run empty; how many ticks it took.
  func bury(_ id: SessionID) -> Int {
    var ticks = 0
    while info(id, "lazyfree_pending_objects") != 0, ticks < 1000 { ticks += 1 }
    return ticks
  }
}
