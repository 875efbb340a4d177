import Glibc

/// One very big value, and a client that wants little meanwhile.
extension LoadRun {
  private static let delayBar = 50.0

  func measureBig(_ system: System) throws(BenchError) -> [Finding] {
    let size = (options.isQuick ? 64 : 512) << 20
    return try withServer(system) { node throws(BenchError) in
      let descriptor = try ClientSocket.connect(port: node.port)
      defer { close(descriptor) }
      let alone = try Observer.watch(port: node.port, seconds: 1)
      var findings: [Finding] = []
      func measure(
        _ title: String, _ body: () throws(BenchError) -> Void
      ) throws(BenchError) {
        let start = Monotonic.now()
        var seconds = 0.0
        let delays = try Observer.during(port: node.port) { () throws(BenchError) in
          try body()
          seconds = Monotonic.seconds(since: start)
          // What is left to do when it is answered counts too.
          Monotonic.sleep(milliseconds: 200)
        }
        findings.append(.delay("\(title): longest delay of another", delays.worst, atMost: 50))
        findings.append(.note("\(title): another client", delays.text))
        findings.append(.note("\(title): MiB/s", (Double(size >> 20) / seconds).text(0)))
      }
      try measure("SET") { () throws(BenchError) in try sendBig(descriptor, size) }
      try measure("GET") { () throws(BenchError) in try takeBig(descriptor, size) }
      try measure("DEL") { () throws(BenchError) in
        guard try node.ask("DEL", "big") == .integer(1) else {
          throw BenchError("DEL found nothing")
        }
      }
      findings.removeLast()  // No bytes go over the wire for it.
      findings.append(.note("another client, before", alone.text))
      return findings
    }
  }

  private func sendBig(_ descriptor: Int32, _ size: Int) throws(BenchError) {
    let filler = [UInt8](repeating: UInt8(ascii: "b"), count: 1 << 20)
    try ClientSocket.send(
      Array("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$\(size)\r\n".utf8), to: descriptor)
    for _ in 0..<(size >> 20) { try ClientSocket.send(filler, to: descriptor) }
    try ClientSocket.send(Array("\r\n".utf8), to: descriptor)
    var answer = [UInt8](repeating: 0, count: 5)
    guard ClientSocket.take(&answer, from: descriptor, waits: true) == 5,
      answer == Array("+OK\r\n".utf8)
    else { throw BenchError("SET was answered with \(String(decoding: answer, as: UTF8.self))…") }
  }

  private func takeBig(_ descriptor: Int32, _ size: Int) throws(BenchError) {
    try ClientSocket.send(RESPConnection.request(["GET", "big"]), to: descriptor)
    let head = Array("$\(size)\r\n".utf8)
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    var received = 0
    while received < head.count + size + 2 {
      let count = ClientSocket.take(&chunk, from: descriptor, waits: true)
      guard count > 0 else { throw BenchError("the server closed the connection in a GET") }
      if received == 0 && !chunk.starts(with: head) { throw BenchError("GET has another length") }
      received += count
    }
  }
}
