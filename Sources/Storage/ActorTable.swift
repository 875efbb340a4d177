import Objects
import Primitives

/// Short names for actors: a record carries 16 bits instead of 64.
///
/// An actor is counted by the records that carry it; the name of one that no record carries is given
/// to the next. Finding an index costs one comparison when the actor is the last one asked for.
struct ActorTable: ~Copyable {
  private let actors: UnsafeMutablePointer<UInt64>
  private let uses: UnsafeMutablePointer<UInt32>
  /// Of each actor's number, so that hashing a version takes one more multiplication.
  private let mixed: UnsafeMutablePointer<UInt64>
  private var indices: [UInt64: Int] = [:]
  private var free: [Int] = []
  private var fresh = 0
  private var lastActor: UInt64 = 0
  private var lastIndex = -1

  init() {
    actors = .allocate(capacity: Limits.actors)
    uses = .allocate(capacity: Limits.actors)
    mixed = .allocate(capacity: Limits.actors)
  }

  deinit {
    actors.deallocate()
    uses.deallocate()
    mixed.deallocate()
  }

  @inline(__always) func actor(_ index: Int) -> Actor { Actor(rawValue: actors[index]) }
  @inline(__always) func mixed(_ index: Int) -> UInt64 { mixed[index] }

  /// The index of `actor`, with one more use; nil when the table is full of others.
  @inline(__always)
  mutating func retain(_ actor: Actor) -> Int? {
    if _fastPath(lastIndex >= 0 && lastActor == actor.rawValue) {
      uses[lastIndex] &+= 1
      return lastIndex
    }
    return find(actor)
  }

  @inline(never)
  private mutating func find(_ actor: Actor) -> Int? {
    let index: Int
    if let known = indices[actor.rawValue] {
      index = known
    } else if let reused = free.popLast() {
      index = reused
      name(index, actor)
    } else if fresh < Limits.actors {
      index = fresh
      fresh += 1
      name(index, actor)
    } else {
      return nil
    }
    uses[index] += 1
    lastActor = actor.rawValue
    lastIndex = index
    return index
  }

  private mutating func name(_ index: Int, _ actor: Actor) {
    actors[index] = actor.rawValue
    mixed[index] = mix(actor.rawValue)
    uses[index] = 0
    indices[actor.rawValue] = index
  }

  @inline(__always)
  mutating func release(_ index: Int) {
    uses[index] &-= 1
    if _slowPath(uses[index] == 0) { forget(index) }
  }

  @inline(never)
  private mutating func forget(_ index: Int) {
    indices[actors[index]] = nil
    free.append(index)
    if lastIndex == index { lastIndex = -1 }
  }
}
