import Objects
import Primitives

/// Two encoded sibling sets, as two peers may send them: a `Pair`.
func checkSiblings(_ bytes: [UInt8]) {
  // The same bytes as a token of a client: all but a few are refused, and none is read beyond.
  withExactCopy(of: bytes) { token in
    guard !token.isEmpty, let context = ContextToken.parse(token) else { return }
    property(ContextToken.print(context) == bytes, "one context has two tokens")
  }
  guard let pair = Pair(bytes[...]) else { return }
  let first = checkSet(Array(pair.first))
  let second = checkSet(Array(pair.second))
  guard let first, let second else { return }
  checkEncoding(of: join(first, second))
  checkEncoding(of: join(second, first))
  if isHonest(first), isHonest(second), agree(first, second) { checkLaws(first, second) }
}

/// A set that is taken is, written again, the same bytes, and reads alike without decoding.
@discardableResult
func checkSet(_ bytes: [UInt8]) -> SiblingSet? {
  withExactCopy(of: bytes) { shown in
    let set = SiblingSet(decoding: shown)
    let moments = [0, 1, .max] + (set?.siblings.prefix(4).map(\.deadline) ?? [])
    for now in moments {
      let found = SiblingSet.highestLive(in: shown, at: now)
      guard let set else { continue }
      let expected = set.siblings.last { $0.deadline == 0 || $0.deadline > now }
      property(found.map { [UInt8]($0.bytes) } == expected?.value, "GET sees another sibling")
      property(found?.deadline == expected?.deadline, "GET sees another deadline")
    }
    guard let set else { return nil }
    property(set.encoded() == bytes, "a set that is written again is other bytes")
    property(
      set.siblings.allSatisfy { $0.version <= set.version }, "a sibling is above its set's version")
    checkToken(of: set.context)
    return set
  }
}

/// A set that was merged or written is one that every node takes.
func checkEncoding(of set: SiblingSet) {
  let encoded = set.encoded()
  property(
    withExactCopy(of: encoded) { SiblingSet(decoding: $0) } == set, "a set does not survive the way"
  )
  property(set.siblings.count <= Limits.siblings, "a set holds \(set.siblings.count) siblings")
}

/// A token says what was printed; cut or with one character changed it says nothing.
func checkToken(of context: CausalContext) {
  let token = ContextToken.print(context)
  property(withExactCopy(of: token) { ContextToken.parse($0) } == context, "a token is another's")
  property(token.allSatisfy { $0 > 32 && $0 < 127 }, "a token can't be printed")
  var generator = SeededGenerator(seed: token.withUnsafeBytes { hashKey($0, seed: 0xf022) })
  let place = generator.below(token.count)
  var mistyped = token
  mistyped[place] = mistyped[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
  property(withExactCopy(of: mistyped) { ContextToken.parse($0) } == nil, "a typing error is taken")
  let cut = token.prefix(max(1, place))
  property(withExactCopy(of: cut) { ContextToken.parse($0) } == nil, "half a token is taken")
}

// MARK: Laws

func join(_ left: SiblingSet, _ right: SiblingSet) -> SiblingSet {
  var result = left
  result.merge(right)
  return result
}

/// Merging is commutative and idempotent, and takes in all that either side has seen.
func checkLaws(_ first: SiblingSet, _ second: SiblingSet) {
  let both = join(first, second)
  property(both == join(second, first), "siblings merge by order")
  property(join(first, first) == first, "a set is not itself when it meets itself")
  property(join(both, second) == both && join(first, both) == both, "a merge counts twice")
  var context = first.context
  context.formUnion(second.context)
  property(both.context == context, "a merge forgets what was seen")
}

/// Whether an honest node can have made the set: of LWW writes only the highest lives.
private func isHonest(_ set: SiblingSet) -> Bool {
  set.siblings.allSatisfy { !$0.isLWW || $0.version == set.context.seenLWW }
}

/// Whether each dot that both sets hold is one write, as it is among honest nodes.
private func agree(_ first: SiblingSet, _ second: SiblingSet) -> Bool {
  first.siblings.allSatisfy { sibling in
    second.siblings.allSatisfy { $0.version != sibling.version || $0 == sibling }
  }
}
