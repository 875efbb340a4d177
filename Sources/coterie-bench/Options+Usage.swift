extension Options {
  /// What `coterie-bench --help` prints.
  static let usage = """
    usage: coterie-bench compare [options]
           coterie-bench ring [--quick]      balance and movement of the ring, at N=3
           coterie-bench heal [options]      how a node gets back what it lacks; heal --help
           coterie-bench load [options]      limits under hostile and heavy load; load --help

    Measures coterie-server and redis-server side by side, in turns, in one run, and prints
    for every kind of work the processor time each spends on one operation.

    options:
      --requests N     requests of one round (default \(Options().requests)); pipelined ones are
                       \(Workload.pipelinedFactor) times as many
      --rounds K       rounds of a row; the median counts (default \(Options().rounds))
      --server PATH    coterie-server to measure (default: the one beside coterie-bench)
      --redis PATH     redis-server to compare with (default: the one on PATH)
      --only NAME,...  measure only the rows whose names begin so, for example n1,memory
      --quick          a few seconds in all, for smoke tests; the figures mean little
      --markdown       print the tables of the README
      --help           print this

    rows:
    \(Row.all.map { "  " + $0.name.padded(to: 18) + $0.title }.joined(separator: "\n"))

    Values are 64 bytes, keys are \(Options.keys) random ones, connections are 50 (51 where the
    load is spread over three nodes). All servers share one core, the load generator
    (redis-benchmark) has another. Needs redis-server and redis-tools (Debian packages).

    Exits with 0 whatever the figures say, with 1 if something could not be run, with 2 if the
    command line makes no sense.
    """
}
