extension CommandText {
  /// Commands on keys of any type: deletion, deadlines, introspection, iteration.
  static let keys = """
    del -2 write 1 -1 1 keyspace,write,slow
      keys RM,delete
      tips request_policy:multi_shard response_policy:agg_sum
      docs generic 1.0.0 O(N) for N keys
      help Remove keys
      - key key key=0 multiple
    unlink -2 write,fast 1 -1 1 keyspace,write,fast
      keys RM,delete
      tips request_policy:multi_shard response_policy:agg_sum
      docs generic 4.0.0 O(N) for N keys
      help Remove keys and free their memory off the request path
      - key key key=0 multiple
    exists -2 readonly,fast 1 -1 1 keyspace,read,fast
      keys RO
      tips request_policy:multi_shard response_policy:agg_sum
      docs generic 1.0.0 O(N) for N keys
      help Count how many of the keys are there
      - key key key=0 multiple
    touch -2 readonly,fast 1 -1 1 keyspace,read,fast
      keys RO
      tips request_policy:multi_shard response_policy:agg_sum
      docs generic 3.2.1 O(N) for N keys
      help Mark keys as just used and count those that are there
      - key key key=0 multiple
    type 2 readonly,fast 1 1 1 keyspace,read,fast
      keys RO
      docs generic 1.0.0 O(1)
      help Name the type of the value under a key
      - key key key=0
    expire -3 write,fast 1 1 1 keyspace,write,fast
      keys RW,update
      docs generic 1.0.0 O(1)
      help Let a key live for so many seconds from now
      - key key key=0
      - seconds integer
      - condition oneof since=7.0.0 optional
        - nx pure-token token=NX
        - xx pure-token token=XX
        - gt pure-token token=GT
        - lt pure-token token=LT
    pexpire -3 write,fast 1 1 1 keyspace,write,fast
      keys RW,update
      docs generic 2.6.0 O(1)
      help Let a key live for so many milliseconds from now
      - key key key=0
      - milliseconds integer
      - condition oneof since=7.0.0 optional
        - nx pure-token token=NX
        - xx pure-token token=XX
        - gt pure-token token=GT
        - lt pure-token token=LT
    expireat -3 write,fast 1 1 1 keyspace,write,fast
      keys RW,update
      docs generic 1.2.0 O(1)
      help Let a key live until a Unix time in seconds
      - key key key=0
      - unix-time-seconds unix-time
      - condition oneof since=7.0.0 optional
        - nx pure-token token=NX
        - xx pure-token token=XX
        - gt pure-token token=GT
        - lt pure-token token=LT
    pexpireat -3 write,fast 1 1 1 keyspace,write,fast
      keys RW,update
      docs generic 2.6.0 O(1)
      help Let a key live until a Unix time in milliseconds
      - key key key=0
      - unix-time-milliseconds unix-time
      - condition oneof since=7.0.0 optional
        - nx pure-token token=NX
        - xx pure-token token=XX
        - gt pure-token token=GT
        - lt pure-token token=LT
    ttl 2 readonly,fast 1 1 1 keyspace,read,fast
      keys RO,access
      tips nondeterministic_output
      docs generic 1.0.0 O(1)
      help Tell how many seconds a key has left
      - key key key=0
    pttl 2 readonly,fast 1 1 1 keyspace,read,fast
      keys RO,access
      tips nondeterministic_output
      docs generic 2.6.0 O(1)
      help Tell how many milliseconds a key has left
      - key key key=0
    expiretime 2 readonly,fast 1 1 1 keyspace,read,fast
      keys RO,access
      docs generic 7.0.0 O(1)
      help Tell a key's deadline as a Unix time in seconds
      - key key key=0
    pexpiretime 2 readonly,fast 1 1 1 keyspace,read,fast
      keys RO,access
      docs generic 7.0.0 O(1)
      help Tell a key's deadline as a Unix time in milliseconds
      - key key key=0
    persist 2 write,fast 1 1 1 keyspace,write,fast
      keys RW,update
      docs generic 2.2.0 O(1)
      help Drop a key's deadline
      - key key key=0
    scan -2 readonly 0 0 0 keyspace,read,slow
      tips nondeterministic_output request_policy:special
      docs generic 2.8.0 O(1) a call, O(N) for a whole pass over N keys
      help Walk over the keys with a cursor, a few at a time
      - cursor integer
      - pattern pattern token=MATCH optional
      - count integer token=COUNT optional
      - type string token=TYPE since=6.0.0 optional
    keys 2 readonly 0 0 0 keyspace,read,slow,dangerous
      tips request_policy:all_shards nondeterministic_output_order
      docs generic 1.0.0 O(N) for N keys in the cache
      help List all keys that match a pattern
      - pattern pattern
    randomkey 1 readonly 0 0 0 keyspace,read,slow
      tips request_policy:all_shards nondeterministic_output
      docs generic 1.0.0 O(1)
      help Pick some key
    dbsize 1 readonly,fast 0 0 0 keyspace,read,fast
      tips request_policy:all_shards response_policy:agg_sum
      docs server 1.0.0 O(1) on each node
      help Count the keys
    flushdb -1 write 0 0 0 keyspace,write,slow,dangerous
      tips request_policy:all_shards response_policy:all_succeeded
      docs server 1.0.0 O(N) for N keys
      help Empty the selected database
      - async oneof optional
        - async pure-token token=ASYNC since=4.0.0
        - sync pure-token token=SYNC since=6.2.0
    flushall -1 write 0 0 0 keyspace,write,slow,dangerous
      tips request_policy:all_shards response_policy:all_succeeded
      docs server 1.0.0 O(N) for N keys
      help Empty all databases
      - async oneof optional
        - async pure-token token=ASYNC since=4.0.0
        - sync pure-token token=SYNC since=6.2.0
    object -2 - 0 0 0 slow
      docs generic 2.2.3 By subcommand
      help Look at how a value is kept
    object|encoding 3 readonly 2 2 1 keyspace,read,slow
      keys RO
      tips nondeterministic_output
      docs generic 2.2.3 O(1)
      help Name the representation of a value
      - key key key=0
    object|freq 3 readonly 2 2 1 keyspace,read,slow
      keys RO
      tips nondeterministic_output
      docs generic 4.0.0 O(1)
      help Tell how often a value is used, as a logarithmic counter
      - key key key=0
    object|idletime 3 readonly 2 2 1 keyspace,read,slow
      keys RO
      tips nondeterministic_output
      docs generic 2.2.3 O(1)
      help Tell for how many seconds a value has not been used
      - key key key=0
    object|refcount 3 readonly 2 2 1 keyspace,read,slow
      keys RO
      tips nondeterministic_output
      docs generic 2.2.3 O(1)
      help Count the references to a value
      - key key key=0
    object|help 2 loading,stale 0 0 0 keyspace,slow
      docs generic 6.2.0 O(1)
      help List the subcommands of OBJECT
    """
}
