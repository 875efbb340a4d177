import Primitives

// The limits of clients; the essay is in ClientLimits.

extension NodeCore {
  mutating func applyClientParameters() {
    _ = clients.outputs.set(parameters["client-output-buffer-limit"] ?? "")
    clients.queryBytes = parameters.number("client-query-buffer-limit")
    clients.idle = UInt64(parameters.number("timeout")) * 1_000_000
    let share = parameters["maxmemory-clients"] ?? "0"
    let bytes =
      share.hasSuffix("%")
      ? parameters.number("maxmemory") / 100 * (Int(share.dropLast()) ?? 0)
      : parameters.number("maxmemory-clients")
    clients.memory = bytes == 0 ? .max : bytes
    shareDescriptors()
  }

  // MARK: Descriptors

  /// Who gets the process's descriptors: see `DescriptorShares`. Anew when `maxclients` changes or the
  /// number of members does.
  mutating func shareDescriptors() {
    let wanted = parameters.number("maxclients")
    let shares = descriptorShares(wanted)
    if shares.clients < wanted, shares.clients != clients.shares.clients {
      log(
        .warning,
        "the system allows \(shares.all) file descriptors: \(shares.clients) clients at once "
          + "instead of maxclients \(wanted)")
    }
    clients.shares = shares
  }

  private func descriptorShares(_ wanted: Int) -> DescriptorShares {
    let most = DescriptorShares.most(clients: wanted, members: members.count)
    return DescriptorShares(
      of: configuration.descriptors(most), clients: wanted, members: members.count)
  }

  /// Why `maxclients` can't be set so high; nil when it can.
  mutating func refusedClients(_ wanted: Int) -> String? {
    let most = descriptorShares(wanted).clients
    return most >= wanted
      ? nil
      : "The operating system is not able to handle the specified number of clients, try with "
        + "\(most)"
  }

  /// TLS handshakes of clients that may be under way: each of them has a client's place.
  var handshakesAllowed: Int {
    min(Limits.handshakes, max(Limits.handshakesAtLeast, clients.shares.clients - sessions.count))
  }

  // MARK: Counting

  /// Counts a connection's buffers anew, and closes it if its replies are too much. What a connection
  /// costs without them is bounded by `maxclients`, and is nothing to close idle clients for.
  @inline(never)
  mutating func recount(_ index: Int) {
    let session = sessions[index]
    let bytes = session.pointee.bufferBytes
    let change = bytes - session.pointee.counted
    session.pointee.counted = bytes
    clients.counted += change
    memory.others += change
    if session.pointee.flags.contains(.closing) { return }
    let waiting = session.pointee.waitingBytes
    if waiting <= Limits.largeBufferBytes { session.pointee.softSince = 0 }
    if isOutputOverdue(index, waiting) {
      let kind = clientClass(index)
      close(
        index, "\(waiting) bytes of replies wait for it: client-output-buffer-limit \(kind.name)")
    } else if session.pointee.flags.contains(.needsLogin),
      waiting > Limits.unauthenticatedOutputBytes
    {
      close(index, "it has not logged in and does not read")
    }
  }

  /// Redis counts a client that monitors among its replicas.
  private func clientClass(_ index: Int) -> ClientClass {
    sessions[index].pointee.flags.contains(.monitor) ? .replica : .normal
  }

  private func isOutputOverdue(_ index: Int, _ waiting: Int) -> Bool {
    let session = sessions[index]
    let limit = clients.outputs[clientClass(index)]
    if limit.hard > 0, waiting >= limit.hard { return true }
    guard limit.soft > 0, waiting >= limit.soft else {
      session.pointee.softSince = 0
      return false
    }
    if session.pointee.softSince == 0 { session.pointee.softSince = monotonic }
    return monotonic - session.pointee.softSince > UInt64(limit.seconds) * 1_000_000
  }

