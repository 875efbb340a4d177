import Access
import PeerProtocol
import Primitives

// Who is at the other end of a link. Until that is known, nothing that comes from there changes
// anything but the link itself and some counters, and it costs no more than `Limits` says:
//
//     accepted or opened ─ own hello ─▶ greeted ─ proof (with a secret) ─▶ ready: takeHello
//           │                             │
//           └── garbage, another frame, too many bytes, too long, a wrong proof ──▶ closed
//
// Links are accepted in any number: when too many of them have not said who they are, the oldest of
// those goes, so that strangers that sit and wait keep no node out.

extension NodeCore {
  private var hasSecret: Bool { !configuration.clusterSecret.isEmpty }

  // MARK: Words

  mutating func sayHello(_ id: LinkID) {
    guard let link = link(id) else { return }
    let nonce = nonceGenerator.nonce().withUnsafeBytes { Nonce($0) } ?? Nonce()
    link.pointee.own = Hello(
      node: configuration.id, actor: actor, nonce: nonce, proves: hasSecret)
    link.pointee.unprovenUntil = monotonic + Limits.unprovenPatience
    linkOutput(id)?.pointee.appendHello(link.pointee.own)
  }

  /// Bytes of a link that is not ready.
  @inline(never)
  mutating func receiveUnproven(_ id: LinkID, _ bytes: UnsafeRawBufferPointer) {
    guard let link = link(id) else { return }
    let taken = min(bytes.count, Limits.unprovenBytes - link.pointee.input.count)
    link.pointee.input.append(bytes.slice(0, taken))
    while !link.pointee.isReady {
      switch Frame.decode(link.pointee.input.readable) {
      case .incomplete(let needed):
        if needed > Limits.unprovenBytes || taken < bytes.count {
          statistics.pointee.badFrames += 1
          refuse(id, "it sends more than a node does before it is known")
        }
        return
      case .malformed(let error):
        statistics.pointee.badFrames += 1
        return refuse(id, "bad frame, \(error)")
      case .frame(let frame, let length):
        guard takeUnproven(frame, id, link) else { return }
        link.pointee.input.consume(length)
      }
    }
    // The rest comes from a member.
    link.pointee.input.append(bytes.slice(taken, bytes.count - taken))
    if !link.pointee.input.isEmpty { runBufferedFrames(id, link) }
  }

  /// False when the link is closed.
  private mutating func takeUnproven(
    _ frame: Frame, _ id: LinkID, _ link: UnsafeMutablePointer<Link>
  ) -> Bool {
    switch (frame, link.pointee.theirs) {
    case (.hello(let hello), nil): return greet(hello, id, link)
    case (.proof(let proof), let hello?): return takeProof(proof, hello, id, link)
    default:
      statistics.pointee.badFrames += 1
      refuse(
        id,
        link.pointee.theirs == nil
          ? "its first frame is no hello" : "it speaks before it proved to know the cluster-secret")
      return false
    }
  }

  private mutating func greet(
    _ hello: Hello, _ id: LinkID, _ link: UnsafeMutablePointer<Link>
  ) -> Bool {
    guard hello.agreed != nil else {
      refuse(
        id,
        "it speaks versions \(hello.oldest) to \(hello.newest) of the peer protocol, this node "
          + "\(PeerProtocolVersion.oldest) to \(PeerProtocolVersion.newest)")
      return false
    }
    guard hello.proves == hasSecret else {
      refuse(
        id,
        hasSecret ? "it has no cluster-secret" : "it has a cluster-secret and this node has none")
      return false
    }
    link.pointee.theirs = hello
    guard hasSecret else { return admit(hello, id, link) }
    if link.pointee.isOutgoing { sayProof(id, link) }
    return true
  }

  // MARK: Proofs

  private func proof(
    of role: LinkProof.Role, _ theirs: Hello, _ link: UnsafeMutablePointer<Link>
  ) -> [UInt8] {
    let isOutgoing = link.pointee.isOutgoing
    return LinkProof.make(
      configuration.clusterSecret, role,
      dialler: isOutgoing ? link.pointee.own.bytes : theirs.bytes,
      acceptor: isOutgoing ? theirs.bytes : link.pointee.own.bytes)
  }

  private mutating func sayProof(_ id: LinkID, _ link: UnsafeMutablePointer<Link>) {
    guard let theirs = link.pointee.theirs else { return }
    let code = proof(of: link.pointee.isOutgoing ? .dialler : .acceptor, theirs, link)
    code.withUnsafeBytes { linkOutput(id)?.pointee.appendGossip(.proof, $0) }
  }

