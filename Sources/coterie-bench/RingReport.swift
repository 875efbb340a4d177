import Placement
import Primitives

/// `coterie-bench ring`: how evenly the ring spreads slots, and how little moves when a node joins.
///
/// Balance: the fullest node's copies over the mean, at N=3. Movement: the part of all (slot, owner)
/// pairs that a joining node changes, as a multiple of 1/(M+1), which no scheme can beat.
enum RingReport {
  private static let copies = 3
  private static let balanceBar = 1.15
  private static let movementBar = 1.3

  /// Prints the table; `quick` looks at a few sizes only.
  static func print(quick: Bool) {
    let sizes = quick ? [3, 10, 100] : [3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 75, 100]
    Swift.print("equal nodes, N=3, \(Ring.vnodesPerWeight) vnodes a node, bounded loads")
    Swift.print("nodes   fullest / mean   moved × (M+1)")
    var worst = (balance: 0.0, movement: 0.0)
    for size in sizes {
      let before = Ring(members(size))
      let after = Ring(members(size + 1))
      let balance = fullest(before, size)
      // With fewer nodes than copies a joining node becomes an owner of every slot.
      let movement = size < copies ? 0 : moved(before, after) * Double(size + 1)
      worst = (max(worst.balance, balance), max(worst.movement, movement))
      let columns = [
        String(size).padded(to: 5, onLeft: true), balance.text(3).padded(to: 14, onLeft: true),
        movement.text(3).padded(to: 13, onLeft: true),
      ]
      Swift.print(columns.joined(separator: "   "))
    }
    Swift.print(
      "worst \(worst.balance.text(3)) (bar \(balanceBar)), "
        + "\(worst.movement.text(3)) (bar \(movementBar))")
  }

  private static func members(_ count: Int) -> [RingMember] {
    (0..<count).map { RingMember(id: mix(UInt64($0) + 1), index: UInt16($0)) }
  }

  private static func fullest(_ ring: borrowing Ring, _ size: Int) -> Double {
    var loads = Array(repeating: 0, count: size)
    let count = min(copies, ring.copies)
    for slot in 0..<Slot.count {
      for rank in 0..<count { loads[Int(ring.owner(Slot(slot), rank: rank))] += 1 }
    }
    return Double(loads.max() ?? 0) * Double(size) / Double(Slot.count * count)
  }

  private static func moved(_ before: borrowing Ring, _ after: borrowing Ring) -> Double {
    var changed = 0
    for slot in 0..<Slot.count {
      let old = (0..<copies).map { before.owner(Slot(slot), rank: $0) }
      for rank in 0..<copies where !old.contains(after.owner(Slot(slot), rank: rank)) {
        changed += 1
      }
    }
    return Double(changed) / Double(Slot.count * copies)
  }
}
