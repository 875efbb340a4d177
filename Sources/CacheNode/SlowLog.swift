import Primitives
import RESP

/// The commands that took longest lately, as SLOWLOG shows them: the newest first, a bounded number.
struct SlowLog {
  struct Entry {
    var id: Int
    /// Unix seconds.
    var time: UInt64
    var microseconds: UInt64
    var words: [[UInt8]]
    var address: String
    var name: String
  }

  /// Microseconds from which on a command is kept; nil: none is.
  var threshold: UInt64? = 10_000
  var limit = 128
  private(set) var entries: [Entry] = []
  private var nextID = 0

  mutating func add(
    _ words: [[UInt8]], microseconds: UInt64, time: UInt64, address: String, name: String
  ) {
    guard limit > 0 else { return }
    entries.append(
      Entry(
        id: nextID, time: time, microseconds: microseconds, words: words, address: address,
        name: name))
    nextID += 1
    trim()
  }

  /// Drops the oldest ones beyond the limit.
  mutating func trim() {
    if entries.count > limit { entries.removeFirst(entries.count - limit) }
  }

  mutating func reset() { entries = [] }
}

/// A request's words cut short, as SLOWLOG keeps them: 32 words of 128 bytes, as in Redis.
///
/// They are kept with an operation while it waits for other nodes, when its request is long gone: a copy
/// of at most 4 KB into a buffer that the operation's place keeps.
enum TrimmedWords {
  static let mostWords = 32
  static let mostBytes = 128

  /// Appends the number of words and the kept ones: lengths, whole and kept, and bytes.
  static func write(_ words: UnsafeMutablePointer<ArgumentList>, to buffer: inout ByteBuffer) {
    let count = words.pointee.count
    buffer.append(littleEndian: UInt32(truncatingIfNeeded: count))
    for place in 0..<keptWords(of: count) {
      let word = words.pointee[place]
      let kept = min(word.count, mostBytes)
      buffer.append(littleEndian: UInt32(truncatingIfNeeded: word.count))
      buffer.append(littleEndian: UInt32(truncatingIfNeeded: kept))
      buffer.append(word.slice(0, kept))
    }
  }

  /// Of more than 32 words the last place says how many are missing.
  private static func keptWords(of count: Int) -> Int { count > mostWords ? mostWords - 1 : count }

  /// What `write` has written, with what was left out told in words.
  static func read(_ bytes: UnsafeRawBufferPointer) -> [[UInt8]] {
    guard bytes.count >= 4 else { return [] }
    let count = Int(bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
    var words: [[UInt8]] = []
    var at = 4
    for _ in 0..<keptWords(of: count) {
      let length = Int(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
      let kept = Int(bytes.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self))
      var word = Array(bytes.slice(at + 8, kept))
      if length > kept { word += Array("... (\(length - kept) more bytes)".utf8) }
      words.append(word)
      at += 8 + kept
    }
    if count > words.count {
      words.append(Array("... (\(count - words.count) more arguments)".utf8))
    }
    return words
  }
}
