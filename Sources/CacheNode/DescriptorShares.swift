import Primitives

/// Who gets the file descriptors of the process.
///
///     the process itself, and scrapers          `ownDescriptors`
///     the other nodes                           three a member, and not less than `peerDescriptors`
///     handshakes when all places are taken      `handshakesAtLeast`
///     strangers at the peer port                `strangers` links, as many TLS handshakes, and as many
///                                               that were closed in this round of the loop
///     clients                                   what is left, up to `maxclients`
///
/// Where the system gives what is asked for, strangers may be as many as `Limits.unprovenLinks`: all
/// peers of a large cluster dial at once when a node is back. Where it gives less, clients go first but
/// for a share of it.
public struct DescriptorShares {
  /// Descriptors that the process may have.
  public var all: Int
  /// Clients at once.
  public var clients: Int
  /// Connections to the peer port of which it is not known yet whose they are.
  public var strangers: Int
  /// For how many members they were shared out.
  public var members: Int

  private static let descriptorsAStranger = 3

  public init(of all: Int, clients wanted: Int, members: Int) {
    let left = all - DescriptorShares.fixed(members)
    self.all = all
    self.members = members
    strangers = min(
      Limits.unprovenLinks,
      max(
        Limits.strangersAtLeast, all / Limits.descriptorsPerStranger,
        (left - wanted) / DescriptorShares.descriptorsAStranger))
    clients = max(1, min(wanted, left - DescriptorShares.descriptorsAStranger * strangers))
  }

  /// What is asked for.
  public static func most(clients wanted: Int, members: Int) -> Int {
    wanted + fixed(members) + descriptorsAStranger * Limits.unprovenLinks
  }

  private static func fixed(_ members: Int) -> Int {
    Limits.ownDescriptors + Limits.handshakesAtLeast + max(Limits.peerDescriptors, 3 * members)
  }
}
