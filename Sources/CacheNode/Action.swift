import Primitives

/// What a node asks its shell to do. Bytes are no actions: they wait in the outputs.
public enum Action: Sendable {
  /// Dial a peer; answer with `linkOpened` or `linkClosed`.
  case connect(LinkID, Endpoint)
  case closeLink(LinkID)
  /// Close once the output is written.
  case closeSession(SessionID)
  /// Stop or go on reading from a client.
  case setReading(SessionID, Bool)
  /// Write this to the state file.
  case save(SavedState)
  case log(LogLevel, String)
  /// Write these parameters, and these lines for users in place of all there are, to the conf file,
  /// keeping its comments; then `rewriteFinished`.
  case rewriteConfiguration(SessionID, [(name: String, value: String)], users: [String])
  /// Write this to the ACL file; then `usersSaved`.
  case saveUsers(SessionID, [UInt8])
  /// Read the ACL file; then `usersRead`.
  case readUsers(SessionID)
  case shutdown
  /// Stop the whole process for so long, then `slept`: DEBUG SLEEP.
  case sleep(SessionID, microseconds: UInt64)
}

/// Redis's levels.
public enum LogLevel: Int, Sendable, Comparable, CaseIterable {
  case debug, verbose, notice, warning

  public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }

  public init?(_ name: String) {
    switch name.lowercased() {
    case "debug": self = .debug
    case "verbose": self = .verbose
    case "notice": self = .notice
    case "warning": self = .warning
    default: return nil
    }
  }
}

/// Names a client's connection. The generation tells it from an earlier one in the same place.
public struct SessionID: Hashable, Sendable {
  public var index: Int
  public var generation: UInt32

  public init(index: Int, generation: UInt32) {
    self.index = index
    self.generation = generation
  }
}

/// Names a connection to or from a peer.
public struct LinkID: Hashable, Sendable {
  public var index: Int
  public var generation: UInt32

  public init(index: Int, generation: UInt32) {
    self.index = index
    self.generation = generation
  }
}
