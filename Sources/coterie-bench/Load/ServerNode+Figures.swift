import Glibc

/// What the kernel knows of the process.
extension ServerNode {
  /// Resident memory in bytes, without the cost of reading `status`.
  func memory() -> Int {
    let words = SystemFile.text("/proc/\(process.pid)/statm").split(separator: " ")
    return words.count > 1 ? (Int(words[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
  }

  /// Open descriptors.
  func descriptors() -> Int { SystemFile.entries(of: "/proc/\(process.pid)/fd") }

  /// Seconds for which its first thread was ready and had no core: what other programs took from it.
  func waitedForCore() -> Double {
    let words = SystemFile.text("/proc/\(process.pid)/schedstat").split(separator: " ")
    return words.count > 1 ? (Double(words[1]) ?? 0) / 1e9 : 0
  }

  /// Processor time in seconds.
  func processorTime() throws(BenchError) -> Double { try process.cpuTime() / .seconds(1) }

  /// Memory once it has stopped moving for half a second, or what it is after `seconds`.
  func settledMemory(within seconds: Int = 5) -> Int {
    let end = Monotonic.now() + seconds * 1_000_000_000
    var size = memory()
    var calm = 0
    while calm < 5 && Monotonic.now() < end {
      Monotonic.sleep(milliseconds: 100)
      let latest = memory()
      calm = abs(latest - size) < 64 * 1024 ? calm + 1 : 0
      size = latest
    }
    return size
  }

  /// A number of INFO.
  func number(_ field: String, in section: String) throws(BenchError) -> Int {
    let text = try info(section)[field[...]] ?? ""
    guard let number = Int(text) else { throw BenchError("INFO says '\(text)' for \(field)") }
    return number
  }

  /// The longest tick of a coterie-server's event loop since the last question, without its writing,
  /// in milliseconds rounded down, by its LATENCY monitor; nil when none took a millisecond.
  func longestTick() throws(BenchError) -> Int? {
    let answer = try ask("CONFIG", "SET", "latency-monitor-threshold", "1")
    guard answer == .simple("OK") else { throw BenchError("CONFIG SET: \(answer.summary)") }
    let latest = try ask("LATENCY", "LATEST")
    try ask("LATENCY", "RESET")
    guard case .array(let events) = latest else { throw BenchError("LATENCY: \(latest.summary)") }
    for event in events {
      guard case .array(let row) = event, row.count == 4, case .integer(let longest) = row[3] else {
        throw BenchError("LATENCY LATEST: \(event.summary)")
      }
      if row[0] == .bulk(Array("event-loop".utf8)) { return longest }
    }
    return nil
  }

  /// One command on a connection of its own.
  @discardableResult
  func ask(_ words: String...) throws(BenchError) -> RESPReply {
    var connection = try RESPConnection(port: port)
    return try connection.ask(words)
  }
}

/// Files of the kernel, which say 0 for their size.
enum SystemFile {
  /// All of it as text; empty where it can't be read.
  static func text(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(descriptor, &chunk, chunk.count)
      guard count > 0 else { break }
      bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  static func write(_ text: String, to path: String) -> Bool {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count
  }

  static func entries(of directory: String) -> Int {
    guard let stream = opendir(directory) else { return 0 }
    defer { closedir(stream) }
    var count = 0
    while let entry = readdir(stream) {
      if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
    }
    return count
  }
}
