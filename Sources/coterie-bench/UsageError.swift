/// A command line that cannot be obeyed; answered with a hint at `--help`, never with a benchmark.
struct UsageError: Error {
  let reason: String

  init(_ reason: String) {
    self.reason = reason
  }
}
