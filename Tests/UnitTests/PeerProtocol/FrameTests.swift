import Objects
import PeerProtocol
import Primitives
import Testing

@Suite("Frames between nodes")
struct FrameTests {
  /// One look at bytes, as text.
  private enum Look: Equatable {
    case frame(String, length: Int)
    case incomplete(needed: Int)
    case malformed(FrameError)
  }

  private func look(_ bytes: [UInt8]) -> Look {
    bytes.withUnsafeBytes { raw in
      switch Frame.decode(raw) {
      case .frame(let frame, let length): .frame(FrameSample.describe(frame), length: length)
      case .incomplete(let needed): .incomplete(needed: needed)
      case .malformed(let error): .malformed(error)
      }
    }
  }

  @Test("Every kind of frame has a sample")
  func samplesAreComplete() {
    let kinds = Set(FrameSample.all.map { $0.bytes[4] })
    #expect(kinds == Set((0...255).filter { FrameKind(rawValue: $0) != nil }))
  }

  @Test("A frame comes back as it was sent", arguments: FrameSample.all)
  func roundTrip(_ sample: FrameSample) {
    #expect(look(sample.bytes) == .frame(sample.text, length: sample.bytes.count))
  }

  @Test(
    "A frame that has not arrived whole says how many bytes it needs", arguments: FrameSample.all)
  func byteByByte(_ sample: FrameSample) {
    for end in 0..<sample.bytes.count {
      let needed = end < 4 ? 5 : sample.bytes.count
      #expect(look(Array(sample.bytes[..<end])) == .incomplete(needed: needed), "\(end) bytes")
    }
  }

  @Test("Frames stand behind one another", arguments: Seeds.few)
  func concatenated(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let samples = generator.shuffled(FrameSample.all)
    var bytes = samples.flatMap(\.bytes)
    for sample in samples {
      #expect(look(bytes) == .frame(sample.text, length: sample.bytes.count))
      bytes.removeFirst(sample.bytes.count)
    }
    #expect(bytes.isEmpty)
  }

  @Test("A body cut short under a length that agrees is malformed or another frame")
  func shortBodies() {
    for sample in FrameSample.all {
      for end in 5..<sample.bytes.count {
        var bytes = Array(sample.bytes[..<end])
        setLength(&bytes, end - 4)
        switch look(bytes) {
        case .frame(let text, let length):
          #expect(text != sample.text && length == end, "\(sample.text) in \(end) bytes")
        case .malformed: break
        case .incomplete: Issue.record("\(sample.text) is complete with \(end) bytes")
        }
      }
    }
  }

  @Test("Kinds of a fixed length take no other one")
  func longBodies() {
    let fixed: [FrameKind] = [.ping, .pong, .written, .same, .behind, .digest, .proof]
    for sample in FrameSample.all {
      guard let kind = FrameKind(rawValue: sample.bytes[4]), fixed.contains(kind) else { continue }
      var bytes = sample.bytes + [0]
      setLength(&bytes, bytes.count - 4)
      #expect(look(bytes) == .malformed(.malformed(kind)), "\(sample.text)")
    }
  }

  @Test(
    "A changed bit never stops the process nor takes more than the frame",
    arguments: FrameSample.all)
  func flipped(_ sample: FrameSample) {
    for index in sample.bytes.indices {
      for bit in 0..<8 {
        let changed = sample.bytes.flipping(index, bits: 1 << bit)
        if case .frame(_, let length) = look(changed) {
          #expect(length <= sample.bytes.count)
          #expect(index >= 4 || length < sample.bytes.count)
        }
      }
    }
  }

  @Test("Random bytes never stop the process", arguments: Seeds.some)
  func random(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<2000 {
      var bytes = generator.bytes(5 + generator.below(80))
      setLength(&bytes, bytes.count - 4)
      bytes[4] = UInt8(generator.below(21))
      if case .incomplete = look(bytes) { Issue.record("\(bytes) is complete") }
    }
  }

  @Test("Absurd lengths and unknown kinds are refused before the bytes are waited for")
  func absurdLengths() {
    let limit = Limits.frameBytes
    let rows: [(length: UInt32, kind: UInt8, look: Look)] = [
      (0, 2, .malformed(.tooLong(0))),
      (UInt32(limit), 4, .incomplete(needed: limit + 4)),
      (UInt32(limit + 1), 4, .malformed(.tooLong(limit + 1))),
      (.max, 4, .malformed(.tooLong(Int(UInt32.max)))),
      (9, 0, .malformed(.unknownKind(0))),
      (9, 99, .malformed(.unknownKind(99))),
      (9, 255, .malformed(.unknownKind(255))),
    ]
    for row in rows {
      let bytes = written {
        $0.append(littleEndian: row.length)
        $0.append(row.kind)
      }
      #expect(look(bytes) == row.look, "length \(row.length), kind \(row.kind)")
    }
  }

