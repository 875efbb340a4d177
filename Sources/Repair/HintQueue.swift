import Objects

/// The order in which one target's hints leave: by stamp.
///
/// Hints come nearly in order, so they wait in a line; the few that come with a stamp below that of
/// the line's end wait in a heap beside it. Taking one costs a comparison of the two heads, where one
/// heap for all would touch twenty lines of memory a hint at a million of them.
struct HintQueue: ~Copyable {
  struct Entry {
    var stamp: Stamp
    var place: Int
    /// Which hint of the place is meant: places are used again.
    var birth: UInt32
  }

  private static let pageEntries = 4096

  /// The line, in pages: it grows without ever being copied.
  private var pages: [[Entry]] = []
  /// Entries of the first page that are gone.
  private var head = 0
  private var last = Stamp.zero
  private var late: [Entry] = []
  private(set) var count = 0

  init() {}

  var first: Entry? {
    let front = pages.first?[head]
    guard let oldest = late.first else { return front }
    guard let front else { return oldest }
    return oldest.stamp < front.stamp ? oldest : front
  }

  mutating func push(_ entry: Entry) {
    count += 1
    guard pages.isEmpty || entry.stamp >= last else { return pushLate(entry) }
    last = entry.stamp
    if pages.last?.count ?? HintQueue.pageEntries == HintQueue.pageEntries {
      var page: [Entry] = []
      page.reserveCapacity(HintQueue.pageEntries)
      pages.append(page)
    }
    pages[pages.count - 1].append(entry)
  }

  mutating func pop() -> Entry? {
    guard let first else { return nil }
    count -= 1
    if let oldest = late.first, oldest.stamp == first.stamp, oldest.place == first.place,
      oldest.birth == first.birth
    {
      popLate()
      return oldest
    }
    head += 1
    if head == pages[0].count {
      pages.removeFirst()
      head = 0
    }
    return first
  }

  // MARK: The heap

  private mutating func pushLate(_ entry: Entry) {
    late.append(entry)
    var child = late.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard late[child].stamp < late[parent].stamp else { return }
      late.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func popLate() {
    let end = late.removeLast()
    guard !late.isEmpty else { return }
    late[0] = end
    var parent = 0
    while true {
      var least = parent
      for child in [parent * 2 + 1, parent * 2 + 2] where child < late.count {
        if late[child].stamp < late[least].stamp { least = child }
      }
      if least == parent { return }
      late.swapAt(parent, least)
      parent = least
    }
  }
}
