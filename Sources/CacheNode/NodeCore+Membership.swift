import Keyspaces
import Membership
import Objects
import PeerProtocol
import Placement
import Primitives

extension NodeCore {
  // MARK: Start

  /// Takes up what the node remembers and starts to look for the others.
  mutating func start() {
    peers.takeOwn(id: configuration.id)
    peerIndices[configuration.id] = 0
    applyParameters()
    var isFilled = true
    if let saved = configuration.saved {
      restore(saved)
      isFilled = members.joined.count == 1
    }
    for register in configuration.keyspaceRegisters { takeFirstValue(register) }
    for seed in configuration.seeds { seedLinks[seed] = 0 }
    if !seedLinks.isEmpty, members.joined.count == 1 {
      clusterState = .forming
      isFilled = false
    }
    if !isFilled {
      members.updateOwn { $0.isFilled = false }
      refill = Refill(startedAt: monotonic)
    }
    liveness[0] = isFilled ? 2 : 1
    membersChanged()
    settingsChanged()
    timers.gossip = monotonic + configuration.timing.gossip
    timers.expiry = monotonic + configuration.timing.expiry
  }

  /// A value of the conf file. It is below every CONFIG SET, whose stamps are larger by 16 bits, and
  /// above what an earlier start's conf file said otherwise.
  private mutating func takeFirstValue(_ register: SettingRegister) {
    var register = register
    let firstStampOfCommands: UInt64 = 1 << 48
    if let known = settings.registers.first(where: { $0.name == register.name }),
      known.version.stamp.rawValue < firstStampOfCommands
    {
      if known.value == register.value { return }
      register.version.stamp = Stamp(rawValue: wall)
    }
    _ = settings.merge(register)
  }

  private mutating func restore(_ saved: SavedState) {
    let records = saved.members.withUnsafeBytes { MemberTable.decode($0) } ?? []
    for record in records where record.id != configuration.id {
      _ = members.merge(record, now: wall)
    }
    if let old = saved.settings.withUnsafeBytes({ KeyspaceSettings.decode($0) }) {
      takeSettings(old.registers, old.barriers)
    }
  }

  func savedState() -> SavedState {
    var memberBytes = ByteBuffer()
    members.encode(to: &memberBytes)
    var settingBytes = ByteBuffer()
    settings.encode(to: &settingBytes)
    return SavedState(
      id: configuration.id, incarnation: members.own.incarnation, members: memberBytes.bytes,
      settings: settingBytes.bytes)
  }

  // MARK: Members

  func peerIndex(_ id: UInt64) -> Int? { peerIndices[id] }

  /// Computes what follows from the members: peers, ring, policies; and keeps them on disk.
  mutating func membersChanged() {
    var ringMembers: [RingMember] = []
    for member in members.joined {
      guard let index = peerIndex(member.id) ?? addPeer(member.id) else { continue }
      if index != 0, liveness[index] > 0 { setLiveness(index, member.isFilled ? 2 : 1) }
      ringMembers.append(
        RingMember(
          id: member.id, index: UInt16(index), zone: member.zone, weight: Int(member.weight)))
    }
    ring = Ring(ringMembers)
    ringMemberCount = ringMembers.count
    routeEpoch += 1
    resolvePolicies()
    actions.append(.save(savedState()))
  }

  private mutating func addPeer(_ id: UInt64) -> Int? {
    guard let index = peers.take() else { return nil }
    peers[index].pointee = Peer()
    peers[index].pointee.id = id
    peerIndices[id] = index
    liveness[index] = 0
    return index
  }

  mutating func takeMembers(_ bytes: UnsafeRawBufferPointer, _ id: LinkID) -> Bool {
    guard let records = MemberTable.decode(bytes) else {
      statistics.badFrames += 1
      dropLink(id, "malformed members")
      return false
    }
    let wasAlone = members.joined.count == 1
    var changed = false
    var refuted = false
    for record in records {
      switch members.merge(record, now: wall) {
      case .changed: changed = true
      case .refuted:
        changed = true
        refuted = true
      case .known: break
      case .refused:
        log(.warning, "refused a member's record with an impossible incarnation")
      }
    }
    if refuted { log(.warning, "another node had this one's record wrong; it was corrected") }
    guard changed else { return true }
    if wasAlone, members.joined.count > 1 { joinedOthers() }
    membersChanged()
    announceMembers()
    return true
  }

