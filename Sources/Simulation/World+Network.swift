import CacheNode
import Primitives

extension World {
  // MARK: Ways

  func isCut(_ way: Direction) -> Bool { !cuts.isEmpty && cuts[way] != nil }

  func cut(_ ways: [Direction], for microseconds: UInt64) {
    for way in ways { cuts[way, default: 0] += 1 }
    schedule(after: microseconds, .mend(ways))
    disturbed()
  }

  /// The end of one cut; what all cuts have closed may have been opened by the heal before.
  func mend(_ ways: [Direction]) {
    for way in ways {
      guard let count = cuts[way] else { continue }
      cuts[way] = count > 1 ? count - 1 : nil
    }
    disturbed()
  }

  func slow(_ way: Direction, by factor: UInt64, for microseconds: UInt64) {
    slowness[way] = factor
    schedule(after: microseconds, .quicken(way))
    disturbed()
  }

  /// How long something takes this way, up to `spread` times the usual longest.
  private func travel(_ way: Direction, spread: Int = 1) -> UInt64 {
    let time = 20 + UInt64(random.below(Int(options.delay) * spread))
    return slowness.isEmpty ? time : time * (slowness[way] ?? 1)
  }

  // MARK: Connections

  func dial(_ place: SimulatedNode, _ link: LinkID, to index: Int) {
    let way = Direction(from: place.index, to: index)
    let event = Event.connect(
      from: place.index, link, incarnation: place.incarnation, to: index)
    schedule(after: 100 + travel(way), event)
  }

  func hangUp(_ place: SimulatedNode, _ link: LinkID) {
    guard let pipe = place.pipes.removeValue(forKey: link) else { return }
    pipe.isOpen = false
    let other = pipe.ends[0].node == place.index && pipe.ends[0].link == link ? 1 : 0
    schedule(after: 200, .closed(pipe, end: other))
  }

  func connect(
    _ source: SimulatedNode, _ link: LinkID, _ incarnation: UInt64, _ to: Int, _ event: Event
  ) {
    guard source.incarnation == incarnation, source.node != nil else { return }
    if isDeferred(source, event) { return }
    let way = Direction(from: source.index, to: to)
    guard nodes.indices.contains(to), let node = nodes[to].node, !isCut(way),
      !isCut(way.reversed), nodes[to].pausedUntil <= now,
      let accepted = node.linkAccepted(now: instant(nodes[to]))
    else {
      schedule(after: 1000, .connectFailed(source.index, link, incarnation: incarnation))
      return
    }
    let target = nodes[to]
    let pipe = Pipe([
      Pipe.End(node: source.index, link: link, incarnation: source.incarnation),
      Pipe.End(node: to, link: accepted, incarnation: target.incarnation),
    ])
    source.pipes[link] = pipe
    target.pipes[accepted] = pipe
    source.node?.linkOpened(link, now: instant(source))
    settle(source)
    if target !== source { settle(target) }
  }

  func failToConnect(
    _ place: SimulatedNode, _ link: LinkID, _ incarnation: UInt64, _ event: Event
  ) {
    guard place.incarnation == incarnation, let node = place.node else { return }
    if isDeferred(place, event) { return }
    node.linkClosed(link, now: instant(place))
    settle(place)
  }

  func close(_ pipe: Pipe, _ end: Int, _ event: Event) {
    let place = nodes[pipe.ends[end].node]
    guard let node = place.node, place.incarnation == pipe.ends[end].incarnation,
      place.pipes[pipe.ends[end].link] === pipe
    else { return }
    if isDeferred(place, event) { return }
    note(2, UInt64(place.index))
    place.pipes[pipe.ends[end].link] = nil
    node.linkClosed(pipe.ends[end].link, now: instant(place))
    settle(place)
  }

  // MARK: Bytes

  func deliver(_ pipe: Pipe, _ end: Int, _ bytes: [UInt8], _ event: Event) {
    let place = nodes[pipe.ends[end].node]
    guard pipe.isOpen, let node = place.node,
      place.incarnation == pipe.ends[end].incarnation
    else { return }
    if isDeferred(place, event) { return }
    bytes.withUnsafeBytes {
      note(1, hashKey($0, seed: UInt64(place.index)))
      node.linkReceived(pipe.ends[end].link, $0, now: instant(place))
    }
    settle(place)
  }

  func send(
    _ pipe: Pipe, from place: SimulatedNode, _ link: LinkID, _ bytes: UnsafeRawBufferPointer
  ) {
    guard pipe.isOpen, bytes.count > 0 else { return }
    let end = pipe.ends[0].node == place.index && pipe.ends[0].link == link ? 1 : 0
    if isCut(pipe.direction(to: end)) { pipe.ends[end].isBroken = true }
    guard !pipe.ends[end].isBroken else { return }
    guard options.isDatagram, faultsEnabled else {
      return sendInOrder(pipe, end, Array(bytes))
    }
    var at = 0
    while let length = bytes.integer(at, as: UInt32.self) {
      let frame = Array(bytes.slice(at, Int(length) + 4))
      at += frame.count
      sendAlone(pipe, end, frame)
    }
  }

  private func sendInOrder(_ pipe: Pipe, _ end: Int, _ bytes: [UInt8]) {
    let arrival = max(now + travel(pipe.direction(to: end)), pipe.ends[end].lastInOrder)
    pipe.ends[end].lastInOrder = arrival
    queue.push(arrival, .bytes(pipe, end: end, bytes))
  }

  /// Frames that only merge or tell: 2 to 9 and 14 to 18 of `FrameKind`.
  private func sendAlone(_ pipe: Pipe, _ end: Int, _ frame: [UInt8]) {
    let kind = frame[4]
    guard (2...9).contains(kind) || (14...18).contains(kind) else {
      return sendInOrder(pipe, end, frame)
    }
    if random.below(100) < options.loss {
      faults[.lostMessage] += 1
      return
    }
    let isDoubled = random.below(100) < options.duplication
    if isDoubled { faults[.doubledMessage] += 1 }
    for _ in 0..<(isDoubled ? 2 : 1) {
      // Nothing overtakes the hello that opens the link.
      let arrival = max(
        now + travel(pipe.direction(to: end), spread: 2), pipe.ends[end].lastInOrder)
      if arrival < pipe.ends[end].lastArrival { faults[.overtakenMessage] += 1 }
      pipe.ends[end].lastArrival = max(arrival, pipe.ends[end].lastArrival)
      queue.push(arrival, .bytes(pipe, end: end, frame))
    }
  }
}
