import Primitives

// Replies are bytes appended to the connection's output: RESP2 as in Redis since 1.2, RESP3 as in
// https://github.com/redis/redis-specifications. Where the two differ a function takes `resp`, 2 or 3.

extension ByteBuffer {
  /// `+OK`
  @inline(__always) public mutating func appendOK() { append("+OK\r\n") }

  /// `+text`; the text holds no line end.
  public mutating func appendSimple(_ text: String) {
    append(UInt8(ascii: "+"))
    append(text)
    append("\r\n")
  }

  /// `-text`; line ends within become spaces, so that no error can break the protocol.
  public mutating func appendError(_ text: String) { appendError(Array(text.utf8)) }

  /// An error that quotes bytes of the client.
  public mutating func appendError(_ text: [UInt8]) {
    append(UInt8(ascii: "-"))
    for byte in text { append(byte == 13 || byte == 10 ? 32 : byte) }
    append("\r\n")
  }

  @inline(__always)
  public mutating func appendInteger(_ value: Int) {
    append(UInt8(ascii: ":"))
    append(decimal: value)
    append("\r\n")
  }

  /// A bulk string. One reservation for all of it: this is GET's reply.
  @inline(__always)
  public mutating func appendBulk(_ bytes: UnsafeRawBufferPointer) {
    let count = bytes.count
    let start = reserve(count &+ 25)
    start.storeBytes(of: UInt8(ascii: "$"), as: UInt8.self)
    var at = 1 &+ writeDecimal(count, to: start + 1)
    (start + at).storeBytes(of: 0x0a0d, as: UInt16.self)
    at &+= 2
    if count > 0 {
      (start + at).copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: count)
    }
    at &+= count
    (start + at).storeBytes(of: 0x0a0d, as: UInt16.self)
    advance(at &+ 2)
  }

  public mutating func appendBulk(_ text: String) {
    var text = text
    text.withUTF8 { appendBulk(UnsafeRawBufferPointer($0)) }
  }

  public mutating func appendBulk(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { appendBulk($0) }
  }

  public mutating func appendArrayHeader(_ count: Int) { header(UInt8(ascii: "*"), count) }

  /// A map of `count` pairs; under RESP2 a flat array.
  public mutating func appendMapHeader(_ count: Int, resp: UInt8) {
    if resp == 3 { header(UInt8(ascii: "%"), count) } else { header(UInt8(ascii: "*"), count * 2) }
  }

  /// A set; under RESP2 an array.
  public mutating func appendSetHeader(_ count: Int, resp: UInt8) {
    header(resp == 3 ? UInt8(ascii: "~") : UInt8(ascii: "*"), count)
  }

  /// The absent value: a null bulk string, or RESP3's null.
  @inline(__always)
  public mutating func appendNull(resp: UInt8) {
    if resp == 3 { append("_\r\n") } else { append("$-1\r\n") }
  }

  public mutating func appendNullArray(resp: UInt8) {
    if resp == 3 { append("_\r\n") } else { append("*-1\r\n") }
  }

  /// Text for people: a verbatim string under RESP3, a bulk string under RESP2.
  public mutating func appendVerbatim(_ text: String, resp: UInt8) {
    guard resp == 3 else { return appendBulk(text) }
    header(UInt8(ascii: "="), text.utf8.count + 4)
    append("txt:")
    append(text)
    append("\r\n")
  }

  private mutating func header(_ kind: UInt8, _ count: Int) {
    append(kind)
    append(decimal: count)
    append("\r\n")
  }
}
