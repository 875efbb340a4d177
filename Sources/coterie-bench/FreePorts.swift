import Glibc

/// Finds ports nobody listens on.
struct FreePorts {
  /// Coterie's nodes talk to one another on the client port plus this.
  private static let clusterOffset = 10_000

  /// Client and cluster ports both stay below 32768, where Linux begins to hand out ports to
  /// outgoing connections: the load's own clients must not take one we are about to give away.
  private static let candidates = 12_000..<22_000

  /// A random start, so that two runs on one machine rarely try the same ports.
  private var next = Int.random(in: FreePorts.candidates)

  /// A port that is free together with its cluster port, and different from all before.
  mutating func take() throws(BenchError) -> Int {
    for _ in Self.candidates {
      let port = next
      next = next + 1 < Self.candidates.upperBound ? next + 1 : Self.candidates.lowerBound
      if Self.isFree(port) && Self.isFree(port + Self.clusterOffset) { return port }
    }
    throw BenchError("no free port in \(Self.candidates)")
  }

  private static func isFree(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    // As the servers do: connections that linger after a close are no obstacle.
    var yes: Int32 = 1
    setsockopt(
      descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in(loopbackPort: port)
    address.sin_addr.s_addr = 0  // Every interface, so that a listener on any one is in the way.
    return address.withSockaddr { bind(descriptor, $0, $1) == 0 && listen(descriptor, 1) == 0 }
  }
}
