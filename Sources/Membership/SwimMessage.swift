import PeerProtocol
import Primitives

/// What failure detectors say to each other.
///
///     u8 kind | u32 sequence | u64 target | u64 oldest | u32 records | records
public struct SwimMessage: Equatable, Sendable {
  public enum Kind: UInt8, Sendable {
    case probe = 1
    case ack = 2
    /// "Probe the target for me."
    case indirect = 3
    /// "The target has not answered me so far, but I am here."
    case nack = 4
    /// Records alone.
    case gossip = 5
  }

  public var kind: Kind
  /// The probe that this belongs to, by the prober's count.
  public var sequence: UInt32
  /// Of `indirect`: whom to probe.
  public var target: UInt64 = 0
  /// Of `ack`: the sender keeps nothing for others that is older; Unix milliseconds.
  public var oldest: UInt64 = 0
  public var records: [Member]

  public init(kind: Kind, sequence: UInt32, records: [Member]) {
    self.kind = kind
    self.sequence = sequence
    self.records = records
  }

  public func encode(to buffer: inout ByteBuffer) {
    buffer.append(kind.rawValue)
    buffer.append(littleEndian: sequence)
    buffer.append(littleEndian: target)
    buffer.append(littleEndian: oldest)
    buffer.append(littleEndian: UInt32(records.count))
    for record in records { record.encode(to: &buffer) }
  }

  /// Reads what `encode` wrote; nil when it is malformed.
  public static func decode(_ bytes: UnsafeRawBufferPointer) -> SwimMessage? {
    var reader = FieldReader(bytes)
    guard let rawKind = reader.integer(UInt8.self), let kind = Kind(rawValue: rawKind),
      let sequence = reader.integer(UInt32.self), let target = reader.integer(UInt64.self),
      let oldest = reader.integer(UInt64.self), let records = MemberTable.decode(&reader),
      reader.isAtEnd
    else { return nil }
    var message = SwimMessage(kind: kind, sequence: sequence, records: records)
    message.target = target
    message.oldest = oldest
    return message
  }
}
