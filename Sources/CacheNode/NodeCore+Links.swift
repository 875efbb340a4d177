import Membership
import Objects
import PeerProtocol
import Placement
import Primitives
import RESP
import Storage

extension NodeCore {
  // MARK: Outputs

  @inline(__always)
  func link(_ id: LinkID) -> UnsafeMutablePointer<Link>? {
    let link = links[id.index]
    return link.pointee.generation == id.generation && link.pointee.isOpen ? link : nil
  }

  /// Where frames for a link go; nil when it is closed or hopelessly behind.
  @inline(__always)
  mutating func linkOutput(_ id: LinkID) -> UnsafeMutablePointer<ByteBuffer>? {
    guard let link = link(id), link.pointee.isConnected else { return nil }
    if !link.pointee.isDirty {
      link.pointee.isDirty = true
      // Requests go out on dialled links only: the other ones wait for nothing.
      if link.pointee.isOutgoing { link.pointee.health.sent(at: monotonic) }
      dirtyLinks.append(id)
    }
    if _slowPath(link.pointee.output.pointee.totalCount > Limits.peerOutputBytes) {
      overfullLinks.append(id)
      return nil
    }
    return link.pointee.output
  }

  /// Where requests for a peer go; nil when it is down.
  @inline(__always)
  mutating func peerOutput(_ peer: Int) -> UnsafeMutablePointer<ByteBuffer>? {
    guard liveness[peer] > 0 else { return nil }
    let index = peers[peer].pointee.outLink
    guard index >= 0 else { return nil }
    return linkOutput(LinkID(index: index, generation: links[index].pointee.generation))
  }

  /// Where a write for a peer goes. The node that forwarded the command gets it on the link that
  /// the reply takes, in front of it, so that the client's next command there finds it.
  @inline(__always)
  mutating func writeOutput(
    _ peer: Int, echo: LinkID?
  ) -> UnsafeMutablePointer<ByteBuffer>? {
    if let echo, let link = link(echo), link.pointee.peer == peer { return linkOutput(echo) }
    return peerOutput(peer)
  }

  // MARK: Opening and closing

  mutating func acceptLink(from address: String) -> LinkID? {
    makePlaceForStranger()
    guard let index = links.take() else { return nil }
    links[index].pointee.open(isOutgoing: false, endpoint: nil)
    links[index].pointee.address = address
    let id = LinkID(index: index, generation: links[index].pointee.generation)
    unprovenLinks.append(id)
    sayHello(id)
    return id
  }

  mutating func dial(_ endpoint: Endpoint, peer: Int) {
    guard let index = links.take() else { return }
    let link = links[index]
    link.pointee.open(isOutgoing: true, endpoint: endpoint)
    link.pointee.peer = peer
    if peer >= 0 {
      peers[peer].pointee.outLink = index
      peers[peer].pointee.nextDial = monotonic + configuration.timing.redial
    }
    actions.append(
      .connect(LinkID(index: index, generation: link.pointee.generation), endpoint))
  }

  mutating func linkOpened(_ id: LinkID) {
    guard let link = link(id), !link.pointee.isConnected else { return }
    link.pointee.isConnected = true
    link.pointee.health = LinkHealth()
    sayHello(id)
  }

  /// Closes a link from this side.
  mutating func dropLink(_ id: LinkID, _ why: String, level: LogLevel = .notice) {
    guard let link = link(id), !link.pointee.closeAsked else { return }
    link.pointee.closeAsked = true
    log(level, "closing the link \(linkName(link)): \(why)")
    actions.append(.closeLink(id))
    linkClosed(id)
  }

  func linkName(_ link: UnsafeMutablePointer<Link>) -> String {
    let way = link.pointee.isOutgoing ? "to" : "from"
    if link.pointee.peer > 0, let member = members[peers[link.pointee.peer].pointee.id] {
      return "\(way) \(member.host):\(member.peerPort)"
    }
    if let endpoint = link.pointee.endpoint { return "\(way) \(endpoint.host):\(endpoint.port)" }
    return link.pointee.address.isEmpty ? "from a stranger" : "from \(link.pointee.address)"
  }

