import CTLS
import Glibc

// # TLS on a socket
//
// An SSL object over a non-blocking socket. libevent says when the socket is ready; what TLS makes of
// that is told by every call:
//
//     handshake   done, or which readiness it waits for, or why it failed
//     read        bytes, or which readiness it waits for: usually the socket's bytes; a key update of
//                 the other side may want to be answered first
//     write       as `read`; an attempt that waits is repeated with the same bytes or more behind
//                 them, at whatever address (SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)
//
// No byte waits unseen inside: OpenSSL reads ahead no further than one record, which has at most
// 16 KiB, and `read` is only called with room for that. So what is left to read is in the socket, and
// the loop tells of it. OpenSSL's queue of errors is the thread's, and one connection's error must not
// be taken for another's: it is emptied before each call.

/// TLS on one connection. Not after `failed` or `ended`: then it is only to be dropped.
public final class TLSStream {
  /// What a connection waits for.
  public enum Outcome {
    case bytes(Int)
    /// Until the socket can be read, or written.
    case wantsRead, wantsWrite
    /// The other side said that nothing more comes.
    case ended
    case failed
  }

  private let stream: OpaquePointer
  private let socket: Socket
  private var isEstablished = false
  private var hasFailed = false
  /// How reading ended, behind bytes that were delivered first: nothing more comes from the socket.
  public private(set) var ending: Outcome?
  /// The last attempt to read waits until the socket can be written, and the other way round.
  public private(set) var readWantsWrite = false
  public private(set) var writeWantsRead = false

  /// Messages without bytes for the node that one `read` goes past.
  private static let mostSilentMessages = 8

  /// The most that one record holds.
  public static let recordBytes = 16 << 10

  /// The side that was dialled. `isForPeer`: the other side has to show a certificate in any case.
  public static func accepting(
    _ socket: Socket, _ context: TLSContext, isForPeer: Bool
  ) -> TLSStream? {
    guard let stream = TLSStream(socket, context) else { return nil }
    let mode =
      switch isForPeer ? .yes : context.clientCertificates {
      case .no: SSL_VERIFY_NONE
      case .optional: SSL_VERIFY_PEER
      case .yes: SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
      }
    coterie_tls_verify(stream.stream, mode)
    if isForPeer { coterie_tls_part_from_clients(stream.stream) }
    SSL_set_accept_state(stream.stream)
    return stream
  }

  /// The side that dials. The other one's certificate has to be of the authority; its name does not
  /// matter, as in Redis.
  public static func dialling(_ socket: Socket, _ context: TLSContext) -> TLSStream? {
    guard let stream = TLSStream(socket, context) else { return nil }
    coterie_tls_verify(stream.stream, SSL_VERIFY_PEER)
    SSL_set_connect_state(stream.stream)
    return stream
  }

  private init?(_ socket: Socket, _ context: TLSContext) {
    ERR_clear_error()
    guard let stream = SSL_new(context.context) else { return nil }
    guard SSL_set_fd(stream, socket.descriptor) == 1 else {
      SSL_free(stream)
      return nil
    }
    self.stream = stream
    self.socket = socket
  }

  deinit { SSL_free(stream) }

  /// What one step of a handshake led to.
  public enum Handshake {
    case done
    case wantsRead, wantsWrite
    case failed(String)
  }

  public func handshake() -> Handshake {
    ERR_clear_error()
    let status = SSL_do_handshake(stream)
    if status == 1 {
      isEstablished = true
      return .done
    }
    switch SSL_get_error(stream, status) {
    case SSL_ERROR_WANT_READ: return .wantsRead
    case SSL_ERROR_WANT_WRITE: return .wantsWrite
    case SSL_ERROR_SYSCALL where ERR_peek_error() == 0:
      hasFailed = true
      return .failed(errno == 0 ? "closed by the other side" : String(cString: strerror(errno)))
    default:
      hasFailed = true
      let verdict = SSL_get_verify_result(stream)
      let reason = TLSError.lastReason()
      guard verdict != X509_V_OK, let text = X509_verify_cert_error_string(verdict) else {
        return .failed(reason)
      }
      return .failed("\(reason) (\(String(cString: text)))")
    }
  }

  /// Reads until `buffer` has no room for another record or the socket has no more.
  public func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
    if let ending { return ending }
    var total = 0
    var silent = 0
    readWantsWrite = false
    while buffer.count - total >= TLSStream.recordBytes, let start = buffer.baseAddress {
      ERR_clear_error()
      var count = 0
      let status = SSL_read_ex(stream, start + total, buffer.count - total, &count)
      if status == 1 {
        total += count
        continue
      }
      let outcome = failure(status)
      // Messages of TLS itself give no bytes, and behind them more may have been read already.
      if case .wantsRead = outcome, silent < TLSStream.mostSilentMessages,
        SSL_has_pending(stream) == 1
      {
        silent += 1
        continue
      }
      switch outcome {
      case .wantsWrite: readWantsWrite = true
      case .ended, .failed: ending = outcome
      default: break
      }
      return total > 0 ? .bytes(total) : outcome
    }
    return .bytes(total)
  }

  /// Writes as much as the socket takes: how many of the bytes; nil when the connection is gone.
  public func write(_ bytes: UnsafeRawBufferPointer) -> Int? {
    var total = 0
    writeWantsRead = false
    while total < bytes.count, let start = bytes.baseAddress {
      ERR_clear_error()
      var count = 0
      let status = SSL_write_ex(stream, start + total, bytes.count - total, &count)
      if status == 1 {
        total += count
        continue
      }
      switch failure(status) {
      case .wantsRead: writeWantsRead = true
      case .wantsWrite: break
      default: return nil
      }
      return total
    }
    return total
  }

  private func failure(_ status: Int32) -> Outcome {
    switch SSL_get_error(stream, status) {
    case SSL_ERROR_WANT_READ: return .wantsRead
    case SSL_ERROR_WANT_WRITE: return .wantsWrite
    case SSL_ERROR_ZERO_RETURN: return .ended
    default:
      hasFailed = true
      ERR_clear_error()
      return .failed
    }
  }

  /// Tells the other side that nothing more comes, if the socket takes it at once.
  public func sayEnd() {
    guard isEstablished, !hasFailed else { return }
    ERR_clear_error()
    SSL_shutdown(stream)
    ERR_clear_error()
  }
}
