extension String {
  /// The text with blanks behind it (or before it) up to a width; longer text stays as it is.
  func padded(to width: Int, onLeft: Bool = false) -> String {
    let blanks = String(repeating: " ", count: max(0, width - count))
    return onLeft ? blanks + self : self + blanks
  }
}
