import Glibc

/// Connections that come and go in all the ways there are.
extension LoadRun {
  /// How a client goes.
  private enum Leaving: Int, CaseIterable {
    case close
    case reset
    /// Says that it will send nothing more, and waits for the server to close.
    case halfClose
    /// Goes without reading the answer.
    case abandon
  }

  private static let atOnce = 64
  /// Beside the hundredth: less than what one thread's stack takes.
  private static let slack = 1 << 20

  func measureCycles(_ system: System) throws(BenchError) -> [Finding] {
    let cycles = options.isQuick ? 10_000 : 200_000
    return try withServer(system) { node throws(BenchError) in
      try cycle(node, times: cycles / 10)
      let memoryBefore = node.settledMemory()
      let descriptorsBefore = try settledDescriptors(node, atMost: 0)
      let processor = try node.processorTime()
      let start = Monotonic.now()
      try cycle(node, times: cycles)
      let seconds = Monotonic.seconds(since: start)
      let spent = (try node.processorTime() - processor) * 1e6 / Double(cycles)
      let descriptors = try settledDescriptors(node, atMost: descriptorsBefore)
      let memory = node.settledMemory()
      return [
        .bound(
          "open descriptors before and after", "\(descriptorsBefore), \(descriptors)",
          bar: "the same", descriptors <= descriptorsBefore),
        .bound(
          "memory before and after", "\(sizeText(memoryBefore)), \(sizeText(memory))",
          bar: "≤ 1 % + 1 MiB", memory <= memoryBefore + memoryBefore / 100 + Self.slack),
        .note("cycles/s", (Double(cycles) / seconds).text(0)),
        .note("server CPU of a cycle", "\(spent.text(1)) µs"),
      ]
    }
  }

  /// The number of descriptors, once it is not above `wanted` or has had five seconds.
  private func settledDescriptors(
    _ node: ServerNode, atMost wanted: Int
  ) throws(BenchError) -> Int {
    let end = Monotonic.now() + (wanted == 0 ? 1 : 5) * 1_000_000_000
    while node.descriptors() > wanted && Monotonic.now() < end {
      Monotonic.sleep(milliseconds: 50)
    }
    return node.descriptors()
  }

  private func cycle(_ node: ServerNode, times: Int) throws(BenchError) {
    let ping = RESPConnection.request(["PING"])
    var chunk = [UInt8](repeating: 0, count: 64)
    var done = 0
    while done < times {
      var open: [Int32] = []
      for index in 0..<Self.atOnce {
        // Also for those that are open when another can't be opened.
        let descriptor = try ClientSocket.connect(port: node.port, index: done / 1000 + index)
        open.append(descriptor)
        try ClientSocket.send(ping, to: descriptor)
      }
      for (index, descriptor) in open.enumerated() {
        let leaving = Leaving(rawValue: index % Leaving.allCases.count)!
        try leave(descriptor, leaving, &chunk)
      }
      done += open.count
    }
  }

  private func leave(
    _ descriptor: Int32, _ leaving: Leaving, _ chunk: inout [UInt8]
  ) throws(BenchError) {
    if leaving != .abandon {
      guard ClientSocket.take(&chunk, from: descriptor, waits: true) > 0,
        chunk[0] == UInt8(ascii: "+")
      else {
        close(descriptor)
        throw BenchError("a PING was not answered")
      }
    }
    switch leaving {
    case .close, .abandon: close(descriptor)
    case .reset: ClientSocket.reset(descriptor)
    case .halfClose:
      shutdown(descriptor, Int32(SHUT_WR))
      let isClosed = ClientSocket.take(&chunk, from: descriptor, waits: true) == 0
      close(descriptor)
      guard isClosed else { throw BenchError("a half closed connection was not closed") }
    }
  }
}
