/// Very many commands at once, once and without end.
extension LoadRun {
  private static let commands = 100_000
  private static let fairBatch = 10_000
  /// A tick's budget, and a client's turn within it.
  private static let fairBar = 5.0

  func measureBatch(_ system: System) throws(BenchError) -> [Finding] {
    var request: [UInt8] = []
    var answer: [UInt8] = []
    for number in 1...Self.commands {
      let text = "\(number)"
      request += "*2\r\n$4\r\nECHO\r\n$\(text.utf8.count)\r\n\(text)\r\n".utf8
      answer += "$\(text.utf8.count)\r\n\(text)\r\n".utf8
    }
    let times = options.isQuick ? 3 : 20
    return try withServer(system) { node throws(BenchError) in
      let alone = try Observer.watch(port: node.port, seconds: 1)
      var answered = 0
      let processor = try node.processorTime()
      let delays = try Observer.during(port: node.port) { () throws(BenchError) in
        for _ in 0..<times {
          var exchange = try Exchange(port: node.port)
          answered += try exchange.run(request, answer: answer)
        }
      }
      let spent = (try node.processorTime() - processor) * 1e6 / Double(times * Self.commands)
      return [
        .bound(
          "answered, in order", "\(answered * Self.commands) of \(times * Self.commands)",
          bar: "all", answered == times),
        .delay("longest delay of another client", delays.worst, atMost: 50),
        .note("another client, before", alone.text),
        .note("another client, meanwhile", delays.text),
        .note("server CPU of a command", "\(spent.text(2)) µs"),
      ]
    }
  }

  func measureFairness(_ system: System) throws(BenchError) -> [Finding] {
    let get = KeyLoader.request(1, isSet: false)
    let request = Array(repeatElement(get, count: Self.fairBatch).joined())
    let value = "$64\r\n" + String(repeating: "v", count: Workload.valueSize) + "\r\n"
    let answer = Array(value.utf8)
    let seconds = options.isQuick ? 1.0 : 5.0
    return try withServer(system) { node throws(BenchError) in
      try KeyLoader(port: node.port).load(count: 2)
      var alone: [Delays] = []
      var beside: [Delays] = []
      var commands = 0
      for _ in 0..<(options.isQuick ? 1 : 3) {
        alone.append(try watchGet(node, seconds))
        let flood = try Flood(port: node.port, request: request, answer: answer)
        beside.append(try watchGet(node, seconds))
        commands += try flood.stop()
      }
      let (calm, busy) = (Delays.all(alone), Delays.all(beside))
      return [
        .delay("p99 of the single GETs beside batches", busy.p99, atMost: Self.fairBar),
        .note("single GETs alone", calm.text),
        .note("single GETs beside batches", busy.text),
        .note(
          "batched commands/s", (Double(commands) / Double(beside.count) / seconds).text(0)),
      ]
    }
  }

  private func watchGet(_ node: ServerNode, _ seconds: Double) throws(BenchError) -> Delays {
    try Observer.watch(port: node.port, asking: ["GET", "key:000000000000"], seconds: seconds)
  }
}
