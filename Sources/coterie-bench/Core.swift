import Foundation

/// One processor core that programs can be pinned to.
struct Core: Sendable, CustomStringConvertible {
  let number: Int

  var description: String { "core \(number)" }

  /// The cores this process may use, lowest first.
  static func available() throws(BenchError) -> [Core] {
    let path = "/proc/self/status"
    let status = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
    // For example "Cpus_allowed_list:	0-3,8".
    let list = line?.split(whereSeparator: \.isWhitespace).last ?? ""
    let cores = list.split(separator: ",").flatMap(cores(inRange:))
    guard !cores.isEmpty else { throw BenchError("cannot read the usable cores from \(path)") }
    return cores
  }

  private static func cores(inRange text: Substring) -> [Core] {
    let ends = text.split(separator: "-").compactMap { Int($0) }
    guard let first = ends.first, let last = ends.last, first <= last else { return [] }
    return (first...last).map(Core.init)
  }
}
