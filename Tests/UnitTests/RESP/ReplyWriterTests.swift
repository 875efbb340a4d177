import Primitives
import RESP
import Testing

@Suite("Replies")
struct ReplyWriterTests {
  @Test("Each reply has its shape in RESP2 and in RESP3")
  func shapes() {
    let rows: [(write: (inout ByteBuffer, UInt8) -> Void, resp2: String, resp3: String)] = [
      ({ buffer, _ in buffer.appendOK() }, "+OK\r\n", "+OK\r\n"),
      ({ buffer, _ in buffer.appendSimple("PONG") }, "+PONG\r\n", "+PONG\r\n"),
      ({ buffer, _ in buffer.appendError("ERR no") }, "-ERR no\r\n", "-ERR no\r\n"),
      ({ buffer, _ in buffer.appendInteger(0) }, ":0\r\n", ":0\r\n"),
      (
        { buffer, _ in buffer.appendInteger(.min) }, ":-9223372036854775808\r\n",
        ":-9223372036854775808\r\n"
      ),
      ({ buffer, _ in buffer.appendBulk("") }, "$0\r\n\r\n", "$0\r\n\r\n"),
      ({ buffer, _ in buffer.appendBulk("a\r\nb") }, "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"),
      ({ buffer, _ in buffer.appendArrayHeader(2) }, "*2\r\n", "*2\r\n"),
      ({ $0.appendMapHeader(2, resp: $1) }, "*4\r\n", "%2\r\n"),
      ({ $0.appendSetHeader(2, resp: $1) }, "*2\r\n", "~2\r\n"),
      ({ $0.appendNull(resp: $1) }, "$-1\r\n", "_\r\n"),
      ({ $0.appendNullArray(resp: $1) }, "*-1\r\n", "_\r\n"),
      ({ $0.appendVerbatim("hi", resp: $1) }, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
      ({ $0.appendVerbatim("é", resp: $1) }, "$2\r\né\r\n", "=6\r\ntxt:é\r\n"),
    ]
    for row in rows {
      let resp2 = written { row.write(&$0, 2) }
      let resp3 = written { row.write(&$0, 3) }
      #expect(resp2.text == row.resp2)
      #expect(resp3.text == row.resp3)
    }
  }

  @Test("An error's text can't break the protocol")
  func errorsAreOneLine() {
    let reply = written { $0.appendError("ERR a\r\nb\nc") }
    #expect(reply.text == "-ERR a  b c\r\n")
  }

  @Test("A value of any length comes behind its length")
  func bulkLengths() {
    for length in [0, 1, 9, 10, 99, 100, 16_383, 100_000] {
      let value = Array(repeating: UInt8(ascii: "v"), count: length)
      let reply = written { $0.appendBulk(value) }
      #expect(reply == "$\(length)\r\n".bytes + value + "\r\n".bytes)
    }
  }
}
