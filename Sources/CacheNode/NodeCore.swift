import Access
import Commands
import Coordination
import Keyspaces
import Membership
import Objects
import PeerProtocol
import Placement
import Primitives
import RESP
import Repair
import Storage

/// A keyspace's policy with the words resolved for the present number of members.
struct ResolvedPolicy {
  var copies = 1
  var write = 1
  var read = 1
  var conflict = ConflictRule.lww
  var blindWrite = BlindWrite.overwrite
  var ttl: UInt64 = 0
  /// May fallbacks count toward W?
  var isSloppy = true
  /// While the ring changes: copies and W in the other ring.
  var otherCopies = 1
  var otherWrite = 1
  /// The hash tree in which the keyspace's objects count: n as it was set.
  var tree = 1
  /// One copy, here, and no answer to wait for: nothing but this node takes part.
  var isLocal = false
}

/// Whether data commands are taken.
enum ClusterState: Equatable {
  case ok
  /// Seeds are given and none has answered yet.
  case forming
  /// This node left its cluster or was removed from it.
  case removed
}

/// The state of a node. Methods are in the extensions, one file an aspect.
struct NodeCore: ~Copyable {
  @OnHeap var configuration: NodeConfiguration
  /// Asked for before many a decision: not worth the way to the configuration.
  let sabotage: Sabotage
  var now: Instant
  let startedAt: Instant
  var generator: SeededGenerator
  var clock = HybridClock()
  /// This process, for as long as it runs.
  let actor: Actor
  /// Who stamps its writes: `actor`, and another one after it has lost what it wrote.
  var writer: Actor
  /// The names that this node wrote under before, the last few of them.
  var formerWriters: [Actor] = []

  // Words
  let commandTable: CommandTable
  let commandIndex: CommandIndex
  let slotHasher = SlotHasher()
  var parameters: ParameterStore
  var settings: KeyspaceSettings
  var keyspaceMap: KeyspaceMap
  var policies: UnsafeMutablePointer<ResolvedPolicy>
  /// Milliseconds; what `max-clock-skew` says.
  var maximumSkew: UInt64 = 500
  /// Microseconds; what `operation-timeout` says.
  var operationTimeout: UInt64 = 1_000_000
  var logLevel = LogLevel.notice

  // Machines
  var table: Table
  var swim: Swim
  var swimActions: [SwimAction] = []
  /// Records changed that nothing has followed from yet.
  var recordsChanged = false
  @OnHeap var plan: RingPlan
  var ring: Ring
  /// The other ring while they differ; see NodeCore+Rings.
  var shadow: Ring
  /// What the two were dealt from.
  var ringParts: [RingPlan.Part] = []
  var shadowParts: [RingPlan.Part] = []
  var isChanging = false
  var tracked: SlotSet?
  var held = SlotSet.all
  /// Peers that own slots together with this node, in order.
  var coOwners: [Int] = []
  /// A leaver waits for its hints until then, in monotonic microseconds.
  var leaveBy: UInt64 = 0
  /// Of what was last written to the state file.
  var savedDigest: UInt64 = 0
  /// Counts the changes of ring and liveness: two commands of one epoch go the same way.
  var routeEpoch = 1
  var clusterState = ClusterState.ok
  /// This node alone: the usual case of one node, kept apart for speed.
  var isAlone = true
  var ringMemberCount = 1
  /// Links that take too little of what they are sent; they are dropped when the round ends.
  var overfullLinks: [LinkID] = []
  /// Links to nodes that are out of the cluster; they are dropped at the next look at all links.
  var goneLinks: [LinkID] = []
  var linksCheckedAt: UInt64 = 0

  // Peers; index 0 is this node
  var peers: Slab<Peer>
  var peerIndices: [UInt64: Int] = [:]
  var links: Slab<Link>
  /// By peer index: 0 down, 1 up, 2 up and filled.
  let liveness: UnsafeMutablePointer<UInt8>
  var seedLinks: [Endpoint: UInt64] = [:]
  var seedRefusals: [Endpoint: UInt8] = [:]
  /// Accepted links whose other end has not said who it is, in their order.
  var unprovenLinks: [LinkID] = []
  var refusalLog = RefusalLog()
  var attackLog = RefusalLog()
  var strangerLog = RefusalLog()
  var nonceGenerator: PasswordGenerator

  // Clients
  var sessions: Slab<Session>
  var nextClientID = 1
  var clients = ClientLimits()

  // Who may do what
  @OnHeap var access: AccessControl
  @OnHeap var accessLog = AccessLog()
  @OnHeap var attempts = AttemptLimiter()
  var passwordGenerator: PasswordGenerator

