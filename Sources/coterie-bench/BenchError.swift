import Glibc

/// Why a measurement could not be made, in words for the person at the terminal.
struct BenchError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }

  /// A failed system call: what was attempted, and the system's reason.
  static func system(_ attempt: String, code: Int32 = errno) -> BenchError {
    BenchError("\(attempt): \(String(cString: strerror(code)))")
  }
}
