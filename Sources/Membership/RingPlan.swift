import Primitives

// # Ring changes
//
// Two rings follow from the member table: `current`, whose owners have the data, and `target`, whose
// owners are to have it. They differ while a node joins, leaves, is removed or changes its weight.
// All such changes under way make one target; none waits for another.
//
// The change goes in four steps, told by three fields of every member's record, each written only by
// the member itself:
//
//     1  reads ask the current owners; writes go to the owners of both rings and need W of each
//        (of the target only as long as that many of its owners can be reached). A member that
//        writes so, and has no older write under way, says aware = target.
//     2  all are aware: who gains slots pulls their data; what is written from now on it gets anyway.
//        A member that holds what it gains says prepared = target.
//     3  all are prepared: reads ask the target's owners; writes go to both as before. A member that
//        reads so says committed = target.
//     4  all are committed: whoever changes says so in its own status (joining → joined, leaving →
//        forgotten, weight = nextWeight; who is removed is declared forgotten by whoever sees it
//        first), and the two rings are one.
//
// Two neighbouring steps write where the other reads, and members that are two steps apart do not
// exist: each step waits for all members, dead or alive, but those that are being removed. So a
// member that is away holds a change up until it is back or is removed itself; nobody who might
// answer clients on the other side of a partition is left behind in an old ring. A crash anywhere
// loses nothing: records stay, the step is taken up again by whoever comes back, and the data lie
// with the current owners until step 4.
//
// Before there is any joined member (the first nodes of a cluster find each other) the joining ones
// are the current ring, and take no commands until the one with the lowest id has declared itself
// joined: then the others join it, as any newcomer would.
//
// Rejected: switching slot by slot (a table of 16384 states to gossip); one coordinator of the change
// (a leader); Cassandra's "pending endpoints" that count toward W in the old ring only (a reader of
// the new ring can miss a write that was acknowledged meanwhile).

/// The rings that a member table asks for.
public struct RingPlan: Equatable, Sendable {
  /// A member's part in a ring.
  public struct Part: Equatable, Sendable {
    public var id: UInt64
    public var zone: String
    public var weight: UInt16
    /// A node that comes back after it was out is another one.
    public var era: UInt32
  }

  /// Sorted by id.
  public let current: [Part]
  public let target: [Part]
  /// Names the target; 0 never does.
  public let targetID: UInt64
  /// No member has joined yet: nobody can say what is in the cluster.
  public let isForming: Bool

  public init(_ members: [Member]) {
    var current: [Part] = []
    var target: [Part] = []
    for member in members {
      let holds =
        member.status == .joined || member.status == .leaving
        || member.status == .removing
      let part = Part(id: member.id, zone: member.zone, weight: member.weight, era: member.era)
      if holds { current.append(part) }
      if member.status == .joined || member.status == .joining {
        target.append(
          Part(id: member.id, zone: member.zone, weight: member.nextWeight, era: member.era))
      }
    }
    isForming = current.isEmpty
    if current.isEmpty { current = target }
    // The last one can't go.
    if target.isEmpty { target = current }
    self.current = current
    self.target = target
    var buffer = ByteBuffer()
    for part in target {
      buffer.append(littleEndian: part.id)
      buffer.append(littleEndian: part.weight)
      buffer.append(littleEndian: part.era)
      buffer.append(Array(part.zone.utf8))
    }
    targetID = hashKey(buffer.readable, seed: 0x7a29) | 1
  }

  public var isChanging: Bool { current != target }
}