  // What waits
  var operations: Slab<Operation>
  /// Operations by their deadline; all wait equally long, so the order of starts is that of ends.
  var deadlines = DeadlineQueue()
  /// Those that got more time, by when they are looked at again.
  var extensions = DeadlineQueue()
  var hedges = DeadlineQueue()
  /// Hash of a key → the operation that holds it, and those that wait for it in order.
  var locks: [UInt64: [Int]] = [:]
  /// Quorum reads under way, counted by some bits of their key's hash.
  let pendingReads: UnsafeMutablePointer<UInt32>
  static let pendingReadBuckets = 4096
  var resuming: [SessionID] = []

  // Repair
  var exchanges: [Exchange?] = Array(repeating: nil, count: Exchange.places)
  var exchangeCount: UInt32 = 0
  var antiEntropyPeriod: UInt64 = 10_000_000
  var nextExchange: UInt64 = 0
  var nextCoOwner = 0
  /// What was pulled from each peer of the slots that are missing.
  var pulled: [Int: SlotSet] = [:]
  /// Since when this node looks for its seeds, in monotonic microseconds.
  var formingSince: UInt64 = 0
  /// Which slots each peer owns in the current ring, as far as somebody asked.
  var sourceSlots: [Int: SlotSet] = [:]
  var transfer = TransferProgress()
  /// Objects may lie in slots that are not this node's.
  var mayHoldLeftovers = false
  @OnHeap var leftovers = Leftovers()
  var hints = HintStore()
  /// An object of the hint store that a command looks at.
  let hintScratch: UnsafeMutablePointer<ByteBuffer>
  var hintRetryAt: [UInt64: UInt64] = [:]
  /// When the last hints for this node came; comparisons that were left out because of that.
  var hintsTakenAt: UInt64 = 0
  var skippedExchanges = 0
  /// Operation → the join of the answers to a read that this node coordinates for other owners.
  var foreign: [Int: [UInt8]] = [:]
  /// Bytes that may be sent and asked for in the background now.
  var transferBudget = 0
  var hintBudget = 0
  var budgetAt: UInt64 = 0
  var tableBudget = Limits.tableBytesPerSecond
  /// The keyspaces and their n by which objects lie in the hash trees.
  var plantedTrees: [String] = []
  /// Unix milliseconds: all writes up to then are on all their owners, and nowhere else.
  var clearedAt: UInt64 = 0
  /// Monotonic microseconds: until then there may be reads, and writes, that got more time.
  var longReadsUntil: UInt64 = 0
  var longWritesUntil: UInt64 = 0

  // What the shell takes
  var actions: [Action] = []
  var dirtySessions: [SessionID] = []
  var dirtyLinks: [LinkID] = []

  // Scratch
  /// What a walk has found.
  var foundKeys = KeyList()
  /// The request that runs: one of the lookahead's lists.
  var arguments: UnsafeMutablePointer<ArgumentList>
  var lookahead = Lookahead()
  /// What the lookahead knows of the running request's first key.
  var located: UnsafeMutablePointer<LocatedKey>
  let savedArguments: UnsafeMutablePointer<ArgumentList>
  let childArguments: UnsafeMutablePointer<ArgumentList>
  let scratch: UnsafeMutablePointer<ByteBuffer>
  let replyScratch: UnsafeMutablePointer<ByteBuffer>

  let statistics: UnsafeMutablePointer<NodeStatistics>
  var errorCounts: [String: Int] = [:]
  let meter: UnsafeMutablePointer<CommandMeter>
  @OnHeap var slowLog = SlowLog()
  @OnHeap var latencyMonitor = LatencyMonitor()
  /// Sessions that are shown all commands.
  var monitors: [SessionID] = []
  @OnHeap var pause = ClientPause()
  /// DEBUG SET-ACTIVE-EXPIRE.
  var isExpiryActive = true
  var peakBytes = 0
  var memory = MemoryState()
  var evictionPool = EvictionPool()
  @OnHeap var timers = Timers()
  var isDraining = false
  @OnHeap var sampler = OperationsSampler()
  @OnHeap var inputSampler = OperationsSampler()
  @OnHeap var outputSampler = OperationsSampler()
  @OnHeap var service = ServiceState()
  @OnHeap var failures = OperationFailures()