  @Test("A key longer than its frame is refused")
  func longKey() {
    for length in [4, 100, UInt32.max] {
      let bytes = written {
        $0.append(littleEndian: UInt32(1 + 10 + 3 + 17))
        $0.append(FrameKind.write.rawValue)
        $0.append(littleEndian: UInt32(1))
        $0.append([0, 1] as [UInt8])
        $0.append(littleEndian: length)
        $0.append(Array(repeating: 0, count: 20) as [UInt8])
      }
      #expect(look(bytes) == .malformed(.malformed(.write)), "a key of \(length)")
    }
  }

  @Test("A hint whose key is longer than its frame is refused")
  func longHintedKey() {
    for length in [4, 100, UInt32.max] {
      let bytes = written {
        $0.append(littleEndian: UInt32(1 + 18 + 3 + 17))
        $0.append(FrameKind.hint.rawValue)
        $0.append(littleEndian: UInt32(1))
        $0.append(littleEndian: UInt64(2))
        $0.append([0, 1] as [UInt8])
        $0.append(littleEndian: length)
        $0.append(Array(repeating: 0, count: 20) as [UInt8])
      }
      #expect(look(bytes) == .malformed(.malformed(.hint)), "a key of \(length)")
    }
  }

  @Test("An encoded object in a write is the same frame as the object itself")
  func encodedWrite() {
    for value in ["", "v", String(repeating: "x", count: 300)] {
      value.bytes.withUnsafeBytes { raw in
        let object = ObjectView(
          version: Version(stamp: Stamp(rawValue: 5), actor: Actor(rawValue: 6)), deadline: 7,
          flags: .none, value: raw)
        let id = RequestID(rawValue: 9)
        let encoded = object.encoded()
        let left = written {
          $0.appendWrite(id, database: 3, key: raw, object: object, wantsAnswer: true)
        }
        let right = written { buffer in
          encoded.withUnsafeBytes {
            buffer.appendWrite(id, database: 3, key: raw, encoded: $0)
          }
        }
        #expect(left == right)
      }
    }
  }

  @Test("A stranger that is no node is told from a bad frame")
  func notCoterie() {
    let hello = FrameSample.all[0].bytes
    #expect(look(hello.flipping(5, bits: 1)) == .malformed(.notCoterie))
  }

  @Test("A hello of a later release may be longer")
  func longerHello() {
    var hello = FrameSample.all[0].bytes + [1, 2, 3]
    setLength(&hello, hello.count - 4)
    #expect(look(hello) == .frame(FrameSample.all[0].text, length: hello.count))
  }

  @Test("Two releases agree on the highest version that both know")
  func negotiation() {
    let newest = PeerProtocolVersion.newest
    let rows: [(oldest: UInt16, newest: UInt16, agreed: UInt16?)] = [
      (PeerProtocolVersion.oldest, newest, newest), (1, newest + 5, newest),
      (newest, newest + 1, newest), (newest + 1, newest + 2, nil), (0, 0, nil), (1, 1, nil),
      (newest, newest - 1, nil),
    ]
    for row in rows {
      var hello = Hello(node: 1, actor: Actor(rawValue: 1))
      hello.oldest = row.oldest
      hello.newest = row.newest
      #expect(hello.agreed == row.agreed, "\(row.oldest)…\(row.newest)")
    }
  }

  private func setLength(_ bytes: inout [UInt8], _ length: Int) {
    for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: length >> (8 * index)) }
  }
}

@Suite("Fields of gossip")
struct FieldReaderTests {
  @Test("Fields come back in their order, and nothing is read beyond the end")
  func roundTrip() {
    let bytes = written {
      $0.append(field: "häuser")
      $0.append(littleEndian: UInt16(513))
      $0.append(field: "")
      $0.append(littleEndian: UInt64.max)
    }
    for end in 0...bytes.count {
      Array(bytes[..<end]).withUnsafeBytes { raw in
        var reader = FieldReader(raw)
        var read = 0
        if reader.text() == "häuser" { read += 1 }
        if read == 1, reader.integer(UInt16.self) == 513 { read += 1 }
        if read == 2, reader.text() == "" { read += 1 }
        if read == 3, reader.integer(UInt64.self) == .max { read += 1 }
        #expect((read == 4) == (end == bytes.count), "\(end) bytes")
        #expect(reader.isAtEnd || end < bytes.count)
      }
    }
  }

  @Test("Text that is no UTF-8 is refused")
  func badText() {
    ([2, 0, 0xc3, 0x28] as [UInt8]).withUnsafeBytes { (raw: UnsafeRawBufferPointer) in
      var reader = FieldReader(raw)
      #expect(reader.text() == nil)
    }
  }
}
