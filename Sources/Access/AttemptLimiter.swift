import Primitives

// # Guessing passwords
//
// A wrong password costs its address one of `Limits.authenticationFailures` attempts, which come
// back one by one over a minute. An address without any is refused until the next has come, its
// password unseen: right and wrong ones get the same reply, else the limit would say which is
// which. Nothing waits meanwhile, neither the client nor the event loop.
//
// An address is an IPv4 address or the /64 of an IPv6 address, which one machine can walk through
// at will. Loopback counts as any other: what runs on the machine may guess, too. The price is that
// whoever shares an address with a client that keeps failing, behind one NAT say, is refused with
// it for seconds at a time.
//
// The table is bounded. When it is full the address that has failed longest ago makes room, so
// an enemy with more addresses than places gets more attempts; such a one has them anyway.

/// Counts failed logins by address.
public struct AttemptLimiter: Sendable {
  private struct Failures {
    /// Attempts that are used up, in units of the time that one takes to come back.
    var debt: UInt64
    var at: UInt64
  }

  /// Microseconds in which one attempt comes back.
  private static var interval: UInt64 {
    Limits.authenticationWindow / UInt64(Limits.authenticationFailures)
  }

  private var failures: [String: Failures] = [:]

  public init() {}

  public var count: Int { failures.count }

  /// Seconds until the address ("127.0.0.1:4711", "[::1]:4711") may try again; nil: now. Times are
  /// in monotonic microseconds.
  public func wait(_ address: String, at now: UInt64) -> Int? {
    guard !failures.isEmpty, let known = failures[AttemptLimiter.source(address)] else {
      return nil
    }
    let debt = AttemptLimiter.debt(known, now)
    let most = Limits.authenticationWindow - AttemptLimiter.interval
    return debt > most ? Int((debt - most) / 1_000_000) + 1 : nil
  }

  /// A login from the address failed.
  public mutating func fail(_ address: String, at now: UInt64) {
    let source = AttemptLimiter.source(address)
    let debt = failures[source].map { AttemptLimiter.debt($0, now) } ?? 0
    if failures[source] == nil, failures.count >= Limits.authenticationAddresses { makeRoom() }
    failures[source] = Failures(debt: debt + AttemptLimiter.interval, at: now)
  }

  private static func debt(_ known: Failures, _ now: UInt64) -> UInt64 {
    let passed = now > known.at ? now - known.at : 0
    return known.debt > passed ? known.debt - passed : 0
  }

  private mutating func makeRoom() {
    // By name among equals: the order of a dictionary is another in every process.
    let oldest = failures.min { ($0.value.at, $0.key) < ($1.value.at, $1.key) }
    if let oldest { failures[oldest.key] = nil }
  }

  /// The address without its port; of an IPv6 address its first four groups.
  static func source(_ address: String) -> String {
    guard address.utf8.first == UInt8(ascii: "[") else {
      return String(address.prefix { $0 != ":" })
    }
    let text = address.dropFirst().prefix { $0 != "]" && $0 != "%" }
    let halves = text.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
    var groups = halves[0].split(separator: ":")
    if halves.count == 2 {
      let behind = halves[1].split(separator: ":").count
      groups += Array(repeating: "0", count: max(0, 8 - groups.count - behind))
      groups += halves[1].split(separator: ":")
    }
    // All of ::/64 are one otherwise, ::1 among them.
    return groups.prefix(4).joined(separator: ":")
  }
}
