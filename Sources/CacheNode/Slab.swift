import Primitives

/// Numbered places for values that live long, never move and are named from outside.
///
/// A place is reused after `free`; its generation, kept in the value, tells the tenants apart. Values
/// are reached through a pointer, so touching two of them, or one and the node, is no conflict. They
/// lie in chunks that stay where they are when the slab grows: a pointer holds while others are taken.
struct Slab<Value: ~Copyable>: ~Copyable {
  private static var chunkBits: Int { 6 }
  private let chunks: UnsafeMutablePointer<UnsafeMutablePointer<Value>?>
  private(set) var end = 0
  private var vacant: [Int] = []
  private let limit: Int
  private(set) var count = 0
  private let make: (Int) -> Value

  init(limit: Int, make: @escaping (Int) -> Value) {
    self.limit = limit
    self.make = make
    let places = (limit >> Slab.chunkBits) + 1
    chunks = .allocate(capacity: places)
    chunks.initialize(repeating: nil, count: places)
  }

  deinit {
    for index in 0..<end { self[index].deinitialize(count: 1) }
    for chunk in 0..<(limit >> Slab.chunkBits) + 1 { chunks[chunk]?.deallocate() }
    chunks.deallocate()
  }

  @inline(__always) subscript(index: Int) -> UnsafeMutablePointer<Value> {
    chunks[index >> Slab.chunkBits].unsafelyUnwrapped + (index & (1 << Slab.chunkBits - 1))
  }

  /// A vacant place; nil at the limit. The value there keeps what its last tenant left.
  mutating func take() -> Int? {
    if let index = vacant.popLast() {
      count &+= 1
      return index
    }
    guard end < limit else { return nil }
    if chunks[end >> Slab.chunkBits] == nil {
      chunks[end >> Slab.chunkBits] = .allocate(capacity: 1 << Slab.chunkBits)
    }
    self[end].initialize(to: make(end))
    end += 1
    count &+= 1
    return end - 1
  }

  mutating func free(_ index: Int) {
    vacant.append(index)
    count &-= 1
  }
}
