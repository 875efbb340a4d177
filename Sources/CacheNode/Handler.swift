/// Which code runs a command: the names are those of the command table.
enum Handler: String, CaseIterable {
  // Strings
  case get, set, setnx, setex, psetex, getset, getdel, getex, mget, mset, msetnx, strlen, append
  case setrange, getrange, substr, incr, decr, incrby, decrby, incrbyfloat
  case vget, vset, vdel
  // Keys
  case del, unlink, exists, touch, type, expire, pexpire, expireat, pexpireat, ttl, pttl
  case expiretime, pexpiretime, persist, scan, keys, randomkey, dbsize, flushdb, flushall, object
  // Connection
  case ping, echo, select, hello, quit, reset, auth, client
  // Server
  case time, role, readonly, readwrite, command, info, config, wait, shutdown, memory, cluster, acl
  case slowlog, latency, monitor, debug

  /// How a command on keys meets its quorum.
  enum Access {
    /// Reads R copies.
    case read
    /// Writes W copies without reading.
    case blind
    /// Reads R copies, decides, writes W.
    case modify
    /// Has no key, or is dealt with apart.
    case none
  }

  /// The access of a call. SET alone depends on its options: with none that looks at the old value
  /// it is blind.
  @inline(__always) var access: Access {
    switch self {
    case .get, .strlen, .getrange, .substr, .exists, .touch, .type, .ttl, .pttl, .expiretime,
      .pexpiretime, .vget, .object, .memory:
      .read
    case .set, .setex, .psetex, .vset:
      .blind
    case .setnx, .getset, .getdel, .getex, .append, .setrange, .incr, .decr, .incrby, .decrby,
      .incrbyfloat, .del, .unlink, .expire, .pexpire, .expireat, .pexpireat, .persist, .vdel:
      .modify
    default:
      .none
    }
  }

  /// Where the key stands in a command on one key.
  var keyPosition: Int { self == .object || self == .memory ? 2 : 1 }
}
