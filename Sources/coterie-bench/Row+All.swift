extension Row {
  /// Every row, in the order of the printed table.
  static let all: [Row] =
    oneNode(pipeline: 1, bar: 1.0) + oneNode(pipeline: 16, bar: 0.55)
    + oneNode(pipeline: 64, bar: 0.40)
    + threeNodes(pipeline: 1, bar: 1.6) + threeNodes(pipeline: 16, bar: 3.0)
    + spread(pipeline: 1) + spread(pipeline: 16)
    + [
      Row(name: "memory", title: "memory beside key and value", kind: .memory, bar: 40)
    ]

  private static func oneNode(pipeline: Int, bar: Double) -> [Row] {
    Workload.Command.allCases.map { command in
      let work = Workload(command: command, pipeline: pipeline, isSpread: false)
      return Row(
        name: "n1-\(command.rawValue)-p\(pipeline)", title: "one node, \(work.title)",
        kind: .cpu(work, nodes: 1), bar: bar)
    }
  }

  private static func threeNodes(pipeline: Int, bar: Double) -> [Row] {
    Workload.Command.allCases.map { command in
      let work = Workload(command: command, pipeline: pipeline, isSpread: false)
      return Row(
        name: "n3-\(command.rawValue)-p\(pipeline)", title: "three nodes, \(work.title)",
        kind: .cpu(work, nodes: 3), bar: bar)
    }
  }

  private static func spread(pipeline: Int) -> [Row] {
    Workload.Command.allCases.map { command in
      let work = Workload(command: command, pipeline: pipeline, isSpread: true)
      return Row(
        name: "n3-spread-\(command.rawValue)-p\(pipeline)",
        title: "three nodes, spread, \(work.title)",
        kind: .cpu(work, nodes: 3), bar: nil)
    }
  }
}
