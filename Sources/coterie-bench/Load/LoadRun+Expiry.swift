import Glibc

/// Very many keys that fall due together.
extension LoadRun {
  /// A tick of 2 ms or longer is one too long.
  private static let tickBar = 2
  private static let goneBar = 5.0
  private static let delayBar = 50.0

  func measureExpiry(_ system: System) throws(BenchError) -> [Finding] {
    let keys = options.isQuick ? 100_000 : 1_000_000
    return try withServer(system) { node throws(BenchError) in
      let alone = try Observer.watch(port: node.port, seconds: 2)
      let tickAlone = try longestTick(node, system)
      let lead = options.isQuick ? 3.0 : 20.0
      let due = Self.wallClock() + Int(lead * 1000)
      try loadMortal(node, keys: keys, due: due)
      guard Self.wallClock() < due else { throw BenchError("loading took longer than \(lead) s") }
      guard try KeyLoader(port: node.port).databaseSize() == keys else {
        throw BenchError("not all keys are there")
      }
      while Self.wallClock() < due - 100 { Monotonic.sleep(milliseconds: 10) }
      _ = try longestTick(node, system)
      let processor = try node.processorTime()
      var gone: Double?
      let delays = try Observer.during(port: node.port) { () throws(BenchError) in
        gone = try awaitEmpty(node, due: due)
      }
      let tick = try longestTick(node, system)
      let spent = (try node.processorTime() - processor) * 1e6 / Double(keys)
      var findings: [Finding] = [
        .time(
          "all gone, seconds after the first was due", gone.map { $0.text(2) } ?? "never",
          bar: "≤ 5", (gone ?? .infinity) <= Self.goneBar),
        .delay("longest delay of another client", delays.worst, atMost: Self.delayBar),
        .note("another client, before", alone.text),
        .note("another client, meanwhile", delays.text),
        .note("server CPU of a key", "\(spent.text(2)) µs"),
      ]
      if system == .coterie {
        findings.append(
          .time("longest tick", Self.text(tick), bar: "< 2 ms", (tick ?? 0) < Self.tickBar))
        findings.append(.note("longest tick before, with nothing due", Self.text(tickAlone)))
      }
      return findings
    }
  }

  /// Since the last question; a redis-server does not tell.
  private func longestTick(_ node: ServerNode, _ system: System) throws(BenchError) -> Int? {
    system == .coterie ? try node.longestTick() : nil
  }

  private static func text(_ tick: Int?) -> String {
    tick.map { "\($0) to \($0 + 1) ms" } ?? "below 1 ms"
  }

  /// Milliseconds since 1970, as PXAT counts.
  private static func wallClock() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
  }

  private func loadMortal(_ node: ServerNode, keys: Int, due: Int) throws(BenchError) {
    var writer = try Writer(port: node.port)
    for key in 0..<keys {
      // Spread over the second, in no order.
      let moment = due + key &* 7919 % 1000
      try writer.set(key, size: Workload.valueSize, option: ("PXAT", moment))
    }
    try writer.flush()
    guard writer.refused == 0 else { throw BenchError("\(writer.refused) writes were refused") }
  }

  /// Seconds from `due` until no key is left; nil after a minute.
  private func awaitEmpty(_ node: ServerNode, due: Int) throws(BenchError) -> Double? {
    let end = Monotonic.now() + 60_000_000_000
    var connection = try RESPConnection(port: node.port)
    while Monotonic.now() < end {
      let reply = try connection.ask(["DBSIZE"])
      if reply == .integer(0) { return Double(Self.wallClock() - due) / 1000 }
      Monotonic.sleep(milliseconds: 20)
    }
    return nil
  }
}
