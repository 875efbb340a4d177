import CacheNode
import Objects
import Primitives

/// One node's place in the world.
final class SimulatedNode {
  enum Membership {
    case member
    /// It was told to leave, and goes once the others no longer count it.
    case leaving
    /// It left, or is dead for good.
    case gone
  }

  let index: Int
  var node: Node?
  var membership = Membership.member
  /// Difference of its wall clock from true time, in microseconds.
  var skew: Int
  var saved: SavedState?
  var actor: Actor
  let id: UInt64
  var incarnation: UInt64 = 1
  /// When its process started, in microseconds of true time.
  var bootedAt: UInt64 = 0
  var pausedUntil: UInt64 = 0
  var wakeAt = UInt64.max
  var pipes: [LinkID: Pipe] = [:]
  var clients: [SessionID: SimulatedClient] = [:]
  /// It crashed, and has not been seen filled since.
  private var wasEmptied = false

  init(index: Int, id: UInt64, actor: Actor, skew: Int) {
    self.index = index
    self.id = id
    self.actor = actor
    self.skew = skew
  }

  func lostMemory() { wasEmptied = true }

  /// Its memory is gone and not yet refilled. A joiner, which never had any, is not meant.
  var isEmptied: Bool {
    if wasEmptied, node?.isFilled == true { wasEmptied = false }
    return wasEmptied
  }
}

/// A link between two nodes.
final class Pipe {
  struct End {
    var node: Int
    var link: LinkID
    /// The node's life that opened it: a restarted node has other links.
    var incarnation: UInt64
    /// When the last of what must keep its order arrives at this end.
    var lastInOrder: UInt64 = 0
    /// When the last of all that was sent to this end arrives.
    var lastArrival: UInt64 = 0
    /// Something sent to this end was swallowed: nothing more comes.
    var isBroken = false
  }
  var ends: [End]
  var isOpen = true

  init(_ ends: [End]) { self.ends = ends }

  /// Where what is sent to this end comes from.
  func direction(to end: Int) -> Direction {
    Direction(from: ends[1 - end].node, to: ends[end].node)
  }
}

/// One way between two nodes.
struct Direction: Hashable {
  var from: Int
  var to: Int

  var reversed: Direction { Direction(from: to, to: from) }
}
