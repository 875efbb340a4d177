import Objects
import PeerProtocol
import Placement
import Primitives
import RESP
import Storage

// Commands over the whole cluster: every slot is asked of one owner, so each key counts once. A slot
// without a living owner makes the command fail; a part of the answer would be a lie.

extension NodeCore {
  private static let bitmapBytes = Slot.count / 8

  /// Copies that every key has, whatever its keyspace: an owner of a lower rank holds all of a slot.
  var sureCopies: Int {
    (0..<keyspaceMap.keyspaces.count).map { policies[$0].copies }.min() ?? 1
  }

  /// The slots that each living peer speaks for, as bitmaps; nil when a slot has nobody.
  private func speakers() -> [(peer: Int, slots: [UInt8])]? {
    let copies = sureCopies
    var bitmaps = [[UInt8]?](repeating: nil, count: peers.end)
    for slot in 0..<Slot.count {
      let peer = firstLiving(slot, copies: copies)
      guard peer >= 0 else { return nil }
      bitmaps[peer, default: [UInt8](repeating: 0, count: NodeCore.bitmapBytes)][slot / 8] |=
        1 << UInt8(slot % 8)
    }
    return bitmaps.enumerated().compactMap { peer, slots in slots.map { (peer, $0) } }
  }

  // MARK: From a client

  /// DBSIZE, KEYS, RANDOMKEY: one query to each node that speaks for some slots.
  mutating func executeOverCluster(
    _ index: Int, _ combination: Combination, _ kind: QueryKind, _ parameters: [UInt8]
  ) -> Bool {
    if sessions[index].pointee.inFlight > 0 { return stall(index) }
    guard let speakers = speakers() else {
      return replyNow(index) { $0.pointee.appendError(NodeCore.noReplicasText) }
    }
    guard let parent = startGather(index, combination, parts: speakers.count) else {
      return tooMany(index)
    }
    holdBack(index, bits: .max, isForward: true)
    for (position, speaker) in speakers.enumerated() {
      ask(parent, position, speaker.peer, kind, speaker.slots + parameters)
    }
    return true
  }

  /// One query of a gather: to a peer, or answered here.
  mutating func ask(
    _ parent: Int, _ position: Int, _ peer: Int, _ kind: QueryKind, _ parameters: [UInt8]
  ) {
    let database = operations[parent].pointee.database
    if peer == 0 {
      let answer = parameters.withUnsafeBytes {
        self.answer(kind, database, $0, asker: 0)?.bytes ?? []
      }
      return partArrived(parent, position, answer)
    }
    guard let output = peerOutput(peer),
      let child = takeOperation(
        .query,
        .parent(parent, generation: operations[parent].pointee.generation, position: position))
    else { return failGather(parent) }
    operations[child].pointee.target = peer
    parameters.withUnsafeBytes {
      output.pointee.appendQuery(
        operations[child].pointee.requestID, kind, database: database, $0)
    }
  }

  /// FLUSHALL and FLUSHDB: first every clock is asked, so that the barrier is above all writes that
  /// were acknowledged before, then the barrier goes to all.
  mutating func executeFlush(_ index: Int, all: Bool) -> Bool {
    let session = sessions[index]
    if session.pointee.inFlight > 0 { return stall(index) }
    let database = all ? 255 : session.pointee.database
    if isAlone {
      setBarrier(clock.next(wallMilliseconds: wall), database, coversAll: true)
      return replyNow(index) { $0.pointee.appendOK() }
    }
    let alive = (0..<peers.end).filter { liveness[$0] > 0 }
    guard let parent = startGather(index, .flushClock, parts: alive.count) else {
      return tooMany(index)
    }
    holdBack(index, bits: .max, isForward: true)
    operations[parent].pointee.database = database
    for (position, peer) in alive.enumerated() { ask(parent, position, peer, .clock, []) }
    return true
  }

