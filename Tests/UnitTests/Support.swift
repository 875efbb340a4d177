import Primitives

/// Seeds of the random tests. A failure names the seed among the test's arguments.
enum Seeds {
  static let few: [UInt64] = [1, 2, 3]
  static let some: [UInt64] = Array(1...10)
  static let many: [UInt64] = Array(1...50)
}

extension String {
  /// The bytes of the text.
  var bytes: [UInt8] { Array(utf8) }
}

extension [UInt8] {
  /// The bytes as text.
  var text: String { String(decoding: self, as: UTF8.self) }

  /// The same bytes with those bits of one byte turned over.
  func flipping(_ index: Int, bits: UInt8) -> [UInt8] {
    var copy = self
    copy[index] ^= bits
    return copy
  }

  /// The bytes in pieces that end at `cuts`, which are in order.
  func pieces(cutAt cuts: [Int]) -> [[UInt8]] {
    zip([0] + cuts, cuts + [count]).map { Array(self[$0..<$1]) }
  }
}

extension SeededGenerator {
  /// A random run of bytes of this length.
  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }

  /// One of the elements.
  mutating func pick<T>(_ elements: [T]) -> T { elements[below(elements.count)] }

  /// The elements in some other order.
  mutating func shuffled<T>(_ elements: [T]) -> [T] {
    var copy = elements
    for index in stride(from: copy.count - 1, to: 0, by: -1) {
      copy.swapAt(index, below(index + 1))
    }
    return copy
  }
}

/// All orders of the elements.
func permutations<T>(_ elements: [T]) -> [[T]] {
  guard let first = elements.first else { return [[]] }
  return permutations(Array(elements.dropFirst())).flatMap { rest in
    (0...rest.count).map { place in
      var order = rest
      order.insert(first, at: place)
      return order
    }
  }
}

/// What `write` appends to an empty buffer.
func written(_ write: (inout ByteBuffer) -> Void) -> [UInt8] {
  var buffer = ByteBuffer()
  write(&buffer)
  return buffer.bytes
}

extension String {
  /// A number in the text of INFO; nil when the field is not there.
  func infoField(_ name: String) -> Int? {
    split(separator: "\r\n").first { $0.hasPrefix("\(name):") }
      .flatMap { Int($0.dropFirst(name.count + 1)) }
  }
}
