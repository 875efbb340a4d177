import Primitives

// # Siblings
//
// A dotted version vector set (Preguiça, Baquero, Almeida, Fonte, Gonçalves, "Brief announcement:
// Efficient causality tracking in distributed storage systems with dotted version vectors", PODC
// 2012; Riak's dvvset.erl):
//
//     seen       actor → the highest stamp of that actor's writes that this object knows of
//     siblings   the values that no known write has replaced, each with its own dot
//
// A dot that is seen but not among the siblings was replaced or deleted. So merging needs no
// history: a sibling stays when the other side has it too, or has not seen it.
//
// An object that was written under `conflict lww` can meet one written under `siblings` while a
// keyspace's setting changes. Then all LWW writes count as those of one more actor whose dots are
// whole versions: `seenLWW` is the highest one, and only the highest can be a sibling. So merge is
// one lattice for both kinds, whatever a replica believes the setting to be at that moment.
//
// A set without siblings is a tombstone: it still says what it has seen.

/// One of several concurrent values.
public struct Sibling: Equatable, Sendable {
  /// The write's stamp and dot.
  public var version: Version
  /// Unix milliseconds; 0 when there is none.
  public var deadline: UInt64
  /// Written under `conflict lww`.
  public var isLWW: Bool
  public var value: [UInt8]

  public init(version: Version, deadline: UInt64, isLWW: Bool = false, value: [UInt8]) {
    self.version = version
    self.deadline = deadline
    self.isLWW = isLWW
    self.value = value
  }
}

/// What a client or a replica has seen of one key: the causal context.
public struct CausalContext: Equatable, Sendable {
  /// Sorted by actor.
  public private(set) var seen: [Version] = []
  /// The highest LWW version seen.
  public var seenLWW: Version = .none

  public init() {}

  public init?(sorted seen: [Version], seenLWW: Version) {
    for (left, right) in zip(seen, seen.dropFirst()) where left.actor >= right.actor { return nil }
    self.seen = seen
    self.seenLWW = seenLWW
  }

  public func covers(_ sibling: Sibling) -> Bool {
    if sibling.isLWW { return sibling.version <= seenLWW }
    guard let known = seen.first(where: { $0.actor == sibling.version.actor }) else { return false }
    return sibling.version.stamp <= known.stamp
  }

  public mutating func insert(_ version: Version) {
    let place = seen.firstIndex { $0.actor >= version.actor } ?? seen.count
    if place < seen.count, seen[place].actor == version.actor {
      seen[place].stamp = max(seen[place].stamp, version.stamp)
    } else {
      seen.insert(version, at: place)
    }
  }

  public mutating func formUnion(_ other: CausalContext) {
    for version in other.seen { insert(version) }
    seenLWW = max(seenLWW, other.seenLWW)
  }

  /// Whether everything that `other` has seen was seen here.
  public func includes(_ other: CausalContext) -> Bool {
    var union = self
    union.formUnion(other)
    return union == self
  }

  /// The highest stamp in it.
  public var highest: Version {
    seen.reduce(seenLWW) { max($0, $1) }
  }
}

/// The concurrent values of one key and what it knows of the past.
public struct SiblingSet: Equatable, Sendable {
  public private(set) var context: CausalContext
  /// Sorted by version, the lowest first.
  public private(set) var siblings: [Sibling]

  public init() {
    context = CausalContext()
    siblings = []
  }

  /// An object written under `conflict lww`, seen as a set.
  public init(lww view: ObjectView) {
    self.init()
    context.seenLWW = view.version
    if !view.isTombstone {
      siblings = [
        Sibling(
          version: view.version, deadline: view.deadline, isLWW: true, value: Array(view.value))
      ]
    }
  }

  /// Any stored or received object as a set.
  public init?(_ view: ObjectView) {
    if view.isSiblings { self.init(decoding: view.value) } else { self.init(lww: view) }
  }

  /// The join of both: commutative, associative, idempotent. Returns whether a sibling cap struck.
  ///
  /// Above `Limits.siblings` only the highest version stays; the context covers the rest, so that
  /// replicas that resolved at different moments still end equal.
  @discardableResult
  public mutating func merge(_ other: SiblingSet) -> Bool {
    let mine = siblings.filter { sibling in
      !other.context.covers(sibling) || other.siblings.contains { $0.isSame(as: sibling) }
    }
    let theirs = other.siblings.filter { sibling in
      !context.covers(sibling)
    }
    siblings = (mine + theirs).sorted { $0.version < $1.version }
    context.formUnion(other.context)
    // Of LWW writes only the highest lives.
    siblings.removeAll { $0.isLWW && $0.version < context.seenLWW }
    // One dot is one write; a forged frame could say otherwise.
    for index in siblings.indices.dropLast().reversed()
    where siblings[index].version == siblings[index + 1].version {
      siblings.remove(at: index)
    }
    guard siblings.count > Limits.siblings else { return false }
    resolve()
    return true
  }

  /// Keeps the highest version only; the context covers the others.
  public mutating func resolve() {
    if let highest = siblings.last { siblings = [highest] }
  }

  /// A write at a coordinator: replaces what `context` covers and adds `sibling`, nil for a deletion.
  public mutating func write(_ sibling: Sibling?, dot: Version, replacing covered: CausalContext) {
    siblings.removeAll { covered.covers($0) }
    context.formUnion(covered)
    context.insert(dot)
    if let sibling { siblings.append(sibling) }
    siblings.sort { $0.version < $1.version }
  }

  /// Drops siblings at or below a flush barrier; they stay covered.
  public mutating func removeSiblings(upTo barrier: Stamp) {
    siblings.removeAll { $0.version.stamp <= barrier }
  }

  /// The version that stands for the set: of its highest sibling, or of what it has seen.
  public var version: Version { context.highest }
}

