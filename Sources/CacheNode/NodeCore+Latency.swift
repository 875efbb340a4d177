import Metrics
import Primitives
import RESP

// LATENCY: events that took at least `latency-monitor-threshold`, and the histograms of commands.
//
// The events are the node's own steps, timed only while the monitor is on:
//
//     command, fast-command   one command, the wait for other nodes included
//     event-loop              from a round's first bytes to the end of its last step
//     eviction-cycle, expire-cycle, tombstone-cycle, memory-cycle      what their names say
//     links, fill-cycle, hints-cycle, anti-entropy, gossip             what the cluster needs

extension NodeCore {
  // MARK: Timing steps

  /// Where a step begins; 0 while nobody wants to know.
  @inline(__always)
  func stepBegins() -> UInt64 { latencyMonitor.threshold == nil ? 0 : readTicks() }

  @inline(__always)
  mutating func stepEnds(_ event: StaticString, _ begin: UInt64) {
    if _slowPath(begin != 0) { noteStep(event, begin) }
  }

  @inline(never)
  private mutating func noteStep(_ event: StaticString, _ begin: UInt64) {
    let milliseconds = nanoseconds(from: begin, to: readTicks()) / 1_000_000
    guard let threshold = latencyMonitor.threshold, milliseconds >= threshold else { return }
    latencyMonitor.add("\(event)", milliseconds: milliseconds, time: wall / 1000)
  }

  // MARK: LATENCY

  mutating func executeLatency(_ index: Int, _ name: String) -> Bool {
    switch name {
    case "latest": return showLatest(index)
    case "history": return showHistory(index)
    case "reset": return resetEvents(index)
    case "histogram": return showHistograms(index)
    case "doctor":
      let text = latencyReport()
      let resp = sessions[index].pointee.resp
      return replyNow(index) { $0.pointee.appendVerbatim(text, resp: resp) }
    default: return showGraph(index)
    }
  }

  private mutating func showLatest(_ index: Int) -> Bool {
    let events = latencyMonitor.events
    return replyNow(index) { reply in
      reply.pointee.appendArrayHeader(events.count)
      for (name, event) in events {
        reply.pointee.appendArrayHeader(4)
        reply.pointee.appendBulk(name)
        reply.pointee.appendInteger(Int(event.samples.last?.time ?? 0))
        reply.pointee.appendInteger(Int(event.samples.last?.milliseconds ?? 0))
        reply.pointee.appendInteger(Int(event.worst))
      }
    }
  }

  private mutating func showHistory(_ index: Int) -> Bool {
    let samples = latencyMonitor[arguments.pointee[2].text]?.samples ?? []
    return replyNow(index) { reply in
      reply.pointee.appendArrayHeader(samples.count)
      for sample in samples {
        reply.pointee.appendArrayHeader(2)
        reply.pointee.appendInteger(Int(sample.time))
        reply.pointee.appendInteger(Int(sample.milliseconds))
      }
    }
  }

  private mutating func resetEvents(_ index: Int) -> Bool {
    var count = 0
    if arguments.pointee.count == 2 { count = latencyMonitor.resetAll() }
    for place in 2..<max(2, arguments.pointee.count)
    where latencyMonitor.reset(arguments.pointee[place].text) { count += 1 }
    return reply(index, integer: count)
  }

  private mutating func showGraph(_ index: Int) -> Bool {
    let name = cString(arguments.pointee[2], limit: 128)
    guard let event = latencyMonitor[arguments.pointee[2].text] else {
      return fail(index, "ERR No samples available for event '\(name)'")
    }
    let text = event.graph(named: name, now: wall / 1000)
    let resp = sessions[index].pointee.resp
    return replyNow(index) { $0.pointee.appendVerbatim(text, resp: resp) }
  }

  // MARK: Histograms

  /// The numbers of the commands that a word names: a container stands for all its subcommands.
  private func numbers(named word: String) -> [Int] {
    let word = word.lowercased()
    return (0..<commandIndex.total).filter {
      commandIndex.fullNames[$0] == word || commandIndex.fullNames[$0].hasPrefix(word + "|")
    }
  }

