import Primitives
import RESP

extension CommandTable {
  /// COMMAND GETKEYS, and with flags COMMAND GETKEYSANDFLAGS: the keys in `arguments`, which are
  /// all words of some other call.
  public func appendKeys(
    of arguments: [[UInt8]], withFlags: Bool, to output: inout ByteBuffer, resp: UInt8
  ) {
    guard let command = command(calledBy: arguments) else {
      return output.appendError("ERR Invalid command specified")
    }
    guard let spec = command.keySpecs.first else {
      return output.appendError("ERR The command has no key arguments")
    }
    guard command.accepts(wordCount: arguments.count) else {
      return output.appendError("ERR Invalid number of arguments specified for command")
    }
    let keys = Array(spec.positions(wordCount: arguments.count))
    let flags = withFlags ? spec.flags(in: arguments) : []
    output.appendArrayHeader(keys.count)
    for key in keys {
      if withFlags { output.appendArrayHeader(2) }
      output.appendBulk(arguments[key])
      if withFlags { output.appendFlags(flags, resp: resp) }
    }
  }

  /// The command, or the subcommand of a container, that such a call would run.
  private func command(calledBy arguments: [[UInt8]]) -> CommandSpec? {
    guard let name = arguments.first, let index = index(ofLowercased: lowercasedASCII(name)) else {
      return nil
    }
    let command = commands[index]
    guard command.isContainer, arguments.count > 1 else { return command }
    return command.subcommand(named: lowercasedASCII(arguments[1]))
  }
}

extension KeySpec {
  /// The flags of one call. They vary only in SET, which reads the key when GET is among its
  /// options, and else replaces it without a look.
  fileprivate func flags(in arguments: [[UInt8]]) -> [String] {
    guard flags.contains("variable_flags") else { return flags }
    let reads = arguments.dropFirst(3).contains { lowercasedASCII($0) == "get" }
    return reads ? ["RW", "access", "update"] : ["OW", "update"]
  }
}
