import Keyspaces
import Objects
import Placement
import Primitives
import RESP

/// A command on one key, looked up and located.
struct KeyCall {
  var handler: Handler
  var access: Handler.Access
  var database: Int
  var slot: Int
  var hash: UInt64
  /// The key's place among the words.
  var keyIndex: Int
  var policy: Int
  var resp: UInt8
}

/// Who runs a command on a key.
enum Route: Equatable {
  case here
  /// The peer with this index.
  case there(Int)
  /// No owner is alive.
  case nowhere
}

extension NodeCore {
  // MARK: One request of a client

  /// Runs the request in `arguments` for a session. False when it has to wait and be shown again.
  @inline(__always)
  mutating func execute(_ index: Int) -> Bool {
    let session = sessions[index]
    meter.pointee.isRunning = false
    meter.pointee.isTakenOver = false
    let number = commandIndex.find(arguments.pointee[0])
    if _slowPath(number < 0) { return unknownCommand(index) }
    let entry = commandIndex.entries + number
    if _slowPath(!entry.pointee.accepts(arguments.pointee.count)) {
      return wrongArity(index, number)
    }
    session.pointee.lastCommand = number
    if _slowPath(!session.pointee.flags.isDisjoint(with: [.skipNext, .restricted])) {
      if session.pointee.flags.contains(.skipNext) { beginSkipped(session) }
      if session.pointee.flags.contains(.restricted), !isAllowed(index, number) { return true }
    }
    if _slowPath(entry.pointee.isDeniedWhenOutOfMemory && isOverLimit), !makeRoom() {
      return refuseOutOfMemory(index, entry)
    }
    commandBegins(number)
    statistics.pointee.commands &+= 1
    session.pointee.commands &+= 1
    if _slowPath(meter.pointee.isPaused), holds(index, entry) { return stall(index) }
    if entry.pointee.access != .none {
      if _fastPath(clusterState == .ok) { return executeOnKey(index, entry) }
      return refuseWhileForming(index)
    }
    return executeOther(index, entry.pointee.handler)
  }

  private func beginSkipped(_ session: UnsafeMutablePointer<Session>) {
    session.pointee.flags.remove(.skipNext)
    session.pointee.flags.insert(.skipThis)
  }

  @inline(__always)
  private mutating func executeOnKey(
    _ index: Int, _ entry: UnsafeMutablePointer<CommandEntry>
  ) -> Bool {
    let session = sessions[index]
    let keyIndex = entry.pointee.firstKey
    if _slowPath(keyIndex == 2), arguments.pointee.count != 3 || !isSubcommandOnKey(entry) {
      return executeContainer(index, entry.pointee.handler)
    }
    let key = arguments.pointee[keyIndex]
    let isLocated = located.pointee.isValid && keyIndex == 1
    let call = KeyCall(
      handler: entry.pointee.handler, access: entry.pointee.access,
      database: session.pointee.database,
      slot: isLocated ? located.pointee.slot : slotHasher.slot(of: key).index,
      hash: isLocated ? located.pointee.hash : table.hash(key), keyIndex: keyIndex,
      policy: keyspaceMap.index(for: key), resp: session.pointee.resp)
    if _fastPath(policies[call.policy].isLocal && session.pointee.queue.isEmpty) {
      let buffer = session.pointee.output
      let start = buffer.pointee.count
      runLocally(call, arguments, buffer)
      noteReply(buffer, from: start)
      if _slowPath(!session.pointee.flags.isDisjoint(with: [.silent, .skipThis])) {
        dropReply(session, to: start)
      }
      return true
    }
    // DEL, UNLINK, EXISTS and TOUCH take several keys.
    return executeRouted(index, call)
  }

  private mutating func isSubcommandOnKey(_ entry: UnsafeMutablePointer<CommandEntry>) -> Bool {
    let word = arguments.pointee[1]
    noteSubcommand()
    if entry.pointee.handler == .memory { return word.isWord("usage") }
    return word.isWord("encoding") || word.isWord("freq") || word.isWord("idletime")
      || word.isWord("refcount")
  }

  @inline(never)
  private func dropReply(_ session: UnsafeMutablePointer<Session>, to start: Int) {
    session.pointee.output.pointee.truncate(to: start)
    session.pointee.flags.remove(.skipThis)
  }

  // MARK: This node alone

