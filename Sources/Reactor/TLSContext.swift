import CTLS
import Glibc

/// What the TLS parameters say.
public struct TLSOptions: Sendable {
  /// Whether a client has to show a certificate of the authority.
  public enum ClientCertificates: Sendable {
    case no, optional, yes
  }

  public var certificateFile = ""
  public var keyFile = ""
  public var keyPassword = ""
  public var authorityFile = ""
  public var authorityDirectory = ""
  public var clientCertificates = ClientCertificates.yes
  /// This node also dials: it has to know whom to believe.
  public var isForPeers = false
  /// Words; none: all from TLS 1.2.
  public var protocols = ""
  public var ciphers = ""
  public var ciphersuites = ""
  public var prefersOwnCiphers = false
  public var keepsSessions = true
  public var sessions = 20_480
  public var sessionSeconds = 300

  public init() {}
}

/// Why there can't be a TLS context. The texts are Redis's.
public struct TLSError: Error, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }

  /// With OpenSSL's reason behind it.
  static func withReason(_ text: String) -> TLSError { TLSError("\(text): \(lastReason())") }

  /// The oldest error that is queued; empties the queue.
  static func lastReason() -> String {
    let code = ERR_get_error()
    ERR_clear_error()
    guard code != 0 else { return "unknown reason" }
    var text = [CChar](repeating: 0, count: 256)
    ERR_error_string_n(code, &text, text.count)
    return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }
}

/// A certificate, its key, and whom to believe: what connections are made from. Connections keep the
/// context that they were made from, so another one takes its place without them.
public final class TLSContext {
  let context: OpaquePointer
  let clientCertificates: TLSOptions.ClientCertificates

  /// Reads the files.
  public init(_ options: TLSOptions) throws(TLSError) {
    ERR_clear_error()
    guard let context = SSL_CTX_new(TLS_method()) else {
      throw TLSError.withReason("Failed to create a TLS context")
    }
    self.context = context
    clientCertificates = options.clientCertificates
    guard coterie_tls_prepare(context) == 1 else {
      throw TLSError.withReason("Failed to require TLS 1.2")
    }
    try takeProtocols(options)
    try takeCertificate(options)
    try takeAuthorities(options)
    try takeCiphers(options)
    coterie_tls_keep_sessions(
      context, options.keepsSessions ? 1 : 0, options.sessions, options.sessionSeconds)
  }

  deinit { SSL_CTX_free(context) }

  private func takeProtocols(_ options: TLSOptions) throws(TLSError) {
    let words = options.protocols.split(separator: " ").map { $0.lowercased() }
    guard words.allSatisfy({ ["tlsv1.2", "tlsv1.3"].contains($0) }) else {
      throw TLSError(
        "Invalid tls-protocols specified. Use a combination of 'TLSv1.2' and 'TLSv1.3'.")
    }
    guard !words.isEmpty else { return }
    if !words.contains("tlsv1.2") { coterie_tls_forbid_1_2(context) }
    if !words.contains("tlsv1.3") { coterie_tls_forbid_1_3(context) }
  }

  private func takeCertificate(_ options: TLSOptions) throws(TLSError) {
    guard !options.certificateFile.isEmpty else { throw TLSError("No tls-cert-file configured!") }
    guard !options.keyFile.isEmpty else { throw TLSError("No tls-key-file configured!") }
    guard SSL_CTX_use_certificate_chain_file(context, options.certificateFile) == 1 else {
      throw TLSError.withReason("Failed to load certificate: \(options.certificateFile)")
    }
    // The context must not keep what is on the stack.
    let isLoaded = options.keyPassword.withCString { password in
      coterie_tls_set_password(context, UnsafeMutablePointer(mutating: password))
      defer { coterie_tls_set_password(context, nil) }
      return SSL_CTX_use_PrivateKey_file(context, options.keyFile, SSL_FILETYPE_PEM) == 1
    }
    guard isLoaded, SSL_CTX_check_private_key(context) == 1 else {
      throw TLSError.withReason("Failed to load private key: \(options.keyFile)")
    }
  }

  private func takeAuthorities(_ options: TLSOptions) throws(TLSError) {
    let file = options.authorityFile.isEmpty ? nil : options.authorityFile
    let directory = options.authorityDirectory.isEmpty ? nil : options.authorityDirectory
    guard file != nil || directory != nil else {
      if options.clientCertificates == .no, !options.isForPeers { return }
      throw TLSError(
        "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, "
          + "tls-replication or tls-auth-clients are enabled!")
    }
    guard SSL_CTX_load_verify_locations(context, file, directory) == 1 else {
      throw TLSError.withReason("Failed to configure CA certificate(s) file/directory")
    }
  }

  private func takeCiphers(_ options: TLSOptions) throws(TLSError) {
    if !options.ciphers.isEmpty, SSL_CTX_set_cipher_list(context, options.ciphers) != 1 {
      ERR_clear_error()
      throw TLSError("Failed to configure ciphers: \(options.ciphers)")
    }
    if !options.ciphersuites.isEmpty, SSL_CTX_set_ciphersuites(context, options.ciphersuites) != 1 {
      ERR_clear_error()
      throw TLSError("Failed to configure ciphersuites: \(options.ciphersuites)")
    }
    if options.prefersOwnCiphers { coterie_tls_prefer_own_ciphers(context) }
  }
}