  private mutating func showHistograms(_ index: Int) -> Bool {
    var wanted: [Int] = []
    if arguments.pointee.count == 2 { wanted = Array(0..<commandIndex.total) }
    for place in 2..<max(2, arguments.pointee.count) {
      wanted += numbers(named: arguments.pointee[place].text)
    }
    let shown = wanted.compactMap { number -> (String, LatencyHistogram)? in
      guard let histogram = commandIndex.entries[number].histogram?.pointee, histogram.count > 0
      else { return nil }
      return (commandIndex.fullNames[number], histogram)
    }
    let resp = sessions[index].pointee.resp
    return replyNow(index) { reply in
      reply.pointee.appendMapHeader(shown.count, resp: resp)
      for (name, histogram) in shown {
        reply.pointee.appendBulk(name)
        NodeCore.append(histogram, to: &reply.pointee, resp: resp)
      }
    }
  }

  private static func append(_ histogram: LatencyHistogram, to reply: inout ByteBuffer, resp: UInt8)
  {
    var steps: [(limit: UInt64, count: UInt64)] = []
    var power: UInt64 = 10
    while steps.last?.count ?? 0 < histogram.count {
      let end = UInt64(1) << power
      let count = power < 38 ? histogram.count(upTo: end - 1) : histogram.count
      // The limits that Redis prints: its buckets are 1/128 wider than the power of two.
      if count > steps.last?.count ?? 0 { steps.append(((end + end >> 7 - 1) / 1000, count)) }
      power += 1
    }
    reply.appendMapHeader(2, resp: resp)
    reply.appendBulk("calls")
    reply.appendInteger(Int(histogram.count))
    reply.appendBulk("histogram_usec")
    reply.appendMapHeader(steps.count, resp: resp)
    for step in steps {
      reply.appendInteger(Int(step.limit))
      reply.appendInteger(Int(step.count))
    }
  }

  // MARK: DOCTOR

  private func latencyReport() -> String {
    guard let threshold = latencyMonitor.threshold else {
      return
        "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. "
        + "You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable "
        + "it. If we weren't in a deep space mission I'd suggest to take a look at "
        + "https://redis.io/topics/latency-monitor.\n"
    }
    guard !latencyMonitor.events.isEmpty else {
      return "Dave, no latency spike was observed during the lifetime of this Redis instance, not "
        + "in the slightest bit. I honestly think you ought to sit down calmly, take a stress pill, "
        + "and think things over.\n"
    }
    var text = "Events that took at least \(threshold) ms:\n\n"
    for (number, (name, event)) in latencyMonitor.events.enumerated() {
      let values = event.samples.map(\.milliseconds)
      let mean = values.isEmpty ? 0 : values.reduce(0, +) / UInt64(values.count)
      text +=
        "\(number + 1). \(name): \(values.count) latency spikes (average \(mean) ms, worst "
        + "\(event.worst) ms, last \(values.last ?? 0) ms).\n"
    }
    text += "\nAdvice:\n\n"
    return text + latencyMonitor.events.map { "- \(NodeCore.advice($0.name))\n" }.joined()
  }

  private static func advice(_ event: String) -> String {
    switch event {
    case "command":
      "command: SLOWLOG GET shows which. In a cluster the time includes the wait for W or R owners: "
        + "INFO replication shows each peer's lag and state."
    case "fast-command":
      "fast-command: these do little. Look for a machine short of CPU, for swapping, or for slow "
        + "owners (INFO replication)."
    case "expire-cycle": "expire-cycle: many keys fall due at once. Spread their TTLs."
    case "eviction-cycle":
      "eviction-cycle: memory is at its limit. Raise maxmemory, or write less or smaller values."
    case "event-loop": "event-loop: one round took long. The other events say with what."
    default: "\(event): background work took long. Look for a machine short of CPU."
    }
  }
}
