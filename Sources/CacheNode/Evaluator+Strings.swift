import Objects
import Primitives
import RESP

extension Evaluator {
  // MARK: SET and its family

  @inline(__always)
  func plainSet() -> Mutation {
    reply.pointee.appendOK()
    return .put(word(2), deadline: freshDeadline)
  }

  /// The options of SET and GETEX.
  private struct SetOptions {
    var ifAbsent = false
    var ifPresent = false
    var returnsOld = false
    var keepsDeadline = false
    var persists = false
    /// The option that gave the expiry, and its word.
    var expiry: (unit: ExpiryUnit, word: Int)?

    /// One kind of expiry, though as often as one likes.
    func takes(_ unit: ExpiryUnit) -> Bool {
      !keepsDeadline && !persists && (expiry == nil || expiry?.unit == unit)
    }
  }

  func set(_ live: LiveValue?) -> Mutation {
    guard let options = setOptions(from: 3, forGetEx: false) else { return syntaxError() }
    var deadline = freshDeadline
    if let expiry = options.expiry {
      guard let given = parseDeadline(word(expiry.word), expiry.unit, "set") else { return .none }
      deadline = given
    } else if options.keepsDeadline, let live {
      deadline = live.deadline
    }
    if options.returnsOld { value(live) }
    if (options.ifAbsent && live != nil) || (options.ifPresent && live == nil) {
      if !options.returnsOld { reply.pointee.appendNull(resp: resp) }
      return .none
    }
    if !options.returnsOld { reply.pointee.appendOK() }
    return .put(word(2), deadline: deadline)
  }

  /// Reads the options from `start` on; nil for a syntax error.
  private func setOptions(from start: Int, forGetEx: Bool) -> SetOptions? {
    var options = SetOptions()
    var at = start
    while at < wordCount {
      let option = word(at)
      if !forGetEx, option.isWord("nx"), !options.ifPresent {
        options.ifAbsent = true
      } else if !forGetEx, option.isWord("xx"), !options.ifAbsent {
        options.ifPresent = true
      } else if !forGetEx, option.isWord("get") {
        options.returnsOld = true
      } else if !forGetEx, option.isWord("keepttl"), options.expiry == nil {
        options.keepsDeadline = true
      } else if forGetEx, option.isWord("persist"), options.expiry == nil {
        options.persists = true
      } else if let unit = ExpiryUnit(option), options.takes(unit), at + 1 < wordCount {
        options.expiry = (unit, at + 1)
        at += 1
      } else {
        return nil
      }
      at += 1
    }
    return options
  }

  /// A unit and origin of time in an option.
  enum ExpiryUnit {
    case seconds, milliseconds, atSeconds, atMilliseconds

    init?(_ option: UnsafeRawBufferPointer) {
      if option.isWord("ex") {
        self = .seconds
      } else if option.isWord("px") {
        self = .milliseconds
      } else if option.isWord("exat") {
        self = .atSeconds
      } else if option.isWord("pxat") {
        self = .atMilliseconds
      } else {
        return nil
      }
    }

    var isRelative: Bool { self == .seconds || self == .milliseconds }
    var isSeconds: Bool { self == .seconds || self == .atSeconds }
  }

  /// A deadline from an option's word; replies and returns nil when it is none. Must be positive.
  func parseDeadline(
    _ text: UnsafeRawBufferPointer, _ unit: ExpiryUnit, _ command: String
  ) -> UInt64? {
    guard let given = parseInteger(text) else {
      _ = notAnInteger()
      return nil
    }
    let (scaled, tooLong) = given.multipliedReportingOverflow(by: unit.isSeconds ? 1000 : 1)
    let (sum, tooLate) = scaled.addingReportingOverflow(unit.isRelative ? Int(now) : 0)
    if given <= 0 || tooLong || tooLate {
      error("ERR invalid expire time in '\(command)' command")
      return nil
    }
    return UInt64(sum)
  }

  func setIfAbsent(_ live: LiveValue?) -> Mutation {
    integer(live == nil ? 1 : 0)
    return live == nil ? .put(word(2), deadline: freshDeadline) : .none
  }

