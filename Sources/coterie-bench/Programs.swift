import Foundation

/// The programs a comparison needs, found on this machine.
struct Programs {
  let coterieServer: String
  let redisServer: String
  let redisBenchmark: String
  /// Pins a program to a core.
  let taskset: String
  /// Makes a program die with the one that started it.
  let setpriv: String

  init(options: Options) throws(BenchError) {
    coterieServer = try Self.coterieServer(options.serverPath)
    redisServer = try Self.require(
      options.redisPath ?? Self.onPath("redis-server"), "redis-server",
      "install it (apt-get install redis-server) or name it with --redis")
    redisBenchmark = try Self.require(
      Self.onPath("redis-benchmark") ?? Self.beside(redisServer, "redis-benchmark"),
      "redis-benchmark", "install it (apt-get install redis-tools)")
    taskset = try Self.require(
      Self.onPath("taskset"), "taskset", "install it (apt-get install util-linux)")
    setpriv = try Self.require(
      Self.onPath("setpriv"), "setpriv", "install it (apt-get install util-linux)")
  }

  /// A build for debugging costs many times what it will in production.
  var coterieServerIsDebugBuild: Bool { coterieServer.contains("/debug/") }

  /// By default the one beside this very program, so that both come from one build.
  private static func coterieServer(_ named: String?) throws(BenchError) -> String {
    let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return try require(
      named ?? own.map { beside($0, "coterie-server") }, "coterie-server",
      "build it (swift build -c release --product coterie-server) or name it with --server")
  }

  private static func require(
    _ path: String?, _ name: String, _ remedy: String
  ) throws(BenchError) -> String {
    guard let path else { throw BenchError("\(name) is not on PATH; \(remedy)") }
    var isDirectory: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
    guard exists, !isDirectory.boolValue, FileManager.default.isExecutableFile(atPath: path) else {
      throw BenchError("no program \(name) at \(path); \(remedy)")
    }
    return path
  }

  private static func onPath(_ name: String) -> String? {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    return folders.map { "\($0)/\(name)" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  private static func beside(_ path: String, _ name: String) -> String {
    URL(fileURLWithPath: path).deletingLastPathComponent().appendingPathComponent(name).path
  }
}
