import CacheNode

/// Everything that can happen.
enum Event {
  case connect(from: Int, LinkID, incarnation: UInt64, to: Int)
  case connectFailed(Int, LinkID, incarnation: UInt64)
  case bytes(Pipe, end: Int, [UInt8])
  case closed(Pipe, end: Int)
  case wake(Int)
  case client(Int)
  case fault
  case restart(Int)
  /// A partition or a cut ends.
  case mend([Direction])
  /// A link is no longer slow.
  case quicken(Direction)
  case observe
  /// A look at the ring change that is under way.
  case oversee
}

/// Events in the order of time, and of their making at the same time.
///
/// A binary heap of plain numbers; the events themselves, which hold references, lie still in a
/// slab until their turn comes.
struct EventQueue<Event> {
  private struct Entry {
    var time: UInt64
    var order: UInt64
    var place: Int

    func isBefore(_ other: Entry) -> Bool {
      time == other.time ? order < other.order : time < other.time
    }
  }

  private var heap: [Entry] = []
  private var events: [Event?] = []
  private var free: [Int] = []
  private var made: UInt64 = 0

  var nextTime: UInt64? { heap.first?.time }

  mutating func push(_ time: UInt64, _ event: Event) {
    made += 1
    let entry = Entry(time: time, order: made, place: store(event))
    heap.append(entry)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard entry.isBefore(heap[parent]) else { break }
      heap[child] = heap[parent]
      child = parent
    }
    heap[child] = entry
  }

  mutating func pop() -> (time: UInt64, event: Event) {
    let first = heap[0]
    let last = heap.removeLast()
    if !heap.isEmpty { sink(last) }
    free.append(first.place)
    guard let event = events[first.place].take() else {
      fatalError("an event was taken twice")
    }
    return (first.time, event)
  }

  private mutating func store(_ event: Event) -> Int {
    guard let place = free.popLast() else {
      events.append(event)
      return events.count - 1
    }
    events[place] = event
    return place
  }

  /// Puts `entry` in at the root and down to its place.
  private mutating func sink(_ entry: Entry) {
    var parent = 0
    while true {
      var child = parent * 2 + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
      guard heap[child].isBefore(entry) else { break }
      heap[parent] = heap[child]
      parent = child
    }
    heap[parent] = entry
  }
}
