extension CommandText {
  /// String commands: read, write, splice and count.
  static let strings = """
    get 2 readonly,fast 1 1 1 read,string,fast
      keys RO,access
      docs string 1.0.0 O(1)
      help Read the string stored under a key
      - key key key=0
    set -3 write,denyoom 1 1 1 write,string,slow
      keys RW,access,update,variable_flags RW and ACCESS due to the optional `GET` argument
      docs string 1.0.0 O(1)
      help Store a string, on request only under a condition or with a deadline
      - key key key=0
      - value string
      - condition oneof since=2.6.12 optional
        - nx pure-token token=NX
        - xx pure-token token=XX
      - get pure-token token=GET since=6.2.0 optional
      - expiration oneof optional
        - seconds integer token=EX since=2.6.12
        - milliseconds integer token=PX since=2.6.12
        - unix-time-seconds unix-time token=EXAT since=6.2.0
        - unix-time-milliseconds unix-time token=PXAT since=6.2.0
        - keepttl pure-token token=KEEPTTL since=6.0.0
    setnx 3 write,denyoom,fast 1 1 1 write,string,fast
      keys OW,insert
      docs string 1.0.0 O(1)
      help Store a string unless the key is already there
      - key key key=0
      - value string
    setex 4 write,denyoom 1 1 1 write,string,slow
      keys OW,update
      docs string 2.0.0 O(1)
      help Store a string that lives for so many seconds
      - key key key=0
      - seconds integer
      - value string
    psetex 4 write,denyoom 1 1 1 write,string,slow
      keys OW,update
      docs string 2.6.0 O(1)
      help Store a string that lives for so many milliseconds
      - key key key=0
      - milliseconds integer
      - value string
    getset 3 write,denyoom,fast 1 1 1 write,string,fast
      keys RW,access,update
      docs string 1.0.0 O(1)
      help Swap in a new string and answer the old one
      deprecated 6.2.0 `SET` with the `!GET` argument
      - key key key=0
      - value string
    getdel 2 write,fast 1 1 1 write,string,fast
      keys RW,access,delete
      docs string 6.2.0 O(1)
      help Read a string and remove its key
      - key key key=0
    getex -2 write,fast 1 1 1 write,string,fast
      keys RW,access,update RW and UPDATE because it changes the TTL
      docs string 6.2.0 O(1)
      help Read a string and change or drop its deadline
      - key key key=0
      - expiration oneof optional
        - seconds integer token=EX
        - milliseconds integer token=PX
        - unix-time-seconds unix-time token=EXAT
        - unix-time-milliseconds unix-time token=PXAT
        - persist pure-token token=PERSIST
    mget -2 readonly,fast 1 -1 1 read,string,fast
      keys RO,access
      tips request_policy:multi_shard
      docs string 1.0.0 O(N) for N keys
      help Read many strings at once
      - key key key=0 multiple
    mset -3 write,denyoom 1 -1 2 write,string,slow
      keys OW,update
      tips request_policy:multi_shard response_policy:all_succeeded
      docs string 1.0.1 O(N) for N keys
      help Store many strings at once
      - key_value block multiple
        - key key key=0
        - value string
    msetnx -3 write,denyoom 1 -1 2 write,string,slow
      keys OW,insert
      tips request_policy:multi_shard response_policy:agg_min
      docs string 1.0.1 O(N) for N keys
      help Store many strings, or none when one of the keys is already there
      - key_value block multiple
        - key key key=0
        - value string
    strlen 2 readonly,fast 1 1 1 read,string,fast
      keys RO
      docs string 2.2.0 O(1)
      help Count the bytes of a string
      - key key key=0
    append 3 write,denyoom,fast 1 1 1 write,string,fast
      keys RW,insert
      docs string 2.0.0 O(1) amortized
      help Add bytes at the end of a string, starting an empty one if need be
      - key key key=0
      - value string
    setrange 4 write,denyoom 1 1 1 write,string,slow
      keys RW,update
      docs string 2.2.0 O(1) amortized, O(M) for M bytes of a long value
      help Write bytes into a string at an offset, padding with zero bytes
      - key key key=0
      - offset integer
      - value string
    getrange 4 readonly 1 1 1 read,string,slow
      keys RO,access
      docs string 2.4.0 O(N) for N bytes answered
      help Read a part of a string
      - key key key=0
      - start integer
      - end integer
    substr 4 readonly 1 1 1 read,string,slow
      keys RO,access
      docs string 1.0.0 O(N) for N bytes answered
      help Old name of GETRANGE
      deprecated 2.0.0 `GETRANGE`
      - key key key=0
      - start integer
      - end integer
    incr 2 write,denyoom,fast 1 1 1 write,string,fast
      keys RW,access,update
      docs string 1.0.0 O(1)
      help Add one to an integer
      - key key key=0
    decr 2 write,denyoom,fast 1 1 1 write,string,fast
      keys RW,access,update
      docs string 1.0.0 O(1)
      help Take one from an integer
      - key key key=0
    incrby 3 write,denyoom,fast 1 1 1 write,string,fast
      keys RW,access,update
      docs string 1.0.0 O(1)
      help Add to an integer
      - key key key=0
      - increment integer
    decrby 3 write,denyoom,fast 1 1 1 write,string,fast
      keys RW,access,update
      docs string 1.0.0 O(1)
      help Subtract from an integer
      - key key key=0
      - decrement integer
    incrbyfloat 3 write,denyoom,fast 1 1 1 write,string,fast
      keys RW,access,update
      docs string 2.6.0 O(1)
      help Add to a floating point number
      - key key key=0
      - increment double
    vget 2 readonly,fast 1 1 1 read,string,fast
      keys RO,access
      docs string 1.0.0 O(N) for N siblings
      help Read every sibling of a string and the causal context they carry
      - key key key=0
    vset -5 write,denyoom 1 1 1 write,string,slow
      keys RW,update
      docs string 1.0.0 O(N) for N siblings
      help Store a string in place of the siblings that a causal context covers
      - key key key=0
      - value string
      - token string token=CONTEXT
      - expiration oneof optional
        - seconds integer token=EX
        - milliseconds integer token=PX
        - unix-time-seconds unix-time token=EXAT
        - unix-time-milliseconds unix-time token=PXAT
        - keepttl pure-token token=KEEPTTL
    vdel 4 write,fast 1 1 1 write,string,fast
      keys RM,delete
      docs string 1.0.0 O(N) for N siblings
      help Remove the siblings that a causal context covers
      - key key key=0
      - token string token=CONTEXT
    """
}
