import Primitives
import RESP
import Storage

extension NodeCore {
  // MARK: Coming and going

  mutating func openSession(
    _ address: String, _ localAddress: String, _ descriptor: Int32
  ) -> SessionID? {
    guard let index = sessions.take() else { return nil }
    let session = sessions[index]
    session.pointee.open()
    session.pointee.id = nextClientID
    session.pointee.address = address
    session.pointee.localAddress = localAddress
    session.pointee.descriptor = descriptor
    session.pointee.openedAt = monotonic
    session.pointee.lastActive = monotonic
    beginAsDefaultUser(index)
    recount(index)
    nextClientID += 1
    statistics.pointee.connections += 1
    return SessionID(index: index, generation: session.pointee.generation)
  }

  /// The session, if it is still the same.
  @inline(__always)
  func session(_ id: SessionID) -> UnsafeMutablePointer<Session>? {
    let session = sessions[id.index]
    return session.pointee.generation == id.generation && session.pointee.isOpen ? session : nil
  }

  mutating func closeSession(_ id: SessionID) {
    guard let session = session(id) else { return }
    dropReplies(id.index)
    session.pointee.isOpen = false
    session.pointee.parser.restart()
    session.pointee.parser.releaseMemory()
    discard(&session.pointee.input)
    clients.counted -= session.pointee.counted
    memory.others -= session.pointee.counted
    session.pointee.counted = 0
    sessions.free(id.index)
  }

  /// Closes another client at once; what it waits for is dropped.
  mutating func kill(_ index: Int) {
    dropReplies(index)
    // It may never read what waits for it.
    sessions[index].pointee.flags.remove([.stalled, .closeAsked])
    closeAfterReplies(index)
  }

  /// Forgets what a session waits for and what it was to be sent.
  private mutating func dropReplies(_ index: Int) {
    let session = sessions[index]
    for operation in session.pointee.queue.operations {
      let isDone = operations[operation].pointee.isDone
      operations[operation].pointee.origin = .none
      if isDone { release(operation) }
    }
    session.pointee.queue.removeAll()
    stopMonitoring(index)
    forgetHeld(index)
    discard(&session.pointee.queue.staged.pointee)
    discard(&session.pointee.output.pointee)
  }

  mutating func halfClose(_ id: SessionID) {
    guard let session = session(id) else { return }
    session.pointee.flags.insert(.halfClosed)
    // Who goes while clients are paused wants nothing of what it has asked for.
    if session.pointee.flags.contains(.held) { return kill(id.index) }
    closeIfFinished(id.index)
  }

  /// Closes a session that will have nothing more to say.
  private mutating func closeIfFinished(_ index: Int) {
    let session = sessions[index]
    let isOver =
      session.pointee.flags.contains(.closing)
      || (session.pointee.flags.contains(.halfClosed)
        && !session.pointee.flags.contains(.stalled))
    guard isOver, session.pointee.queue.isEmpty, !session.pointee.flags.contains(.closeAsked)
    else { return }
    session.pointee.flags.insert(.closeAsked)
    actions.append(
      .closeSession(SessionID(index: index, generation: session.pointee.generation)))
  }

  /// Takes no more of this client and closes it behind its replies.
  mutating func closeAfterReplies(_ index: Int) {
    sessions[index].pointee.flags.insert(.closing)
    closeIfFinished(index)
  }

  // MARK: Requests

  /// Takes all of `bytes`: runs the requests in them and keeps what is left of an incomplete one.
  mutating func receive(_ id: SessionID, _ bytes: UnsafeRawBufferPointer) {
    guard let session = session(id) else { return }
    statistics.pointee.inputBytes &+= bytes.count
    statistics.pointee.reads &+= 1
    if session.pointee.flags.contains(.closing) { return }
    session.pointee.lastActive = monotonic
    if _fastPath(session.pointee.input.isEmpty && !session.pointee.flags.contains(.stalled)) {
      let taken = run(id.index, bytes)
      if taken < bytes.count { keep(id.index, bytes.slice(taken, bytes.count &- taken)) }
    } else {
      keep(id.index, bytes)
      if !session.pointee.flags.contains(.stalled) { runKept(id.index) }
    }
    afterRequests(id.index)
  }

  @inline(__always)
  private mutating func afterRequests(_ index: Int) {
    let session = sessions[index]
    markDirty(index)
    if _slowPath(!session.pointee.flags.isDisjoint(with: [.closing, .halfClosed])) {
      closeIfFinished(index)
    }
  }

  private mutating func keep(_ index: Int, _ bytes: UnsafeRawBufferPointer) {
    let session = sessions[index]
    session.pointee.input.append(bytes)
    if session.pointee.requestSince == 0 { session.pointee.requestSince = monotonic }
    let most =
      session.pointee.flags.contains(.needsLogin)
      ? Limits.unauthenticatedQueryBytes : clients.queryBytes
    if _slowPath(session.pointee.input.count > most) {
      discard(&session.pointee.input)
      close(index, "client-query-buffer-limit", .warning)
    }
    if session.pointee.input.capacity > Limits.largeBufferBytes { recount(index) }
    setReading(index)
  }