  private mutating func takeProof(
    _ given: UnsafeRawBufferPointer, _ hello: Hello, _ id: LinkID,
    _ link: UnsafeMutablePointer<Link>
  ) -> Bool {
    let expected = proof(of: link.pointee.isOutgoing ? .acceptor : .dialler, hello, link)
    guard LinkProof.areEqual(expected, given) else {
      refuse(id, "it does not know the cluster-secret")
      return false
    }
    if !link.pointee.isOutgoing {
      sayProof(id, link)
      // The other end is this node, too. It closes the link when it has read the proof.
      if hello.node == configuration.id { return true }
    }
    return admit(hello, id, link)
  }

  private mutating func admit(
    _ hello: Hello, _ id: LinkID, _ link: UnsafeMutablePointer<Link>
  ) -> Bool {
    guard takeHello(hello, id, link) else { return false }
    if link.pointee.isOutgoing {
      peers[link.pointee.peer].pointee.refusals = 0
      if let endpoint = link.pointee.endpoint { seedRefusals[endpoint] = nil }
    } else {
      unprovenLinks.removeAll { $0 == id }
    }
    return true
  }

  // MARK: Refusals

  /// Closes a link whose other end has not said who it is, or not well.
  private mutating func refuse(_ id: LinkID, _ why: String) {
    guard let link = link(id) else { return }
    link.pointee.wasRefused = true
    noteRefusal("closing the link \(linkName(link)): \(why)")
    dropLink(id, why, level: .debug)
  }

  /// The shell could not open a link that was dialled, for a reason that stays.
  mutating func linkRefused(_ id: LinkID, _ why: String) {
    guard let link = link(id) else { return }
    link.pointee.wasRefused = true
    noteRefusal("no link \(linkName(link)): \(why)")
    linkClosed(id)
  }

  /// Counts, and says so in the log now and then: strangers may come in any number.
  private mutating func noteRefusal(_ text: String) {
    statistics.pointee.refusedLinks += 1
    if let line = refusalLog.line(text, at: monotonic) { log(.warning, line) }
  }

  mutating func makePlaceForStranger() {
    let oldest = unprovenLinks.dropLast(clients.shares.strangers - 1)
    for id in oldest {
      refuse(id, "too many others wait that have not said who they are, either")
    }
  }

  func areStrangersYoung(at time: UInt64) -> Bool {
    guard unprovenLinks.count >= clients.shares.strangers, let oldest = link(unprovenLinks[0])
    else { return false }
    return time + Limits.unprovenPatience < oldest.pointee.unprovenUntil + Limits.strangerGrace
  }

  /// Closes a link that took too long to become ready.
  mutating func expireUnproven(_ id: LinkID) {
    guard let link = link(id), link.pointee.isConnected, !link.pointee.isReady,
      monotonic >= link.pointee.unprovenUntil
    else { return }
    noteRefusal("closing the link \(linkName(link)): it does not say who it is")
    dropLink(id, "it does not say who it is", level: .debug)
  }

  /// How long after the end of this link its other end is left alone, in microseconds. One that
  /// refuses this node, or that is refused, is asked less and less often; silence is no refusal.
  mutating func pauseBeforeRedial(_ link: UnsafeMutablePointer<Link>, _ id: LinkID) -> UInt64 {
    let usual = configuration.timing.redial
    guard !link.pointee.isReady else { return usual }
    guard link.pointee.isOutgoing else {
      unprovenLinks.removeAll { $0 == id }
      return usual
    }
    if !link.pointee.wasRefused {
      guard link.pointee.isConnected, !link.pointee.closeAsked else { return usual }
      let why =
        hasSecret && link.pointee.theirs != nil
        ? "it was closed there before a proof came: is the cluster-secret the same?"
        : "it was closed there before a hello came"
      noteRefusal("the link \(linkName(link)): \(why)")
    }
    var doublings: UInt8 = 0
    if let endpoint = link.pointee.endpoint, seedLinks[endpoint] != nil {
      doublings = seedRefusals[endpoint] ?? 0
      seedRefusals[endpoint] = min(doublings + 1, Limits.redialDoublings)
    }
    if link.pointee.peer > 0 {
      doublings = peers[link.pointee.peer].pointee.refusals
      peers[link.pointee.peer].pointee.refusals = min(doublings + 1, Limits.redialDoublings)
    }
    return usual << UInt64(doublings)
  }
}
