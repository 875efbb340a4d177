import Metrics
import Primitives
import RESP

// # How long commands take
//
// From when a command begins to run to when its reply is ready: its execution here, or the whole wait
// when other nodes take part, as the client feels it. One reading of the clock is the end of one command
// and the beginning of the next:
//
//     run of a pipeline   read │ GET GET GET GET │ read │ GET GET │ read │ KEYS │ read
//                              └─── a group ─────┘
//
// A reading costs 11 ns where a pipelined GET costs 320 in all (measured: rdtsc; clock_gettime 28). So
// quick commands of one kind that follow each other in one pipeline share a reading, up to four, and its
// time in equal parts: 3 ns each. Whatever may take long is measured alone: a command that is not on one
// key, and one with a large request or reply. With `slowlog-log-slower-than` or
// `latency-monitor-threshold` below a millisecond every command is.
//
// A command that an operation takes over is accounted for when its reply is delivered. When a group
// of quick commands took a millisecond or more together, something else held the process up, and SLOWLOG
// shows the last of them: which of them it was, nobody knows.

/// The running command and the group that it is measured with.
struct CommandMeter {
  /// Commands that share one reading at most.
  static let mostShared = 4
  /// Bytes of request and reply above which a command is measured alone.
  static let sharedBytes = 4096

  let clock: DurationClock?
  /// Where the present group began.
  var reading: UInt64 = 0
  /// The number of its commands' entry.
  var number = -1
  /// Its commands so far.
  var count = 0
  /// The running command is to be accounted for when it ends: it was not refused, and no operation has
  /// taken it over.
  var isRunning = false
  /// The command that was refused last, until its error is counted; -1 for none.
  var refused = -1
  /// How many commands may share a reading: 1 when each has to be known exactly.
  var shared = CommandMeter.mostShared
  /// Nanoseconds from which on somebody wants to know of a command: SLOWLOG or LATENCY.
  var noticeFrom = UInt64.max
  /// Where the words of the group's last command are.
  var words: UnsafeMutablePointer<ArgumentList>?
  /// Whose commands run.
  var session = 0
  /// Somebody monitors; clients are paused: kept here, where each command looks anyway.
  var isWatched = false
  var isPaused = false
  /// The running command was taken over by an operation.
  var isTakenOver = false
  /// Where the present round of the event loop began; 0: nothing has come yet.
  var roundStart: UInt64 = 0
  /// `latency-tracking`.
  var keepsHistograms = true

  init(_ clock: DurationClock?) { self.clock = clock }
}

extension NodeCore {
  /// A reading of the clock, or of the tick's time without one.
  @inline(__always)
  func readTicks() -> UInt64 {
    if let clock = meter.pointee.clock { return clock.read() }
    return now.monotonicMicroseconds &* 1000
  }

  /// Nanoseconds between two readings. None when the clock went back, as it may between two cores.
  @inline(__always)
  func nanoseconds(from start: UInt64, to end: UInt64) -> UInt64 {
    guard end > start else { return 0 }
    return meter.pointee.clock?.nanoseconds(ticks: end &- start) ?? end &- start
  }

  /// Whether a step of upkeep that began then has taken long enough: so many times the usual.
  func isOverdue(since start: UInt64, times: Int = 1) -> Bool {
    nanoseconds(from: start, to: readTicks()) > Limits.upkeepNanoseconds * UInt64(times)
  }

  // MARK: Commands that run here

  /// A run of commands begins.
  @inline(__always)
  mutating func beginRun(_ index: Int) {
    meter.pointee.session = index
    meter.pointee.reading = readTicks()
    if meter.pointee.roundStart == 0 { meter.pointee.roundStart = meter.pointee.reading }
  }

  /// A command that was not refused begins.
  @inline(__always)
  mutating func commandBegins(_ number: Int) {
    meter.pointee.isRunning = true
    if _slowPath(meter.pointee.number != number) {
      if meter.pointee.count > 0 { endGroup() }
      meter.pointee.number = number
    }
  }

  /// The command that ran is a subcommand with an entry of its own.
  mutating func commandIs(_ number: Int) { meter.pointee.number = number }

  /// A command ended or was taken over; its reply, if there is one, grew the output by so much.
  @inline(__always)
  mutating func commandEnds(replyBytes: Int) {
    if _slowPath(meter.pointee.isWatched), meter.pointee.isRunning || meter.pointee.isTakenOver {
      feedMonitors(meter.pointee.session)
    }
    guard _fastPath(meter.pointee.isRunning) else { return endRun() }
    meter.pointee.count &+= 1
    meter.pointee.words = arguments
    let isShared =
      meter.pointee.count < meter.pointee.shared
      && commandIndex.entries[meter.pointee.number].isQuick
      && replyBytes &+ arguments.pointee.extent < CommandMeter.sharedBytes
    if !isShared { endGroup() }
  }

