import Glibc

/// This program's own limit of open files: it holds 10,000 connections, and so does the server.
enum Descriptors {
  static let wanted = 24_000

  /// What a shell does before it becomes a server with many connections.
  static let setup = "ulimit -n \(wanted) 2>/dev/null || ulimit -n \"$(ulimit -Hn)\""

  /// As far as it goes: above the hard limit for root only.
  static func raiseLimit() {
    var limit = rlimit()
    let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    getrlimit(kind, &limit)
    guard limit.rlim_cur < rlim_t(wanted) else { return }
    var raised = rlimit(
      rlim_cur: rlim_t(wanted), rlim_max: max(limit.rlim_max, rlim_t(wanted)))
    if setrlimit(kind, &raised) == 0 { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(kind, &limit)
  }
}
