/// What `coterie-bench load` does to a server.
enum Scenario: String, CaseIterable, Sendable {
  case connections
  case cycles
  case silent
  case slowLoris = "slow-loris"
  case big
  case batch
  case descriptors
  case cgroup
  case expiry
  case allocator
  case fairness

  var title: String {
    switch self {
    case .connections: "10,000 connections: what each takes, and what they cost the others"
    case .cycles: "200,000 times connect, PING, close: by FIN, by RST, half closed"
    case .silent: "100 clients ask for 500 values of 1 MB and never read; maxmemory 256 MB"
    case .slowLoris: "5,000 clients send a command byte by byte and never end it"
    case .big: "SET and GET of 512 MiB beside a client that PINGs"
    case .batch: "100,000 commands in one write"
    case .descriptors: "a limit of 256 descriptors and 1,000 clients"
    case .cgroup: "a memory cgroup of maxmemory + 20 % and writes of 3 × maxmemory"
    case .expiry: "1,000,000 keys that fall due within one second"
    case .allocator: "glibc's malloc and jemalloc after a churn of sizes"
    case .fairness: "batches of 10,000 commands without end beside single GETs"
    }
  }

  /// Whether redis-server is measured as well: not where it has no such limit or would not survive.
  var isComparable: Bool {
    switch self {
    case .connections, .cycles, .big, .batch, .expiry, .fairness: true
    case .silent, .slowLoris, .descriptors, .cgroup, .allocator: false
    }
  }
}
