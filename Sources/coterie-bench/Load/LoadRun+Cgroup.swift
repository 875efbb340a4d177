import Glibc
import Primitives

/// A node that the kernel ends when it takes more than it was given.
extension LoadRun {
  private static let policies = [
    "noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
    "volatile-random", "volatile-ttl",
  ]

  func measureCgroup() throws(BenchError) -> [Finding] {
    let limit = (options.isQuick ? 64 : 512) << 20
    let policies =
      options.isQuick ? ["noeviction", "allkeys-lru", "volatile-ttl"] : Self.policies
    var findings: [Finding] = []
    for policy in policies {
      note("  \(policy)")
      findings.append(try fill(policy, maxmemory: limit))
    }
    return findings
  }

  private func fill(_ policy: String, maxmemory: Int) throws(BenchError) -> Finding {
    let group = MemoryGroup(name: "coterie-bench-\(getpid())")
    defer { group?.remove() }
    let arguments = ["--maxmemory", "\(maxmemory)", "--maxmemory-policy", policy]
    return try withServer(.coterie, arguments, setup: group?.setup ?? "") {
      node throws(BenchError) in
      let bar = maxmemory * 12 / 10 + node.settledMemory()
      if let group, !group.limit(to: bar) { throw .system("cannot limit \(group.path)") }
      var outcome = ""
      let peak = try MemoryWatch.during(node) { () throws(BenchError) in
        outcome = writeThrice(node, maxmemory, mortal: policy.hasPrefix("volatile"))
      }
      let isAlive = (try? node.ask("PING")) == .simple("PONG")
      let kills = group?.kills ?? 0
      let measured = group.map { "peak of the group \(sizeText($0.peak))" } ?? "no cgroup here"
      return .bound(
        "\(policy): \(group == nil ? "memory" : "killed")",
        "\(isAlive && kills == 0 ? "no" : "yes"); RSS ≤ \(sizeText(peak)), \(measured)\(outcome)",
        bar: group == nil ? "≤ \(sizeText(bar))" : "no, with \(sizeText(bar))",
        isAlive && kills == 0 && peak <= bar)
    }
  }

  /// Writes three times `maxmemory` of values from 16 bytes to 64 KiB, most of them small, and says
  /// how many were refused, or why that came to an end.
  private func writeThrice(_ node: ServerNode, _ maxmemory: Int, mortal: Bool) -> String {
    do throws(BenchError) {
      var writer = try Writer(port: node.port)
      var generator = SeededGenerator(seed: 4)
      var bytes = 0
      var key = 0
      while bytes < 3 * maxmemory {
        let size = Self.mixedSize(from: 16, to: 65_536, &generator)
        // Where only keys with a TTL can go, all have one but for a few.
        let option = mortal && key % 16 != 0 ? ("EX", 600 + key % 1000) : nil
        try writer.set(key, size: size, option: option)
        bytes += size
        key += 1
      }
      try writer.flush()
      return ", \(writer.refused) of \(writer.written) writes refused"
    } catch {
      return ", \(error)"
    }
  }

  /// A size of which each power of two is as likely as any other.
  static func mixedSize(
    from low: Int, to high: Int, _ generator: inout SeededGenerator
  ) -> Int {
    let doublings = (high / low).bitWidth - (high / low).leadingZeroBitCount - 1
    let base = low << generator.below(max(1, doublings))
    return base + generator.below(base)
  }
}
