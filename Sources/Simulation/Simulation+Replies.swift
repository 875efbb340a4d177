import CacheNode
import Objects

extension Simulation {
  func received(
    _ place: SimulatedNode, _ session: SessionID, _ bytes: UnsafeRawBufferPointer
  ) {
    guard let client = place.clients[session] else { return }
    client.received += bytes
    var at = 0
    while let reply = Reply.read(client.received, at: &at) {
      guard let issued = client.nextIssued() else {
        return fail("client \(client.index) got a reply that it did not ask for")
      }
      judge(client, issued, reply)
    }
    client.received.removeFirst(at)
    if !client.isWaiting, phase == .load, client.index >= 0 { rest(client) }
  }

  /// Errors that a cluster in trouble may answer.
  private static let refusals = ["NOREPLICAS", "NOQUORUM", "TRYAGAIN", "CLUSTERDOWN"]

  private func judge(_ client: SimulatedClient, _ issued: Issued, _ reply: Reply) {
    if issued.key == tracedKey { print("\(world.now) client \(client.index) ← \(reply)") }
    if case .operation(let then) = issued.kind { return then(reply) }
    if client.index < 0 { finalReplies += 1 }
    if let word = reply.errorWord, Simulation.refusals.contains(word) {
      return refused(client, issued, reply)
    }
    switch issued.kind {
    case .own(let words): return judgeOwn(client, words, reply)
    default: if case .error(let text) = reply { return fail("\(issued.key): answered \(text)") }
    }
    accept(client, issued, reply)
  }

  private func refused(_ client: SimulatedClient, _ issued: Issued, _ reply: Reply) {
    errors += 1
    if client.index < 0 {
      return fail("\(issued.key) at node \(client.node): \(reply) after the heal")
    }
    // Only a write that may have been applied leaves the state open.
    if case .own = issued.kind, reply.errorWord == "NOQUORUM" {
      client.doubtful.insert(issued.key)
    }
    if hadQuorum(client, sentAt: issued.sentAt) {
      fail(
        "\(issued.key) at node \(client.node): \(reply), sent at \(issued.sentAt), though nothing "
          + "changed since \(calmSince) and enough owners are in touch")
    }
  }

  private func accept(_ client: SimulatedClient, _ issued: Issued, _ reply: Reply) {
    switch issued.kind {
    case .own, .any, .operation: break
    case .write(let value): history.acknowledged(issued.key, value, at: world.now)
    case .readVersioned: judgeRead(issued, reply)
    case .add(let value, let covered):
      siblings.acknowledged(issued.key, value)
      siblings.replaced(issued.key, covered)
    case .removeSiblings(let covered): siblings.replaced(issued.key, covered)
    case .readSiblings: noteSiblings(client, issued, reply)
    case .expiring(let value, let ttl):
      expiries.acknowledged(value, deadAt: world.now + UInt64(ttl + 1 + options.skew) * 1000)
    case .readExpiring:
      guard let value = reply.text,
        let problem = expiries.problem(
          issued.key, value, start: issued.sentAt, lag: world.widestSkew)
      else { return }
      fail(problem)
    case .doom: deletions.written(issued.key, by: client.index)
    // With 0 the deleter's quorum did not see the write: nothing was deleted.
    case .delete: if reply == .integer(1) { deletions.deleted(issued.key) }
    case .readDeleted: judgeDeleted(client, issued, reply)
    case .readStanding:
      guard options.survivesCrashes, reply.text == nil else { return }
      fail("\(issued.key): written and never deleted, and not found")
    }
  }

  // MARK: Own keys

  private var checksOrder: Bool {
    options.survivesCrashes
      && ((options.isStrict && options.writesMeet) || (!options.isDatagram && options.isLossless))
  }

  private func judgeOwn(_ client: SimulatedClient, _ words: [String], _ reply: Reply) {
    guard checksOrder, !client.doubtful.contains(words[1]) else { return }
    let expected = client.expected(words)
    if expected != reply {
      fail(
        "client \(client.index) at node \(client.node): \(words.joined(separator: " ")) answered "
          + "\(reply), in order it is \(expected)")
    }
  }

  // MARK: Shared keys

  private func versioned(_ reply: Reply) -> (token: String, values: [String])? {
    guard case .array(let parts) = reply, parts.count == 4, let token = parts[1].text,
      case .array(let values) = parts[3]
    else { return nil }
    return (token, values.compactMap(\.text))
  }

  private func judgeRead(_ issued: Issued, _ reply: Reply) {
    guard let (token, values) = versioned(reply) else {
      return fail("VGET \(issued.key) answered \(reply)")
    }
    guard options.isStrict, options.survivesCrashes else { return }
    let context = Array(token.utf8).withUnsafeBytes { ContextToken.parse($0) }
    let problem = history.read(
      issued.key, values.first, context?.seenLWW ?? .none, start: issued.sentAt,
      writesMeet: options.writesMeet)
    if let problem { fail(problem) }
  }

  private func noteSiblings(_ client: SimulatedClient, _ issued: Issued, _ reply: Reply) {
    guard let context = versioned(reply) else {
      return fail("VGET \(issued.key) answered \(reply)")
    }
    client.contexts[issued.key] = context
    guard client.index < 0, options.survivesCrashes else { return }
    if let problem = siblings.problem(issued.key, Set(context.values)) { fail(problem) }
  }

  // MARK: The dead

  /// While all is well no read may see the dead; before that, reads whose quorum meets the
  /// deletion's.
  private func judgeDeleted(_ client: SimulatedClient, _ issued: Issued, _ reply: Reply) {
    let isExpiring = issued.key.hasPrefix("expiring:")
    guard isExpiring || options.survivesCrashes else { return }
    guard client.index < 0 || options.isStrict, let value = reply.text else { return }
    fail("\(issued.key): \(isExpiring ? "expired" : "deleted"), and found again as \(value)")
  }
}
