import Access
import Keyspaces
import Membership
import Objects
import Primitives

/// What a node is told once, at its start. Everything that may change later is a parameter.
public struct NodeConfiguration: Sendable {
  /// The node's identity; kept in its state file.
  public var id: UInt64
  /// This process start; never used before.
  public var actor: Actor
  /// Above that of every earlier start.
  public var incarnation: UInt64
  public var name: String
  public var zone = ""
  public var weight: UInt16 = 1
  /// How others reach this node.
  public var host = "127.0.0.1"
  public var port: UInt16 = 6379
  public var peerPort: UInt16 = 16379
  /// Where clients find this node that speak TLS; 0 for nowhere.
  public var tlsPort: UInt16 = 0
  public var databases = 16
  /// Addresses to dial until the members are known.
  public var seeds: [Endpoint] = []
  /// First values of keyspace settings, from the conf file.
  public var keyspaceRegisters: [SettingRegister] = []
  /// Drawn anew at each start: seeds the node's generator and its hash.
  public var randomSeed: UInt64
  public var parameters = ParameterStore()
  /// The users, with those of the ACL file; nil: the default user with `requirepass` alone.
  public var access: AccessControl?
  /// What ACL GENPASS draws passwords from: nobody else may know or guess it.
  public var secret: [UInt8] = []
  /// What a link's other end has to prove that it knows; empty: nothing is proved.
  public var clusterSecret: [UInt8] = []
  /// Puts the TLS parameters in force, for connections from now on. Returns why that can't be, and
  /// then changes nothing; there is a line in the log already.
  public var applyTLS: @Sendable (ParameterStore) -> String? = { _ in nil }
  public var version = "0.1.0"
  /// For INFO.
  public var processID = 0
  public var executable = ""
  public var operatingSystem = "Linux"
  /// What the kernel says of the process.
  public var processFigures: @Sendable () -> ProcessFigures = { ProcessFigures() }
  /// Sees to it that the process may have so many descriptors, and says how many it may have.
  public var descriptors: @Sendable (_ wanted: Int) -> Int = { _ in .max }
  /// What durations of commands and steps are measured with; nil: with the time of the ticks.
  public var durationClock: DurationClock?
  public var configurationFile = ""
  /// What the node remembers of its last run; nil at the first.
  public var saved: SavedState?
  /// Times, in microseconds.
  public var timing = Timing()
  /// Bugs to plant, for the simulator's canaries; none outside it.
  public var sabotage: Sabotage = []

  public init(id: UInt64, actor: Actor, incarnation: UInt64, name: String, randomSeed: UInt64) {
    self.id = id
    self.actor = actor
    self.incarnation = incarnation
    self.name = name
    self.randomSeed = randomSeed
  }
}

/// A host and a port.
public struct Endpoint: Hashable, Sendable {
  public var host: String
  public var port: UInt16

  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }
}

/// How long the node waits for what. All in microseconds.
public struct Timing: Sendable {
  /// A read whose answer is late by then asks the next owner, too.
  public var hedge: UInt64 = 20_000
  public var pingInterval: UInt64 = 100_000
  /// A link that was silent for so long, in spite of pings, is dead.
  public var linkDeadAfter: UInt64 = 750_000
  /// Between two attempts to reach a peer, and one that is down for all.
  public var redial: UInt64 = 100_000
  public var redialDead: UInt64 = 500_000
  /// Of an address where another node answered.
  public var redialMistaken: UInt64 = 30_000_000
  public var swim = SwimTiming()
  /// A source that stays away for so long is not waited for when slots are filled.
  public var fillPatience: UInt64 = 10_000_000
  /// A tombstone stays for so long after it is known to be everywhere.
  public var settleMargin: UInt64 = 10_000_000
  public var gossip: UInt64 = 200_000
  /// A node with seeds takes no commands until one answers, or until then.
  public var seedGrace: UInt64 = 2_000_000
  /// Between two steps of the active expiry cycle.
  public var expiry: UInt64 = 100_000

  public init() {}
}

/// Planted bugs: the simulator must find each of them, or it finds nothing.
public struct Sabotage: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// A write is answered one acknowledgement early.
  public static let earlyAnswer = Sabotage(rawValue: 1 << 0)
  /// Equal clock readings are decided by arrival.
  public static let tieByArrival = Sabotage(rawValue: 1 << 1)
  /// A process that lost its memory stamps under its old name, from a reset clock.
  public static let reusedActor = Sabotage(rawValue: 1 << 2)
  /// Read repair restarts the TTL.
  public static let extendedDeadline = Sabotage(rawValue: 1 << 3)
  /// Commands of a connection overtake each other.
  public static let brokenOrder = Sabotage(rawValue: 1 << 4)
  /// A replica that holds siblings keeps only the higher one.
  public static let droppedSibling = Sabotage(rawValue: 1 << 5)
  /// A read takes its local copy and ignores newer answers.
  public static let staleRead = Sabotage(rawValue: 1 << 6)
  /// An outcome depends on Swift's randomly seeded hashing.
  public static let hashOrder = Sabotage(rawValue: 1 << 7)

  /// Writes of a stand-in carry the name of its own (D2).
  public static let fallbackActor = Sabotage(rawValue: 1 << 8)
  /// A delivered hint replaces what is there (D6).
  public static let hintOverwrites = Sabotage(rawValue: 1 << 9)

  /// Writes go to one ring only while it changes (D5).
  public static let oneRing = Sabotage(rawValue: 1 << 10)

  /// A node that does not know a slot's data yet says "not found" (D17).
  public static let emptyVotes = Sabotage(rawValue: 1 << 11)
  /// Slots are filled from one source only (D17).
  public static let oneSource = Sabotage(rawValue: 1 << 12)
  /// Tombstones go as soon as the owners have them, whoever keeps a hint (D3).
  public static let hastyReaping = Sabotage(rawValue: 1 << 13)
  /// Anti-entropy puts living objects over tombstones (D8).
  public static let revival = Sabotage(rawValue: 1 << 14)
  /// What anti-entropy brings is stamped anew (D19).
  public static let restlessRepair = Sabotage(rawValue: 1 << 15)
  /// A node does not answer what is said of it (D20, D21).
  public static let noRefutation = Sabotage(rawValue: 1 << 16)
  /// Writes replace nothing of what their context covers (D18).
  public static let ignoredContext = Sabotage(rawValue: 1 << 17)
  /// Tombstones go after a second (D10).
  public static let earlyReaping = Sabotage(rawValue: 1 << 18)

  public static let named: [(name: String, bug: Sabotage)] = [
    ("early-answer", .earlyAnswer), ("tie-by-arrival", .tieByArrival),
    ("reused-actor", .reusedActor), ("extended-deadline", .extendedDeadline),
    ("broken-order", .brokenOrder), ("dropped-sibling", .droppedSibling),
    ("stale-read", .staleRead), ("hash-order", .hashOrder),
    ("fallback-actor", .fallbackActor), ("hint-overwrites", .hintOverwrites),
    ("one-ring", .oneRing), ("empty-votes", .emptyVotes), ("one-source", .oneSource),
    ("hasty-reaping", .hastyReaping), ("revival", .revival),
    ("restless-repair", .restlessRepair), ("no-refutation", .noRefutation),
    ("ignored-context", .ignoredContext), ("early-reaping", .earlyReaping),
  ]
}

/// What a process uses of the machine.
public struct ProcessFigures: Sendable {
  public var residentBytes = 0
  /// Of the machine.
  public var systemMemoryBytes = 0
  /// Microseconds of processor time.
  public var userMicroseconds = 0
  public var systemMicroseconds = 0

  public init() {}
}
