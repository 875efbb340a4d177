import CacheNode
import Glibc
import Reactor

/// The log: one line an event, with time, level and node. Holds no values of users.
final class Log {
  private let descriptor: Int32
  private let name: String

  /// An empty path is standard output.
  init(path: String, name: String) throws {
    self.name = name
    if path.isEmpty {
      descriptor = STDOUT_FILENO
    } else {
      descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else {
        throw StartError("logfile '\(path)': \(String(cString: strerror(errno)))")
      }
    }
  }

  deinit { if descriptor != STDOUT_FILENO { close(descriptor) } }

  func write(_ level: LogLevel, _ text: String) {
    var line = "\(timestamp()) \(name) \(level) \(text.replacingControls())\n"
    line.withUTF8 { _ = Glibc.write(descriptor, $0.baseAddress, $0.count) }
  }

  /// `2026-11-21T04:05:06.789Z`
  private func timestamp() -> String {
    let micros = readClocks().wallMicroseconds
    var seconds = time_t(micros / 1_000_000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func padded(_ value: Int, _ width: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let date =
      "\(parts.tm_year + 1900)-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
    let time =
      "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):"
      + "\(padded(Int(parts.tm_sec), 2)).\(padded(Int(micros / 1000 % 1000), 3))"
    return "\(date)T\(time)Z"
  }
}

extension String {
  /// Names that others chose must not break the line.
  fileprivate func replacingControls() -> String {
    utf8.contains { $0 < 32 || $0 == 127 }
      ? String(unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : Character($0) }) : self
  }
}
