import Primitives
import RESP

/// What a connection made of its bytes.
private struct RequestTrace: Equatable {
  /// The arguments of each request, those without any included.
  var requests: [[[UInt8]]] = []
  /// Where each request ended.
  var ends: [Int] = []
  var error: ProtocolError?
}

/// The bytes of a client: cut anywhere they are the same requests, and requests that are written
/// again are read again.
func checkRequests(_ bytes: [UInt8]) {
  // Above this the limits speak, and they go by what has arrived, as in Redis.
  guard bytes.count <= Limits.inlineBytes else { return }
  let whole = trace(bytes, .whole(bytes))
  let cuts: [(String, Cuts)] = [
    ("in two", .two(bytes)), ("byte by byte", .byteWise(bytes)), ("in pieces", .uneven(bytes)),
  ]
  for (name, cuts) in cuts {
    property(trace(bytes, cuts) == whole, "bytes that come \(name) are other requests")
    property(
      trace(bytes, cuts, isPatient: true) == whole, "bytesNeeded is too many: bytes \(name)")
  }
  checkAgain(whole.requests.filter { !$0.isEmpty })
}

/// Reads `bytes` as a connection does: what is not taken is shown again with more behind it, every
/// time at another address. A patient one looks only when the parser says that it can help.
private func trace(_ bytes: [UInt8], _ cuts: Cuts, isPatient: Bool = false) -> RequestTrace {
  var cuts = cuts
  var trace = RequestTrace()
  var parser = RequestParser()
  var arguments = ArgumentList()
  var taken = 0
  var arrived = 0
  while arrived < bytes.count {
    arrived += cuts.next(at: arrived, of: bytes.count)
    if isPatient, arrived - taken < parser.bytesNeeded { continue }
    let goesOn = withExactCopy(of: bytes[taken..<arrived]) { shown in
      take(shown, &parser, &arguments, &trace, &taken)
    }
    if !goesOn { break }
  }
  return trace
}

/// Takes all requests that are there. False when the bytes are none.
private func take(
  _ shown: UnsafeRawBufferPointer, _ parser: inout RequestParser,
  _ arguments: inout ArgumentList, _ trace: inout RequestTrace, _ taken: inout Int
) -> Bool {
  var at = 0
  while true {
    let rest = shown.slice(at, shown.count - at)
    switch parser.next(rest, into: &arguments) {
    case .incomplete:
      return true
    case .malformed(let error):
      trace.error = error
      return false
    case .request(let length):
      property(length > 0 && length <= rest.count, "a request of \(length) of \(rest.count) bytes")
      property(parser.isIdle && parser.bytesNeeded == 1, "a request is over and goes on")
      trace.requests.append(copyArguments(arguments, of: rest.slice(0, length)))
      at += length
      taken += length
      trace.ends.append(taken)
    }
  }
}

private func copyArguments(
  _ arguments: borrowing ArgumentList, of request: UnsafeRawBufferPointer
) -> [[UInt8]] {
  let isMultibulk = request[0] == UInt8(ascii: "*")
  var copies: [[UInt8]] = []
  var total = 0
  for index in 0..<arguments.count {
    let argument = arguments[index]
    if isMultibulk, let start = argument.baseAddress, let base = request.baseAddress {
      let isInside = start >= base && start + argument.count <= base + request.count
      property(isInside, "argument \(index) lies outside its request")
    }
    total += argument.count
    copies.append([UInt8](argument))
  }
  property(total < request.count, "the arguments are longer than the request")
  return copies
}

/// Requests in Redis's form, and each one's words in quotes, are the same requests.
private func checkAgain(_ requests: [[[UInt8]]]) {
  let again = written { buffer in
    for request in requests {
      buffer.appendArrayHeader(request.count)
      for argument in request { buffer.appendBulk(argument) }
    }
  }
  let read = trace(again, .whole(again))
  property(read.error == nil && read.requests == requests, "written again, other requests")
  property(read.ends.last ?? 0 == again.count, "written again, bytes are left over")
  for request in requests {
    let line = quoted(request)
    var words = ArgumentList()
    let isSplit = withExactCopy(of: line) { words.splitInline($0) }
    property(isSplit && words.count == request.count, "words in quotes are other words")
    for index in request.indices {
      property([UInt8](words[index]) == request[index], "word \(index) in quotes is another")
    }
  }
}

/// The words as a line: each in double quotes, each byte but letters and digits as `\xHH`.
private func quoted(_ words: [[UInt8]]) -> [UInt8] {
  let digits = Array("0123456789abcdef".utf8)
  var line: [UInt8] = []
  for word in words {
    line += line.isEmpty ? [UInt8(ascii: "\"")] : Array(" \"".utf8)
    for byte in word {
      if lowercased(byte) &- 97 < 26 || byte &- 48 < 10 {
        line.append(byte)
      } else {
        line += Array("\\x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    line.append(UInt8(ascii: "\""))
  }
  return line
}
