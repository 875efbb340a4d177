import Primitives

// # Versions
//
// Every write is stamped with a version: a hybrid logical clock reading and the actor that took it
// (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014). The clock is 48 bits of Unix
// milliseconds and 16 bits of counter in one integer, so that comparing stamps is comparing
// integers. A write that saw another carries a larger reading, whatever the wall clocks say.
// Equal readings are ordered by actor, never by value or arrival: wall-clock ties broken by value
// left replicas different in simulation (LESSONS.md, L1).
//
// The same stamp serves as the write's dot (Preguiça et al., "Dotted Version Vectors", 2012): an
// actor's readings only grow, so (actor, reading) names one write for ever, and "all of this actor
// up to that reading" is one entry of a version vector. One number instead of two.
//
// An actor is one start of one node's process. A process that lost its memory is another actor: it
// can't issue a dot twice because it never had its predecessor's name (LESSONS.md, D1, D2, D21).

/// A reading of a hybrid logical clock: 48 bits of Unix milliseconds, 16 bits of counter.
public struct Stamp: Hashable, Comparable, Sendable {
  public var rawValue: UInt64

  @inline(__always) public init(rawValue: UInt64) { self.rawValue = rawValue }

  public init(milliseconds: UInt64, counter: UInt16 = 0) {
    rawValue = milliseconds << 16 | UInt64(counter)
  }

  public var milliseconds: UInt64 { rawValue >> 16 }

  /// Before all writes.
  public static let zero = Stamp(rawValue: 0)

  @inline(__always)
  public static func < (left: Stamp, right: Stamp) -> Bool { left.rawValue < right.rawValue }
}

/// Who stamps: a node's identity for one process start. Drawn at random, 64 bits.
public struct Actor: Hashable, Comparable, Sendable {
  public var rawValue: UInt64

  @inline(__always) public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static func < (left: Actor, right: Actor) -> Bool { left.rawValue < right.rawValue }
}

/// The stamp of one write, which is also its dot: totally ordered, by clock and then by actor.
public struct Version: Hashable, Comparable, Sendable {
  public var stamp: Stamp
  public var actor: Actor

  @inline(__always)
  public init(stamp: Stamp, actor: Actor) {
    self.stamp = stamp
    self.actor = actor
  }

  /// Older than every write: the version of what is absent.
  public static let none = Version(stamp: .zero, actor: Actor(rawValue: 0))

  @inline(__always)
  public static func < (left: Version, right: Version) -> Bool {
    left.stamp == right.stamp ? left.actor < right.actor : left.stamp < right.stamp
  }
}

/// A node's hybrid logical clock.
public struct HybridClock: Sendable {
  /// The last reading given or seen.
  public private(set) var last: Stamp = .zero

  public init() {}

  /// A reading larger than all given and seen before, and not behind the wall clock.
  @inline(__always)
  public mutating func next(wallMilliseconds: UInt64) -> Stamp {
    let wall = wallMilliseconds << 16
    last = Stamp(rawValue: max(last.rawValue &+ 1, wall))
    return last
  }

  /// Takes note of a reading of another node. False, and no note, when it is further ahead of the
  /// wall clock than `maximumSkew` milliseconds: one broken clock must not drag all others along.
  @inline(__always)
  public mutating func observe(
    _ stamp: Stamp, wallMilliseconds: UInt64, maximumSkew: UInt64
  ) -> Bool {
    guard stamp > last else { return true }
    guard stamp.milliseconds <= wallMilliseconds &+ maximumSkew else { return false }
    last = stamp
    return true
  }
}
