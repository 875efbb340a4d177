import Objects
import Primitives
import RESP

extension Evaluator {
  private struct ExpireOptions {
    var ifNone = false
    var ifAny = false
    var ifGreater = false
    var ifLess = false
  }

  func expire(_ handler: Handler, _ live: LiveValue?) -> Mutation {
    guard let options = expireOptions() else { return .none }
    guard var when = parseInteger(word(2)) else { return notAnInteger() }
    let isSeconds = handler == .expire || handler == .expireat
    let isRelative = handler == .expire || handler == .pexpire
    let (scaled, tooLong) = when.multipliedReportingOverflow(by: isSeconds ? 1000 : 1)
    let (sum, tooLate) = scaled.addingReportingOverflow(isRelative ? Int(now) : 0)
    if tooLong || tooLate {
      error("ERR invalid expire time in '\(handler.rawValue)' command")
      return .none
    }
    when = sum
    guard let live, permits(options, when, live.deadline) else {
      integer(0)
      return .none
    }
    integer(1)
    return when <= Int(now) ? .delete : .retain(deadline: UInt64(when))
  }

  private func permits(_ options: ExpireOptions, _ when: Int, _ current: UInt64) -> Bool {
    if options.ifNone, current != 0 { return false }
    if options.ifAny, current == 0 { return false }
    if options.ifGreater, current == 0 || when <= Int(current) { return false }
    if options.ifLess, current != 0, when >= Int(current) { return false }
    return true
  }

  private func expireOptions() -> ExpireOptions? {
    var options = ExpireOptions()
    for index in 3..<max(3, wordCount) {
      let option = word(index)
      if option.isWord("nx") {
        options.ifNone = true
      } else if option.isWord("xx") {
        options.ifAny = true
      } else if option.isWord("gt") {
        options.ifGreater = true
      } else if option.isWord("lt") {
        options.ifLess = true
      } else {
        error("ERR Unsupported option \(option.text)")
        return nil
      }
    }
    if options.ifNone, options.ifAny || options.ifGreater || options.ifLess {
      error("ERR NX and XX, GT or LT options at the same time are not compatible")
      return nil
    }
    if options.ifGreater, options.ifLess {
      error("ERR GT and LT options at the same time are not compatible")
      return nil
    }
    return options
  }

  func timeToLive(_ handler: Handler, _ live: LiveValue?) {
    guard let live else { return integer(-2) }
    guard live.deadline != 0 else { return integer(-1) }
    let left = max(0, Int(live.deadline) - Int(now))
    switch handler {
    case .ttl: integer(left / 1000 + (left % 1000 >= 500 ? 1 : 0))
    case .pttl: integer(left)
    case .expiretime:
      integer(Int(live.deadline / 1000) + (live.deadline % 1000 >= 500 ? 1 : 0))
    default: integer(Int(live.deadline))
    }
  }
}
