import Objects
import Primitives
import Testing

@Suite("Objects on the wire")
struct ObjectViewTests {
  private static let version = Version(
    stamp: Stamp(milliseconds: 1_700_000_000_000, counter: 3), actor: Actor(rawValue: 77))

  private func encode(
    _ flags: ObjectFlags, _ deadline: UInt64, _ value: [UInt8],
    _ version: Version = ObjectViewTests.version
  ) -> [UInt8] {
    value.withUnsafeBytes { bytes in
      let view = ObjectView(
        version: version, deadline: deadline, flags: flags, value: bytes)
      let encoded = written { view.encode(to: &$0) }
      #expect(encoded.count == view.encodedSize)
      return encoded
    }
  }

  @Test("An object of each kind comes back as it was")
  func roundTrip() throws {
    let siblings = try #require(SiblingHistory(seed: 4).states.last { !$0.siblings.isEmpty })
    let set = siblings.encoded()
    var emptied = siblings
    emptied.removeSiblings(upTo: Stamp(rawValue: .max))
    let emptySet = emptied.encoded()
    let rows: [(flags: ObjectFlags, deadline: UInt64, value: [UInt8])] = [
      (.none, 0, "value".bytes), (.none, 0, []), (.none, 1234, "value".bytes), (.tombstone, 0, []),
      (.tombstone, 1234, []), (.siblings, 0, set), (.emptySiblings, 0, emptySet),
    ]
    for row in rows {
      // The head of a set says what the set says.
      let version = row.flags.contains(.siblings) ? siblings.version : ObjectViewTests.version
      let bytes = encode(row.flags, row.deadline, row.value, version)
      bytes.withUnsafeBytes { raw in
        let view = ObjectView.decode(raw)
        #expect(view?.version == version)
        #expect(view?.deadline == row.deadline)
        #expect(view?.flags.without(.deadline) == row.flags)
        #expect(view.map { Array($0.value) } == row.value)
        let again = written { view?.encode(to: &$0) }
        #expect(again == bytes)
      }
    }
  }

  @Test("What is no object is refused: short heads, unknown flags, a tombstone with a value")
  func refused() {
    let plain = encode(.none, 1234, [])
    for end in 0..<plain.count { #expect(!decodes(Array(plain[..<end])), "\(end) bytes") }
    #expect(!decodes(encode(.none, 0, "x".bytes).flipping(0, bits: 8)))
    #expect(!decodes(encode(.none, 0, "x".bytes).flipping(0, bits: 128)))
    #expect(!decodes(encode(.tombstone, 0, "x".bytes)))
    #expect(!decodes(encode(.siblings, 0, "no set".bytes)))
  }

  @Test("A value is seen until its deadline, a tombstone never")
  func liveness() {
    let view = encode(.none, 1000, "v".bytes)
    let dead = encode(.tombstone, 0, [])
    let rows: [(bytes: [UInt8], now: UInt64, value: [UInt8]?)] = [
      (view, 999, "v".bytes), (view, 1000, nil), (view, 1001, nil), (dead, 0, nil),
      (encode(.none, 0, "v".bytes), .max, "v".bytes),
    ]
    for row in rows {
      row.bytes.withUnsafeBytes { raw in
        let live = ObjectView.decode(raw)?.live(at: row.now)
        #expect(live.map { Array($0.bytes) } == row.value, "at \(row.now)")
      }
    }
  }

  private func decodes(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { ObjectView.decode($0) != nil }
  }
}
