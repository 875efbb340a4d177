import Coordination
import Keyspaces
import Objects
import PeerProtocol
import Placement
import Primitives
import RESP
import Storage

extension NodeCore {
  // MARK: Taking and giving back

  mutating func takeOperation(_ kind: OperationKind, _ origin: Origin) -> Int? {
    guard let index = operations.take() ?? reclaim() else { return nil }
    let operation = operations[index]
    operation.pointee.reset(kind)
    operation.pointee.origin = origin
    operation.pointee.deadline = monotonic + wholeTime(kind)
    operation.pointee.latest = operation.pointee.deadline + NodeCore.timeToMove(Limits.frameBytes)
    deadlines.append(
      due: monotonic + operationTimeout, index: index, generation: operation.pointee.generation)
    return index
  }

  /// The time of parts is over before that of the whole.
  private func wholeTime(_ kind: OperationKind) -> UInt64 {
    operationTimeout * (kind == .gather ? 2 : 1)
  }

  /// A place of an operation that has its quorum and only waits for the answers of stragglers: one
  /// slow owner must not hold up whoever does not need it.
  private mutating func reclaim() -> Int? {
    for index in 0..<operations.end {
      let operation = operations[index]
      guard operation.pointee.isTaken, operation.pointee.isDone,
        operation.pointee.kind == .read || operation.pointee.kind == .write
      else { continue }
      if case .none = operation.pointee.origin { end(index) }
    }
    return operations.take()
  }

  /// The operation that an answer belongs to; nil when it is over.
  @inline(__always)
  func operation(_ id: RequestID) -> UnsafeMutablePointer<Operation>? {
    let index = Int(id.rawValue & 0xffff)
    guard index < operations.end else { return nil }
    let operation = operations[index]
    guard operation.pointee.isTaken,
      operation.pointee.generation == UInt16(truncatingIfNeeded: id.rawValue >> 16)
    else { return nil }
    return operation
  }

  /// The reply has left. The operation ends unless answers are on their way that may still tell of
  /// stale owners.
  mutating func release(_ index: Int) {
    let operation = operations[index]
    operation.pointee.origin = .none
    let lingers =
      (operation.pointee.kind == .read || operation.pointee.kind == .write)
      && !operation.pointee.quorum.outstanding.isEmpty
    if !lingers || !operation.pointee.isDone { end(index) }
  }

  /// Frees the operation's place.
  mutating func end(_ index: Int) {
    let operation = operations[index]
    guard operation.pointee.isTaken else { return }
    operation.pointee.isTaken = false
    if !foreign.isEmpty { foreign[index] = nil }
    operation.pointee.gather = nil
    operation.pointee.releaseBlob()
    bury(&operation.pointee.request)
    bury(&operation.pointee.reply.pointee)
    operation.pointee.request.shrink(keeping: Limits.idleBufferBytes)
    operation.pointee.reply.pointee.removeAll()
    operation.pointee.reply.pointee.shrink(keeping: Limits.idleBufferBytes)
    operations.free(index)
  }

  // MARK: Coordinating a command on one key

  /// Whether the command has to wait for another node or for a lock.
  @inline(__always)
  func needsOperation(_ call: KeyCall) -> Bool {
    let policy = policies + call.policy
    if !locks.isEmpty, locks[call.hash] != nil { return true }
    if call.access != .read, pendingReads[readBucket(call.hash)] > 0 { return true }
    if _slowPath(isChanging || !held.contains(call.slot)) { return true }
    switch call.access {
    case .read: return policy.pointee.read > 1
    case .blind: return policy.pointee.write > 1
    default: return policy.pointee.read > 1 || policy.pointee.write > 1
    }
  }

  /// Runs a command whose quorums this node satisfies alone; the other owners get the write without
  /// being waited for.
  mutating func runHere(
    _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>,
    _ reply: UnsafeMutablePointer<ByteBuffer>, echoTo link: LinkID? = nil
  ) {
    if let refusal = refusalOfBlindWrite(call, words) { return reply.pointee.appendError(refusal) }
    let key = words.pointee[call.keyIndex]
    guard evaluateAndPut(call, words, key, reply) != nil else { return }
    let rank = ownRank(call.slot, copies: policies[call.policy].copies)
    guard
      let object = table.object(
        database: call.database, slot: call.slot, hash: call.hash, key: key)
    else { return }
    for other in 0..<policies[call.policy].copies where other != rank {
      let peer = Int(ring.owner(Slot(call.slot), rank: other))
      if let output = writeOutput(peer, echo: link) {
        output.pointee.appendWrite(
          RequestID(rawValue: 0), database: call.database, key: key, object: object,
          wantsAnswer: false)
      } else if liveness[peer] == 0 {
        object.encoded().withUnsafeBytes { _ = keepHint(for: peer, call.database, key, $0) }
      }
    }
  }

  /// Evaluates on the own copy, replies, and writes what comes of it. Returns the version when
  /// something was written.
  private mutating func evaluateAndPut(
    _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>, _ key: UnsafeRawBufferPointer,
    _ reply: UnsafeMutablePointer<ByteBuffer>
  ) -> Version? {
    if _slowPath(isVersioned(call.handler, words)) { return applyContextual(call, words, reply) }
    let object = use(call, key)
    if call.access == .read { countHit(object) }
    let mutation = evaluator(words, reply, call).run(call.handler, object)
    if case .none = mutation { return nil }
    return put(call, key, mutation)
  }

