import Membership
import Objects
import PeerProtocol
import Placement
import Primitives
import RESP
import Repair
import Storage

// # Writes for owners that are away
//
// For an owner that is away the next living node in ring order stands in (Dynamo, SOSP 2007, section
// 4.6): it keeps the write as a hint and answers for it, which counts toward W where the keyspace is
// sloppy. A stand-in that has a key as a hint answers reads of it, too; one that has not never says
// "not found" (riak_kv#39). When there is nobody beside the owners, the coordinator keeps the hint
// itself, which counts for nothing, so that the owner gets it when it is back.
//
// When no owner lives at all the first stand-in coordinates what does not read before it writes. Under
// siblings it stamps as an actor of its own, a new one after every hint that has left it: what it
// wrote before and does not have any more must not count as seen (riak_kv#1643).

extension NodeCore {
  var hintBounds: HintStore.Bounds {
    // Hints must not push out what the node is there for.
    let most = memory.limit == .max ? Int.max : memory.limit / 8
    return HintStore.Bounds(
      perTarget: min(most, parameters.number("hint-memory-per-node")),
      inAll: min(most, parameters.number("hint-memory")))
  }

  // MARK: Choosing stand-ins

  /// Puts living nodes in the places of owners that are away.
  mutating func substitute(_ operation: UnsafeMutablePointer<Operation>) {
    for rank in 0..<operation.pointee.ringCount
    where liveness[Int(operation.pointee.owners[rank])] == 0 {
      guard let fallback = fallback(operation) else { return }
      operation.pointee.homes[rank] = operation.pointee.owners[rank]
      operation.pointee.owners[rank] = fallback
      operation.pointee.standIns.insert(rank)
    }
  }

  /// A living node that has no part in the operation.
  private func fallback(_ operation: UnsafeMutablePointer<Operation>) -> UInt16? {
    let liveness = liveness
    return ring.fallback(Slot(operation.pointee.slot), copies: operation.pointee.ringCount) {
      liveness[Int($0)] > 0 && operation.pointee.rank(of: Int($0)) == nil
    }
  }

  /// The node that runs a command on a slot without a living owner; nil when there is none.
  func firstStandIn(_ slot: Int, copies: Int) -> Int? {
    let liveness = liveness
    return ring.fallback(Slot(slot), copies: copies) { liveness[Int($0)] > 0 }.map { Int($0) }
  }

  // MARK: Keeping

  /// Keeps an encoded object for a peer.
  @discardableResult
  mutating func keepHint(
    for home: Int, _ database: Int, _ key: UnsafeRawBufferPointer,
    _ encoded: UnsafeRawBufferPointer
  ) -> Bool {
    guard home != 0, let object = ObjectView.decode(encoded) else { return false }
    return keepHint(target: peers[home].pointee.id, database, key, object)
  }

  /// Keeps a write's object for a peer.
  @discardableResult
  mutating func keepHint(
    for home: Int, of operation: UnsafeMutablePointer<Operation>
  ) -> Bool {
    guard home != 0, let object = operation.pointee.keptObject else { return false }
    return keepHint(
      target: peers[home].pointee.id, operation.pointee.database, operation.pointee.key, object)
  }

  private mutating func keepHint(
    target: UInt64, _ database: Int, _ key: UnsafeRawBufferPointer, _ object: ObjectView
  ) -> Bool {
    let outcome = hints.keep(
      target: target, database: database, key: key, object: object, within: hintBounds)
    guard let dropped = outcome else {
      statistics.pointee.hintsDropped += 1
      return false
    }
    statistics.pointee.hintsKept += 1
    if dropped > 0 {
      if statistics.pointee.hintsDropped == 0 {
        log(.warning, "hints fill hint-memory: the oldest are left to anti-entropy")
      }
      statistics.pointee.hintsDropped += dropped
    }
    return true
  }

  mutating func takeHint(
    _ id: LinkID, _ request: RequestID, _ home: UInt64, _ database: Int,
    _ key: UnsafeRawBufferPointer, _ object: ObjectView, _ wantsAnswer: Bool
  ) {
    guard database < table.databases, key.count <= Limits.bulkBytes else { return }
    var status = WriteStatus.merged
    let slot = slotHasher.slot(of: key).index
    if members[home] == nil || home == configuration.id || isTracked(slot) {
      let outcome = merge(
        database: database, slot: slot, hash: table.hash(key), key: key, incoming: object)
      if outcome == .refused { status = .refused }
    }
    if home != configuration.id, members[home] != nil, status == .merged {
      if clock.observe(
        object.version.stamp, wallMilliseconds: wall, maximumSkew: maximumSkew)
      {
        if object.version.stamp > settings.barriers[database] {
          if !keepHint(target: home, database, key, object) { status = .refused }
        }
      } else {
        statistics.pointee.refusedStamps += 1
        status = .refused
      }
    }
    if wantsAnswer { linkOutput(id)?.pointee.appendWritten(request, status, .zero) }
  }