  init(_ configuration: NodeConfiguration, now: Instant) {
    self.configuration = configuration
    sabotage = configuration.sabotage
    self.now = now
    startedAt = now
    generator = SeededGenerator(seed: configuration.randomSeed)
    actor = configuration.actor
    writer = configuration.actor
    commandTable = CommandTable()
    commandIndex = CommandIndex(commandTable)
    statistics = .allocate(capacity: 1)
    statistics.initialize(to: NodeStatistics())
    meter = .allocate(capacity: 1)
    meter.initialize(to: CommandMeter(configuration.durationClock))
    parameters = configuration.parameters
    if let given = configuration.access {
      access = given
    } else {
      var open = AccessControl(AccessCatalog(commandTable))
      open.setDefaultPassword(configuration.parameters["requirepass"] ?? "")
      access = open
    }
    passwordGenerator = PasswordGenerator(
      secret: configuration.secret + Array("\(configuration.randomSeed)".utf8))
    nonceGenerator = PasswordGenerator(
      secret: Array("nonce \(configuration.randomSeed) ".utf8) + configuration.secret)
    settings = KeyspaceSettings(databases: configuration.databases)
    keyspaceMap = KeyspaceMap(["default": Keyspace()])
    policies = .allocate(capacity: 1)
    policies.initialize(to: ResolvedPolicy())
    table = Table(
      databases: configuration.databases, slots: Slot.count,
      seed: configuration.randomSeed ^ 0x7ab1e)
    var own = Member(
      id: configuration.id, actor: configuration.actor, incarnation: configuration.incarnation,
      host: configuration.host, port: configuration.port, peerPort: configuration.peerPort,
      name: configuration.name, zone: configuration.zone, weight: configuration.weight,
      isFilled: true)
    own.tlsPort = configuration.tlsPort
    var timing = configuration.timing.swim
    timing.isDeafToItself = configuration.sabotage.contains(.noRefutation)
    swim = Swim(members: MemberTable(own: own), timing: timing)
    plan = RingPlan([own])
    ring = Ring([RingMember(id: configuration.id, index: 0)])
    shadow = Ring([RingMember(id: configuration.id, index: 0)])
    peers = Slab(limit: Limits.members) { _ in Peer() }
    links = Slab(limit: Limits.members * 3) { _ in Link() }
    pendingReads = .allocate(capacity: NodeCore.pendingReadBuckets)
    pendingReads.initialize(repeating: 0, count: NodeCore.pendingReadBuckets)
    liveness = .allocate(capacity: Limits.members)
    liveness.initialize(repeating: 0, count: Limits.members)
    sessions = Slab(limit: 1 << 20) { _ in Session() }
    operations = Slab(limit: Limits.pendingOperations) { Operation(index: $0) }
    arguments = lookahead.lists
    located = lookahead.keys
    savedArguments = .allocate(capacity: 1)
    savedArguments.initialize(to: ArgumentList())
    childArguments = .allocate(capacity: 1)
    childArguments.initialize(to: ArgumentList())
    scratch = .allocate(capacity: 1)
    scratch.initialize(to: ByteBuffer())
    replyScratch = .allocate(capacity: 1)
    replyScratch.initialize(to: ByteBuffer())
    hintScratch = .allocate(capacity: 1)
    hintScratch.initialize(to: ByteBuffer())
  }

  deinit {
    _configuration.giveBack()
    _plan.giveBack()
    _access.giveBack()
    _accessLog.giveBack()
    _attempts.giveBack()
    _leftovers.giveBack()
    statistics.deinitialize(count: 1)
    statistics.deallocate()
    meter.deinitialize(count: 1)
    meter.deallocate()
    _slowLog.giveBack()
    _latencyMonitor.giveBack()
    _pause.giveBack()
    _timers.giveBack()
    _sampler.giveBack()
    _inputSampler.giveBack()
    _outputSampler.giveBack()
    _service.giveBack()
    _failures.giveBack()
    policies.deallocate()
    liveness.deallocate()
    pendingReads.deallocate()
    for list in [savedArguments, childArguments] {
      list.deinitialize(count: 1)
      list.deallocate()
    }
    for buffer in [scratch, replyScratch, hintScratch] {
      buffer.deinitialize(count: 1)
      buffer.deallocate()
    }
  }

  /// Unix milliseconds of this tick.
  @inline(__always) var wall: UInt64 { now.wallMilliseconds }
  @inline(__always) var monotonic: UInt64 { now.monotonicMicroseconds }

  /// A stamp for a write of this node.
  @inline(__always)
  mutating func nextVersion() -> Version {
    Version(stamp: clock.next(wallMilliseconds: wall), actor: writer)
  }

  mutating func log(_ level: LogLevel, _ text: String) {
    if level >= logLevel { actions.append(.log(level, text)) }
  }

  // MARK: Policies

