import Glibc

/// A memory cgroup for one server: a child of the group that this program is in, so that no limit
/// that is set for that one is left behind. Version 1 and 2 of the kernel's interface.
struct MemoryGroup {
  let path: String
  private let files: Files

  private struct Files {
    let limit: String
    let peak: String
    let events: String
  }

  private static let version1 = Files(
    limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes", events: "memory.oom_control")
  private static let version2 = Files(
    limit: "memory.max", peak: "memory.peak", events: "memory.events")

  /// Makes one; nil where this program may not.
  init?(name: String) {
    for line in SystemFile.text("/proc/self/cgroup").split(separator: "\n") {
      // For example `4:memory:/user.slice` or `0::/user.slice`.
      let words = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard words.count == 3 else { continue }
      let own = words[2] == "/" ? "" : String(words[2])
      if words[1].split(separator: ",").contains("memory") {
        if let group = MemoryGroup("/sys/fs/cgroup/memory\(own)/\(name)", Self.version1) {
          self = group
          return
        }
      } else if words[0] == "0" {
        if let group = MemoryGroup("/sys/fs/cgroup\(own)/\(name)", Self.version2) {
          self = group
          return
        }
      }
    }
    return nil
  }

  private init?(_ path: String, _ files: Files) {
    self.path = path
    self.files = files
    guard mkdir(path, 0o755) == 0 else { return nil }
    // Without the controller the group has no such file.
    guard access("\(path)/\(files.limit)", W_OK) == 0 else {
      rmdir(path)
      return nil
    }
  }

  /// What a shell does to enter it.
  var setup: String { "echo $$ > '\(path)/cgroup.procs' || exit 1" }

  func limit(to bytes: Int) -> Bool {
    // No swap, where the kernel counts it.
    _ = SystemFile.write("0", to: "\(path)/memory.swap.max")
    return SystemFile.write("\(bytes)", to: "\(path)/\(files.limit)")
  }

  /// The most it ever held, the page cache that it could have dropped included.
  var peak: Int {
    Int(SystemFile.text("\(path)/\(files.peak)").split(separator: "\n").first ?? "") ?? 0
  }

  /// Processes that the kernel killed for it.
  var kills: Int {
    for line in SystemFile.text("\(path)/\(files.events)").split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.first == "oom_kill", words.count == 2 { return Int(words[1]) ?? 0 }
    }
    return 0
  }

  /// Removes it, once its process has gone.
  func remove() {
    for _ in 0..<100 where rmdir(path) != 0 { Monotonic.sleep(milliseconds: 20) }
  }
}
