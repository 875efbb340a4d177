import Primitives
import RESP

extension CommandTable {
  /// COMMAND DOCS: a map from name to description; unknown names are left out, and no names mean
  /// all commands. Redis's release history of each command is not part of it.
  public func appendDocs(names: [String], to output: inout ByteBuffer, resp: UInt8) {
    let chosen = names.isEmpty ? commands : names.compactMap { command(named: $0) }
    chosen.appendDocs(to: &output, resp: resp)
  }
}

extension [CommandSpec] {
  fileprivate func appendDocs(to output: inout ByteBuffer, resp: UInt8) {
    output.appendMapHeader(count, resp: resp)
    for command in self {
      output.appendBulk(command.name)
      command.appendDocs(to: &output, resp: resp)
    }
  }
}

extension CommandSpec {
  fileprivate func appendDocs(to output: inout ByteBuffer, resp: UInt8) {
    let isThere = [
      !docFlags.isEmpty, deprecatedSince != nil, replacedBy != nil, !arguments.isEmpty, isContainer,
    ]
    output.appendMapHeader(4 + isThere.count { $0 }, resp: resp)
    output.appendField("summary", summary)
    output.appendField("since", since)
    output.appendField("group", group)
    output.appendField("complexity", complexity)
    if !docFlags.isEmpty {
      output.appendBulk("doc_flags")
      output.appendFlags(docFlags, resp: resp)
    }
    if let deprecatedSince { output.appendField("deprecated_since", deprecatedSince) }
    if let replacedBy { output.appendField("replaced_by", replacedBy) }
    arguments.appendDocs(to: &output, resp: resp)
    if isContainer {
      output.appendBulk("subcommands")
      subcommands.appendDocs(to: &output, resp: resp)
    }
  }
}

extension [ArgumentSpec] {
  /// The field "arguments", unless there are none.
  fileprivate func appendDocs(to output: inout ByteBuffer, resp: UInt8) {
    guard !isEmpty else { return }
    output.appendBulk("arguments")
    output.appendArrayHeader(count)
    for argument in self { argument.appendDocs(to: &output, resp: resp) }
  }
}

extension ArgumentSpec {
  fileprivate func appendDocs(to output: inout ByteBuffer, resp: UInt8) {
    let isThere = [
      keySpecIndex != nil, token != nil, since != nil, deprecatedSince != nil, !flags.isEmpty,
      !arguments.isEmpty,
    ]
    output.appendMapHeader(2 + isThere.count { $0 }, resp: resp)
    output.appendField("name", name)
    output.appendField("type", type)
    if let keySpecIndex { output.appendField("key_spec_index", keySpecIndex) }
    if let token { output.appendField("token", token) }
    if let since { output.appendField("since", since) }
    if let deprecatedSince { output.appendField("deprecated_since", deprecatedSince) }
    if !flags.isEmpty {
      output.appendBulk("flags")
      output.appendFlags(flags, resp: resp)
    }
    arguments.appendDocs(to: &output, resp: resp)
  }
}
