import Glibc
import Primitives

/// The same server with one allocator and with another.
extension LoadRun {
  private struct Allocator {
    let title: String
    let setup: String
  }

  private static let limit = 256 << 20
  private static let keys = 400_000

  private struct Figures {
    var request = 0.0
    var churn = 0.0
    var fragmentation = 0.0
    var memory = 0
    var used = 0
    var afterwards = 0
    var usedAfterwards = 0
    var idle = 0
  }

  func measureAllocators() throws(BenchError) -> [Finding] {
    let allocators = Self.allocators(quick: options.isQuick)
    var best = [Figures?](repeating: nil, count: allocators.count)
    for round in 0..<(options.isQuick ? 1 : 3) {
      for (place, allocator) in allocators.enumerated() {
        note("  round \(round + 1): \(allocator.title)")
        let figures = try measure(allocator)
        guard var kept = best[place] else {
          best[place] = figures
          continue
        }
        kept.request = min(kept.request, figures.request)
        kept.churn = min(kept.churn, figures.churn)
        best[place] = kept
      }
    }
    return zip(allocators, best).flatMap { allocator, figures in
      figures.map { Self.findings(allocator.title, $0) } ?? []
    }
  }

  private static func findings(_ title: String, _ figures: Figures) -> [Finding] {
    [
      .note(
        "\(title): CPU of a GET or SET, of a SET in a churn",
        "\(figures.request.text(2)), \(figures.churn.text(2)) µs"),
      .note(
        "\(title): RSS / used after the churn",
        "\(sizeText(figures.memory)) / \(sizeText(figures.used)) = \(figures.fragmentation.text(2))"
      ),
      .note(
        "\(title): the same with 7 keys of 8 deleted",
        "\(sizeText(figures.afterwards)) / \(sizeText(figures.usedAfterwards))"),
      .note("\(title): RSS of an empty server", sizeText(figures.idle)),
    ]
  }

  private static func allocators(quick: Bool) -> [Allocator] {
    let glibc = Allocator(title: "glibc", setup: "unset LD_PRELOAD")
    // A threshold that does not grow with the blocks that are freed.
    let settled = Allocator(
      title: "glibc, fixed mmap threshold",
      setup: "export MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=131072 MALLOC_TRIM_THRESHOLD_=131072"
    )
    guard let library = jemalloc else { return [glibc, settled] }
    let jemalloc = Allocator(title: "jemalloc", setup: "export LD_PRELOAD='\(library)'")
    let prompt = Allocator(
      title: "jemalloc, one arena, decay 1 s",
      setup:
        "export LD_PRELOAD='\(library)' MALLOC_CONF=narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0"
    )
    return quick ? [glibc, jemalloc] : [glibc, settled, jemalloc, prompt]
  }

  /// Debian's libjemalloc2, which redis-server needs as well.
  private static var jemalloc: String? {
    ["x86_64", "aarch64"].map { "/usr/lib/\($0)-linux-gnu/libjemalloc.so.2" }
      .first { access($0, R_OK) == 0 }
  }

  private func measure(_ allocator: Allocator) throws(BenchError) -> Figures {
    var figures = Figures()
    try withServer(.coterie, [], setup: allocator.setup) { node throws(BenchError) in
      figures.idle = node.settledMemory()
      try KeyLoader(port: node.port).load(count: TurnLoad.keys)
      let load = try TurnLoad(node: node, connections: TurnLoad.underWay)
      let requests = options.isQuick ? 10_000 : 100_000
      for _ in 0..<3 {
        let spent = try load.run(requests: requests, over: TurnLoad.underWay).processorTime
        figures.request = figures.request == 0 ? spent : min(figures.request, spent)
      }
    }
    let arguments = ["--maxmemory", "\(Self.limit)", "--maxmemory-policy", "allkeys-lru"]
    try withServer(.coterie, arguments, setup: allocator.setup) { node throws(BenchError) in
      figures.churn = try churn(node)
      figures.memory = node.settledMemory()
      figures.used = try node.number("used_memory", in: "memory")
      figures.fragmentation = Double(figures.memory) / Double(figures.used)
      var writer = try Writer(port: node.port)
      for key in 0..<Self.keys where key % 8 != 0 { try writer.delete(key) }
      try writer.flush()
      figures.afterwards = node.settledMemory(within: 15)
      figures.usedAfterwards = try node.number("used_memory", in: "memory")
    }
    return figures
  }

  /// Four times values of other sizes on the same keys; microseconds of the server for a SET.
  private func churn(_ node: ServerNode) throws(BenchError) -> Double {
    var writer = try Writer(port: node.port)
    var generator = SeededGenerator(seed: 8)
    let before = try node.processorTime()
    let volume = (options.isQuick ? 1 : 2) * Self.limit
    for (low, high) in [(32, 256), (256, 2048), (1024, 16_384), (32, 65_536)] {
      var bytes = 0
      while bytes < volume {
        let size = Self.mixedSize(from: low, to: high, &generator)
        try writer.set(generator.below(Self.keys), size: size)
        bytes += size + 32
      }
    }
    try writer.flush()
    return (try node.processorTime() - before) * 1e6 / Double(writer.written)
  }
}
