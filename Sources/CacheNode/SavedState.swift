import Keyspaces
import Membership
import Objects
import Primitives

/// What a node keeps over a restart: who it is, whom it knows, the cluster's settings.
///
/// Written whole to the state file, as lines of hexadecimal: a person can see its parts, and a cut
/// or changed file is noticed by the checksum and refused instead of half believed.
public struct SavedState: Sendable {
  public var id: UInt64
  public var incarnation: UInt64
  public var members: [UInt8]
  public var settings: [UInt8]

  public init(id: UInt64, incarnation: UInt64, members: [UInt8], settings: [UInt8]) {
    self.id = id
    self.incarnation = incarnation
    self.members = members
    self.settings = settings
  }

  private static let title = "coterie-state 1"

  public var text: String {
    let body = """
      \(SavedState.title)
      id \(id)
      incarnation \(incarnation)
      members \(SavedState.hex(members))
      settings \(SavedState.hex(settings))

      """
    return body + "checksum \(SavedState.checksum(body))\n"
  }

  /// Reads what `text` wrote; nil when it is damaged.
  public init?(text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard lines.count >= 6, lines[0] == SavedState.title else { return nil }
    func field(_ index: Int, _ name: String) -> String? {
      lines[index].hasPrefix(name + " ") ? String(lines[index].dropFirst(name.count + 1)) : nil
    }
    let body = lines[0..<5].joined(separator: "\n") + "\n"
    guard let id = field(1, "id").flatMap(UInt64.init), id != 0,
      let incarnation = field(2, "incarnation").flatMap(UInt64.init),
      let members = field(3, "members").flatMap(SavedState.unhex),
      let settings = field(4, "settings").flatMap(SavedState.unhex),
      field(5, "checksum") == SavedState.checksum(body)
    else { return nil }
    self.init(id: id, incarnation: incarnation, members: members, settings: settings)
  }

  private static func checksum(_ body: String) -> String {
    String(Array(body.utf8).withUnsafeBytes { hashKey($0, seed: 0xc0de) }, radix: 16)
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  private static func unhex(_ text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16)
      else { return nil }
      bytes.append(byte)
    }
    return bytes
  }
}
