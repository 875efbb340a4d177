import Membership
import Objects
import Primitives
import Testing

@Suite("The rings that members ask for")
struct RingPlanTests {
  private func member(
    _ id: UInt64, _ status: MemberStatus, weight: UInt16 = 1, next: UInt16? = nil,
    zone: String = ""
  ) -> Member {
    var member = Member(
      id: id, actor: Actor(rawValue: 1), incarnation: 1, host: "h", port: 1, peerPort: 2,
      name: "n", zone: zone, weight: weight, isFilled: true)
    member.status = status
    member.nextWeight = next ?? weight
    return member
  }

  /// A ring as text: ids with their weights.
  private func text(_ parts: [RingPlan.Part]) -> String {
    parts.map { "\($0.id)×\($0.weight)" }.joined(separator: " ")
  }

  @Test("Each status has its place in the rings")
  func table() {
    let rows: [(name: String, members: [Member], current: String, target: String)] = [
      ("alone", [member(1, .joined)], "1×1", "1×1"),
      ("forming", [member(1, .joining), member(2, .joining)], "1×1 2×1", "1×1 2×1"),
      ("joining", [member(1, .joined), member(2, .joining)], "1×1", "1×1 2×1"),
      ("leaving", [member(1, .joined), member(2, .leaving)], "1×1 2×1", "1×1"),
      ("removing", [member(1, .joined), member(2, .removing)], "1×1 2×1", "1×1"),
      ("forgotten", [member(1, .joined), member(2, .forgotten)], "1×1", "1×1"),
      (
        "weight", [member(1, .joined, weight: 2, next: 5), member(2, .joined)], "1×2 2×1",
        "1×5 2×1"
      ),
      (
        "a newcomer's next weight", [member(1, .joined), member(2, .joining, next: 3)], "1×1",
        "1×1 2×3"
      ),
      (
        "all at once",
        [
          member(1, .joined), member(2, .leaving), member(3, .joining), member(4, .removing),
          member(5, .forgotten),
        ], "1×1 2×1 4×1", "1×1 3×1"
      ),
      ("the last one can't go", [member(1, .leaving)], "1×1", "1×1"),
      ("nor the last two", [member(1, .leaving), member(2, .removing)], "1×1 2×1", "1×1 2×1"),
      ("nobody", [], "", ""),
    ]
    for row in rows {
      let plan = RingPlan(row.members)
      #expect(text(plan.current) == row.current, "\(row.name)")
      #expect(text(plan.target) == row.target, "\(row.name)")
      #expect(plan.isChanging == (row.current != row.target), "\(row.name)")
      let holds = row.members.contains { [.joined, .leaving, .removing].contains($0.status) }
      #expect(plan.isForming == !holds, "\(row.name)")
    }
  }

  @Test("What is said of health, progress and addresses changes no ring")
  func otherFields() {
    let plan = RingPlan([member(1, .joined), member(2, .joining)])
    var other = member(2, .joining)
    other.health = .dead
    other.revision = 5
    other.incarnation = 6
    other.prepared = plan.targetID
    other.committed = plan.targetID
    other.isFilled = false
    other.port = 99
    #expect(RingPlan([member(1, .joined), other]) == plan)
  }

  @Test("The target's name changes exactly when the target does", arguments: Seeds.some)
  func targetID(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let plans = (0..<60).map { _ in
      let members = (1...4 as ClosedRange<UInt64>).filter { _ in !generator.oneIn(4) }.map { id in
        member(
          id, generator.pick([.joined, .joining, .leaving, .removing, .forgotten]),
          weight: UInt16(1 + generator.below(2)), next: UInt16(1 + generator.below(2)),
          zone: generator.pick(["", "a"]))
      }
      return RingPlan(members)
    }
    for left in plans {
      #expect(left.targetID != 0)
      for right in plans {
        #expect((left.targetID == right.targetID) == (left.target == right.target))
      }
    }
  }
}
