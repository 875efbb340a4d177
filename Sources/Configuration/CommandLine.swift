/// What the words behind `coterie-server` ask for.
public struct CommandLineRequest: Equatable, Sendable {
  public var file: String?
  public var directives: [Directive] = []
  /// `--local-cluster n`: so many nodes as child processes; 0 for one node in this process.
  public var localCluster = 0
  public var showsHelp = false
  public var showsVersion = false
  /// Set for the children of a local cluster: end with the parent.
  public var endsWithParent = false

  /// Reads `[conf-file] [--name value …]`.
  public init(_ words: [String]) throws(ConfigurationError) {
    var at = 0
    if let first = words.first, !first.hasPrefix("-") {
      file = first
      at = 1
    }
    while at < words.count {
      let word = words[at]
      at += 1
      var values: [String] = []
      while at < words.count, !words[at].hasPrefix("--") {
        values.append(words[at])
        at += 1
      }
      try take(word, values)
    }
  }

  private mutating func take(
    _ word: String, _ values: [String]
  ) throws(ConfigurationError) {
    switch word {
    case "--help", "-h": showsHelp = true
    case "--version", "-v": showsVersion = true
    case "--ends-with-parent": endsWithParent = true
    case "--local-cluster":
      guard values.count == 1, let count = Int(values[0]), (1...16).contains(count) else {
        throw ConfigurationError(
          "--local-cluster '\(values.joined(separator: " "))': takes a number of nodes from 1 to 16"
        )
      }
      localCluster = count
    default:
      guard word.hasPrefix("--"), word.count > 2 else {
        throw ConfigurationError(
          "'\(word)' on the command line: options are --name value; the conf file comes first")
      }
      guard !values.isEmpty else {
        throw ConfigurationError("\(word) on the command line has no value")
      }
      directives.append(
        Directive(name: String(word.dropFirst(2)), words: values, place: "the command line"))
    }
  }

  public static let usage = """
    usage: coterie-server [conf-file] [--name value ...]
           coterie-server --local-cluster 3 [--port 7001] [--name value ...]

    Starts one node of a Coterie cluster, a leaderless cache that speaks the Redis protocol.
    Options are the directives of the conf file with -- in front; conf/coterie.conf explains each.

      --port 7001                      the client port; the peer port is 10000 above
      --cluster-seeds host:port,...    client ports of other nodes, to join their cluster
      --keyspace.default.n 3           copies of each key; also .w .r .conflict .ttl ...
      --dir /var/lib/coterie           where the node's state file lives
      --local-cluster 3                that many nodes on this machine, ports from --port up;
                                       Ctrl-C ends them all
      --help, --version
    """
}
