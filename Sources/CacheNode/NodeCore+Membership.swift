import Keyspaces
import Membership
import Objects
import PeerProtocol
import Placement
import Primitives
import RESP

extension NodeCore {
  // MARK: Start

  /// Takes up what the node remembers and starts to look for the others.
  mutating func start() {
    peers.takeOwn(id: configuration.id)
    peerIndices[configuration.id] = 0
    applyParameters()
    members.updateOwn { $0.status = .joining }
    if let saved = configuration.saved { restore(saved) }
    for register in configuration.keyspaceRegisters { takeFirstValue(register) }
    for seed in configuration.seeds { seedLinks[seed] = 0 }
    let isAlone = members.count == 1
    if members.own.status == .forgotten {
      clusterState = .removed
      seedLinks = [:]
    } else if !seedLinks.isEmpty, isAlone {
      clusterState = .forming
    }
    // What a lone node does not have nobody has; others may hold what this process lost.
    held = isAlone ? .all : SlotSet()
    liveness[0] = isAlone ? 2 : 1
    if !isAlone { members.updateOwn { $0.isFilled = false } }
    formingSince = monotonic
    settingsChanged()
    membersChanged()
    timers.gossip = monotonic + configuration.timing.gossip
    timers.upkeep = monotonic + configuration.timing.expiry
    timers.expiry = timers.upkeep
    timers.reap = timers.upkeep
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
    for record in records {
      if record.id == configuration.id {
        members.updateOwn {
          $0.status = record.status
          $0.era = record.era
          $0.weight = record.weight
        }
      } else {
        var record = record
        record.health = .alive
        _ = members.merge(record, now: wall)
      }
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

  mutating func addPeer(_ id: UInt64) -> Int? {
    guard let index = peers.take() else { return nil }
    peers[index].pointee = Peer()
    peers[index].pointee.id = id
    peerIndices[id] = index
    liveness[index] = 0
    return index
  }

  /// Records of another node's table, one or all.
  mutating func takeMembers(_ bytes: UnsafeRawBufferPointer, _ id: LinkID) -> Bool {
    guard let records = MemberTable.decode(bytes), let link = link(id) else {
      statistics.pointee.badFrames += 1
      dropLink(id, "malformed members")
      return false
    }
    guard clusterState != .removed else { return true }
    let sender = peers[link.pointee.peer].pointee.id
    let wasAlone = members.count == 1
    for record in records { swim.take(record, from: sender, monotonic, wall, &swimActions) }
    if wasAlone, members.count > 1 { metOthers() }
    runSwim(answering: nil)
    return true
  }

  /// This node was alone and is no more. With data it is as good as the others; without any it is a
  /// newcomer, whatever it called itself.
  private mutating func metOthers() {
    let status: MemberStatus = isEmpty ? .joining : .joined
    guard members.own.status != status, members.own.status.isMember else { return }
    changeOwn { $0.status = status }
  }

  /// Takes up a node that is known to belong here. False when the link is closed.
  mutating func takeHello(
    _ hello: Hello, _ id: LinkID, _ link: UnsafeMutablePointer<Link>
  ) -> Bool {
    if hello.node == configuration.id {
      // A seed that is this node itself.
      if let endpoint = link.pointee.endpoint { seedLinks[endpoint] = nil }
      dropLink(id, "it leads to this node itself", level: .debug)
      return false
    }
    let strangers = strangersLinked()
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
      let expected = link.pointee.peer
      dropLink(id, "another node answers at this address")
      peers[expected].pointee.nextDial = monotonic + configuration.timing.redialMistaken
      return false
    }
    link.pointee.peer = peer
    link.pointee.isReady = true
    if link.pointee.isOutgoing {
      setLiveness(peer, members[hello.node].map { $0.isFilled ? 2 : 1 } ?? 1)
    }
    introduce(id, to: hello.node)
    return true
  }

  /// Nodes without a record that have a link to this one.
  private func strangersLinked() -> Int {
    var strangers: Set<Int> = []
    for index in 0..<links.end where links[index].pointee.isOpen && links[index].pointee.isReady {
      let peer = links[index].pointee.peer
      if peer > 0, members[peers[peer].pointee.id] == nil { strangers.insert(peer) }
    }
    return strangers.count
  }

  /// A peer that dials anew has given its last link up.
  mutating func dropOlderLinks(from peer: Int, besides id: LinkID) {
    for index in 0..<links.end where index != id.index && links[index].pointee.isOpen {
      let other = links[index]
      guard !other.pointee.isOutgoing, other.pointee.peer == peer, other.pointee.isReady else {
        continue
      }
      dropLink(LinkID(index: index, generation: other.pointee.generation), "there is a newer one")
    }
  }

  /// The first words on a link: the own record, and what this node knows of the other; then hashes of
  /// the rest, so that whole tables are sent only where they differ.
  private mutating func introduce(_ id: LinkID, to other: UInt64) {
    guard let output = linkOutput(id) else { return }
    var records = [members.own]
    // Who has left says so to whoever has not heard it, and nothing else.
    if clusterState != .removed, let known = members[other] { records.append(known) }
    scratch.pointee.removeAll()
    scratch.pointee.append(littleEndian: UInt32(records.count))
    for record in records { record.encode(to: &scratch.pointee) }
    output.pointee.appendGossip(.members, scratch.pointee.readable)
    if clusterState == .removed { return }
    scratch.pointee.removeAll()
    settings.encode(to: &scratch.pointee)
    output.pointee.appendGossip(.settings, scratch.pointee.readable)
    sendDigest(output)
  }

  /// Sends all that gossip spreads over one link, as far as the budget for whole tables goes.
  private mutating func sendState(_ id: LinkID) {
    guard tableBudget > 0, let output = linkOutput(id) else { return }
    scratch.pointee.removeAll()
    members.encode(to: &scratch.pointee)
    output.pointee.appendGossip(.members, scratch.pointee.readable)
    tableBudget -= scratch.pointee.count
    scratch.pointee.removeAll()
    settings.encode(to: &scratch.pointee)
    output.pointee.appendGossip(.settings, scratch.pointee.readable)
    tableBudget -= scratch.pointee.count
  }

  mutating func takeDigest(
    _ memberDigest: UInt64, _ settingDigest: UInt64, _ stamp: Stamp, _ id: LinkID
  ) {
    guard clusterState != .removed else { return }
    _ = clock.observe(stamp, wallMilliseconds: wall, maximumSkew: maximumSkew)
    if memberDigest != members.digest || settingDigest != settings.digest { sendState(id) }
  }

  // MARK: Settings

  mutating func takeSettings(_ bytes: UnsafeRawBufferPointer, _ id: LinkID) -> Bool {
    guard let incoming = KeyspaceSettings.decode(bytes) else {
      statistics.pointee.badFrames += 1
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
    sourceSlots = [:]
    replant()
    if tracked != nil { trackSlots(newOnesAreHeld: true) }
    routeEpoch += 1
    actions.append(.save(savedState()))
  }

  mutating func announceSettings() {
    scratch.pointee.removeAll()
    settings.encode(to: &scratch.pointee)
    for peer in 1..<max(1, peers.end) {
      peerOutput(peer)?.pointee.appendGossip(.settings, scratch.pointee.readable)
    }
  }

  /// Drops what a flush has covered. All of a database at once when nothing in it is newer.
  mutating func applyBarrier(_ database: Int) {
    let barrier = settings.barriers[database]
    hints.flush(database: database, upTo: barrier)
    if table.flush(database: database, upTo: barrier) { return }
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
        _ = table.store(
          siblings: set, database: database, slot: slot, hash: hash, key: key,
          tree: policies[keyspaceMap.index(for: key)].tree)
      }
    }
  }

