/// Every bound of the product that is not a setting, by name and with its reason.
public enum Limits {
  /// The largest value or key, as `proto-max-bulk-len` in Redis.
  public static var bulkBytes: Int { 512 << 20 }
  /// The longest inline request or header line, as PROTO_INLINE_MAX_SIZE in Redis.
  public static var inlineBytes: Int { 64 << 10 }
  /// The largest argument count that a request may announce, as in Redis 7.0.
  public static var arguments: Int { Int(Int32.max) }
  /// What one client may have sent without it being taken, unless `client-query-buffer-limit` says
  /// otherwise.
  public static var queryBufferBytes: Int { 1 << 30 }
  /// Replies that wait for one client: above, its commands are not run until it reads on.
  public static var clientOutputBytes: Int { 1 << 20 }
  /// Commands that wait to be shown to a client that monitors: above, it is closed.
  public static var monitorOutputBytes: Int { 16 << 20 }
  /// Buffers of a connection above this are counted whenever they change.
  public static var largeBufferBytes: Int { 64 << 10 }
  /// What the shell keeps for a connection.
  public static var connectionBytes: Int { 1 << 10 }
  /// Kept input that is run in one go.
  public static var keptBytesAtOnce: Int { 64 << 10 }
  /// Replies that one client gets in one go; what it asks for beyond waits for the others' turn.
  public static var replyBytesAtOnce: Int { 128 << 10 }
  /// What one round of the loop reads from all clients; then replies are written.
  public static var bytesPerRound: Int { 1 << 20 }
  /// What one read counts for at least: a round reads from 1,024 clients at most.
  public static var bytesPerRead: Int { 1 << 10 }
  /// A request that has not come whole after so many microseconds, and comes slower than so many
  /// bytes a second, is not waited for.
  public static var requestPatience: UInt64 { 30_000_000 }
  public static var requestBytesPerSecond: UInt64 { 1 << 10 }
  /// Microseconds until buffers of an idle client are given back.
  public static var idleBufferPatience: UInt64 { 2_000_000 }
  /// How long a client is waited for that has to read its last replies, in microseconds.
  public static var closingPatience: UInt64 { 30_000_000 }
  /// How long a client may take to log in, in microseconds.
  public static var loginPatience: UInt64 { 10_000_000 }
  /// Between two looks for clients to evict, in microseconds.
  public static var clientEvictionPause: UInt64 { 10_000 }
  /// Descriptors of the process itself with 32 of scrapers, and those kept for other nodes at least.
  public static var ownDescriptors: Int { 64 }
  public static var peerDescriptors: Int { 64 }
  /// Where descriptors are short, strangers at the peer port get one of so many, and not fewer than
  /// that.
  public static var descriptorsPerStranger: Int { 32 }
  public static var strangersAtLeast: Int { 8 }
  /// How much of a connection's input is kept while its commands wait for their turn.
  public static var stalledInputBytes: Int { 1 << 20 }
  /// Commands of one connection that may wait for other nodes at once; the next ones wait unread. On
  /// one key they follow each other, a quorum or two each, and the last has to be through before it is
  /// late: with 1,024 it was not on a slow machine.
  public static var commandsInFlight: Int { 256 }
  /// Of these, such with a reply above `largeReplyBytes`: the replies are held until their turn.
  public static var largeRepliesInFlight: Int { 8 }
  public static var largeReplyBytes: Int { 64 << 10 }
  /// Operations of one node that may wait for other nodes at once.
  public static var pendingOperations: Int { 1 << 16 }
  /// The largest frame between two nodes: the largest value with its key and head.
  public static var frameBytes: Int { (512 << 20) * 2 + (64 << 10) }
  /// What may wait for one peer before its link is given up, as if it were dead.
  public static var peerOutputBytes: Int { 1200 << 20 }
  /// From here on a value lies in pages of its own, replies refer to it instead of copying it, and it
  /// is given back in slices: below, copying costs less than a tenth of a millisecond a time.
  public static var bigValueBytes: Int { 512 << 10 }
  /// Buffers of this capacity grow by pages instead of by copying.
  public static var pagedBufferBytes: Int { 1 << 20 }
  /// Bytes of dead values and buffers that are given back in one go, and the microseconds to the
  /// next one: half a millisecond of work, 4 GB a second.
  public static var bytesBuriedAtOnce: Int { 4 << 20 }
  public static var burialInterval: UInt64 { 1000 }
  /// Records of a flushed database that are freed in one go: about a millisecond.
  public static var recordsFreedAtOnce: Int { 4096 }
  /// What one client is written in one round, and once so much was written to all of them, what each
  /// other one is: a hundred clients whose sockets take megabytes held the others up for 650 ms.
  public static var bytesWrittenAtOnce: Int { 128 << 10 }
  public static var bytesWrittenPerRound: Int { 1 << 20 }
  public static var bytesWrittenAtLeast: Int { 16 << 10 }
  /// What one peer is.
  public static var peerBytesWrittenAtOnce: Int { 1 << 20 }
  /// Bytes of a large value that get to another node and are stored there in a microsecond, when both
  /// are slow: so much longer an operation may take.
  public static var movedPerMicrosecond: UInt64 { 16 }
  /// Bytes of it that another node stores in a microsecond when it is slow; meanwhile it is silent.
  public static var storedPerMicrosecond: UInt64 { 64 }
  /// Spare capacity that an idle buffer keeps.
  public static var idleBufferBytes: Int { 16 << 10 }
  /// Members of one cluster; the design point is 1,500.
  public static var members: Int { 4096 }
  /// Nodes that said hello and are no members (yet).
  public static var strangers: Int { 64 }
  /// Bytes that a link may bring before its other end has said who it is: a hello and a proof are 99.
  public static var unprovenBytes: Int { 256 }
  /// How long that may take, in microseconds.
  public static var unprovenPatience: UInt64 { 5_000_000 }
  /// Accepted links of which that is not known yet at most; with one more the oldest is closed.
  public static var unprovenLinks: Int { 256 }
  /// How long each of them stays in any case, in microseconds: two round trips to the next continent.
  public static var strangerGrace: UInt64 { 250_000 }
  /// The wait before dialling doubles so often after links that were refused: to 3.2 s.
  public static var redialDoublings: UInt8 { 5 }
  /// Microseconds between two lines of the log about links that were refused.
  public static var refusalLogInterval: UInt64 { 10_000_000 }
  /// The shortest `cluster-secret`, in bytes.
  public static var shortestSecret: Int { 16 }
  /// TLS handshakes of clients under way at once, and those that are let in however few places are
  /// free; with one more the oldest is given up.
  public static var handshakes: Int { 1024 }
  public static var handshakesAtLeast: Int { 16 }
  /// Steps of handshakes in one round of the loop: one costs up to a few milliseconds.
  public static var handshakeStepsPerRound: Int { 4 }
  /// How long a TLS handshake may take, in microseconds.
  public static var handshakePatience: UInt64 { 10_000_000 }
  /// Actors in one causal context.
  public static var contextActors: Int { 4096 }
  /// The longest value in a record, whose length field has 30 bits: an encoded sibling set.
  public static var recordValueBytes: Int { 1 << 30 - 1 }
  /// Addresses that a node dials because it was told to, until a member answers there.
  public static var seeds: Int { 256 }
  /// Keyspaces of one cluster.
  public static var keyspaces: Int { 1024 }
  /// Siblings of one key; above, the highest version stays.
  public static var siblings: Int { 100 }
  /// Actors whose stamps one node's table holds at once; an index in a record has 16 bits.
  public static var actors: Int { 65_535 }
  /// Copies of a key.
  public static var copies: Int { 7 }
  /// Nodes that one SCAN call may ask in turn before it hands its cursor back.
  public static var scanHops: Int { 64 }
  /// The largest COUNT that one SCAN call obeys.
  public static var scanCount: Int { 1 << 20 }
  /// Records of members in one message of the failure detector: with the longest names about 5 KiB.
  public static var gossipRecords: Int { 6 }
  /// Probes on behalf of others that are under way at once.
  public static var relays: Int { 64 }
  /// Whole member tables that a node sends a second, in bytes; what is left out is sent later.
  public static var tableBytesPerSecond: Int { 256 << 10 }
  /// Objects that one query of a comparison asks for.
  public static var wantedObjects: Int { 4096 }
  /// Peers that missing slots are pulled from at once.
  public static var fillSources: Int { 3 }
  /// One batch of hints, in bytes: 64 KiB make a client at the target wait three times as long.
  public static var hintBatchBytes: Int { 8 << 10 }
  /// Comparisons in a row that a node leaves out while hints come in.
  public static var skippedExchanges: Int { 12 }
  /// With so many hints for a node nothing is pulled from it.
  public static var hintsBeforeComparison: Int { 1000 }
  /// Nanoseconds after which a step of upkeep (evicting, expiring, putting memory together) ends,
  /// however little it has done; where memory is far too sparse putting it together takes four times.
  public static var upkeepNanoseconds: UInt64 { 500_000 }
  /// Objects that are evicted in one go: about half a millisecond of work.
  public static var evictionsAtOnce: Int { 256 }
  /// Bytes above `maxmemory`, beside a sixteenth of it, from which on writes are refused although
  /// there is something to evict.
  public static var memoryOvershoot: Int { 8 << 20 }
  /// Bytes of sparse memory that are not worth moving records for.
  public static var slackBytes: Int { 24 << 20 }
  /// Records that are looked at in one go to put memory together: about a millisecond.
  public static var recordsLookedAtAtOnce: Int { 4096 }
  /// Records that have to be owed before a round looks at any of them.
  public static var recordsWorthALook: Int { 256 }
  /// Records that a step of the walks for expired objects and settled tombstones looks at: below a
  /// millisecond, also when all of them go.
  public static var walkedRecordsAtOnce: Int { 1024 }
  /// Slots that one step of a walk looks at, however empty they are.
  public static var slotsLookedAtAtOnce: Int { 4096 }
  /// Microseconds between two such steps while much is due, and those that a walk over a large table
  /// takes when little is.
  public static var walkPause: UInt64 { 500 }
  public static var walkPeriod: UInt64 { 20_000_000 }
  /// After a refusal for want of memory, microseconds until the same is pulled again.
  public static var refusedPatience: UInt64 { 500_000 }
  /// Bytes of a key or a name in ACL LOG.
  public static var loggedNameBytes: Int { 256 }
  /// Connections that are looked after in one go.
  public static var sessionsLookedAtAtOnce: Int { 2048 }
  /// An offer that nothing was heard of for so long is made again; microseconds.
  public static var offerPatience: UInt64 { 3_000_000 }
  /// Between two offers of objects to their owners, in microseconds.
  public static var offerInterval: UInt64 { 500_000 }
  /// How long a leaver waits for the delivery of its hints, in microseconds.
  public static var leaveHintsWait: UInt64 { 30_000_000 }
  /// Other nodes that have series of their own in /metrics.
  public static var peersInMetrics: Int { 128 }
  /// Fallbacks that CLUSTER PREFLIST shows behind the owners.
  public static var shownFallbacks: Int { 3 }
  /// Words of one request of a client that has to log in first, as in Redis 7.0.
  public static var unauthenticatedArguments: Int { 10 }
  /// The length of each, as in Redis 7.0.
  public static var unauthenticatedBulkBytes: Int { 16 << 10 }
  /// What such a client may have sent that is not taken, and may leave unread.
  public static var unauthenticatedQueryBytes: Int { 64 << 10 }
  public static var unauthenticatedOutputBytes: Int { 16 << 10 }
  /// Failed logins of one address that are answered at once, and the microseconds in which as many
  /// come back.
  public static var authenticationFailures: Int { 10 }
  public static var authenticationWindow: UInt64 { 60_000_000 }
  /// Kinds of errors (their first words) that are counted apart.
  public static var errorKinds: Int { 128 }
  /// Addresses whose failed logins are remembered.
  public static var authenticationAddresses: Int { 1024 }
}
