import Primitives

/// When something that strangers can cause was last logged.
public struct RefusalLog {
  private var nextAt: UInt64 = 0
  private var hidden = 0

  public init() {}

  /// The line to write, which tells how many were hidden since the one before; nil when this one is to
  /// be hidden, too.
  public mutating func line(_ text: String, at now: UInt64) -> String? {
    guard now >= nextAt else {
      hidden += 1
      return nil
    }
    nextAt = now + Limits.refusalLogInterval
    defer { hidden = 0 }
    return hidden == 0 ? text : "\(text) (and \(hidden) more since the last such line)"
  }
}
