import Glibc
import Primitives

// # coterie-fuzz
//
// libFuzzer drives everything of Coterie that reads bytes from outside: it makes inputs, sees which
// branches they took, and keeps and changes those that took new ones. `Tests/Fuzz/run` builds and
// runs it; SwiftPM does not, for a libFuzzer program has no `main` of its own.
//
//     requests    bytes of a client              any cut yields the same requests and errors
//     frames      bytes of a peer                any cut, the same frames; written again, the same bytes
//     gossip      bodies of members, settings    written again, the same bytes; merged in any order, one state
//     siblings    encoded sets, contexts         the same, and tokens that are only taken whole
//     histories   a script for three replicas    sets that writes and merges make: laws, and a dumb model
//     access      an ACL file, rules of a user   written again, the same users who may do the same
//     conf        a conf file, a command line    rewritten and read again, the same node
//     globs       a pattern and a text           what a plain matcher says, within a bound of steps
//     commands    a script for one or three      what a model says; every command takes part
//                 whole nodes
//
// All but the histories are fed with what an enemy may send, those with what honest nodes can make of
// each other: the laws of a lattice hold for honest data, robustness for all data.
//
// A target checks properties, for a parser that does not crash may still be wrong. Each input is
// shown in an allocation of exactly its size (`withExactCopy`), so that AddressSanitizer sees one
// byte read too many. A property that is broken ends the process, which is what libFuzzer calls a
// finding. Where an input is cut is drawn from a hash of the input: the same file, the same run.
//
// One program holds all targets and its name picks one, as in busybox; libFuzzer starts itself
// again under its own name when it merges or minimises, so a flag would get lost.
//
// Rejected: a mutator of our own for frames (libFuzzer finds the lengths by itself within seconds,
// given the seeds) and one target for all (it spreads its corpus thin: each target has its own).

/// The target that the program's name picks.
private let target = Target.named(CommandLine.arguments[0])

/// libFuzzer's first call. With `--write-seeds DIR` the program writes its seeds and ends.
@_cdecl("LLVMFuzzerInitialize")
public func initializeFuzzer(
  _ count: UnsafeMutablePointer<CInt>?,
  _ words: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>?
) -> CInt {
  let arguments = CommandLine.arguments
  guard let target else {
    let known = Target.allCases.map(\.rawValue).joined(separator: ", ")
    print("name this program after one of its targets: \(known)")
    exit(2)
  }
  if arguments.count == 3, arguments[1] == "--write-seeds" {
    for (index, seed) in target.seeds.enumerated() {
      write(seed, to: "\(arguments[2])/seed-\(index / 10)\(index % 10)")
    }
    exit(0)
  }
  return 0
}

/// libFuzzer's call for every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  target?.check(Array(UnsafeBufferPointer(start: bytes, count: size)))
  return 0
}

private func write(_ bytes: [UInt8], to path: String) {
  let file = fopen(path, "w")
  property(file != nil, "\(path) can't be written")
  property(fwrite(bytes, 1, bytes.count, file) == bytes.count, "\(path) is full")
  fclose(file)
}
