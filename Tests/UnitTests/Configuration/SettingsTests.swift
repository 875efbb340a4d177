import CacheNode
import Configuration
import Testing

@Suite("Settings and the command line")
struct SettingsTests {
  private func settings(_ text: String) throws -> Settings {
    try Settings(ConfigurationFile.parse(text, name: "c.conf"))
  }

  private func message(_ text: String) -> String {
    do {
      _ = try settings(text)
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test("A bad setting stops the start with its line, the word and what is allowed")
  func errors() {
    let rows: [(text: String, parts: [String])] = [
      ("\nprot 1", ["line 2 of c.conf", "'prot'", "'port'"]),
      ("nonsense 1", ["line 1 of c.conf", "'nonsense'"]),
      ("port abc", ["line 1 of c.conf", "port", "'abc'", "integer"]),
      ("port 65536", ["line 1 of c.conf", "'65536'", "between 0 and 65535"]),
      ("loglevel loud", ["line 1 of c.conf", "'loud'", "debug, verbose, notice, warning"]),
      ("appendonly maybe", ["line 1 of c.conf", "'maybe'", "'yes' or 'no'"]),
      ("maxmemory 1tb", ["line 1 of c.conf", "'1tb'", "memory"]),
      ("keyspace.cart.n 9", ["line 1 of c.conf", "keyspace.cart.n", "'9'", "between 1 and 7"]),
      ("keyspace.cart.x 9", ["line 1 of c.conf", "keyspace.cart.x", "n, w, r"]),
      ("keyspace.cart.n 2\nkeyspace.cart.w 3", ["keyspace.cart", "w (3) > n (2)"]),
      ("cluster-seeds a:1,b", ["line 1 of c.conf", "'b'", "host:port"]),
      ("cluster-seeds a:0", ["line 1 of c.conf", "'a:0'", "host:port"]),
      ("cluster-seeds :7", ["line 1 of c.conf", "':7'", "host:port"]),
      ("port 60000", ["port 60000", "cluster-port"]),
    ]
    for row in rows {
      let message = message(row.text)
      for part in row.parts {
        #expect(message.contains(part), "\(row.text.debugDescription): \(message)")
      }
    }
  }

  @Test("What the file says is what the node gets")
  func values() throws {
    let settings = try settings(
      "PORT 7001\nbind 10.0.0.1 -::1\ncluster-seeds a:7002,b:7003 c:7004\nmaxmemory 2mb\n"
        + "keyspace.cart.w ALL\nkeyspace.cart.w one\n")
    #expect(settings.parameters["port"] == "7001")
    #expect(settings.parameters["maxmemory"] == "2097152")
    #expect(settings.peerPort == 17_001)
    #expect(settings.bindAddresses == ["10.0.0.1", "::1"])
    #expect(settings.seeds.map(\.host) == ["a", "b", "c"])
    #expect(settings.seeds.map(\.port) == [17_002, 17_003, 17_004])
    #expect(settings.keyspaceRegisters.map(\.name) == ["keyspace.cart.w"])
    #expect(settings.keyspaceRegisters.map(\.value) == ["one"])
    #expect(try self.settings("cluster-port 9\nport 60000\n").peerPort == 9)
  }

  @Test("Memory values have Redis's units")
  func memory() {
    let rows: [(text: String, bytes: Int?)] = [
      ("0", 0), ("512", 512), ("1k", 1000), ("1kb", 1024), ("1KB", 1024), ("2m", 2_000_000),
      ("2mb", 2 << 20), ("3g", 3_000_000_000), ("3gb", 3 << 30), ("7b", 7), ("", nil), ("kb", nil),
      ("-1", nil), ("1tb", nil), ("1.5mb", nil), ("9223372036854775807gb", nil), ("1 mb", nil),
    ]
    for row in rows { #expect(ParameterStore.bytes(row.text) == row.bytes, "\(row.text)") }
  }

  @Test("The command line is a file's directives with -- in front")
  func commandLine() throws {
    let request = try CommandLineRequest(
      ["c.conf", "--port", "7001", "--bind", "a", "b", "--save", ""])
    #expect(request.file == "c.conf")
    #expect(
      request.directives.map { "\($0.name)=\($0.value)" } == ["port=7001", "bind=a b", "save="])
    #expect(try CommandLineRequest(["--local-cluster", "3"]).localCluster == 3)
    #expect(try CommandLineRequest(["--help"]).showsHelp)
    #expect(try CommandLineRequest(["-v"]).showsVersion)
    #expect(try CommandLineRequest([]) == CommandLineRequest([]))
    let bad = [
      ["--port"], ["a.conf", "b.conf"], ["--local-cluster", "0"], ["--local-cluster", "17"],
      ["--local-cluster", "x"], ["--local-cluster"], ["--", "x"], ["-x"],
    ]
    for words in bad {
      #expect(throws: ConfigurationError.self, "\(words)") { try CommandLineRequest(words) }
    }
  }

  @Test("Every parameter takes its own default, and CONFIG's names are unique")
  func defaults() {
    var store = ParameterStore()
    for spec in ParameterStore.specs {
      #expect(store.set(spec.name, spec.initial) == nil, "\(spec.name)")
      #expect(store[spec.name] == spec.initial, "\(spec.name)")
      #expect(store[spec.name.uppercased()] == spec.initial, "\(spec.name)")
    }
    #expect(Set(ParameterStore.specs.map(\.name)).count == ParameterStore.specs.count)
    #expect(store["nonsense"] == nil)
    #expect(store.set("nonsense", "1") != nil)
  }
}
