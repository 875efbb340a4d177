import Primitives
import RESP
import Testing

@Suite("Requests")
struct RequestParserTests {
  @Test("A request means the same whole and byte by byte", arguments: RequestCase.all)
  func wholeAndByteByByte(_ row: RequestCase) {
    #expect(ParserDriver.parse([row.input]) == [row.expected])
    #expect(ParserDriver.parse(row.input.map { [$0] }) == [row.expected])
  }

  @Test("A request means the same in every two and three pieces", arguments: RequestCase.all)
  func everyCut(_ row: RequestCase) {
    for first in 1..<max(2, row.input.count) where first < row.input.count {
      let two = row.input.pieces(cutAt: [first])
      #expect(ParserDriver.parse(two) == [row.expected], "cut at \(first)")
      for second in first..<row.input.count {
        let three = row.input.pieces(cutAt: [first, second])
        #expect(ParserDriver.parse(three) == [row.expected], "cut at \(first) and \(second)")
      }
    }
  }

  @Test("Nothing is taken before a request's last byte is there", arguments: RequestCase.requests)
  func incompleteUntilWhole(_ row: RequestCase) {
    for end in 0..<row.input.count {
      #expect(ParserDriver.parse([Array(row.input[..<end])]) == [], "\(end) bytes")
    }
  }

  @Test("Requests stand behind one another in any mixture and any cut", arguments: Seeds.some)
  func concatenated(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<40 {
      let rows = (0..<1 + generator.below(12)).map { _ in generator.pick(RequestCase.requests) }
      let input = rows.flatMap(\.input)
      let cuts = (0..<generator.below(10)).map { _ in generator.below(input.count + 1) }.sorted()
      #expect(ParserDriver.parse(input.pieces(cutAt: cuts)) == rows.map(\.expected))
    }
  }

  @Test("What stands before a malformed request is taken, what follows it is not")
  func errorsEndTheStream() {
    let good = RequestCase.multibulk[0]
    for row in RequestCase.errors {
      let parsed = ParserDriver.parse([good.input + row.input + good.input])
      #expect(parsed == [good.expected, row.expected], "\(row.name)")
    }
  }

  @Test("Requests of random bytes come back as they were sent", arguments: Seeds.some)
  func randomRequests(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<50 {
      let words = (0..<1 + generator.below(8)).map { _ in
        generator.bytes(generator.oneIn(8) ? 5000 : generator.below(40))
      }
      let input = request(words)
      let cuts = (0..<generator.below(6)).map { _ in generator.below(input.count + 1) }.sorted()
      #expect(ParserDriver.parse(input.pieces(cutAt: cuts)) == [.request(words)])
    }
  }

  @Test("Random bytes never stop the process", arguments: Seeds.many)
  func randomBytes(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let alphabet = Array("*$-0123\r\n\"'\\ xaP".utf8)
    for _ in 0..<200 {
      let input = (0..<generator.below(60)).map { _ in generator.pick(alphabet) }
      let whole = ParserDriver.parse([input])
      #expect(ParserDriver.parse(input.map { [$0] }) == whole, "\(input)")
    }
  }

  @Test("A request of very many arguments is taken", arguments: [4096, 5000, 100_000])
  func manyArguments(count: Int) {
    let words = (0..<count).map { "\($0)".bytes }
    let input = request(words)
    #expect(ParserDriver.parse([input]) == [.request(words)])
    let cuts = Array(stride(from: 65_536, to: input.count, by: 65_536))
    #expect(ParserDriver.parse(input.pieces(cutAt: cuts)) == [.request(words)])
  }

  @Test("The largest counts and lengths are waited for, and nothing is reserved for them")
  func largestAnnouncements() {
    for header in ["*2147483647\r\n", "*1048577\r\n", "*1\r\n$536870912\r\n"] {
      #expect(ParserDriver.parse([header.bytes]) == [], "\(header.debugDescription)")
    }
  }

  @Test("A line that does not end within 64 KiB is refused")
  func endlessLines() {
    let digits = Array(repeating: UInt8(ascii: "1"), count: Limits.inlineBytes)
    let word = Array(repeating: UInt8(ascii: "a"), count: Limits.inlineBytes)
    #expect(ParserDriver.parse([digits]) == [])
    #expect(ParserDriver.parse(["*".bytes + digits]) == [.failure(.tooBigCount)])
    let open = "*1\r\n$".bytes + digits
    #expect(ParserDriver.parse([open]) == [.failure(.tooBigBulkCount)])
    #expect(ParserDriver.parse([word]) == [])
    #expect(ParserDriver.parse([word, "a".bytes]) == [.failure(.tooBigInlineRequest)])
    #expect(ParserDriver.parse([word, "\n".bytes]) == [.request([word])])
  }

  @Test("A resumed request looks at no byte twice: arguments that were seen may change")
  func neverRescans() {
    let driver = ParserDriver()
    driver.feed("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nab".bytes)
    driver.overwrite(1, "9\r\n$8\r\n")
    driver.feed("c".bytes)
    driver.feed("de\r\n".bytes)
    #expect(driver.parsed == [.words("SET", "k", "abcde")])
  }

  @Test("A resumed line is searched only behind what was seen")
  func neverRescansLines() {
    let driver = ParserDriver()
    driver.feed("GET abc".bytes)
    driver.overwrite(3, "\n")
    driver.feed("d\n".bytes)
    #expect(driver.parsed == [.words("GET", "abcd")])
  }

  @Test("The parser says how many bytes a value needs")
  func bytesNeeded() {
    let driver = ParserDriver()
    #expect(driver.isIdle)
    driver.feed("*2\r\n$3\r\nGET\r\n$10\r\nab".bytes)
    #expect(!driver.isIdle)
    #expect(driver.bytesNeeded == 4 + 9 + 5 + 10 + 2)
    driver.feed("cdefghij\r\n".bytes)
    #expect(driver.isIdle)
  }

  @Test("The texts of the errors are Redis's")
  func texts() {
    let rows: [(error: ProtocolError, text: [UInt8])] = [
      (.tooBigInlineRequest, "too big inline request".bytes),
      (.unbalancedQuotes, "unbalanced quotes in request".bytes),
      (.tooBigCount, "too big mbulk count string".bytes),
      (.invalidCount, "invalid multibulk length".bytes),
      (.tooBigBulkCount, "too big bulk count string".bytes),
      (.expectedDollar(UInt8(ascii: "x")), "expected '$', got 'x'".bytes),
      (.expectedDollar(0xff), "expected '$', got '".bytes + [0xff] + "'".bytes),
      (.invalidBulkLength, "invalid bulk length".bytes),
    ]
    for row in rows { #expect(row.error.text == row.text) }
  }

  private func request(_ words: [[UInt8]]) -> [UInt8] {
    words.reduce(into: "*\(words.count)\r\n".bytes) { bytes, word in
      bytes += "$\(word.count)\r\n".bytes + word + "\r\n".bytes
    }
  }
}
