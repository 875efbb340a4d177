import Configuration
import Glibc

/// `--local-cluster n`: nodes on this machine as child processes of this one.
///
/// For trying Coterie out: ports count up from `--port`, each node is given the others as seeds, and
/// everything ends with this process. Without `--dir` the nodes' state lives in a temporary folder
/// that goes with them.
struct LocalCluster {
  private let count: Int
  private let port: Int
  /// Where clients with TLS find the first node; 0 for nowhere.
  private let tlsPort: Int
  /// Whether the nodes have a port without TLS.
  private let hasPlainPort: Bool
  /// What seeds call the first node by: see Settings.
  private let seedPort: Int
  private let file: String?
  private let directives: [Directive]
  private let directory: String
  private let ownsDirectory: Bool
  /// The first node's `metrics-port`; 0 for none.
  private let metricsPort: Int

  /// How long stopping children are waited for, in seconds, before they are killed.
  private static let patience = 10

  init(_ request: CommandLineRequest, _ settings: Settings) throws(ConfigurationError) {
    count = request.localCluster
    port = settings.mainPort
    tlsPort = settings.parameters.number("tls-port")
    hasPlainPort = settings.parameters.number("port") != 0
    seedPort = settings.parameters.isYes("tls-cluster") && tlsPort != 0 ? tlsPort : port
    metricsPort = settings.parameters.number("metrics-port")
    file = request.file
    directives = request.directives.filter {
      !["port", "tls-port", "metrics-port", "dir", "cluster-seeds"].contains($0.name)
    }
    guard max(port, tlsPort) + count - 1 <= 55_535 else {
      throw ConfigurationError("port \(port): leaves no room for \(count) nodes below 55536")
    }
    guard !hasPlainPort || tlsPort == 0 || abs(port - tlsPort) >= count else {
      throw ConfigurationError(
        "tls-port \(tlsPort): each of \(count) nodes takes the next one, and port is \(port)")
    }
    let given = settings.parameters["dir"] ?? "."
    ownsDirectory = given == "."
    if ownsDirectory {
      var template = Array("/tmp/coterie-XXXXXX".utf8CString)
      guard mkdtemp(&template) != nil else {
        throw ConfigurationError("no temporary folder can be made in /tmp")
      }
      directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    } else {
      directory = given
    }
  }

  /// Runs until a signal or until the last child has ended. Returns the exit code.
  func run() -> Int32 {
    // The signals are waited for below, so that nothing of this runs in a handler.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM, SIGCHLD] { sigaddset(&signals, number) }
    sigprocmask(SIG_BLOCK, &signals, nil)
    var children: [pid_t: Int] = [:]
    for index in 0..<count {
      guard let child = start(port + index) else {
        say("node on port \(port + index) can't be started: \(String(cString: strerror(errno)))")
        break
      }
      children[child] = port + index
    }
    if children.count == count { say(banner) }
    let code = wait(for: &children, signals)
    if ownsDirectory { removeDirectory() }
    return children.isEmpty ? code : 1
  }

  private var banner: String {
    let ports = (0..<count).map { "\(port + $0)" }.joined(separator: ", ")
    return """
      \(count) nodes on ports \(ports). Any of them takes any command:
          redis-cli -p \(port)\(hasPlainPort ? "" : " --tls") set greeting hello
          redis-cli -p \(port + count - 1)\(hasPlainPort ? "" : " --tls") get greeting
      Ctrl-C ends them all.
      """
  }

  private func say(_ text: String) {
    var text = text + "\n"
    text.withUTF8 { _ = write(STDOUT_FILENO, $0.baseAddress, $0.count) }
  }

  private func start(_ port: Int) -> pid_t? {
    let index = port - self.port
    let seeds = (0..<count).map { "127.0.0.1:\(seedPort + $0)" }.joined(separator: ",")
    var words = ["coterie-server"]
    if let file { words.append(file) }
    for directive in directives { words += ["--\(directive.name)"] + directive.words }
    words += ["--port", hasPlainPort ? "\(port)" : "0"]
    if tlsPort != 0 { words += ["--tls-port", "\(tlsPort + index)"] }
    if metricsPort != 0 { words += ["--metrics-port", "\(metricsPort + index)"] }
    words += ["--dir", directory, "--cluster-seeds", seeds]
    words.append("--ends-with-parent")
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
    arguments.append(nil)
    defer { for word in arguments { free(word) } }
    // Children start with no signal blocked.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
    var child = pid_t()
    let status = posix_spawn(&child, "/proc/self/exe", nil, &attributes, arguments, environ)
    errno = status
    return status == 0 ? child : nil
  }

  private func wait(for children: inout [pid_t: Int], _ signals: sigset_t) -> Int32 {
    var signals = signals
    var code: Int32 = children.count == count ? 0 : 1
    var isStopping = children.count < count
    if isStopping { for child in children.keys { kill(child, SIGTERM) } }
    var secondsLeft = LocalCluster.patience
    while !children.isEmpty {
      var limit = timespec(tv_sec: 1, tv_nsec: 0)
      let number = sigtimedwait(&signals, nil, &limit)
      if number == SIGINT || number == SIGTERM {
        isStopping = true
        for child in children.keys { kill(child, SIGTERM) }
      } else if number < 0, isStopping {
        secondsLeft -= 1
        if secondsLeft == 0 { for child in children.keys { kill(child, SIGKILL) } }
      }
      code = max(code, reap(&children, isStopping))
    }
    return code
  }

  private func reap(_ children: inout [pid_t: Int], _ isStopping: Bool) -> Int32 {
    var code: Int32 = 0
    var status: Int32 = 0
    while true {
      let child = waitpid(-1, &status, WNOHANG)
      guard child > 0 else { return code }
      guard let port = children.removeValue(forKey: child) else { continue }
      let signal = status & 0x7f
      let exit = status >> 8 & 0xff
      if isStopping, signal == 0, exit == 0 { continue }
      code = 1
      say(
        signal != 0
          ? "the node on port \(port) (process \(child)) was ended by signal \(signal)"
          : "the node on port \(port) (process \(child)) ended with exit code \(exit)")
    }
  }

  private func removeDirectory() {
    for index in 0..<count {
      unlink("\(directory)/coterie-\(port + index).state")
      unlink("\(directory)/coterie-\(port + index).state.new")
    }
    rmdir(directory)
  }
}
