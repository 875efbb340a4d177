import Membership
import Objects
import PeerProtocol
import Placement
import Primitives
import Storage

// The two sides of a comparison: see Exchange.swift.

extension NodeCore {
  // MARK: The asking side

  /// Starts to pull from a peer. False when there is no place or nothing to compare.
  mutating func startExchange(
    _ peer: Int, _ purpose: Exchange.Purpose, _ parts: [Exchange.Part]
  ) -> Bool {
    guard !parts.isEmpty, let place = exchanges.firstIndex(where: { $0 == nil }) else {
      return false
    }
    exchangeCount &+= 1
    exchanges[place] = Exchange(
      peer: peer, purpose: purpose, number: exchangeCount, parts: parts, startedAt: monotonic)
    stepExchange(place)
    return true
  }

  func isExchanging(with peer: Int, _ purpose: Exchange.Purpose) -> Bool {
    exchanges.contains { $0.map { $0.peer == peer && $0.purpose == purpose } ?? false }
  }

  /// Sends the next query of a comparison, if the budget has room for its answer.
  mutating func stepExchange(_ place: Int) {
    guard let exchange = exchanges[place], !exchange.isAsked, transferBudget > 0 else { return }
    guard let output = peerOutput(exchange.peer) else {
      exchanges[place] = nil
      return
    }
    scratch.pointee.removeAll()
    scratch.pointee.append(littleEndian: exchange.number)
    if exchange.part == exchange.parts.count {
      // Only a whole comparison of what both own says something of what the asker has.
      if exchange.purpose != .antiEntropy || exchange.hasRefusals { return endExchange(place) }
      scratch.pointee.append(littleEndian: plan.targetID)
      return ask(place, .compared, 0, output)
    }
    let part = exchange.parts[exchange.part]
    scratch.pointee.append(part.trees)
    if let branch = exchange.branches.first {
      if exchange.wants.isEmpty {
        appendBranches(exchange, part, branch.database)
        return ask(place, .branch, branch.database, output)
      }
      appendWants(exchange)
      return ask(place, .want, branch.database, output)
    }
    scratch.pointee.append(exchange.part == 0 && exchange.purpose == .antiEntropy ? 1 : 0)
    scratch.pointee.append(littleEndian: plan.targetID)
    scratch.pointee.append(littleEndian: root(part))
    part.slots.encode(to: &scratch.pointee)
    ask(place, .compare, 0, output)
  }

  /// The leaves of the next branches, behind where the first of them goes on.
  private mutating func appendBranches(
    _ exchange: Exchange, _ part: Exchange.Part, _ database: Int
  ) {
    scratch.pointee.append(UInt8(exchange.slot))
    scratch.pointee.append(littleEndian: exchange.position)
    for (_, branch) in exchange.nextBranches {
      scratch.pointee.append(UInt8(branch))
      for slot in branch * Exchange.branchSlots..<(branch + 1) * Exchange.branchSlots {
        let isWanted = part.slots.contains(slot)
        scratch.pointee.append(isWanted ? 1 : 0)
        let digest = isWanted ? table.digest(database: database, slot: slot, trees: part.trees) : 0
        scratch.pointee.append(littleEndian: digest)
      }
    }
  }

  private mutating func appendWants(_ exchange: Exchange) {
    var left = Limits.wantedObjects
    for want in exchange.wants where left > 0 {
      let elements = want.elements.prefix(left)
      left -= elements.count
      scratch.pointee.append(littleEndian: UInt16(want.slot))
      scratch.pointee.append(littleEndian: UInt32(elements.count))
      for element in elements { scratch.pointee.append(littleEndian: element) }
    }
  }

  private mutating func ask(
    _ place: Int, _ kind: QueryKind, _ database: Int,
    _ output: UnsafeMutablePointer<ByteBuffer>
  ) {
    exchanges[place]?.isAsked = true
    statistics.pointee.exchangeBytes += scratch.pointee.count
    output.pointee.appendQuery(
      RequestID(rawValue: UInt32(place)), kind, database: database, scratch.pointee.readable)
  }

  /// An answer to a comparison's query came.
  mutating func takeExchange(_ place: Int, _ bytes: UnsafeRawBufferPointer, from peer: Int) {
    guard place < exchanges.count, let exchange = exchanges[place], exchange.peer == peer,
      exchange.isAsked, bytes.integer(0, as: UInt32.self) == exchange.number
    else { return }
    exchanges[place]?.isAsked = false
    statistics.pointee.exchangeBytes += bytes.count
    transferBudget -= bytes.count
    let body = bytes.slice(4, bytes.count - 4)
    if exchange.part == exchange.parts.count { return endExchange(place) }
    if !exchange.wants.isEmpty {
      takeWanted(place, exchange, body)
    } else if let (database, _) = exchange.branches.first {
      takeBranches(place, exchange, database, body)
    } else {
      takeCompared(place, exchange, body)
    }
    skipFinished(place)
    stepExchange(place)
  }

