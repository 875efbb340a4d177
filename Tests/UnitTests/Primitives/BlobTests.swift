import Primitives
import Testing

@Suite("Big values: pages, references, graveyard")
struct BlobTests {
  private static let big = Limits.bigValueBytes

  /// Bytes that differ from place to place.
  static func pattern(_ count: Int, _ seed: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 11 &+ seed) }
  }

  private func blob(_ bytes: [UInt8], in store: UnsafeMutablePointer<BlobStore>) -> Blob {
    let blob = BlobStore.allocate(bytes.count, in: store)
    bytes.withUnsafeBytes { blob.start.copyMemory(from: $0.baseAddress!, byteCount: bytes.count) }
    return blob
  }

  @Test("A large buffer grows, moves on and gives back, and its bytes are those of an array")
  func pagedBuffer() {
    var buffer = ByteBuffer()
    var model: [UInt8] = []
    var generator = SeededGenerator(seed: 5)
    for step in 0..<200 {
      let bytes = Self.pattern(generator.below(200_000), step)
      buffer.append(bytes)
      model += bytes
      let taken = generator.below(model.count + 1) / (step < 100 ? 8 : 1)
      buffer.consume(taken)
      model.removeFirst(taken)
      #expect(buffer.count == model.count)
      if step % 20 == 0 { #expect(buffer.bytes == model) }
    }
    #expect(buffer.bytes == model)
    buffer.consume(model.count)
    buffer.shrink(keeping: 1000)
    #expect(buffer.capacity == 0)
  }

  @Test("The last reference buries a value, slices give it back, and counts say so")
  func graveyard() {
    let store = BlobStore.make()
    defer { BlobStore.close(store) }
    let size = 10 * Self.big + 77
    let first = blob(Self.pattern(size), in: store)
    first.retain()
    #expect(first.isShared && store.pointee.liveBytes == size)
    first.release()
    #expect(!first.isShared && store.pointee.buriedCount == 0)
    first.release()
    #expect(store.pointee.liveBytes == 0 && store.pointee.buriedBytes == size)
    #expect(store.pointee.buriedCount == 1 && store.pointee.hasBuried)
    var steps = 0
    while store.pointee.hasBuried {
      let before = store.pointee.buriedBytes
      store.pointee.step(Self.big)
      #expect(before - store.pointee.buriedBytes <= Self.big + 4096)
      steps += 1
    }
    #expect((10...11).contains(steps))
    #expect(store.pointee.buriedBytes == 0 && store.pointee.freedCount == 1)
  }

  @Test("A value grows in place with zeros, also over what others left behind it")
  func growth() throws {
    let store = BlobStore.make()
    defer { BlobStore.close(store) }
    var buffer = ByteBuffer()
    let value = Self.pattern(Self.big)
    buffer.append(value + [UInt8](repeating: 9, count: 5000))
    var lender = Lender(store)
    lender.begin(buffer)
    let kept = lender.keep(buffer.readable.slice(0, value.count))
    let blob = try #require(kept)
    lender.end(&buffer, consumed: buffer.count)
    #expect(blob.resize(to: 3 * Self.big))
    #expect(blob.count == 3 * Self.big && store.pointee.liveBytes == 3 * Self.big)
    #expect(Array(blob.bytes) == value + [UInt8](repeating: 0, count: 2 * Self.big))
    blob.release()
  }

  @Test("Values are kept where they came in; what is between them dies, what is behind is read on")
  func lending() throws {
    let store = BlobStore.make()
    defer { BlobStore.close(store) }
    var buffer = ByteBuffer()
    let values = [Self.pattern(Self.big, 1), Self.pattern(Self.big + 3, 2)]
    let gap = Self.pattern(300_000, 3)
    buffer.append(values[0] + gap + values[1] + "rest".bytes)
    var lender = Lender(store)
    lender.begin(buffer)
    let bytes = buffer.readable
    let later = lender.keep(bytes.slice(values[0].count + gap.count, values[1].count))
    let earlier = lender.keep(bytes.slice(0, values[0].count))
    let (second, first) = (try #require(later), try #require(earlier))
    let small = lender.keep(bytes.slice(5, 100))
    let foreign = values[0].withUnsafeBytes { lender.keep($0) }
    #expect(small == nil && foreign == nil)
    lender.end(&buffer, consumed: bytes.count - 4)
    #expect(buffer.bytes == "rest".bytes && buffer.capacity < 1000)
    #expect(Array(first.bytes) == values[0] && Array(second.bytes) == values[1])
    #expect(store.pointee.buriedBytes == gap.count)
    while store.pointee.hasBuried { store.pointee.step(100_000) }
    #expect(Array(first.bytes) == values[0] && Array(second.bytes) == values[1])
    // Parts of the same pages: one that dies leaves the other alone, and neither grows in place.
    #expect(!first.resize(to: 2 * Self.big))
    first.release()
    while store.pointee.hasBuried { store.pointee.step(100_000) }
    #expect(Array(second.bytes) == values[1])
    second.release()
    store.pointee.step(.max)
    #expect(store.pointee.liveBytes == 0 && store.pointee.buriedBytes == 0)
  }

  @Test("A buffer that nothing was kept of is buried when it has been read")
  func unlent() {
    let store = BlobStore.make()
    defer { BlobStore.close(store) }
    var buffer = ByteBuffer()
    buffer.append(Self.pattern(4 * Self.big))
    var lender = Lender(store)
    lender.begin(buffer)
    lender.end(&buffer, consumed: buffer.count)
    #expect(buffer.capacity == 0 && store.pointee.buriedCount == 1)
  }

  @Test("Attached values are read in their places, in any steps, and moved, cut and dropped")
  func attachments() {
    let store = BlobStore.make()
    defer { BlobStore.close(store) }
    let value = Self.pattern(Self.big + 5)
    let blob = blob(value, in: store)
    var generator = SeededGenerator(seed: 3)
    for round in 0..<10 {
      var staged = ByteBuffer()
      staged.append("a")
      staged.appendBulk(blob.bytes, in: blob)
      let first = staged.count
      staged.appendBulk(blob.bytes, in: blob)
      staged.append("tail")
      let one = "$\(value.count)\r\n".bytes + value + "\r\n".bytes
      #expect(staged.totalCount == 1 + 2 * one.count + 4)
      var output = ByteBuffer()
      output.append("x")
      output.append(moving: &staged, first)
      #expect(output.flattened == "xa".bytes + one)
      #expect(staged.flattened == one + "tail".bytes)
      if round % 2 == 0 { output.append(moving: &staged, staged.count) }
      var read: [UInt8] = []
      let wanted = output.totalCount
      while !output.isEmpty {
        let run = output.nextRun
        let step = min(run.count, 1 + generator.below(400_000))
        read += Array(run.slice(0, step))
        output.consumeRun(step)
      }
      #expect(read.count == wanted && output.totalCount == 0)
      #expect(read == "xa".bytes + one + (round % 2 == 0 ? one + "tail".bytes : []))
      staged.removeAll()
      #expect(!blob.isShared)
    }
    var cut = ByteBuffer()
    cut.append("keep")
    cut.appendBulk(blob.bytes, in: blob)
    cut.truncate(to: 4)
    #expect(cut.flattened == "keep".bytes && cut.totalCount == 4 && !blob.isShared)
    cut.appendBulk(blob.bytes, in: blob)
    #expect(blob.isShared)
    cut = ByteBuffer()
    #expect(!blob.isShared)
    blob.release()
  }
}
