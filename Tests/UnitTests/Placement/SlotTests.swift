import Placement
import Primitives
import Testing

@Suite("Slots")
struct SlotTests {
  private let hasher = HasherBox()

  @Test("Known keys have Redis Cluster's slots")
  func knownKeys() {
    // From `CLUSTER KEYSLOT` of redis-server 7.0.15.
    let rows: [(key: String, slot: Int)] = [
      ("123456789", 12739), ("", 0), ("foo", 12182), ("bar", 5061), ("{user1000}.following", 3443),
      ("{user1000}.followers", 3443), ("user1000", 3443), ("foo{}{bar}", 8363),
      ("foo{{bar}}zap", 4015), ("{bar", 4015), ("foo{bar}{zap}", 5061), ("{}", 15257), ("{", 4092),
    ]
    for row in rows { #expect(hasher.slot(row.key.bytes) == row.slot, "\(row.key)") }
  }

  @Test("A hash tag alone decides the slot, an empty or open one does nothing")
  func hashTags() {
    let rows: [(key: String, sameAs: String)] = [
      ("a{tag}b", "tag"), ("{tag}", "tag"), ("x{tag}{other}", "tag"), ("{a}b}", "a"),
      ("}{tag}", "tag"), ("{{}}x", "{"),
    ]
    for row in rows {
      #expect(hasher.slot(row.key.bytes) == hasher.slot(row.sameAs.bytes), "\(row.key)")
    }
    for key in ["{}tag", "a{}b{c}", "{open", "close}"] {
      #expect(hasher.slot(key.bytes) == Int(bitwiseCRC(key.bytes) & 0x3fff), "\(key)")
    }
  }

  @Test("The checksum is the bitwise one for keys of any length", arguments: Seeds.few)
  func reference(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    #expect(bitwiseCRC("123456789".bytes) == 0x31c3)
    for length in 0..<100 {
      for _ in 0..<10 {
        let key = generator.bytes(length)
        #expect(hasher.crc(key) == bitwiseCRC(key))
      }
    }
  }

  @Test(
    "A tag is found wherever it begins, and nothing else is taken for one", arguments: Seeds.few)
  func anyPlace(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    // Braces, their neighbours, and bytes that differ from one in a single bit.
    let alphabet: [UInt8] = [0x7b, 0x7d, 0x7a, 0x7c, 0xfb, 0x7f, 0x5b, 0, 255, 97, 97, 97, 97, 97]
    for _ in 0..<20_000 {
      let length = generator.below(40)
      let key = (0..<length).map { _ in alphabet[generator.below(alphabet.count)] }
      var hashed = key[...]
      if let open = key.firstIndex(of: 0x7b), let close = key[open...].firstIndex(of: 0x7d),
        close > open + 1
      {
        hashed = key[(open + 1)..<close]
      }
      #expect(hasher.slot(key) == Int(bitwiseCRC(Array(hashed)) & 0x3fff), "\(key)")
    }
  }

  /// CRC-16/XMODEM as its definition says.
  private func bitwiseCRC(_ bytes: [UInt8]) -> UInt16 {
    var crc: UInt16 = 0
    for byte in bytes {
      crc ^= UInt16(byte) << 8
      for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
    }
    return crc
  }
}

/// A hasher that a test suite can hold.
private final class HasherBox {
  private let hasher = SlotHasher()

  func slot(_ key: [UInt8]) -> Int { key.withUnsafeBytes { hasher.slot(of: $0).index } }
  func crc(_ key: [UInt8]) -> UInt16 { key.withUnsafeBytes { hasher.crc($0) } }
}
