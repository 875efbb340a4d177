/// The memory row, measured: resident bytes a key takes beside its own and its value's.
struct MemoryResult {
  let row: Row
  let keys: Int
  let coterie: Double
  let redis: Double

  /// Coterie's bytes over Redis's.
  var ratio: Double { coterie / redis }

  /// Whether the row's bar is met; nil for a row that has none.
  var meetsBar: Bool? { row.bar.map { coterie <= $0 } }
}