  /// Goes to the next part when the present one has no branch left.
  private mutating func skipFinished(_ place: Int) {
    guard let exchange = exchanges[place] else { return }
    if exchange.branches.isEmpty, exchange.wants.isEmpty { exchanges[place]?.part += 1 }
  }

  private mutating func takeCompared(
    _ place: Int, _ exchange: Exchange, _ body: UnsafeRawBufferPointer
  ) {
    var reader = FieldReader(body)
    let part = exchange.parts[exchange.part]
    guard let differs = reader.integer(UInt8.self), differs == 2 else { return }
    var branches: [(database: Int, branch: Int)] = []
    while let database = reader.integer(UInt8.self), Int(database) < table.databases {
      for branch in 0..<Exchange.branches {
        guard let theirs = reader.integer(UInt64.self) else { return }
        // What only this node has is pulled by the other one.
        if theirs != 0, theirs != hash(part, Int(database), branch) {
          branches.append((Int(database), branch))
        }
      }
    }
    exchanges[place]?.branches = branches
    exchanges[place]?.slot = 0
    exchanges[place]?.position = 0
  }

  private mutating func takeBranches(
    _ place: Int, _ exchange: Exchange, _ database: Int, _ body: UnsafeRawBufferPointer
  ) {
    var reader = FieldReader(body)
    let asked = exchange.nextBranches.count
    guard let done = reader.integer(UInt8.self), let slot = reader.integer(UInt8.self),
      let position = reader.integer(UInt32.self), Int(done) <= asked
    else {
      exchanges[place]?.branches.removeFirst(asked)
      return
    }
    let hasMoved = done > 0 || Int(slot) > exchange.slot || position != exchange.position
    while let kind = reader.integer(UInt8.self), let index = reader.integer(UInt16.self),
      let length = reader.integer(UInt32.self), let section = reader.take(Int(length)),
      Int(index) < Slot.count, exchange.slots.contains(Int(index))
    {
      if kind == 1 {
        takeObjects(place, database, section)
      } else {
        noteWants(place, database, Int(index), section)
      }
    }
    // Wants that are left belong to branches that are done: only their database counts.
    exchanges[place]?.passed = hasMoved ? Int(done) : asked
    exchanges[place]?.slot = hasMoved ? Int(slot) : 0
    exchanges[place]?.position = hasMoved ? position : 0
    if exchanges[place]?.wants.isEmpty ?? true { passBranches(place) }
  }

  private mutating func passBranches(_ place: Int) {
    guard let passed = exchanges[place]?.passed, passed > 0 else { return }
    exchanges[place]?.branches.removeFirst(passed)
    exchanges[place]?.passed = 0
    exchanges[place]?.known = nil
  }

  /// Which of the other's objects are not here.
  private mutating func noteWants(
    _ place: Int, _ database: Int, _ slot: Int, _ section: UnsafeRawBufferPointer
  ) {
    var known = exchanges[place]?.known
    exchanges[place]?.known = nil
    if known?.slot != slot {
      var elements: Set<UInt64> = []
      _ = table.walk(database: database, slot: slot, from: .start, count: .max) {
        elements.insert($0.element)
      }
      known = (slot, elements)
    }
    var wanted: [UInt64] = []
    for index in 0..<section.count / 8 {
      guard let element = section.integer(index * 8, as: UInt64.self) else { break }
      if known?.elements.contains(element) == false { wanted.append(element) }
    }
    exchanges[place]?.known = known
    if !wanted.isEmpty { exchanges[place]?.wants.append((slot, wanted)) }
  }

  private mutating func takeWanted(
    _ place: Int, _ exchange: Exchange, _ body: UnsafeRawBufferPointer
  ) {
    guard let (database, _) = exchange.branches.first else { return }
    let got = takeObjects(place, database, body)
    // When nothing came, it is gone or has changed over there; the next comparison sees.
    var left: [(slot: Int, elements: [UInt64])] = []
    for want in exchange.wants where !got.isEmpty {
      let elements = want.elements.filter { !got.contains($0) }
      if !elements.isEmpty { left.append((want.slot, elements)) }
    }
    exchanges[place]?.wants = left
    if left.isEmpty { passBranches(place) }
  }