  /// An owner of a write has gone, or never was there: somebody keeps the write for it, and answers
  /// in its place where that counts. True when the quorum has somebody new to wait for.
  mutating func replaceOwner(_ index: Int, _ rank: Int) {
    let operation = operations[index]
    guard operation.pointee.object.count > 0 else { return }
    let home = operation.pointee.home(rank)
    guard home != 0 else { return }
    let isOfRing = rank < operation.pointee.ringCount
    guard isOfRing, let fallback = fallback(operation) else {
      keepHint(for: home, of: operation)
      return
    }
    let counts = operation.pointee.isSloppy
    if counts {
      operation.pointee.homes[rank] = UInt16(home)
      operation.pointee.owners[rank] = fallback
      operation.pointee.standIns.insert(rank)
    }
    sendHint(operation, home: home, to: Int(fallback), rank: counts ? rank : nil)
  }

  /// Sends an operation's object to a stand-in; with a rank its answer counts.
  mutating func sendHint(
    _ operation: UnsafeMutablePointer<Operation>, home: Int, to standIn: Int, rank: Int?
  ) {
    if standIn == 0 {
      let isKept = keepHint(for: home, of: operation)
      if let rank, isKept { _ = operation.pointee.quorum.answer(rank) }
      return
    }
    guard let output = peerOutput(standIn) else { return }
    if let rank { operation.pointee.quorum.ask(rank) }
    output.pointee.appendHint(
      rank == nil ? RequestID(rawValue: 0) : operation.pointee.requestID,
      home: peers[home].pointee.id, database: operation.pointee.database,
      key: operation.pointee.key, encoded: operation.pointee.object,
      blob: operation.pointee.blob, blobLength: operation.pointee.blobLength,
      wantsAnswer: rank != nil)
  }

  // MARK: Looking and writing as a stand-in

  /// The object that this node can speak of: its own, or, of a slot that is not its own, a hint.
  func ownObject(
    _ database: Int, _ slot: Int, _ hash: UInt64, _ key: UnsafeRawBufferPointer
  ) -> ObjectView? {
    if _fastPath(isTracked(slot)) || hints.count == 0 {
      return table.object(database: database, slot: slot, hash: hash, key: key)
    }
    return hintedObject(database, slot, hash, key)
  }

  /// As `ownObject`, for a client's command: the object counts as used.
  mutating func readOwn(_ call: KeyCall, _ key: UnsafeRawBufferPointer) -> ObjectView? {
    if _fastPath(isTracked(call.slot)) { return use(call, key) }
    return ownObject(call.database, call.slot, call.hash, key)
  }

  private func hintedObject(
    _ database: Int, _ slot: Int, _ hash: UInt64, _ key: UnsafeRawBufferPointer
  ) -> ObjectView? {
    guard let encoded = hints.object(database: database, key: key) else {
      return table.object(database: database, slot: slot, hash: hash, key: key)
    }
    hintScratch.pointee.removeAll()
    hintScratch.pointee.append(encoded)
    return ObjectView.decode(hintScratch.pointee.readable)
  }

  /// Runs a blind write whose slot is not this node's. The table is the workbench: the hint of the
  /// key, if there is one, is laid into it, written over, encoded into the operation and taken out.
  /// Returns the version; nil when nothing was written.
  mutating func writeAsStandIn(
    _ index: Int, _ call: KeyCall, _ key: UnsafeRawBufferPointer,
    _ write: (inout NodeCore) -> Version?
  ) -> Version? {
    let operation = operations[index]
    let wasThere =
      table.object(database: call.database, slot: call.slot, hash: call.hash, key: key) != nil
    if !wasThere, let encoded = hints.object(database: call.database, key: key) {
      encoded.withUnsafeBytes { raw in
        guard let object = ObjectView.decode(raw) else { return }
        _ = table.store(
          database: call.database, slot: call.slot, hash: call.hash, key: key, object: object)
      }
    }
    let usual = writer
    // Without a place among the stand-ins nothing of this write stays here; and what is written onto
    // an object that the table keeps for others has not seen the hints.
    let keeps = operation.pointee.rank(of: 0) != nil && !wasThere
    if policies[call.policy].conflict == .siblings, !sabotaged(.fallbackActor) {
      writer = Actor(
        rawValue: keeps
          ? mix(actor.rawValue ^ mix(UInt64(hints.epoch) + 1)) | 1 : generator.next() | 1)
    }
    let version = write(&self)
    writer = usual
    operation.pointee.request.truncate(to: operation.pointee.keyLength)
    if version != nil,
      let object = table.object(
        database: call.database, slot: call.slot, hash: call.hash, key: key)
    {
      operation.pointee.keep(object)
    }
    if wasThere {
      mayHoldLeftovers = true
    } else {
      // `key` lay in the operation's buffer, which may have moved.
      table.remove(
        database: call.database, slot: call.slot, hash: call.hash, key: operation.pointee.key)
    }
    return version
  }

