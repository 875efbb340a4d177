import Primitives
import Testing

@Suite("Numbers")
struct NumberTests {
  private func integer(_ text: String) -> Int? { text.bytes.withUnsafeBytes { parseInteger($0) } }
  private func unsigned(_ text: String) -> UInt64? {
    text.bytes.withUnsafeBytes { parseUnsigned($0) }
  }

  @Test("Integers are read in the one spelling that Redis takes")
  func integers() {
    let rows: [(text: String, value: Int?)] = [
      ("0", 0), ("1", 1), ("-1", -1), ("42", 42), ("9223372036854775807", .max),
      ("-9223372036854775808", .min), ("9223372036854775808", nil),
      ("-9223372036854775809", nil), ("18446744073709551616", nil),
      ("99999999999999999999", nil), ("999999999999999999999", nil), ("", nil), ("-", nil),
      ("+1", nil), ("01", nil), ("-0", nil), ("-01", nil), ("00", nil), (" 1", nil), ("1 ", nil),
      ("1a", nil), ("a", nil), ("1.0", nil), ("1e3", nil), ("0x1", nil), ("--1", nil), ("1-", nil),
      ("1\0", nil), ("１", nil),
    ]
    for row in rows { #expect(integer(row.text) == row.value, "\(row.text.debugDescription)") }
  }

  @Test("Cursors are digits only")
  func unsignedIntegers() {
    let rows: [(text: String, value: UInt64?)] = [
      ("0", 0), ("007", 7), ("18446744073709551615", .max), ("18446744073709551616", nil),
      ("99999999999999999999", nil), ("000000000000000000001", nil), ("", nil), ("-1", nil),
      ("+1", nil), (" 1", nil), ("1 ", nil), ("x", nil),
    ]
    for row in rows { #expect(unsigned(row.text) == row.value, "\(row.text.debugDescription)") }
  }

  @Test("Integers are written as they are read", arguments: Seeds.few)
  func decimals(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var values: [Int] = [0, .max, .min]
    for digits in 0..<19 {
      let power = (0..<digits).reduce(1) { value, _ in value * 10 }
      values += [power, power - 1, power + 1, -power, 1 - power]
    }
    for shift in 0..<63 {
      values += [1 << shift, Int(truncatingIfNeeded: generator.next()) >> shift]
    }
    for value in values {
      let text = written { $0.append(decimal: value) }.text
      #expect(text == "\(value)")
      #expect(integer(text) == value)
      #expect(decimalWidth(value.magnitude) == "\(value.magnitude)".utf8.count)
    }
  }
}

@Suite("Floats as INCRBYFLOAT computes and prints them")
struct FloatTests {
  private func parse(_ text: String) -> ExtendedFloat? {
    text.bytes.withUnsafeBytes { parseFloat($0) }
  }

  /// Replies of redis-server 7.0.15 on x86_64 to SET f <start> and INCRBYFLOAT f <increment>.
  private static let sums: [(start: String, increment: String, sum: String)] = [
    ("0", "3.0e3", "3000"), ("3.0e3", "0.1", "3000.10000000000000009"), ("10.50", "0.1", "10.6"),
    ("5.0e3", "2.0e2", "5200"), ("0", "0.1", "0.1"), ("0.1", "0.2", "0.3"), ("1", "-1", "0"),
    ("0", "-0", "0"), ("-0", "0", "0"), ("0", "1e-17", "0.00000000000000001"), ("0", "5e-18", "0"),
    ("0", "1e-30", "0"), ("0", "-1e-30", "0"), ("0", "1e-4940", "0"),
    ("0", "1e17", "100000000000000000"), ("0", "1e20", "100000000000000000000"),
    ("0", "3.14159265358979323846", "3.14159265358979324"),
    ("0", "123456789.123456789", "123456789.12345678899873747"), ("0", "+5", "5"),
    ("0", ".5", "0.5"), ("0", "5.", "5"), ("0", "0x1p4", "16"), ("0", "-1.5", "-1.5"),
  ]

  #if arch(x86_64)
    @Test("Sums have Redis's digits")
    func redisSums() throws {
      for row in FloatTests.sums {
        let start = try #require(parse(row.start), "\(row.start)")
        let increment = try #require(parse(row.increment), "\(row.increment)")
        #expect(formatFloat(start + increment) == row.sum, "\(row.start) + \(row.increment)")
      }
      let large = try #require(parse("1e300"))
      #expect(formatFloat(large).hasPrefix("1000000000000000000008997324079559193870523944273"))
      #expect(formatFloat(large).utf8.count == 301)
    }
  #endif

  @Test("What is no float for Redis is none here")
  func refused() {
    let texts = [
      "", " 1", "1 ", "\t1", "nan", "NaN", "-nan", "nan(1)", "abc", "1a", "0x", "1e", "1_0", "--1",
      "1\0", "1e5000", "-1e5000", "1e-5000", String(repeating: "1", count: 256),
    ]
    for text in texts { #expect(parse(text) == nil, "\(text.debugDescription)") }
  }

  @Test("Infinity is a number, to be refused where it is used")
  func infinity() {
    for text in ["inf", "+inf", "infinity", "INF"] { #expect(parse(text) == .infinity, "\(text)") }
    #expect(parse("-inf") == -.infinity)
  }

  @Test("What was printed is read as the same number", arguments: Seeds.few)
  func roundTrip(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      let whole = Int(truncatingIfNeeded: generator.next()) >> generator.below(64)
      #expect(formatFloat(ExtendedFloat(whole)) == "\(whole)")
      let quarter = ExtendedFloat(whole >> 10) / 4
      #expect(parse(formatFloat(quarter)) == quarter)
    }
  }
}
