import Access
import CacheNode
import Primitives
import Testing

@Suite("Access of connections")
struct AccessTests {
  private func call(_ client: TestClient, _ words: String) -> Reply? {
    client.call(words.split(separator: " ").map { String($0).bytes })
  }

  private func secured(_ count: Int = 1) -> TestCluster {
    TestCluster.formed(count) { _, configuration in
      _ = configuration.parameters.set("requirepass", "secret")
    }
  }

  @Test("Before a login nothing is told but how to log in")
  func login() {
    let client = secured().client(0)
    let rows: [(words: String, reply: Reply)] = [
      ("PING", "-NOAUTH Authentication required."), ("GET k", "-NOAUTH Authentication required."),
      ("CLIENT ID", "-NOAUTH Authentication required."),
      ("CLIENT NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."),
      ("GET", "-ERR wrong number of arguments for 'get' command"),
      ("AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled."),
      ("AUTH nosuch secret", "-WRONGPASS invalid username-password pair or user is disabled."),
      ("RESET", "RESET"), ("AUTH secret", "OK"), ("ACL WHOAMI", "\"default\""),
      ("SET k v", "OK"), ("RESET", "RESET"), ("GET k", "-NOAUTH Authentication required."),
      ("AUTH default secret", "OK"), ("GET k", "\"v\""),
    ]
    for row in rows { #expect(call(client, row.words) == row.reply, "\(row.words)") }
  }

  @Test("A login and what it allows may come in one packet")
  func pipelinedLogin() {
    let client = secured().client(0)
    let large = String(repeating: "x", count: 40_000).bytes
    client.send(
      raw: TestClient.request(["AUTH".bytes, "secret".bytes])
        + TestClient.request(["SET".bytes, "k".bytes, large])
        + TestClient.request(["DEL".bytes] + Array(repeating: "k".bytes, count: 20)))
    #expect(client.reply() == "OK")
    #expect(client.reply() == "OK")
    #expect(client.reply() == "1")
  }

  @Test("A request that a stranger may not send ends the connection")
  func strangersRoom() {
    let cluster = secured()
    for (request, error) in [
      ("*11\r\n", "unauthenticated multibulk length"),
      ("*1\r\n$16385\r\n", "unauthenticated bulk length"),
      ("*2147483648\r\n", "invalid multibulk length"), ("*1\r\n$-1\r\n", "invalid bulk length"),
    ] {
      let client = cluster.client(0)
      client.send(raw: request.bytes)
      #expect(client.reply() == Reply("-ERR Protocol error: \(error)"))
      #expect(client.reply() == nil && client.isClosed)
    }
    let client = cluster.client(0)
    #expect(client.call(["PING".bytes] + Array(repeating: "x".bytes, count: 9))?.isError == true)
    #expect(!client.isClosed)
  }

  @Test("Nobody is slowed down but who guesses")
  func guessing() {
    let cluster = secured()
    let client = cluster.client(0)
    for _ in 0..<10 { #expect(call(client, "AUTH x")?.description.contains("invalid") == true) }
    #expect(call(client, "AUTH secret")?.description.contains("Try again in 7 s") == true)
    #expect(call(client, "HELLO 3 AUTH default secret")?.description.contains("too many") == true)
    cluster.run(milliseconds: 6100)
    #expect(call(client, "AUTH secret") == "OK")
  }

  @Test("Rules hold from the moment on at which they are set, for open connections, too")
  func changes() {
    let cluster = TestCluster.formed(1)
    let admin = cluster.client(0)
    let user = cluster.client(0)
    #expect(call(admin, "ACL SETUSER u on >p ~a* +set +get") == "OK")
    #expect(call(user, "AUTH u p") == "OK")
    #expect(call(user, "SET a 1") == "OK")
    #expect(call(user, "SET b 1")?.description.hasPrefix("-NOPERM") == true)
    #expect(call(admin, "ACL SETUSER u -set ~b") == "OK")
    #expect(call(user, "SET a 1")?.description.hasPrefix("-NOPERM") == true)
    #expect(call(user, "GET b") == "nil")
    #expect(call(admin, "ACL SETUSER u +@all ~*") == "OK")
    #expect(call(user, "DBSIZE") == "1")
    #expect(call(admin, "ACL DELUSER u") == "1")
    #expect(user.reply() == nil && user.isClosed)
    #expect(call(admin, "ACL SETUSER default -get") == "OK")
    #expect(
      call(admin, "GET a") == "-NOPERM this user has no permissions to run the 'get' command")
    #expect(call(admin, "MGET a") == "[\"1\"]")
  }

  @Test("A user that removes itself gets the reply and nothing more")
  func selfRemoval() {
    let client = TestCluster.formed(1).client(0)
    #expect(call(client, "ACL SETUSER u on nopass +@all ~*") == "OK")
    #expect(call(client, "AUTH u x") == "OK")
    client.send(raw: "ACL DELUSER u\r\nSET k v\r\n".bytes)
    #expect(client.reply() == "1")
    #expect(client.reply() == nil && client.isClosed)
  }

  @Test("In a cluster a command is checked where the client is, and there alone")
  func cluster() {
    let cluster = TestCluster.formed(3)
    let client = cluster.client(0)
    #expect(call(client, "ACL SETUSER u on nopass ~a* +set +get +mget +del +dbsize") == "OK")
    for node in 1..<3 { #expect(call(cluster.client(node), "ACL SETUSER default off") == "OK") }
    #expect(call(client, "AUTH u x") == "OK")
    for number in 0..<30 { #expect(call(client, "SET a\(number) v") == "OK") }
    #expect(call(client, "DBSIZE") == "30")
    #expect(call(client, "DEL a1 a2 a3") == "3")
    #expect(call(client, "DEL a4 b")?.description.hasPrefix("-NOPERM") == true)
    #expect(call(client, "MGET a4 a1") == "[\"v\", nil]")
  }

  @Test("CLIENT REPLY SKIP skips a refusal as any other reply")
  func skippedRefusal() {
    let client = TestCluster.formed(1).client(0)
    #expect(call(client, "ACL SETUSER default -get") == "OK")
    client.send(raw: "CLIENT REPLY SKIP\r\nGET k\r\nECHO a\r\n".bytes)
    #expect(client.reply() == "\"a\"")
  }

  @Test("Strangers are refused while protected mode is on and nobody needs a password")
  func protectedMode() throws {
    let cluster = TestCluster.formed(1)
    let client = cluster.client(0)
    let node = try #require(cluster.node(0))
    #expect(node.refusal(of: "127.0.0.1:5") == nil && node.refusal(of: "[::1]:5") == nil)
    #expect(node.refusal(of: "10.0.0.1:5")?.hasPrefix("-DENIED Redis is running") == true)
    #expect(node.refusal(of: "[fe80::1]:5") != nil)
    #expect(call(client, "CONFIG SET requirepass x") == "OK")
    #expect(node.refusal(of: "10.0.0.1:5") == nil)
    #expect(client.call("CONFIG", "SET", "requirepass", "", "protected-mode", "no") == "OK")
    #expect(node.refusal(of: "10.0.0.1:5") == nil)
  }
}
