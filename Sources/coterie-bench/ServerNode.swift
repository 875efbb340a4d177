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
