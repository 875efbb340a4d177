import Primitives

// # What a client may cost
//
//     client-query-buffer-limit     sent and not taken: closed at once
//     a request begun               30 s, or longer while at least 1 KiB a second comes: closed
//     replies not read              1 MiB: its next commands are not run until it reads on
//     client-output-buffer-limit    beyond, at once or for some seconds: closed
//     timeout                       idle: closed
//     not logged in                 10 words of 16 KiB, 64 KiB sent, 16 KiB not read, 10 s: closed
//     maxmemory-clients             all together: the largest are closed until the rest fits
//     maxclients                    one more is refused; descriptors for other nodes stay free
//     one round                     64 KiB of a client, 1 MiB of all; 128 KiB of replies to a client,
//                                   and from 1 MiB to all on 16 KiB
//
// Memory of a client is counted once it is above `largeBufferBytes` whenever it changes, and of all
// others in a walk over the connections, which also looks for what is overdue and takes the buffers
// of idle ones back: an idle connection holds no buffer.

/// The kinds of clients that have limits of their own, as Redis names them.
public enum ClientClass: Int, CaseIterable, Sendable {
  case normal, replica, pubsub

  var name: String {
    switch self {
    case .normal: "normal"
    case .replica: "slave"
    case .pubsub: "pubsub"
    }
  }

  init?(_ name: Substring) {
    switch name.lowercased() {
    case "normal": self = .normal
    case "slave", "replica": self = .replica
    case "pubsub": self = .pubsub
    default: return nil
    }
  }
}

/// `client-output-buffer-limit`: for each class bytes that are too much at once, and bytes that are too
/// much for some seconds; 0 is no limit.
public struct OutputLimits: Equatable, Sendable {
  public struct Limit: Equatable, Sendable {
    public var hard = 0
    public var soft = 0
    public var seconds = 0
  }

  private var limits = [
    Limit(), Limit(hard: 256 << 20, soft: 64 << 20, seconds: 60),
    Limit(hard: 32 << 20, soft: 8 << 20, seconds: 60),
  ]

  public init() {}

  public subscript(kind: ClientClass) -> Limit { limits[kind.rawValue] }

  /// As CONFIG GET shows it.
  public var text: String {
    ClientClass.allCases.map {
      "\($0.name) \(self[$0].hard) \(self[$0].soft) \(self[$0].seconds)"
    }.joined(separator: " ")
  }

  /// Takes the classes that `text` names; the others stay. Says in Redis's words what is wrong.
  public mutating func set(_ text: String) -> String? {
    let words = text.split(separator: " ")
    guard words.count % 4 == 0 else {
      return "Wrong number of arguments in buffer limit configuration."
    }
    var fresh = limits
    for at in stride(from: 0, to: words.count, by: 4) {
      guard let kind = ClientClass(words[at]) else {
        return "Invalid client class specified in buffer limit configuration."
      }
      guard let hard = ParameterStore.bytes(String(words[at + 1])),
        let soft = ParameterStore.bytes(String(words[at + 2])),
        let seconds = Int(words[at + 3]), (0...Int(Int32.max)).contains(seconds)
      else { return "Error in hard, soft or soft_seconds setting in buffer limit configuration." }
      fresh[kind.rawValue] = Limit(hard: hard, soft: soft, seconds: seconds)
    }
    limits = fresh
    return nil
  }
}

/// The limits in force, and what is counted against them.
struct ClientLimits {
  var outputs = OutputLimits()
  var queryBytes = Limits.queryBufferBytes
  /// Bytes of all clients together.
  var memory = Int.max
  /// Microseconds; 0: never.
  var idle: UInt64 = 0
  /// What descriptors allow.
  var shares = DescriptorShares(of: .max, clients: 10_000, members: 1)

  /// Bytes of the connections' buffers as last counted.
  var counted = 0
  /// Where the walk over the connections goes on.
  var next = 0
  /// Not before this is looked again for clients to evict, in monotonic microseconds.
  var evictAt: UInt64 = 0
}
