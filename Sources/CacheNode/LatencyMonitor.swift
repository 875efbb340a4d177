import Primitives

/// Events that took long, as LATENCY shows them: for each kind of event the last 160 seconds in which it
/// happened, and the worst of all time. As in Redis, two in one second are one sample, the longer.
struct LatencyMonitor {
  struct Sample {
    /// Unix seconds.
    var time: UInt64
    var milliseconds: UInt64
  }

  struct Event {
    var samples: [Sample] = []
    var worst: UInt64 = 0
  }

  /// Samples of one event, as in Redis.
  static let mostSamples = 160

  /// Milliseconds from which on an event counts; nil: the monitor is off.
  var threshold: UInt64?
  /// By name: there are a dozen.
  private(set) var events: [(name: String, event: Event)] = []

  mutating func add(_ name: String, milliseconds: UInt64, time: UInt64) {
    let place = events.firstIndex { $0.name == name } ?? events.count
    if place == events.count {
      events.append((name, Event()))
      events.sort { $0.name < $1.name }
      return add(name, milliseconds: milliseconds, time: time)
    }
    events[place].event.worst = max(events[place].event.worst, milliseconds)
    if let last = events[place].event.samples.last, last.time == time {
      let count = events[place].event.samples.count
      events[place].event.samples[count - 1].milliseconds = max(last.milliseconds, milliseconds)
      return
    }
    if events[place].event.samples.count == LatencyMonitor.mostSamples {
      events[place].event.samples.removeFirst()
    }
    events[place].event.samples.append(Sample(time: time, milliseconds: milliseconds))
  }

  subscript(name: String) -> Event? { events.first { $0.name == name }?.event }

  /// Forgets an event. False when there was none.
  mutating func reset(_ name: String) -> Bool {
    guard let place = events.firstIndex(where: { $0.name == name }) else { return false }
    events.remove(at: place)
    return true
  }

  mutating func resetAll() -> Int {
    defer { events = [] }
    return events.count
  }
}

extension LatencyMonitor.Event {
  /// A picture of the samples, a column each: the height is the duration, the text below how long ago.
  func graph(named name: String, now: UInt64) -> String {
    let rows = 4
    let high = samples.map(\.milliseconds).max() ?? 0
    let low = samples.map(\.milliseconds).min() ?? 0
    let columns = samples.suffix(80)
    var text = "\(name) - high \(high) ms, low \(low) ms (all time high \(worst) ms)\n"
    text += String(repeating: "-", count: 80) + "\n"
    // Three levels a row: nothing, the foot, the whole.
    let levels = columns.map { sample in
      high == low
        ? rows * 2 : 1 + Int((sample.milliseconds - low) * UInt64(rows * 2 - 1) / (high - low))
    }
    for row in (0..<rows).reversed() {
      let line = levels.map { level in
        level > row * 2 + 1 ? (level <= row * 2 + 2 ? "#" : "|") : level > row * 2 ? "_" : " "
      }
      text += line.joined() + "\n"
    }
    let ages = columns.map { Array(LatencyMonitor.age(now > $0.time ? now - $0.time : 0)) }
    text += "\n"
    for row in 0..<(ages.map(\.count).max() ?? 0) {
      text += String(ages.map { row < $0.count ? $0[row] : " " }) + "\n"
    }
    return text
  }
}

extension LatencyMonitor {
  /// Seconds in at most three characters and a unit.
  fileprivate static func age(_ seconds: UInt64) -> String {
    if seconds < 60 { return "\(seconds)s" }
    if seconds < 3600 { return "\(seconds / 60)m" }
    return seconds < 86_400 ? "\(seconds / 3600)h" : "\(seconds / 86_400)d"
  }
}
