import Glibc

/// Who comes first where other programs want the same cores.
enum Priority {
  private static let niceness: Int32 = -15

  /// Servers and load come first, both alike, so that figures say little of those others. What is
  /// started afterwards inherits it. An ordinary user may not do that, which is no error.
  static func raise() { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness) }
}
