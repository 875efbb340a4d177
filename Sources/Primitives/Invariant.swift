/// Stops the process when `condition` does not hold: a programmer's error, never bad input.
///
/// Stays on in release builds and says what was wrong, which `precondition` does not under `-O`.
@inline(__always)
public func invariant(
  _ condition: Bool, _ state: @autoclosure () -> String, file: StaticString = #fileID,
  line: UInt = #line
) {
  if _slowPath(!condition) { fail(state(), file, line) }
}

@inline(never)
func fail(_ state: String, _ file: StaticString, _ line: UInt) -> Never {
  fatalError("invariant broken: \(state)", file: file, line: line)
}
