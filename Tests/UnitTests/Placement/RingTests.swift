import Placement
import Primitives
import Testing

@Suite("The ring")
struct RingTests {
  private func members(
    _ count: Int, seed: UInt64 = 1, zones: Int = 1, weights: [Int] = [1]
  ) -> [RingMember] {
    (0..<count).map { place in
      RingMember(
        id: mix(seed &* 1_000_003 &+ UInt64(place)), index: UInt16(place),
        zone: zones == 1 ? "" : "zone\(place % zones)", weight: weights[place % weights.count])
    }
  }

  private func owners(_ ring: borrowing Ring, _ slot: Int) -> [UInt16] {
    (0..<ring.copies).map { ring.owner(Slot(slot), rank: $0) }
  }

  @Test("A slot's owners are distinct, as many as there are nodes and at most seven")
  func distinctOwners() {
    for count in [1, 2, 3, 5, 7, 8, 20] {
      let ring = Ring(members(count))
      #expect(ring.copies == min(7, count))
      let wrong = (0..<Slot.count).filter { Set(owners(ring, $0)).count != ring.copies }
      #expect(wrong.isEmpty, "\(count) nodes: \(wrong.count) slots")
    }
  }

  @Test("Rings are dealt as in every version before: nodes of several versions have to agree")
  func golden() {
    // The first three columns: members, zones, weights. From the version of 2026-11.
    let rows: [(Int, Int, [Int], UInt64)] = [
      (3, 1, [1], 0x50ff_27ba_c34d_07c2), (5, 1, [1], 0xa20e_fd43_b481_4e13),
      (12, 3, [1, 2], 0x661d_e6eb_5e39_6c8c),
    ]
    for (count, zones, weights, expected) in rows {
      let ring = Ring(members(count, zones: zones, weights: weights))
      var digest: UInt64 = 0
      for slot in 0..<Slot.count {
        for owner in owners(ring, slot) { digest = mix(digest ^ UInt64(owner)) }
      }
      #expect(digest == expected, "\(count) members in \(zones) zones")
    }
  }

  @Test("The preference list begins with the owners and names every node once")
  func preferenceList() {
    for (count, zones) in [(1, 1), (5, 1), (12, 1), (12, 3)] {
      let ring = Ring(members(count, zones: zones))
      for slot in stride(from: 0, to: Slot.count, by: 97) {
        let list = ring.preferenceList(Slot(slot))
        #expect(Array(list.prefix(ring.copies)) == owners(ring, slot))
        #expect(list.sorted() == (0..<UInt16(count)).map { $0 })
      }
    }
  }

  @Test(
    "The same members make the same ring in whatever order they are known", arguments: Seeds.few)
  func anyOrder(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let members = members(9, seed: seed, zones: 2, weights: [1, 2])
    let ring = Ring(members)
    for _ in 0..<3 {
      let other = Ring(generator.shuffled(members))
      #expect((0..<Slot.count).allSatisfy { owners(ring, $0) == owners(other, $0) })
    }
  }

  @Test("Owners are in different zones as far as there are zones", arguments: [2, 3, 5])
  func zones(zones: Int) {
    let ring = Ring(members(15, zones: zones))
    for copies in 1...ring.copies {
      let wrong = (0..<Slot.count).filter { slot in
        let met = Set(owners(ring, slot).prefix(copies).map { Int($0) % zones })
        return met.count != min(copies, zones)
      }
      #expect(wrong.isEmpty, "\(copies) copies: \(wrong.count) slots")
    }
  }

  @Test("A zone of one node gets a copy of every slot")
  func smallZone() {
    var members = members(6, zones: 1)
    members[5].zone = "far"
    let ring = Ring(members)
    let without = (0..<Slot.count).filter { !owners(ring, $0).prefix(2).contains(5) }
    #expect(without.isEmpty, "\(without.count) slots")
  }

  @Test("A node holds copies in proportion to its weight, within the load bound")
  func weights() {
    let weights = [1, 2, 4]
    let members = members(12, weights: weights)
    let ring = Ring(members)
    var held = Array(repeating: 0, count: members.count)
    for slot in 0..<Slot.count { held[Int(ring.owner(Slot(slot), rank: 0))] += 1 }
    let total = members.reduce(0) { $0 + $1.weight }
    // The ring's own bound, and a slot for rounding.
    let bound = Double(Ring.loadBound.numerator) / Double(Ring.loadBound.denominator) + 0.01
    for member in members {
      let share = Double(Slot.count * member.weight) / Double(total)
      let ratio = Double(held[Int(member.index)]) / share
      #expect(ratio > 0.75 && ratio < bound, "node \(member.index) of weight \(member.weight)")
    }
  }