  mutating func linkClosed(_ id: LinkID) {
    guard let link = link(id) else { return }
    let pause = pauseBeforeRedial(link, id)
    link.pointee.isOpen = false
    discard(&link.pointee.input)
    discard(&link.pointee.output.pointee)
    links.free(id.index)
    let peer = link.pointee.peer
    if let endpoint = link.pointee.endpoint, seedLinks[endpoint] != nil {
      seedLinks[endpoint] = monotonic + pause
    }
    guard peer > 0, peers[peer].pointee.outLink == id.index else { return }
    countLoss(of: link, peer)
    peers[peer].pointee.outLink = -1
    peers[peer].pointee.nextDial = monotonic + pause
    setLiveness(peer, 0)
    peers[peer].pointee.lastAlive = monotonic
    peers[peer].pointee.comparesSince = 0
    abandon(peer: peer)
    endExchanges(with: peer)
  }

  private func countLoss(of link: UnsafeMutablePointer<Link>, _ peer: Int) {
    if !link.pointee.isConnected {
      peers[peer].pointee.dialsFailed += 1
    } else if link.pointee.closeAsked {
      peers[peer].pointee.linksGivenUp += 1
    } else {
      peers[peer].pointee.linksLost += 1
    }
  }

  mutating func setLiveness(_ peer: Int, _ value: UInt8) {
    guard liveness[peer] != value else { return }
    let before = liveness[peer]
    liveness[peer] = value
    routeEpoch += 1
    guard peer != 0, (before == 0) != (value == 0) else { return }
    let name = members[peers[peer].pointee.id].map { "\($0.host):\($0.port)" } ?? "?"
    log(.notice, value == 0 ? "node \(name) is down" : "node \(name) is up")
  }

  func alivePeers() -> Int { (1..<max(1, peers.end)).filter { liveness[$0] > 0 }.count }

  // MARK: Bytes

  mutating func linkReceived(_ id: LinkID, _ bytes: UnsafeRawBufferPointer) {
    guard let link = link(id) else { return }
    if meter.pointee.roundStart == 0 { meter.pointee.roundStart = stepBegins() }
    statistics.pointee.peerInputBytes &+= bytes.count
    if link.pointee.peer > 0 { peers[link.pointee.peer].pointee.receivedBytes &+= bytes.count }
    link.pointee.health.heard(at: monotonic)
    if _slowPath(!link.pointee.isReady) { return receiveUnproven(id, bytes) }
    if _fastPath(link.pointee.input.isEmpty) {
      let taken = runFrames(id, bytes)
      guard let link = self.link(id) else { return }
      if taken < bytes.count {
        link.pointee.input.append(bytes.slice(taken, bytes.count &- taken))
      }
      return
    }
    link.pointee.input.append(bytes)
    if link.pointee.peer > 0, link.pointee.input.count >= Limits.bigValueBytes {
      peers[link.pointee.peer].pointee.largeAt = monotonic
    }
    runBufferedFrames(id, link)
  }

  /// Runs the frames in a link's input.
  mutating func runBufferedFrames(_ id: LinkID, _ link: UnsafeMutablePointer<Link>) {
    // A frame may close its own link, and with it this buffer: it is taken out while it is read.
    var input = ByteBuffer()
    swap(&input, &link.pointee.input)
    table.lender.begin(input)
    let taken = runFrames(id, input.readable)
    table.lender.end(&input, consumed: taken)
    guard let link = self.link(id) else { return bury(&input) }
    input.shrink(keeping: Limits.idleBufferBytes << 4)
    swap(&input, &link.pointee.input)
  }

  private mutating func runFrames(_ id: LinkID, _ bytes: UnsafeRawBufferPointer) -> Int {
    var at = 0
    while at < bytes.count {
      switch Frame.decode(bytes.slice(at, bytes.count &- at)) {
      case .incomplete: return at
      case .malformed(let error):
        statistics.pointee.badFrames += 1
        dropLink(id, "bad frame, \(error)")
        return bytes.count
      case .frame(let frame, let length):
        guard take(frame, from: id) else { return bytes.count }
        at &+= length
      }
    }
    return at
  }

  // MARK: Frames

