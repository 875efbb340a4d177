import Objects
import Primitives
import RESP

// # Evaluating a command on a key
//
// A pure step: the object that is there (or none), the words, the time → a reply, appended, and a
// mutation, returned. It knows no table, no ring and no quorum. On a single node it runs between a
// look-up and a write; in a cluster a `modify` runs it after R copies were merged, and a `read` may
// run it again when an owner had a newer object. Replies and errors are those of Redis 7.0
// (t_string.c, expire.c, db.c), in the same order of checks.

/// What evaluating did to the object. Bytes lie in the request or in the evaluator's scratch.
enum Mutation {
  case none
  /// A new value. `keepsDeadline` only says where the deadline came from.
  case put(UnsafeRawBufferPointer, deadline: UInt64)
  case append(UnsafeRawBufferPointer, deadline: UInt64)
  /// Bytes over the value from an offset on; a gap is filled with zeros.
  case patch(Int, UnsafeRawBufferPointer, deadline: UInt64)
  /// The same value with another deadline.
  case retain(deadline: UInt64)
  case delete
}

/// Runs one command on one key.
struct Evaluator {
  let arguments: UnsafeMutablePointer<ArgumentList>
  let reply: UnsafeMutablePointer<ByteBuffer>
  /// For values that are computed.
  let scratch: UnsafeMutablePointer<ByteBuffer>
  let resp: UInt8
  /// Unix milliseconds.
  let now: UInt64
  /// The keyspace's `ttl` in milliseconds; 0: none.
  let defaultTTL: UInt64
  /// For OBJECT and MEMORY only.
  var usage: Usage?

  struct Usage {
    var bytes: Int
    var idleSeconds: Int
    /// How often it was used; nil when that is not what is kept.
    var count: Int?
  }

  @inline(__always) func word(_ index: Int) -> UnsafeRawBufferPointer { arguments.pointee[index] }
  @inline(__always) var wordCount: Int { arguments.pointee.count }

  /// Appends the reply and returns what becomes of the object.
  @inline(__always)
  func run(_ handler: Handler, _ object: ObjectView?) -> Mutation {
    run(handler, object, object?.live(at: now))
  }

  /// As above, for who has looked already what of the object is alive.
  @inline(__always)
  func run(_ handler: Handler, _ object: ObjectView?, _ live: LiveValue?) -> Mutation {
    switch handler {
    case .get:
      value(live)
      return .none
    case .set: return wordCount == 3 ? plainSet() : set(live)
    default: return runOther(handler, object, live)
    }
  }

  @inline(never)
  private func runOther(_ handler: Handler, _ object: ObjectView?, _ live: LiveValue?) -> Mutation {
    switch handler {
    case .setnx: return setIfAbsent(live)
    case .setex, .psetex: return setWithTTL(handler)
    case .getset:
      value(live)
      return .put(word(2), deadline: freshDeadline)
    case .getdel:
      value(live)
      return live == nil ? .none : .delete
    case .getex: return getAndExpire(live)
    case .strlen: integer(live?.bytes.count ?? 0)
    case .append: return append(live)
    case .setrange: return setRange(live)
    case .getrange, .substr: getRange(live)
    case .incr: return increment(live, by: 1)
    case .decr: return increment(live, by: -1)
    case .incrby, .decrby: return incrementByWord(handler, live)
    case .incrbyfloat: return incrementByFloat(live)
    case .del, .unlink:
      integer(live == nil ? 0 : 1)
      return live == nil ? .none : .delete
    case .exists, .touch: integer(live == nil ? 0 : 1)
    case .type: reply.pointee.append(live == nil ? "+none\r\n" : "+string\r\n")
    case .expire, .pexpire, .expireat, .pexpireat: return expire(handler, live)
    case .ttl, .pttl, .expiretime, .pexpiretime: timeToLive(handler, live)
    case .persist:
      let hasDeadline = live.map { $0.deadline != 0 } ?? false
      integer(hasDeadline ? 1 : 0)
      return hasDeadline ? .retain(deadline: 0) : .none
    case .vget: versionedGet(object)
    case .object: describe(live)
    case .memory: memoryUsage(live)
    default: invariant(false, "\(handler) is not evaluated on a key")
    }
    return .none
  }

  // MARK: Replies

  func integer(_ value: Int) { reply.pointee.appendInteger(value) }
  func error(_ text: String) { reply.pointee.appendError(text) }

  @inline(__always)
  func value(_ live: LiveValue?) {
    if let live {
      if _slowPath(live.blob != nil) { return bigBulk(live.bytes, live.blob) }
      reply.pointee.appendBulk(live.bytes)
    } else {
      reply.pointee.appendNull(resp: resp)
    }
  }

  /// A bulk string of a big value, or of a part of it that may be small.
  @inline(never)
  func bigBulk(_ bytes: UnsafeRawBufferPointer, _ blob: Blob?) {
    if let blob, bytes.count >= Limits.bigValueBytes {
      reply.pointee.appendBulk(bytes, in: blob)
    } else {
      reply.pointee.appendBulk(bytes)
    }
  }

  func syntaxError() -> Mutation {
    error("ERR syntax error")
    return .none
  }

  func notAnInteger() -> Mutation {
    error("ERR value is not an integer or out of range")
    return .none
  }

  /// The deadline of a key that is written without one.
  var freshDeadline: UInt64 { defaultTTL == 0 ? 0 : now + defaultTTL }

  /// The deadline of a key whose value changes: its own, or a fresh key's.
  func kept(_ live: LiveValue?) -> UInt64 { live.map(\.deadline) ?? freshDeadline }

  // MARK: Looking at

  private func describe(_ live: LiveValue?) {
    guard let live else { return reply.pointee.appendNull(resp: resp) }
    if word(1).isWord("encoding") {
      let isInteger = live.bytes.count <= 20 && parseInteger(live.bytes) != nil
      reply.pointee.appendBulk(isInteger ? "int" : live.bytes.count <= 44 ? "embstr" : "raw")
    } else if word(1).isWord("refcount") {
      integer(1)
    } else if word(1).isWord("freq") {
      guard let count = usage?.count else {
        return error(
          "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
            + "Please note that when switching between policies at runtime LRU and LFU data "
            + "will take some time to adjust.")
      }
      integer(count)
    } else if usage?.count != nil {
      error(
        "ERR An LFU maxmemory policy is selected, idle time not tracked. "
          + "Please note that when switching between policies at runtime LRU and LFU data "
          + "will take some time to adjust.")
    } else {
      integer(usage?.idleSeconds ?? 0)
    }
  }

  private func memoryUsage(_ live: LiveValue?) {
    guard let live else { return reply.pointee.appendNull(resp: resp) }
    integer(usage?.bytes ?? live.bytes.count + word(2).count)
  }

  private func versionedGet(_ object: ObjectView?) {
    var values: [[UInt8]] = []
    var context = CausalContext()
    if let object, let set = SiblingSet(object) {
      context = set.context
      for sibling in set.siblings where sibling.deadline == 0 || sibling.deadline > now {
        values.append(sibling.value)
      }
    }
    reply.pointee.appendMapHeader(2, resp: resp)
    reply.pointee.appendBulk("context")
    reply.pointee.appendBulk(context == CausalContext() ? [] : ContextToken.print(context))
    reply.pointee.appendBulk("values")
    reply.pointee.appendArrayHeader(values.count)
    for value in values { reply.pointee.appendBulk(value) }
  }
}
