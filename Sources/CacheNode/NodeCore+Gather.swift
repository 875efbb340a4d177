import Keyspaces
import Objects
import PeerProtocol
import Placement
import Primitives
import RESP
import Storage

// Commands over several keys. Each key is a part of its own with its own owners and quorum; the
// reply is put together when all parts are there, and it is an error when one part failed: never a
// part of the answer.

extension NodeCore {
  // MARK: From a client

  /// MGET, MSET, MSETNX, DEL, UNLINK, EXISTS, TOUCH: keys at every `step`-th word from 1 on.
  mutating func executeOverKeys(
    _ index: Int, _ handler: Handler, _ combination: Combination, step: Int
  ) -> Bool {
    let session = sessions[index]
    let count = arguments.pointee.count
    guard (count - 1) % step == 0 else {
      return wrongArity(index, commandIndex.find(arguments.pointee[0]))
    }
    let database = session.pointee.database
    if areAllLocal(step: step) {
      let reply = beginReply(index)
      runOverKeysLocally(handler, database, session.pointee.resp, reply.buffer)
      endReply(index, reply)
      session.pointee.flags.remove(.skipThis)
      return true
    }
    var bits: UInt64 = 0
    var areHere = true
    for place in stride(from: 1, to: count, by: step) {
      let key = arguments.pointee[place]
      bits |= 1 << (table.hash(key) & 63)
      let policy = keyspaceMap.index(for: key)
      let partAccess =
        handler == .mset ? Handler.Access.blind : handler == .mget ? .read : handler.access
      if route(slotHasher.slot(of: key).index, partAccess, policy: policy) != .here {
        areHere = false
      }
    }
    if handler == .msetnx { areHere = false }
    let crosses =
      areHere ? session.pointee.forwardedKeys & bits != 0 : session.pointee.inFlight > 0
    if crosses || session.pointee.inFlight >= Limits.commandsInFlight { return stall(index) }
    if handler == .msetnx { return executeMSETNX(index) }
    guard let parent = startGather(index, combination, parts: (count - 1) / step) else {
      return tooMany(index)
    }
    operations[parent].pointee.gather?.isWrite = handler == .mset || handler.access == .modify
    holdBack(index, bits: areHere ? bits : .max, isForward: !areHere)
    let part = NodeCore.partName(handler)
    for position in 0..<(count - 1) / step {
      let place = 1 + position * step
      childArguments.pointee.fill(part, arguments.pointee, place..<place + step)
      startPart(parent, position, database, session.pointee.resp, ignoresLocks: false)
    }
    return true
  }

  /// While a command over many keys is under way, those behind it that could cross it wait.
  mutating func holdBack(_ index: Int, bits: UInt64, isForward: Bool) {
    let session = sessions[index]
    guard session.pointee.inFlight > 0 else { return }
    session.pointee.localKeys |= bits
    if isForward { session.pointee.forwardedKeys |= bits }
  }

  private static func partName(_ handler: Handler) -> StaticString {
    switch handler {
    case .mget: "get"
    case .mset: "set"
    case .del: "del"
    case .unlink: "unlink"
    case .exists: "exists"
    // The last of them is TOUCH.
    default: "touch"
    }
  }

  private func areAllLocal(step: Int) -> Bool {
    for place in stride(from: 1, to: arguments.pointee.count, by: step) {
      let policy = policies[keyspaceMap.index(for: arguments.pointee[place])]
      if !policy.isLocal || policy.conflict == .siblings || !locks.isEmpty { return false }
    }
    return true
  }

