import Coordination
import Testing

@Suite("Quorums")
struct QuorumTests {
  private enum Event: CaseIterable {
    case answer
    case giveUp
    case silence
  }

  @Test("Every small case in every order ends as counting by hand says")
  func exhaustive() {
    var cases = 0
    for needed in 0...4 {
      for owners in 0...4 {
        for events in outcomes(owners) {
          for order in permutations(Array(0..<owners)) {
            check(needed, order, events)
            cases += 1
          }
        }
      }
    }
    #expect(cases == 5 * (1 + 3 + 9 * 2 + 27 * 6 + 81 * 24))
  }

  private func outcomes(_ owners: Int) -> [[Event]] {
    (0..<owners).reduce([[]]) { lists, _ in
      lists.flatMap { list in Event.allCases.map { list + [$0] } }
    }
  }

  private func check(_ needed: Int, _ order: [Int], _ events: [Event]) {
    var quorum = Quorum(needed: needed)
    for rank in 0..<order.count { quorum.ask(rank) }
    var answered = 0
    var open = order.count
    func expected() -> QuorumVerdict {
      if answered >= needed { return .satisfied }
      return answered + open >= needed ? .waiting : .impossible
    }
    #expect(quorum.verdict == expected())
    for rank in order {
      let verdict: QuorumVerdict
      switch events[rank] {
      case .answer:
        answered += 1
        open -= 1
        verdict = quorum.answer(rank)
      case .giveUp:
        open -= 1
        verdict = quorum.giveUp(rank)
      case .silence: continue
      }
      #expect(verdict == expected(), "\(needed) needed, \(events) in order \(order)")
      #expect(quorum.answered.count == answered && quorum.outstanding.count == open)
    }
  }

  @Test("An owner's second answer changes nothing")
  func doubledAnswers() {
    var quorum = Quorum(needed: 2)
    for rank in 0..<3 { quorum.ask(rank) }
    for _ in 0..<3 {
      let verdict = quorum.answer(1)
      #expect(verdict == .waiting)
    }
    let verdict = quorum.answer(0)
    #expect(verdict == .satisfied)
  }

  @Test("An owner that is asked later makes a quorum possible again, and a late answer counts")
  func askedLater() {
    var quorum = Quorum(needed: 2)
    quorum.ask(0)
    #expect(quorum.verdict == .impossible)
    quorum.ask(1)
    #expect(quorum.verdict == .waiting)
    let lost = quorum.giveUp(1)
    #expect(lost == .impossible)
    quorum.ask(2)
    _ = quorum.answer(2)
    let late = quorum.answer(1)
    #expect(late == .satisfied)
    #expect(quorum.answered.bits == 0b110)
    #expect(quorum.outstanding.bits == 0b001)
  }

  private enum Standing: CaseIterable {
    case unasked, open, answered, givenUp
  }

  /// What a joint quorum should say, from how many owners of each ring stand how.
  private func jointVerdict(
    _ standings: [Standing], _ rings: [(needed: Int, owners: UInt16)]
  ) -> QuorumVerdict {
    func count(_ owners: UInt16, _ wanted: [Standing]) -> Int {
      standings.indices.filter { owners >> $0 & 1 == 1 && wanted.contains(standings[$0]) }.count
    }
    let (first, second) = (rings[0], rings[1])
    if count(first.owners, [.answered, .open]) < first.needed { return .impossible }
    if count(first.owners, [.answered]) < first.needed { return .waiting }
    // Too few of the other ring's owners that can answer: its part is waived.
    if count(second.owners, [.answered, .open]) < second.needed { return .satisfied }
    return count(second.owners, [.answered]) < second.needed ? .waiting : .satisfied
  }

  @Test("A joint quorum needs its part of either ring, but the other ring's only if it can be had")
  func joint() {
    var cases = 0
    for owners in 1...4 {
      let all = UInt16(1) << owners - 1
      let standings = (0..<owners).reduce([[]]) { lists, _ in
        lists.flatMap { list in Standing.allCases.map { list + [$0] } }
      }
      for voters in 1...all {
        for others in 0...all {
          for needed in 0...voters.nonzeroBitCount {
            for otherNeeded in 0...others.nonzeroBitCount {
              for standing in standings {
                let verdict = quorum(
                  Quorum(
                    needed: needed, of: OwnerSet(bits: voters), and: otherNeeded,
                    of: OwnerSet(bits: others)), standing
                ).verdict
                let expected = jointVerdict(standing, [(needed, voters), (otherNeeded, others)])
                if verdict != expected {
                  Issue.record(
                    "\(needed) of \(voters) and \(otherNeeded) of \(others): \(standing)")
                }
                cases += 1
              }
            }
          }
        }
      }
    }
    #expect(cases > 100_000)
  }

  private func quorum(_ empty: Quorum, _ standings: [Standing]) -> Quorum {
    var quorum = empty
    for (rank, standing) in standings.enumerated() where standing != .unasked { quorum.ask(rank) }
    for (rank, standing) in standings.enumerated() {
      if standing == .answered { _ = quorum.answer(rank) }
      if standing == .givenUp { _ = quorum.giveUp(rank) }
    }
    return quorum
  }

  @Test("A write in a ring change is satisfied by W of both rings, an owner in both counting twice")
  func jointExample() {
    // Owners 0, 1, 2; the change brings 3 in the place of 2.
    var quorum = Quorum(
      needed: 2, of: OwnerSet(bits: 0b0111), and: 2, of: OwnerSet(bits: 0b1011))
    for rank in 0..<4 { quorum.ask(rank) }
    var verdicts = [quorum.answer(0), quorum.answer(2)]
    #expect(verdicts == [.waiting, .waiting])
    var other = quorum
    verdicts = [other.giveUp(1), other.giveUp(3)]
    #expect(verdicts == [.waiting, .satisfied])
    let joint = quorum.answer(3)
    #expect(joint == .satisfied)
  }

  @Test("A set of owners holds the ranks that were put in")
  func ownerSet() {
    for bits in UInt16(0)...255 {
      var set = OwnerSet()
      for rank in 0..<8 where bits >> rank & 1 == 1 { set.insert(rank) }
      #expect(set == OwnerSet(bits: bits))
      #expect(set.count == bits.nonzeroBitCount)
      #expect(set.isEmpty == (bits == 0))
      for rank in 0..<8 { #expect(set.contains(rank) == (bits >> rank & 1 == 1)) }
      for rank in 0..<8 { set.remove(rank) }
      #expect(set.isEmpty)
    }
  }
}
