import Keyspaces
import Objects
import Primitives
import RESP
import Storage

extension NodeCore {
  // MARK: Mutations into the table

  /// Stamps a mutation and merges it into the own copy. Returns the version; nil when the table
  /// refuses it.
  ///
  /// On a node alone nothing needs a tombstone: there is no other copy to bring the key back.
  @inline(__always)
  @discardableResult
  mutating func put(_ call: KeyCall, _ key: UnsafeRawBufferPointer, _ mutation: Mutation)
    -> Version?
  {
    if _slowPath(table.siblingSets > 0 || policies[call.policy].conflict == .siblings) {
      return putBesideSiblings(call, key, mutation)
    }
    return putPlain(call, key, mutation)
  }

  @inline(__always)
  private mutating func putPlain(
    _ call: KeyCall, _ key: UnsafeRawBufferPointer, _ mutation: Mutation
  ) -> Version? {
    let version = nextVersion()
    switch mutation {
    case .none:
      return nil
    case .put(let bytes, let deadline):
      table.offer(bytes)
      defer { table.endOffer() }
      guard
        let place = table.write(
          database: call.database, slot: call.slot, hash: call.hash, key: key, version: version,
          deadline: deadline, flags: .none, valueLength: bytes.count,
          tree: policies[call.policy].tree)
      else { return nil }
      if bytes.count > 0, UnsafeRawPointer(place) != bytes.baseAddress {
        place.copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: bytes.count)
      }
    default:
      return putPart(call, key, mutation, version)
    }
    return version
  }

  @inline(never)
  private mutating func putPart(
    _ call: KeyCall, _ key: UnsafeRawBufferPointer, _ mutation: Mutation, _ version: Version
  ) -> Version? {
    let stored = table.object(
      database: call.database, slot: call.slot, hash: call.hash, key: key)
    let size = stored?.live(at: wall)?.bytes.count ?? 0
    switch mutation {
    case .delete:
      return delete(call, key, version)
    case .append(let bytes, let deadline):
      return writeOver(
        call, key, version, deadline, size: size + bytes.count, keeping: size, bytes, at: size)
    case .patch(let offset, let bytes, let deadline):
      let end = max(size, offset + bytes.count)
      return writeOver(call, key, version, deadline, size: end, keeping: size, bytes, at: offset)
    case .retain(let deadline):
      let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
      return writeOver(call, key, version, deadline, size: size, keeping: size, nothing, at: size)
    case .none, .put:
      return nil
    }
  }

  /// Makes the value `size` long, keeps its first `keeping` bytes, zeroes a gap, and puts `bytes`
  /// at `offset`.
  private mutating func writeOver(
    _ call: KeyCall, _ key: UnsafeRawBufferPointer, _ version: Version, _ deadline: UInt64,
    size: Int, keeping: Int, _ bytes: UnsafeRawBufferPointer, at offset: Int
  ) -> Version? {
    // A big value that a client is being sent is not written over: it gets a copy.
    table.mustOwnNext = offset < keeping && bytes.count > 0
    if offset == 0, size == bytes.count { table.offer(bytes) }
    defer {
      table.mustOwnNext = false
      table.endOffer()
    }
    guard
      let place = table.write(
        database: call.database, slot: call.slot, hash: call.hash, key: key, version: version,
        deadline: deadline, flags: .none, valueLength: size, keeping: keeping,
        tree: policies[call.policy].tree)
    else { return nil }
    // The pages of a big value are zeros already, and most of them are never touched.
    if offset > keeping, size < Limits.bigValueBytes {
      (place + keeping).initializeMemory(as: UInt8.self, repeating: 0, count: offset - keeping)
    }
    if let base = bytes.baseAddress, UnsafeRawPointer(place + offset) != base {
      (place + offset).copyMemory(from: base, byteCount: bytes.count)
    }
    return version
  }

  private mutating func delete(
    _ call: KeyCall, _ key: UnsafeRawBufferPointer, _ version: Version
  ) -> Version? {
    if isAlone {
      table.remove(database: call.database, slot: call.slot, hash: call.hash, key: key)
      return version
    }
    let done = table.write(
      database: call.database, slot: call.slot, hash: call.hash, key: key, version: version,
      deadline: 0, flags: .tombstone, valueLength: 0, tree: policies[call.policy].tree)
    return done == nil ? nil : version
  }

  // MARK: Siblings

  /// A write where the object is, or becomes, a sibling set: it replaces what this node holds, or
  /// with `blind-write sibling` only what the command has read.
  @inline(never)
  private mutating func putBesideSiblings(
    _ call: KeyCall, _ key: UnsafeRawBufferPointer, _ mutation: Mutation
  ) -> Version? {
    let stored = table.object(
      database: call.database, slot: call.slot, hash: call.hash, key: key)
    let policy = policies[call.policy]
    guard policy.conflict == .siblings || (stored?.isSiblings ?? false) else {
      return putPlain(call, key, mutation)
    }
    let set = stored.flatMap { SiblingSet($0) } ?? SiblingSet()
    let live = stored?.live(at: wall)
    var value = live.map { Array($0.bytes) } ?? []
    var deadline = live?.deadline ?? 0
    switch mutation {
    case .none:
      return nil
    case .put(let bytes, let given):
      value = Array(bytes)
      deadline = given
    case .append(let bytes, let given):
      value += Array(bytes)
      deadline = given
    case .patch(let offset, let bytes, let given):
      let end = offset + bytes.count
      if value.count < end { value += Array(repeating: 0, count: end - value.count) }
      value.replaceSubrange(offset..<end, with: bytes)
      deadline = given
    case .retain(let given):
      deadline = given
    case .delete:
      return write(call, key, set, nil, 0, replacing: set.context)
    }
    let isBlind = call.access == .blind && policy.blindWrite == .sibling
    return write(
      call, key, set, value, deadline, replacing: isBlind ? CausalContext() : set.context)
  }

  /// Adds a write to a sibling set and stores it.
  private mutating func write(
    _ call: KeyCall, _ key: UnsafeRawBufferPointer, _ stored: SiblingSet, _ value: [UInt8]?,
    _ deadline: UInt64, replacing covered: CausalContext
  ) -> Version? {
    var set = stored
    let covered = sabotaged(.ignoredContext) ? CausalContext() : covered
    let version = nextVersion()
    let sibling = value.map { Sibling(version: version, deadline: deadline, value: $0) }
    set.write(sibling, dot: version, replacing: covered)
    if set.siblings.count > max(1, stored.siblings.count) { statistics.pointee.conflicts += 1 }
    if set.siblings.count > Limits.siblings {
      set.merge(SiblingSet())
      noteResolved()
    }
    if set.siblings.isEmpty, isAlone {
      table.remove(database: call.database, slot: call.slot, hash: call.hash, key: key)
      return version
    }
    let done = table.store(
      siblings: set, database: call.database, slot: call.slot, hash: call.hash, key: key,
      tree: policies[call.policy].tree)
    return done ? version : nil
  }

  mutating func noteResolved() {
    statistics.pointee.siblingsResolved += 1
    log(.warning, "a key reached \(Limits.siblings) siblings; its highest version stays")
  }

  /// The word behind CONTEXT; nil when there is none.
  func contextWord(_ words: UnsafeMutablePointer<ArgumentList>) -> Int? {
    guard words.pointee.count > 4 else { return words.pointee.count == 4 ? 3 : nil }
    for index in 3..<words.pointee.count - 1 where words.pointee[index].isWord("context") {
      return index + 1
    }
    return nil
  }

  /// Commands where a sibling set is, or a context comes in. Alone on this node.
  @inline(never)
  mutating func runVersioned(
    _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>,
    _ reply: UnsafeMutablePointer<ByteBuffer>
  ) {
    if isVersioned(call.handler, words) {
      _ = applyContextual(call, words, reply)
      return
    }
    if let refusal = refusalOfBlindWrite(call, words) { return reply.pointee.appendError(refusal) }
    let key = words.pointee[call.keyIndex]
    let object = readOwn(call, key)
    if call.access == .read { countHit(object) }
    let mutation = evaluator(words, reply, call).run(call.handler, object)
    if case .none = mutation { return }
    put(call, key, mutation)
  }

  func evaluator(
    _ words: UnsafeMutablePointer<ArgumentList>, _ reply: UnsafeMutablePointer<ByteBuffer>,
    _ call: KeyCall
  ) -> Evaluator {
    var evaluator = Evaluator(
      arguments: words, reply: reply, scratch: scratch, resp: call.resp, now: wall,
      defaultTTL: policies[call.policy].ttl)
    if _slowPath(call.keyIndex == 2) { evaluator.usage = usage(call, words.pointee[2]) }
    return evaluator
  }

  /// What OBJECT and MEMORY tell of a key.
  func usage(_ call: KeyCall, _ key: UnsafeRawBufferPointer) -> Evaluator.Usage? {
    table.usage(database: call.database, slot: call.slot, hash: call.hash, key: key).map {
      access, bytes in
      Evaluator.Usage(
        bytes: bytes, idleSeconds: Int(table.accessClock.idle(access) / 1000),
        count: table.accessClock.countsUses ? Int(table.accessClock.counter(access)) : nil)
    }
  }

  /// Why a write without a context is not taken; nil when it is.
  func refusalOfBlindWrite(
    _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>
  ) -> String? {
    let policy = policies[call.policy]
    guard policy.conflict == .siblings, policy.blindWrite == .reject else { return nil }
    if isVersioned(call.handler, words) { return nil }
    let isBlind =
      call.access == .blind || call.handler == .del || call.handler == .unlink
      || call.handler == .getset || call.handler == .setnx
    guard isBlind else { return nil }
    return "ERR this keyspace takes writes only with a causal context: use VSET, or set "
      + "keyspace.\(keyspaceMap.names[call.policy]).blind-write"
  }

  /// VSET, VDEL and SET … CONTEXT: a write that says what it has seen. Returns the version when
  /// something was written.
  mutating func applyContextual(
    _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>,
    _ reply: UnsafeMutablePointer<ByteBuffer>
  ) -> Version? {
    guard policies[call.policy].conflict == .siblings else {
      reply.pointee.appendError(
        "ERR a causal context needs a keyspace with conflict siblings: CONFIG SET "
          + "keyspace.\(keyspaceMap.names[call.policy]).conflict siblings")
      return nil
    }
    guard let place = contextPlace(call, words) else {
      reply.pointee.appendError("ERR syntax error")
      return nil
    }
    guard let context = ContextToken.parse(words.pointee[place]),
      context.highest.stamp.milliseconds <= wall + maximumSkew + 1000
    else {
      reply.pointee.appendError("BADCONTEXT the causal context is not one that VGET gave")
      return nil
    }
    let key = words.pointee[call.keyIndex]
    let stored = table.object(
      database: call.database, slot: call.slot, hash: call.hash, key: key)
    let set = stored.flatMap { SiblingSet($0) } ?? SiblingSet()
    if call.handler == .vdel {
      let removed = set.siblings.filter { context.covers($0) }.count
      reply.pointee.appendInteger(removed)
      // Siblings that it covers may live elsewhere: what was seen is kept, as a deletion.
      if removed == 0, set.context.includes(context) { return nil }
      return write(call, key, set, nil, 0, replacing: context)
    }
    guard let deadline = contextualDeadline(call, words, stored, place, reply) else { return nil }
    let value = Array(words.pointee[2])
    guard let version = write(call, key, set, value, deadline, replacing: context) else {
      return nil
    }
    let fresh = table.object(
      database: call.database, slot: call.slot, hash: call.hash, key: key)
    reply.pointee.appendBulk(
      ContextToken.print(fresh.flatMap { SiblingSet($0) }?.context ?? CausalContext()))
    return version
  }

  /// Where the token stands; nil when the words are not in order.
  private func contextPlace(
    _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>
  ) -> Int? {
    if call.handler == .vdel { return words.pointee[2].isWord("context") ? 3 : nil }
    if call.handler == .vset { return words.pointee[3].isWord("context") ? 4 : nil }
    return contextWord(words)
  }

  /// The deadline that the options beside CONTEXT give; replies and returns nil for a bad one.
  private func contextualDeadline(
    _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>, _ stored: ObjectView?,
    _ contextPlace: Int, _ reply: UnsafeMutablePointer<ByteBuffer>
  ) -> UInt64? {
    let evaluator = evaluator(words, reply, call)
    var deadline: UInt64?
    var at = 3
    while at < words.pointee.count {
      let option = words.pointee[at]
      if at == contextPlace - 1 {
        at += 1
      } else if let unit = Evaluator.ExpiryUnit(option), deadline == nil,
        at + 1 < words.pointee.count
      {
        guard
          let given = evaluator.parseDeadline(
            words.pointee[at + 1], unit, call.handler.rawValue)
        else { return nil }
        deadline = given
        at += 1
      } else if option.isWord("keepttl"), deadline == nil {
        deadline = stored?.live(at: wall)?.deadline ?? evaluator.freshDeadline
      } else {
        _ = evaluator.syntaxError()
        return nil
      }
      at += 1
    }
    return deadline ?? evaluator.freshDeadline
  }

  // MARK: Writes of others

  /// Joins an object of another node with the own copy: the one thing that replicas do.
  @inline(__always)
  mutating func merge(
    database: Int, slot: Int, hash: UInt64, key: UnsafeRawBufferPointer, incoming: ObjectView
  ) -> MergeOutcome {
    guard
      clock.observe(
        incoming.version.stamp, wallMilliseconds: wall, maximumSkew: maximumSkew)
    else {
      statistics.pointee.refusedStamps += 1
      return .refused
    }
    if _slowPath(!isTracked(slot)) { mayHoldLeftovers = true }
    if _slowPath(incoming.version.stamp <= settings.barriers[database]) {
      return .superseded(Version(stamp: settings.barriers[database], actor: actor))
    }
    if _slowPath(!sabotage.isEmpty) {
      return mergeSabotaged(database, slot, hash, key, incoming)
    }
    var resolved = false
    table.offer(incoming.value)
    let outcome = table.merge(
      database: database, slot: slot, hash: hash, key: key, incoming: incoming,
      tree: policies[keyspaceMap.index(for: key)].tree, resolved: &resolved)
    table.endOffer()
    if resolved { noteResolved() }
    if case .superseded = outcome { statistics.pointee.discarded += 1 }
    if incoming.isTombstone, outcome == .changed {
      noteLateTombstone(max(incoming.version.stamp.milliseconds, incoming.deadline))
    }
    return outcome
  }

  /// The planted bugs of merging.
  private mutating func mergeSabotaged(
    _ database: Int, _ slot: Int, _ hash: UInt64, _ key: UnsafeRawBufferPointer,
    _ incoming: ObjectView
  ) -> MergeOutcome {
    let stored = table.object(database: database, slot: slot, hash: hash, key: key)
    if sabotaged(.tieByArrival), let stored, !stored.isSiblings, !incoming.isSiblings,
      incoming.version.stamp.milliseconds == stored.version.stamp.milliseconds
    {
      return table.store(
        database: database, slot: slot, hash: hash, key: key, object: incoming)
        ? .changed : .refused
    }
    if sabotaged(.droppedSibling), let stored, stored.isSiblings, incoming.isSiblings {
      guard incoming.version > stored.version else { return .same }
      return table.store(
        database: database, slot: slot, hash: hash, key: key, object: incoming)
        ? .changed : .refused
    }
    var incoming = incoming
    if sabotaged(.extendedDeadline), incoming.deadline != 0 {
      incoming.deadline = max(incoming.deadline, wall + 1000)
    }
    var resolved = false
    return table.merge(
      database: database, slot: slot, hash: hash, key: key, incoming: incoming,
      tree: policies[keyspaceMap.index(for: key)].tree, resolved: &resolved)
  }
}
