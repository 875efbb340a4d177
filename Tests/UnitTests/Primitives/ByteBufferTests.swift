import Primitives
import Testing

@Suite("The byte buffer against an array")
struct ByteBufferTests {
  @Test("Appending, consuming, truncating and shrinking agree", arguments: Seeds.some)
  func model(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var buffer = ByteBuffer()
    var model: [UInt8] = []
    for _ in 0..<3000 {
      switch generator.below(9) {
      case 0, 1, 2:
        let bytes = generator.bytes(generator.oneIn(20) ? 5000 : generator.below(50))
        buffer.append(bytes)
        model += bytes
      case 3:
        buffer.append(7 as UInt8)
        model.append(7)
      case 4:
        let value = UInt32(truncatingIfNeeded: generator.next())
        buffer.append(littleEndian: value)
        model += (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
      case 5, 6:
        let size = generator.below(model.count + 1)
        buffer.consume(size)
        model.removeFirst(size)
      case 7:
        let size = model.count - generator.below(min(20, model.count) + 1)
        buffer.truncate(to: size)
        model.removeLast(model.count - size)
      default:
        buffer.shrink(keeping: generator.below(4000))
        if generator.oneIn(50) {
          buffer.removeAll()
          model = []
        }
      }
      let isEqual = buffer.bytes == model && buffer.count == model.count
      #expect(isEqual)
      let isEmpty = buffer.isEmpty
      #expect(isEmpty == model.isEmpty)
    }
  }

  @Test("A buffer that is read as fast as it is written does not grow")
  func steadyState() {
    var buffer = ByteBuffer()
    let piece = Array(repeating: UInt8(1), count: 1000)
    buffer.append(piece)
    for _ in 0..<10_000 {
      buffer.append(piece)
      buffer.consume(1000)
    }
    let capacity = buffer.capacity
    #expect(capacity <= 8192)
  }

  @Test("A buffer that was large and is little used gives memory back")
  func shrinking() {
    var buffer = ByteBuffer()
    buffer.append(Array(repeating: UInt8(1), count: 100_000))
    buffer.consume(99_990)
    buffer.shrink(keeping: 16 << 10)
    let (capacity, rest) = (buffer.capacity, buffer.bytes)
    #expect(capacity == 10)
    #expect(rest == Array(repeating: 1, count: 10))
  }

  @Test("Words are compared without case, bytes with it")
  func comparing() {
    let rows: [(left: String, right: String)] = [
      ("", ""), ("a", "a"), ("a", "b"), ("abcdefgh", "abcdefgh"), ("abcdefgh", "abcdefgX"),
      ("abcdefghi", "abcdefghj"), ("abcdefghijklmnop", "Xbcdefghijklmnop"), ("a", "ab"),
    ]
    for row in rows {
      row.left.bytes.withUnsafeBytes { left in
        row.right.bytes.withUnsafeBytes { #expect(left.equals($0) == (row.left == row.right)) }
      }
    }
    for (text, isWord) in [("GeT", true), ("get", true), ("gets", false), ("ge\u{34}", false)] {
      #expect(text.bytes.withUnsafeBytes { $0.isWord("get") } == isWord, "\(text)")
    }
  }

  @Test(
    "The same seed hashes alike, another seed does not, and few keys collide", arguments: Seeds.few)
  func hashing(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var low: Set<UInt64> = []
    let count = 20_000
    for index in 0..<count {
      let key = "key:\(index)".bytes + generator.bytes(index % 40)
      let hash = key.withUnsafeBytes { hashKey($0, seed: seed) }
      #expect(hash == key.withUnsafeBytes { hashKey($0, seed: seed) })
      #expect(hash != key.withUnsafeBytes { hashKey($0, seed: seed &+ 1) })
      low.insert(hash >> 32)
    }
    #expect(low.count > count - 5)
  }
}