  // MARK: Delivering

  /// Sends the next batch to every target that is back.
  mutating func stepHints() {
    guard hints.count > 0 else { return }
    for target in hints.targetIDs {
      guard members[target]?.status.isMember ?? false else {
        rehome(target)
        continue
      }
      guard hintBudget > 0, let peer = peerIndex(target), liveness[peer] > 0,
        !hints.isInFlight(target), (hintRetryAt[target] ?? 0) <= monotonic
      else { continue }
      deliverBatch(to: target, peer)
    }
    let age = UInt64(parameters.number("hint-ttl")) * 1000
    if wall > age {
      statistics.pointee.hintsExpired += hints.expire(before: Stamp(milliseconds: wall - age))
    }
  }

  private mutating func deliverBatch(to target: UInt64, _ peer: Int) {
    guard let output = peerOutput(peer) else { return }
    scratch.pointee.removeAll()
    guard hints.takeBatch(for: target, limit: Limits.hintBatchBytes, into: &scratch.pointee) > 0
    else { return }
    hintBudget -= scratch.pointee.count
    output.pointee.appendQuery(
      NodeCore.hintRequest(peer), .hints, database: 0, scratch.pointee.readable)
  }

  static func hintRequest(_ peer: Int) -> RequestID { RequestID(rawValue: UInt32(0x1000 | peer)) }

  /// The target of a batch has answered.
  mutating func takeHintsAnswer(_ bytes: UnsafeRawBufferPointer, from peer: Int) {
    let target = peers[peer].pointee.id
    guard hints.isInFlight(target) else { return }
    if bytes.elementsEqual("ok".utf8) {
      statistics.pointee.hintsDelivered += hints.taken(by: target)
    } else {
      hints.lost(target)
      hintRetryAt[target] = monotonic + 1_000_000
      return
    }
    if hintBudget > 0, liveness[peer] > 0 { deliverBatch(to: target, peer) }
  }

  /// The target's side: everything is merged, as ever.
  mutating func answerHints(_ bytes: UnsafeRawBufferPointer) -> ByteBuffer? {
    hintsTakenAt = monotonic
    var reader = FieldReader(bytes)
    var refused = 0
    while let database = reader.integer(UInt8.self), let keyLength = reader.integer(UInt32.self),
      let key = reader.take(Int(keyLength)), let length = reader.integer(UInt32.self),
      let raw = reader.take(Int(length))
    {
      guard let object = ObjectView.decode(raw) else { return nil }
      guard Int(database) < table.databases else {
        refused += 1
        continue
      }
      let outcome = takeDelivered(Int(database), key, object)
      if outcome == .refused { refused += 1 }
    }
    guard reader.isAtEnd else { return nil }
    return ByteBuffer(refused == 0 ? "ok" : "refused")
  }

  private mutating func takeDelivered(
    _ database: Int, _ key: UnsafeRawBufferPointer, _ object: ObjectView
  ) -> MergeOutcome {
    let slot = slotHasher.slot(of: key).index
    let hash = table.hash(key)
    if _slowPath(isOverLimit), !hasRoom(for: object) { return .refused }
    if sabotaged(.hintOverwrites) {
      _ = table.store(database: database, slot: slot, hash: hash, key: key, object: object)
      return .changed
    }
    return merge(database: database, slot: slot, hash: hash, key: key, incoming: object)
  }

  /// Hints for a node that is out of the cluster become objects to be handed to the slots' owners.
  private mutating func rehome(_ target: UInt64) {
    if isOverLimit, !makeRoom() { return }
    hints.lost(target)
    var batch = ByteBuffer()
    // One batch a tick: all of them could be a second of work.
    if hints.takeBatch(for: target, limit: Limits.hintBatchBytes, into: &batch) > 0 {
      _ = answerHints(batch.readable)
      _ = hints.taken(by: target)
    }
    mayHoldLeftovers = true
  }
}
