import Primitives
import RESP
import Storage

/// Requests of one connection that are parsed and have not run.
///
/// Finding a random key among many costs three cache misses in a row: slot, segment, record. One by
/// one they take most of the time of a pipelined GET or SET (measured: 40 %). With several requests
/// in hand the misses of all can be under way at the same time. Valkey 8 does the same between its
/// I/O threads and its main thread.
struct Lookahead: ~Copyable {
  /// Requests that are parsed ahead: about as many misses as a core keeps open.
  static let depth = 16

  let lists: UnsafeMutablePointer<ArgumentList>
  let keys: UnsafeMutablePointer<LocatedKey>
  let offsets: UnsafeMutablePointer<Int>
  var count = 0

  init() {
    lists = .allocate(capacity: Lookahead.depth)
    keys = .allocate(capacity: Lookahead.depth)
    offsets = .allocate(capacity: Lookahead.depth)
    for place in 0..<Lookahead.depth { (lists + place).initialize(to: ArgumentList()) }
    keys.initialize(repeating: LocatedKey(), count: Lookahead.depth)
  }

  deinit {
    lists.deinitialize(count: Lookahead.depth)
    lists.deallocate()
    keys.deallocate()
    offsets.deallocate()
  }

  /// The list at `count` holds a request that began at this offset.
  @inline(__always)
  mutating func append(offset: Int) {
    offsets[count] = offset
    keys[count].isValid = false
    count &+= 1
  }
}
