/// What access control refused lately: ACL LOG.
///
/// A refusal that repeats one of the last ten within a minute counts there and comes to the front,
/// so that a client that keeps trying does not push the others out.
public struct AccessLog: Sendable {
  public enum Reason: String, Sendable {
    case command, key, auth
  }

  public struct Entry: Sendable {
    public let reason: Reason
    /// The command's name, the key, or the command that the failed login came with.
    public let object: [UInt8]
    public let username: [UInt8]
    public fileprivate(set) var count: Int
    /// In milliseconds of the wall clock, of the last one counted.
    public fileprivate(set) var at: UInt64
    /// The line of CLIENT LIST.
    public fileprivate(set) var client: String
  }

  /// The latest first.
  public private(set) var entries: [Entry] = []

  private static let searched = 10
  private static let grouping: UInt64 = 60_000

  public init() {}

  public mutating func add(
    _ reason: Reason, _ object: [UInt8], username: [UInt8], client: String, at now: UInt64,
    limit: Int
  ) {
    let same = entries.prefix(AccessLog.searched).firstIndex { entry in
      entry.reason == reason && entry.object == object && entry.username == username
        && max(now, entry.at) - min(now, entry.at) <= AccessLog.grouping
    }
    var entry =
      same.map { entries.remove(at: $0) }
      ?? Entry(
        reason: reason, object: object, username: username, count: 0, at: now, client: client)
    entry.count += 1
    entry.at = now
    entry.client = client
    entries.insert(entry, at: 0)
    if entries.count > limit { entries.removeLast(entries.count - limit) }
  }

  public mutating func removeAll() { entries.removeAll() }
}
