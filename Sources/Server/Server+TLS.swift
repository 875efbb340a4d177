import CacheNode
import Primitives
import Reactor

// # Connections over TLS
//
//     accepted ─▶ handshake ─▶ done: client or link, as over a plain socket
//     dialled  ─▶     │
//                     └─ failed, too late, too many others behind it: closed, and the node never
//                        hears of it but for links that it dialled
//
// Handshakes cost a thousand times what a command does, and everybody may begin them: a round takes
// a few steps of them only, the others wait in their sockets; there is a number and a time limit.
// What is sent afterwards goes the way of plain bytes, with the two turns that TLS may want: a read
// that has to write first, and a write that has to read first.

/// A connection whose handshake is under way.
final class Handshake {
  enum Kind: Int, CaseIterable {
    case client, acceptedPeer, dialledPeer
  }

  let kind: Kind
  let socket: Socket
  let tls: TLSStream
  let address: String
  /// Monotonic microseconds.
  let deadline: UInt64
  /// The link that was dialled.
  let peer: PeerConnection?
  var watcher: Watcher?
  var waitsForWriting = false

  init(
    _ kind: Kind, _ socket: Socket, _ tls: TLSStream, _ address: String, deadline: UInt64,
    peer: PeerConnection?
  ) {
    self.kind = kind
    self.socket = socket
    self.tls = tls
    self.address = address
    self.deadline = deadline
    self.peer = peer
  }
}

extension Server {
  // MARK: Handshakes

  /// A connection to a port that speaks TLS was accepted.
  func startHandshake(_ kind: Handshake.Kind, _ socket: Socket, _ address: String) {
    guard let context = tls.current,
      let stream = TLSStream.accepting(socket, context, isForPeer: kind == .acceptedPeer)
    else { return }
    while areHandshakesMany(kind) {
      fail(handshakes[kind.rawValue][0], "too many others came after it")
    }
    start(kind, socket, stream, address, nil)
  }

  /// Whether there are as many as may be.
  private func areHandshakesMany(_ kind: Handshake.Kind) -> Bool {
    handshakes[kind.rawValue].count >= node.handshakesAllowed(ofPeers: kind == .acceptedPeer)
  }

  /// Whether there are as many accepted ones of peers as may be, and the oldest began a moment ago.
  var arePeerHandshakesYoung: Bool {
    guard areHandshakesMany(.acceptedPeer),
      let oldest = handshakes[Handshake.Kind.acceptedPeer.rawValue].first
    else { return false }
    return now.monotonicMicroseconds + Limits.handshakePatience
      < oldest.deadline + Limits.strangerGrace
  }

  /// A link that this node dialled is connected.
  func startHandshake(_ peer: PeerConnection) {
    guard let context = tls.current, let stream = TLSStream.dialling(peer.socket, context) else {
      return lose(peer)
    }
    let handshake = start(.dialledPeer, peer.socket, stream, "", peer)
    peer.handshake = handshake
    step(handshake)
  }

  @discardableResult
  private func start(
    _ kind: Handshake.Kind, _ socket: Socket, _ stream: TLSStream, _ address: String,
    _ peer: PeerConnection?
  ) -> Handshake {
    let handshake = Handshake(
      kind, socket, stream, address,
      deadline: now.monotonicMicroseconds + Limits.handshakePatience, peer: peer)
    handshakes[kind.rawValue].append(handshake)
    wait(handshake, forWriting: false)
    return handshake
  }

  private func wait(_ handshake: Handshake, forWriting: Bool) {
    if handshake.watcher != nil, handshake.waitsForWriting == forWriting { return }
    retire(handshake.watcher)
    handshake.waitsForWriting = forWriting
    let descriptor = handshake.socket.descriptor
    handshake.watcher = loop.watch(forWriting ? .writable(descriptor) : .readable(descriptor)) {
      [unowned self, unowned handshake] in
      self.readClock()
      // The others stay ready: the loop comes back to them in the next round.
      guard self.handshakeSteps < Limits.handshakeStepsPerRound else { return }
      self.handshakeSteps += 1
      self.step(handshake)
    }
  }

  private func step(_ handshake: Handshake) {
    switch handshake.tls.handshake() {
    case .wantsRead: wait(handshake, forWriting: false)
    case .wantsWrite: wait(handshake, forWriting: true)
    case .failed(let why): fail(handshake, why)
    case .done:
      end(handshake)
      switch handshake.kind {
      case .client: openClient(handshake.socket, handshake.address, handshake.tls)
      case .acceptedPeer: openPeer(handshake.socket, handshake.address, handshake.tls)
      case .dialledPeer:
        guard let peer = handshake.peer else { return }
        peer.tls = handshake.tls
        linkOpened(peer)
      }
    }
  }

