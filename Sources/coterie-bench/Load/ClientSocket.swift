import Glibc

/// A client's socket that is looked after by hand: thousands of them, or ones that misbehave.
enum ClientSocket {
  /// Option of `<netinet/in.h>`: the port is chosen by `connect`, which knows the other end.
  private static let bindAddressNoPort: Int32 = 24
  /// Source addresses that connections are spread over: one has some 28,000 ports, and a closed
  /// connection keeps its own for a minute.
  private static let sources = 32

  /// Connects and waits for it. `index` chooses the source address among 127.0.0.1 and following.
  static func connect(
    port: Int, index: Int = 0, receiveBuffer: Int32? = nil, waits: Bool = true
  ) throws(BenchError) -> Int32 {
    var kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue
    if !waits { kind |= SOCK_NONBLOCK.rawValue }
    let descriptor = socket(AF_INET, Int32(kind), 0)
    guard descriptor >= 0 else { throw .system("cannot make a socket") }
    if let receiveBuffer { set(descriptor, SOL_SOCKET, SO_RCVBUF, receiveBuffer) }
    set(descriptor, Int32(IPPROTO_IP), bindAddressNoPort, 1)
    set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    let source = sockaddr_in(loopbackPort: 0, host: 1 + index % sources)
    let isBound = source.withSockaddr { bind(descriptor, $0, $1) == 0 }
    let isConnected =
      isBound
      && (sockaddr_in(loopbackPort: port).withSockaddr { Glibc.connect(descriptor, $0, $1) } == 0
        || (!waits && errno == EINPROGRESS))
    guard isConnected else {
      let reason = errno
      close(descriptor)
      throw .system("cannot connect to 127.0.0.1:\(port)", code: reason)
    }
    return descriptor
  }

  /// Sends all of it, waiting where it must.
  static func send(_ bytes: [UInt8], to descriptor: Int32) throws(BenchError) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw .system("cannot send to the server") }
      sent += count
    }
  }

  /// Sends what the socket takes at once; false when the connection has ended.
  static func offer(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress!, $0.count, flags) }
    return count >= 0 || errno == EAGAIN
  }

  /// Waits for one byte or more and takes them; 0 at the end, negative on an error.
  static func take(_ buffer: inout [UInt8], from descriptor: Int32, waits: Bool) -> Int {
    while true {
      let count = buffer.withUnsafeMutableBytes {
        recv(descriptor, $0.baseAddress!, $0.count, waits ? 0 : Int32(MSG_DONTWAIT))
      }
      if count < 0 && errno == EINTR { continue }
      return count
    }
  }

  /// Ends the connection with a reset instead of an orderly close.
  static func reset(_ descriptor: Int32) {
    var lingering = linger(l_onoff: 1, l_linger: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_LINGER, &lingering, socklen_t(MemoryLayout<linger>.size))
    close(descriptor)
  }

  private static func set(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
    var value = value
    setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}

extension sockaddr_in {
  /// `127.0.0.host:port`.
  init(loopbackPort port: Int, host: Int) {
    self.init(loopbackPort: port)
    sin_addr.s_addr = in_addr_t(0x7F00_0000 + UInt32(host)).bigEndian
  }
}