  /// The commands of the run are over, or the next ones are not to be measured with those before.
  @inline(__always)
  mutating func endRun() {
    if meter.pointee.count > 0 { return endGroup() }
    meter.pointee.number = -1
    meter.pointee.reading = readTicks()
  }

  @inline(never)
  private mutating func endGroup() {
    let end = readTicks()
    let elapsed = nanoseconds(from: meter.pointee.reading, to: end)
    account(meter.pointee.number, elapsed, count: meter.pointee.count)
    if _slowPath(elapsed >= meter.pointee.noticeFrom), let words = meter.pointee.words {
      scratch.pointee.removeAll()
      TrimmedWords.write(words, to: &scratch.pointee)
      noticeSlow(
        meter.pointee.number, elapsed, session: meter.pointee.session, scratch.pointee.readable)
    }
    meter.pointee.reading = end
    meter.pointee.number = -1
    meter.pointee.count = 0
  }

  /// `count` commands took so many nanoseconds together.
  @inline(__always)
  private mutating func account(_ number: Int, _ elapsed: UInt64, count: Int) {
    let entry = commandIndex.entries + number
    entry.pointee.calls &+= count
    entry.pointee.nanoseconds &+= elapsed
    guard meter.pointee.keepsHistograms else { return }
    if _slowPath(entry.pointee.histogram == nil) { entry.pointee.makeHistogram() }
    let each = count == 1 ? elapsed : elapsed / UInt64(count)
    entry.pointee.histogram.unsafelyUnwrapped.pointee.record(each, times: UInt64(count))
  }

  // MARK: Commands that wait for other nodes

  /// The running command's reply will come from this operation.
  @inline(__always)
  mutating func takeOver(_ operation: UnsafeMutablePointer<Operation>) {
    operation.pointee.command = meter.pointee.number
    operation.pointee.startedAt = meter.pointee.reading
    meter.pointee.isRunning = false
    meter.pointee.isTakenOver = true
    if meter.pointee.noticeFrom != .max {
      TrimmedWords.write(arguments, to: &operation.pointee.words)
    }
  }

  /// The reply of a client's operation is ready.
  mutating func operationAnswered(
    _ operation: UnsafeMutablePointer<Operation>, _ session: SessionID
  ) {
    let number = operation.pointee.command
    guard number >= 0 else { return }
    operation.pointee.command = -1
    let elapsed = nanoseconds(from: operation.pointee.startedAt, to: readTicks())
    account(number, elapsed, count: 1)
    if _slowPath(elapsed >= meter.pointee.noticeFrom) {
      noticeSlow(number, elapsed, session: session.index, operation.pointee.words.readable)
    }
    noteError(operation.pointee.reply.pointee.readable, of: number)
  }

  // MARK: Errors

  /// Counts the reply that begins at `start` if it is an error.
  @inline(__always)
  mutating func noteReply(_ buffer: UnsafeMutablePointer<ByteBuffer>, from start: Int) {
    let bytes = buffer.pointee.readable
    if bytes.count > start, _slowPath(bytes[start] == UInt8(ascii: "-")) {
      noteError(
        bytes.slice(start, bytes.count - start),
        of: meter.pointee.isRunning ? meter.pointee.number : -1)
    }
  }

  /// Counts a reply to a client if it is an error, also as a failure of its command if there is one: a
  /// refused command did not fail.
  @inline(never)
  private mutating func noteError(_ reply: UnsafeRawBufferPointer, of number: Int) {
    guard reply.first == UInt8(ascii: "-") else { return }
    if number >= 0 { commandIndex.entries[number].failed &+= 1 }
    statistics.pointee.errors &+= 1
    let word = reply.dropFirst().prefix { $0 > 32 }
    let name = String(decoding: word, as: UTF8.self)
    countFailure(name, of: number)
    if errorCounts.count < Limits.errorKinds || errorCounts[name] != nil {
      errorCounts[name, default: 0] += 1
    }
  }

  // MARK: Counters

  /// Forgets what commands were counted for: CONFIG RESETSTAT.
  mutating func resetCommandStatistics() {
    for number in 0..<commandIndex.total { commandIndex.entries[number].resetStatistics() }
    errorCounts = [:]
    failures = OperationFailures()
  }
}
