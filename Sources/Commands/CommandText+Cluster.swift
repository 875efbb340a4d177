extension CommandText {
  /// CLUSTER: who the nodes are and which slots they own.
  static let cluster = """
    cluster -2 - 0 0 0 slow
      docs cluster 3.0.0 By subcommand
      help Inspect and change the cluster
    cluster|info 2 stale 0 0 0 slow
      tips nondeterministic_output
      docs cluster 3.0.0 O(1)
      help Summarize the cluster as this node sees it
    cluster|myid 2 stale 0 0 0 slow
      docs cluster 3.0.0 O(1)
      help Tell this node's identity
    cluster|nodes 2 stale 0 0 0 slow
      tips nondeterministic_output
      docs cluster 3.0.0 O(N) for N nodes
      help List the nodes, one a line
    cluster|slots 2 stale 0 0 0 slow
      tips nondeterministic_output
      docs cluster 3.0.0 O(N) for N nodes
      help Map ranges of slots to their owners
      deprecated 7.0.0 `CLUSTER SHARDS`
    cluster|shards 2 stale 0 0 0 slow
      tips nondeterministic_output
      docs cluster 7.0.0 O(N) for N nodes
      help Map groups of owners to their ranges of slots
    cluster|keyslot 3 stale 0 0 0 slow
      docs cluster 3.0.0 O(N) for N bytes of key
      help Tell the slot of a key
      - key string
    cluster|countkeysinslot 3 stale 0 0 0 slow
      docs cluster 3.0.0 O(1)
      help Count this node's keys in a slot
      - slot integer
    cluster|getkeysinslot 4 stale 0 0 0 slow
      tips nondeterministic_output
      docs cluster 3.0.0 O(N) for N keys asked for
      help List some of this node's keys in a slot
      - slot integer
      - count integer
    cluster|meet -4 admin,stale,no_async_loading 0 0 0 admin,slow,dangerous
      docs cluster 3.0.0 O(1)
      help Join the cluster of the node at an address
      - ip string
      - port integer
      - cluster_bus_port integer since=4.0.0 optional
    cluster|leave 2 admin,stale,no_async_loading 0 0 0 admin,slow,dangerous
      docs cluster 0.2.0 O(1); the transfer of the node's keys goes on in the background
      help Take the node that is asked out of its cluster when the others hold its keys
    cluster|forget 3 admin,stale,no_async_loading 0 0 0 admin,slow,dangerous
      docs cluster 3.0.0 O(1); the copying of the node's keys goes on in the background
      help Take a dead node out of the cluster
      - node_id string
    cluster|preflist 3 stale 0 0 0 slow
      tips nondeterministic_output
      docs cluster 0.2.0 O(N) for N owners
      help List the owners and fallbacks of a key with the version that each has
      - key string
    cluster|hints 2 stale 0 0 0 slow
      tips nondeterministic_output
      docs cluster 0.2.0 O(N) for N absent nodes
      help List the nodes that this one keeps writes for
    cluster|transfers 2 stale 0 0 0 slow
      tips nondeterministic_output
      docs cluster 0.2.0 O(N) for N nodes
      help Show how far each node is with moving slots
    cluster|help 2 loading,stale 0 0 0 slow
      docs cluster 5.0.0 O(1)
      help List the subcommands of CLUSTER
    """
}
