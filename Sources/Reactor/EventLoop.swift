import CLibevent
import Glibc
import Primitives

/// libevent's loop: tells when descriptors are ready, times pass and signals come.
///
/// One round is one call of `runOnce`: it waits, then calls the handlers of everything that is ready,
/// and returns. Whoever holds the loop writes what there is to write between two rounds, so a socket
/// gets one write a round however many requests came.
public final class EventLoop {
  let base: OpaquePointer

  public init() {
    // One thread: no locks.
    let configuration = event_config_new()
    event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_NOLOCK.rawValue))
    guard let base = event_base_new_with_config(configuration) else {
      fatalError("libevent makes no event base")
    }
    event_config_free(configuration)
    self.base = base
  }

  deinit { event_base_free(base) }

  /// Waits until something is ready and handles it.
  public func runOnce() { event_base_loop(base, EVLOOP_ONCE) }

  /// Ends the round behind the running handler; what else is ready comes in the next one.
  public func endRound() { event_base_loopbreak(base) }

  /// What a watcher waits for.
  public enum Interest {
    case readable(Int32)
    case writable(Int32)
    case signal(Int32)
    case timer
  }

  /// Watches until the watcher is stopped or freed. A timer watches once, when `schedule` says.
  public func watch(_ interest: Interest, _ handler: @escaping () -> Void) -> Watcher {
    let watcher = Watcher(self, handler)
    let context = Unmanaged.passUnretained(watcher).toOpaque()
    let (descriptor, kind) =
      switch interest {
      case .readable(let descriptor): (descriptor, Int16(EV_READ) | Int16(EV_PERSIST))
      case .writable(let descriptor): (descriptor, Int16(EV_WRITE) | Int16(EV_PERSIST))
      case .signal(let number): (number, Int16(EV_SIGNAL) | Int16(EV_PERSIST))
      case .timer: (Int32(-1), Int16(0))
      }
    watcher.event = event_new(
      base, descriptor, kind,
      { _, _, context in
        guard let context else { return }
        Unmanaged<Watcher>.fromOpaque(context)._withUnsafeGuaranteedRef { $0.handler() }
      }, context)
    if case .timer = interest { return watcher }
    watcher.start()
    return watcher
  }
}

/// One thing that is watched.
public final class Watcher {
  fileprivate let handler: () -> Void
  fileprivate var event: OpaquePointer?
  private var isStarted = false
  /// An event must not outlive its base.
  private let loop: EventLoop

  fileprivate init(_ loop: EventLoop, _ handler: @escaping () -> Void) {
    self.loop = loop
    self.handler = handler
  }

  deinit { if let event { event_free(event) } }

  public func start() {
    guard !isStarted else { return }
    event_add(event, nil)
    isStarted = true
  }

  public func stop() {
    guard isStarted else { return }
    event_del(event)
    isStarted = false
  }

  /// Fires once after so many microseconds, instead of when it was to fire before.
  public func schedule(microseconds: UInt64) {
    var time = timeval(
      tv_sec: Int(min(microseconds / 1_000_000, 1 << 30)), tv_usec: Int(microseconds % 1_000_000))
    event_add(event, &time)
  }
}

/// Reads the clock that durations are measured by.
@inline(__always)
public func readMonotonicMicroseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
}

/// Reads both clocks.
public func readClocks() -> Instant {
  var wall = timespec()
  var monotonic = timespec()
  clock_gettime(CLOCK_REALTIME, &wall)
  clock_gettime(CLOCK_MONOTONIC, &monotonic)
  return Instant(
    wallMicroseconds: UInt64(wall.tv_sec) * 1_000_000 + UInt64(wall.tv_nsec) / 1000,
    monotonicMicroseconds: UInt64(monotonic.tv_sec) * 1_000_000 + UInt64(monotonic.tv_nsec) / 1000)
}
