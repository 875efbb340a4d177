/// A command line that cannot be obeyed; answered with a hint at `--help`, never with a benchmark.
struct UsageError: Error {
  let reason: String

  init(_ reason: String) {
    self.reason = reason
  }
}

extension ArraySlice<String> {
  /// Takes the word behind an option that needs one.
  mutating func takeValue(of option: String) throws(UsageError) -> String {
    guard let value = popFirst(), !value.isEmpty else {
      throw UsageError("\(option) needs a value")
    }
    return value
  }
}
