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
    cluster|help 2 loading,stale 0 0 0 slow
      docs cluster 5.0.0 O(1)
      help List the subcommands of CLUSTER
    """
}
