import Primitives
import RESP

extension CommandTable {
  /// COMMAND.
  public func appendAll(to output: inout ByteBuffer, resp: UInt8) {
    output.appendArrayHeader(commands.count)
    for command in commands { command.appendInfo(to: &output, resp: resp) }
  }

  /// COMMAND COUNT.
  public func appendCount(to output: inout ByteBuffer) {
    output.appendInteger(commands.count)
  }

  /// COMMAND INFO: an entry a name, null when it is unknown; all commands when no name is given.
  public func appendInfo(names: [String], to output: inout ByteBuffer, resp: UInt8) {
    guard !names.isEmpty else { return appendAll(to: &output, resp: resp) }
    output.appendArrayHeader(names.count)
    for name in names {
      if let command = command(named: name) {
        command.appendInfo(to: &output, resp: resp)
      } else {
        output.appendNull(resp: resp)
      }
    }
  }
}

extension CommandSpec {
  fileprivate func appendInfo(to output: inout ByteBuffer, resp: UInt8) {
    output.appendArrayHeader(10)
    output.appendBulk(name)
    output.appendInteger(arity)
    output.appendFlags(flags, resp: resp)
    output.appendInteger(firstKey)
    output.appendInteger(lastKey)
    output.appendInteger(keyStep)
    output.appendFlags(categories.map { "@" + $0 }, resp: resp)
    output.appendSetHeader(tips.count, resp: resp)
    for tip in tips { output.appendBulk(tip) }
    output.appendSetHeader(keySpecs.count, resp: resp)
    for spec in keySpecs { spec.append(to: &output, resp: resp) }
    guard isContainer else { return output.appendSetHeader(0, resp: resp) }
    // Redis's own inconsistency: no subcommands are an empty set, some are an array.
    output.appendArrayHeader(subcommands.count)
    for subcommand in subcommands { subcommand.appendInfo(to: &output, resp: resp) }
  }
}

extension KeySpec {
  fileprivate func append(to output: inout ByteBuffer, resp: UInt8) {
    output.appendMapHeader(notes == nil ? 3 : 4, resp: resp)
    if let notes { output.appendField("notes", notes) }
    output.appendBulk("flags")
    output.appendFlags(flags, resp: resp)

    output.appendBulk("begin_search")
    output.appendMapHeader(2, resp: resp)
    output.appendField("type", "index")
    output.appendBulk("spec")
    output.appendMapHeader(1, resp: resp)
    output.appendField("index", begin)

    output.appendBulk("find_keys")
    output.appendMapHeader(2, resp: resp)
    output.appendField("type", "range")
    output.appendBulk("spec")
    output.appendMapHeader(3, resp: resp)
    output.appendField("lastkey", last)
    output.appendField("keystep", step)
    // A limit is a fraction of the arguments to look at; only XREAD and its like have one.
    output.appendField("limit", 0)
  }
}

extension ByteBuffer {
  /// Flags are a set of simple strings.
  mutating func appendFlags(_ flags: [String], resp: UInt8) {
    appendSetHeader(flags.count, resp: resp)
    for flag in flags { appendSimple(flag) }
  }

  mutating func appendField(_ name: String, _ value: String) {
    appendBulk(name)
    appendBulk(value)
  }

  mutating func appendField(_ name: String, _ value: Int) {
    appendBulk(name)
    appendInteger(value)
  }
}