  /// Runs a command whose only copy is here: no quorum, no other node. The reply goes to `reply`.
  @inline(__always)
  mutating func runLocally(
    _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>,
    _ reply: UnsafeMutablePointer<ByteBuffer>
  ) {
    if _slowPath(takesSeveralKeys(call.handler) && words.pointee.count > 2) {
      return runLocallyOverKeys(call, words, reply)
    }
    let key = words.pointee[call.keyIndex]
    let policy = policies + call.policy
    if _slowPath(policy.pointee.conflict == .siblings || isVersioned(call.handler, words)) {
      return runVersioned(call, words, reply)
    }
    var evaluator = Evaluator(
      arguments: words, reply: reply, scratch: scratch, resp: call.resp, now: wall,
      defaultTTL: policy.pointee.ttl)
    // OBJECT and MEMORY look without using.
    if _slowPath(call.keyIndex == 2) { evaluator.usage = usage(call, key) }
    // A plain SET looks at nothing.
    if call.handler == .set, words.pointee.count == 3, table.siblingSets == 0 {
      put(call, key, evaluator.plainSet())
      return
    }
    let object = use(call, key)
    let live = object?.live(at: wall)
    if call.access == .read { countHit(live != nil) }
    let mutation = evaluator.run(call.handler, object, live)
    if case .none = mutation { return }
    put(call, key, mutation)
  }

  /// The object in the table that a client's command is about: it counts as used, but for commands
  /// that only look (OBJECT, MEMORY).
  @inline(__always)
  mutating func use(_ call: KeyCall, _ key: UnsafeRawBufferPointer) -> ObjectView? {
    call.keyIndex == 1
      ? table.read(database: call.database, slot: call.slot, hash: call.hash, key: key)
      : table.object(database: call.database, slot: call.slot, hash: call.hash, key: key)
  }

  @inline(__always)
  mutating func countHit(_ isHit: Bool) {
    if isHit { statistics.pointee.hits &+= 1 } else { statistics.pointee.misses &+= 1 }
  }

  @inline(__always)
  mutating func countHit(_ object: ObjectView?) { countHit(object?.live(at: wall) != nil) }

  /// Whether the words carry a causal context, so that the mutation is no plain one.
  @inline(__always)
  func isVersioned(_ handler: Handler, _ words: UnsafeMutablePointer<ArgumentList>) -> Bool {
    if handler == .set { return words.pointee.count > 4 && contextWord(words) != nil }
    return handler == .vset || handler == .vdel
  }

  @inline(__always)
  func takesSeveralKeys(_ handler: Handler) -> Bool {
    handler == .del || handler == .exists || handler == .unlink || handler == .touch
  }

  @inline(never)
  private mutating func runLocallyOverKeys(
    _ call: KeyCall, _ words: UnsafeMutablePointer<ArgumentList>,
    _ reply: UnsafeMutablePointer<ByteBuffer>
  ) {
    var sum = 0
    for index in 1..<words.pointee.count {
      let key = words.pointee[index]
      let slot = slotHasher.slot(of: key).index
      let hash = table.hash(key)
      let object = table.read(database: call.database, slot: slot, hash: hash, key: key)
      if call.access == .read { countHit(object) }
      guard object?.live(at: wall) != nil else { continue }
      sum += 1
      if call.access == .modify {
        var one = call
        one.slot = slot
        one.hash = hash
        one.policy = keyspaceMap.index(for: key)
        put(one, key, .delete)
      }
    }
    reply.pointee.appendInteger(sum)
  }

  // MARK: Routing

  /// The rank of this node among the owners of a slot; -1 when it is none.
  @inline(__always)
  func ownRank(_ slot: Int, copies: Int) -> Int {
    for rank in 0..<copies where ring.owner(Slot(slot), rank: rank) == 0 { return rank }
    return -1
  }

  /// The first living owner of a slot, filled ones before the others; -1 when none lives.
  func firstLiving(_ slot: Int, copies: Int) -> Int {
    for wanted in [UInt8(2), 1] {
      for rank in 0..<copies {
        let peer = Int(ring.owner(Slot(slot), rank: rank))
        if liveness[peer] >= wanted { return peer }
      }
    }
    return -1
  }

