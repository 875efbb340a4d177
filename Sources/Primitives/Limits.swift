/// Every bound of the product that is not a setting, by name and with its reason.
package enum Limits {
  /// The largest value or key, as `proto-max-bulk-len` in Redis.
  @inlinable package static var bulkBytes: Int { 512 << 20 }
  /// The longest inline request or header line, as PROTO_INLINE_MAX_SIZE in Redis.
  @inlinable package static var inlineBytes: Int { 64 << 10 }
  /// The largest argument count that a request may announce, as in Redis 7.0.
  @inlinable package static var arguments: Int { Int(Int32.max) }
  /// What one client may have sent without it being taken: Redis's client-query-buffer-limit.
  @inlinable package static var queryBufferBytes: Int { 1 << 30 }
  /// Replies that wait for one client: above, its commands are not run until it reads on.
  @inlinable package static var clientOutputBytes: Int { 16 << 20 }
  /// How much of a connection's input is kept while its commands wait for their turn.
  @inlinable package static var stalledInputBytes: Int { 1 << 20 }
  /// Commands of one connection that may wait for other nodes at once; the next ones wait unread.
  @inlinable package static var commandsInFlight: Int { 1024 }
  /// Of these, such with a reply above `largeReplyBytes`: the replies are held until their turn.
  @inlinable package static var largeRepliesInFlight: Int { 8 }
  @inlinable package static var largeReplyBytes: Int { 64 << 10 }
  /// Operations of one node that may wait for other nodes at once.
  @inlinable package static var pendingOperations: Int { 1 << 16 }
  /// The largest frame between two nodes: the largest value with its key and head.
  @inlinable package static var frameBytes: Int { (512 << 20) * 2 + (64 << 10) }
  /// What may wait for one peer before its link is given up, as if it were dead.
  @inlinable package static var peerOutputBytes: Int { 1200 << 20 }
  /// Spare capacity that an idle buffer keeps.
  @inlinable package static var idleBufferBytes: Int { 16 << 10 }
  /// Members of one cluster; the design point is 1,500.
  @inlinable package static var members: Int { 4096 }
  /// Nodes that said hello and are no members (yet).
  @inlinable package static var strangers: Int { 64 }
  /// Actors in one causal context.
  @inlinable package static var contextActors: Int { 4096 }
  /// The longest value in a record, whose length field has 30 bits: an encoded sibling set.
  @inlinable package static var recordValueBytes: Int { 1 << 30 - 1 }
  /// Addresses that a node dials because it was told to, until a member answers there.
  @inlinable package static var seeds: Int { 256 }
  /// Keyspaces of one cluster.
  @inlinable package static var keyspaces: Int { 1024 }
  /// Siblings of one key; above, the highest version stays.
  @inlinable package static var siblings: Int { 100 }
  /// Actors whose stamps one node's table holds at once; an index in a record has 16 bits.
  @inlinable package static var actors: Int { 65_535 }
  /// Copies of a key.
  @inlinable package static var copies: Int { 7 }
  /// Nodes that one SCAN call may ask in turn before it hands its cursor back.
  @inlinable package static var scanHops: Int { 64 }
  /// The largest COUNT that one SCAN call obeys.
  @inlinable package static var scanCount: Int { 1 << 20 }
  /// Records of members in one message of the failure detector: with the longest names about 5 KiB.
  @inlinable package static var gossipRecords: Int { 6 }
  /// Probes on behalf of others that are under way at once.
  @inlinable package static var relays: Int { 64 }
  /// Whole member tables that a node sends a second, in bytes; what is left out is sent later.
  @inlinable package static var tableBytesPerSecond: Int { 256 << 10 }
  /// Objects that one query of a comparison asks for.
  @inlinable package static var wantedObjects: Int { 4096 }
  /// Peers that missing slots are pulled from at once.
  @inlinable package static var fillSources: Int { 3 }
  /// One batch of hints, in bytes: 64 KiB make a client at the target wait three times as long.
  @inlinable package static var hintBatchBytes: Int { 8 << 10 }
  /// Comparisons in a row that a node leaves out while hints come in.
  @inlinable package static var skippedExchanges: Int { 12 }
  /// With so many hints for a node nothing is pulled from it.
  @inlinable package static var hintsBeforeComparison: Int { 1000 }
  /// Objects that are evicted in one go: about half a millisecond of work.
  @inlinable package static var evictionsAtOnce: Int { 256 }
  /// Bytes above `maxmemory`, beside a sixteenth of it, from which on writes are refused although
  /// there is something to evict.
  @inlinable package static var memoryOvershoot: Int { 8 << 20 }
  /// Bytes of sparse memory that are not worth moving records for.
  @inlinable package static var slackBytes: Int { 24 << 20 }
  /// Records that are looked at in one go to put memory together: about a millisecond.
  @inlinable package static var recordsLookedAtAtOnce: Int { 4096 }
  /// After a refusal for want of memory, microseconds until the same is pulled again.
  @inlinable package static var refusedPatience: UInt64 { 500_000 }
  /// Bytes of a key or a name in ACL LOG.
  @inlinable package static var loggedNameBytes: Int { 256 }
  /// Sessions whose buffers are summed up in one go.
  @inlinable package static var sessionsSummedAtOnce: Int { 2048 }
  /// An offer that nothing was heard of for so long is made again; microseconds.
  @inlinable package static var offerPatience: UInt64 { 3_000_000 }
  /// Between two offers of objects to their owners, in microseconds.
  @inlinable package static var offerInterval: UInt64 { 500_000 }
  /// How long a leaver waits for the delivery of its hints, in microseconds.
  @inlinable package static var leaveHintsWait: UInt64 { 30_000_000 }
  /// Other nodes that have series of their own in /metrics.
  @inlinable package static var peersInMetrics: Int { 128 }
  /// Fallbacks that CLUSTER PREFLIST shows behind the owners.
  @inlinable package static var shownFallbacks: Int { 3 }
  /// Words of one request of a client that has to log in first, as in Redis 7.0.
  @inlinable package static var unauthenticatedArguments: Int { 10 }
  /// The length of each, as in Redis 7.0.
  @inlinable package static var unauthenticatedBulkBytes: Int { 16 << 10 }
  /// Failed logins of one address that are answered at once, and the microseconds in which as many
  /// come back.
  @inlinable package static var authenticationFailures: Int { 10 }
  @inlinable package static var authenticationWindow: UInt64 { 60_000_000 }
  /// Kinds of errors (their first words) that are counted apart.
  @inlinable package static var errorKinds: Int { 128 }
  /// Addresses whose failed logins are remembered.
  @inlinable package static var authenticationAddresses: Int { 1024 }
}
