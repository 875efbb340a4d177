import Keyspaces
import Objects
import Primitives
import Testing

@Suite("Keyspace settings")
struct KeyspaceSettingsTests {
  private func register(
    _ name: String, _ value: String, _ stamp: Int, actor: Int = 1
  ) -> SettingRegister {
    SettingRegister(
      name: name, value: value,
      version: Version(
        stamp: Stamp(rawValue: UInt64(stamp)), actor: Actor(rawValue: UInt64(actor))))
  }

  /// Registers of a few names; each version is one write's.
  private func registers(_ seed: UInt64) -> [SettingRegister] {
    var generator = SeededGenerator(seed: seed)
    return (1...40).map { stamp in
      let keyspace = generator.pick(["default", "cart", "app:cart"])
      if generator.oneIn(6) { return register("keyspace.\(keyspace)", "", stamp) }
      let (parameter, value) = generator.pick([("n", "1"), ("n", "5"), ("w", "one"), ("ttl", "9")])
      return register("keyspace.\(keyspace).\(parameter)", value, stamp)
    }
  }

  private func encoded(_ settings: KeyspaceSettings) -> [UInt8] {
    written { settings.encode(to: &$0) }
  }

  @Test("Settings merge to the same state in any order", arguments: Seeds.many)
  func mergeLaws(seed: UInt64) {
    var generator = SeededGenerator(seed: seed &+ 7)
    let registers = registers(seed)
    let barriers = (0..<10).map { _ in (UInt64(generator.below(99)), generator.below(4)) }
    var first: [UInt8] = []
    for round in 0..<6 {
      var settings = KeyspaceSettings(databases: 4)
      for register in generator.shuffled(registers + registers.prefix(5)) {
        _ = settings.merge(register)
      }
      for (stamp, database) in generator.shuffled(barriers) {
        _ = settings.merge(barrier: Stamp(rawValue: stamp), database: database)
      }
      if round == 0 { first = encoded(settings) }
      #expect(encoded(settings) == first)
      for register in registers {
        let isNews = settings.merge(register)
        #expect(!isNews)
      }
      #expect(settings.highest.rawValue >= 40)
    }
  }

  @Test("The later version of a setting wins")
  func laterWins() {
    var settings = KeyspaceSettings(databases: 1)
    let results = [(3, 1, "3"), (2, 9, "2"), (3, 2, "4"), (3, 2, "5")].map { stamp, actor, value in
      settings.merge(register("keyspace.a.n", value, stamp, actor: actor))
    }
    #expect(results == [true, false, true, false])
    #expect(settings.keyspaces()["a"]?.copies == 4)
  }

  @Test("A keyspace is born by its first setting and gone by its removal, in any order")
  func floors() {
    let history = [
      register("keyspace.cart.n", "5", 1), register("keyspace.cart.w", "all", 2),
      register("keyspace.cart", "", 3), register("keyspace.default.ttl", "7", 2),
    ]
    for order in permutations(history) {
      var settings = KeyspaceSettings(databases: 1)
      for register in order { _ = settings.merge(register) }
      #expect(settings.keyspaces()["cart"] == nil)
      #expect(settings.keyspaces()["default"]?.ttl == 7)
      _ = settings.merge(register("keyspace.cart.n", "2", 4))
      #expect(settings.keyspaces()["cart"]?.copies == 2)
      #expect(settings.keyspaces()["cart"]?.write == .quorum, "older settings stay gone")
    }
  }

  @Test("A value of a later release is left at its default")
  func unknownValues() {
    var settings = KeyspaceSettings(databases: 1)
    _ = settings.merge(register("keyspace.a.conflict", "crdt", 1))
    _ = settings.merge(register("keyspace.a.n", "2", 1))
    #expect(settings.keyspaces()["a"]?.conflict == .lww)
    #expect(settings.keyspaces()["a"]?.copies == 2)
  }

  @Test("A flush counts for its database when it is later")
  func barriers() {
    var settings = KeyspaceSettings(databases: 2)
    let results = [(5, 0), (5, 0), (4, 0), (6, 0), (1, 1), (1, 2), (1, -1)].map { stamp, database in
      settings.merge(barrier: Stamp(rawValue: UInt64(stamp)), database: database)
    }
    #expect(results == [true, false, false, true, true, false, false])
    #expect(settings.barriers.map(\.rawValue) == [6, 1])
    #expect(settings.highest.rawValue == 6)
  }

  private func decode(
    _ bytes: [UInt8]
  ) -> (registers: [SettingRegister], barriers: [Stamp])? {
    bytes.withUnsafeBytes { KeyspaceSettings.decode($0) }
  }

  private func settings(_ seed: UInt64) -> KeyspaceSettings {
    var settings = KeyspaceSettings(databases: 4)
    for register in registers(seed) { _ = settings.merge(register) }
    _ = settings.merge(barrier: Stamp(rawValue: 77), database: 2)
    return settings
  }

  @Test("Settings come back as they were sent", arguments: Seeds.few)
  func roundTrip(seed: UInt64) throws {
    let settings = settings(seed)
    let decoded = try #require(decode(encoded(settings)))
    #expect(decoded.registers == settings.registers)
    #expect(decoded.barriers == settings.barriers)
  }

  @Test("Cut and changed settings never stop the process", arguments: Seeds.few)
  func damaged(seed: UInt64) {
    let bytes = encoded(settings(seed))
    for end in 0..<bytes.count { #expect(decode(Array(bytes[..<end])) == nil, "\(end) bytes") }
    #expect(decode(bytes + [0]) == nil)
    for index in bytes.indices {
      for bit in 0..<8 {
        let changed = bytes.flipping(index, bits: 1 << bit)
        guard let decoded = decode(changed) else { continue }
        var settings = KeyspaceSettings(databases: 4)
        for register in decoded.registers {
          _ = settings.merge(register)
          #expect(KeyspaceSettings.split(register.name) != nil)
          #expect(!register.value.utf8.contains { $0 < 32 })
        }
      }
    }
    #expect(decode(Array(repeating: 255, count: 100)) == nil)
  }
}
