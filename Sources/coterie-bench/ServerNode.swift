import Foundation

/// One server process, and the port where it serves clients.
struct ServerNode: Sendable {
  let process: ChildProcess
  let port: Int

  /// Waits till it answers a PING.
  func awaitAnswer(by deadline: Deadline) throws(BenchError) {
    try poll(by: deadline, expecting: "PONG", asking: ["PING"]) { $0 == .simple("PONG") }
  }

  /// Waits till it knows `nodes` nodes, itself included, and finds the cluster in order.
  func awaitCluster(of nodes: Int, by deadline: Deadline) throws(BenchError) {
    let wanted = ["cluster_known_nodes:\(nodes)", "cluster_state:ok"]
    let words = wanted.joined(separator: " and ")
    try poll(by: deadline, expecting: words, asking: ["CLUSTER", "INFO"]) { reply in
      guard case .bulk(let bytes?) = reply else { return false }
      let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
      return wanted.allSatisfy { lines.contains(Substring($0)) }
    }
  }

  /// The fields of INFO, of the sections named.
  func info(_ sections: String...) throws(BenchError) -> [Substring: Substring] {
    var connection = try RESPConnection(port: port)
    let reply = try connection.ask(["INFO"] + sections)
    guard case .bulk(let bytes?) = reply else {
      throw BenchError("INFO was answered with \(reply.summary)")
    }
    var fields: [Substring: Substring] = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
      guard let colon = line.firstIndex(of: ":") else { continue }
      fields[line[..<colon]] = line[line.index(after: colon)...]
    }
    return fields
  }

  /// A number of the section `replication`, where repair is counted.
  func count(_ field: String) throws(BenchError) -> Int {
    let text = try info("replication")[field[...]] ?? ""
    guard let number = Int(text) else { throw BenchError("INFO says '\(text)' for \(field)") }
    return number
  }

  /// Keys of database 0 that this very node holds.
  func keysHeld() throws(BenchError) -> Int {
    let words = try info("keyspace")["db0"] ?? ""
    return Int(words.dropFirst("keys=".count).prefix { $0.isNumber }) ?? 0
  }

  /// Whether it is linked to all `nodes` and no data moves because a node joins.
  func isSettled(among nodes: Int) throws(BenchError) -> Bool {
    let fields = try info("replication", "coterie")
    return fields["members"] == "\(nodes)"[...] && fields["members_alive"] == "\(nodes)"[...]
      && fields["filled"] == "1" && fields["filling_slots"] == "0" && fields["ring_change"] == "0"
  }

  /// Operations of which some answer is still to come.
  func operationsWaiting() throws(BenchError) -> Int {
    Int(try info("coterie")["operations_waiting"] ?? "") ?? 0
  }

  /// CONFIG SET.
  func configure(_ pairs: String...) throws(BenchError) {
    var connection = try RESPConnection(port: port)
    let reply = try connection.ask(["CONFIG", "SET"] + pairs)
    guard reply == .simple("OK") else {
      throw BenchError("CONFIG SET \(pairs) was answered with \(reply.summary)")
    }
  }

  /// Resident memory, in bytes.
  func residentSize() throws(BenchError) -> Int {
    let path = "/proc/\(process.pid)/status"
    let status = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    // For example "VmRSS:      9216 kB".
    guard let words = line?.split(whereSeparator: \.isWhitespace), words.count == 3,
      let kilobytes = Int(words[1])
    else { throw process.failure("has no VmRSS in \(path)") }
    return kilobytes * 1024
  }

  /// Resident memory once it has stopped moving: servers tidy up after a load, and give back.
  func settledResidentSize() throws(BenchError) -> Int {
    let deadline = Deadline(in: .seconds(5))
    var size = try residentSize()
    var calmReadings = 0
    while calmReadings < 3 && !deadline.hasPassed {
      Thread.sleep(forTimeInterval: 0.1)
      let latest = try residentSize()
      calmReadings = abs(latest - size) < 64 * 1024 ? calmReadings + 1 : 0
      size = latest
    }
    return size
  }

  private func poll(
    by deadline: Deadline, expecting wanted: String, asking words: [String],
    until isWanted: (RESPReply) -> Bool
  ) throws(BenchError) {
    var latest = "no answer"
    while !deadline.hasPassed {
      try process.checkIsRunning()
      do throws(BenchError) {
        var connection = try RESPConnection(port: port)
        let reply = try connection.ask(words)
        if isWanted(reply) { return }
        latest = reply.summary
      } catch {
        latest = error.description
      }
      Thread.sleep(forTimeInterval: 0.02)
    }
    throw process.failure(
      "did not answer \(words.joined(separator: " ")) with \(wanted) in time; last: \(latest)")
  }
}
