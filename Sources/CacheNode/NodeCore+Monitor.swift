import Primitives
import RESP

// MONITOR: shows a client every command that the clients of this node run, as Redis prints them. What
// other nodes forward here is shown where its client is. Passwords are never shown, and neither are
// administrative commands, as in Redis.
//
// While nobody monitors it costs a look at a flag. A monitor that does not read is closed when
// `Limits.monitorOutputBytes` wait for it.

extension NodeCore {
  mutating func executeMonitor(_ index: Int) -> Bool {
    let session = sessions[index]
    if !session.pointee.flags.contains(.monitor) {
      session.pointee.flags.insert(.monitor)
      monitors.append(SessionID(index: index, generation: session.pointee.generation))
      meter.pointee.isWatched = true
    }
    return replyOK(index)
  }

  /// The session shows commands no longer.
  mutating func stopMonitoring(_ index: Int) {
    guard sessions[index].pointee.flags.contains(.monitor) else { return }
    sessions[index].pointee.flags.remove(.monitor)
    monitors.removeAll { $0.index == index }
    meter.pointee.isWatched = !monitors.isEmpty
  }

  /// Shows the request that was just run for this session.
  @inline(never)
  mutating func feedMonitors(_ index: Int) {
    let number = meter.pointee.number
    guard number >= 0, !commandIndex.entries[number].isAdministrative else { return }
    let words = (0..<arguments.pointee.count).map { Array(arguments.pointee[$0]) }
    let line = monitorLine(index, hideSecrets(number, words))
    for id in monitors {
      guard session(id) != nil else { continue }
      let reply = beginReply(id.index)
      reply.buffer.pointee.append(line)
      endReply(id.index, reply)
      markDirty(id.index)
      if reply.buffer.pointee.totalCount > Limits.monitorOutputBytes { dropMonitor(id.index) }
    }
  }

  private mutating func dropMonitor(_ index: Int) {
    stopMonitoring(index)
    log(
      .warning,
      "client id=\(sessions[index].pointee.id) addr=\(sessions[index].pointee.address) monitors and "
        + "does not read: \(Limits.monitorOutputBytes) bytes wait for it; closing it")
    kill(index)
  }

  private func monitorLine(_ index: Int, _ words: [[UInt8]]) -> [UInt8] {
    let session = sessions[index]
    let micros = "\(now.wallMicroseconds % 1_000_000)"
    var line = Array(
      ("+\(now.wallMicroseconds / 1_000_000)."
        + String(repeating: "0", count: 6 - micros.utf8.count) + micros
        + " [\(session.pointee.database) \(session.pointee.address)]").utf8)
    for word in words {
      line.append(UInt8(ascii: " "))
      appendQuoted(word, keepingHighBytes: false, to: &line)
    }
    return line + [13, 10]
  }
}
