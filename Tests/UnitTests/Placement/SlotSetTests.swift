import Placement
import Primitives
import Testing

@Suite("Sets of slots")
struct SlotSetTests {
  private func random(_ generator: inout SeededGenerator) -> (set: SlotSet, model: Set<Int>) {
    let most = generator.pick([0, 1, 5, 400, 20_000])
    let edges = [0, 1, 63, 64, 127, 128, Slot.count - 64, Slot.count - 1]
    var model = Set((0..<most).map { _ in generator.below(Slot.count) })
    for edge in edges where generator.oneIn(2) { model.insert(edge) }
    var set = SlotSet()
    for slot in model { set.insert(slot) }
    return (set, model)
  }

  private func elements(_ set: SlotSet) -> [Int] {
    var elements: [Int] = []
    let note = { (slot: Int) in elements.append(slot) }
    set.visit(note)
    return elements
  }

  @Test("The algebra is that of Set<Int>", arguments: Seeds.some)
  func algebra(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<10 {
      let (left, a) = random(&generator)
      let (right, b) = random(&generator)
      #expect(elements(left) == a.sorted())
      #expect(left.count == a.count && left.isEmpty == a.isEmpty)
      var union = left
      union.formUnion(right)
      #expect(elements(union) == a.union(b).sorted())
      #expect(elements(left.intersection(right)) == a.intersection(b).sorted())
      #expect(elements(left.subtracting(right)) == a.subtracting(b).sorted())
      #expect(left.isSubset(of: right) == a.isSubset(of: b))
      #expect(left.intersection(right).isSubset(of: left) && left.isSubset(of: union))
      #expect((left == right) == (a == b))
      for slot in [0, 63, 64, Slot.count - 1] { #expect(left.contains(slot) == a.contains(slot)) }
    }
  }

  @Test("Slots go in and out one by one", arguments: Seeds.few)
  func changes(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var set = SlotSet()
    var model: Set<Int> = []
    for _ in 0..<2000 {
      let slot = generator.oneIn(3) ? generator.below(70) : generator.below(Slot.count)
      if generator.oneIn(2) {
        set.insert(slot)
        model.insert(slot)
      } else {
        set.remove(slot)
        model.remove(slot)
      }
      #expect(set.contains(slot) == model.contains(slot))
    }
    #expect(elements(set) == model.sorted())
  }

  @Test("All of them are all, and nothing is none")
  func ends() {
    #expect(SlotSet.all.count == Slot.count && elements(.all) == Array(0..<Slot.count))
    #expect(SlotSet().isEmpty && elements(SlotSet()) == [])
    #expect(SlotSet.all.subtracting(.all) == SlotSet())
    #expect(SlotSet().isSubset(of: SlotSet()) && !SlotSet.all.isSubset(of: SlotSet()))
  }

  @Test("A set comes back as it was sent; cut short it is none", arguments: Seeds.few)
  func roundTrip(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let (set, _) = random(&generator)
    let bytes = written { set.encode(to: &$0) }
    #expect(bytes.count == SlotSet.bytes)
    #expect(bytes.withUnsafeBytes { SlotSet($0) } == set)
    for end in [0, 1, 7, 8, SlotSet.bytes - 1] {
      #expect(Array(bytes[..<end]).withUnsafeBytes { SlotSet($0) } == nil, "\(end) bytes")
    }
    let changed = bytes.flipping(generator.below(bytes.count), bits: 4)
    #expect(changed.withUnsafeBytes { SlotSet($0) } != set)
  }
}
