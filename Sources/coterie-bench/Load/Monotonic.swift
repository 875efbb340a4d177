import Glibc

/// The clock that all of `load` reads: nanoseconds that never go back.
enum Monotonic {
  static func now() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }

  static func sleep(until moment: Int) {
    var time = timespec(tv_sec: moment / 1_000_000_000, tv_nsec: moment % 1_000_000_000)
    while clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil) == EINTR {}
  }

  static func sleep(milliseconds: Int) { sleep(until: now() + milliseconds * 1_000_000) }

  static func seconds(since start: Int) -> Double { Double(now() - start) / 1e9 }
}
