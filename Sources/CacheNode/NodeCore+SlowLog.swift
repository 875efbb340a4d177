import Primitives
import RESP

// SLOWLOG, and what happens when a command was slow. Redis's words and limits; the time of a command that
// asks other nodes includes the wait for them, because a slow quorum is what an operator looks for here.

extension NodeCore {
  static let redacted = Array("(redacted)".utf8)

  // MARK: A slow command

  /// A command took at least as long as somebody wants to know of. `note` holds its words.
  @inline(never)
  mutating func noticeSlow(
    _ number: Int, _ elapsed: UInt64, session index: Int, _ note: UnsafeRawBufferPointer
  ) {
    let milliseconds = elapsed / 1_000_000
    if let threshold = latencyMonitor.threshold, milliseconds >= threshold {
      let event = commandIndex.entries[number].isFast ? "fast-command" : "command"
      latencyMonitor.add(event, milliseconds: milliseconds, time: wall / 1000)
    }
    guard let threshold = slowLog.threshold, elapsed / 1000 >= threshold else { return }
    let session = sessions[index]
    slowLog.add(
      hideSecrets(number, TrimmedWords.read(note)), microseconds: elapsed / 1000, time: wall / 1000,
      address: session.pointee.address, name: session.pointee.name)
  }

  /// The words without passwords: neither SLOWLOG nor MONITOR shows them.
  func hideSecrets(_ number: Int, _ words: [[UInt8]]) -> [[UInt8]] {
    var words = words
    func hide(_ places: some Sequence<Int>) {
      for place in places where place < words.count { words[place] = NodeCore.redacted }
    }
    func word(_ place: Int) -> String { String(decoding: words[place], as: UTF8.self).lowercased() }
    switch commandIndex.fullNames[number] {
    case "auth": hide(1..<max(1, words.count))
    case "hello":
      for place in words.indices.dropFirst(2) where word(place) == "auth" {
        hide([place + 1, place + 2])
      }
    case "acl|setuser": hide(2..<max(2, words.count))
    case "config|set":
      for place in stride(from: 2, to: words.count, by: 2)
      where ParameterStore.isSecret(word(place)) {
        hide([place + 1])
      }
    default: break
    }
    return words
  }

  /// Puts the parameters of this file and of LATENCY into force.
  mutating func applyEyeParameters() {
    let slower = parameters.number("slowlog-log-slower-than")
    slowLog.threshold = slower < 0 ? nil : UInt64(slower)
    slowLog.limit = parameters.number("slowlog-max-len")
    slowLog.trim()
    let latency = parameters.number("latency-monitor-threshold")
    latencyMonitor.threshold = latency == 0 ? nil : UInt64(latency)
    meter.pointee.keepsHistograms = parameters.isYes("latency-tracking")
    let slow = slowLog.limit == 0 ? nil : slowLog.threshold.map { ($0, UInt64(1000)) }
    let late = latencyMonitor.threshold.map { ($0, UInt64(1_000_000)) }
    meter.pointee.noticeFrom =
      [slow, late].compactMap { $0 }.map { value, unit in
        let (product, overflow) = value.multipliedReportingOverflow(by: unit)
        return overflow ? .max : product
      }.min() ?? .max
    // What may be noticed below a millisecond has to be known for each command.
    meter.pointee.shared = meter.pointee.noticeFrom < 1_000_000 ? 1 : CommandMeter.mostShared
  }

  // MARK: SLOWLOG

  mutating func executeSlowLog(_ index: Int, _ name: String) -> Bool {
    switch name {
    case "len": return reply(index, integer: slowLog.entries.count)
    case "reset":
      slowLog.reset()
      return replyOK(index)
    default: return showSlowLog(index)
    }
  }

  private mutating func showSlowLog(_ index: Int) -> Bool {
    guard arguments.pointee.count <= 3 else { return wrongSubcommandArity(index, "SLOWLOG") }
    var count = 10
    if arguments.pointee.count == 3 {
      guard let given = parseInteger(arguments.pointee[2]), given >= -1 else {
        return fail(index, "ERR count should be greater than or equal to -1")
      }
      count = given == -1 ? .max : given
    }
    let shown = slowLog.entries.suffix(count)
    return replyNow(index) { reply in
      reply.pointee.appendArrayHeader(shown.count)
      for entry in shown.reversed() {
        reply.pointee.appendArrayHeader(6)
        reply.pointee.appendInteger(entry.id)
        reply.pointee.appendInteger(Int(entry.time))
        reply.pointee.appendInteger(Int(entry.microseconds))
        reply.pointee.appendArrayHeader(entry.words.count)
        for word in entry.words { reply.pointee.appendBulk(word) }
        reply.pointee.appendBulk(entry.address)
        reply.pointee.appendBulk(entry.name)
      }
    }
  }

  /// Redis's words for a subcommand that takes no such number of arguments.
  mutating func wrongSubcommandArity(_ index: Int, _ container: String) -> Bool {
    fail(
      index,
      Array("ERR unknown subcommand or wrong number of arguments for '".utf8)
        + cBytes(arguments.pointee[1], limit: 128) + Array("'. Try \(container) HELP.".utf8))
  }
}
