extension CommandText {
  /// Commands about the connection itself, and CLIENT.
  static let connection = """
    ping -1 fast 0 0 0 fast,connection
      tips request_policy:all_shards response_policy:all_succeeded
      docs connection 1.0.0 O(1)
      help Check that the node answers
      - message string optional
    echo 2 loading,stale,fast 0 0 0 fast,connection
      docs connection 1.0.0 O(1)
      help Answer the message as it came
      - message string
    select 2 loading,stale,fast 0 0 0 fast,connection
      docs connection 1.0.0 O(1)
      help Switch this connection to another database
      - index integer
    hello -1 noscript,loading,stale,fast,no_auth,allow_busy 0 0 0 fast,connection
      docs connection 6.0.0 O(1)
      help Agree on a protocol version, optionally with credentials and a name
      - arguments block optional
        - protover integer
        - username_password block token=AUTH optional
          - username string
          - password string
        - clientname string token=SETNAME optional
    quit -1 noscript,loading,stale,fast,no_auth,allow_busy 0 0 0 fast,connection
      docs connection 1.0.0 O(1)
      help Say goodbye and close the connection
    reset 1 noscript,loading,stale,fast,no_auth,allow_busy 0 0 0 fast,connection
      docs connection 6.2.0 O(1)
      help Bring the connection back to how it began
    auth -2 noscript,loading,stale,fast,no_auth,allow_busy 0 0 0 fast,connection
      docs connection 1.0.0 O(1)
      help Log in with a password
      - username string since=6.0.0 optional
      - password string
    readonly 1 loading,stale,fast 0 0 0 fast,connection
      docs cluster 3.0.0 O(1)
      help Accept reads from a replica; a no-op, since any node takes any command
    readwrite 1 loading,stale,fast 0 0 0 fast,connection
      docs cluster 3.0.0 O(1)
      help Undo READONLY; a no-op, since any node takes any command
    client -2 - 0 0 0 slow
      docs connection 2.4.0 By subcommand
      help Inspect and steer client connections
    client|id 2 noscript,loading,stale 0 0 0 slow,connection
      docs connection 5.0.0 O(1)
      help Tell this connection's number
    client|info 2 noscript,loading,stale 0 0 0 slow,connection
      tips nondeterministic_output
      docs connection 6.2.0 O(1)
      help Describe this connection
    client|list -2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous,connection
      tips nondeterministic_output
      docs connection 2.4.0 O(N) for N connections
      help Describe the connections of this node
      - normal_master_replica_pubsub oneof token=TYPE since=5.0.0 optional
        - normal pure-token token=NORMAL
        - master pure-token token=MASTER
        - replica pure-token token=REPLICA
        - pubsub pure-token token=PUBSUB
      - id block token=ID since=6.2.0 optional
        - client-id integer multiple
    client|getname 2 noscript,loading,stale 0 0 0 slow,connection
      docs connection 2.6.9 O(1)
      help Tell this connection's name
    client|setname 3 noscript,loading,stale 0 0 0 slow,connection
      docs connection 2.6.9 O(1)
      help Name this connection
      - connection-name string
    client|setinfo 4 noscript,loading,stale 0 0 0 slow,connection
      docs connection 7.2.0 O(1)
      help Note the client library's name or version
      - attr oneof
        - libname string token=LIB-NAME
        - libver string token=LIB-VER
    client|kill -3 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous,connection
      docs connection 2.4.0 O(N) for N connections
      help Close connections
      - filter oneof
        - ip:port string deprecated=2.8.12
        - new-format oneof multiple
          - client-id integer token=ID since=2.8.12 optional
          - normal_master_slave_pubsub oneof token=TYPE since=2.8.12 optional
            - normal pure-token token=NORMAL
            - master pure-token token=MASTER since=3.2.0
            - slave pure-token token=SLAVE
            - replica pure-token token=REPLICA since=5.0.0
            - pubsub pure-token token=PUBSUB
          - username string token=USER optional
          - ip:port string token=ADDR optional
          - ip:port string token=LADDR since=6.2.0 optional
          - yes/no string token=SKIPME optional
    client|reply 3 noscript,loading,stale 0 0 0 slow,connection
      docs connection 3.2.0 O(1)
      help Turn replies to this connection on or off, or skip one
      - on_off_skip oneof
        - on pure-token token=ON
        - off pure-token token=OFF
        - skip pure-token token=SKIP
    client|no-evict 3 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous,connection
      docs connection 7.0.0 O(1)
      help Spare this connection when client buffers must be cut
      - enabled oneof
        - on pure-token token=ON
        - off pure-token token=OFF
    client|no-touch 3 noscript,loading,stale 0 0 0 slow,connection
      docs connection 7.2.0 O(1)
      help Keep this connection's reads from counting as use of a key
      - enabled oneof
        - on pure-token token=ON
        - off pure-token token=OFF
    client|pause -3 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous,connection
      docs connection 2.9.50 O(1)
      help Let clients wait for some time, all or those that write
      - timeout integer
      - mode oneof since=6.2.0 optional
        - write pure-token token=WRITE
        - all pure-token token=ALL
    client|unpause 2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous,connection
      docs connection 6.2.0 O(N) for N paused connections
      help Let paused clients go on
    client|unblock -3 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous,connection
      docs connection 5.0.0 O(1)
      help Wake a connection that waits in a blocking command
      - client-id integer
      - timeout_error oneof optional
        - timeout pure-token token=TIMEOUT
        - error pure-token token=ERROR
    client|getredir 2 noscript,loading,stale 0 0 0 slow,connection
      docs connection 6.0.0 O(1)
      help Tell which connection gets this one's invalidations
    client|trackinginfo 2 noscript,loading,stale 0 0 0 slow,connection
      docs connection 6.2.0 O(1)
      help Tell how keys are tracked for this connection's cache
    client|help 2 loading,stale 0 0 0 slow,connection
      docs connection 5.0.0 O(1)
      help List the subcommands of CLIENT
    """
}
