import CLinux
import Glibc

/// Clients that all want in: each connects, PINGs, stays when it is answered, and tries again when it
/// is turned away.
struct Crowd: ~Copyable {
  private let port: Int
  private var ready: ReadyList
  private var sockets: [Int32]
  private var isIn: [Bool]
  /// When a client without a connection tries again.
  private var tryAt: [Int]
  private var chunk = [UInt8](repeating: 0, count: 4096)
  private(set) var refusals = 0

  private static let pause = 250_000_000

  init(port: Int, clients: Int) throws(BenchError) {
    self.port = port
    ready = try ReadyList()
    sockets = Array(repeating: -1, count: clients)
    isIn = Array(repeating: false, count: clients)
    tryAt = Array(repeating: 0, count: clients)
  }

  deinit {
    for socket in sockets where socket >= 0 { close(socket) }
  }

  var admitted: Int { isIn.count { $0 } }

  /// Lets them go on for so long; who is turned away tries again only if `retrying`.
  mutating func go(seconds: Double, retrying: Bool) throws(BenchError) {
    let end = Monotonic.now() + Int(seconds * 1e9)
    while Monotonic.now() < end {
      if retrying { try connectWaiting() }
      var events: [(Int, UInt32)] = []
      try ready.wait(milliseconds: 10) { (index, what) throws(BenchError) in
        events.append((index, what))
      }
      for (index, what) in events where sockets[index] >= 0 { serve(index, what) }
    }
  }

  /// All of them go at once.
  mutating func leave() {
    for index in sockets.indices where sockets[index] >= 0 {
      close(sockets[index])
      sockets[index] = -1
      isIn[index] = false
    }
  }

  private mutating func connectWaiting() throws(BenchError) {
    let now = Monotonic.now()
    for index in sockets.indices where sockets[index] < 0 && tryAt[index] <= now {
      tryAt[index] = now + Self.pause
      guard let socket = try? ClientSocket.connect(port: port, index: index, waits: false) else {
        refusals += 1
        continue
      }
      sockets[index] = socket
      try ready.add(socket, index: index, andWriting: true)
    }
  }

  private mutating func serve(_ index: Int, _ what: UInt32) {
    if what & EPOLLOUT.rawValue != 0 && !isIn[index] {
      _ = ClientSocket.offer(Array("PING\r\n".utf8), to: sockets[index])
    }
    guard what & ~EPOLLOUT.rawValue != 0 else { return }
    let count = ClientSocket.take(&chunk, from: sockets[index], waits: false)
    if count < 0 && errno == EAGAIN { return }
    if count > 0 && chunk[0] == UInt8(ascii: "+") {
      isIn[index] = true
    } else {
      close(sockets[index])
      sockets[index] = -1
      isIn[index] = false
      refusals += 1
      tryAt[index] = Monotonic.now() + Self.pause
    }
  }
}
