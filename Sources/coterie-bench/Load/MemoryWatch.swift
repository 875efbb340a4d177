import Synchronization

/// Samples a process's memory every few milliseconds and keeps the highest.
final class MemoryWatch: Sendable {
  private let peak = Atomic<Int>(0)
  private let mustStop = Atomic<Bool>(false)
  private let node: ServerNode
  private let thread = Mutex<BackgroundThread?>(nil)

  private static let interval = 5

  init(of node: ServerNode) throws(BenchError) {
    self.node = node
    let started = try BackgroundThread { [self] in
      while !mustStop.load(ordering: .relaxed) {
        peak.max(node.memory(), ordering: .relaxed)
        Monotonic.sleep(milliseconds: Self.interval)
      }
    }
    thread.withLock { $0 = started }
  }

  /// Ends it; the most bytes that were resident.
  func stop() -> Int {
    mustStop.store(true, ordering: .relaxed)
    thread.withLock { $0 }?.join()
    return peak.load(ordering: .relaxed)
  }

  /// The peak while `body` runs.
  static func during(
    _ node: ServerNode, _ body: () throws(BenchError) -> Void
  ) throws(BenchError) -> Int {
    let watch = try MemoryWatch(of: node)
    do throws(BenchError) {
      try body()
    } catch {
      _ = watch.stop()
      throw error
    }
    return watch.stop()
  }
}