  private mutating func runOverKeysLocally(
    _ handler: Handler, _ database: Int, _ resp: UInt8,
    _ reply: UnsafeMutablePointer<ByteBuffer>
  ) {
    let count = arguments.pointee.count
    switch handler {
    case .mget:
      reply.pointee.appendArrayHeader(count - 1)
      for place in 1..<count {
        let key = arguments.pointee[place]
        let object = table.read(
          database: database, slot: slotHasher.slot(of: key).index, hash: table.hash(key), key: key)
        countHit(object)
        if let live = object?.live(at: wall) {
          if let blob = live.blob {
            reply.pointee.appendBulk(live.bytes, in: blob)
          } else {
            reply.pointee.appendBulk(live.bytes)
          }
        } else {
          reply.pointee.appendNull(resp: resp)
        }
      }
    case .mset:
      putPairs(database)
      reply.pointee.appendOK()
    case .msetnx:
      let isFree = stride(from: 1, to: count, by: 2).allSatisfy { place in
        let key = arguments.pointee[place]
        return table.object(
          database: database, slot: slotHasher.slot(of: key).index, hash: table.hash(key), key: key
        )?.live(at: wall) == nil
      }
      if isFree { putPairs(database) }
      reply.pointee.appendInteger(isFree ? 1 : 0)
    default:
      let call = self.call(handler, arguments, database, resp)
      runLocally(call, arguments, reply)
    }
  }

  private mutating func putPairs(_ database: Int) {
    for place in stride(from: 1, to: arguments.pointee.count, by: 2) {
      let key = arguments.pointee[place]
      let policy = keyspaceMap.index(for: key)
      let call = KeyCall(
        handler: .set, access: .blind, database: database, slot: slotHasher.slot(of: key).index,
        hash: table.hash(key), keyIndex: place, policy: policy, resp: 2)
      let ttl = policies[policy].ttl
      put(call, key, .put(arguments.pointee[place + 1], deadline: ttl == 0 ? 0 : wall + ttl))
    }
  }

  /// A command on its first key.
  func call(
    _ handler: Handler, _ words: UnsafeMutablePointer<ArgumentList>, _ database: Int,
    _ resp: UInt8
  ) -> KeyCall {
    let key = words.pointee[handler.keyPosition]
    return KeyCall(
      handler: handler, access: handler.access, database: database,
      slot: slotHasher.slot(of: key).index, hash: table.hash(key), keyIndex: handler.keyPosition,
      policy: keyspaceMap.index(for: key), resp: resp)
  }

  // MARK: Parts

  /// A gather whose reply belongs to a session.
  mutating func startGather(_ index: Int, _ combination: Combination, parts: Int) -> Int? {
    let session = sessions[index]
    let id = SessionID(index: index, generation: session.pointee.generation)
    guard let parent = takeOperation(.gather, .session(id)) else { return nil }
    let operation = operations[parent]
    operation.pointee.resp = session.pointee.resp
    operation.pointee.database = session.pointee.database
    operation.pointee.isSilent = !session.pointee.flags.isDisjoint(with: [.silent, .skipThis])
    session.pointee.flags.remove(.skipThis)
    operation.pointee.gather = Gather(combination, parts: parts)
    session.pointee.queue.append(operation: parent)
    takeOver(operations[parent])
    session.pointee.inFlight += 1
    return parent
  }

  /// Runs the part in `childArguments`: here, or at an owner.
  private mutating func startPart(
    _ parent: Int, _ position: Int, _ database: Int, _ resp: UInt8, ignoresLocks: Bool
  ) {
    let number = commandIndex.find(childArguments.pointee[0])
    let handler = commandIndex.entries[number].handler
    let call = self.call(handler, childArguments, database, resp)
    switch route(call.slot, call.access, policy: call.policy) {
    case .nowhere:
      statistics.pointee.noReplicas += 1
      partArrived(parent, position, Array("-\(NodeCore.noReplicasText)\r\n".utf8))
    case .here where !needsOperation(call):
      replyScratch.pointee.removeAll()
      runHere(call, childArguments, replyScratch)
      // Its last part ends the gather, and others may run then that need the buffer.
      let reply = PartReply(moving: &replyScratch.pointee)
      replyScratch.pointee.removeAll()
      replyScratch.pointee.shrink(keeping: Limits.idleBufferBytes)
      partArrived(parent, position, reply)
    case let route:
      guard
        let child = takeOperation(
          .read,
          .parent(
            parent, generation: operations[parent].pointee.generation, position: position))
      else {
        return partArrived(parent, position, Array("-\(NodeCore.tooManyText)\r\n".utf8))
      }
      operations[child].pointee.ignoresLocks = ignoresLocks
      if case .there(let peer) = route {
        forward(child, call, childArguments, to: peer)
      } else {
        begin(child, call, childArguments)
      }
    }
  }

