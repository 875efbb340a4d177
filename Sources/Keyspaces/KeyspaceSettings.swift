import Objects
import PeerProtocol
import Primitives

// # Keyspaces as cluster state
//
// Each setting (`keyspace.cart.w`) is a register of its own: text and version, the later version
// wins. `CONFIG SET keyspace.cart ""` writes a register, too, `keyspace.cart`, and its version is
// a floor: settings of that keyspace at or below it are gone. So is every flush a floor: one stamp
// a database, below which all data is dead. All of it merges in any order to the same state, is
// spread by gossip and kept in the node's state file.

/// One setting and the version that it was made with.
public struct SettingRegister: Equatable, Sendable {
  public var name: String
  public var value: String
  public var version: Version

  public init(name: String, value: String, version: Version) {
    self.name = name
    self.value = value
    self.version = version
  }
}

/// All keyspace settings and flush barriers of the cluster.
public struct KeyspaceSettings: Sendable {
  /// Sorted by name.
  public private(set) var registers: [SettingRegister] = []
  /// Database → everything at or below is flushed.
  public private(set) var barriers: [Stamp]

  public init(databases: Int) { barriers = Array(repeating: .zero, count: databases) }

  /// Takes a register; true when it changed something.
  public mutating func merge(_ register: SettingRegister) -> Bool {
    let place = registers.firstIndex { $0.name >= register.name } ?? registers.count
    if place < registers.count, registers[place].name == register.name {
      guard register.version > registers[place].version else { return false }
      registers[place] = register
      return true
    }
    guard registers.count < Limits.keyspaces * (Keyspace.parameters.count + 1) else { return false }
    registers.insert(register, at: place)
    return true
  }

  /// Takes a flush; true when it is later than what was known.
  public mutating func merge(barrier: Stamp, database: Int) -> Bool {
    guard barriers.indices.contains(database), barrier > barriers[database] else { return false }
    barriers[database] = barrier
    return true
  }

  /// The highest version in it.
  public var highest: Stamp {
    max(registers.map(\.version.stamp).max() ?? .zero, barriers.max() ?? .zero)
  }

  /// The settings in force, by keyspace; "default" is always there.
  public func keyspaces() -> [String: Keyspace] {
    var floors: [String: Version] = [:]
    for register in registers {
      if let name = KeyspaceSettings.split(register.name), name.parameter == nil {
        floors[name.keyspace] = register.version
      }
    }
    var result = ["default": Keyspace()]
    for register in registers {
      guard let name = KeyspaceSettings.split(register.name), let parameter = name.parameter,
        register.version > floors[name.keyspace] ?? .none
      else { continue }
      // A value of a later release that this one does not know is left at its default.
      _ = result[name.keyspace, default: Keyspace()].set(parameter, register.value)
    }
    return result
  }

  /// `keyspace.app:cart.blind-write` → ("app:cart", "blind-write"); `keyspace.cart` → ("cart", nil).
  public static func split(_ name: String) -> (keyspace: String, parameter: String?)? {
    guard name.hasPrefix("keyspace."), name.utf8.count <= 300 else { return nil }
    let rest = name.dropFirst("keyspace.".count)
    if let dot = rest.lastIndex(of: "."),
      Keyspace.parameters.contains(rest[rest.index(after: dot)...].lowercased())
    {
      let keyspace = String(rest[..<dot])
      let parameter = rest[rest.index(after: dot)...].lowercased()
      return isName(keyspace) ? (keyspace, parameter) : nil
    }
    return isName(String(rest)) ? (String(rest), nil) : nil
  }

  /// A keyspace's name: the bytes of a key's prefix that can stand in a conf file.
  private static func isName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.allSatisfy { $0 > 32 && $0 != 127 && $0 != 34 && $0 != 39 }
  }

  /// Equal settings, equal digests.
  public var digest: UInt64 {
    var buffer = ByteBuffer()
    encode(to: &buffer)
    return hashKey(buffer.readable, seed: 0x5e77)
  }

  public func encode(to buffer: inout ByteBuffer) {
    buffer.append(littleEndian: UInt32(barriers.count))
    for barrier in barriers { buffer.append(littleEndian: barrier.rawValue) }
    buffer.append(littleEndian: UInt32(registers.count))
    for register in registers {
      buffer.append(field: register.name)
      buffer.append(field: register.value)
      buffer.append(littleEndian: register.version.stamp.rawValue)
      buffer.append(littleEndian: register.version.actor.rawValue)
    }
  }

  /// Reads what `encode` wrote; nil when it is malformed.
  public static func decode(
    _ bytes: UnsafeRawBufferPointer
  ) -> (registers: [SettingRegister], barriers: [Stamp])? {
    var reader = FieldReader(bytes)
    var barriers: [Stamp] = []
    guard let databases = reader.integer(UInt32.self), databases <= 1024 else { return nil }
    for _ in 0..<databases {
      guard let raw = reader.integer(UInt64.self) else { return nil }
      barriers.append(Stamp(rawValue: raw))
    }
    guard let count = reader.integer(UInt32.self) else { return nil }
    var registers: [SettingRegister] = []
    for _ in 0..<count {
      guard let name = reader.text(), let value = reader.text(),
        let stamp = reader.integer(UInt64.self), let actor = reader.integer(UInt64.self),
        split(name) != nil, !value.utf8.contains(where: { $0 < 32 })
      else { return nil }
      let version = Version(stamp: Stamp(rawValue: stamp), actor: Actor(rawValue: actor))
      registers.append(SettingRegister(name: name, value: value, version: version))
    }
    return reader.isAtEnd ? (registers, barriers) : nil
  }
}