  /// Acts on one frame. False when the link is closed.
  @inline(__always)
  private mutating func take(_ frame: Frame, from id: LinkID) -> Bool {
    guard let link = link(id) else { return false }
    if _slowPath(!link.pointee.hasSpoken) { firstWord(id, link) }
    switch frame {
    case .write(let request, let database, let key, let object, let wantsAnswer):
      takeWrite(id, request, database, key, object, wantsAnswer)
    case .hint(let request, let home, let database, let key, let object, let wantsAnswer):
      takeHint(id, request, home, database, key, object, wantsAnswer)
    case .written(let request, let status, let stamp):
      if let operation = operation(request), operation.pointee.kind == .write {
        answeredWritten(operation, from: link.pointee.peer, status, stamp)
      }
    case .read(let request, let database, let key, let held, let digest):
      takeRead(id, request, database, key, held, digest)
    case .same(let request):
      if let operation = reader(request) { answeredSame(operation, from: link.pointee.peer) }
    case .behind(let request, let knows):
      if let operation = reader(request) {
        answeredBehind(operation, from: link.pointee.peer, knows: knows)
      }
    case .object(let request, let object):
      if let operation = reader(request) {
        answeredObject(operation, from: link.pointee.peer, object)
      }
    case .forward(let request, let database, let resp, let bytes):
      takeForward(id, request, database, resp, bytes)
    case .reply(let request, let bytes):
      if let operation = operation(request), operation.pointee.target == link.pointee.peer {
        answeredForward(operation, bytes)
      }
    case .query(let request, let kind, let database, let parameters):
      takeQuery(id, request, kind, database, parameters)
    case .answer(let request, let bytes):
      takeAnswer(request, bytes, from: link.pointee.peer)
    default:
      return takeGossip(frame, id)
    }
    return true
  }

  /// The first frame behind the hello. A dialler that found another node than it looked for says
  /// nothing more, and must not cost this one its good link.
  @inline(never)
  private mutating func firstWord(_ id: LinkID, _ link: UnsafeMutablePointer<Link>) {
    link.pointee.hasSpoken = true
    if !link.pointee.isOutgoing { dropOlderLinks(from: link.pointee.peer, besides: id) }
  }

  @inline(__always)
  private func reader(_ request: RequestID) -> UnsafeMutablePointer<Operation>? {
    guard let operation = operation(request),
      operation.pointee.kind == .read
        || (operation.pointee.kind == .modify && !operation.pointee.hasWritten)
    else { return nil }
    return operation
  }

  private mutating func takeGossip(_ frame: Frame, _ id: LinkID) -> Bool {
    switch frame {
    case .ping(let time): linkOutput(id)?.pointee.appendPong(time)
    case .pong: break
    case .members(let bytes): return takeMembers(bytes, id)
    case .settings(let bytes): return takeSettings(bytes, id)
    case .digest(let members, let settings, let stamp): takeDigest(members, settings, stamp, id)
    case .swim(let bytes): return takeSwim(bytes, id)
    default:
      statistics.pointee.badFrames += 1
      dropLink(id, "a second hello")
      return false
    }
    return true
  }

  @inline(__always)
  private mutating func takeWrite(
    _ id: LinkID, _ request: RequestID, _ database: Int, _ key: UnsafeRawBufferPointer,
    _ object: ObjectView, _ wantsAnswer: Bool
  ) {
    guard database < table.databases, key.count <= Limits.bulkBytes else { return }
    let slot = slotHasher.slot(of: key).index
    if _slowPath(isOverLimit), !hasRoom(for: object) {
      if wantsAnswer { linkOutput(id)?.pointee.appendWritten(request, .refused, .zero) }
      return
    }
    let outcome = merge(
      database: database, slot: slot, hash: table.hash(key), key: key, incoming: object)
    guard wantsAnswer, let output = linkOutput(id) else { return }
    switch outcome {
    case .changed, .same: output.pointee.appendWritten(request, .merged, .zero)
    case .superseded(let version):
      output.pointee.appendWritten(request, .superseded, version.stamp)
    case .refused: output.pointee.appendWritten(request, .refused, .zero)
    }
  }