  /// Runs some of what was kept, and drops it as far as it was taken. The rest waits for the others'
  /// turn.
  private mutating func runKept(_ index: Int) {
    let session = sessions[index]
    let count = session.pointee.input.count
    let needed = session.pointee.parser.bytesNeeded
    guard count >= needed else { return }
    let slice = min(count, needed + Limits.keptBytesAtOnce)
    table.lender.begin(session.pointee.input)
    let taken = run(index, session.pointee.input.readable.slice(0, slice))
    table.lender.end(&session.pointee.input, consumed: taken)
    session.pointee.input.shrink(keeping: Limits.idleBufferBytes)
    if taken > 0 { session.pointee.requestSince = session.pointee.input.isEmpty ? 0 : monotonic }
    if session.pointee.counted > Limits.largeBufferBytes { recount(index) }
    if slice < count, session.pointee.flags.isDisjoint(with: [.stalled, .closing]),
      session.pointee.input.count >= session.pointee.parser.bytesNeeded
    {
      session.pointee.flags.insert(.stalled)
      resumeLater(index)
    }
    setReading(index)
  }

  /// A stalled connection is not read beyond a limit.
  private mutating func setReading(_ index: Int) {
    let session = sessions[index]
    let flags = session.pointee.flags
    let tooMuch =
      flags.contains(.stalled) && session.pointee.input.count > Limits.stalledInputBytes
    guard tooMuch != flags.contains(.paused) else { return }
    if tooMuch {
      session.pointee.flags.insert(.paused)
    } else {
      session.pointee.flags.remove(.paused)
    }
    let id = SessionID(index: index, generation: session.pointee.generation)
    actions.append(.setReading(id, !tooMuch))
  }

  /// Runs the requests at the front of `bytes`; returns how many bytes they took.
  ///
  /// Requests are parsed some at a time before the first of them runs, so that the memory that they
  /// will touch is fetched for all at once: see `Lookahead`.
  @inline(__always)
  private mutating func run(_ index: Int, _ bytes: UnsafeRawBufferPointer) -> Int {
    let session = sessions[index]
    let most = min(
      Limits.clientOutputBytes, session.pointee.waitingBytes &+ Limits.replyBytesAtOnce)
    var at = 0
    while at < bytes.count {
      var outcome = ParseOutcome.incomplete
      lookahead.count = 0
      // A login changes how large the request behind it may be.
      let depth =
        _slowPath(session.pointee.flags.contains(.needsLogin)) ? 1 : Lookahead.depth
      while lookahead.count < depth, at < bytes.count {
        let list = lookahead.lists + lookahead.count
        outcome = session.pointee.parser.next(
          bytes.slice(at, bytes.count &- at), into: &list.pointee)
        guard case .request(let length) = outcome else { break }
        if list.pointee.count > 0 { lookahead.append(offset: at) }
        at &+= length
      }
      if lookahead.count > 1, clusterState == .ok { warm(session.pointee.database) }
      beginRun(index)
      let stop = runLookahead(index, until: most)
      endRun()
      if let stop {
        return stop < 0 ? bytes.count : stop
      }
      switch outcome {
      case .request: continue
      case .incomplete: return at
      case .malformed(let error):
        protocolError(index, error)
        return bytes.count
      }
    }
    return at
  }

  /// Runs the parsed requests, until so many bytes of replies wait. Nil when all ran; else where the
  /// one that waits begins, -1 when the connection takes no more.
  @inline(__always)
  private mutating func runLookahead(_ index: Int, until most: Int) -> Int? {
    let session = sessions[index]
    let count = lookahead.count
    var place = 0
    while place < count {
      arguments = lookahead.lists + place
      located = lookahead.keys + place
      if _slowPath(session.pointee.waitingBytes > most) {
        endTurn(index)
        return forgetLookahead(session, from: place)
      }
      let length = session.pointee.output.pointee.count
      guard execute(index) else { return forgetLookahead(session, from: place) }
      commandEnds(replyBytes: session.pointee.output.pointee.count &- length)
      if _slowPath(session.pointee.flags.contains(.closing)) { return -1 }
      place &+= 1
    }
    return nil
  }

  /// A client has got as many replies as it may in one go, or does not read them.
  @inline(never)
  private mutating func endTurn(_ index: Int) {
    let session = sessions[index]
    session.pointee.flags.insert(.stalled)
    if session.pointee.waitingBytes > Limits.clientOutputBytes {
      session.pointee.flags.insert(.choked)
    } else {
      resumeLater(index)
    }
  }

  /// What was parsed and not run is parsed again later.
  private func forgetLookahead(_ session: UnsafeMutablePointer<Session>, from place: Int) -> Int {
    session.pointee.parser.restart()
    return lookahead.offsets[place]
  }

