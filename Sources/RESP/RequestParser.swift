import Primitives

// # Requests
//
// A client sends requests in two forms, mixed at will on one connection:
//
//     *2\r\n$3\r\nGET\r\n$1\r\nk\r\n        multibulk: a count, then that many lengths and bytes
//     GET k\r\n                             inline: words, with quotes and escapes
//
// Bytes come in any cut. The parser is a machine that takes "all bytes that have not been taken so
// far" and says one of: here is a request and how long it was; not yet; this is no request. While a
// request is incomplete the parser remembers where it stopped, so that no byte is looked at twice:
// a 512 MiB value that arrives in 64 KiB pieces costs one comparison a piece.
//
// Arguments are (offset, length) pairs into the caller's bytes: nothing is copied and no String is
// made. Memory grows with the bytes that came, never with a length that a header promises.
//
// The texts of the errors and the order of the checks are those of Redis 7.0 (networking.c,
// processMultibulkBuffer and processInlineBuffer), which clients and tests match on.

/// What one look at the bytes of a connection yielded.
public enum ParseOutcome: Equatable, Sendable {
  /// A whole request of this many bytes; its arguments are in the list. Zero arguments: ignore it.
  case request(length: Int)
  /// More bytes are needed.
  case incomplete
  /// The bytes are no request: answer with this text and close.
  case malformed(ProtocolError)
}

/// Why bytes are no request. The text follows `ERR Protocol error: `.
public enum ProtocolError: Error, Equatable, Sendable {
  case tooBigInlineRequest
  case unbalancedQuotes
  case tooBigCount
  case invalidCount
  case tooBigBulkCount
  case expectedDollar(UInt8)
  case invalidBulkLength
  /// More words, or longer ones, than a client may send before it has logged in.
  case unauthenticatedCount
  case unauthenticatedBulkLength

  /// Redis's text, in bytes because it can quote one.
  public var text: [UInt8] {
    switch self {
    case .tooBigInlineRequest: Array("too big inline request".utf8)
    case .unbalancedQuotes: Array("unbalanced quotes in request".utf8)
    case .tooBigCount: Array("too big mbulk count string".utf8)
    case .invalidCount: Array("invalid multibulk length".utf8)
    case .tooBigBulkCount: Array("too big bulk count string".utf8)
    case .expectedDollar(let byte): Array("expected '$', got '".utf8) + [byte, UInt8(ascii: "'")]
    case .invalidBulkLength: Array("invalid bulk length".utf8)
    case .unauthenticatedCount: Array("unauthenticated multibulk length".utf8)
    case .unauthenticatedBulkLength: Array("unauthenticated bulk length".utf8)
    }
  }
}

/// One connection's place in the request that it is sending.
public struct RequestParser: ~Copyable {
  /// Arguments of the multibulk request that have not been seen to their end; 0 between requests.
  private var missing = 0
  /// The length of the argument whose bytes are awaited; -1 while its `$` line is.
  private var bulkLength = -1
  /// Where to go on, counted from the request's first byte.
  private var position = 0
  /// The arguments so far of an incomplete request.
  private var partial = ArgumentList()
  /// What a request may announce.
  private var countLimit = Limits.arguments
  private var bulkLimit = Limits.bulkBytes

  public init() {}

  /// Whether the client has to log in first and is given little room until then.
  public var isUnauthenticated: Bool {
    get { countLimit != Limits.arguments }
    set {
      countLimit = newValue ? Limits.unauthenticatedArguments : Limits.arguments
      bulkLimit = newValue ? Limits.unauthenticatedBulkBytes : Limits.bulkBytes
    }
  }

  /// Forgets an incomplete request: its bytes will be shown again from the first one.
  public mutating func restart() {
    missing = 0
    bulkLength = -1
    position = 0
  }

  /// Gives back the memory for an incomplete request's words; between two requests.
  public mutating func releaseMemory() {
    if partial.holdsMemory { partial = ArgumentList() }
  }

  /// True between two requests: nothing of the next one has been looked at.
  public var isIdle: Bool { missing == 0 && position == 0 }

  /// Takes the next request from the front of `bytes`, which begin where the last one ended.
  ///
  /// After `.incomplete` the caller shows the same bytes again with more behind them; the address
  /// may have changed. `arguments` is the caller's scratch list; its contents are only valid until
  /// the next call.
  @inline(__always)
  public mutating func next(
    _ bytes: UnsafeRawBufferPointer, into arguments: inout ArgumentList
  ) -> ParseOutcome {
    guard bytes.count > position else { return .incomplete }
    if _fastPath(missing == 0 && position == 0) {
      arguments.reset(base: bytes.baseAddress.unsafelyUnwrapped)
      if _slowPath(bytes[0] != UInt8(ascii: "*")) { return inline(bytes, into: &arguments) }
      return multibulk(bytes, into: &arguments)
    }
    return resume(bytes, into: &arguments)
  }

  @inline(never)
  private mutating func resume(
    _ bytes: UnsafeRawBufferPointer, into arguments: inout ArgumentList
  ) -> ParseOutcome {
    if bytes[0] != UInt8(ascii: "*") { return inline(bytes, into: &arguments) }
    swap(&arguments, &partial)
    arguments.rebase(bytes.baseAddress.unsafelyUnwrapped)
    return multibulk(bytes, into: &arguments)
  }

