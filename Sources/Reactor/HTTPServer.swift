import CLibevent
import Glibc
import Primitives

// # HTTP for machines
//
// A few fixed paths for a scraper and a load balancer, by libevent's evhttp on the loop of everything
// else. Nobody has to be trusted here:
//
//     a request                GET or HEAD with a head of at most `headBytes` and no body
//     a connection             one request, then it is closed; 5 s of silence end it, 10 s in any case
//     more than `connections`  the oldest one makes room: whoever asks at once gets an answer even
//                              while others hold all places
//     a round of the loop      accepts `acceptsPerRound`; the others wait in the kernel
//
// evhttp knows no number of connections and nothing that ends one but silence. So each connection's
// bufferevent is made here and kept by a second reference: it has lost its callbacks when evhttp is done
// with it, and as long as it has them, an event that says "timed out" makes evhttp close it.

/// Answers on one address. Closed when freed.
public final class HTTPServer {
  /// What a path answers.
  public struct Answer {
    public var status = 200
    public var type: StaticString = "text/plain; charset=utf-8"
    public init() {}
  }

  /// Writes what is at a path; nil: there is nothing.
  public typealias Handler = (_ path: String, _ body: inout ByteBuffer) -> Answer?

  /// The longest head of a request; Prometheus's has 300 bytes.
  private static let headBytes = 8 << 10
  /// Connections at once.
  private static let connections = 32
  private static let acceptsPerRound = 4
  private static let silenceSeconds: Int32 = 5
  private static let lifetime: UInt64 = 10_000_000
  private static let keptBodyBytes = 256 << 10

  private struct Connection {
    let stream: OpaquePointer
    let openedAt: UInt64
  }

  private let loop: EventLoop
  private let socket: Socket
  private let server: OpaquePointer
  private let listener: OpaquePointer
  private let handler: Handler
  private var body = ByteBuffer()
  /// The oldest first.
  private var open: [Connection] = []
  private var accepted = 0

  /// Connections that had to go for newer ones, or were too slow.
  public private(set) var dropped = 0

  public init(
    _ loop: EventLoop, host: String, port: UInt16, handler: @escaping Handler
  ) throws(SocketError) {
    self.loop = loop
    self.handler = handler
    socket = try Socket.listen(host, port, backlog: 64)
    guard let server = evhttp_new(loop.base),
      let listener = evconnlistener_new(
        loop.base, nil, nil, LEV_OPT_CLOSE_ON_EXEC, 0, socket.descriptor)
    else { fatalError("libevent makes no HTTP server") }
    self.server = server
    self.listener = listener
    evhttp_set_max_headers_size(server, HTTPServer.headBytes)
    evhttp_set_max_body_size(server, 0)
    evhttp_set_timeout(server, HTTPServer.silenceSeconds)
    evhttp_set_allowed_methods(
      server, UInt16(EVHTTP_REQ_GET.rawValue | EVHTTP_REQ_HEAD.rawValue))
    installCallbacks()
    evhttp_bind_listener(server, listener)
  }

  deinit {
    for connection in open { bufferevent_decref(connection.stream) }
    // The listener is freed with it; the socket closes itself.
    evhttp_free(server)
  }

  private func installCallbacks() {
    let context = Unmanaged.passUnretained(self).toOpaque()
    evhttp_set_gencb(
      server,
      { request, context in
        guard let request, let context else { return }
        HTTPServer.at(context).answer(request)
      }, context)
    evhttp_set_bevcb(
      server,
      { _, context in context.flatMap { HTTPServer.at($0).newConnection() } }, context)
    // Workaround: evhttp makes itself the listener's context when it is bound, and passes that here.
    // So this handler can stop the listener only; `closeOverdue` starts it again.
    evconnlistener_set_error_cb(listener) { listener, _ in evconnlistener_disable(listener) }
  }

  private static func at(_ context: UnsafeMutableRawPointer) -> HTTPServer {
    Unmanaged<HTTPServer>.fromOpaque(context).takeUnretainedValue()
  }

  // MARK: Connections

  /// A connection was accepted: the stream for it.
  private func newConnection() -> OpaquePointer? {
    removeClosed()
    while open.count >= HTTPServer.connections { drop(open[0]) }
    accepted += 1
    if accepted >= HTTPServer.acceptsPerRound { evconnlistener_disable(listener) }
    // The descriptor is closed with the last reference, ours. evhttp would close it while the stream's
    // events are still there, and libevent would take the next socket of that number for known.
    guard let stream = bufferevent_socket_new(loop.base, -1, Int32(BEV_OPT_CLOSE_ON_FREE.rawValue))
    else { return nil }
    bufferevent_incref(stream)
    open.append(
      Connection(stream: stream, openedAt: readClocks().monotonicMicroseconds))
    return stream
  }

  /// Makes evhttp close a connection.
  private func drop(_ connection: Connection) {
    dropped += 1
    bufferevent_trigger_event(connection.stream, Int16(BEV_EVENT_READING | BEV_EVENT_TIMEOUT), 0)
    let count = open.count
    removeClosed()
    invariant(open.count < count, "evhttp keeps a connection that timed out")
  }

  private func removeClosed() {
    open.removeAll { connection in
      guard HTTPServer.isClosed(connection) else { return false }
      bufferevent_decref(connection.stream)
      return true
    }
  }

  /// evhttp sets an error callback for as long as a connection lives.
  private static func isClosed(_ connection: Connection) -> Bool {
    var onEvent: bufferevent_event_cb?
    bufferevent_getcb(connection.stream, nil, nil, &onEvent, nil)
    return onEvent == nil
  }

  /// After each round: what evhttp is done with is closed, and the next round accepts again.
  @inline(__always)
  public func finishRound() {
    if _slowPath(!open.isEmpty) { removeClosed() }
    guard accepted > 0 else { return }
    accepted = 0
    evconnlistener_enable(listener)
  }

  /// From time to time: closes what is open for too long.
  public func closeOverdue(now: UInt64) {
    removeClosed()
    while let oldest = open.first, now >= oldest.openedAt + HTTPServer.lifetime { drop(oldest) }
    evconnlistener_enable(listener)
  }

  // MARK: Requests

  private func answer(_ request: OpaquePointer) {
    body.removeAll()
    let answer = path(request).flatMap { handler($0, &body) }
    if answer == nil {
      body.removeAll()
      body.append("not found\n")
    }
    let status = Int32(answer?.status ?? 404)
    let head = evhttp_request_get_output_headers(request)
    let type = answer?.type ?? "text/plain; charset=utf-8"
    evhttp_add_header(head, "Content-Type", "\(type)")
    evhttp_add_header(head, "Connection", "close")
    if evhttp_request_get_command(request) == EVHTTP_REQ_HEAD {
      evhttp_add_header(head, "Content-Length", "\(body.count)")
    } else if let output = evhttp_request_get_output_buffer(request) {
      let bytes = body.readable
      evbuffer_add(output, bytes.baseAddress, bytes.count)
    }
    evhttp_send_reply(request, status, nil, nil)
    body.removeAll()
    body.shrink(keeping: HTTPServer.keptBodyBytes)
  }

  private func path(_ request: OpaquePointer) -> String? {
    guard let uri = evhttp_request_get_evhttp_uri(request), let path = evhttp_uri_get_path(uri)
    else { return nil }
    return String(cString: path)
  }
}
