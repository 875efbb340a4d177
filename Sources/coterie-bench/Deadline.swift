/// A moment after which waiting stops. Nothing here waits without one.
struct Deadline: Sendable {
  private let moment: ContinuousClock.Instant

  init(in duration: Duration) {
    moment = .now + duration
  }

  var hasPassed: Bool { ContinuousClock.now >= moment }
}
