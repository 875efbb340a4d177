import Access
import CacheNode
import Configuration
import Keyspaces

/// A conf file, and behind a zero byte the words of a command line, a line each: what is taken is
/// written as CONFIG REWRITE does and read again: the same node. Written twice it is the same file.
func checkConf(_ bytes: [UInt8]) {
  let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
  let text = String(decoding: parts[0], as: UTF8.self)
  let words = (parts.count > 1 ? parts[1] : []).split(
    separator: 10, omittingEmptySubsequences: false)
  var request: CommandLineRequest?
  do {
    request = try CommandLineRequest(words.map { String(decoding: $0, as: UTF8.self) })
  } catch {
    checkMessage(error)
  }
  do {
    let directives = try ConfigurationFile.parse(text, name: "fuzz.conf")
    let settings = try Settings(directives + (request?.directives ?? []))
    checkRewrite(of: text, settings)
  } catch {
    checkMessage(error)
  }
}

private func checkMessage(_ error: ConfigurationError) {
  property(!error.description.isEmpty, "an error without words")
}

private func checkRewrite(of text: String, _ settings: Settings) {
  let fresh = rewritten(text, settings)
  do {
    let again = try Settings(ConfigurationFile.parse(fresh, name: "rewritten"))
    for spec in ParameterStore.specs {
      let (before, after) = (settings.parameters[spec.name], again.parameters[spec.name])
      property(before == after, "\(spec.name) was \(before ?? "nil") and is \(after ?? "nil")")
    }
    property(
      keyspaces(settings) == keyspaces(again) && settings.seeds == again.seeds
        && settings.bindAddresses == again.bindAddresses, "rewritten, another place or policy")
    property(
      userLines(settings).map(unflagged) == userLines(again).map(unflagged),
      "rewritten, other users")
    property(
      unflagged(rewritten(fresh, again)) == unflagged(fresh), "rewritten twice, another file")
  } catch {
    property(false, "rewritten, not taken: \(error)")
  }
}

/// What CONFIG REWRITE makes of the file at a node that was started with these settings.
private func rewritten(_ text: String, _ settings: Settings) -> String {
  var values = settings.parameters.given
  for (name, keyspace) in keyspaces(settings).sorted(by: { $0.key < $1.key }) {
    for parameter in Keyspace.parameters {
      if let value = keyspace.value(of: parameter) {
        values.append(("keyspace.\(name).\(parameter)", value))
      }
    }
  }
  var plain = Settings.withoutUsers
  plain.setDefaultPassword(settings.parameters["requirepass"] ?? "")
  let users = settings.access.lines == plain.lines ? [] : userLines(settings)
  return ConfigurationFile.rewrite(
    text, with: values, users: users, isDefault: ConfigurationFile.isDefault)
}

private func userLines(_ settings: Settings) -> [String] {
  settings.access.lines.map { String(decoding: $0, as: UTF8.self) }
}

/// The default user shows this flag, which changes nothing, from the first file on that names the user;
/// so it does in Redis.
private func unflagged(_ text: String) -> String {
  text.replacing(" sanitize-payload", with: "")
}

private func keyspaces(_ settings: Settings) -> [String: Keyspace] {
  var registers = KeyspaceSettings(databases: 16)
  for register in settings.keyspaceRegisters { _ = registers.merge(register) }
  return registers.keyspaces()
}

extension Settings {
  fileprivate static let withoutUsers = AccessControl()
}

let confSeeds: [[UInt8]] = [
  "port 7001\n# a comment\nbind 127.0.0.1 ::1\nmaxmemory 100mb\nsave 900 1\n\0--port\n7002\n",
  "keyspace.cart.n 5\nkeyspace.cart.W all\nkeyspace.app:cart.conflict siblings\r\ndir \"/a b\"\r\n",
  "requirepass \"a\\x00\\n\\\"b\\\\\"\nuser default on >x ~* &* +@all\nuser b (+get ~a) off\n",
  "cluster-seeds 10.0.0.1:7001,10.0.0.2:7001\nTIMEOUT 10\ntimeout 20\nhz 11\n",
  "slave-read-only no\nreplica-read-only yes\nnode-name 'it\\'s'\nzone \"\"\nnode-name 'a'b\n",
  "notify-keyspace-events KEA\nmaxmemory-policy allkeys-lfu\nloglevel debug\ntombstone-ttl 60\n",
  "prot 1\n", "port\n", "port 99999\n", "dir 'open\n", "keyspace.a.n 2\nkeyspace.a.w 3\n",
  "\0three.conf\n--local-cluster\n3\n--port\n7001\n--help\n", "\0-v\n", "\0--port\n", "\0x\ny\n",
  "requirepass \"\"\nuser f\n",
  "cluster-seeds a:1 b:60000\nport 0\nprotected-mode no\nacl-pubsub-default allchannels\n",
].map { Array($0.utf8) }