  /// This node was alone and is no more. With nothing in memory it is the newcomer, and does not
  /// know what it should hold until it has asked.
  private mutating func joinedOthers() {
    clusterState = .ok
    let isEmpty = (0..<table.databases).allSatisfy { table.liveCount(database: $0) == 0 }
    guard isEmpty, refill == nil else { return }
    members.updateOwn { $0.isFilled = false }
    refill = Refill(startedAt: monotonic)
    setLiveness(0, 1)
  }

  /// Sends all records to all peers: after a change here.
  mutating func announceMembers() {
    scratch.pointee.removeAll()
    members.encode(to: &scratch.pointee)
    announce(.members)
  }

  private mutating func announce(_ kind: FrameKind) {
    for peer in 1..<max(1, peers.end) {
      peerOutput(peer)?.pointee.appendGossip(kind, scratch.pointee.readable)
    }
  }

  mutating func takeHello(
    _ hello: Hello, _ id: LinkID, _ link: UnsafeMutablePointer<Link>
  ) -> Bool {
    guard hello.agreed != nil else {
      dropLink(
        id,
        "it speaks versions \(hello.oldest) to \(hello.newest) of the peer protocol, this node "
          + "\(PeerProtocolVersion.oldest) to \(PeerProtocolVersion.newest)")
      return false
    }
    if hello.node == configuration.id {
      // A seed that is this node itself.
      if let endpoint = link.pointee.endpoint { seedLinks[endpoint] = nil }
      dropLink(id, "it leads to this node itself", level: .debug)
      return false
    }
    let strangers = peers.count - members.members.count
    let isKnown = peerIndex(hello.node) != nil
    guard isKnown || strangers < Limits.strangers,
      let peer = peerIndex(hello.node) ?? addPeer(hello.node)
    else {
      dropLink(id, "there are too many members")
      return false
    }
    if link.pointee.isOutgoing, link.pointee.peer < 0 {
      if let endpoint = link.pointee.endpoint { seedLinks[endpoint] = nil }
      if peers[peer].pointee.outLink >= 0, peers[peer].pointee.outLink != id.index {
        dropLink(id, "there is one to that node already", level: .debug)
        return false
      }
      peers[peer].pointee.outLink = id.index
    } else if link.pointee.isOutgoing, link.pointee.peer != peer {
      dropLink(id, "another node answers at this address")
      return false
    }
    link.pointee.peer = peer
    link.pointee.isReady = true
    if link.pointee.isOutgoing {
      setLiveness(peer, members[hello.node].map { $0.isFilled ? 2 : 1 } ?? 1)
    }
    sendState(id)
    return true
  }

  /// Sends all that gossip spreads over one link.
  private mutating func sendState(_ id: LinkID) {
    guard let output = linkOutput(id) else { return }
    scratch.pointee.removeAll()
    members.encode(to: &scratch.pointee)
    output.pointee.appendGossip(.members, scratch.pointee.readable)
    scratch.pointee.removeAll()
    settings.encode(to: &scratch.pointee)
    output.pointee.appendGossip(.settings, scratch.pointee.readable)
  }

  mutating func takeDigest(
    _ memberDigest: UInt64, _ settingDigest: UInt64, _ stamp: Stamp, _ id: LinkID
  ) {
    _ = clock.observe(stamp, wallMilliseconds: wall, maximumSkew: maximumSkew)
    if memberDigest != members.digest || settingDigest != settings.digest { sendState(id) }
  }

  // MARK: Settings

  mutating func takeSettings(_ bytes: UnsafeRawBufferPointer, _ id: LinkID) -> Bool {
    guard let incoming = KeyspaceSettings.decode(bytes) else {
      statistics.badFrames += 1
      dropLink(id, "malformed settings")
      return false
    }
    if takeSettings(incoming.registers, incoming.barriers) {
      settingsChanged()
      announceSettings()
    }
    return true
  }

