import Glibc

/// Clients that ask for much and read nothing.
extension LoadRun {
  private static let clients = 100
  private static let asked = 500
  private static let valueSize = 1_000_000
  private static let limit = 256 << 20
  private static let memoryBar = limit * 115 / 100 + 64 << 20
  private static let delayBar = 10.0

  func measureSilent() throws(BenchError) -> [Finding] {
    let seconds = options.isQuick ? 3.0 : 15.0
    return try withServer(.coterie, ["--maxmemory", "\(Self.limit)"]) { node throws(BenchError) in
      var writer = try Writer(port: node.port)
      try writer.set(0, size: Self.valueSize)
      try writer.set(1, size: Workload.valueSize)
      try writer.flush()
      let alone = try Observer.watch(port: node.port, asking: ["GET", "key:1"], seconds: 1)
      var delays = alone
      var cutOff = 0
      var after = 0
      let peak = try MemoryWatch.during(node) { () throws(BenchError) in
        delays = try Observer.during(port: node.port, asking: ["GET", "key:1"]) {
          () throws(BenchError) in
          cutOff = try beSilent(node, seconds: seconds)
        }
        after = node.settledMemory(within: 10)
      }
      return [
        .bound(
          "highest memory", sizeText(peak), bar: "≤ \(sizeText(Self.memoryBar))",
          peak <= Self.memoryBar),
        .delay("p99 of another client", delays.p99, atMost: Self.delayBar),
        .note("another client, before", alone.text),
        .note("another client, meanwhile", delays.text),
        .note("clients that the server closed", "\(cutOff) of \(Self.clients)"),
        .note("memory when they have gone", sizeText(after)),
      ]
    }
  }

  /// Asks, waits, and tells how many were cut off.
  private func beSilent(_ node: ServerNode, seconds: Double) throws(BenchError) -> Int {
    let get = RESPConnection.request(["GET", "key:0"])
    let request = Array(repeatElement(get, count: Self.asked).joined())
    var silent: [Int32] = []
    defer { for descriptor in silent { close(descriptor) } }
    for index in 0..<Self.clients {
      let descriptor = try ClientSocket.connect(
        port: node.port, index: index, receiveBuffer: 4096)
      silent.append(descriptor)
      _ = ClientSocket.offer(request, to: descriptor)
    }
    Monotonic.sleep(milliseconds: Int(seconds * 1000))
    return silent.count { descriptor in
      var poller = pollfd(fd: descriptor, events: 0, revents: 0)
      let hasEvents = poll(&poller, 1, 0) > 0
      return hasEvents && poller.revents & Int16(POLLHUP | POLLERR) != 0
    }
  }
}