  @inline(__always)
  private mutating func takeRead(
    _ id: LinkID, _ request: RequestID, _ database: Int, _ key: UnsafeRawBufferPointer,
    _ held: Version, _ digest: UInt64
  ) {
    guard database < table.databases, let output = linkOutput(id) else { return }
    let slot = slotHasher.slot(of: key).index
    // A node that lost its memory may hold an old version: it does not vote. Nor does a stand-in,
    // but for what it keeps.
    let hash = table.hash(key)
    let object =
      _fastPath(isTracked(slot))
      ? table.read(database: database, slot: slot, hash: hash, key: key)
      : ownObject(database, slot, hash, key)
    let votes = self.held.contains(slot) || (object != nil && !isTracked(slot))
    guard votes || sabotaged(.emptyVotes) else {
      return output.pointee.appendBehind(request, knows: false)
    }
    guard let object else {
      if held == .none {
        output.pointee.appendSame(request)
      } else {
        output.pointee.appendBehind(request, knows: true)
      }
      return
    }
    if object.isSiblings || digest != 0 {
      if digest == self.digest(object), held == object.version {
        output.pointee.appendSame(request)
      } else {
        output.pointee.appendObject(request, object)
      }
      return
    }
    if object.version == held {
      output.pointee.appendSame(request)
    } else if object.version > held {
      output.pointee.appendObject(request, object)
    } else {
      output.pointee.appendBehind(request, knows: true)
    }
  }

  // MARK: Forwarded commands

  private mutating func takeForward(
    _ id: LinkID, _ request: RequestID, _ database: Int, _ resp: UInt8,
    _ bytes: UnsafeRawBufferPointer
  ) {
    var parser = RequestParser()
    arguments = lookahead.lists
    guard database < table.databases,
      parser.next(bytes, into: &arguments.pointee) == .request(length: bytes.count),
      arguments.pointee.count > 0
    else { return refuseForward(id, request, "ERR malformed forwarded command") }
    guard clusterState == .ok else {
      return refuseForward(id, request, "TRYAGAIN the node is not in the cluster yet")
    }
    if let output = linkOutput(id), output.pointee.totalCount > Limits.peerOutputBytes / 2 {
      return refuseForward(id, request, "TRYAGAIN too many replies wait for the node in between")
    }
    let number = commandIndex.find(arguments.pointee[0])
    guard number >= 0, commandIndex.entries[number].accepts(arguments.pointee.count) else {
      return refuseForward(id, request, "ERR the owner does not know this command")
    }
    let entry = commandIndex.entries[number]
    if _slowPath(entry.isDeniedWhenOutOfMemory && isOverLimit), !makeRoom() {
      return refuseForward(id, request, NodeCore.outOfMemoryText)
    }
    if entry.handler == .msetnx { return startForwardedMSETNX(id, request, database, resp) }
    guard entry.access != .none else {
      return refuseForward(id, request, "ERR this command is not forwarded")
    }
    guard arguments.pointee.count > entry.firstKey else {
      return refuseForward(id, request, "ERR this command is not forwarded")
    }
    let key = arguments.pointee[entry.firstKey]
    var call = KeyCall(
      handler: entry.handler, access: entry.access, database: database,
      slot: slotHasher.slot(of: key).index, hash: table.hash(key), keyIndex: entry.firstKey,
      policy: keyspaceMap.index(for: key), resp: resp)
    if call.handler == .set, setReads(arguments) { call.access = .modify }
    // Forwarded once, never twice: whoever sent it sees the ring otherwise than this node.
    let copies = policies[call.policy].copies
    guard
      ownRank(call.slot, copies: copies) >= 0 || isTracked(call.slot)
        || (call.access != .modify && policies[call.policy].isSloppy)
    else { return refuseForward(id, request, "TRYAGAIN the key's owners are changing") }
    guard needsOperation(call) else {
      replyScratch.pointee.removeAll()
      runHere(call, arguments, replyScratch, echoTo: id)
      linkOutput(id)?.pointee.appendReply(request, moving: &replyScratch.pointee)
      replyScratch.pointee.removeAll()
      replyScratch.pointee.shrink(keeping: Limits.idleBufferBytes)
      return
    }
    guard let operation = takeOperation(.read, .link(id, request)) else {
      return refuseForward(id, request, NodeCore.tooManyText)
    }
    begin(operation, call, arguments)
  }

  mutating func refuseForward(_ id: LinkID, _ request: RequestID, _ text: String) {
    replyScratch.pointee.removeAll()
    replyScratch.pointee.appendError(text)
    linkOutput(id)?.pointee.appendReply(request, replyScratch.pointee.readable)
  }
}