  /// A part's reply is there. With the last one the whole is put together.
  mutating func partArrived(_ parent: Int, _ position: Int, _ bytes: [UInt8]) {
    partArrived(parent, position, .small(bytes))
  }

  mutating func partArrived(_ parent: Int, _ position: Int, _ reply: PartReply) {
    let operation = operations[parent]
    guard operation.pointee.isTaken, !operation.pointee.isDone,
      let gather = operation.pointee.gather, position < gather.results.count
    else { return }
    gather.missing -= 1
    switch reply {
    case .large(let buffer): gather.largeResults[position] = buffer
    case .small(let bytes):
      gather.results[position] = bytes
      if bytes.first == UInt8(ascii: "-"), gather.error == nil, isReplyPart(gather.combination) {
        gather.error = bytes
      }
    }
    if gather.missing == 0 { finishGather(parent, gather) }
  }

  /// Whether the parts are replies, which may be errors, or answers to queries.
  private func isReplyPart(_ combination: Combination) -> Bool {
    switch combination {
    case .array, .sum, .allOK, .noneExists: true
    default: false
    }
  }

  private mutating func finishGather(_ parent: Int, _ gather: Gather) {
    let operation = operations[parent]
    if let error = gather.error {
      let applied = gather.results.filter { $0.first != UInt8(ascii: "-") }.count
      if gather.isWrite, applied > 0 {
        operation.pointee.reply.pointee.appendError(
          "NOQUORUM \(applied) of \(gather.results.count) keys were written; the others may have been"
        )
      } else {
        operation.pointee.reply.pointee.append(error)
      }
      return endGather(parent)
    }
    switch gather.combination {
    case .array:
      operation.pointee.reply.pointee.appendArrayHeader(gather.results.count)
      for (position, result) in gather.results.enumerated() {
        if let large = gather.largeResults.removeValue(forKey: position) {
          operation.pointee.reply.pointee.append(moving: &large.bytes, large.bytes.count)
        } else {
          operation.pointee.reply.pointee.append(result)
        }
      }
    case .sum:
      operation.pointee.reply.pointee.appendInteger(
        gather.results.reduce(0) { $0 &+ integer(of: $1) })
    case .allOK:
      operation.pointee.reply.pointee.appendOK()
    case .noneExists:
      return advanceMSETNX(parent, gather)
    default:
      return finishQueries(parent, gather)
    }
    endGather(parent)
  }

  private func integer(of reply: [UInt8]) -> Int {
    reply.withUnsafeBytes { $0.count > 3 ? parseInteger($0.slice(1, $0.count - 3)) ?? 0 : 0 }
  }

  mutating func endGather(_ parent: Int) {
    releaseLocks(parent)
    deliver(parent)
  }

  /// A gather's time is over: its parts have not all come.
  mutating func failGather(_ parent: Int) {
    let operation = operations[parent]
    guard let gather = operation.pointee.gather else { return }
    let wrote =
      gather.isWrite || gather.combination == .noneExists || gather.combination == .flush
    operation.pointee.reply.pointee.removeAll()
    operation.pointee.reply.pointee.appendError(
      wrote
        ? "NOQUORUM \(gather.results.count - gather.missing) of \(gather.results.count) parts "
          + "acknowledged; the others may have been applied"
        : NodeCore.noReplicasText)
    endGather(parent)
  }

  // MARK: MSETNX
  //
  // All or nothing over several keys: they must be of one slot, so that one owner coordinates. It
  // locks the keys, looks for them with R, and when there is none writes them with W.

