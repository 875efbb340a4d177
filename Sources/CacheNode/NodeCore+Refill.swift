import Keyspaces
import Objects
import PeerProtocol
import Placement
import Primitives
import Storage

// # Refill
//
// A node that starts with empty memory among others does not know what it should hold. Until it
// does, its "not found" counts in no quorum, and others coordinate for it where they can. It asks
// every living member for the objects of its own slots, batch after batch, each merged like any
// other write; newer writes that come meanwhile merge with the same result. When every member has
// been asked to the end it says so in its record.
//
// This is the seed of ownership transfer, which the next release builds with throttling and progress.

/// The transfer that fills this node's memory.
struct Refill {
  /// Answers to the refill's queries carry this id; operations never do, their generation is above 0.
  static let request = RequestID(rawValue: 0)
  /// Objects are sent in batches of about this many bytes.
  static let batchBytes = 256 << 10
  /// Slots that one batch looks at, at most.
  static let batchSlots = 4096
  /// A member that stays away for so long is not waited for: microseconds.
  static let patience: UInt64 = 10_000_000

  /// How far a peer has been asked.
  struct Source {
    var peer: Int
    var database = 0
    var slot = 0
    var position: UInt32 = 0
    var isAsked = false
    var isDone = false
  }

  let startedAt: UInt64
  var sources: [Source] = []

  init(startedAt: UInt64) { self.startedAt = startedAt }

  /// A peer's link is gone: its next batch is asked for again.
  mutating func lost(_ peer: Int) {
    for index in sources.indices where sources[index].peer == peer {
      sources[index].isAsked = false
    }
  }
}

extension NodeCore {
  /// Asks whoever can be asked, and ends the refill when all have been.
  mutating func stepRefill() {
    guard var current = refill, clusterState == .ok else { return }
    let others = members.joined.compactMap { peerIndex($0.id) }.filter { $0 != 0 }
    for peer in others where !current.sources.contains(where: { $0.peer == peer }) {
      current.sources.append(Refill.Source(peer: peer))
    }
    var isWaiting = false
    for index in current.sources.indices where !current.sources[index].isDone {
      let source = current.sources[index]
      guard others.contains(source.peer) else { continue }
      if liveness[source.peer] > 0 {
        isWaiting = true
        if !source.isAsked {
          current.sources[index].isAsked = true
          askTransfer(source)
        }
      } else if monotonic - current.startedAt < Refill.patience {
        isWaiting = true
      }
    }
    refill = current
    if !isWaiting { endRefill() }
  }

  private mutating func endRefill() {
    refill = nil
    members.updateOwn { $0.isFilled = true }
    setLiveness(0, 2)
    log(
      .notice, "this node holds its share: \(statistics.transferredKeys) objects came from others")
    membersChanged()
    announceMembers()
  }

  private mutating func askTransfer(_ source: Refill.Source) {
    scratch.pointee.removeAll()
    scratch.pointee.append(UInt8(source.database))
    scratch.pointee.append(littleEndian: UInt16(source.slot))
    scratch.pointee.append(littleEndian: source.position)
    peerOutput(source.peer)?.pointee.appendQuery(
      Refill.request, .transfer, database: 0, scratch.pointee.readable)
  }

  /// A batch came: merge it and ask for the next.
  mutating func takeTransfer(_ bytes: UnsafeRawBufferPointer, from peer: Int) {
    var reader = FieldReader(bytes)
    guard let index = refill?.sources.firstIndex(where: { $0.peer == peer && $0.isAsked }),
      let database = reader.integer(UInt8.self), let slot = reader.integer(UInt16.self),
      let position = reader.integer(UInt32.self)
    else { return }
    while let from = reader.integer(UInt8.self), let keyLength = reader.integer(UInt32.self),
      let key = reader.take(Int(keyLength)), let length = reader.integer(UInt32.self),
      let raw = reader.take(Int(length)), let object = ObjectView.decode(raw),
      Int(from) < table.databases
    {
      statistics.transferredKeys += 1
      _ = merge(
        database: Int(from), slot: slotHasher.slot(of: key).index, hash: table.hash(key),
        key: key, incoming: object)
    }
    refill?.sources[index].isAsked = false
    if Int(database) >= table.databases {
      refill?.sources[index].isDone = true
    } else {
      refill?.sources[index].database = Int(database)
      refill?.sources[index].slot = Int(slot)
      refill?.sources[index].position = position
    }
    stepRefill()
  }

  /// One batch for a node that refills: objects of the slots that it owns, and where to go on.
  func answerTransfer(_ parameters: UnsafeRawBufferPointer, asker: Int) -> [UInt8]? {
    guard parameters.count == 7, let slotStart = parameters.integer(1, as: UInt16.self),
      let start = parameters.integer(3, as: UInt32.self), asker > 0, slotStart < Slot.count
    else { return nil }
    var database = Int(parameters[0])
    var slot = Int(slotStart)
    var position = start
    var looked = 0
    let copies = (0..<keyspaceMap.keyspaces.count).map { policies[$0].copies }.max() ?? 1
    var objects = ByteBuffer()
    while database < table.databases, objects.count < Refill.batchBytes,
      looked < Refill.batchSlots
    {
      if table.totalCount(database: database, slot: slot) > 0, owns(asker, slot, copies) {
        var batch = ByteBuffer()
        let next = table.walk(
          database: database, slot: slot, from: ScanPosition(rawValue: position), count: 1
        ) { walked in
          batch.append(UInt8(database))
          batch.append(littleEndian: UInt32(walked.key.count))
          batch.append(walked.key)
          batch.append(littleEndian: UInt32(walked.object.encodedSize))
          walked.object.encode(to: &batch)
        }
        objects.append(batch.readable)
        position = next?.rawValue ?? 0
        if next != nil { continue }
      }
      looked += 1
      position = 0
      slot += 1
      if slot == Slot.count
        || table.liveCount(database: database) + table.tombstoneCount(database: database) == 0
      {
        slot = 0
        database += 1
      }
    }
    var answer = ByteBuffer()
    answer.append(UInt8(truncatingIfNeeded: database))
    answer.append(littleEndian: UInt16(slot))
    answer.append(littleEndian: position)
    answer.append(objects.readable)
    return answer.bytes
  }

  private func owns(_ peer: Int, _ slot: Int, _ copies: Int) -> Bool {
    for rank in 0..<min(copies, ring.copies) where Int(ring.owner(Slot(slot), rank: rank)) == peer {
      return true
    }
    return false
  }
}
