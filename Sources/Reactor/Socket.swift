import CLinux
import Glibc

/// A TCP socket address.
public struct SocketAddress {
  fileprivate var storage = sockaddr_storage()
  fileprivate var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

  init() {}

  /// Resolves a host. Addresses cost nothing; names ask the resolver and may take its time.
  public init?(host: String, port: UInt16) {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICHOST
    var list: UnsafeMutablePointer<addrinfo>?
    if getaddrinfo(host, String(port), &hints, &list) != 0 {
      hints.ai_flags = 0
      guard getaddrinfo(host, String(port), &hints, &list) == 0 else { return nil }
    }
    defer { freeaddrinfo(list) }
    guard let first = list?.pointee, let address = first.ai_addr else { return nil }
    memcpy(&storage, address, Int(first.ai_addrlen))
    length = first.ai_addrlen
  }

  fileprivate var family: Int32 { Int32(storage.ss_family) }

  fileprivate func with<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    withUnsafePointer(to: storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
    }
  }

  /// `127.0.0.1:6379`, `[::1]:6379`
  public var text: String {
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
    let status = with { address, length in
      getnameinfo(
        address, length, &host, socklen_t(host.count), &service, socklen_t(service.count),
        NI_NUMERICHOST | NI_NUMERICSERV)
    }
    guard status == 0 else { return "?:0" }
    let name = host.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    let port = service.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    return name.contains(":") ? "[\(name)]:\(port)" : "\(name):\(port)"
  }
}

/// Why a socket could not be had.
public struct SocketError: Error, CustomStringConvertible {
  public let description: String

  init(_ what: String) { description = "\(what): \(String(cString: strerror(errno)))" }
}

/// A TCP socket, non-blocking; closed when freed.
public final class Socket {
  public let descriptor: Int32

  private init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  public static func listen(
    _ host: String, _ port: UInt16, backlog: Int32
  ) throws(SocketError) -> Socket {
    guard let address = SocketAddress(host: host, port: port) else {
      throw SocketError("no address is called \(host)")
    }
    let socket = try make(address, "listening on \(host):\(port)")
    var yes: Int32 = 1
    setsockopt(socket.descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(4))
    if address.family == AF_INET6 {
      setsockopt(socket.descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &yes, socklen_t(4))
    }
    guard address.with({ bind(socket.descriptor, $0, $1) }) == 0,
      Glibc.listen(socket.descriptor, backlog) == 0
    else { throw SocketError("listening on \(host):\(port)") }
    return socket
  }

  /// Starts to connect; the socket is writable when that has ended, well or not.
  public static func connect(_ host: String, _ port: UInt16) -> Socket? {
    guard let address = SocketAddress(host: host, port: port),
      let socket = try? make(address, "connecting")
    else { return nil }
    socket.sendAtOnce()
    let status = address.with { Glibc.connect(socket.descriptor, $0, $1) }
    return status == 0 || errno == EINPROGRESS ? socket : nil
  }

  private static func make(
    _ address: SocketAddress, _ what: String
  ) throws(SocketError) -> Socket {
    let descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw SocketError(what) }
    _ = coterie_prepare_descriptor(descriptor)
    return Socket(descriptor)
  }

  /// What one attempt to accept yielded.
  public enum Accepted {
    case connection(Socket, address: String)
    case none
    /// The process has no descriptor left.
    case exhausted
  }

  public func accept() -> Accepted {
    var address = SocketAddress()
    let descriptor = withUnsafeMutablePointer(to: &address.storage) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        coterie_accept(self.descriptor, $0, &address.length)
      }
    }
    if descriptor < 0 { return errno == EMFILE || errno == ENFILE ? .exhausted : .none }
    let socket = Socket(descriptor)
    socket.sendAtOnce()
    return .connection(socket, address: address.text)
  }

  /// No delay for small writes: a reply is complete when it is written.
  private func sendAtOnce() {
    var yes: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(4))
  }

  public func keepAlive(seconds: Int32) {
    guard seconds > 0 else { return }
    var yes: Int32 = 1
    var idle = seconds
    var interval = max(1, seconds / 3)
    var probes: Int32 = 3
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &yes, socklen_t(4))
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, &idle, socklen_t(4))
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, &interval, socklen_t(4))
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, &probes, socklen_t(4))
  }

  public var localAddress: String {
    var address = SocketAddress()
    withUnsafeMutablePointer(to: &address.storage) { storage in
      _ = storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getsockname(descriptor, $0, &address.length)
      }
    }
    return address.text
  }

  /// How an attempt to connect ended: 0 for well.
  public var pendingError: Int32 {
    var error: Int32 = 0
    var length = socklen_t(4)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
    return error
  }

  /// What one read yielded.
  public enum Transferred {
    case bytes(Int)
    case wouldBlock
    case ended
  }

  @inline(__always)
  public func read(into buffer: UnsafeMutableRawBufferPointer) -> Transferred {
    while true {
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count > 0 { return .bytes(count) }
      if count == 0 { return .ended }
      if errno == EINTR { continue }
      return errno == EAGAIN ? .wouldBlock : .bytes(-1)
    }
  }

  /// How many of the bytes the socket took; nil when the connection is gone.
  @inline(__always)
  public func write(_ bytes: UnsafeRawBufferPointer) -> Int? {
    while true {
      let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      if count >= 0 { return count }
      if errno == EINTR { continue }
      return errno == EAGAIN ? 0 : nil
    }
  }
}
