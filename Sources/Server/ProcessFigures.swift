import CacheNode
import Glibc

/// Raises the limit of descriptors to what is wanted, but not above the hard one; says what it is.
func raiseDescriptors(to wanted: Int) -> Int {
  var limit = rlimit()
  let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
  guard getrlimit(kind, &limit) == 0 else { return .max }
  if limit.rlim_cur >= rlim_t(wanted) { return Int(clamping: limit.rlim_cur) }
  let before = limit.rlim_cur
  limit.rlim_cur = min(rlim_t(wanted), limit.rlim_max)
  return Int(clamping: setrlimit(kind, &limit) == 0 ? limit.rlim_cur : before)
}

/// What the kernel says of this process: some system calls and a small file.
func readProcessFigures() -> ProcessFigures {
  var figures = ProcessFigures()
  var usage = rusage()
  if getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
    figures.userMicroseconds = Int(usage.ru_utime.tv_sec) * 1_000_000 + Int(usage.ru_utime.tv_usec)
    figures.systemMicroseconds =
      Int(usage.ru_stime.tv_sec) * 1_000_000 + Int(usage.ru_stime.tv_usec)
  }
  figures.systemMemoryBytes =
    Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE)))
  let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { return figures }
  defer { close(file) }
  var text = [UInt8](repeating: 0, count: 128)
  let count = read(file, &text, text.count)
  // The second number is the resident pages.
  let words = text.prefix(max(0, count)).split(separator: UInt8(ascii: " "))
  if words.count > 1, let pages = Int(String(decoding: words[1], as: UTF8.self)) {
    figures.residentBytes = pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }
  return figures
}

/// As `uname -srm` prints it.
func operatingSystem() -> String {
  var names = utsname()
  guard uname(&names) == 0 else { return "Linux" }
  func text(_ field: some Any) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
  return "\(text(names.sysname)) \(text(names.release)) \(text(names.machine))"
}
