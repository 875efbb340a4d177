import CLinux
import Glibc

/// Which of many connections have something to say: epoll, with indices in place of descriptors.
struct ReadyList: ~Copyable {
  private let descriptor: Int32
  private var events = [epoll_event](repeating: epoll_event(), count: 512)

  init() throws(BenchError) {
    descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard descriptor >= 0 else { throw .system("cannot make an epoll") }
  }

  deinit { close(descriptor) }

  /// From now on `index` is told when `socket` has bytes or an end to offer, and, once, with
  /// `andWriting`, that it is connected.
  func add(_ socket: Int32, index: Int, andWriting: Bool = false) throws(BenchError) {
    var wanted = EPOLLIN.rawValue | EPOLLRDHUP.rawValue
    if andWriting { wanted |= EPOLLOUT.rawValue | EPOLLET.rawValue }
    guard coterie_epoll_add(descriptor, socket, wanted, UInt32(index)) == 0 else {
      throw .system("cannot watch a connection")
    }
  }

  /// Waits for at most so long, and hands over index and events of each that is ready.
  mutating func wait(
    milliseconds: Int, _ body: (Int, UInt32) throws(BenchError) -> Void
  ) throws(BenchError) {
    let count = epoll_wait(descriptor, &events, Int32(events.count), Int32(milliseconds))
    if count < 0 && errno != EINTR { throw .system("cannot wait for connections") }
    for place in 0..<max(0, Int(count)) {
      try body(Int(events[place].data.u32), events[place].events)
    }
  }
}
