/// Appends a word in double quotes as C's source would hold it, with `\n`, `\"` and `\x01`: what MONITOR
/// and configuration files of Redis hold. Bytes above 126 are escaped as well unless they are kept.
public func appendQuoted(
  _ word: some Sequence<UInt8>, keepingHighBytes: Bool, to text: inout [UInt8]
) {
  text.append(UInt8(ascii: "\""))
  for byte in word {
    switch byte {
    case 7: text += Array("\\a".utf8)
    case 8: text += Array("\\b".utf8)
    case 9: text += Array("\\t".utf8)
    case 10: text += Array("\\n".utf8)
    case 13: text += Array("\\r".utf8)
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), byte]
    case 32..<127: text.append(byte)
    case 128... where keepingHighBytes: text.append(byte)
    default: text += Array("\\x\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8)
    }
  }
  text.append(UInt8(ascii: "\""))
}
