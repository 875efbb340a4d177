/// A table for people: aligned columns for terminals, pipes for Markdown.
struct TextTable {
  let headings: [String]
  private(set) var rows: [[String]] = []

  init(_ headings: [String]) {
    self.headings = headings
  }

  mutating func add(_ cells: [String]) {
    rows.append(cells)
  }

  /// Columns of equal width, the first one to the left, numbers to the right.
  var aligned: String {
    let lines = [headings] + rows
    let widths = headings.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    let rule = widths.map { String(repeating: "-", count: $0) }
    return ([headings, rule] + rows).map { cells in
      cells.indices.map { cells[$0].padded(to: widths[$0], onLeft: $0 > 0) }
        .joined(separator: "  ")
    }.joined(separator: "\n")
  }

  /// The same for a README.
  var markdown: String {
    let rule = headings.indices.map { $0 == 0 ? "---" : "---:" }
    return ([headings, rule] + rows).map { "| \($0.joined(separator: " | ")) |" }
      .joined(separator: "\n")
  }
}