  // MARK: Multibulk

  @inline(__always)
  private mutating func multibulk(
    _ bytes: UnsafeRawBufferPointer, into arguments: inout ArgumentList
  ) -> ParseOutcome {
    var at = position
    if missing == 0 {
      // A header line that is still open is read again from its start; it is at most 64 KiB.
      switch headerLine(bytes, from: 0, limitError: .tooBigCount) {
      case .open: return .incomplete
      case .failed(let error): return .malformed(error)
      case .closed(let end):
        guard let count = parseInteger(bytes.slice(1, end &- 1)), count <= countLimit else {
          return malformedCount(bytes.slice(0, end), bytes.count)
        }
        at = end &+ 2
        if count <= 0 {
          position = 0
          return .request(length: at)
        }
        missing = count
        bulkLength = -1
      }
    }
    while missing > 0 {
      if bulkLength < 0 {
        switch headerLine(bytes, from: at, limitError: .tooBigBulkCount) {
        case .open: return suspend(at, &arguments)
        case .failed(let error): return .malformed(error)
        case .closed(let end):
          if bytes[at] != UInt8(ascii: "$") {
            return malformed(
              bytes.slice(at, end &- at), bytes.count &- at, .expectedDollar(bytes[at]))
          }
          guard let length = parseInteger(bytes.slice(at &+ 1, end &- at &- 1)), length >= 0,
            length <= bulkLimit
          else {
            return malformedBulk(bytes.slice(at, end &- at), bytes.count &- at)
          }
          bulkLength = length
          at = end &+ 2
        }
      }
      // The two bytes behind a value are not looked at, as in Redis.
      if bytes.count &- at < bulkLength &+ 2 { return suspend(at, &arguments) }
      arguments.append(offset: at, length: bulkLength)
      at &+= bulkLength &+ 2
      bulkLength = -1
      missing &-= 1
    }
    position = 0
    return .request(length: at)
  }

  /// A header line that can't be read is malformed, unless a NUL hides its end: Redis looks for the
  /// end with C's string functions and goes on waiting. Nothing of the request is kept then.
  @inline(never)
  private mutating func malformed(
    _ line: UnsafeRawBufferPointer, _ unparsed: Int, _ error: ProtocolError
  ) -> ParseOutcome {
    guard line.contains(0), unparsed <= Limits.inlineBytes else { return .malformed(error) }
    missing = 0
    position = 0
    bulkLength = -1
    return .incomplete
  }

  /// A count that is none, or more than this client may announce.
  @inline(never)
  private mutating func malformedCount(
    _ line: UnsafeRawBufferPointer, _ unparsed: Int
  ) -> ParseOutcome {
    if let count = parseInteger(line.slice(1, line.count - 1)), count <= Limits.arguments {
      return .malformed(.unauthenticatedCount)
    }
    return malformed(line, unparsed, .invalidCount)
  }

  @inline(never)
  private mutating func malformedBulk(
    _ line: UnsafeRawBufferPointer, _ unparsed: Int
  ) -> ParseOutcome {
    if let length = parseInteger(line.slice(1, line.count - 1)), length >= 0,
      length <= Limits.bulkBytes
    {
      return .malformed(.unauthenticatedBulkLength)
    }
    return malformed(line, unparsed, .invalidBulkLength)
  }

  @inline(never)
  private mutating func suspend(_ at: Int, _ arguments: inout ArgumentList) -> ParseOutcome {
    position = at
    swap(&arguments, &partial)
    return .incomplete
  }

  /// A request that needs at least this many bytes in all before another look can help.
  public var bytesNeeded: Int { bulkLength >= 0 ? position + bulkLength + 2 : position + 1 }

  private enum Line {
    case open
    case closed(end: Int)
    case failed(ProtocolError)
  }

  /// Finds the `\r` that ends the header line at `start`. The byte behind it must be there, too.
  @inline(__always)
  private func headerLine(
    _ bytes: UnsafeRawBufferPointer, from start: Int, limitError: ProtocolError
  ) -> Line {
    var at = start
    let end = bytes.count
    while at < end {
      if bytes[at] == 13 { return at &+ 1 < end ? .closed(end: at) : .open }
      at &+= 1
    }
    return end &- start > Limits.inlineBytes ? .failed(limitError) : .open
  }

  // MARK: Inline

  @inline(never)
  private mutating func inline(
    _ bytes: UnsafeRawBufferPointer, into arguments: inout ArgumentList
  ) -> ParseOutcome {
    var end = position
    while end < bytes.count, bytes[end] != 10 { end += 1 }
    if end == bytes.count {
      if bytes.count > Limits.inlineBytes { return .malformed(.tooBigInlineRequest) }
      position = end
      return .incomplete
    }
    if bytes.slice(0, end).contains(0) {
      // As above: for Redis the line has no end.
      return bytes.count > Limits.inlineBytes ? .malformed(.tooBigInlineRequest) : .incomplete
    }
    position = 0
    let length = end + 1
    if end > 0, bytes[end - 1] == 13 { end -= 1 }
    arguments.reset(base: bytes.baseAddress.unsafelyUnwrapped)
    guard arguments.splitInline(bytes.slice(0, end)) else { return .malformed(.unbalancedQuotes) }
    return .request(length: length)
  }
}