  private mutating func executeMSETNX(_ index: Int) -> Bool {
    let session = sessions[index]
    let words = (0..<arguments.pointee.count).map { Array(arguments.pointee[$0]) }
    let slots = stride(from: 1, to: words.count, by: 2).map { place in
      words[place].withUnsafeBytes { slotHasher.slot(of: $0).index }
    }
    guard slots.allSatisfy({ $0 == slots[0] }) else {
      return replyNow(index) {
        $0.pointee.appendError("CROSSSLOT Keys in request don't hash to the same slot")
      }
    }
    let policy = arguments.pointee.count > 1 ? keyspaceMap.index(for: arguments.pointee[1]) : 0
    switch route(slots[0], .modify, policy: policy) {
    case .nowhere:
      return replyNow(index) { $0.pointee.appendError(NodeCore.noReplicasText) }
    case .there(let peer):
      let call = self.call(.msetnx, arguments, session.pointee.database, session.pointee.resp)
      guard let operation = startOperation(index, call) else { return tooMany(index) }
      session.pointee.forwardsInFlight += 1
      session.pointee.routeEpoch = routeEpoch
      holdBack(index, bits: .max, isForward: true)
      forward(operation, call, arguments, to: peer)
    case .here:
      guard let parent = startGather(index, .noneExists, parts: words.count / 2) else {
        return tooMany(index)
      }
      holdBack(index, bits: .max, isForward: true)
      operations[parent].pointee.gather?.words = words
      startLocked(parent)
    }
    return true
  }

  mutating func startForwardedMSETNX(
    _ id: LinkID, _ request: RequestID, _ database: Int, _ resp: UInt8
  ) {
    let count = arguments.pointee.count
    let slots = stride(from: 1, to: count, by: 2).map {
      slotHasher.slot(of: arguments.pointee[$0]).index
    }
    guard count % 2 == 1, count > 2, slots.allSatisfy({ $0 == slots[0] }) else {
      return refuseForward(id, request, "ERR wrong number of arguments for 'msetnx' command")
    }
    guard let parent = takeOperation(.gather, .link(id, request)) else {
      return refuseForward(id, request, NodeCore.tooManyText)
    }
    let gather = Gather(.noneExists, parts: arguments.pointee.count / 2)
    gather.words = (0..<arguments.pointee.count).map { Array(arguments.pointee[$0]) }
    operations[parent].pointee.gather = gather
    operations[parent].pointee.database = database
    operations[parent].pointee.resp = resp
    startLocked(parent)
  }

  private func keyHashes(_ gather: Gather) -> [UInt64] {
    var hashes: [UInt64] = []
    for place in stride(from: 1, to: gather.words.count, by: 2) {
      let hash = gather.words[place].withUnsafeBytes { table.hash($0) }
      if !hashes.contains(hash) { hashes.append(hash) }
    }
    return hashes
  }

  /// Takes the locks of all keys in one step, or waits for the first that is held.
  mutating func startLocked(_ parent: Int) {
    let operation = operations[parent]
    guard let gather = operation.pointee.gather else { return }
    let hashes = keyHashes(gather)
    if let held = hashes.first(where: { locks[$0] != nil }) {
      operation.pointee.isWaiting = true
      operation.pointee.hash = held
      locks[held]?.append(parent)
      return
    }
    for hash in hashes { locks[hash] = [parent] }
    operation.pointee.holdsLock = true
    gather.missing = gather.results.count
    for position in 0..<gather.results.count {
      childArguments.pointee.fill([Array("exists".utf8), gather.words[1 + position * 2]])
      startPart(parent, position, operation.pointee.database, 2, ignoresLocks: true)
    }
  }

  private mutating func advanceMSETNX(_ parent: Int, _ gather: Gather) {
    let operation = operations[parent]
    if operation.pointee.hasWritten {
      operation.pointee.reply.pointee.appendInteger(1)
      return endGather(parent)
    }
    guard gather.results.allSatisfy({ integer(of: $0) == 0 }) else {
      operation.pointee.reply.pointee.appendInteger(0)
      return endGather(parent)
    }
    operation.pointee.hasWritten = true
    gather.missing = gather.results.count
    for position in 0..<gather.results.count {
      childArguments.pointee.fill(
        [Array("set".utf8)] + gather.words[1 + position * 2...2 + position * 2])
      startPart(parent, position, operation.pointee.database, 2, ignoresLocks: true)
    }
  }

  private mutating func releaseLocks(_ parent: Int) {
    let operation = operations[parent]
    guard operation.pointee.holdsLock, let gather = operation.pointee.gather else { return }
    operation.pointee.holdsLock = false
    for hash in keyHashes(gather) { unlock(hash: hash) }
  }
}
