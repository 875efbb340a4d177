import Commands
import Metrics
import Primitives

/// What running a command needs to know of it, without a String, and what was counted for it.
struct CommandEntry {
  var handler = Handler.ping
  var access = Handler.Access.none
  /// As in COMMAND INFO: negative for "at least".
  var arity = 0
  var firstKey = 0
  var lastKey = 0
  var keyStep = 0
  var isWrite = false
  var isDeniedWhenOutOfMemory = false
  /// Often called, and done in well under a microsecond: see `CommandMeter`.
  var isQuick = false
  /// Calls that ran.
  var calls = 0
  /// Refused before they ran.
  var rejected = 0
  /// Ran and were answered with an error.
  var failed = 0
  /// What the calls took together.
  var nanoseconds: UInt64 = 0
  /// What each took; made at the first call, and then kept.
  var histogram: UnsafeMutablePointer<LatencyHistogram>?

  var microseconds: UInt64 { nanoseconds / 1000 }

  @inline(never)
  mutating func makeHistogram() {
    let histogram = UnsafeMutablePointer<LatencyHistogram>.allocate(capacity: 1)
    histogram.initialize(to: LatencyHistogram())
    self.histogram = histogram
  }

  mutating func resetStatistics() {
    calls = 0
    rejected = 0
    failed = 0
    nanoseconds = 0
    histogram?.pointee = LatencyHistogram()
  }

  @inline(__always) func accepts(_ words: Int) -> Bool {
    arity >= 0 ? words == arity : words >= -arity
  }
}

/// Finds a command by its name in any case: one hash, one or two comparisons of 16 bytes.
struct CommandIndex: ~Copyable {
  private struct Name: Equatable {
    var low: UInt64 = 0
    var high: UInt64 = 0
  }

  private static let places = 256
  private let names: UnsafeMutablePointer<Name>
  private let numbers: UnsafeMutablePointer<Int16>
  /// In the order of the command table, and behind them the subcommands of all containers, in order.
  let entries: UnsafeMutablePointer<CommandEntry>
  /// Commands.
  let count: Int
  /// Commands and subcommands.
  let total: Int
  /// The names by number: "get", "config|get".
  let fullNames: [String]
  /// By the number of a container: that of its first subcommand.
  private let firstSubcommand: [Int]

  init(_ table: CommandTable) {
    count = table.commands.count
    let subcommands = table.commands.flatMap(\.subcommands)
    total = count + subcommands.count
    fullNames = table.commands.map(\.name) + subcommands.map(\.name)
    var next = count
    firstSubcommand = table.commands.map { command in
      defer { next += command.subcommands.count }
      return next
    }
    names = .allocate(capacity: CommandIndex.places)
    names.initialize(repeating: Name(), count: CommandIndex.places)
    numbers = .allocate(capacity: CommandIndex.places)
    numbers.initialize(repeating: -1, count: CommandIndex.places)
    entries = .allocate(capacity: total)
    entries.initialize(repeating: CommandEntry(), count: total)
    for (number, spec) in table.commands.enumerated() {
      guard let handler = Handler(rawValue: spec.name) else {
        fatalError("the command table has \(spec.name), which no handler runs")
      }
      entries[number] = CommandEntry(
        handler: handler, access: handler.access, arity: spec.arity,
        firstKey: handler.access == .none ? spec.firstKey : handler.keyPosition,
        lastKey: spec.lastKey,
        keyStep: spec.keyStep, isWrite: spec.isWrite,
        isDeniedWhenOutOfMemory: spec.isDeniedWhenOutOfMemory,
        isQuick: handler.access != .none && spec.lastKey == spec.firstKey && !spec.isContainer)
      insert(spec.name, number)
    }
  }

  deinit {
    names.deallocate()
    numbers.deallocate()
    for number in 0..<total { entries[number].histogram?.deallocate() }
    entries.deallocate()
  }

  private func insert(_ text: String, _ number: Int) {
    let name = Array(text.utf8).withUnsafeBytes { CommandIndex.pack($0) }
    var place = CommandIndex.place(name)
    while numbers[place] >= 0 { place = (place + 1) % CommandIndex.places }
    names[place] = name
    numbers[place] = Int16(number)
  }

  @inline(__always)
  private static func place(_ name: Name) -> Int {
    Int(truncatingIfNeeded: ((name.low ^ name.high &* 31) &* 0x9e37_79b9_7f4a_7c15) >> 56)
  }

  /// The name in lower case in 16 bytes. Setting bit 5 makes a letter of nothing but a letter.
  @inline(__always)
  private static func pack(_ bytes: UnsafeRawBufferPointer) -> Name {
    var name = Name()
    var at = 0
    while at < bytes.count {
      let byte = UInt64(bytes[at] | 0x20)
      if at < 8 {
        name.low |= byte << UInt64(truncatingIfNeeded: at &* 8)
      } else {
        name.high |= byte << UInt64(truncatingIfNeeded: (at &- 8) &* 8)
      }
      at &+= 1
    }
    return name
  }

  /// The number of a container's subcommand by its place among them.
  func subcommand(_ place: Int, of container: Int) -> Int { firstSubcommand[container] + place }

  /// The number of the command; -1 when there is none.
  @inline(__always)
  func find(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard bytes.count > 0, bytes.count <= 16 else { return -1 }
    let name = CommandIndex.pack(bytes)
    var place = CommandIndex.place(name)
    while numbers[place] >= 0 {
      if names[place] == name { return Int(numbers[place]) }
      place = (place &+ 1) % CommandIndex.places
    }
    return -1
  }
}
