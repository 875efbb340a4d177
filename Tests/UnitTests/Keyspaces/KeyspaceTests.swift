import Keyspaces
import Objects
import Primitives
import Testing

@Suite("Keyspaces")
struct KeyspaceTests {
  @Test("Each setting takes its values and says what is allowed")
  func values() {
    let rows: [(parameter: String, text: String, shown: String?)] = [
      ("n", "1", "1"), ("n", "7", "7"), ("n", "0", nil), ("n", "8", nil), ("n", "x", nil),
      ("n", "", nil), ("n", "-1", nil), ("w", "one", "one"), ("w", "QUORUM", "quorum"),
      ("w", "All", "all"), ("w", "3", "3"), ("w", "0", nil), ("w", "8", nil), ("w", "two", nil),
      ("r", "1", "1"), ("r", "1.5", nil), ("conflict", "siblings", "siblings"),
      ("conflict", "LWW", "lww"), ("conflict", "crdt", nil), ("blind-write", "reject", "reject"),
      ("blind-write", "sibling", "sibling"), ("blind-write", "maybe", nil), ("sloppy", "No", "no"),
      ("sloppy", "1", nil), ("ttl", "0", "0"), ("ttl", "3600", "3600"), ("ttl", "-1", nil),
      ("ttl", "18446744073709551616", nil), ("ttl", "99999999999", nil), ("m", "1", nil),
    ]
    for row in rows {
      var keyspace = Keyspace()
      let before = keyspace
      let allowed = keyspace.set(row.parameter, row.text)
      #expect((allowed == nil) == (row.shown != nil), "\(row.parameter) \(row.text)")
      if let shown = row.shown {
        #expect(keyspace.value(of: row.parameter) == shown)
      } else {
        #expect(keyspace == before, "\(row.parameter) \(row.text)")
      }
    }
  }

  @Test("The defaults are DESIGN.md's")
  func defaults() {
    let shown = Keyspace.parameters.map { Keyspace().value(of: $0) }
    #expect(shown == ["3", "quorum", "quorum", "lww", "overwrite", "yes", "0"])
  }

  @Test("Words follow the number of copies, numbers do not")
  func resolution() {
    let rows: [(size: QuorumSize, numbers: [Int])] = [
      (.one, [1, 1, 1, 1, 1]), (.quorum, [1, 2, 2, 3, 3]), (.all, [1, 2, 3, 4, 5]),
      (.count(3), [3, 3, 3, 3, 3]),
    ]
    for row in rows {
      #expect((1...5).map { row.size.resolved(copies: $0) } == row.numbers)
      #expect(QuorumSize(row.size.description) == row.size)
    }
  }

  @Test("More acknowledgements than copies are a contradiction")
  func contradictions() {
    for copies in 1...7 {
      for size in 1...7 {
        for parameter in ["w", "r"] {
          var keyspace = Keyspace()
          _ = keyspace.set("n", "\(copies)")
          _ = keyspace.set(parameter, "\(size)")
          let expected = size > copies ? "\(parameter) (\(size)) > n (\(copies))" : nil
          #expect(keyspace.contradiction?.text == expected)
          #expect(keyspace.contradiction?.parameter == (size > copies ? parameter : nil))
        }
      }
    }
  }

  @Test("The longest name that a key begins with governs it")
  func longestPrefix() {
    let names = ["cart", "app", "app:cart", "app:cart:old", ":", "default"]
    let map = KeyspaceMap(Dictionary(uniqueKeysWithValues: names.map { ($0, Keyspace()) }))
    let rows: [(key: String, name: String)] = [
      ("cart:1", "cart"), ("cart:", "cart"), ("cart", "default"), ("carts:1", "default"),
      ("app:1", "app"), ("app:cart", "app"), ("app:cart:1", "app:cart"),
      ("app:cart:a:b", "app:cart"),
      ("app:cart:old:1", "app:cart:old"), ("app:cart:older:1", "app:cart"), ("", "default"),
      (":", "default"), ("::x", ":"), ("default:1", "default"), ("x:cart:1", "default"),
      ("Cart:1", "default"),
    ]
    for row in rows {
      let index = row.key.bytes.withUnsafeBytes { map.index(for: $0) }
      #expect(map.names[index] == row.name, "\(row.key)")
    }
    #expect(map.names == ["default", ":", "app", "app:cart", "app:cart:old", "cart"])
  }

  @Test("With no keyspace but the default every key is its")
  func onlyDefault() {
    let map = KeyspaceMap([:])
    #expect("a:b:c".bytes.withUnsafeBytes { map.index(for: $0) } == 0)
    #expect(map.keyspaces == [Keyspace()])
  }

  @Test("Setting names are split at the last known word")
  func splitting() {
    let rows: [(name: String, keyspace: String?, parameter: String?)] = [
      ("keyspace.cart.w", "cart", "w"),
      ("keyspace.app:cart.blind-write", "app:cart", "blind-write"),
      ("keyspace.cart", "cart", nil), ("keyspace.a.b.n", "a.b", "n"), ("keyspace.a.b", "a.b", nil),
      ("keyspace.cart.W", "cart", "w"), ("keyspace.n", "n", nil), ("keyspace.", nil, nil),
      ("keyspace..n", nil, nil), ("keyspaces.a.n", nil, nil), ("keyspace.a b.n", nil, nil),
      ("keyspace.a\"b.n", nil, nil), ("cart.n", nil, nil),
    ]
    for row in rows {
      let split = KeyspaceSettings.split(row.name)
      #expect(split?.keyspace == row.keyspace, "\(row.name)")
      #expect(split?.parameter == row.parameter, "\(row.name)")
    }
  }
}