  /// Who runs a command of this kind on this slot: any owner for reads and blind writes, the first
  /// live one for what reads before it writes. An owner that is not filled yet comes last. Without a
  /// living owner the first stand-in runs what does not read before it writes.
  @inline(__always)
  func route(_ slot: Int, _ access: Handler.Access, policy: Int) -> Route {
    let copies = policies[policy].copies
    if access != .modify, liveness[0] == 2, ownRank(slot, copies: copies) >= 0 { return .here }
    switch firstLiving(slot, copies: copies) {
    case 0: return .here
    case let peer where peer > 0: return .there(peer)
    default: return access == .modify ? .nowhere : standInRoute(slot, policy)
    }
  }

  @inline(never)
  private func standInRoute(_ slot: Int, _ policy: Int) -> Route {
    guard policies[policy].isSloppy,
      let peer = firstStandIn(slot, copies: policies[policy].copies)
    else { return .nowhere }
    return peer == 0 ? .here : .there(peer)
  }

  /// A command on one key, or on several of them, with more than one copy or node in play.
  @inline(never)
  private mutating func executeRouted(_ index: Int, _ call: KeyCall) -> Bool {
    if takesSeveralKeys(call.handler), arguments.pointee.count > 2 {
      return executeOverKeys(index, call.handler, .sum, step: 1)
    }
    let session = sessions[index]
    var call = call
    if call.handler == .set, call.access == .blind, setReads(arguments) { call.access = .modify }
    let bit = UInt64(1) << (call.hash & 63)
    switch route(call.slot, call.access, policy: call.policy) {
    case .here:
      if session.pointee.forwardedKeys & bit != 0, crosses(session, call.hash, forwarded: true) {
        return stall(index)
      }
      if session.pointee.inFlight >= Limits.commandsInFlight
        || session.pointee.largeInFlight >= Limits.largeRepliesInFlight
      {
        return stall(index)
      }
      return coordinateForSession(index, call, bit)
    case .there(let peer):
      if session.pointee.localKeys & bit != 0, crosses(session, call.hash, forwarded: false) {
        return stall(index)
      }
      // Another owner may coordinate now: what went to the one before has to come back first.
      if session.pointee.forwardsInFlight > 0, session.pointee.routeEpoch != routeEpoch {
        return stall(index)
      }
      if session.pointee.inFlight >= Limits.commandsInFlight { return stall(index) }
      return forwardForSession(index, call, peer, bit)
    case .nowhere:
      return replyNow(index) { $0.pointee.appendError(NodeCore.noReplicasText) }
    }
  }

  /// Whether a command on this key is under way that takes the other way, here or forwarded.
  private func crosses(
    _ session: UnsafeMutablePointer<Session>, _ hash: UInt64, forwarded: Bool
  ) -> Bool {
    if sabotaged(.brokenOrder) { return false }
    return session.pointee.queue.contains { index in
      let operation = operations[index]
      if operation.pointee.isDone { return false }
      if operation.pointee.kind == .gather { return true }
      return operation.pointee.isForward == forwarded && operation.pointee.hash == hash
    }
  }

  @inline(__always) func sabotaged(_ bug: Sabotage) -> Bool {
    _slowPath(sabotage.contains(bug))
  }

  /// Whether this SET looks at the old value.
  func setReads(_ words: UnsafeMutablePointer<ArgumentList>) -> Bool {
    guard words.pointee.count > 3 else { return false }
    for index in 3..<words.pointee.count {
      let word = words.pointee[index]
      if word.isWord("nx") || word.isWord("xx") || word.isWord("get") || word.isWord("keepttl") {
        return true
      }
    }
    return false
  }

  private mutating func coordinateForSession(_ index: Int, _ call: KeyCall, _ bit: UInt64) -> Bool {
    let session = sessions[index]
    guard needsOperation(call) else {
      let reply = beginReply(index)
      runHere(call, arguments, reply.buffer)
      endReply(index, reply)
      session.pointee.flags.remove(.skipThis)
      return true
    }
    guard let operation = startOperation(index, call) else { return tooMany(index) }
    session.pointee.localKeys |= bit
    begin(operation, call, arguments)
    return true
  }

  /// An operation whose reply belongs to a session, in its place in the order.
  mutating func startOperation(_ index: Int, _ call: KeyCall) -> Int? {
    let session = sessions[index]
    let id = SessionID(index: index, generation: session.pointee.generation)
    guard let operation = takeOperation(.read, .session(id)) else { return nil }
    let place = operations[operation]
    place.pointee.isSilent = !session.pointee.flags.isDisjoint(with: [.silent, .skipThis])
    session.pointee.flags.remove(.skipThis)
    session.pointee.queue.append(operation: operation)
    session.pointee.inFlight += 1
    takeOver(place)
    return operation
  }

