import CCrypto
import Primitives

/// That one end of a link between two nodes knows the cluster secret.
///
///     HMAC-SHA256(secret, "coterie link proof 1" | role | hello of the dialler | hello of the acceptor)
///
/// A hello holds a nonce, the node's id and its versions. The nonce of the other end is fresh, so an
/// old proof fits no new link; the role keeps an end from being sent its own proof.
public enum LinkProof {
  /// Which end proves.
  public enum Role: UInt8, Sendable {
    case dialler = 1
    case acceptor = 2
  }

  private static let domain = Array("coterie link proof 1".utf8)

  public static func make(
    _ secret: [UInt8], _ role: Role, dialler: [UInt8], acceptor: [UInt8]
  ) -> [UInt8] {
    let text = domain + [role.rawValue] + dialler + acceptor
    var proof = [UInt8](repeating: 0, count: 32)
    let status = coterie_hmac_sha256(secret, secret.count, text, text.count, &proof)
    invariant(status == 1, "libcrypto has no HMAC-SHA256")
    return proof
  }

  /// Takes as long for equal proofs as for others.
  public static func areEqual(_ left: [UInt8], _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count, let start = right.baseAddress else { return false }
    return CRYPTO_memcmp(left, start, left.count) == 0
  }
}