  private mutating func setBarrier(_ stamp: Stamp, _ database: Int, coversAll: Bool) {
    for each in 0..<table.databases where database == 255 || database == each {
      guard settings.merge(barrier: stamp, database: each) else { continue }
      hints.flush(database: each, upTo: stamp)
      if !coversAll {
        applyBarrier(each)
      } else if !table.flush(database: each, upTo: stamp) {
        table.removeAll(database: each)
      }
    }
    actions.append(.save(savedState()))
  }

  /// CLUSTER COUNTKEYSINSLOT and GETKEYSINSLOT, of the owner.
  mutating func executeOnSlot(
    _ index: Int, _ slot: Int, _ combination: Combination, _ kind: QueryKind, count: Int
  ) -> Bool {
    if sessions[index].pointee.inFlight > 0 { return stall(index) }
    let peer = firstLiving(slot, copies: sureCopies)
    guard peer >= 0 else {
      return replyNow(index) { $0.pointee.appendError(NodeCore.noReplicasText) }
    }
    guard let parent = startGather(index, combination, parts: 1) else { return tooMany(index) }
    holdBack(index, bits: .max, isForward: true)
    var parameters = ByteBuffer()
    parameters.append(littleEndian: UInt16(slot))
    parameters.append(littleEndian: UInt32(truncatingIfNeeded: min(count, Limits.scanCount)))
    ask(parent, 0, peer, kind, parameters.bytes)
    return true
  }

  // MARK: Answers

  mutating func takeAnswer(_ id: RequestID, _ bytes: UnsafeRawBufferPointer, from peer: Int) {
    // Operations have a generation above 0: below, an answer belongs to background work.
    if id.rawValue < 0x1_0000 { return takeBackgroundAnswer(id, bytes, from: peer) }
    guard let operation = operation(id), operation.pointee.kind == .query,
      operation.pointee.target == peer, !operation.pointee.isDone
    else { return }
    operation.pointee.reply.pointee.append(bytes)
    deliver(operation.pointee.index)
  }

  private mutating func takeBackgroundAnswer(
    _ id: RequestID, _ bytes: UnsafeRawBufferPointer, from peer: Int
  ) {
    switch id.rawValue {
    case NodeCore.hintRequest(peer).rawValue: takeHintsAnswer(bytes, from: peer)
    case 0..<UInt32(Exchange.places): takeExchange(Int(id.rawValue), bytes, from: peer)
    default: break
    }
  }

  /// All nodes have answered.
  mutating func finishQueries(_ parent: Int, _ gather: Gather) {
    let operation = operations[parent]
    let reply = operation.pointee.reply
    // A node that could not answer has said so with an error in the place of its answer.
    if gather.results.contains(where: { $0.starts(with: Array("-NOREPLICAS".utf8)) }) {
      return failGather(parent)
    }
    switch gather.combination {
    case .count, .slotCount:
      reply.pointee.appendInteger(gather.results.reduce(0) { $0 &+ NodeCore.count(in: $1) })
    case .keys, .slotKeys:
      let keys = gather.results.flatMap { NodeCore.keys(in: $0) }
      reply.pointee.appendArrayHeader(keys.count)
      for key in keys { reply.pointee.appendBulk(key) }
    case .randomKey:
      chooseRandomKey(gather, reply, operation.pointee.resp)
    case .flushClock:
      return spreadBarrier(parent, gather)
    case .flush:
      guard gather.results.allSatisfy({ $0 == Array("ok".utf8) }) else { return failGather(parent) }
      reply.pointee.appendOK()
    case .scan:
      return advanceScan(parent, gather)
    case .preferenceList: finishPreferenceList(gather, reply, operation.pointee.resp)
    case .transfers: finishTransfers(gather, reply, operation.pointee.resp)
    case .array, .sum, .allOK, .noneExists:
      invariant(false, "parts of a command are no answers to queries")
    }
    endGather(parent)
  }

  private mutating func chooseRandomKey(
    _ gather: Gather, _ reply: UnsafeMutablePointer<ByteBuffer>, _ resp: UInt8
  ) {
    let total = gather.results.reduce(0) { $0 &+ NodeCore.count(in: $1) }
    var left = total > 0 ? generator.below(total) : 0
    for result in gather.results {
      let count = NodeCore.count(in: result)
      if left < count { return reply.pointee.appendBulk(Array(result.dropFirst(8))) }
      left -= count
    }
    reply.pointee.appendNull(resp: resp)
  }