  /// The running command is a subcommand that is counted by itself.
  private mutating func noteSubcommand() {
    let container = meter.pointee.number
    if let place = access.catalog.subcommandPlace(of: container, arguments.pointee[1]) {
      commandIs(commandIndex.subcommand(place, of: container))
    }
  }

  static let tooManyText = "TRYAGAIN too many operations wait for other nodes"

  mutating func tooMany(_ index: Int) -> Bool {
    if sessions[index].pointee.inFlight > 0 { return stall(index) }
    return replyNow(index) { $0.pointee.appendError(NodeCore.tooManyText) }
  }

  private mutating func forwardForSession(
    _ index: Int, _ call: KeyCall, _ peer: Int, _ bit: UInt64
  ) -> Bool {
    guard let operation = startOperation(index, call) else { return tooMany(index) }
    let session = sessions[index]
    session.pointee.forwardedKeys |= bit
    session.pointee.forwardsInFlight += 1
    session.pointee.routeEpoch = routeEpoch
    forward(operation, call, arguments, to: peer)
    return true
  }

  // MARK: Replies at once

  /// Replies in order, now or behind what waits.
  @inline(__always)
  mutating func replyNow(
    _ index: Int, _ write: (UnsafeMutablePointer<ByteBuffer>) -> Void
  ) -> Bool {
    let reply = beginReply(index)
    write(reply.buffer)
    endReply(index, reply)
    sessions[index].pointee.flags.remove(.skipThis)
    return true
  }

  /// A help text: an array of simple strings.
  mutating func replyNow(_ index: Int, lines: [String]) -> Bool {
    replyNow(index) { reply in
      reply.pointee.appendArrayHeader(lines.count)
      for line in lines { reply.pointee.appendSimple(line) }
    }
  }

  @inline(never)
  mutating func refuseWhileForming(_ index: Int) -> Bool {
    commandIndex.entries[meter.pointee.number].rejected &+= 1
    meter.pointee.refused = meter.pointee.number
    meter.pointee.isRunning = false
    let text =
      clusterState == .removed
      ? "CLUSTERDOWN The node has left its cluster; CLUSTER MEET lets it join one"
      : "CLUSTERDOWN The node has not met its cluster yet"
    return replyNow(index) { $0.pointee.appendError(text) }
  }

  static let noReplicasText =
    "NOREPLICAS Not enough owners of the key are alive; nothing was applied"

  @inline(never)
  private mutating func unknownCommand(_ index: Int) -> Bool {
    let name = arguments.pointee[0]
    if name.isWord("post") || name.isWord("host:") {
      let session = sessions[index]
      let text =
        "possible SECURITY ATTACK: client id=\(session.pointee.id) addr=\(session.pointee.address) "
        + "speaks HTTP; closing it"
      if let line = attackLog.line(text, at: monotonic) { log(.warning, line) }
      session.pointee.output.pointee.removeAll()
      closeAfterReplies(index)
      return true
    }
    var shown: [UInt8] = []
    for word in 1..<max(1, arguments.pointee.count) where shown.count < 128 {
      shown += Array("'".utf8) + cBytes(arguments.pointee[word], limit: 128 - shown.count)
      shown += Array("' ".utf8)
    }
    let text =
      Array("ERR unknown command '".utf8) + cBytes(name, limit: 128)
      + Array("', with args beginning with: ".utf8)
    return replyNow(index) { $0.pointee.appendError(text + shown) }
  }

  /// The bytes up to the first NUL, as C's `%.*s` prints them.
  func cBytes(_ bytes: UnsafeRawBufferPointer, limit: Int) -> [UInt8] {
    let end = bytes.firstIndex(of: 0) ?? bytes.count
    return Array(bytes.slice(0, min(end, limit)))
  }

  func cString(_ bytes: UnsafeRawBufferPointer, limit: Int) -> String {
    String(decoding: cBytes(bytes, limit: limit), as: UTF8.self)
  }

  @inline(never)
  mutating func wrongArity(_ index: Int, _ number: Int) -> Bool {
    commandIndex.entries[number].rejected += 1
    meter.pointee.refused = number
    meter.pointee.isRunning = false
    let name = commandTable.commands[number].name
    return replyNow(index) {
      $0.pointee.appendError("ERR wrong number of arguments for '\(name)' command")
    }
  }
}
