import Objects
import PeerProtocol
import Primitives

// # Members
//
// A member's record is a lattice: of two records of one node the one with the higher rank wins, so
// records may come in any order, any number of times, from anyone, and all nodes end with the same
// table. The ranks, the most important first:
//
//     era          how often the node was taken out of the cluster or taken in again. CLUSTER FORGET
//                  and the end of CLUSTER LEAVE raise it, and so does the node itself when it is told
//                  to join once more. A restart does not: whoever was forgotten stays forgotten.
//     incarnation  raised by the node itself at each start: a restart is a new identity
//     revision     changes within an incarnation: by the node itself, or by whoever removes it
//     health       alive, suspect, dead: what others say of it (see Swim.swift)
//
// A node that finds something said of itself that is not so answers with a higher revision, or with
// a higher incarnation when it was forged or is left over from an old state file. Ranks that are out
// of all proportion are refused, so that nobody can be evicted by a number that can't be beaten.
//
// The rings are a pure function of the table: see RingPlan.swift.

/// What part a member takes.
public enum MemberStatus: UInt8, Sendable {
  /// Owns slots.
  case joined = 1
  /// Out of the cluster; the record stays so that gossip does not bring the node back.
  case forgotten = 2
  /// Will own slots when it holds their data.
  case joining = 3
  /// Owns slots until others hold their data: CLUSTER LEAVE.
  case leaving = 4
  /// As `leaving`, for a dead node: CLUSTER FORGET.
  case removing = 5

  /// Whether the node is a member at all.
  public var isMember: Bool { self != .forgotten }
}

/// What the failure detectors say of a member. Later cases win at equal rank.
public enum MemberHealth: UInt8, Sendable {
  case alive = 0
  /// It did not answer somebody, and has not answered that yet.
  case suspect = 1
  /// It did not answer for the time of a suspicion.
  case dead = 2
}

/// What every node knows of a member.
public struct Member: Equatable, Sendable {
  public var id: UInt64
  public var actor: Actor
  /// Unix milliseconds of the process start, or one more than the last.
  public var incarnation: UInt64
  /// How often it was taken out and in again.
  public var era: UInt32 = 0
  /// Changes within an incarnation.
  public var revision: UInt32 = 0
  public var status = MemberStatus.joined
  public var health = MemberHealth.alive
  /// Holds all data that it owns; false after a start with empty memory until it is refilled.
  public var isFilled: Bool
  public var host: String
  public var port: UInt16
  public var peerPort: UInt16
  /// Where clients find it that speak TLS; 0 for nowhere.
  public var tlsPort: UInt16 = 0
  public var name: String
  public var zone: String
  public var weight: UInt16
  /// The weight that it will have when the ring change under way is done.
  public var nextWeight: UInt16
  /// The planned ring to whose owners this node sends its writes, too: `RingPlan.target`.
  public var aware: UInt64 = 0
  /// The planned ring whose slots this node holds as far as they are its own.
  public var prepared: UInt64 = 0
  /// The planned ring that this node reads from already.
  public var committed: UInt64 = 0

  public init(
    id: UInt64, actor: Actor, incarnation: UInt64, host: String, port: UInt16, peerPort: UInt16,
    name: String, zone: String, weight: UInt16, isFilled: Bool
  ) {
    self.id = id
    self.actor = actor
    self.incarnation = incarnation
    self.isFilled = isFilled
    self.host = host
    self.port = port
    self.peerPort = peerPort
    self.name = name
    self.zone = zone
    self.weight = weight
    nextWeight = weight
  }

  /// Whether this record replaces `other`, of the same node. Equal ranks are decided by content, so
  /// that two different records of one rank, which only a broken node makes, still end as one.
  public func replaces(_ other: Member) -> Bool {
    if era != other.era { return era > other.era }
    if incarnation != other.incarnation { return incarnation > other.incarnation }
    if revision != other.revision { return revision > other.revision }
    if health != other.health { return health.rawValue > other.health.rawValue }
    return digest > other.digest
  }

