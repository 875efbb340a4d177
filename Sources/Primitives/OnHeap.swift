/// A property whose value lies on the heap: whoever declares it gives the value back with `giveBack`.
///
/// For the compiler's sake. For every use of a noncopyable struct it looks at each of its fields, and at
/// theirs: `NodeCore` with all of them inside took 370 s to compile, with its large and seldom used ones
/// on the heap 150 s. What every command touches stays inside or behind a plain pointer: through the
/// wrapper's accessors, statistics and meter made pipelined commands a tenth dearer.
@propertyWrapper
public struct OnHeap<Value> {
  let address: UnsafeMutablePointer<Value>

  public init(wrappedValue: consuming Value) {
    address = .allocate(capacity: 1)
    address.initialize(to: wrappedValue)
  }

  public var wrappedValue: Value {
    @inline(__always) _read { yield address.pointee }
    @inline(__always) nonmutating _modify { yield &address.pointee }
  }

  /// Ends the value.
  public func giveBack() {
    address.deinitialize(count: 1)
    address.deallocate()
  }
}