  /// Starts an operation for a command that this node coordinates.
  mutating func begin(
    _ index: Int, _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>
  ) {
    let operation = operations[index]
    describe(operation, call)
    if !locks.isEmpty, !operation.pointee.ignoresLocks, locks[call.hash] != nil {
      operation.pointee.isWaiting = true
      saveRequest(operation, words)
      locks[call.hash]?.append(index)
      return
    }
    if call.access != .read, !operation.pointee.ignoresLocks,
      let reader = readerAhead(operation)
    {
      // That read may still ask owners, and must not be shown what this command writes.
      operations[reader].pointee.holdsLock = true
      operation.pointee.isWaiting = true
      saveRequest(operation, words)
      locks[call.hash] = [reader, index]
      return
    }
    if let refusal = refusalOfBlindWrite(call, words) {
      operation.pointee.reply.pointee.appendError(refusal)
      return deliver(index)
    }
    switch call.access {
    case .read: beginRead(index, call, words)
    case .blind: beginWrite(index, call, words)
    default: beginModify(index, call, words)
    }
  }

  @inline(__always)
  private func readBucket(_ hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash) & (NodeCore.pendingReadBuckets - 1)
  }

  /// A read of the same key by the same client, or forwarded by the same node, that is under way.
  private func readerAhead(_ operation: UnsafeMutablePointer<Operation>) -> Int? {
    guard pendingReads[readBucket(operation.pointee.hash)] > 0, !sabotaged(.brokenOrder) else {
      return nil
    }
    return companion(of: operation, .read)
  }

  /// An operation of that kind on the same key, by the same client or forwarded by the same node,
  /// that is under way. Looks at every operation.
  private func companion(
    of operation: UnsafeMutablePointer<Operation>, _ kind: OperationKind
  ) -> Int? {
    for index in 0..<operations.end {
      let other = operations[index]
      guard other.pointee.isTaken, !other.pointee.isDone, !other.pointee.isWaiting,
        other.pointee.kind == kind, other.pointee.hash == operation.pointee.hash,
        index != operation.pointee.index
      else { continue }
      switch (other.pointee.origin, operation.pointee.origin) {
      case (.session(let left), .session(let right)) where left == right: return index
      case (.link(let left, _), .link(let right, _)) where left == right: return index
      case (.parent, _), (_, .parent): return index
      default: continue
      }
    }
    return nil
  }

  private mutating func describe(_ operation: UnsafeMutablePointer<Operation>, _ call: KeyCall) {
    operation.pointee.handler = call.handler
    operation.pointee.database = call.database
    operation.pointee.resp = call.resp
    operation.pointee.slot = call.slot
    operation.pointee.hash = call.hash
    operation.pointee.write = policies[call.policy].write
    operation.pointee.read = policies[call.policy].read
    let copies = policies[call.policy].copies
    operation.pointee.ownerCount = copies
    operation.pointee.ringCount = copies
    operation.pointee.planID = plan.targetID
    operation.pointee.isSloppy = policies[call.policy].isSloppy
    var isSomeoneAway = false
    for rank in 0..<copies {
      let owner = ring.owner(Slot(call.slot), rank: rank)
      operation.pointee.owners[rank] = owner
      if liveness[Int(owner)] == 0 { isSomeoneAway = true }
    }
    if _slowPath(isChanging) { describeOthers(operation, call) }
    if _slowPath(isSomeoneAway), operation.pointee.isSloppy { substitute(operation) }
  }

  /// The owners that the other ring gives.
  private func describeOthers(_ operation: UnsafeMutablePointer<Operation>, _ call: KeyCall) {
    if sabotaged(.oneRing) { return }
    operation.pointee.otherWrite = policies[call.policy].otherWrite
    for rank in 0..<min(policies[call.policy].otherCopies, shadow.copies) {
      let owner = shadow.owner(Slot(call.slot), rank: rank)
      if let known = operation.pointee.rank(of: Int(owner)) {
        operation.pointee.others.insert(known)
      } else {
        operation.pointee.owners[operation.pointee.ownerCount] = owner
        operation.pointee.others.insert(operation.pointee.ownerCount)
        operation.pointee.ownerCount += 1
      }
    }
  }

  /// Keeps the key. A command that has waited has been kept whole, its key first, and its words lie
  /// in those very bytes: then nothing is touched.
  private func keepKey(
    _ operation: UnsafeMutablePointer<Operation>, _ key: UnsafeRawBufferPointer
  ) {
    guard operation.pointee.request.isEmpty else { return }
    operation.pointee.request.append(key)
    operation.pointee.keyLength = key.count
  }

  /// Keeps the whole command, as RESP, behind its key; a command that has waited is kept already.
  private func saveRequest(
    _ operation: UnsafeMutablePointer<Operation>, _ words: UnsafeMutablePointer<ArgumentList>,
    keyIndex: Int = 1
  ) {
    guard operation.pointee.request.isEmpty else { return }
    let key = words.pointee[operation.pointee.handler.keyPosition]
    operation.pointee.keyLength = key.count
    operation.pointee.request.append(key)
    NodeCore.appendRequest(words, to: &operation.pointee.request)
  }

  static func appendRequest(
    _ words: UnsafeMutablePointer<ArgumentList>, to buffer: inout ByteBuffer
  ) {
    buffer.appendArrayHeader(words.pointee.count)
    for index in 0..<words.pointee.count { buffer.appendBulk(words.pointee[index]) }
  }

  /// The saved command in `savedArguments`.
  private func restoreRequest(_ operation: UnsafeMutablePointer<Operation>) {
    var parser = RequestParser()
    let bytes = operation.pointee.request.readable
    let request = bytes.slice(
      operation.pointee.keyLength, bytes.count - operation.pointee.keyLength)
    let outcome = parser.next(request, into: &savedArguments.pointee)
    invariant(outcome == .request(length: request.count), "a saved request does not parse")
  }

  private func call(of operation: UnsafeMutablePointer<Operation>, _ access: Handler.Access)
    -> KeyCall
  {
    KeyCall(
      handler: operation.pointee.handler, access: access, database: operation.pointee.database,
      slot: operation.pointee.slot, hash: operation.pointee.hash,
      keyIndex: operation.pointee.handler.keyPosition,
      policy: keyspaceMap.index(for: operation.pointee.key), resp: operation.pointee.resp)
  }

  // MARK: Reading R copies

  private mutating func beginRead(
    _ index: Int, _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>
  ) {
    let operation = operations[index]
    statistics.pointee.quorumReads &+= 1
    let key = words.pointee[call.keyIndex]
    let object = readOwn(call, key)
    countHit(object)
    // The reply of what is here; an owner that has a newer object makes another one.
    _ = evaluator(words, operation.pointee.reply, call).run(call.handler, object)
    operation.pointee.kind = .read
    noteLarge(operation)
    operation.pointee.isCountedRead = true
    pendingReads[readBucket(call.hash)] &+= 1
    if call.handler == .get { keepKey(operation, key) } else { saveRequest(operation, words) }
    startAsking(index, object)
  }

  private func noteLarge(_ operation: UnsafeMutablePointer<Operation>) {
    guard operation.pointee.reply.pointee.totalCount > Limits.largeReplyBytes,
      case .session(let id) = operation.pointee.origin, let session = session(id)
    else { return }
    operation.pointee.isLarge = true
    session.pointee.largeInFlight += 1
  }

  /// Takes the own copy as an answer and asks as many other owners as R wants.
  private mutating func startAsking(_ index: Int, _ object: ObjectView?) {
    let operation = operations[index]
    operation.pointee.version = object?.version ?? .none
    operation.pointee.quorum = Quorum(needed: operation.pointee.read)
    if let rank = operation.pointee.rank(of: 0) {
      operation.pointee.asked.insert(rank)
      if isVoting(operation, rank, hasObject: object != nil) {
        _ = operation.pointee.quorum.answer(rank)
      }
    }
    askOwners(index, atLeast: 0)
    operation.pointee.hedgeAt = monotonic + configuration.timing.hedge
    hedges.append(
      due: operation.pointee.hedgeAt, index: index, generation: operation.pointee.generation)
    decideRead(index, operation.pointee.quorum.verdict)
  }

  /// Whether the own copy counts. A node that lost its memory may have got back an old version; a
  /// stand-in knows only what it keeps.
  private func isVoting(
    _ operation: UnsafeMutablePointer<Operation>, _ rank: Int, hasObject: Bool
  ) -> Bool {
    guard rank < operation.pointee.ringCount else { return false }
    if operation.pointee.standIns.contains(rank) { return hasObject }
    return sabotaged(.emptyVotes) || held.contains(operation.pointee.slot)
  }

  /// Asks owners that have not been asked until R can be met, and at least `extra` of them.
  private mutating func askOwners(_ index: Int, atLeast extra: Int) {
    let operation = operations[index]
    var extra = extra
    for wanted in [UInt8(2), 1] {
      for rank in 0..<operation.pointee.ringCount {
        let quorum = operation.pointee.quorum
        let expected = quorum.answered.count + quorum.outstanding.count
        guard expected < quorum.needed || extra > 0 else { return }
        let peer = Int(operation.pointee.owners[rank])
        guard peer != 0, liveness[peer] >= wanted, !operation.pointee.asked.contains(rank),
          let output = peerOutput(peer)
        else { continue }
        extra -= 1
        operation.pointee.asked.insert(rank)
        operation.pointee.quorum.ask(rank)
        output.pointee.appendRead(
          operation.pointee.requestID, database: operation.pointee.database,
          key: operation.pointee.key, held: operation.pointee.version, digest: digestHere(operation)
        )
      }
    }
  }

  /// What tells one sibling set from another; 0 for other objects.
  func digest(_ object: ObjectView?) -> UInt64 {
    guard let object, object.isSiblings else { return 0 }
    return hashKey(object.value, seed: 0x51b1) | 1
  }

  private func digestHere(_ operation: UnsafeMutablePointer<Operation>) -> UInt64 {
    guard table.siblingSets > 0 || hints.count > 0 else { return 0 }
    return digest(
      ownObject(
        operation.pointee.database, operation.pointee.slot, operation.pointee.hash,
        operation.pointee.key))
  }

  @inline(__always)
  mutating func answeredSame(_ operation: UnsafeMutablePointer<Operation>, from peer: Int) {
    guard let rank = operation.pointee.rank(of: peer) else { return }
    let verdict = operation.pointee.quorum.answer(rank)
    decideRead(operation.pointee.index, verdict)
  }

  /// An owner holds less than the coordinator showed it, or, not filled yet, does not know.
  mutating func answeredBehind(
    _ operation: UnsafeMutablePointer<Operation>, from peer: Int, knows: Bool
  ) {
    guard let rank = operation.pointee.rank(of: peer) else { return }
    if operation.pointee.version != .none { operation.pointee.stale.insert(rank) }
    let index = operation.pointee.index
    if knows {
      decideRead(index, operation.pointee.quorum.answer(rank))
    } else {
      _ = operation.pointee.quorum.giveUp(rank)
      askOwners(index, atLeast: 0)
      decideRead(index, operation.pointee.quorum.verdict)
    }
  }

  /// An owner holds more than the coordinator showed it: the own copy takes it in, and the reply is
  /// made anew from what is newest.
  mutating func answeredObject(
    _ operation: UnsafeMutablePointer<Operation>, from peer: Int, _ incoming: ObjectView
  ) {
    guard let rank = operation.pointee.rank(of: peer) else { return }
    let index = operation.pointee.index
    if isTracked(operation.pointee.slot) {
      let outcome = merge(
        database: operation.pointee.database, slot: operation.pointee.slot,
        hash: operation.pointee.hash, key: operation.pointee.key, incoming: incoming)
      if outcome == .changed { statistics.pointee.readRepairs &+= 1 }
    } else {
      noteForeign(operation, incoming)
    }
    if incoming.version > operation.pointee.version || incoming.isSiblings {
      // Whoever answered before holds less. The own copy has just been brought up to date.
      operation.pointee.stale.bits |= operation.pointee.quorum.answered.bits
      if let own = operation.pointee.rank(of: 0) { operation.pointee.stale.remove(own) }
      operation.pointee.version = max(operation.pointee.version, incoming.version)
      if operation.pointee.kind == .read, !operation.pointee.isDone, !sabotaged(.staleRead) {
        raiseWriteAhead(of: operation, above: incoming, heldBy: peer)
        showNewer(operation, incoming)
      }
      if incoming.isSiblings, digestHere(operation) != digest(incoming) {
        operation.pointee.stale.insert(rank)
      }
    }
    decideRead(index, operation.pointee.quorum.answer(rank))
  }

  /// A coordinator that owns no copy joins the answers beside its table.
  private mutating func noteForeign(
    _ operation: UnsafeMutablePointer<Operation>, _ incoming: ObjectView
  ) {
    let index = operation.pointee.index
    let joined = foreign[index].flatMap { known in
      known.withUnsafeBytes { raw in
        ObjectView.decode(raw).flatMap { ObjectView.join($0, incoming)?.bytes }
      }
    }
    if foreign[index] == nil,
      let own = ownObject(
        operation.pointee.database, operation.pointee.slot, operation.pointee.hash,
        operation.pointee.key)
    {
      foreign[index] = ObjectView.join(own, incoming)?.bytes
    } else {
      foreign[index] = joined ?? incoming.encoded()
    }
  }

  /// The same client's write, sent before this read, is under way, and the owner that answers has not
  /// taken it yet: it will call the write superseded. The read hears that first where messages
  /// overtake each other, and must not show what lay there before.
  private mutating func raiseWriteAhead(
    of operation: UnsafeMutablePointer<Operation>, above incoming: ObjectView, heldBy peer: Int
  ) {
    if case .session(let id) = operation.pointee.origin, session(id)?.pointee.inFlight ?? 0 < 2 {
      return
    }
    guard !incoming.isSiblings, isTracked(operation.pointee.slot),
      let index = companion(of: operation, .write)
    else { return }
    let write = operations[index]
    guard write.pointee.version < incoming.version, let rank = write.pointee.rank(of: peer),
      write.pointee.quorum.outstanding.contains(rank)
    else { return }
    _ = clock.observe(incoming.version.stamp, wallMilliseconds: wall, maximumSkew: maximumSkew)
    _ = restamp(write)
  }

  private mutating func showNewer(
    _ operation: UnsafeMutablePointer<Operation>, _ incoming: ObjectView
  ) {
    let call = call(of: operation, .read)
    operation.pointee.reply.pointee.removeAll()
    var shown: ObjectView? = incoming
    if call.handler != .get { restoreRequest(operation) }
    if let joined = foreign[operation.pointee.index] {
      joined.withUnsafeBytes { raw in
        _ = evaluator(savedArguments, operation.pointee.reply, call).run(
          call.handler, ObjectView.decode(raw))
      }
      return
    }
    // The own copy has taken the answer in, and may be later: a write of this client that was under
    // way when the read began has got a later stamp since. And a big value of the table is not copied.
    let own = table.object(
      database: call.database, slot: call.slot, hash: call.hash, key: operation.pointee.key)
    if let own, incoming.isSiblings || own.version >= incoming.version { shown = own }
    _ = evaluator(savedArguments, operation.pointee.reply, call).run(call.handler, shown)
  }

  private mutating func decideRead(_ index: Int, _ verdict: QuorumVerdict) {
    let operation = operations[index]
    if operation.pointee.isDone {
      // A late answer: its owner is repaired, and with the last one the operation is over.
      repairStale(index)
      if operation.pointee.quorum.outstanding.isEmpty, case .none = operation.pointee.origin {
        end(index)
      }
      return
    }
    switch verdict {
    case .waiting: return
    case .impossible: fail(index)
    case .satisfied:
      if operation.pointee.kind == .modify { return decide(index) }
      repairStale(index)
      deliver(index)
    }
  }

  /// Sends the own copy to the owners that answered with less.
  private mutating func repairStale(_ index: Int) {
    let operation = operations[index]
    guard !operation.pointee.stale.isEmpty else { return }
    let stale = operation.pointee.stale
    operation.pointee.stale = OwnerSet()
    guard
      let object = table.object(
        database: operation.pointee.database, slot: operation.pointee.slot,
        hash: operation.pointee.hash, key: operation.pointee.key)
    else { return }
    for rank in 0..<operation.pointee.ringCount
    where stale.contains(rank) && !operation.pointee.standIns.contains(rank) {
      let peer = Int(operation.pointee.owners[rank])
      guard peer != 0, let output = peerOutput(peer) else { continue }
      statistics.pointee.readRepairs &+= 1
      output.pointee.appendWrite(
        RequestID(rawValue: 0), database: operation.pointee.database, key: operation.pointee.key,
        object: object, wantsAnswer: false)
    }
  }

  /// An answer is late: the next owner is asked, too.
  mutating func hedge(_ index: Int) {
    let operation = operations[index]
    guard !operation.pointee.isDone, !operation.pointee.isWaiting,
      operation.pointee.kind == .read
        || (operation.pointee.kind == .modify
          && !operation.pointee.hasWritten)
    else { return }
    askOwners(index, atLeast: 1)
  }

  // MARK: Writing W copies

  private mutating func beginWrite(
    _ index: Int, _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>
  ) {
    let operation = operations[index]
    guard canReach(operation, policies[call.policy].write) else { return refuse(index) }
    let key = words.pointee[call.keyIndex]
    keepKey(operation, key)
    if _slowPath(!isTracked(call.slot)) { return beginForeignWrite(index, call, words) }
    if let version = evaluateAndPut(call, words, key, operation.pointee.reply) {
      operation.pointee.version = version
      spread(index)
    } else {
      deliver(index)
    }
  }

  /// A write that this node coordinates without owning the slot.
  private mutating func beginForeignWrite(
    _ index: Int, _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>
  ) {
    let operation = operations[index]
    let version = writeAsStandIn(index, call, operation.pointee.key) { core in
      core.evaluateAndPut(call, words, operation.pointee.key, operation.pointee.reply)
    }
    guard let version else { return deliver(index) }
    operation.pointee.version = version
    operation.pointee.kind = .write
    statistics.pointee.quorumWrites &+= 1
    sendSpread(index)
  }

  /// Whether that many owners, this node included, are alive.
  private func canReach(_ operation: UnsafeMutablePointer<Operation>, _ needed: Int) -> Bool {
    var alive = 0
    for rank in 0..<operation.pointee.ringCount
    where liveness[Int(operation.pointee.owners[rank])] > 0 {
      alive += 1
    }
    return alive >= needed
  }

  /// Sends the own copy, which has just been written, to the other owners and waits for W.
  private mutating func spread(_ index: Int) {
    let operation = operations[index]
    statistics.pointee.quorumWrites &+= 1
    operation.pointee.kind = .write
    // The slot may have gone to others since the operation began.
    if _slowPath(!isTracked(operation.pointee.slot)) { mayHoldLeftovers = true }
    // The object stays with the operation: it may have to go out once more, and by then another
    // node's write may lie in the table.
    if let object = table.object(
      database: operation.pointee.database, slot: operation.pointee.slot,
      hash: operation.pointee.hash, key: operation.pointee.key)
    {
      operation.pointee.keep(object)
    } else {
      operation.pointee.request.truncate(to: operation.pointee.keyLength)
    }
    sendSpread(index)
  }

  /// Sends the operation's object. With one copy in all a deletion has left nothing to send.
  private mutating func sendSpread(_ index: Int) {
    let operation = operations[index]
    let needed = operation.pointee.write - (sabotaged(.earlyAnswer) ? 1 : 0)
    operation.pointee.quorum =
      _fastPath(operation.pointee.otherWrite == 0)
      ? Quorum(needed: needed)
      : Quorum(
        needed: needed, of: OwnerSet(first: operation.pointee.ringCount),
        and: operation.pointee.otherWrite, of: operation.pointee.others)
    let object = operation.pointee.object
    if object.count > 0 {
      var echo: LinkID?
      if case .link(let link, _) = operation.pointee.origin { echo = link }
      for rank in 0..<operation.pointee.ownerCount {
        let peer = Int(operation.pointee.owners[rank])
        if _slowPath(operation.pointee.standIns.contains(rank)) {
          sendHint(operation, home: Int(operation.pointee.homes[rank]), to: peer, rank: rank)
          continue
        }
        guard peer != 0 else { continue }
        guard let output = writeOutput(peer, echo: echo) else {
          replaceOwner(index, rank)
          continue
        }
        operation.pointee.quorum.ask(rank)
        output.pointee.appendWrite(
          operation.pointee.requestID, database: operation.pointee.database,
          key: operation.pointee.key, encoded: object, blob: operation.pointee.blob,
          blobLength: operation.pointee.blobLength)
      }
    }
    let own = operation.pointee.rank(of: 0)
    let counts = own.map { !operation.pointee.standIns.contains($0) } ?? false
    decideWrite(
      index,
      counts
        ? operation.pointee.quorum.answer(own ?? 0) : operation.pointee.quorum.verdict)
  }

  mutating func answeredWritten(
    _ operation: UnsafeMutablePointer<Operation>, from peer: Int, _ status: WriteStatus,
    _ stamp: Stamp
  ) {
    guard let rank = operation.pointee.rank(of: peer) else { return }
    let index = operation.pointee.index
    if status == .refused { return decideWrite(index, operation.pointee.quorum.giveUp(rank)) }
    if status == .superseded {
      // Seen before the next stamp is taken, so that the next write of this key is later.
      _ = clock.observe(stamp, wallMilliseconds: wall, maximumSkew: maximumSkew)
      if restamp(operation) { return }
    }
    decideWrite(index, operation.pointee.quorum.answer(rank))
  }

  /// An owner held a later version of the key, stamped by a clock ahead of this one: the write gets
  /// a stamp above that version and goes out once more. The client's write came after it in time,
  /// and an acknowledged write must not be lost to a skewed clock.
  ///
  /// Not when this node has written the key again since: then that write is the later one.
  private mutating func restamp(_ operation: UnsafeMutablePointer<Operation>) -> Bool {
    guard !operation.pointee.isDone, operation.pointee.restamps < Operation.mostRestamps,
      let saved = operation.pointee.keptObject, !saved.isSiblings
    else { return false }
    let held = table.object(
      database: operation.pointee.database, slot: operation.pointee.slot,
      hash: operation.pointee.hash, key: operation.pointee.key)
    if let held, held.version > saved.version,
      held.version.actor == writer || formerWriters.contains(held.version.actor)
    {
      return false
    }
    operation.pointee.restamps += 1
    operation.pointee.version = nextVersion()
    var object = saved
    object.version = operation.pointee.version
    // The kept value lies where the object with the later stamp goes.
    if object.blob == nil {
      scratch.pointee.removeAll()
      scratch.pointee.append(object.value)
      object.value = scratch.pointee.readable
    }
    operation.pointee.keep(object)
    guard let fresh = operation.pointee.keptObject else { return false }
    if isTracked(operation.pointee.slot) {
      _ = merge(
        database: operation.pointee.database, slot: operation.pointee.slot,
        hash: operation.pointee.hash, key: operation.pointee.key, incoming: fresh)
    }
    // Answers to the first round could be taken for the second's: it gets another id.
    operation.pointee.generation &+= operation.pointee.generation == .max ? 2 : 1
    deadlines.append(
      due: monotonic + operationTimeout, index: operation.pointee.index,
      generation: operation.pointee.generation)
    sendSpread(operation.pointee.index)
    return true
  }

  private mutating func decideWrite(_ index: Int, _ verdict: QuorumVerdict) {
    let operation = operations[index]
    if operation.pointee.isDone {
      if operation.pointee.quorum.outstanding.isEmpty, case .none = operation.pointee.origin {
        end(index)
      }
      return
    }
    switch verdict {
    case .waiting: return
    case .satisfied: deliver(index)
    case .impossible: fail(index)
    }
  }

  // MARK: Reading, deciding, writing

  private mutating func beginModify(
    _ index: Int, _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>
  ) {
    let operation = operations[index]
    operation.pointee.kind = .modify
    guard canReach(operation, policies[call.policy].write) else { return refuse(index) }
    saveRequest(operation, words)
    let key = operation.pointee.key
    let object = readOwn(call, key)
    if !operation.pointee.ignoresLocks {
      locks[call.hash] = [index]
      operation.pointee.holdsLock = true
    }
    startAsking(index, object)
  }

  /// R copies are merged into the own one: evaluate on it, and write what comes of that.
  private mutating func decide(_ index: Int) {
    let operation = operations[index]
    repairStale(index)
    restoreRequest(operation)
    let call = call(of: operation, .modify)
    operation.pointee.hasWritten = true
    // A slot that went to others meanwhile is no base for a write: what this node wrote there before
    // may be gone from here.
    let isWritable =
      canReach(operation, operation.pointee.write) && isTracked(operation.pointee.slot)
      && !wasEvicted(operation)
    guard isWritable else {
      unlock(index)
      return refuse(index)
    }
    let version = evaluateAndPut(
      call, savedArguments, operation.pointee.key, operation.pointee.reply)
    if let version {
      operation.pointee.version = version
      spread(index)
    } else {
      deliver(index)
    }
    unlock(index)
  }

  /// Whether the object that the quorum agreed on is not here any more, or only an older one.
  private func wasEvicted(_ operation: UnsafeMutablePointer<Operation>) -> Bool {
    guard memory.limit != .max, operation.pointee.version != .none else { return false }
    let own = table.object(
      database: operation.pointee.database, slot: operation.pointee.slot,
      hash: operation.pointee.hash, key: operation.pointee.key)
    return own?.version ?? .none < operation.pointee.version
  }

  /// Lets the next operation on the key go on.
  mutating func unlock(_ index: Int) {
    let operation = operations[index]
    guard operation.pointee.holdsLock else { return }
    operation.pointee.holdsLock = false
    unlock(hash: operation.pointee.hash)
  }

  mutating func unlock(hash: UInt64) {
    guard var waiting = locks.removeValue(forKey: hash) else { return }
    waiting.removeFirst()
    // All of them start anew in order; one that locks again takes the rest behind it.
    for next in waiting {
      let operation = operations[next]
      guard operation.pointee.isTaken, operation.pointee.isWaiting else { continue }
      operation.pointee.isWaiting = false
      if operation.pointee.hasMoreTime {
        // It has used up its own behind one that had more.
        operation.pointee.deadline = monotonic + wholeTime(operation.pointee.kind)
      }
      if operation.pointee.kind == .gather {
        startLocked(next)
        continue
      }
      restoreRequest(operation)
      let handler = operation.pointee.handler
      var access = handler.access
      if handler == .set, setReads(savedArguments) { access = .modify }
      operation.pointee.reply.pointee.removeAll()
      begin(next, call(of: operation, access), savedArguments)
    }
  }

  // MARK: Ends

  /// The reply is ready: it goes to whoever asked.
  mutating func deliver(_ index: Int) {
    let operation = operations[index]
    operation.pointee.isDone = true
    if operation.pointee.isCountedRead {
      operation.pointee.isCountedRead = false
      pendingReads[readBucket(operation.pointee.hash)] &-= 1
      if operation.pointee.holdsLock {
        // The place may have another tenant when the waiting commands have run.
        operation.pointee.holdsLock = false
        let hash = operation.pointee.hash
        deliver(index, to: operation.pointee.origin)
        return unlock(hash: hash)
      }
    }
    deliver(index, to: operation.pointee.origin)
  }

  private mutating func deliver(_ index: Int, to origin: Origin) {
    let operation = operations[index]
    switch origin {
    case .session(let id):
      guard let session = session(id) else { return release(index) }
      operationAnswered(operation, id)
      session.pointee.inFlight -= 1
      if operation.pointee.isLarge { session.pointee.largeInFlight -= 1 }
      if operation.pointee.isForward { session.pointee.forwardsInFlight -= 1 }
      if operation.pointee.isSilent { operation.pointee.reply.pointee.removeAll() }
      let head = session.pointee.queue.head.operation
      if head == Int32(index) { drainQueue(id.index) }
    case .link(let link, let request):
      if let output = linkOutput(link) {
        output.pointee.appendReply(request, moving: &operation.pointee.reply.pointee)
      }
      release(index)
    case .parent(let parent, let generation, let position):
      let reply = PartReply(moving: &operation.pointee.reply.pointee)
      release(index)
      if operations[parent].pointee.generation == generation {
        partArrived(parent, position, reply)
      }
    case .none:
      release(index)
    }
  }

  /// Nothing was applied, and the client may try again.
  private mutating func refuse(_ index: Int) {
    statistics.pointee.noReplicas += 1
    let operation = operations[index]
    operation.pointee.reply.pointee.removeAll()
    operation.pointee.reply.pointee.appendError(NodeCore.noReplicasText)
    deliver(index)
  }

  /// No quorum in time, or too few owners left that could answer.
  mutating func fail(_ index: Int) {
    let operation = operations[index]
    operation.pointee.reply.pointee.removeAll()
    switch operation.pointee.kind {
    case .read:
      refuse(index)
    case .modify:
      unlock(index)
      refuse(index)
    case .write:
      let quorum = operation.pointee.quorum
      failWrite(index, "\(quorum.answered.count) of \(quorum.needed)")
    case .forward:
      if operation.pointee.handler.access == .read {
        refuse(index)
      } else {
        failWrite(index, "0 of \(operation.pointee.write)")
      }
    case .query:
      refuse(index)
    case .gather:
      failGather(index)
    }
  }

  private mutating func failWrite(_ index: Int, _ counts: String) {
    statistics.pointee.noQuorum += 1
    let operation = operations[index]
    operation.pointee.reply.pointee.appendError(
      "NOQUORUM \(counts) acknowledged; the write may have been applied")
    deliver(index)
  }

  /// Fails what is due, and hedges what is late.
  mutating func runDeadlines() {
    while let due = hedges.popDue(at: monotonic) {
      let operation = operations[due.index]
      if operation.pointee.isTaken, operation.pointee.generation == due.generation {
        hedge(due.index)
      }
    }
    while let due = deadlines.popDue(at: monotonic) { expire(due) }
    while let due = extensions.popDue(at: monotonic) { expire(due) }
  }

  private mutating func expire(_ due: (index: Int, generation: UInt16)) {
    let index = due.index
    let operation = operations[index]
    guard operation.pointee.isTaken, operation.pointee.generation == due.generation else { return }
    if monotonic < timeEnds(operation) { return giveTime(operation) }
    if operation.pointee.isDone {
      // Late answers did not come; the reply itself may still wait for its turn.
      stopWaiting(index)
      if case .none = operation.pointee.origin { end(index) }
      return
    }
    statistics.pointee.timeouts += 1
    if operation.pointee.isWaiting {
      operation.pointee.isWaiting = false
      locks[operation.pointee.hash]?.removeAll { $0 == index }
      return refuse(index)
    }
    stopWaiting(index)
    fail(index)
  }

  /// When an operation has to be over, as things stand: monotonic microseconds. A large value takes
  /// its own time to get where it belongs and to be stored there, and what stands behind it waits with
  /// it. Who asks one node waits for its word as long as anything is heard from it: an owner always says
  /// how a forwarded command ended. Who waits for a lock waits for its holder; a command over many keys,
  /// for its parts.
  private func timeEnds(_ operation: UnsafeMutablePointer<Operation>) -> UInt64 {
    var end = operation.pointee.deadline
    if operation.pointee.isWaiting {
      guard let first = locks[operation.pointee.hash]?.first, first != operation.pointee.index
      else {
        return end
      }
      let holder = operations[first]
      // It is looked at an eighth late at most, and hands over then.
      let pause = holder.pointee.hasMoreTime ? operationTimeout / 4 : 0
      return min(max(end, timeEnds(holder) + pause), operation.pointee.latest)
    }
    switch operation.pointee.kind {
    case .gather: break
    case .forward, .query:
      if operation.pointee.isDone { break }
      let peer = peers[operation.pointee.target]
      // There and, from that node, to the owners.
      end += NodeCore.timeToMove(operation.pointee.forwardedBytes * 2)
      end = max(end, max(peer.pointee.largeAt, heardAt(peer)) + operationTimeout)
    case .write, .read, .modify:
      if operation.pointee.kind == .write {
        end += NodeCore.timeToMove(operation.pointee.request.count + operation.pointee.blobLength)
      }
      for rank in 0..<operation.pointee.ownerCount
      where operation.pointee.quorum.outstanding.contains(rank) {
        let peer = peers[Int(operation.pointee.owners[rank])]
        end = max(end, peer.pointee.largeAt + operationTimeout)
      }
    }
    return min(end, operation.pointee.latest)
  }

  private static func timeToMove(_ bytes: Int) -> UInt64 {
    bytes < Limits.bigValueBytes ? 0 : UInt64(bytes) / Limits.movedPerMicrosecond
  }

  /// When this node last heard anything on the link that it dialled.
  private func heardAt(_ peer: UnsafeMutablePointer<Peer>) -> UInt64 {
    let index = peer.pointee.outLink
    return index >= 0 ? links[index].pointee.health.heardAt : 0
  }

  /// When an operation that got more time is looked at again.
  var extensionInterval: UInt64 { max(operationTimeout / 8, 1000) }

  private mutating func giveTime(_ operation: UnsafeMutablePointer<Operation>) {
    let due = monotonic + extensionInterval
    extensions.append(
      due: due, index: operation.pointee.index, generation: operation.pointee.generation)
    if monotonic >= operation.pointee.deadline { operation.pointee.hasMoreTime = true }
    switch operation.pointee.kind {
    case .write: longWritesUntil = max(longWritesUntil, due + operationTimeout)
    case .read, .modify:
      if !operation.pointee.isWaiting {
        longReadsUntil = max(longReadsUntil, due + operationTimeout)
      }
    case .forward, .query, .gather: break
    }
    if case .parent(let parent, let generation, _) = operation.pointee.origin,
      operations[parent].pointee.generation == generation
    {
      let whole = due + operationTimeout
      operations[parent].pointee.deadline = max(operations[parent].pointee.deadline, whole)
    }
  }

  /// Nobody that is asked still counts. Owners of a write that have not said that they have it get
  /// it later, as a hint: an operation that waited on could hand out an old write long after the
  /// key's deletion has settled.
  private mutating func stopWaiting(_ index: Int) {
    let operation = operations[index]
    let late = operation.pointee.quorum.outstanding
    guard !late.isEmpty else { return }
    for rank in 0..<operation.pointee.ownerCount where late.contains(rank) {
      _ = operation.pointee.quorum.giveUp(rank)
      guard operation.pointee.kind == .write, operation.pointee.object.count > 0 else { continue }
      keepHint(for: operation.pointee.home(rank), of: operation)
    }
  }

  /// A peer is gone: whatever waits for its answer stops waiting.
  mutating func abandon(peer: Int) {
    for index in 0..<operations.end {
      let operation = operations[index]
      guard operation.pointee.isTaken, !operation.pointee.isWaiting else { continue }
      switch operation.pointee.kind {
      case .forward, .query:
        if !operation.pointee.isDone, operation.pointee.target == peer { fail(index) }
      case .read, .modify, .write:
        guard let rank = operation.pointee.rank(of: peer),
          operation.pointee.quorum.outstanding.contains(rank)
        else { continue }
        _ = operation.pointee.quorum.giveUp(rank)
        if operation.pointee.kind == .write {
          replaceOwner(index, rank)
          decideWrite(index, operation.pointee.quorum.verdict)
        } else {
          if !operation.pointee.isDone { askOwners(index, atLeast: 0) }
          decideRead(index, operation.pointee.quorum.verdict)
        }
      case .gather:
        continue
      }
    }
  }

  // MARK: Forwarding

  /// Sends a command on one key whole to an owner.
  mutating func forward(
    _ index: Int, _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>, to peer: Int
  ) {
    let operation = operations[index]
    describe(operation, call)
    statistics.pointee.forwards &+= 1
    operation.pointee.kind = .forward
    operation.pointee.isForward = true
    operation.pointee.target = peer
    guard let output = peerOutput(peer) else { return fail(index) }
    scratch.pointee.removeAll()
    scratch.pointee.appendArrayHeader(words.pointee.count)
    for index in 0..<words.pointee.count { appendWord(words.pointee[index]) }
    operation.pointee.forwardedBytes = scratch.pointee.totalCount
    output.pointee.appendForward(
      operation.pointee.requestID, database: call.database, resp: call.resp,
      moving: &scratch.pointee)
  }

  mutating func answeredForward(
    _ operation: UnsafeMutablePointer<Operation>, _ reply: UnsafeRawBufferPointer
  ) {
    guard operation.pointee.kind == .forward, !operation.pointee.isDone else { return }
    appendKept(reply, to: operation.pointee.reply)
    deliver(operation.pointee.index)
  }
}
