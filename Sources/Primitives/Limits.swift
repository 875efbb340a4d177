/// Every bound of the product that is not a setting, by name and with its reason.
package enum Limits {
  /// The largest value or key, as `proto-max-bulk-len` in Redis.
  package static let bulkBytes = 512 << 20
  /// The longest inline request or header line, as PROTO_INLINE_MAX_SIZE in Redis.
  package static let inlineBytes = 64 << 10
  /// The largest argument count that a request may announce, as in Redis 7.0.
  package static let arguments = Int(Int32.max)
  /// What one client may have sent without it being taken: Redis's client-query-buffer-limit.
  package static let queryBufferBytes = 1 << 30
  /// Replies that wait for one client: above, its commands are not run until it reads on.
  package static let clientOutputBytes = 16 << 20
  /// How much of a connection's input is kept while its commands wait for their turn.
  package static let stalledInputBytes = 1 << 20
  /// Commands of one connection that may wait for other nodes at once; the next ones wait unread.
  package static let commandsInFlight = 1024
  /// Operations of one node that may wait for other nodes at once.
  package static let pendingOperations = 1 << 16
  /// The largest frame between two nodes: the largest value with its key and head.
  package static let frameBytes = (512 << 20) * 2 + (64 << 10)
  /// What may wait for one peer before its link is given up, as if it were dead.
  package static let peerOutputBytes = 1200 << 20
  /// Spare capacity that an idle buffer keeps.
  package static let idleBufferBytes = 16 << 10
  /// Members of one cluster; the design point is 1,500.
  package static let members = 4096
  /// Keyspaces of one cluster.
  package static let keyspaces = 1024
  /// Siblings of one key; above, the highest version stays.
  package static let siblings = 100
  /// Actors whose stamps one node's table holds at once; an index in a record has 16 bits.
  package static let actors = 65_535
  /// Copies of a key.
  package static let copies = 7
  /// Nodes that one SCAN call may ask in turn before it hands its cursor back.
  package static let scanHops = 64
  /// The largest COUNT that one SCAN call obeys.
  package static let scanCount = 1 << 20
}