  /// A hash of all fields.
  public var digest: UInt64 {
    var buffer = ByteBuffer()
    encode(to: &buffer)
    return hashKey(buffer.readable, seed: 0x3e3b)
  }

  /// The port that a client is told: of its own kind, if there is one.
  public func shownPort(isEncrypted: Bool) -> UInt16 {
    isEncrypted ? (tlsPort != 0 ? tlsPort : port) : (port != 0 ? port : tlsPort)
  }

  /// The id as clients see it: 40 hexadecimal digits, as Redis's node ids.
  public var hexID: String { Member.hexID(id) }

  public static func hexID(_ id: UInt64) -> String {
    hex(id) + hex(mix(id)) + hex(mix(mix(id))).prefix(8)
  }

  /// The id that `text` prints; nil when it is none.
  public static func id(hex text: String) -> UInt64? {
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
  public func encode(to buffer: inout ByteBuffer) {
    buffer.append(littleEndian: id)
    buffer.append(littleEndian: actor.rawValue)
    buffer.append(littleEndian: incarnation)
    buffer.append(littleEndian: era)
    buffer.append(littleEndian: revision)
    buffer.append(status.rawValue)
    buffer.append(health.rawValue)
    buffer.append(isFilled ? 1 : 0)
    buffer.append(field: host)
    buffer.append(littleEndian: port)
    buffer.append(littleEndian: peerPort)
    buffer.append(field: name)
    buffer.append(field: zone)
    buffer.append(littleEndian: weight)
    buffer.append(littleEndian: nextWeight)
    buffer.append(littleEndian: aware)
    buffer.append(littleEndian: prepared)
    buffer.append(littleEndian: committed)
    buffer.append(littleEndian: tlsPort)
  }

  public init?(from reader: inout FieldReader) {
    guard let id = reader.integer(UInt64.self), let actor = reader.integer(UInt64.self),
      let incarnation = reader.integer(UInt64.self), let era = reader.integer(UInt32.self),
      let revision = reader.integer(UInt32.self),
      let rawStatus = reader.integer(UInt8.self), let status = MemberStatus(rawValue: rawStatus),
      let rawHealth = reader.integer(UInt8.self), let health = MemberHealth(rawValue: rawHealth),
      let filled = reader.integer(UInt8.self), filled <= 1, let host = reader.text(),
      let port = reader.integer(UInt16.self), let peerPort = reader.integer(UInt16.self),
      let name = reader.text(), let zone = reader.text(),
      let weight = reader.integer(UInt16.self), (1...Member.largestWeight).contains(weight),
      let nextWeight = reader.integer(UInt16.self),
      (1...Member.largestWeight).contains(nextWeight), let aware = reader.integer(UInt64.self),
      let prepared = reader.integer(UInt64.self),
      let committed = reader.integer(UInt64.self), let tlsPort = reader.integer(UInt16.self),
      id != 0, Member.isPlain(host),
      Member.isPlain(name), Member.isPlain(zone)
    else { return nil }
    self.init(
      id: id, actor: Actor(rawValue: actor), incarnation: incarnation, host: host, port: port,
      peerPort: peerPort, name: name, zone: zone, weight: weight, isFilled: filled == 1)
    self.era = era
    self.revision = revision
    self.status = status
    self.health = health
    self.nextWeight = nextWeight
    self.aware = aware
    self.prepared = prepared
    self.committed = committed
    self.tlsPort = tlsPort
  }

  public static let largestWeight: UInt16 = 100

  /// Words that stand in replies of one line a node hold no space and no control characters.
  public static func isPlain(_ text: String) -> Bool {
    text.utf8.count <= 255 && text.utf8.allSatisfy { $0 > 32 && $0 != 127 && $0 != 44 }
  }
}