  /// Closes a client that costs too much, without what waits for it.
  mutating func close(_ index: Int, _ why: String, _ level: LogLevel = .notice) {
    let text = "closing client id=\(sessions[index].pointee.id): \(why)"
    if !sessions[index].pointee.flags.contains(.needsLogin) {
      log(level, text)
    } else if level >= logLevel, let line = strangerLog.line(text, at: monotonic) {
      // Strangers may come in any number.
      log(level, line)
    }
    kill(index)
  }

  // MARK: The walk over the connections

  /// Ten times a second: a tenth of the connections are looked at, not more than some thousand.
  mutating func stepClients() {
    let step = min(sessions.end / 10 + 64, Limits.sessionsLookedAtAtOnce)
    for _ in 0..<min(step, sessions.end) {
      if clients.next >= sessions.end { clients.next = 0 }
      if sessions[clients.next].pointee.isOpen { lookAfter(clients.next) }
      clients.next += 1
    }
  }

  private mutating func lookAfter(_ index: Int) {
    let session = sessions[index]
    if let why = overdue(index) { close(index, why) }
    if monotonic - session.pointee.lastActive > Limits.idleBufferPatience {
      session.pointee.releaseIdleBuffers()
    }
    recount(index)
  }

  /// Why a connection has to end; nil when it may go on.
  private func overdue(_ index: Int) -> String? {
    let session = sessions[index]
    let idle = monotonic - session.pointee.lastActive
    if session.pointee.flags.contains(.closing) {
      return idle > Limits.closingPatience && !session.pointee.output.pointee.isEmpty
        ? "it does not read its last replies" : nil
    }
    if session.pointee.flags.contains(.needsLogin),
      monotonic - session.pointee.loginSince > Limits.loginPatience,
      !session.pointee.flags.contains(.held)
    {
      return "it has not logged in"
    }
    if clients.idle > 0, idle > clients.idle, session.pointee.queue.isEmpty,
      session.pointee.flags.isDisjoint(with: [.monitor, .held])
    {
      return "idle for longer than timeout"
    }
    if session.pointee.flags.contains(.stalled) {
      session.pointee.requestSince = monotonic
    } else if session.pointee.requestSince > 0, !session.pointee.input.isEmpty {
      let time = monotonic - session.pointee.requestSince
      let rate = UInt64(session.pointee.input.count) * 1_000_000 / max(time, 1)
      if time > Limits.requestPatience, rate < Limits.requestBytesPerSecond {
        return "half a command has come in \(time / 1_000_000) s"
      }
    }
    return nil
  }

  // MARK: Eviction of clients

  /// Closes the largest clients until the others fit into `maxmemory-clients`.
  @inline(never)
  mutating func evictClients() {
    guard monotonic >= clients.evictAt else { return }
    clients.evictAt = monotonic + Limits.clientEvictionPause
    // Sums by powers of two tell from which size on clients have to go.
    var sums = Array(repeating: 0, count: Int.bitWidth)
    for index in 0..<sessions.end where isEvictable(index) {
      sums[sizeClass(index)] += sessions[index].pointee.counted
    }
    var excess = sums.reduce(0, +) - clients.memory
    guard excess > 0 else { return }
    var smallest = Int.bitWidth - 1
    var larger = 0
    while smallest > 0, larger + sums[smallest] < excess {
      larger += sums[smallest]
      smallest -= 1
    }
    var count = 0
    for wanted in [smallest + 1..<Int.bitWidth, smallest..<smallest + 1] {
      for index in 0..<sessions.end where excess > 0 && isEvictable(index) {
        guard wanted.contains(sizeClass(index)) else { continue }
        excess -= sessions[index].pointee.counted
        kill(index)
        count += 1
      }
    }
    statistics.pointee.evictedClients += count
    log(.notice, "closed \(count) clients with the most memory: maxmemory-clients")
  }

  private func isEvictable(_ index: Int) -> Bool {
    sessions[index].pointee.isOpen
      && sessions[index].pointee.flags.isDisjoint(with: [.closing, .noEvict])
  }

  private func sizeClass(_ index: Int) -> Int {
    Int.bitWidth - 1 - max(1, sessions[index].pointee.counted).leadingZeroBitCount
  }
}