  private mutating func spreadBarrier(_ parent: Int, _ gather: Gather) {
    let operation = operations[parent]
    for result in gather.results {
      // A clock that is too far ahead is not followed; its node refuses to be believed, too.
      _ = clock.observe(
        Stamp(rawValue: NodeCore.raw(result)), wallMilliseconds: wall,
        maximumSkew: maximumSkew)
    }
    let barrier = clock.next(wallMilliseconds: wall)
    let alive = (0..<peers.end).filter { liveness[$0] > 0 }
    let next = Gather(.flush, parts: alive.count)
    operation.pointee.gather = next
    var parameters = ByteBuffer()
    parameters.append(littleEndian: barrier.rawValue)
    for (position, peer) in alive.enumerated() {
      ask(parent, position, peer, .flush, parameters.bytes)
    }
  }

  private static func raw(_ answer: [UInt8]) -> UInt64 {
    answer.withUnsafeBytes { $0.integer(0, as: UInt64.self) ?? 0 }
  }

  /// A number of keys; more than there can be counts as none.
  private static func count(in answer: [UInt8]) -> Int {
    let raw = raw(answer)
    return raw < 1 << 48 ? Int(raw) : 0
  }

  static func keys(in answer: [UInt8]) -> [[UInt8]] {
    answer.withUnsafeBytes { bytes in
      var reader = FieldReader(bytes)
      var keys: [[UInt8]] = []
      while let length = reader.integer(UInt32.self), let key = reader.take(Int(length)) {
        keys.append(Array(key))
      }
      return keys
    }
  }

  // MARK: Queries of others

  mutating func takeQuery(
    _ id: LinkID, _ request: RequestID, _ kind: QueryKind, _ database: Int,
    _ parameters: UnsafeRawBufferPointer
  ) {
    let asker = link(id)?.pointee.peer ?? -1
    guard database < table.databases || database == 255 else { return malformedQuery(id) }
    guard var answer = answer(kind, database, parameters, asker: asker) else {
      return malformedQuery(id)
    }
    linkOutput(id)?.pointee.appendAnswer(request, moving: &answer)
  }

  private mutating func malformedQuery(_ id: LinkID) {
    statistics.pointee.badFrames += 1
    dropLink(id, "a malformed query")
  }

  /// What this node says about its own part; nil for malformed parameters.
  private mutating func answer(
    _ kind: QueryKind, _ database: Int, _ parameters: UnsafeRawBufferPointer, asker: Int
  ) -> ByteBuffer? {
    if database == 255, kind != .clock, kind != .flush { return nil }
    switch kind {
    case .clock:
      var buffer = ByteBuffer()
      buffer.append(littleEndian: clock.next(wallMilliseconds: wall).rawValue)
      return buffer
    case .flush:
      guard let raw = parameters.integer(0, as: UInt64.self) else { return nil }
      let barrier = Stamp(rawValue: raw)
      // Nothing in the table is above the last reading that this clock gave or saw.
      let coversAll = clock.last <= barrier
      guard clock.observe(barrier, wallMilliseconds: wall, maximumSkew: maximumSkew) else {
        return ByteBuffer("skew")
      }
      setBarrier(barrier, database, coversAll: coversAll)
      return ByteBuffer("ok")
    case .count, .keys, .randomKey:
      guard parameters.count >= NodeCore.bitmapBytes else { return nil }
      return answerOverSlots(kind, database, parameters)
    case .scan: return answerScan(database, parameters)
    case .compare: return answerCompare(parameters, asker: asker)
    case .branch: return answerBranch(database, parameters)
    case .want: return answerWant(database, parameters)
    case .compared: return answerCompared(parameters, asker: asker)
    case .hints: return answerHints(parameters)
    case .handover: return answerHandover(parameters, asker: asker)
    case .taken: return answerTaken(parameters, asker: asker)
    case .version: return answerVersion(database, parameters)
    case .progress: return answerProgress()
    case .slotCount, .slotKeys:
      guard let slot = parameters.integer(0, as: UInt16.self), slot < Slot.count,
        let count = parameters.integer(2, as: UInt32.self)
      else { return nil }
      return answerOnSlot(kind, database, Int(slot), Int(count))
    }
  }