  /// Merges objects: u32 key length | key | u32 length | object, each. Returns their hashes.
  @discardableResult
  private mutating func takeObjects(
    _ place: Int, _ database: Int, _ bytes: UnsafeRawBufferPointer
  ) -> Set<UInt64> {
    var reader = FieldReader(bytes)
    var got: Set<UInt64> = []
    let isFill = exchanges[place]?.purpose == .fill
    var count = 0
    while let keyLength = reader.integer(UInt32.self), let key = reader.take(Int(keyLength)),
      let length = reader.integer(UInt32.self), let raw = reader.take(Int(length)),
      let object = ObjectView.decode(raw)
    {
      got.insert(Table.element(object))
      let slot = slotHasher.slot(of: key).index
      let hash = table.hash(key)
      count += 1
      if _slowPath(isNearLimit), !fits(database, slot, hash, key, object, place) { continue }
      let outcome = mergeRepair(database, slot, hash, key, object)
      if outcome == .refused { exchanges[place]?.hasRefusals = true }
      if outcome == .changed, !isFill { exchanges[place]?.repairs += 1 }
    }
    statistics.pointee.transferredKeys += isFill ? count : 0
    if isFill { transfer.note(bytes: bytes.count, keys: count, now: monotonic) }
    return got
  }

  /// Near `maxmemory`: whether to take what a comparison brings. What anti-entropy misses here may
  /// have been evicted; slots that this node gains come all the same, and others go for them.
  private mutating func fits(
    _ database: Int, _ slot: Int, _ hash: UInt64, _ key: UnsafeRawBufferPointer,
    _ object: ObjectView, _ place: Int
  ) -> Bool {
    if exchanges[place]?.purpose == .antiEntropy {
      let isHere = table.object(database: database, slot: slot, hash: hash, key: key) != nil
      if !isHere { exchanges[place]?.skipped += 1 }
      return isHere
    }
    if hasRoom(for: object) { return true }
    exchanges[place]?.hasRefusals = true
    return false
  }

  /// Merges what another node holds. A key that is dead everywhere and forgotten here is not taken up
  /// again: the other one will forget it, too.
  private mutating func mergeRepair(
    _ database: Int, _ slot: Int, _ hash: UInt64, _ key: UnsafeRawBufferPointer,
    _ object: ObjectView
  ) -> MergeOutcome {
    if _slowPath(!sabotage.isEmpty) {
      if let outcome = repairSabotaged(database, slot, hash, key, object) { return outcome }
    }
    if isReapable(object),
      table.object(database: database, slot: slot, hash: hash, key: key) == nil
    {
      return .same
    }
    // That a comparison brings an older version is no write that was lost.
    let discarded = statistics.pointee.discarded
    defer { statistics.pointee.discarded = discarded }
    return merge(database: database, slot: slot, hash: hash, key: key, incoming: object)
  }

  /// The planted bugs of repair.
  private mutating func repairSabotaged(
    _ database: Int, _ slot: Int, _ hash: UInt64, _ key: UnsafeRawBufferPointer,
    _ object: ObjectView
  ) -> MergeOutcome? {
    let stored = table.object(database: database, slot: slot, hash: hash, key: key)
    guard !object.isSiblings, !(stored?.isSiblings ?? false) else { return nil }
    if sabotaged(.revival), stored?.isTombstone ?? false, !object.isTombstone {
      return table.store(database: database, slot: slot, hash: hash, key: key, object: object)
        ? .changed : .refused
    }
    if sabotaged(.restlessRepair), object.version > stored?.version ?? .none {
      var fresh = object
      fresh.version = nextVersion()
      return table.store(database: database, slot: slot, hash: hash, key: key, object: fresh)
        ? .changed : .refused
    }
    return nil
  }

  private mutating func endExchange(_ place: Int) {
    guard let exchange = exchanges[place] else { return }
    exchanges[place] = nil
    statistics.pointee.exchanges += 1
    statistics.pointee.repairs += exchange.repairs
    peers[exchange.peer].pointee.comparedAt = monotonic
    // What was refused (a clock too far ahead) is asked for again another time.
    if exchange.hasRefusals {
      peers[exchange.peer].pointee.pullAt = monotonic + Limits.refusedPatience
      return
    }
    switch exchange.purpose {
    case .antiEntropy:
      // What was evicted here would come, and be left out, every time.
      if exchange.skipped > exchange.repairs + Limits.wantedObjects {
        peers[exchange.peer].pointee.compareAt = monotonic + 8 * antiEntropyPeriod
      }
      // Comparisons that follow each other leave no other moment in which nothing is awaited.
      noteSettled()
    case .fill:
      pulled[exchange.peer, default: SlotSet()].formUnion(
        exchange.slots.subtracting(exchange.outdated))
    case .handover: tellTaken(exchange)
    }
    if exchange.purpose == .fill { stepFill() }
  }

