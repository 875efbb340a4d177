import Objects
import Primitives

// A flush takes no time: the database's slots are set aside, and reads and writes find an empty
// one. Their records are freed some at a time. Only where somebody has written later than the flush
// is from, which takes another node with a faster clock, are objects looked at one by one: see
// `NodeCore.applyBarrier`.

/// The slots of a database that was flushed.
struct FlushedDatabase {
  let homes: UnsafeMutablePointer<Table.Home>
  /// The slots in front of this one are free.
  var slot = 0
  /// What is left of the slot before it.
  var segments: [Segment] = []

  /// Frees what is left, for the end of a table.
  func freeAll(_ slots: Int, _ arena: UnsafeMutablePointer<RecordArena>) {
    for segment in segments { Table.freeAll(segment, arena) }
    for slot in slot..<slots { Table.freeAll(&homes[slot], arena) }
    homes.deallocate()
  }
}

extension Table {
  /// Empties a database at once when all its objects are from `barrier` or before; false when some
  /// may be later, or are sibling sets, and nothing was done.
  public mutating func flush(database: Int, upTo barrier: Stamp) -> Bool {
    guard let table = homes[database], counts[database].live + counts[database].tombstones > 0
    else { return true }
    guard counts[database].latest <= barrier, siblingSets == 0 else { return false }
    flushed.append(FlushedDatabase(homes: table))
    flushedCount += counts[database].live + counts[database].tombstones
    homes[database] = nil
    counts[database] = Counts()
    trees.removeAll(database: database)
    return true
  }

  public var hasFlushed: Bool { !flushed.isEmpty }

  /// Frees about so many records of flushed databases, a segment at least.
  public mutating func freeFlushed(_ limit: Int) {
    var left = limit
    while left > 0, var old = flushed.first {
      left -= freeSome(&old, left)
      if old.slot == slots, old.segments.isEmpty {
        old.homes.deallocate()
        indexBytes -= slots * MemoryLayout<Home>.stride
        flushed.removeFirst()
      } else {
        flushed[0] = old
      }
    }
  }

  /// Frees segments until `limit` records are gone or the database is; returns how much was done.
  private mutating func freeSome(_ old: inout FlushedDatabase, _ limit: Int) -> Int {
    var done = 0
    while done < limit {
      if let segment = old.segments.popLast() {
        done += segment.used + 1
        flushedCount -= segment.used
        freedCount += segment.used
        for index in 0..<segment.used {
          actors.release(Entry(segment.entries[index]).record.actorIndex)
        }
        indexBytes -= segment.bytes
        Table.freeAll(segment, arena)
      } else if old.slot < slots {
        done += 1
        open(&old)
      } else {
        break
      }
    }
    return done
  }

  /// Takes the segments of the next slot out of their directory.
  private mutating func open(_ old: inout FlushedDatabase) {
    let home = old.homes[old.slot]
    Table.forEachSegment(home) { segment, _ in old.segments.append(segment) }
    if home.root & 1 == 1 {
      indexBytes -= Directory(home.root).bytes
      Directory(home.root).base.deallocate()
    }
    old.homes[old.slot].root = 0
    old.slot += 1
  }
}