  /// Resolves every keyspace anew: after a setting or the number of members changed.
  mutating func resolvePolicies() {
    let keyspaces = settings.keyspaces()
    keyspaceMap = KeyspaceMap(keyspaces)
    let memberCount = ringMemberCount
    let otherCount = isChanging ? shadow.memberCount : 0
    isAlone = memberCount == 1 && !isChanging
    policies.deallocate()
    policies = .allocate(capacity: keyspaceMap.keyspaces.count)
    for (index, keyspace) in keyspaceMap.keyspaces.enumerated() {
      var policy = ResolvedPolicy()
      policy.copies = min(keyspace.copies, memberCount)
      policy.write = keyspace.write.resolved(copies: policy.copies)
      policy.read = keyspace.read.resolved(copies: policy.copies)
      policy.conflict = keyspace.conflict
      policy.blindWrite = keyspace.blindWrite
      policy.ttl = keyspace.ttl * 1000
      policy.isSloppy = keyspace.isSloppy
      policy.otherCopies = min(keyspace.copies, otherCount)
      policy.otherWrite = keyspace.write.resolved(copies: policy.otherCopies)
      policy.tree = keyspace.copies
      policy.isLocal = isAlone && policy.write == 1 && policy.read == 1
      (policies + index).initialize(to: policy)
    }
  }

  func settingsText() -> String {
    settings.registers.map { "\($0.name)=\($0.value)@\($0.version.stamp.rawValue)" }
      .joined(separator: ";")
  }
}

/// When the periodic work is next due, in monotonic microseconds.
struct Timers {
  var tick: UInt64 = 0
  var gossip: UInt64 = 0
  var upkeep: UInt64 = 0
  var expiry: UInt64 = 0
  var reap: UInt64 = 0
  var expiryAt = SlotWalk()
  var reapAt = SlotWalk()
  /// When the next slice of what is dead is given back.
  var burial: UInt64 = 0
}

/// Where a walk over all slots of all databases goes on.
struct SlotWalk {
  var database = 0
  var slot = 0
  /// In the slot's order of hashes.
  var place = 0

  /// Goes on in the slot, or with the next slot. True when the whole walk has ended.
  @discardableResult
  mutating func advance(to next: Int?, databases: Int) -> Bool {
    place = next ?? 0
    if next != nil { return false }
    slot += 1
    return slot == Slot.count ? nextDatabase(of: databases) : false
  }

  @discardableResult
  mutating func nextDatabase(of databases: Int) -> Bool {
    slot = 0
    place = 0
    database = (database + 1) % databases
    return database == 0
  }
}

/// Operations a second over the last 16 samples, as in Redis's INFO.
struct OperationsSampler {
  private var samples = Array(repeating: 0, count: 16)
  private var at = 0
  private var lastTime: UInt64 = 0
  private var lastCount = 0

  mutating func sample(_ count: Int, at time: UInt64) {
    let elapsed = time - lastTime
    guard elapsed >= 100_000 else { return }
    // The count begins anew with CONFIG RESETSTAT.
    let growth = min(max(0, count - lastCount), Int.max / 1_000_000)
    if lastTime != 0 { samples[at] = growth * 1_000_000 / Int(elapsed) }
    at = (at + 1) % samples.count
    lastTime = time
    lastCount = count
  }

  var perSecond: Int { samples.reduce(0, +) / samples.count }
}

/// Waiting operations in the order in which they were put in.
struct DeadlineQueue {
  private var entries: [(due: UInt64, index: Int, generation: UInt16)] = []
  private var first = 0

  @inline(__always) var isEmpty: Bool { first == entries.count }
  var nextDue: UInt64 { isEmpty ? .max : entries[first].due }

  @inline(__always)
  mutating func append(due: UInt64, index: Int, generation: UInt16) {
    entries.append((due, index, generation))
  }

  /// All wait less long from now on: nobody longer than who is put in now.
  mutating func bring(forwardTo due: UInt64) {
    for index in first..<entries.count { entries[index].due = min(entries[index].due, due) }
  }

  /// The first entry when it is due.
  mutating func popDue(at now: UInt64) -> (index: Int, generation: UInt16)? {
    guard first < entries.count, entries[first].due <= now else { return nil }
    let entry = entries[first]
    removeFirst()
    return (entry.index, entry.generation)
  }

  private mutating func removeFirst() {
    first += 1
    if first == entries.count {
      entries.removeAll(keepingCapacity: true)
      first = 0
    } else if first >= 4096, first * 2 >= entries.count {
      entries.removeFirst(first)
      first = 0
    }
  }
}
