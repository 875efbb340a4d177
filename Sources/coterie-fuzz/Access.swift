import Access
import Commands
import Primitives
import RESP

private let catalog = AccessCatalog(CommandTable())

/// Up to a zero byte an ACL file, behind it the rules of one more user, a line each: what is taken is
/// written, read again, and then the same users may do the same; what is refused changes nothing.
func checkAccess(_ bytes: [UInt8]) {
  let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
  let start = AccessControl(catalog)
  var access = (try? start.replaced(byFile: Array(parts[0]), named: "file")) ?? start
  if parts.count == 2 { setOneByOne(Array(parts[1]), &access) }
  let text = access.fileText
  do throws(AccessControl.FileErrors) {
    let again = try start.replaced(byFile: text, named: "file")
    property(again.lines == access.lines, "written again, other users")
    checkSamePowers(access, again, sample: bytes)
  } catch {
    property(false, "written again, no file: \(String(decoding: error.text, as: UTF8.self))")
  }
}

/// ACL SETUSER with each line in turn.
private func setOneByOne(_ bytes: [UInt8], _ access: inout AccessControl) {
  let name = Array("fuzz".utf8)
  for line in bytes.split(separator: 10).prefix(32) {
    let before = access.lines
    // A rule may hold spaces here, as the words of a request may.
    let words = line.split(separator: 9, omittingEmptySubsequences: false).map(Array.init)
    guard let rules = try? mergeSelectors(words) else { continue }
    do throws(AccessControl.Refusal) {
      try access.set(name, rules)
    } catch {
      property(access.lines == before, "a refused rule has changed something")
    }
  }
}

/// Every command, with a few words that keys and first arguments may equal.
private func checkSamePowers(
  _ left: AccessControl, _ right: AccessControl, sample bytes: [UInt8]
) {
  let key = Array(bytes.suffix(3))
  var list = ArgumentList()
  for (number, entry) in catalog.entries.enumerated() {
    let name = entry.name.utf8.split(separator: UInt8(ascii: "|")).map { Array($0) }
    list.fill(name + [key, Array("1".utf8), key, Array("k".utf8)])
    withUnsafeMutablePointer(to: &list) { list in
      let words = CallWords(list)
      for (one, other) in zip(left.places, right.places) {
        property(
          left.verdict(of: one, on: number, words) == right.verdict(of: other, on: number, words),
          "written again, a user has other powers")
      }
    }
  }
  for (one, other) in zip(left.places, right.places) {
    property(
      // Single commands that were taken and given back make `+@all` again only when it is written.
      right[other].isUnlimited || !left[one].isUnlimited,
      "written again, a user has other limits")
  }
}

let accessSeeds: [[UInt8]] = [
  "user default on nopass ~* &* +@all\n",
  "user a on >secret ~k* %R~r %W~w +get -set +@read -@write +client|id +select|0\n",
  "user a nopass skip-sanitize-payload (+get ~a) (+@all -client|kill %RW~x &c) -@all\r\n",
  "user a reset allkeys allchannels allcommands\n\nuser b resetkeys resetchannels nocommands\n",
  "user a #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b "
    + "!2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n",
  "\0on\t>x\n~a\t(+get\t~b\t'~c')\nclearselectors\t<x\nresetpass\tnopass\n+select|a\t-select\n",
  "\0(\"~a b\" '+get')\n(~a))\n+select|a b\n~\n%R\n()\n",
].map { Array($0.utf8) }