  func setWithTTL(_ handler: Handler) -> Mutation {
    let unit: ExpiryUnit = handler == .setex ? .seconds : .milliseconds
    guard let deadline = parseDeadline(word(2), unit, handler.rawValue) else { return .none }
    reply.pointee.appendOK()
    return .put(word(3), deadline: deadline)
  }

  func getAndExpire(_ live: LiveValue?) -> Mutation {
    guard let options = setOptions(from: 2, forGetEx: true) else { return syntaxError() }
    // The time is only looked at when the key is there, as in Redis.
    guard let live else {
      reply.pointee.appendNull(resp: resp)
      return .none
    }
    var mutation = Mutation.none
    if let expiry = options.expiry {
      guard let deadline = parseDeadline(word(expiry.word), expiry.unit, "getex") else {
        return .none
      }
      mutation = deadline <= now ? .delete : .retain(deadline: deadline)
    } else if options.persists, live.deadline != 0 {
      mutation = .retain(deadline: 0)
    }
    value(live)
    return mutation
  }

  // MARK: Parts of a value

  func append(_ live: LiveValue?) -> Mutation {
    let size = (live?.bytes.count ?? 0) + word(2).count
    guard size <= Limits.bulkBytes else { return tooBig() }
    integer(size)
    return .append(word(2), deadline: kept(live))
  }

  private func tooBig() -> Mutation {
    error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    return .none
  }

  func setRange(_ live: LiveValue?) -> Mutation {
    guard let offset = parseInteger(word(2)) else { return notAnInteger() }
    guard offset >= 0 else {
      error("ERR offset is out of range")
      return .none
    }
    let size = live?.bytes.count ?? 0
    let bytes = word(3)
    guard bytes.count > 0 else {
      integer(size)
      return .none
    }
    let (end, overflow) = offset.addingReportingOverflow(bytes.count)
    guard !overflow, end <= Limits.bulkBytes else { return tooBig() }
    integer(max(size, end))
    return .patch(offset, bytes, deadline: kept(live))
  }

  func getRange(_ live: LiveValue?) {
    guard var start = parseInteger(word(2)), var end = parseInteger(word(3)) else {
      _ = notAnInteger()
      return
    }
    let size = live?.bytes.count ?? 0
    guard let live, !(start < 0 && end < 0 && start > end) else {
      return reply.pointee.appendBulk([])
    }
    if start < 0 { start = max(0, size &+ start) }
    if end < 0 { end = max(0, size &+ end) }
    end = min(end, size - 1)
    guard start <= end, size > 0 else { return reply.pointee.appendBulk([]) }
    bigBulk(live.bytes.slice(start, end - start + 1), live.blob)
  }

  // MARK: Numbers

  func increment(_ live: LiveValue?, by step: Int) -> Mutation {
    var old = 0
    if let live {
      guard let number = parseInteger(live.bytes) else { return notAnInteger() }
      old = number
    }
    let (sum, overflow) = old.addingReportingOverflow(step)
    if overflow {
      error("ERR increment or decrement would overflow")
      return .none
    }
    integer(sum)
    scratch.pointee.removeAll()
    scratch.pointee.append(decimal: sum)
    return .put(scratch.pointee.readable, deadline: kept(live))
  }

  func incrementByWord(_ handler: Handler, _ live: LiveValue?) -> Mutation {
    guard let step = parseInteger(word(2)) else { return notAnInteger() }
    if handler == .decrby {
      guard step != Int.min else {
        error("ERR decrement would overflow")
        return .none
      }
      return increment(live, by: -step)
    }
    return increment(live, by: step)
  }

  func incrementByFloat(_ live: LiveValue?) -> Mutation {
    var old: ExtendedFloat = 0
    if let live {
      guard let number = parseFloat(live.bytes) else { return notAFloat() }
      old = number
    }
    guard let step = parseFloat(word(2)) else { return notAFloat() }
    let sum = old + step
    guard sum.isFinite else {
      error("ERR increment would produce NaN or Infinity")
      return .none
    }
    scratch.pointee.removeAll()
    scratch.pointee.append(formatFloat(sum))
    reply.pointee.appendBulk(scratch.pointee.readable)
    return .put(scratch.pointee.readable, deadline: kept(live))
  }

  private func notAFloat() -> Mutation {
    error("ERR value is not a valid float")
    return .none
  }
}
