/// One line of the comparison: what is asked of the servers, and how cheap it should be.
struct Row: Sendable {
  /// What `--only` calls it.
  let name: String
  /// What the tables call it.
  let title: String
  let kind: Kind
  /// The most it should cost: for CPU rows Coterie's CPU over Redis's, for memory rows bytes a
  /// key. The figures come from the project's goals; informative rows have none.
  let bar: Double?

  enum Kind: Sendable {
    /// Processor time of one operation, with Coterie running on so many nodes.
    case cpu(Workload, nodes: Int)
    /// Resident bytes a key takes beside its own bytes and its value's.
    case memory
  }

  /// Whether a list of beginnings of names asks for this row; an empty list asks for all.
  func isSelected(by selection: [String]) -> Bool {
    selection.isEmpty || selection.contains { name.hasPrefix($0) }
  }
}
