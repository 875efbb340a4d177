import Primitives

extension ObjectView {
  /// The join of two objects of one key, encoded, and its stamp: what `Table.merge` makes of them.
  /// Nil when one of them is malformed.
  public static func join(
    _ left: ObjectView, _ right: ObjectView
  ) -> (bytes: [UInt8], stamp: Stamp)? {
    if !left.isSiblings, !right.isSiblings {
      let later = left.version >= right.version ? left : right
      return (later.encoded(), later.version.stamp)
    }
    guard var set = SiblingSet(left), let other = SiblingSet(right) else { return nil }
    set.merge(other)
    return set.encoded().withUnsafeBytes { raw in
      let joined = ObjectView(
        version: set.version, deadline: 0,
        flags: set.siblings.isEmpty ? .emptySiblings : .siblings, value: raw)
      return (joined.encoded(), joined.version.stamp)
    }
  }

  /// The join of two encoded objects; nil when one of them is malformed.
  public static func join(_ left: [UInt8], _ right: [UInt8]) -> [UInt8]? {
    left.withUnsafeBytes { left in
      right.withUnsafeBytes { right in
        guard let left = ObjectView.decode(left), let right = ObjectView.decode(right) else {
          return nil
        }
        return join(left, right)?.bytes
      }
    }
  }

  public func encoded() -> [UInt8] {
    var buffer = ByteBuffer()
    encode(to: &buffer)
    return buffer.bytes
  }
}
