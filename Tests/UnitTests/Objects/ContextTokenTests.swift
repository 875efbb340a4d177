import Objects
import Primitives
import Testing

@Suite("Context tokens")
struct ContextTokenTests {
  private func parse(_ token: [UInt8]) -> CausalContext? {
    token.withUnsafeBytes { ContextToken.parse($0) }
  }

  @Test("A token says the context that it was made of", arguments: Seeds.some)
  func roundTrip(seed: UInt64) {
    for state in SiblingHistory(seed: seed).states {
      let token = ContextToken.print(state.context)
      #expect(parse(token) == state.context)
      #expect(token.allSatisfy { $0 > 32 && $0 < 127 }, "\(token.text) is not printable")
    }
  }

  @Test("The empty token says that nothing was seen")
  func empty() {
    #expect(parse([]) == CausalContext())
  }

  @Test("A token with one wrong character is refused", arguments: Seeds.few)
  func changed(seed: UInt64) throws {
    let context = try #require(SiblingHistory(seed: seed).states.last).context
    let token = ContextToken.print(context)
    for index in token.indices {
      for byte in Array("ABab01-_=+/ cZ\0".utf8) + [255] where byte != token[index] {
        var wrong = token
        wrong[index] = byte
        #expect(parse(wrong) == nil, "\(wrong.text)")
      }
    }
  }

  @Test("A token that was cut at either end, or lengthened, is refused", arguments: Seeds.few)
  func cut(seed: UInt64) throws {
    let context = try #require(SiblingHistory(seed: seed).states.last).context
    let token = ContextToken.print(context)
    for length in 1..<token.count {
      #expect(parse(Array(token.prefix(length))) == nil, "the first \(length)")
      #expect(parse(Array(token.suffix(length))) == nil, "the last \(length)")
    }
    for byte in "Ac-=".utf8 { #expect(parse(token + [byte]) == nil) }
    #expect(parse(token + token) == nil)
  }

  @Test("Random text is no token", arguments: Seeds.few)
  func random(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      #expect(parse("c1".bytes + generator.bytes(1 + generator.below(60))) == nil)
    }
  }
}