extension Sibling {
  fileprivate func isSame(as other: Sibling) -> Bool {
    version == other.version && isLWW == other.isLWW
  }
}

// MARK: Bytes
//
//     u32 seen | seen × (u64 actor, u64 stamp) | u64 stamp, u64 actor of seenLWW
//     u16 siblings | siblings × (u64 stamp, u64 actor, u64 deadline, u8 lww, u32 length, bytes)
//
// Little-endian, sorted, so that equal sets are equal bytes.

extension SiblingSet {
  private static let siblingHead = 29

  public func encoded() -> [UInt8] {
    var buffer = ByteBuffer()
    context.encode(to: &buffer)
    buffer.append(littleEndian: UInt16(siblings.count))
    for sibling in siblings {
      buffer.append(littleEndian: sibling.version.stamp.rawValue)
      buffer.append(littleEndian: sibling.version.actor.rawValue)
      buffer.append(littleEndian: sibling.deadline)
      buffer.append(sibling.isLWW ? 1 : 0)
      buffer.append(littleEndian: UInt32(sibling.value.count))
      buffer.append(sibling.value)
    }
    return buffer.bytes
  }

  /// Reads an encoded set that takes all of `bytes`; nil when they are none.
  public init?(decoding bytes: UnsafeRawBufferPointer) {
    guard let (context, start) = CausalContext.decode(bytes) else { return nil }
    self.context = context
    siblings = []
    var previous = Version.none
    var at = start
    guard let count = bytes.integer(at, as: UInt16.self), count <= Limits.siblings else {
      return nil
    }
    at += 2
    for _ in 0..<count {
      guard let head = SiblingSet.head(bytes, at), head.version > previous else { return nil }
      previous = head.version
      at += SiblingSet.siblingHead
      let value = Array(bytes.slice(at, head.length))
      let sibling = Sibling(
        version: head.version, deadline: head.deadline, isLWW: head.isLWW, value: value)
      guard context.covers(sibling) else { return nil }
      siblings.append(sibling)
      at += head.length
    }
    guard at == bytes.count else { return nil }
  }

  private struct Head {
    var version: Version
    var deadline: UInt64
    var isLWW: Bool
    var length: Int
  }

  /// A sibling's head at `at`, with its value known to lie within `bytes`.
  private static func head(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> Head? {
    guard bytes.count - at >= siblingHead, bytes[at + 24] <= 1,
      let stamp = bytes.integer(at, as: UInt64.self),
      let actor = bytes.integer(at + 8, as: UInt64.self),
      let deadline = bytes.integer(at + 16, as: UInt64.self),
      let length = bytes.integer(at + 25, as: UInt32.self),
      Int(length) <= bytes.count - at - siblingHead, deadline <= UInt64(Int.max)
    else { return nil }
    return Head(
      version: Version(stamp: Stamp(rawValue: stamp), actor: Actor(rawValue: actor)),
      deadline: deadline, isLWW: bytes[at + 24] == 1, length: Int(length))
  }

  /// The highest sibling alive at `now`, found in the encoding without decoding it.
  public static func highestLive(in bytes: UnsafeRawBufferPointer, at now: UInt64) -> LiveValue? {
    guard let seen = bytes.integer(0, as: UInt32.self) else { return nil }
    var at = 4 + Int(seen) * 16 + 16
    guard let count = bytes.integer(at, as: UInt16.self) else { return nil }
    at += 2
    var best: LiveValue?
    for _ in 0..<count {
      guard let head = head(bytes, at) else { return nil }
      at += siblingHead
      if head.deadline == 0 || head.deadline > now {
        best = LiveValue(bytes: bytes.slice(at, head.length), deadline: head.deadline)
      }
      at += head.length
    }
    return best
  }
}

extension CausalContext {
  public func encode(to buffer: inout ByteBuffer) {
    buffer.append(littleEndian: UInt32(truncatingIfNeeded: seen.count))
    for version in seen {
      buffer.append(littleEndian: version.actor.rawValue)
      buffer.append(littleEndian: version.stamp.rawValue)
    }
    buffer.append(littleEndian: seenLWW.stamp.rawValue)
    buffer.append(littleEndian: seenLWW.actor.rawValue)
  }

  /// Reads a context from the front of `bytes`, and says where it ends.
  public static func decode(
    _ bytes: UnsafeRawBufferPointer
  ) -> (context: CausalContext, end: Int)? {
    guard let count = bytes.integer(0, as: UInt32.self), count <= Limits.contextActors else {
      return nil
    }
    let end = 4 + Int(count) * 16 + 16
    guard bytes.count >= end else { return nil }
    var seen: [Version] = []
    for index in 0..<Int(count) {
      let at = 4 + index * 16
      guard let actor = bytes.integer(at, as: UInt64.self),
        let stamp = bytes.integer(at + 8, as: UInt64.self)
      else { return nil }
      seen.append(Version(stamp: Stamp(rawValue: stamp), actor: Actor(rawValue: actor)))
    }
    guard let stamp = bytes.integer(end - 16, as: UInt64.self),
      let actor = bytes.integer(end - 8, as: UInt64.self)
    else { return nil }
    let lww = Version(stamp: Stamp(rawValue: stamp), actor: Actor(rawValue: actor))
    guard let context = CausalContext(sorted: seen, seenLWW: lww) else { return nil }
    return (context, end)
  }
}

extension UnsafeRawBufferPointer {
  /// A little-endian integer at `offset`; nil beyond the end.
  @inline(__always)
  public func integer<T: FixedWidthInteger>(_ offset: Int, as type: T.Type) -> T? {
    guard offset >= 0, count &- offset >= MemoryLayout<T>.size else { return nil }
    return T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
  }
}
