import RESP
import Testing

/// Bytes of a client and what Redis 7.0 takes them for (COMPAT.md, 5.3).
struct RequestCase: Sendable, CustomTestStringConvertible {
  let input: [UInt8]
  let expected: Parsed
  let name: String

  init(_ input: String, _ expected: Parsed, _ name: String? = nil) {
    self.input = input.bytes
    self.expected = expected
    self.name = name ?? input.debugDescription
  }

  var testDescription: String { name }

  static let multibulk: [RequestCase] = [
    RequestCase("*1\r\n$4\r\nPING\r\n", .words("PING")),
    RequestCase("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", .words("GET", "k")),
    RequestCase("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", .words("GET", "")),
    RequestCase("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n", .words("SET", "k", "a\r\nb")),
    RequestCase("*1\r\n$3\r\nGETxx", .words("GET"), "the two bytes behind a value are not read"),
    RequestCase("*1\rx$3\rxGETxx", .words("GET"), "the byte behind a header's CR is not read"),
    RequestCase("*0\r\n", .request([])),
    RequestCase("*-1\r\n", .request([])),
    RequestCase("*-9223372036854775808\r\n", .request([])),
    RequestCase("*2\r\n$1\r\n*\r\n$1\r\n$\r\n", .words("*", "$")),
  ]

  static let inline: [RequestCase] = [
    RequestCase("PING\r\n", .words("PING")),
    RequestCase("PING\n", .words("PING")),
    RequestCase("  GET \t k  \r\n", .words("GET", "k")),
    RequestCase("\r\n", .request([])),
    RequestCase("\n", .request([])),
    RequestCase(" \t \r\n", .request([])),
    RequestCase("SET k \"a b\"\r\n", .words("SET", "k", "a b")),
    RequestCase("SET k 'a b'\r\n", .words("SET", "k", "a b")),
    RequestCase("SET k \"\"\r\n", .words("SET", "k", "")),
    RequestCase("SET k ''\r\n", .words("SET", "k", "")),
    RequestCase(#"E "\n\r\t\b\a\\\"\q""# + "\n", .words("E", "\n\r\t\u{8}\u{7}\\\"q")),
    RequestCase(#"E "\x41\x7a\x0A\xZZ""# + "\n", .words("E", "Az\nxZZ")),
    RequestCase(#"E 'it\'s' '\n' '"'"# + "\n", .words("E", "it's", "\\n", "\"")),
    RequestCase(#"E \x41 a\b"# + "\n", .words("E", "\\x41", "a\\b")),
    RequestCase("E ab\"cd\"\n", .words("E", "abcd")),
    RequestCase("E $3 +1\n", .words("E", "$3", "+1")),
    RequestCase("a\rb\n", .words("a", "b")),
  ]

  static let errors: [RequestCase] = [
    RequestCase("*abc\r\n", .failure(.invalidCount)),
    RequestCase("*\r\n", .failure(.invalidCount)),
    RequestCase("*01\r\n", .failure(.invalidCount)),
    RequestCase("*+1\r\n", .failure(.invalidCount)),
    RequestCase("* 1\r\n", .failure(.invalidCount)),
    RequestCase("*1 \r\n", .failure(.invalidCount)),
    RequestCase("*2147483648\r\n", .failure(.invalidCount)),
    RequestCase("*9223372036854775808\r\n", .failure(.invalidCount)),
    RequestCase("*1\r\n$-1\r\n", .failure(.invalidBulkLength)),
    RequestCase("*1\r\n$abc\r\n", .failure(.invalidBulkLength)),
    RequestCase("*1\r\n$\r\n", .failure(.invalidBulkLength)),
    RequestCase("*1\r\n$01\r\n", .failure(.invalidBulkLength)),
    RequestCase("*1\r\n$536870913\r\n", .failure(.invalidBulkLength)),
    RequestCase("*1\r\n$18446744073709551616\r\n", .failure(.invalidBulkLength)),
    RequestCase("*1\r\nGET\r\n", .failure(.expectedDollar(UInt8(ascii: "G")))),
    RequestCase("*2\r\n$1\r\nk\r\n:1\r\n", .failure(.expectedDollar(UInt8(ascii: ":")))),
    RequestCase("SET k \"open\r\n", .failure(.unbalancedQuotes)),
    RequestCase("SET k 'open\r\n", .failure(.unbalancedQuotes)),
    RequestCase("SET k \"a\"b\r\n", .failure(.unbalancedQuotes)),
    RequestCase("SET k 'a'b\r\n", .failure(.unbalancedQuotes)),
    RequestCase("SET k \"a\\\"\r\n", .failure(.unbalancedQuotes)),
  ]

  static let requests = multibulk + inline
  static let all = requests + errors
}
