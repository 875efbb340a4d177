import Primitives

/// Numbered places for values that live long, move rarely and are named from outside.
///
/// A place is reused after `free`; its generation, kept in the value, tells the tenants apart. Values
/// are reached through a pointer, so touching two of them, or one and the node, is no conflict.
struct Slab<Value: ~Copyable>: ~Copyable {
  private(set) var base: UnsafeMutablePointer<Value>
  private var capacity: Int
  private(set) var end = 0
  private var vacant: [Int] = []
  private let limit: Int
  private(set) var count = 0
  private let make: (Int) -> Value

  init(limit: Int, make: @escaping (Int) -> Value) {
    self.limit = limit
    self.make = make
    capacity = min(limit, 16)
    base = .allocate(capacity: capacity)
  }

  deinit {
    base.deinitialize(count: end)
    base.deallocate()
  }

  @inline(__always) subscript(index: Int) -> UnsafeMutablePointer<Value> { base + index }

  /// A vacant place; nil at the limit. The value there keeps what its last tenant left.
  mutating func take() -> Int? {
    if let index = vacant.popLast() {
      count &+= 1
      return index
    }
    guard end < limit else { return nil }
    if end == capacity { grow() }
    (base + end).initialize(to: make(end))
    end += 1
    count &+= 1
    return end - 1
  }

  mutating func free(_ index: Int) {
    vacant.append(index)
    count &-= 1
  }

  private mutating func grow() {
    let size = min(limit, capacity * 2)
    let fresh = UnsafeMutablePointer<Value>.allocate(capacity: size)
    fresh.moveInitialize(from: base, count: end)
    base.deallocate()
    base = fresh
    capacity = size
  }
}