  @discardableResult
  private mutating func takeSettings(
    _ registers: [SettingRegister], _ barriers: [Stamp]
  ) -> Bool {
    var changed = false
    for register in registers {
      guard
        clock.observe(
          register.version.stamp, wallMilliseconds: wall, maximumSkew: maximumSkew)
      else { continue }
      if settings.merge(register) { changed = true }
    }
    for (database, barrier) in barriers.enumerated() {
      guard clock.observe(barrier, wallMilliseconds: wall, maximumSkew: maximumSkew) else {
        continue
      }
      if settings.merge(barrier: barrier, database: database) {
        applyBarrier(database)
        changed = true
      }
    }
    return changed
  }

  mutating func settingsChanged() {
    resolvePolicies()
    routeEpoch += 1
    actions.append(.save(savedState()))
  }

  mutating func announceSettings() {
    scratch.pointee.removeAll()
    settings.encode(to: &scratch.pointee)
    announce(.settings)
  }

  /// Drops what a flush has covered. All of a database at once when nothing in it is newer.
  mutating func applyBarrier(_ database: Int) {
    let barrier = settings.barriers[database]
    var sets: [[UInt8]] = []
    for slot in 0..<Slot.count where table.totalCount(database: database, slot: slot) > 0 {
      table.sweep(database: database, slot: slot) { walked in
        if walked.object.version.stamp <= barrier { return .remove }
        if walked.object.isSiblings { sets.append(Array(walked.key)) }
        return .keep
      }
    }
    // Of a set with a newer sibling the older ones go.
    for key in sets {
      key.withUnsafeBytes { key in
        let slot = slotHasher.slot(of: key).index
        let hash = table.hash(key)
        guard
          var set = table.object(database: database, slot: slot, hash: hash, key: key)
            .flatMap({ SiblingSet($0) })
        else { return }
        set.removeSiblings(upTo: barrier)
        _ = table.store(siblings: set, database: database, slot: slot, hash: hash, key: key)
      }
    }
  }

  // MARK: Dialling

  /// Dials the members and seeds to which there is no link.
  mutating func dialMissing() {
    for member in members.joined where member.id != configuration.id {
      guard let peer = peerIndex(member.id), peers[peer].pointee.outLink < 0,
        peers[peer].pointee.nextDial <= monotonic
      else { continue }
      dial(Endpoint(host: member.host, port: member.peerPort), peer: peer)
    }
    for (endpoint, due) in seedLinks.sorted(by: { $0.key.sortKey < $1.key.sortKey })
    where due <= monotonic {
      seedLinks[endpoint] = .max
      dial(endpoint, peer: -1)
    }
    let hasWaited = monotonic - startedAt.monotonicMicroseconds > configuration.timing.seedGrace
    if clusterState == .forming, hasWaited, members.joined.count == 1 {
      log(.warning, "no seed answers; this node starts a cluster of its own")
      clusterState = .ok
    }
  }

  mutating func checkLinks() {
    for index in 0..<links.end where links[index].pointee.isOpen {
      let link = links[index]
      let id = LinkID(index: index, generation: link.pointee.generation)
      let verdict = link.pointee.health.verdict(
        at: monotonic, pingInterval: configuration.timing.pingInterval,
        deadAfter: configuration.timing.linkDeadAfter)
      switch verdict {
      case .fine: break
      case .ping: if link.pointee.isReady { linkOutput(id)?.pointee.appendPing(monotonic) }
      case .dead: dropLink(id, "it is silent")
      }
    }
  }

  /// Tells one peer, by chance, what this node knows, in three hashes.
  mutating func gossip() {
    let alive = (1..<max(1, peers.end)).filter { liveness[$0] > 0 }
    guard !alive.isEmpty else { return }
    var peer = alive[generator.below(alive.count)]
    if sabotaged(.hashOrder), let first = Set(alive.map { "\($0)" }).first {
      peer = Int(first) ?? peer
    }
    let stamp = clock.next(wallMilliseconds: wall)
    peerOutput(peer)?.pointee.appendDigest(
      members: members.digest, settings: settings.digest, clock: stamp)
  }
}

extension Endpoint {
  var sortKey: String { "\(host):\(port)" }
}

extension Slab where Value == Peer {
  /// Place 0 is this node.
  mutating func takeOwn(id: UInt64) {
    let index = take()
    invariant(index == 0, "this node is not the first of its peers")
    self[0].pointee.id = id
  }
}
