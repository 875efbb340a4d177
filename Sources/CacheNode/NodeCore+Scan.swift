import Objects
import PeerProtocol
import Placement
import Primitives
import RESP
import Storage

// # SCAN over a cluster
//
// A cursor is a place in an order that all nodes share: slot after slot, and within a slot the
// order of its keys at the node that was asked.
//
//     slot (14) | position in the slot (28) | tag of the node whose order that is (7)
//
// 49 bits, so that clients that keep cursors in a double can hold them. Any node can go on with any
// cursor: it asks an owner of that slot, which walks as many slots as it owns in a row, until COUNT
// is reached. If the owner died in between, another one starts the slot anew: its keys may come
// twice, which SCAN allows, and none is left out.

extension NodeCore {
  private static let tagBits = 7

  /// This node's tag in cursors; never 0.
  private var scanTag: UInt64 { NodeCore.scanTag(actor) }

  /// Of one process: another start orders its keys otherwise.
  private static func scanTag(_ actor: Actor) -> UInt64 { actor.rawValue % 127 + 1 }

  private struct ScanOptions {
    var count = 10
    var pattern: [UInt8]?
    var type: String?
  }

  mutating func executeScan(_ index: Int) -> Bool {
    let session = sessions[index]
    if session.pointee.inFlight > 0 { return stall(index) }
    let word = arguments.pointee[1]
    guard let cursor = word.isEmpty ? 0 : parseUnsigned(word) else {
      return replyNow(index) { $0.pointee.appendError("ERR invalid cursor") }
    }
    var options = ScanOptions()
    if let error = readScanOptions(&options) {
      return replyNow(index) { $0.pointee.appendError(error) }
    }
    guard let parent = startGather(index, .scan, parts: 1) else { return tooMany(index) }
    holdBack(index, bits: .max, isForward: true)
    var parameters: [UInt8] = [options.type == nil || options.type == "string" ? 1 : 0]
    parameters += options.pattern ?? Array("*".utf8)
    let slot = Int(min(cursor >> 35, UInt64(Slot.count)))
    operations[parent].pointee.gather?.scan = ScanState(
      slot: slot, wanted: options.count, parameters: parameters)
    scanFrom(parent, UInt32(truncatingIfNeeded: cursor >> 7 & 0xfff_ffff), cursor & 127)
    return true
  }

  private func readScanOptions(_ options: inout ScanOptions) -> String? {
    var at = 2
    while at < arguments.pointee.count {
      let word = arguments.pointee[at]
      guard at + 1 < arguments.pointee.count else { return "ERR syntax error" }
      let value = arguments.pointee[at + 1]
      if word.isWord("count") {
        guard let count = parseInteger(value) else {
          return "ERR value is not an integer or out of range"
        }
        guard count >= 1 else { return "ERR syntax error" }
        options.count = min(count, Limits.scanCount)
      } else if word.isWord("match") {
        options.pattern = Array(value)
      } else if word.isWord("type") {
        options.type = value.text.lowercased()
      } else {
        return "ERR syntax error"
      }
      at += 2
    }
    return nil
  }

  /// Asks an owner of the present slot to walk on.
  private mutating func scanFrom(_ parent: Int, _ position: UInt32, _ tag: UInt64) {
    let operation = operations[parent]
    guard let gather = operation.pointee.gather, let scan = gather.scan else { return }
    if scan.slot >= Slot.count { return finishScan(parent, gather, cursor: 0) }
    guard let peer = scanner(scan.slot, tag: tag) else { return failGather(parent) }
    var parameters = ByteBuffer()
    parameters.append(littleEndian: UInt16(scan.slot))
    parameters.append(littleEndian: position)
    parameters.append(UInt8(truncatingIfNeeded: tag))
    parameters.append(littleEndian: UInt32(scan.wanted))
    parameters.append(scan.parameters)
    gather.missing = 1
    ask(parent, 0, peer, .scan, parameters.bytes)
  }

