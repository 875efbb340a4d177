import Primitives

// # Hash trees
//
// What anti-entropy compares (Merkle trees in Dynamo, SOSP 2007, section 4.7). The leaves are kept
// with every write: for each slot the XOR of one hash an object. XOR because a write then costs two
// operations, the old object out and the new one in, whatever else the slot holds; because order
// does not count; and because an object that leaves takes exactly its own part with it. The levels
// above are 128 branches of 128 slots and a root, and are hashed from the leaves when somebody asks:
// 16384 of them take some 20 us, which is less than keeping them up to date would cost.
//
// Owners of a slot do not all hold the same keys of it: a key of a keyspace with n = 1 is with the
// first owner only. So there is a tree for each n, and two owners compare those trees whose keys both
// are to hold.

/// The leaves of all hash trees of one node.
struct HashTrees: ~Copyable {
  private static let count = 8
  private let slots: Int
  /// Tree-major; nil until something counts in it.
  private let leaves: UnsafeMutablePointer<UnsafeMutablePointer<UInt64>?>
  private let databases: Int
  private(set) var bytes = 0

  init(databases: Int, slots: Int) {
    self.slots = slots
    self.databases = databases
    leaves = .allocate(capacity: HashTrees.count * databases)
    leaves.initialize(repeating: nil, count: HashTrees.count * databases)
  }

  deinit {
    for index in 0..<HashTrees.count * databases { leaves[index]?.deallocate() }
    leaves.deallocate()
  }

  /// Takes an element in, or out.
  @inline(__always)
  mutating func toggle(_ tree: Int, _ database: Int, _ slot: Int, _ element: UInt64) {
    let index = tree &* databases &+ database
    let slots = leaves[index] ?? plant(index)
    slots[slot] ^= element
  }

  @inline(never)
  private mutating func plant(_ index: Int) -> UnsafeMutablePointer<UInt64> {
    let fresh = UnsafeMutablePointer<UInt64>.allocate(capacity: slots)
    fresh.initialize(repeating: 0, count: slots)
    leaves[index] = fresh
    bytes += slots * 8
    return fresh
  }

  func digest(_ wanted: UInt8, _ database: Int, _ slot: Int) -> UInt64 {
    var digest: UInt64 = 0
    for tree in 0..<HashTrees.count where wanted >> UInt8(tree) & 1 == 1 {
      if let slots = leaves[tree * databases + database] { digest ^= slots[slot] }
    }
    return digest
  }

  mutating func removeAll(database: Int) {
    for tree in 0..<HashTrees.count {
      leaves[tree * databases + database]?.update(repeating: 0, count: slots)
    }
  }
}
