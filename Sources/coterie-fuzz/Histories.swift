import Objects
import Primitives

// Two bytes a step: what is done, and by whom. So libFuzzer searches histories of honest replicas
// for one after which the sets, the laws or the model disagree.

/// What a step does; the low bits of its first byte.
private enum Step: UInt8, CaseIterable {
  /// A write that has seen what its replica holds: one sibling remains.
  case write
  /// A write that has seen nothing: one more sibling.
  case blindWrite
  /// A client reads here; its token serves the next `writeWithToken` and `deleteWithToken`.
  case read
  case writeWithToken
  case deleteWithToken
  /// Takes in what another replica holds, through its encoding.
  case merge
  /// A write from the time when the keyspace was `conflict lww`.
  case writeLWW
  case deleteLWW
  /// A flush of all that was written so far.
  case flush
  /// Memory is lost; what starts again is another actor.
  case restart
}

/// A set as text-book: all writes it knows of, and those of them that are gone.
private struct Model: Equatable {
  var seen: Set<Version> = []
  var dead: Set<Version> = []
  /// The highest LWW write; it is among `seen`, and the lower ones are dead, seen or not.
  var lww: Version = .none

  var live: [Version] { seen.subtracting(dead).sorted() }

  mutating func merge(_ other: Model) {
    seen.formUnion(other.seen)
    dead.formUnion(other.dead)
    supersede(lww: other.lww)
    resolve()
  }

  mutating func supersede(lww version: Version) {
    if version > lww {
      if lww != .none { dead.insert(lww) }
      lww = version
    } else if version < lww, version != .none {
      dead.insert(version)
    }
  }

  /// Above the cap only the highest version stays.
  mutating func resolve() {
    guard seen.count > Limits.siblings else { return }
    let live = live
    if live.count > Limits.siblings { dead.formUnion(live.dropLast()) }
  }
}

private struct Replica {
  var set = SiblingSet()
  var model = Model()
  var actor: Actor
  /// A logical clock: readings of different actors may be equal.
  var clock: UInt64 = 0

  mutating func nextVersion() -> Version {
    clock += 1
    return Version(stamp: Stamp(rawValue: clock), actor: actor)
  }
}

/// A history of three replicas: every set can be encoded, is what the model says, and all merge to
/// one in any order.
func checkHistory(_ script: [UInt8]) {
  var history = History()
  for at in stride(from: 0, to: min(script.count, 2 * History.steps) - 1, by: 2) {
    history.run(script[at], script[at + 1])
  }
  history.checkEnd()
}

private struct History {
  /// Enough to pass the cap on siblings, and few enough for hundreds of runs a second.
  static let steps = 160

  private var replicas = (1...3).map { Replica(actor: Actor(rawValue: UInt64($0))) }
  private var nextActor: UInt64 = 4
  private var count = 0
  private var token: [UInt8] = []
  private var tokenModel = Model()

  mutating func run(_ what: UInt8, _ who: UInt8) {
    guard let step = Step(rawValue: what & 15) else { return }
    let place = Int(who % 3)
    let other = (place + 1 + Int(who >> 2) % 2) % 3
    var replica = replicas[place]
    let deadline = who >= 128 ? UInt64(who) : 0
    switch step {
    case .write: replica.write(replica.set.context, replica.model, deadline)
    case .blindWrite: replica.write(CausalContext(), Model(), deadline)
    case .read:
      token = ContextToken.print(replica.set.context)
      tokenModel = replica.model
    case .writeWithToken: replica.write(context, tokenModel, deadline)
    case .deleteWithToken: replica.write(context, tokenModel, nil)
    case .merge: replica.merge(replicas[other])
    case .writeLWW: replica.writeLWW(isTombstone: false, deadline)
    case .deleteLWW: replica.writeLWW(isTombstone: true, 0)
    case .flush: replica.flush()
    case .restart:
      replica = Replica(actor: Actor(rawValue: nextActor), clock: replica.clock)
      nextActor += 1
    }
    replicas[place] = replica
    count += 1
    // What goes wrong once stays wrong, so long histories need no look at each step.
    if count <= 32 || count % 16 == 0 { replica.check() }
  }

  private var context: CausalContext {
    let context = token.withUnsafeBytes { ContextToken.parse($0) }
    property(context != nil, "a token that was given is not taken")
    return context ?? CausalContext()
  }

  func checkEnd() {
    for replica in replicas { replica.check() }
    let sets = replicas.map(\.set)
    for (left, right) in [(0, 1), (1, 2), (2, 0)] {
      checkLaws(sets[left], sets[right])
      checkToken(of: join(sets[left], sets[right]).context)
    }
    // Sets that were cut to the cap at different moments agree only once they have met.
    let live = Set(replicas.flatMap(\.model.live))
    guard live.count <= Limits.siblings else { return }
    let leftFirst = join(join(sets[0], sets[1]), sets[2])
    let rightFirst = join(sets[0], join(sets[1], sets[2]))
    property(leftFirst == rightFirst, "siblings merge by grouping")
    property(leftFirst.encoded() == rightFirst.encoded(), "equal sets, other bytes")
  }
}

extension Replica {
  /// A write at a coordinator, nil for a deletion, with the cap that the node puts on it.
  mutating func write(_ context: CausalContext, _ covered: Model, _ deadline: UInt64?) {
    let version = nextVersion()
    let sibling = deadline.map { Sibling(version: version, deadline: $0, value: value(version)) }
    set.write(sibling, dot: version, replacing: context)
    if set.siblings.count > Limits.siblings { set.merge(SiblingSet()) }
    model.seen.formUnion(covered.seen)
    model.dead.formUnion(covered.seen)
    model.supersede(lww: covered.lww)
    model.seen.insert(version)
    if sibling == nil { model.dead.insert(version) }
    model.resolve()
  }

  mutating func writeLWW(isTombstone: Bool, _ deadline: UInt64) {
    let version = nextVersion()
    let received = withExactCopy(of: isTombstone ? [] : value(version)) { bytes in
      SiblingSet(
        lww: ObjectView(
          version: version, deadline: deadline, flags: isTombstone ? .tombstone : .none,
          value: bytes))
    }
    set.merge(received)
    var written = Model(seen: [version], lww: version)
    if isTombstone { written.dead = [version] }
    model.merge(written)
  }

  mutating func merge(_ other: Replica) {
    let encoded = other.set.encoded()
    guard let received = withExactCopy(of: encoded, { SiblingSet(decoding: $0) }) else {
      return property(false, "a replica can't read another's set")
    }
    clock = max(clock, other.clock)
    set.merge(received)
    model.merge(other.model)
  }

  mutating func flush() {
    let barrier = nextVersion().stamp
    set.removeSiblings(upTo: barrier)
    model.dead.formUnion(model.seen.filter { $0.stamp <= barrier })
  }

  func check() {
    checkEncoding(of: set)
    property(set.siblings.map(\.version) == model.live, "other siblings live")
  }

  private func value(_ version: Version) -> [UInt8] {
    Array("\(version.stamp.rawValue)@\(version.actor.rawValue)".utf8)
  }
}
