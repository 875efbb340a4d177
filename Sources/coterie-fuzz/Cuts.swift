import Primitives

/// How bytes arrive: the size of each piece. Drawn from the bytes, so that one input is one run.
struct Cuts {
  private var generator: SeededGenerator
  private let pattern: Pattern

  private enum Pattern {
    case whole
    case two(at: Int)
    case even(Int)
    case uneven(upTo: Int)
  }

  /// Looks at an input through equal pieces: more of them would only cost time.
  private static let looks = 128

  private init(_ bytes: [UInt8], _ pattern: (inout SeededGenerator) -> Pattern) {
    var generator = SeededGenerator(seed: bytes.withUnsafeBytes { hashKey($0, seed: 0xf022) })
    self.pattern = pattern(&generator)
    self.generator = generator
  }

  static func whole(_ bytes: [UInt8]) -> Cuts { Cuts(bytes) { _ in .whole } }

  static func two(_ bytes: [UInt8]) -> Cuts {
    Cuts(bytes) { .two(at: $0.below(bytes.count + 1)) }
  }

  /// Byte by byte; longer inputs in pieces of a few bytes.
  static func byteWise(_ bytes: [UInt8]) -> Cuts {
    Cuts(bytes) { _ in .even(max(1, bytes.count / looks)) }
  }

  static func uneven(_ bytes: [UInt8]) -> Cuts {
    Cuts(bytes) { _ in .uneven(upTo: max(2, bytes.count / 4)) }
  }

  /// The size of the piece that comes at `position` of `count` bytes.
  mutating func next(at position: Int, of count: Int) -> Int {
    let size =
      switch pattern {
      case .whole: count
      case .two(let place): position < place ? place - position : count
      case .even(let size): size
      case .uneven(let largest): 1 + generator.below(largest)
      }
    return min(size, count - position)
  }
}