  /// Locates the keys of the parsed requests and fetches what finding them will touch.
  private mutating func warm(_ database: Int) {
    let keys = lookahead.keys
    let count = lookahead.count
    for place in 0..<count {
      let list = lookahead.lists + place
      guard list.pointee.count > 1 else { continue }
      let key = list.pointee[1]
      let slot = slotHasher.slot(of: key).index
      table.prefetch(database: database, slot: slot)
      keys[place] = LocatedKey(isValid: true, slot: slot, hash: table.hash(key))
    }
    table.prefetch(database: database, keys, count)
  }

  private mutating func protocolError(_ index: Int, _ error: ProtocolError) {
    log(.verbose, "protocol error of client id=\(sessions[index].pointee.id): \(error)")
    meter.pointee.isRunning = false
    let reply = beginReply(index)
    reply.buffer.pointee.appendError(Array("ERR Protocol error: ".utf8) + error.text)
    endReply(index, reply)
    closeAfterReplies(index)
  }

  // MARK: Replies

  /// Where the next reply of a session goes, and how long that buffer was before.
  struct OpenReply {
    var buffer: UnsafeMutablePointer<ByteBuffer>
    var start: Int
  }

  @inline(__always)
  mutating func beginReply(_ index: Int) -> OpenReply {
    let session = sessions[index]
    let buffer =
      _fastPath(session.pointee.queue.isEmpty)
      ? session.pointee.output : session.pointee.queue.staged
    return OpenReply(buffer: buffer, start: buffer.pointee.count)
  }

  /// Ends a reply: it is dropped when the client wants none, and queued behind waiting ones.
  @inline(__always)
  mutating func endReply(_ index: Int, _ reply: OpenReply) {
    let session = sessions[index]
    noteReply(reply.buffer, from: reply.start)
    if _slowPath(!session.pointee.flags.isDisjoint(with: [.silent, .skipThis])) {
      reply.buffer.pointee.truncate(to: reply.start)
    }
    if _slowPath(!session.pointee.queue.isEmpty) {
      session.pointee.queue.noteStaged(reply.buffer.pointee.count - reply.start)
    }
  }

  @inline(__always)
  mutating func markDirty(_ index: Int) {
    let session = sessions[index]
    if !session.pointee.flags.contains(.dirty), !session.pointee.output.pointee.isEmpty {
      session.pointee.flags.insert(.dirty)
      dirtySessions.append(
        SessionID(index: index, generation: session.pointee.generation))
    }
    if _slowPath(session.pointee.output.pointee.capacity > Limits.largeBufferBytes) {
      recount(index)
    }
  }

  /// The shell wrote some of the output of a client that was not reading: its commands go on.
  mutating func outputWritten(_ index: Int) {
    let session = sessions[index]
    guard session.pointee.flags.contains(.choked),
      session.pointee.waitingBytes <= Limits.clientOutputBytes / 2
    else { return }
    session.pointee.flags.remove(.choked)
    resumeLater(index)
  }

  /// Moves replies that are ready and next in order to the output.
  mutating func drainQueue(_ index: Int) {
    let session = sessions[index]
    while !session.pointee.queue.isEmpty {
      let head = session.pointee.queue.head
      if head.operation < 0 {
        session.pointee.output.pointee.append(
          moving: &session.pointee.queue.staged.pointee, head.bytes)
      } else {
        let operation = operations[Int(head.operation)]
        guard operation.pointee.isDone else { break }
        session.pointee.output.pointee.append(
          moving: &operation.pointee.reply.pointee, operation.pointee.reply.pointee.count)
        release(Int(head.operation))
      }
      session.pointee.queue.removeFirst()
    }
    markDirty(index)
    if session.pointee.inFlight == 0 {
      session.pointee.localKeys = 0
      session.pointee.forwardedKeys = 0
    }
    if session.pointee.flags.contains(.stalled), !session.pointee.flags.contains(.choked) {
      resumeLater(index)
    }
    closeIfFinished(index)
  }

  mutating func resumeLater(_ index: Int) {
    let session = sessions[index]
    guard !session.pointee.flags.contains(.resuming) else { return }
    session.pointee.flags.insert(.resuming)
    resuming.append(SessionID(index: index, generation: session.pointee.generation))
  }

  /// Goes on with the sessions whose way may be free now.
  mutating func resumeSessions() {
    guard !resuming.isEmpty else { return }
    var list: [SessionID] = []
    swap(&list, &resuming)
    for id in list {
      guard let session = session(id) else { continue }
      session.pointee.flags.remove([.resuming, .stalled])
      if session.pointee.flags.contains(.closing) { continue }
      runKept(id.index)
      afterRequests(id.index)
    }
  }

  /// The running command has to wait; it is shown again later.
  mutating func stall(_ index: Int) -> Bool {
    sessions[index].pointee.flags.insert(.stalled)
    // It counts when it runs.
    meter.pointee.isRunning = false
    statistics.pointee.commands &-= 1
    sessions[index].pointee.commands &-= 1
    return false
  }
}
