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

  @Test("A set of owners holds the ranks that were put in")
  func ownerSet() {
    for bits in UInt8.min...UInt8.max {
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
