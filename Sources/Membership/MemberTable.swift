import PeerProtocol
import Primitives

/// All members that a node knows, itself included, sorted by id.
public struct MemberTable: Sendable {
  public private(set) var all: [Member]
  /// Those of `all` that are members, in its order.
  public private(set) var members: [Member]
  public private(set) var ownID: UInt64
  /// A hash of the whole table: equal tables, equal digests. Health is left out: it is told by the
  /// failure detectors' gossip, and who is suspect differs from node to node all the time.
  public private(set) var digest: UInt64 = 0

  /// The highest incarnation that is believed: a day ahead of the clock. A forged higher one is
  /// refused, so that it can be neither spread nor beaten only by overflow.
  private static let incarnationSlack: UInt64 = 86_400_000
  /// The highest revision and era that are believed; a node can still count on from them.
  private static let largestCount: UInt32 = .max / 2

  public init(own: Member) {
    ownID = own.id
    all = [own]
    members = [own]
    digest = MemberTable.digest(own)
  }

  /// What another of its members knows who knows the same: one table for a simulated cluster, shared
  /// until something changes.
  public init(of id: UInt64, knowing table: MemberTable) {
    self = table
    invariant(place(id).found, "a table of a member that is not in it")
    ownID = id
  }

  public var own: Member { all[place(ownID).index] }
  public var count: Int { members.count }

  public subscript(id: UInt64) -> Member? {
    let place = place(id)
    return place.found ? all[place.index] : nil
  }

  /// What taking a record did.
  public enum Outcome: Sendable, Equatable {
    case known
    case changed
    /// The record says something of this very node that is not so; it answers with its own.
    case refuted
    /// This node was taken out of the cluster.
    case removed
    case refused
  }

  public mutating func merge(_ record: Member, now: UInt64) -> Outcome {
    guard record.incarnation <= now &+ MemberTable.incarnationSlack,
      record.revision <= MemberTable.largestCount, record.era <= MemberTable.largestCount
    else { return .refused }
    if record.id == ownID { return mergeOwn(record) }
    let place = place(record.id)
    if place.found {
      guard record.replaces(all[place.index]) else { return .known }
      replace(place.index, record)
      return .changed
    }
    guard all.count < Limits.members else { return .refused }
    all.insert(record, at: place.index)
    digest ^= MemberTable.digest(record)
    listMembers()
    return .changed
  }

  /// Somebody's record of this node: an order to go, or something to be put right.
  private mutating func mergeOwn(_ record: Member) -> Outcome {
    guard record != own, record.replaces(own) else { return .known }
    if record.era > own.era {
      if record.status == .forgotten {
        replace(place(ownID).index, record)
        return .removed
      }
      // Its state file is older than its last admission: it goes on from there.
      change {
        $0.era = record.era
        $0.incarnation = max($0.incarnation, record.incarnation + 1)
      }
      return .refuted
    }
    change {
      // Of revisions that leave no room to count on from the next one would be refused.
      let isExhausted = record.revision > MemberTable.largestCount / 2
      if record.incarnation > $0.incarnation || isExhausted {
        $0.incarnation = record.incarnation + 1
        $0.revision = 0
      } else {
        $0.revision = max($0.revision, record.revision) + 1
      }
    }
    return .refuted
  }

  /// Changes this node's own record; all others will hear of it.
  public mutating func updateOwn(_ body: (inout Member) -> Void) {
    change {
      body(&$0)
      $0.revision += 1
    }
  }

  private mutating func change(_ body: (inout Member) -> Void) {
    let index = place(ownID).index
    var record = all[index]
    body(&record)
    record.health = .alive
    replace(index, record)
  }

  /// Says of another member that it does not answer, at the rank of its present record. False when
  /// that changes nothing.
  public mutating func setHealth(_ id: UInt64, _ health: MemberHealth) -> Bool {
    let place = place(id)
    guard place.found, id != ownID, all[place.index].health.rawValue < health.rawValue else {
      return false
    }
    var record = all[place.index]
    record.health = health
    replace(place.index, record)
    return true
  }

  /// Begins to take a dead member out, or ends it. False when it is no member.
  public mutating func remove(_ id: UInt64, to status: MemberStatus) -> Bool {
    let place = place(id)
    guard place.found, id != ownID, all[place.index].status.isMember,
      all[place.index].status != status
    else { return false }
    var record = all[place.index]
    record.status = status
    if status == .forgotten { record.era += 1 } else { record.revision += 1 }
    replace(place.index, record)
    return true
  }

  /// A node that was taken out starts over, with nothing of what it knew of the others: they may
  /// have gone, too.
  public mutating func startOver(now: UInt64) {
    var record = own
    record.era += 1
    record.incarnation = max(record.incarnation + 1, now)
    record.revision = 0
    record.status = .joining
    record.aware = 0
    record.prepared = 0
    record.committed = 0
    all = [record]
    digest = MemberTable.digest(record)
    listMembers()
  }

  private mutating func replace(_ index: Int, _ record: Member) {
    digest ^= MemberTable.digest(all[index]) ^ MemberTable.digest(record)
    let wasMember = all[index].status.isMember
    all[index] = record
    if wasMember, record.status.isMember,
      let place = members.firstIndex(where: { $0.id == record.id })
    {
      members[place] = record
    } else {
      listMembers()
    }
  }

  private mutating func listMembers() { members = all.filter { $0.status.isMember } }

  private static func digest(_ record: Member) -> UInt64 {
    var record = record
    record.health = .alive
    return mix(record.digest)
  }

  public func encode(to buffer: inout ByteBuffer) {
    buffer.append(littleEndian: UInt32(all.count))
    for member in all { member.encode(to: &buffer) }
  }

  /// Reads what `encode` wrote; nil when it is malformed.
  public static func decode(_ bytes: UnsafeRawBufferPointer) -> [Member]? {
    var reader = FieldReader(bytes)
    guard let records = decode(&reader), reader.isAtEnd else { return nil }
    return records
  }

  /// Reads records and leaves the reader behind them.
  public static func decode(_ reader: inout FieldReader) -> [Member]? {
    guard let count = reader.integer(UInt32.self), count <= Limits.members else { return nil }
    var members: [Member] = []
    for _ in 0..<count {
      guard let member = Member(from: &reader) else { return nil }
      members.append(member)
    }
    return members
  }

  private func place(_ id: UInt64) -> (index: Int, found: Bool) {
    var low = 0
    var high = all.count
    while low < high {
      let middle = (low + high) / 2
      if all[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return (low, low < all.count && all[low].id == id)
  }
}
