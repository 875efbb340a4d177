extension CommandText {
  /// Commands about the node: its commands, its configuration, its state.
  static let server = """
    time 1 loading,stale,fast 0 0 0 fast
      tips nondeterministic_output
      docs server 2.6.0 O(1)
      help Tell the node's clock
    role 1 noscript,loading,stale,fast 0 0 0 admin,fast,dangerous
      docs server 2.8.12 O(1)
      help Tell the replication role: always master, as Coterie has no leader
    command -1 loading,stale 0 0 0 slow,connection
      tips nondeterministic_output_order
      docs server 2.8.13 O(N) for N commands
      help Describe the commands this node knows
    command|count 2 loading,stale 0 0 0 slow,connection
      docs server 2.8.13 O(1)
      help Count the commands
    command|info -2 loading,stale 0 0 0 slow,connection
      tips nondeterministic_output_order
      docs server 2.8.13 O(N) for N names
      help Describe the named commands, or all
      - command-name string optional multiple
    command|docs -2 loading,stale 0 0 0 slow,connection
      tips nondeterministic_output_order
      docs server 7.0.0 O(N) for N names
      help Document the named commands, or all
      - command-name string optional multiple
    command|list -2 loading,stale 0 0 0 slow,connection
      tips nondeterministic_output_order
      docs server 7.0.0 O(N) for N commands
      help List the names of commands
      - filterby oneof token=FILTERBY optional
        - module-name string token=MODULE
        - category string token=ACLCAT
        - pattern pattern token=PATTERN
    command|getkeys -4 loading,stale 0 0 0 slow,connection
      docs server 2.8.13 O(N) for N arguments
      help Pick the keys out of a whole command line
    command|getkeysandflags -4 loading,stale 0 0 0 slow,connection
      docs server 7.0.0 O(N) for N arguments
      help Pick the keys out of a whole command line, with how each is used
    command|help 2 loading,stale 0 0 0 slow,connection
      docs server 5.0.0 O(1)
      help List the subcommands of COMMAND
    info -1 loading,stale 0 0 0 slow,dangerous
      tips nondeterministic_output request_policy:all_shards response_policy:special
      docs server 1.0.0 O(1)
      help Report the node's state and counters
      - section string optional multiple
    config -2 - 0 0 0 slow
      docs server 2.0.0 By subcommand
      help Read and change the configuration
    config|get -3 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 2.0.0 O(N) for N patterns
      help Read the settings that match
      - parameter block multiple
        - parameter string
    config|set -4 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      tips request_policy:all_nodes response_policy:all_succeeded
      docs server 2.0.0 O(N) for N settings
      help Change settings without a restart
      - parameter_value block multiple
        - parameter string
        - value string
    config|rewrite 2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 2.8.0 O(1)
      help Save the current settings in the configuration file
    config|resetstat 2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 2.0.0 O(1)
      help Set the counters of INFO back to zero
    config|help 2 loading,stale 0 0 0 slow
      docs server 5.0.0 O(1)
      help List the subcommands of CONFIG
    acl -2 - 0 0 0 slow
      docs server 6.0.0 By subcommand
      help Say who may do what
    acl|cat -2 noscript,loading,stale 0 0 0 slow
      docs server 6.0.0 O(1)
      help List the categories, or the commands in one
      - categoryname string optional
    acl|deluser -3 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 6.0.0 O(N) for N connections
      help Remove users and close their connections
      - username string multiple
    acl|dryrun -4 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 7.0.0 O(1)
      help Tell whether a user may run a command, without running it
      - username string
      - command string
      - arg string optional multiple
    acl|genpass -2 noscript,loading,stale 0 0 0 slow
      docs server 6.0.0 O(1)
      help Make a password that nobody guesses
      - bits integer optional
    acl|getuser 3 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 6.0.0 O(N) for N rules
      help Show what a user may do
      - username string
    acl|help 2 loading,stale 0 0 0 slow
      docs server 6.0.0 O(1)
      help List the subcommands of ACL
    acl|list 2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 6.0.0 O(N) for N users
      help Show all users as lines of an ACL file
    acl|load 2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 6.0.0 O(N) for N users
      help Read the ACL file anew
    acl|log -2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 6.0.0 O(N) for N entries
      help Show what was refused lately
      - operation oneof optional
        - count integer
        - reset pure-token token=RESET
    acl|save 2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 6.0.0 O(N) for N users
      help Write all users to the ACL file
    acl|setuser -3 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 6.0.0 O(N) for N rules
      help Make a user or change what one may do
      - username string
      - rule string optional multiple
    acl|users 2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 6.0.0 O(N) for N users
      help List the names of all users
    acl|whoami 2 noscript,loading,stale 0 0 0 slow
      docs server 6.0.0 O(1)
      help Tell the name of the user of this connection
    slowlog -2 - 0 0 0 slow
      docs server 2.2.12 By subcommand
      help Show which commands were slow
    slowlog|get -2 admin,loading,stale 0 0 0 admin,slow,dangerous
      tips request_policy:all_nodes nondeterministic_output
      docs server 2.2.12 O(N) for N entries
      help Show the slow commands, the newest first
      - count integer optional
    slowlog|reset 2 admin,loading,stale 0 0 0 admin,slow,dangerous
      tips request_policy:all_nodes response_policy:all_succeeded
      docs server 2.2.12 O(N) for N entries
      help Forget the slow commands
    slowlog|len 2 admin,loading,stale 0 0 0 admin,slow,dangerous
      tips request_policy:all_nodes response_policy:agg_sum nondeterministic_output
      docs server 2.2.12 O(1)
      help Count the slow commands
    slowlog|help 2 loading,stale 0 0 0 slow
      docs server 6.2.0 O(1)
      help List the subcommands of SLOWLOG
    latency -2 - 0 0 0 slow
      docs server 2.8.13 By subcommand
      help Show what took long
    latency|graph 3 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      tips nondeterministic_output request_policy:all_nodes response_policy:special
      docs server 2.8.13 O(1)
      help Draw an event's samples
      - event string
    latency|history 3 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      tips nondeterministic_output request_policy:all_nodes response_policy:special
      docs server 2.8.13 O(1)
      help Show an event's samples
      - event string
    latency|reset -2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      tips nondeterministic_output request_policy:all_nodes response_policy:all_succeeded
      docs server 2.8.13 O(1)
      help Forget the samples of some events or all
      - event string optional multiple
    latency|latest 2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      tips nondeterministic_output request_policy:all_nodes response_policy:special
      docs server 2.8.13 O(1)
      help Show the last sample of each event
    latency|doctor 2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      tips nondeterministic_output request_policy:all_nodes response_policy:special
      docs server 2.8.13 O(1)
      help Say in words what took long
    latency|histogram -2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      tips nondeterministic_output request_policy:all_nodes response_policy:special
      docs server 7.0.0 O(N) for N commands
      help Show how long commands took
      - command string optional multiple
    latency|help 2 loading,stale 0 0 0 slow
      docs server 2.8.13 O(1)
      help List the subcommands of LATENCY
    monitor 1 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 1.0.0 O(1)
      help Show every command that this node's clients send
    debug -2 admin,noscript,loading,stale 0 0 0 admin,slow,dangerous
      docs server 1.0.0 By subcommand
      help Help tests; off unless enable-debug-command says otherwise
    memory -2 - 0 0 0 slow
      docs server 4.0.0 By subcommand
      help Ask about memory
    memory|usage -3 readonly 2 2 1 read,slow
      keys RO
      docs server 4.0.0 O(N) for N sampled elements
      help Estimate the bytes that a key and its value take
      - key key key=0
      - count integer token=SAMPLES optional
    memory|stats 2 - 0 0 0 slow
      docs server 4.0.0 O(1)
      help Tell what memory is used for
    memory|help 2 loading,stale 0 0 0 slow
      docs server 4.0.0 O(1)
      help List the subcommands of MEMORY
    wait 3 noscript 0 0 0 slow,connection
      tips request_policy:all_shards response_policy:agg_min
      docs generic 3.0.0 O(1)
      help Wait until enough copies have this connection's writes
      - numreplicas integer
      - timeout integer
    shutdown -1 admin,noscript,loading,stale,no_multi,allow_busy 0 0 0 admin,slow,dangerous
      docs server 1.0.0 O(N) for N keys to save
      help Stop the node
      - nosave_save oneof optional
        - nosave pure-token token=NOSAVE
        - save pure-token token=SAVE
      - now pure-token token=NOW since=7.0.0 optional
      - force pure-token token=FORCE since=7.0.0 optional
      - abort pure-token token=ABORT since=7.0.0 optional
    """
}
