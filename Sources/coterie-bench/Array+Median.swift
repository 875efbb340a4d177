extension Array where Element == Double {
  /// The middle value, or the mean of the two middle ones. Must not be empty.
  var median: Double {
    let ordered = sorted()
    return (ordered[(count - 1) / 2] + ordered[count / 2]) / 2
  }
}
