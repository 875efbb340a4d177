import Foundation
import Glibc

extension ChildProcess {
  /// `posix_spawn` with nothing on standard input and the rest to files.
  static func spawn(
    _ words: [String], output: String, error: String
  ) throws(BenchError) -> pid_t {
    var files = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&files)
    defer { posix_spawn_file_actions_destroy(&files) }
    let creation = O_WRONLY | O_CREAT | O_TRUNC
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, output, creation, 0o600)
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, error, creation, 0o600)

    var attributes = unblockedSignals()
    defer { posix_spawnattr_destroy(&attributes) }

    let environment = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
    let result: Result<pid_t, BenchError> = withCStrings(words) { arguments in
      withCStrings(environment) { variables in
        var pid = pid_t()
        let code = posix_spawn(&pid, words[0], &files, &attributes, arguments, variables)
        return code == 0 ? Result.success(pid) : .failure(cannotRun(words[0], code))
      }
    }
    return try result.get()
  }

  /// We block the signals that `Interruption` waits for, and a child would inherit that.
  private static func unblockedSignals() -> posix_spawnattr_t {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    return attributes
  }

  private static func cannotRun(_ program: String, _ code: Int32) -> BenchError {
    .system("cannot run \(program)", code: code)
  }

  /// Lends `body` the strings as C wants them: an array of pointers that ends in a null one.
  private static func withCStrings<Value>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Value
  ) -> Value {
    let pointers = strings.map { strdup($0) } + [nil]
    defer {
      for pointer in pointers { free(pointer) }
    }
    return body(pointers)
  }
}