  @Test("With 3 to 100 equal nodes the fullest holds at most 1.15 of the mean share at N=3")
  func balance() {
    var worst = (ratio: 0.0, nodes: 0)
    for count in RingTests.sizes {
      let ring = Ring(members(count))
      var held = Array(repeating: 0, count: count)
      for slot in 0..<Slot.count {
        for rank in 0..<3 { held[Int(ring.owner(Slot(slot), rank: rank))] += 1 }
      }
      let ratio = Double(held.max() ?? 0) * Double(count) / Double(3 * Slot.count)
      if ratio > worst.ratio { worst = (ratio, count) }
      #expect(ratio <= 1.15, "\(count) nodes")
    }
    print("ring: the fullest node holds \(worst.ratio) of the mean share (\(worst.nodes) nodes)")
  }

  @Test("One more node moves at most 1.3/(M+1) of the copies and of the slots")
  func movement() {
    var copies = (ratio: 0.0, nodes: 0)
    var slots = (ratio: 0.0, nodes: 0)
    for count in RingTests.sizes {
      let before = Ring(members(count))
      let after = Ring(members(count + 1))
      var movedCopies = 0
      var movedSlots = 0
      for slot in 0..<Slot.count {
        let old = owners(before, slot).prefix(3)
        movedCopies += owners(after, slot).prefix(3).filter { !old.contains($0) }.count
        if before.owner(Slot(slot), rank: 0) != after.owner(Slot(slot), rank: 0) { movedSlots += 1 }
      }
      let share = 1 / Double(count + 1)
      let copyRatio = Double(movedCopies) / Double(3 * Slot.count) / share
      let slotRatio = Double(movedSlots) / Double(Slot.count) / share
      if copyRatio > copies.ratio { copies = (copyRatio, count) }
      if slotRatio > slots.ratio { slots = (slotRatio, count) }
      #expect(copyRatio <= 1.3, "\(count) nodes: copies")
      #expect(slotRatio <= 1.3, "\(count) nodes: first owners")
    }
    print("ring: one more node moves \(copies.ratio)/(M+1) of the copies (M=\(copies.nodes))")
    print("ring: one more node moves \(slots.ratio)/(M+1) of the first owners (M=\(slots.nodes))")
  }

  /// Every small cluster and some larger ones; a debug build takes seconds for each, so few.
  #if DEBUG
    private static let sizes = [3, 4, 5, 8, 16, 100]
  #else
    private static let sizes = Array(3...24) + [28, 32, 40, 50, 64, 75, 99, 100]
  #endif

  @Test("The slots of a node are those of which it is one of the first owners")
  func slotsOfANode() {
    for (count, zones) in [(1, 1), (4, 1), (9, 3)] {
      let ring = Ring(members(count, zones: zones))
      for copies in [0, 1, 3, 7, 20] {
        var sum = 0
        for index in 0..<UInt16(count) {
          let slots = ring.slots(of: index, copies: copies)
          let expected = (0..<Slot.count).filter {
            owners(ring, $0).prefix(copies).contains(index)
          }
          #expect(slots.count == expected.count && expected.allSatisfy(slots.contains))
          sum += slots.count
        }
        #expect(sum == Slot.count * min(copies, ring.copies))
        #expect(ring.slots(of: 99, copies: copies).isEmpty)
      }
    }
  }

  /// The members in the order of their first tokens behind a slot, counted by hand.
  private func walk(_ members: [RingMember], _ slot: Int) -> [UInt16] {
    let place = UInt64(slot) << 50
    let first = members.map { member in
      // The distance to a token wraps around with the circle.
      let distance = (0..<member.weight * Ring.vnodesPerWeight).map {
        mix(member.id ^ mix(UInt64($0) &+ 1)) &- place
      }.min()
      return (distance ?? 0, member.index)
    }
    return first.sorted { $0.0 < $1.0 }.map(\.1)
  }

  @Test("A fallback is the first fit node in ring order, and never an owner", arguments: Seeds.few)
  func fallback(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for (count, zones) in [(1, 1), (3, 1), (5, 2), (12, 3)] {
      let members = members(count, seed: seed, zones: zones, weights: [1, 2])
      let ring = Ring(members)
      for _ in 0..<300 {
        let slot = generator.below(Slot.count)
        let copies = 1 + generator.below(4)
        let unfit = Set(members.map(\.index).filter { _ in generator.oneIn(2) })
        let owners = owners(ring, slot).prefix(copies)
        let expected = walk(members, slot).first {
          !owners.contains($0) && !unfit.contains($0)
        }
        var asked: [UInt16] = []
        let found = ring.fallback(Slot(slot), copies: copies) { index in
          asked.append(index)
          return !unfit.contains(index)
        }
        #expect(found == expected, "slot \(slot), \(copies) copies, unfit \(unfit.sorted())")
        #expect(Set(asked).count == asked.count && Set(asked).isDisjoint(with: owners))
        #expect(ring.fallback(Slot(slot), copies: copies) { _ in false } == nil)
        #expect(ring.fallback(Slot(slot), copies: 20) { _ in true } == nil || count > 7)
      }
    }
  }
}
