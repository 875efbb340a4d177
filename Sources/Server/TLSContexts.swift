import CacheNode
import Configuration
import Reactor

/// The TLS context in force; CONFIG SET puts another one in its place.
///
/// `@unchecked Sendable`: the node calls it through a closure of its configuration, on the one thread
/// that the loop runs on.
final class TLSContexts: @unchecked Sendable {
  /// Nil while no port speaks TLS.
  private(set) var current: TLSContext?
  private let isForPeers: Bool
  private let log: Log

  /// Reads the files, if a port speaks TLS at all.
  init(_ parameters: ParameterStore, log: Log) throws(StartError) {
    self.log = log
    isForPeers = parameters.isYes("tls-cluster")
    guard parameters.number("tls-port") != 0 || isForPeers else { return }
    do throws(TLSError) {
      current = try TLSContext(options(parameters))
    } catch {
      throw StartError("TLS: \(error.description)")
    }
  }

  /// Connections from now on are made from these parameters. Returns why not; then nothing changes.
  func apply(_ parameters: ParameterStore) -> String? {
    // As in Redis, nothing is read as long as nothing needs it.
    guard current != nil else { return nil }
    do throws(TLSError) {
      current = try TLSContext(options(parameters))
      let level = LogLevel(parameters["loglevel"] ?? "") ?? .notice
      if level <= .notice { log.write(.notice, "TLS: certificates and options were read anew") }
      return nil
    } catch {
      log.write(.warning, "TLS: \(error.description); what was in force stays")
      return "Unable to update TLS configuration. Check server logs."
    }
  }

  private func options(_ parameters: ParameterStore) -> TLSOptions {
    func text(_ name: String) -> String { parameters[name] ?? "" }
    var options = TLSOptions()
    options.certificateFile = text("tls-cert-file")
    options.keyFile = text("tls-key-file")
    options.keyPassword = text("tls-key-file-pass")
    options.authorityFile = text("tls-ca-cert-file")
    options.authorityDirectory = text("tls-ca-cert-dir")
    switch text("tls-auth-clients") {
    case "no": options.clientCertificates = .no
    case "optional": options.clientCertificates = .optional
    default: options.clientCertificates = .yes
    }
    options.isForPeers = isForPeers
    options.protocols = text("tls-protocols")
    options.ciphers = text("tls-ciphers")
    options.ciphersuites = text("tls-ciphersuites")
    options.prefersOwnCiphers = parameters.isYes("tls-prefer-server-ciphers")
    options.keepsSessions = parameters.isYes("tls-session-caching")
    options.sessions = parameters.number("tls-session-cache-size")
    options.sessionSeconds = parameters.number("tls-session-cache-timeout")
    return options
  }
}
