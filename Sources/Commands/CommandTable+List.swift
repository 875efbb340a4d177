import Primitives
import RESP

/// What COMMAND LIST FILTERBY asks for.
public enum ListFilter: Sendable {
  /// The commands of a module; there are none.
  case module

  /// The commands of an ACL category, named in lower case without its "@".
  case category(String)

  /// The commands whose name matches, in any case.
  case pattern([UInt8])

  /// The two words after FILTERBY; nil when the first is not a kind of filter: a syntax error.
  public init?(kind: [UInt8], value: [UInt8]) {
    switch lowercasedASCII(kind) {
    case "module": self = .module
    case "aclcat": self = .category(lowercasedASCII(value))
    case "pattern": self = .pattern(value)
    default: return nil
    }
  }

  fileprivate func admits(_ command: CommandSpec) -> Bool {
    switch self {
    case .module: return false
    case .category(let category): return command.categories.contains(category)
    case .pattern(let pattern):
      var name = command.name
      return name.withUTF8 { name in
        pattern.withUnsafeBytes {
          globMatch(pattern: $0, UnsafeRawBufferPointer(name), ignoringCase: true)
        }
      }
    }
  }
}

extension CommandTable {
  /// COMMAND LIST: names, each container's followed by those of its subcommands, which a filter
  /// may pick without it.
  public func appendList(filter: ListFilter?, to output: inout ByteBuffer, resp: UInt8) {
    let chosen = commands.flatMap { [$0] + $0.subcommands }.filter { filter?.admits($0) ?? true }
    output.appendArrayHeader(chosen.count)
    for command in chosen { output.appendBulk(command.name) }
  }
}