  /// A peer is gone: its comparisons end, and begin anew when it is back.
  mutating func endExchanges(with peer: Int) {
    for place in exchanges.indices where exchanges[place]?.peer == peer { exchanges[place] = nil }
    leftovers.asked[peer] = nil
    // It may come back without what it had taken.
    leftovers.taken[peer] = nil
    hints.lost(peers[peer].pointee.id)
  }

  // MARK: Hashes

  /// A branch's hash: 0 when there is nothing in it.
  private func hash(_ part: Exchange.Part, _ database: Int, _ branch: Int) -> UInt64 {
    var sum: UInt64 = 0
    for slot in branch * Exchange.branchSlots..<(branch + 1) * Exchange.branchSlots
    where part.slots.contains(slot) {
      let digest = table.digest(database: database, slot: slot, trees: part.trees)
      if digest != 0 { sum &+= mix(digest ^ mix(UInt64(slot))) }
    }
    return sum
  }

  private func root(_ part: Exchange.Part) -> UInt64 {
    var sum: UInt64 = 0
    for database in 0..<table.databases where !isUnused(database) {
      for branch in 0..<Exchange.branches {
        let hash = hash(part, database, branch)
        if hash != 0 { sum &+= mix(hash ^ mix(UInt64(database << 8 | branch))) }
      }
    }
    return sum
  }

  // MARK: The asked side

  /// Answers `compare`.
  mutating func answerCompare(
    _ parameters: UnsafeRawBufferPointer, asker: Int
  ) -> ByteBuffer? {
    guard parameters.count == 22 + SlotSet.bytes, asker > 0,
      let ringID = parameters.integer(6, as: UInt64.self),
      let theirRoot = parameters.integer(14, as: UInt64.self),
      let slots = SlotSet(parameters.slice(22, SlotSet.bytes))
    else { return nil }
    if parameters[5] == 1 {
      let isAgreed = ringID == plan.targetID && !isChanging
      peers[asker].pointee.comparesSince = isAgreed ? wall : 0
    }
    let part = Exchange.Part(slots: slots, trees: parameters[4])
    var answer = ByteBuffer()
    answer.append(parameters.slice(0, 4))
    guard root(part) != theirRoot else {
      answer.append(1)
      return answer
    }
    answer.append(2)
    for database in 0..<table.databases where !isUnused(database) {
      answer.append(UInt8(database))
      for branch in 0..<Exchange.branches {
        answer.append(littleEndian: hash(part, database, branch))
      }
    }
    return answer
  }

  /// Answers `branch`: the leaves of some branches, and where in the first of them to go on.
  func answerBranch(_ database: Int, _ parameters: UnsafeRawBufferPointer) -> ByteBuffer? {
    guard parameters.count > 10, (parameters.count - 10) % Exchange.branchBytes == 0,
      database < table.databases, let start = parameters.integer(6, as: UInt32.self)
    else { return nil }
    let count = (parameters.count - 10) / Exchange.branchBytes
    guard count <= Exchange.branchesAtOnce else { return nil }
    var sections = Sections(trees: parameters[4])
    var offset = Int(parameters[5])
    var position = start
    var done = 0
    while done < count, sections.hasRoom {
      let leaves = parameters.slice(10 + done * Exchange.branchBytes, Exchange.branchBytes)
      guard leaves[0] < Exchange.branches else { return nil }
      appendBranch(database, leaves, &offset, &position, &sections)
      if offset < Exchange.branchSlots { break }
      done += 1
      offset = 0
      position = 0
    }
    var answer = ByteBuffer()
    answer.append(parameters.slice(0, 4))
    answer.append(UInt8(done))
    answer.append(UInt8(offset))
    answer.append(littleEndian: position)
    answer.append(moving: &sections.bytes, sections.bytes.count)
    return answer
  }