  private mutating func answerOverSlots(
    _ kind: QueryKind, _ database: Int, _ parameters: UnsafeRawBufferPointer
  ) -> ByteBuffer {
    let pattern = parameters.slice(
      NodeCore.bitmapBytes, parameters.count - NodeCore.bitmapBytes)
    var buffer = ByteBuffer()
    if kind == .keys {
      forEachSlot(parameters) { slot in
        appendKeys(database, slot, &buffer) { key in
          globMatch(pattern: pattern, key, ignoringCase: false)
        }
      }
      return buffer
    }
    var total = 0
    forEachSlot(parameters) { total += table.liveCount(database: database, slot: $0) }
    buffer.append(littleEndian: UInt64(total))
    if kind == .randomKey, total > 0 {
      let slots = (0..<Slot.count).filter { parameters[$0 / 8] >> UInt8($0 % 8) & 1 == 1 }
      if let key = randomKey(database, slots, total) {
        buffer.append(key)
      } else {
        buffer.removeAll()
        buffer.append(littleEndian: UInt64(0))
      }
    }
    return buffer
  }

  private func forEachSlot(_ bitmap: UnsafeRawBufferPointer, _ body: (Int) -> Void) {
    for slot in 0..<Slot.count where bitmap[slot / 8] >> UInt8(slot % 8) & 1 == 1 { body(slot) }
  }

  private func appendKeys(
    _ database: Int, _ slot: Int, _ buffer: inout ByteBuffer,
    _ isWanted: (UnsafeRawBufferPointer) -> Bool
  ) {
    guard table.liveCount(database: database, slot: slot) > 0 else { return }
    var found = ByteBuffer()
    _ = table.walk(database: database, slot: slot, from: .start, count: .max) { walked in
      guard walked.object.live(at: wall) != nil, isWanted(walked.key) else { return }
      found.append(littleEndian: UInt32(walked.key.count))
      found.append(walked.key)
    }
    buffer.append(found.readable)
  }

  /// A key of the slots by chance, each as likely as any other within a slot's bounds.
  private mutating func randomKey(_ database: Int, _ slots: [Int], _ total: Int) -> [UInt8]? {
    for _ in 0..<100 {
      var left = generator.below(total)
      for slot in slots {
        let count = table.liveCount(database: database, slot: slot)
        if left < count {
          if let key = key(database, slot, ordinal: left) { return key }
          break
        }
        left -= count
      }
    }
    return nil
  }

  private func key(_ database: Int, _ slot: Int, ordinal: Int) -> [UInt8]? {
    var at = 0
    var chosen: [UInt8]?
    _ = table.walk(database: database, slot: slot, from: .start, count: .max) { walked in
      guard !walked.object.isTombstone else { return }
      if at == ordinal, walked.object.live(at: wall) != nil { chosen = Array(walked.key) }
      at += 1
    }
    return chosen
  }

  private func answerOnSlot(
    _ kind: QueryKind, _ database: Int, _ slot: Int, _ count: Int
  ) -> ByteBuffer {
    var buffer = ByteBuffer()
    if kind == .slotCount {
      buffer.append(littleEndian: UInt64(table.liveCount(database: database, slot: slot)))
      return buffer
    }
    var left = count
    appendKeys(database, slot, &buffer) { _ in
      left -= 1
      return left >= 0
    }
    return buffer
  }
}

extension Array {
  fileprivate subscript<Wrapped>(
    index: Int, default fallback: @autoclosure () -> Wrapped
  ) -> Wrapped where Element == Wrapped? {
    get { self[index] ?? fallback() }
    set { self[index] = newValue }
  }
}
