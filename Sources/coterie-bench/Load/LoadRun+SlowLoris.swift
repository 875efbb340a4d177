import Glibc

/// Clients that begin a command and never come to its end.
extension LoadRun {
  /// A half-sent command is closed after 30 seconds; no later than this.
  private static let closedWithin = 40.0
  private static let bytesEach = 16 * 1024
  private static let delayBar = 2.0
  /// Seconds between two bytes of a client.
  private static let pace = 3

  func measureSlowLoris() throws(BenchError) -> [Finding] {
    let clients = options.isQuick ? 300 : 5000
    return try withServer(
      .coterie, ["--maxclients", "\(clients + 100)"], setup: Descriptors.setup
    ) { node throws(BenchError) in
      let alone = try Observer.watch(port: node.port, seconds: 1)
      var delays = alone
      var closed: [Double] = []
      let before = node.settledMemory()
      let peak = try MemoryWatch.during(node) { () throws(BenchError) in
        delays = try Observer.during(port: node.port) { () throws(BenchError) in
          closed = try dawdle(node, clients: clients)
        }
      }
      return closings(closed, of: clients) + [
        .bound(
          "highest memory of each", sizeText((peak - before) / clients), bar: "≤ 16 KiB",
          peak - before <= clients * Self.bytesEach + 1 << 20),
        .delay("p99 of another client", delays.p99, atMost: Self.delayBar),
        .note("another client, before", alone.text),
        .note("another client, meanwhile", delays.text),
      ]
    }
  }

  private func closings(_ closed: [Double], of clients: Int) -> [Finding] {
    let range =
      closed.isEmpty ? "" : ", after \(closed.min()!.text(1)) to \(closed.max()!.text(1)) s"
    return [
      .bound(
        "closed by the server", "\(closed.count) of \(clients)\(range)",
        bar: "all in \(Self.closedWithin.text(0)) s", closed.count == clients)
    ]
  }

  /// For each client that the server closed, the seconds it was let in.
  private func dawdle(_ node: ServerNode, clients: Int) throws(BenchError) -> [Double] {
    // A value longer than what is ever sent of it.
    let command = Array("*3\r\n$3\r\nSET\r\n$5\r\nloris\r\n$100000\r\n".utf8)
    var ready = try ReadyList()
    var open: [Int32] = []
    var openedAt: [Int] = []
    defer { for descriptor in open where descriptor >= 0 { close(descriptor) } }
    for index in 0..<clients {
      let descriptor = try ClientSocket.connect(port: node.port, index: index)
      open.append(descriptor)
      openedAt.append(Monotonic.now())
      // Half of them stop within the first word, half within the value.
      let length = index % 2 == 0 ? 10 : command.count
      _ = ClientSocket.offer(Array(command[..<length]), to: descriptor)
      try ready.add(descriptor, index: index)
    }
    var closed: [Double] = []
    var sent = [Int](repeating: 10, count: clients)
    let end = Monotonic.now() + Int(Self.closedWithin * 1e9)
    var step = 0
    while closed.count < clients && Monotonic.now() < end {
      let next = Monotonic.now() + 100_000_000
      // Each has its turn once in `pace` seconds, a thirtieth of them at a time.
      for index in stride(from: step % (Self.pace * 10), to: clients, by: Self.pace * 10)
      where open[index] >= 0 {
        let isName = index % 2 == 0 && sent[index] < command.count
        _ = ClientSocket.offer([isName ? command[sent[index]] : UInt8(ascii: "x")], to: open[index])
        sent[index] += 1
      }
      step += 1
      try ready.wait(milliseconds: 100) { (index, _) throws(BenchError) in
        guard open[index] >= 0 else { return }
        close(open[index])
        open[index] = -1
        closed.append(Double(Monotonic.now() - openedAt[index]) / 1e9)
      }
      Monotonic.sleep(until: next)
    }
    return closed
  }
}
