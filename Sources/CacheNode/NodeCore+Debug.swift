import Primitives
import RESP

// DEBUG, for tests: off unless `enable-debug-command` says yes, or local for clients of this machine.
// SLEEP is done by the shell, which stops the whole process as Redis does; a node can't sleep.

extension NodeCore {
  mutating func executeDebug(_ index: Int) -> Bool {
    guard isDebugAllowed(index) else { return fail(index, NodeCore.debugRefusal) }
    let word = arguments.pointee[1]
    let count = arguments.pointee.count
    if word.isWord("help"), count == 2 { return replyDebugHelp(index) }
    if word.isWord("sleep"), count == 3 { return sleep(index) }
    if word.isWord("set-active-expire"), count == 3 {
      // Whatever is no number is 0, as C's atoi has it.
      isExpiryActive = (parseInteger(arguments.pointee[2]) ?? 0) != 0
      return replyOK(index)
    }
    return wrongSubcommandArity(index, "DEBUG")
  }

  private func isDebugAllowed(_ index: Int) -> Bool {
    switch parameters["enable-debug-command"] {
    case "yes": return true
    case "local":
      return NodeCore.isLocal(sessions[index].pointee.address)
    default: return false
    }
  }

  private static let debugRefusal =
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can "
    + "run it from a local connection, otherwise you need to set this option in the configuration "
    + "file, and then restart the server."

  private mutating func sleep(_ index: Int) -> Bool {
    guard let microseconds = NodeCore.microseconds(arguments.pointee[2].text) else {
      return fail(index, "ERR value is not a valid float")
    }
    if sessions[index].pointee.inFlight > 0 { return stall(index) }
    guard let id = beginShellWork(index) else { return tooMany(index) }
    actions.append(.sleep(id, microseconds: microseconds))
    return true
  }

  /// Seconds with a fraction, at most an hour.
  private static func microseconds(_ text: String) -> UInt64? {
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard !text.isEmpty, let whole = UInt64(parts[0].isEmpty ? "0" : parts[0]), whole <= 3600 else {
      return nil
    }
    let digits = parts.count > 1 ? parts[1].prefix(6) : ""
    let padded = digits + String(repeating: "0", count: 6 - digits.count)
    return UInt64(padded).map { whole * 1_000_000 + $0 }
  }

  /// The shell has slept.
  mutating func slept(_ id: SessionID) { endShellWork(id, nil) }

  private mutating func replyDebugHelp(_ index: Int) -> Bool {
    replyNow(
      index,
      lines: [
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys in the background.", "SLEEP <seconds>",
        "    Stop the server for <seconds>. Decimals allowed.", "HELP", "    Prints this help.",
      ])
  }
}