  /// What of one branch differs, as far as there is room.
  private func appendBranch(
    _ database: Int, _ leaves: UnsafeRawBufferPointer, _ offset: inout Int,
    _ position: inout UInt32, _ sections: inout Sections
  ) {
    while offset < Exchange.branchSlots, sections.hasRoom {
      let slot = Int(leaves[0]) * Exchange.branchSlots + offset
      let theirs = leaves.integer(2 + offset * 9, as: UInt64.self) ?? 0
      let isWanted = leaves[1 + offset * 9] == 1
      let ours = table.digest(database: database, slot: slot, trees: sections.trees)
      guard isWanted, position != 0 || (ours != theirs && ours != 0) else {
        offset += 1
        position = 0
        continue
      }
      let next = appendSlot(database, slot, from: position, asObjects: theirs == 0, &sections)
      position = next?.rawValue ?? 0
      if next == nil { offset += 1 }
    }
  }

  /// A slot's objects, or the hashes of them. Returns where to go on; nil when it is done.
  private func appendSlot(
    _ database: Int, _ slot: Int, from position: UInt32, asObjects: Bool,
    _ sections: inout Sections
  ) -> ScanPosition? {
    let start = sections.begin(asObjects ? 1 : 2, slot)
    var next: ScanPosition? = ScanPosition(rawValue: position)
    while let from = next, sections.hasRoom {
      next = table.walk(
        database: database, slot: slot, from: from, count: asObjects ? 1 : 1024
      ) { walked in
        sections.looked += 1
        guard sections.trees >> UInt8(walked.tree) & 1 == 1 else { return }
        if asObjects {
          sections.bytes.appendObject(walked.key, walked.object)
        } else {
          sections.bytes.append(littleEndian: walked.element)
        }
      }
    }
    sections.end(start)
    return next
  }

  /// Answers `want`: u16 slot | u32 count | hashes, each.
  func answerWant(_ database: Int, _ parameters: UnsafeRawBufferPointer) -> ByteBuffer? {
    guard parameters.count >= 5, database < table.databases else { return nil }
    var reader = FieldReader(parameters.slice(5, parameters.count - 5))
    var answer = ByteBuffer()
    answer.append(parameters.slice(0, 4))
    while !reader.isAtEnd {
      guard let slot = reader.integer(UInt16.self), slot < Slot.count,
        let count = reader.integer(UInt32.self), let raw = reader.take(Int(count) * 8)
      else { return nil }
      var wanted: Set<UInt64> = []
      for index in 0..<Int(count) {
        if let element = raw.integer(index * 8, as: UInt64.self) { wanted.insert(element) }
      }
      var objects = ByteBuffer()
      let room = Exchange.answerBytes - answer.totalCount
      _ = table.walk(database: database, slot: Int(slot), from: .start, count: .max) { walked in
        guard objects.totalCount < room, wanted.contains(walked.element) else { return }
        objects.appendObject(walked.key, walked.object)
      }
      answer.append(moving: &objects, objects.count)
    }
    return answer
  }

  /// Answers `compared`: the asker has all that this node had when it began.
  mutating func answerCompared(
    _ parameters: UnsafeRawBufferPointer, asker: Int
  ) -> ByteBuffer? {
    guard parameters.count == 12, asker > 0, let ringID = parameters.integer(4, as: UInt64.self)
    else { return nil }
    let isAgreed = ringID == plan.targetID && !isChanging
    peers[asker].pointee.hasAllUpTo = isAgreed ? peers[asker].pointee.comparesSince : 0
    peers[asker].pointee.comparesSince = 0
    return ByteBuffer(parameters.slice(0, 4))
  }
}

/// The part of an answer to `branch` behind its head: u8 kind | u16 slot | u32 length | bytes, each.
private struct Sections: ~Copyable {
  let trees: UInt8
  var bytes = ByteBuffer()
  var looked = 0

  init(trees: UInt8) { self.trees = trees }

  var hasRoom: Bool {
    bytes.totalCount < Exchange.answerBytes && looked < Exchange.answerObjects
  }

  /// Where a section begins, without and with the large values that are attached in front of it.
  struct Start {
    let plain: Int
    let total: Int
  }

  mutating func begin(_ kind: UInt8, _ slot: Int) -> Start {
    bytes.append(kind)
    bytes.append(littleEndian: UInt16(slot))
    bytes.append(littleEndian: UInt32(0))
    return Start(plain: bytes.count, total: bytes.totalCount)
  }

  mutating func end(_ start: Start) {
    bytes.patch(littleEndian: UInt32(bytes.totalCount - start.total), at: start.plain - 4)
  }
}

extension ByteBuffer {
  /// u32 key length | key | u32 length | object. A large value is attached.
  fileprivate mutating func appendObject(_ key: UnsafeRawBufferPointer, _ object: ObjectView) {
    append(littleEndian: UInt32(key.count))
    append(key)
    append(littleEndian: UInt32(object.encodedSize))
    object.encode(attachingTo: &self)
  }
}
