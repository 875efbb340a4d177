import CacheNode
import Primitives
import Testing

/// A client's connection to one node of a `TestCluster`.
final class TestClient {
  let node: Int
  private let cluster: TestCluster
  var session: SessionID?
  var output: [UInt8] = []
  var isClosed = false
  /// A client that does not leaves all replies at the node.
  var reads = true

  init(cluster: TestCluster, node: Int) {
    self.cluster = cluster
    self.node = node
  }

  /// Sends words as one request and waits for the reply, at most 5 s of the cluster's time.
  @discardableResult
  func call(_ words: String...) -> Reply? { call(words.map(\.bytes)) }

  @discardableResult
  func call(_ words: [[UInt8]]) -> Reply? {
    send(words)
    return reply()
  }

  /// A number that INFO shows.
  func info(_ field: String) -> Int? { call("INFO", "everything")?.bulk?.text.infoField(field) }

  func send(_ words: [[UInt8]]) { send(raw: TestClient.request(words)) }

  func send(_ words: String...) { send(words.map(\.bytes)) }

  func send(raw bytes: [UInt8]) { cluster.receive(bytes, from: self) }

  /// The next reply; nil when none came in time.
  func reply(within milliseconds: Int = 5000) -> Reply? {
    var length = 0
    var reply: Reply?
    _ = cluster.run(atMost: milliseconds) {
      guard let parsed = Reply.parse(output, 0) else { return isClosed }
      (reply, length) = parsed
      return true
    }
    output.removeFirst(length)
    return reply
  }

  static func request(_ words: [[UInt8]]) -> [UInt8] {
    words.reduce(into: "*\(words.count)\r\n".bytes) { bytes, word in
      bytes += "$\(word.count)\r\n".bytes + word + "\r\n".bytes
    }
  }
}

/// A reply, printed as in a transcript: `OK`, `"text"`, `7`, `nil`, `[1, "a"]`, `-ERR …`.
struct Reply: Equatable, CustomStringConvertible, ExpressibleByStringLiteral {
  let description: String
  /// The parts of an array, a map or a set.
  var elements: [Reply] = []
  /// The bytes of a bulk string.
  var bulk: [UInt8]?

  init(stringLiteral text: String) { description = text }
  init(_ text: String) { description = text }

  static func == (left: Reply, right: Reply) -> Bool { left.description == right.description }

  var isError: Bool { description.hasPrefix("-") }
  var integer: Int? { Int(description) }

  /// The reply at `start` and where it ends; nil when it is not there whole.
  static func parse(_ bytes: [UInt8], _ start: Int) -> (Reply, Int)? {
    guard start < bytes.count,
      let end = bytes[start...].firstIndex(of: 13), end + 1 < bytes.count
    else { return nil }
    let line = Array(bytes[start + 1..<end]).text
    let next = end + 2
    switch bytes[start] {
    case UInt8(ascii: "+"), UInt8(ascii: ":"): return (Reply(line), next)
    case UInt8(ascii: "-"): return (Reply("-" + line), next)
    case UInt8(ascii: "_"): return (Reply("nil"), next)
    case UInt8(ascii: "$"), UInt8(ascii: "="): return bulk(bytes, Int(line) ?? 0, next)
    default:
      let isMap = bytes[start] == UInt8(ascii: "%")
      return list(bytes, (Int(line) ?? 0) * (isMap ? 2 : 1), next)
    }
  }

  private static func bulk(_ bytes: [UInt8], _ length: Int, _ at: Int) -> (Reply, Int)? {
    guard length >= 0 else { return (Reply("nil"), at) }
    guard bytes.count >= at + length + 2 else { return nil }
    let value = Array(bytes[at..<at + length])
    // Bytes that are no text are dear to decode.
    var reply = Reply(value.count > 1 << 16 ? "\(value.count) bytes" : "\"\(value.text)\"")
    reply.bulk = value
    return (reply, at + length + 2)
  }

  private static func list(_ bytes: [UInt8], _ count: Int, _ at: Int) -> (Reply, Int)? {
    guard count >= 0 else { return (Reply("nil"), at) }
    var elements: [Reply] = []
    var at = at
    for _ in 0..<count {
      guard let (element, next) = parse(bytes, at) else { return nil }
      elements.append(element)
      at = next
    }
    return (list(elements), at)
  }

  /// An array of these.
  static func list(_ elements: [Reply]) -> Reply {
    var reply = Reply("[" + elements.map(\.description).joined(separator: ", ") + "]")
    reply.elements = elements
    return reply
  }
}
