import Foundation
import Glibc

/// What the figures were measured on; without it they mean little.
enum Machine {
  /// For example `AMD EPYC, 2 cores, Linux 6.1.0`.
  static var description: String {
    var names = utsname()
    uname(&names)
    let release = withUnsafeBytes(of: names.release) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    let cores = ProcessInfo.processInfo.processorCount
    return "\(processor), \(cores) cores, Linux \(release)"
  }

  private static var processor: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    let name = line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces)
    return name ?? "unknown processor"
  }
}
