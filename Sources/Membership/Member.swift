import Objects
import PeerProtocol
import Primitives

// # Members
//
// A member's record is a lattice: of two records of one node the one with the higher incarnation
// wins, and of one incarnation the one with the higher revision. Only the node itself raises its
// incarnation, at each start; every status that others set (forgotten) raises the revision. So
// records may come in any order, any number of times, from anyone, and all nodes end with the same
// table. The ring is a pure function of that table.
//
// A node that finds itself recorded by others with a higher incarnation than its own (a forged
// record, or a restart with an old state file) takes one above it, as long as it is sane: see
// `MemberTable.refutation`.

/// Whether a member takes part in the ring.
package enum MemberStatus: UInt8, Sendable {
  case joined = 1
  /// Removed by CLUSTER FORGET; the record stays so that gossip does not bring the node back.
  case forgotten = 2
}

/// What every node knows of a member.
package struct Member: Equatable, Sendable {
  package var id: UInt64
  package var actor: Actor
  /// Unix milliseconds of the process start, or one more than the last.
  package var incarnation: UInt64
  /// Changes within an incarnation.
  package var revision: UInt32
  package var status: MemberStatus
  /// Holds all data that it owns; false after a start with empty memory until it is refilled.
  package var isFilled: Bool
  package var host: String
  package var port: UInt16
  package var peerPort: UInt16
  package var name: String
  package var zone: String
  package var weight: UInt16

  package init(
    id: UInt64, actor: Actor, incarnation: UInt64, host: String, port: UInt16, peerPort: UInt16,
    name: String, zone: String, weight: UInt16, isFilled: Bool
  ) {
    self.id = id
    self.actor = actor
    self.incarnation = incarnation
    revision = 0
    status = .joined
    self.isFilled = isFilled
    self.host = host
    self.port = port
    self.peerPort = peerPort
    self.name = name
    self.zone = zone
    self.weight = weight
  }

  /// Whether this record replaces `other`, of the same node. Equal ranks are decided by content, so
  /// that two different records of one rank, which only a broken node makes, still end as one.
  package func replaces(_ other: Member) -> Bool {
    if incarnation != other.incarnation { return incarnation > other.incarnation }
    if revision != other.revision { return revision > other.revision }
    return digest > other.digest
  }

  /// A hash of all fields.
  package var digest: UInt64 {
    var buffer = ByteBuffer()
    encode(to: &buffer)
    return hashKey(buffer.readable, seed: 0x3e3b)
  }

  /// The id as clients see it: 40 hexadecimal digits, as Redis's node ids.
  package var hexID: String { Member.hexID(id) }

  package static func hexID(_ id: UInt64) -> String {
    hex(id) + hex(mix(id)) + hex(mix(mix(id))).prefix(8)
  }

  /// The id that `text` prints; nil when it is none.
  package static func id(hex text: String) -> UInt64? {
    guard text.utf8.count == 40, let id = UInt64(text.prefix(16), radix: 16), hexID(id) == text
    else { return nil }
    return id
  }

  private static func hex(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

extension Member {
  package func encode(to buffer: inout ByteBuffer) {
    buffer.append(littleEndian: id)
    buffer.append(littleEndian: actor.rawValue)
    buffer.append(littleEndian: incarnation)
    buffer.append(littleEndian: revision)
    buffer.append(status.rawValue)
    buffer.append(isFilled ? 1 : 0)
    buffer.append(field: host)
    buffer.append(littleEndian: port)
    buffer.append(littleEndian: peerPort)
    buffer.append(field: name)
    buffer.append(field: zone)
    buffer.append(littleEndian: weight)
  }

  package init?(from reader: inout FieldReader) {
    guard let id = reader.integer(UInt64.self), let actor = reader.integer(UInt64.self),
      let incarnation = reader.integer(UInt64.self), let revision = reader.integer(UInt32.self),
      let rawStatus = reader.integer(UInt8.self), let status = MemberStatus(rawValue: rawStatus),
      let filled = reader.integer(UInt8.self), filled <= 1, let host = reader.text(),
      let port = reader.integer(UInt16.self), let peerPort = reader.integer(UInt16.self),
      let name = reader.text(), let zone = reader.text(),
      let weight = reader.integer(UInt16.self), weight >= 1, weight <= Member.largestWeight,
      id != 0, Member.isPlain(host), Member.isPlain(name), Member.isPlain(zone)
    else { return nil }
    self.init(
      id: id, actor: Actor(rawValue: actor), incarnation: incarnation, host: host, port: port,
      peerPort: peerPort, name: name, zone: zone, weight: weight, isFilled: filled == 1)
    self.revision = revision
    self.status = status
  }

  package static let largestWeight: UInt16 = 100

  /// Words that stand in replies of one line a node hold no space and no control characters.
  package static func isPlain(_ text: String) -> Bool {
    text.utf8.count <= 255 && text.utf8.allSatisfy { $0 > 32 && $0 != 127 && $0 != 44 }
  }
}

/// All members that a node knows, itself included, sorted by id.
package struct MemberTable: Sendable {
  package private(set) var members: [Member]
  package let ownID: UInt64
  /// The highest incarnation that is believed: a day ahead of the clock. A forged higher one is
  /// refused, so that it can be neither spread nor beaten only by overflow.
  private static let incarnationSlack: UInt64 = 86_400_000

  /// The highest revision that is believed; `forget` and `updateOwn` can still count on from it.
  private static let largestRevision: UInt32 = .max / 2

  package init(own: Member) {
    ownID = own.id
    members = [own]
  }

  package var own: Member { members[place(ownID).index] }
  package var joined: [Member] { members.filter { $0.status == .joined } }

  package subscript(id: UInt64) -> Member? {
    let place = place(id)
    return place.found ? members[place.index] : nil
  }

  /// What taking a record did.
  package enum Outcome: Sendable, Equatable {
    case known
    case changed
    /// The record says something of this very node that is not so; it answers with its own.
    case refuted
    case refused
  }

  package mutating func merge(_ record: Member, now: UInt64) -> Outcome {
    guard record.incarnation <= now &+ MemberTable.incarnationSlack,
      record.revision <= MemberTable.largestRevision
    else { return .refused }
    if record.id == ownID { return refute(record) }
    let place = place(record.id)
    if place.found {
      guard record.replaces(members[place.index]) else { return .known }
      members[place.index] = record
      return .changed
    }
    guard members.count < Limits.members else { return .refused }
    members.insert(record, at: place.index)
    return .changed
  }

  private mutating func refute(_ record: Member) -> Outcome {
    guard record != own, record.replaces(own) else { return .known }
    let index = place(ownID).index
    members[index].incarnation = record.incarnation + 1
    members[index].revision = 0
    return .refuted
  }

  /// Changes this node's own record; all others will hear of it.
  package mutating func updateOwn(_ change: (inout Member) -> Void) {
    let index = place(ownID).index
    change(&members[index])
    members[index].revision += 1
  }

  /// Takes another member out of the ring. False when it is not in it.
  package mutating func forget(_ id: UInt64) -> Bool {
    let place = place(id)
    guard place.found, id != ownID, members[place.index].status == .joined else { return false }
    members[place.index].status = .forgotten
    members[place.index].revision += 1
    return true
  }

  /// A hash of the whole table: equal tables, equal digests.
  package var digest: UInt64 { members.reduce(0) { $0 ^ mix($1.digest) } }

  package func encode(to buffer: inout ByteBuffer) {
    buffer.append(littleEndian: UInt32(members.count))
    for member in members { member.encode(to: &buffer) }
  }

  /// Reads what `encode` wrote; nil when it is malformed.
  package static func decode(_ bytes: UnsafeRawBufferPointer) -> [Member]? {
    var reader = FieldReader(bytes)
    guard let count = reader.integer(UInt32.self), count <= Limits.members else { return nil }
    var members: [Member] = []
    for _ in 0..<count {
      guard let member = Member(from: &reader) else { return nil }
      members.append(member)
    }
    return reader.isAtEnd ? members : nil
  }

  private func place(_ id: UInt64) -> (index: Int, found: Bool) {
    var low = 0
    var high = members.count
    while low < high {
      let middle = (low + high) / 2
      if members[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return (low, low < members.count && members[low].id == id)
  }
}
