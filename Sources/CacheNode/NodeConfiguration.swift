import Access
import Keyspaces
import Membership
import Objects
import Primitives

/// What a node is told once, at its start. Everything that may change later is a parameter.
package struct NodeConfiguration: Sendable {
  /// The node's identity; kept in its state file.
  package var id: UInt64
  /// This process start; never used before.
  package var actor: Actor
  /// Above that of every earlier start.
  package var incarnation: UInt64
  package var name: String
  package var zone = ""
  package var weight: UInt16 = 1
  /// How others reach this node.
  package var host = "127.0.0.1"
  package var port: UInt16 = 6379
  package var peerPort: UInt16 = 16379
  package var databases = 16
  /// Addresses to dial until the members are known.
  package var seeds: [Endpoint] = []
  /// First values of keyspace settings, from the conf file.
  package var keyspaceRegisters: [SettingRegister] = []
  /// Drawn anew at each start: seeds the node's generator and its hash.
  package var randomSeed: UInt64
  package var parameters = ParameterStore()
  /// The users, with those of the ACL file; nil: the default user with `requirepass` alone.
  package var access: AccessControl?
  /// What ACL GENPASS draws passwords from: nobody else may know or guess it.
  package var secret: [UInt8] = []
  package var version = "0.1.0"
  /// For INFO.
  package var processID = 0
  package var executable = ""
  /// What the kernel says of the process.
  package var processFigures: @Sendable () -> ProcessFigures = { ProcessFigures() }
  /// What durations of commands and steps are measured with; nil: with the time of the ticks.
  package var durationClock: DurationClock?
  package var configurationFile = ""
  /// What the node remembers of its last run; nil at the first.
  package var saved: SavedState?
  /// Times, in microseconds.
  package var timing = Timing()
  /// Bugs to plant, for the simulator's canaries; none outside it.
  package var sabotage: Sabotage = []

  package init(id: UInt64, actor: Actor, incarnation: UInt64, name: String, randomSeed: UInt64) {
    self.id = id
    self.actor = actor
    self.incarnation = incarnation
    self.name = name
    self.randomSeed = randomSeed
  }
}

/// A host and a port.
package struct Endpoint: Hashable, Sendable {
  package var host: String
  package var port: UInt16

  package init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }
}

/// How long the node waits for what. All in microseconds.
package struct Timing: Sendable {
  /// A read whose answer is late by then asks the next owner, too.
  package var hedge: UInt64 = 20_000
  package var pingInterval: UInt64 = 100_000
  /// A link that was silent for so long, in spite of pings, is dead.
  package var linkDeadAfter: UInt64 = 750_000
  /// Between two attempts to reach a peer, and one that is down for all.
  package var redial: UInt64 = 100_000
  package var redialDead: UInt64 = 500_000
  /// Of an address where another node answered.
  package var redialMistaken: UInt64 = 30_000_000
  package var swim = SwimTiming()
  /// A source that stays away for so long is not waited for when slots are filled.
  package var fillPatience: UInt64 = 10_000_000
  /// A tombstone stays for so long after it is known to be everywhere.
  package var settleMargin: UInt64 = 10_000_000
  package var gossip: UInt64 = 200_000
  /// A node with seeds takes no commands until one answers, or until then.
  package var seedGrace: UInt64 = 2_000_000
  /// Between two steps of the active expiry cycle.
  package var expiry: UInt64 = 100_000

  package init() {}
}

/// Planted bugs: the simulator must find each of them, or it finds nothing.
package struct Sabotage: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// A write is answered one acknowledgement early.
  package static let earlyAnswer = Sabotage(rawValue: 1 << 0)
  /// Equal clock readings are decided by arrival.
  package static let tieByArrival = Sabotage(rawValue: 1 << 1)
  /// A process that lost its memory stamps under its old name, from a reset clock.
  package static let reusedActor = Sabotage(rawValue: 1 << 2)
  /// Read repair restarts the TTL.
  package static let extendedDeadline = Sabotage(rawValue: 1 << 3)
  /// Commands of a connection overtake each other.
  package static let brokenOrder = Sabotage(rawValue: 1 << 4)
  /// A replica that holds siblings keeps only the higher one.
  package static let droppedSibling = Sabotage(rawValue: 1 << 5)
  /// A read takes its local copy and ignores newer answers.
  package static let staleRead = Sabotage(rawValue: 1 << 6)
  /// An outcome depends on Swift's randomly seeded hashing.
  package static let hashOrder = Sabotage(rawValue: 1 << 7)

  /// Writes of a stand-in carry the name of its own (D2).
  package static let fallbackActor = Sabotage(rawValue: 1 << 8)
  /// A delivered hint replaces what is there (D6).
  package static let hintOverwrites = Sabotage(rawValue: 1 << 9)

  /// Writes go to one ring only while it changes (D5).
  package static let oneRing = Sabotage(rawValue: 1 << 10)

  /// A node that does not know a slot's data yet says "not found" (D17).
  package static let emptyVotes = Sabotage(rawValue: 1 << 11)
  /// Slots are filled from one source only (D17).
  package static let oneSource = Sabotage(rawValue: 1 << 12)
  /// Tombstones go as soon as the owners have them, whoever keeps a hint (D3).
  package static let hastyReaping = Sabotage(rawValue: 1 << 13)
  /// Anti-entropy puts living objects over tombstones (D8).
  package static let revival = Sabotage(rawValue: 1 << 14)
  /// What anti-entropy brings is stamped anew (D19).
  package static let restlessRepair = Sabotage(rawValue: 1 << 15)
  /// A node does not answer what is said of it (D20, D21).
  package static let noRefutation = Sabotage(rawValue: 1 << 16)
  /// Writes replace nothing of what their context covers (D18).
  package static let ignoredContext = Sabotage(rawValue: 1 << 17)
  /// Tombstones go after a second (D10).
  package static let earlyReaping = Sabotage(rawValue: 1 << 18)

  package static let named: [(name: String, bug: Sabotage)] = [
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
package struct ProcessFigures: Sendable {
  package var residentBytes = 0
  /// Microseconds of processor time.
  package var userMicroseconds = 0
  package var systemMicroseconds = 0

  package init() {}
}