  /// Forgets a handshake; its connection goes unless somebody else has it.
  func end(_ handshake: Handshake) {
    retire(handshake.watcher)
    handshake.watcher = nil
    handshake.peer?.handshake = nil
    handshakes[handshake.kind.rawValue].removeAll { $0 === handshake }
    retired.append(handshake)
  }

  private func fail(_ handshake: Handshake, _ why: String) {
    end(handshake)
    switch handshake.kind {
    case .client:
      write(.verbose, "Error accepting a client connection: \(why) (addr=\(handshake.address))")
    case .acceptedPeer:
      let text = "no TLS with the node at \(handshake.address): \(why)"
      if let line = handshakeLog.line(text, at: now.monotonicMicroseconds) { write(.warning, line) }
    case .dialledPeer:
      guard let peer = handshake.peer else { return }
      let id = peer.id
      close(peer)
      node.linkRefused(id, "TLS: \(why)", now: now)
    }
  }

  /// Gives handshakes up that took too long. All have the same patience, so the oldest ends first.
  func expireHandshakes() {
    for kind in Handshake.Kind.allCases {
      while let oldest = handshakes[kind.rawValue].first,
        now.monotonicMicroseconds >= oldest.deadline
      {
        fail(oldest, "the handshake took too long")
      }
    }
  }

  func endAcceptedHandshakes() {
    for handshake in handshakes[Handshake.Kind.client.rawValue] { end(handshake) }
    for handshake in handshakes[Handshake.Kind.acceptedPeer.rawValue] { end(handshake) }
  }

  // MARK: Clients

  @inline(never)
  func readEncrypted(_ client: ClientConnection) {
    guard let tls = client.tls, !client.hasEnded else { return }
    repeat {
      switch tls.read(into: readBuffer) {
      case .bytes(let count):
        noteRead(count)
        node.sessionReceived(
          client.id, UnsafeRawBufferPointer(rebasing: readBuffer[0..<count]), now: now)
      case .wantsRead: break
      case .wantsWrite: setWriting(client, true)
      case .ended:
        client.reader?.stop()
        client.hasEnded = true
        node.sessionHalfClosed(client.id, now: now)
      case .failed: return close(client)
      }
      // An end behind the last bytes shows in no readiness.
    } while tls.ending != nil && !client.hasEnded
    if tls.writeWantsRead { flush(client) }
  }

  @inline(never)
  func flushEncrypted(_ client: ClientConnection) {
    guard let tls = client.tls else { return }
    var failed = false
    let isBlocked = node.withOutput(of: client.id, atMost: writtenAtOnce) { bytes in
      let taken = tls.write(bytes)
      failed = taken == nil
      roundWritten &+= taken ?? 0
      return taken ?? 0
    }
    if failed { return close(client) }
    if isBlocked, tls.writeWantsRead { client.reader?.start() }
    setWriting(client, isBlocked && !tls.writeWantsRead || tls.readWantsWrite)
  }

  func writable(_ client: ClientConnection) {
    if client.tls?.readWantsWrite ?? false { readEncrypted(client) }
    flush(client)
  }

  // MARK: Peers

  @inline(never)
  func readEncrypted(_ peer: PeerConnection) {
    guard let tls = peer.tls else { return }
    repeat {
      switch tls.read(into: readBuffer) {
      case .bytes(let count):
        node.linkReceived(
          peer.id, UnsafeRawBufferPointer(rebasing: readBuffer[0..<count]), now: now)
      case .wantsRead: break
      case .wantsWrite: setWriting(peer, true)
      case .ended, .failed: return lose(peer)
      }
    } while tls.ending != nil
    if tls.writeWantsRead { flush(peer) }
  }

  @inline(never)
  func flushEncrypted(_ peer: PeerConnection) {
    guard let tls = peer.tls else { return }
    var failed = false
    let isBlocked = node.withOutput(of: peer.id) { bytes in
      let taken = tls.write(bytes)
      failed = taken == nil
      return taken ?? 0
    }
    if failed { return lose(peer) }
    setWriting(peer, isBlocked && !tls.writeWantsRead || tls.readWantsWrite)
  }

  func writable(_ peer: PeerConnection) {
    if peer.tls?.readWantsWrite ?? false { readEncrypted(peer) }
    flush(peer)
  }
}