  /// An owner of the slot: the one whose order the cursor is in, else this node, else any.
  private func scanner(_ slot: Int, tag: UInt64) -> Int? {
    let copies = sureCopies
    for rank in 0..<copies where tag != 0 {
      let peer = Int(ring.owner(Slot(slot), rank: rank))
      guard liveness[peer] == 2, let member = members[peers[peer].pointee.id] else { continue }
      if NodeCore.scanTag(member.actor) == tag { return peer }
    }
    if liveness[0] == 2, ownRank(slot, copies: copies) >= 0 { return 0 }
    let peer = firstLiving(slot, copies: copies)
    return peer < 0 ? nil : peer
  }

  /// An owner has walked: more of the same, or the reply.
  mutating func advanceScan(_ parent: Int, _ gather: Gather) {
    guard var scan = gather.scan else { return }
    let answer = gather.results[0]
    let head = answer.withUnsafeBytes { bytes -> (Int, UInt32, UInt64, Int)? in
      guard let slot = bytes.integer(0, as: UInt16.self),
        let position = bytes.integer(2, as: UInt32.self),
        let tag = bytes.integer(6, as: UInt8.self),
        let visited = bytes.integer(7, as: UInt32.self)
      else { return nil }
      return (Int(slot), position, UInt64(tag), Int(visited))
    }
    guard let (slot, position, tag, visited) = head else { return failGather(parent) }
    // An owner that does not think it owns the slot would make this go round for ever.
    let moved = slot > scan.slot || visited > 0
    scan.hops += moved ? 1 : Limits.scanHops
    scan.slot = slot
    scan.found += NodeCore.keys(in: Array(answer.dropFirst(11)))
    scan.wanted -= visited
    gather.scan = scan
    if slot >= Slot.count { return finishScan(parent, gather, cursor: 0) }
    if scan.wanted <= 0 || scan.hops >= Limits.scanHops {
      guard moved else { return failGather(parent) }
      let cursor = UInt64(slot) << 35 | UInt64(position) << 7 | tag
      return finishScan(parent, gather, cursor: cursor)
    }
    scanFrom(parent, position, tag)
  }

  private mutating func finishScan(_ parent: Int, _ gather: Gather, cursor: UInt64) {
    let reply = operations[parent].pointee.reply
    reply.pointee.appendArrayHeader(2)
    reply.pointee.appendBulk(String(cursor))
    reply.pointee.appendArrayHeader(gather.scan?.found.count ?? 0)
    for key in gather.scan?.found ?? [] { reply.pointee.appendBulk(key) }
    endGather(parent)
  }

  // MARK: The owner's side

  /// Walks from a slot on as long as this node owns the slots, until enough keys were visited.
  func answerScan(_ database: Int, _ parameters: UnsafeRawBufferPointer) -> ByteBuffer? {
    guard let first = parameters.integer(0, as: UInt16.self),
      let start = parameters.integer(2, as: UInt32.self),
      let tag = parameters.integer(6, as: UInt8.self),
      let wanted = parameters.integer(7, as: UInt32.self), parameters.count >= 12
    else { return nil }
    let matchesType = parameters[11] == 1
    let pattern = parameters.slice(12, parameters.count - 12)
    let copies = sureCopies
    var slot = Int(first)
    var position = UInt64(tag) == scanTag ? start : 0
    var visited = 0
    var keys = ByteBuffer()
    while slot < Slot.count, visited < Int(wanted), ownRank(slot, copies: copies) >= 0 {
      var found = ByteBuffer()
      let next = table.walk(
        database: database, slot: slot, from: ScanPosition(rawValue: position),
        count: Int(wanted) - visited
      ) { walked in
        visited += 1
        guard matchesType, walked.object.live(at: wall) != nil,
          globMatch(pattern: pattern, walked.key, ignoringCase: false)
        else { return }
        found.append(littleEndian: UInt32(walked.key.count))
        found.append(walked.key)
      }
      keys.append(found.readable)
      position = next?.rawValue ?? 0
      if next == nil { slot += 1 }
    }
    var answer = ByteBuffer()
    answer.append(littleEndian: UInt16(slot))
    answer.append(littleEndian: position)
    answer.append(UInt8(scanTag))
    answer.append(littleEndian: UInt32(visited))
    answer.append(keys.readable)
    return answer
  }
}
