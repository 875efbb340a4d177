import CCrypto
import Primitives

/// The SHA-256 of a password, in hexadecimal: the form in which passwords are kept, shown and
/// written to files.
public struct PasswordHash: Equatable, Sendable {
  public let hex: [UInt8]

  public init(of password: some Collection<UInt8>) {
    hex = hexadecimal(sha256(Array(password)))
  }

  /// Takes 64 lower-case hexadecimal digits.
  init?(hex: some Collection<UInt8>) {
    guard hex.count == 64, hex.allSatisfy({ $0 &- 48 < 10 || $0 &- 97 < 6 }) else { return nil }
    self.hex = Array(hex)
  }

  /// Takes as long for equal hashes as for others.
  public static func == (left: PasswordHash, right: PasswordHash) -> Bool {
    CRYPTO_memcmp(left.hex, right.hex, 64) == 0
  }
}

func sha256(_ bytes: [UInt8]) -> [UInt8] {
  var digest = [UInt8](repeating: 0, count: 32)
  invariant(coterie_sha256(bytes, bytes.count, &digest) == 1, "libcrypto has no SHA-256")
  return digest
}

func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
  let digits = Array("0123456789abcdef".utf8)
  return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
}

/// Draws passwords and nonces: SHA-256 over a secret and a counter, so that whoever sees some of them
/// knows nothing of the others. The secret is drawn by the shell from the operating system.
public struct PasswordGenerator: Sendable {
  private let secret: [UInt8]
  private var counter: UInt64 = 0

  public init(secret: [UInt8]) { self.secret = secret }

  /// So many hexadecimal digits.
  public mutating func digits(_ count: Int) -> [UInt8] {
    var digits: [UInt8] = []
    while digits.count < count { digits += hexadecimal(nonce()) }
    return Array(digits.prefix(count))
  }

  /// 32 bytes.
  public mutating func nonce() -> [UInt8] {
    counter += 1
    let number = (0..<8).map { UInt8(truncatingIfNeeded: counter >> (UInt64($0) << 3)) }
    return sha256(secret + number)
  }
}
