import CacheNode
import Objects
import Primitives

/// What a client sent and has no reply to yet.
struct Issued {
  enum Kind {
    /// On a key of this client alone: replies follow a model exactly.
    case own(words: [String])
    case write(value: String)
    case readVersioned
    /// A sibling, in place of those that its context covers.
    case add(value: String, covered: [String])
    case removeSiblings([String])
    case readSiblings
    /// A value with a TTL, in milliseconds.
    case expiring(value: String, ttl: Int)
    case readExpiring
    /// The only write of a key that will be deleted.
    case doom
    case delete
    case readDeleted
    /// It was written and not deleted.
    case readStanding
    /// Only that it succeeds matters.
    case any
    /// An operator's command on the cluster.
    case operation((Reply) -> Void)
  }
  var kind: Kind
  var key: String
  var sentAt: UInt64
}

/// A client: one connection to one node, some commands at a time in one write.
final class SimulatedClient {
  let index: Int
  /// Its node's place.
  var node = 0
  var session: SessionID?
  var issued: [Issued] = []
  private var firstIssued = 0
  var received: [UInt8] = []
  /// When its next turn is; earlier and later ones, made before, are void.
  var turnAt = UInt64.max
  /// Batches that it sends without a rest.
  var haste = 0
  /// The model of the keys of its own: nil is absent.
  var model: [String: String] = [:]
  /// Own keys whose state is unknown since an error said so.
  var doubtful: Set<String> = []
  /// Goes into the names of own keys; grows when all of them are doubtful.
  var era = 0
  /// The last token and values that it read of a siblings key.
  var contexts: [String: (token: String, values: [String])] = [:]

  init(index: Int) { self.index = index }

  var isWaiting: Bool { firstIssued < issued.count }

  func nextIssued() -> Issued? {
    guard firstIssued < issued.count else { return nil }
    firstIssued += 1
    let next = issued[firstIssued - 1]
    if firstIssued == issued.count {
      issued.removeAll()
      firstIssued = 0
    }
    return next
  }

  /// The connection is gone, with all replies that were to come.
  func disconnect() {
    session = nil
    issued.removeAll()
    firstIssued = 0
    received.removeAll()
    model = [:]
    doubtful = []
    era += 1
  }

  // MARK: The model of one key

  /// What Redis would answer, and the state after it.
  func expected(_ words: [String]) -> Reply {
    let key = words[1]
    let old = model[key]
    switch words[0] {
    case "SET":
      model[key] = words[2]
      return .simple("OK")
    case "GET": return .bulk(old.map { Array($0.utf8) })
    case "GETSET":
      model[key] = words[2]
      return .bulk(old.map { Array($0.utf8) })
    case "DEL":
      model[key] = nil
      return .integer(old == nil ? 0 : 1)
    case "APPEND":
      model[key] = (old ?? "") + words[2]
      return .integer((old ?? "").utf8.count + words[2].utf8.count)
    case "SETNX":
      if old == nil { model[key] = words[2] }
      return .integer(old == nil ? 1 : 0)
    case "STRLEN": return .integer(old?.utf8.count ?? 0)
    default:
      guard let number = Int(old ?? "0"), "\(number)" == old ?? "0" else {
        return .error("ERR value is not an integer or out of range")
      }
      model[key] = "\(number + 1)"
      return .integer(number + 1)
    }
  }
}