  // MARK: Dialling

  /// Dials the members and seeds to which there is no link.
  mutating func dialMissing() {
    guard clusterState != .removed || !seedLinks.isEmpty else { return }
    for member in members.members where member.id != configuration.id {
      guard let peer = peerIndex(member.id), peers[peer].pointee.outLink < 0,
        peers[peer].pointee.nextDial <= monotonic, clusterState != .removed
      else { continue }
      dial(Endpoint(host: member.host, port: member.peerPort), peer: peer)
      if member.health == .dead {
        peers[peer].pointee.nextDial = monotonic + configuration.timing.redialDead
      }
    }
    for (endpoint, due) in seedLinks.sorted(by: { $0.key.sortKey < $1.key.sortKey })
    where due <= monotonic {
      seedLinks[endpoint] = .max
      dial(endpoint, peer: -1)
    }
    let hasWaited = monotonic - formingSince > configuration.timing.seedGrace
    if clusterState == .forming, hasWaited, members.count == 1 {
      log(.warning, "no seed answers; this node starts a cluster of its own")
      clusterState = .ok
      changeOwn { $0.status = .joined }
      applyRecords()
    }
  }

  mutating func checkLinks() {
    for link in goneLinks { dropLink(link, "that node is out of the cluster") }
    goneLinks.removeAll()
    // A process that was stopped itself does not know who was silent meanwhile.
    let hasSlept = monotonic - linksCheckedAt > configuration.timing.linkDeadAfter / 2
    linksCheckedAt = monotonic
    for index in 0..<links.end where links[index].pointee.isOpen {
      let link = links[index]
      let id = LinkID(index: index, generation: link.pointee.generation)
      if hasSlept { link.pointee.health.resumed(at: monotonic) }
      let verdict = link.pointee.health.verdict(
        at: monotonic, pingInterval: configuration.timing.pingInterval,
        deadAfter: configuration.timing.linkDeadAfter)
      switch verdict {
      case .fine: break
      case .ping: if link.pointee.isReady { linkOutput(id)?.pointee.appendPing(monotonic) }
      case .dead: dropLink(id, "it is silent")
      }
      expireUnproven(id)
    }
  }

  /// Tells one peer, by chance, what this node knows, in three hashes.
  mutating func gossip() {
    let budget = Limits.tableBytesPerSecond
    tableBudget = min(
      budget, tableBudget + budget * Int(configuration.timing.gossip) / 1_000_000)
    guard clusterState != .removed else { return }
    let alive = (1..<max(1, peers.end)).filter { liveness[$0] > 0 }
    guard !alive.isEmpty else { return }
    var peer = alive[generator.below(alive.count)]
    if sabotaged(.hashOrder), let first = Set(alive.map { "\($0)" }).first {
      peer = Int(first) ?? peer
    }
    if let output = peerOutput(peer) { sendDigest(output) }
  }

  private mutating func sendDigest(_ output: UnsafeMutablePointer<ByteBuffer>) {
    let stamp = clock.next(wallMilliseconds: wall)
    output.pointee.appendDigest(members: members.digest, settings: settings.digest, clock: stamp)
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
