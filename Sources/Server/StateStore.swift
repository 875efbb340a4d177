import CacheNode
import Configuration
import Glibc

/// The node's files: its state, and the conf file when CONFIG REWRITE asks.
///
/// A file is written beside its place, synced and renamed over the old one, so a crash leaves the
/// old or the new text and never half of one.
final class StateStore {
  private let path: String
  private let directory: String

  init(directory: String, port: UInt16) {
    self.directory = directory
    path = "\(directory)/coterie-\(port).state"
  }

  /// What the last run left; nil at the first. A damaged file stops the start: whoever ignores it
  /// would be another node.
  func load() throws -> SavedState? {
    var information = stat()
    guard stat(directory, &information) == 0, information.st_mode & S_IFMT == S_IFDIR else {
      throw StartError("dir '\(directory)': is no directory; it must exist")
    }
    guard let text = StateStore.read(path) else {
      if errno == ENOENT { return nil }
      throw StartError("\(path): \(String(cString: strerror(errno)))")
    }
    guard let state = SavedState(text: text) else {
      throw StartError(
        "\(path): the state file is damaged; restore it, or remove it to start as a new node")
    }
    return state
  }

  /// Returns what went wrong; nil for nothing.
  func save(_ state: SavedState) -> String? { StateStore.replace(path, with: state.text) }

  /// Writes values into a conf file; returns what went wrong.
  func rewrite(
    _ file: String, _ values: [(name: String, value: String)], _ users: [String],
    isDefault: (String, String) -> Bool
  ) -> String? {
    guard let text = StateStore.read(file) else {
      return "Rewriting config file: \(String(cString: strerror(errno)))"
    }
    let fresh = ConfigurationFile.rewrite(text, with: values, users: users, isDefault: isDefault)
    return StateStore.replace(file, with: fresh).map { "Rewriting config file: \($0)" }
  }

  /// Writes the ACL file; returns what went wrong. A new one is for this user's eyes only.
  static func saveUsers(_ path: String, _ bytes: [UInt8]) -> String? {
    replace(path, with: bytes, mode: 0o600)
  }

  static func read(_ path: String) -> String? {
    readBytes(path).map { String(decoding: $0, as: UTF8.self) }
  }

  static func readBytes(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      guard count >= 0 else { return nil }
      if count == 0 { return bytes }
      bytes += buffer[0..<count]
    }
  }

  private static func replace(_ path: String, with text: String) -> String? {
    replace(path, with: Array(text.utf8), mode: 0o644)
  }

  /// The new file has the mode of the old one: passwords that were hidden stay hidden.
  private static func replace(
    _ path: String, with contents: [UInt8], mode: mode_t
  ) -> String? {
    var old = stat()
    let mode = stat(path, &old) == 0 ? old.st_mode & 0o777 : mode
    let temporary = "\(path).new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard descriptor >= 0 else { return String(cString: strerror(errno)) }
    let isWritten = contents.withUnsafeBytes { bytes in
      var at = 0
      while at < bytes.count {
        let count = write(descriptor, bytes.baseAddress! + at, bytes.count - at)
        guard count > 0 else { return false }
        at += count
      }
      return fsync(descriptor) == 0
    }
    let error = errno
    close(descriptor)
    guard isWritten else { return String(cString: strerror(error)) }
    return rename(temporary, path) == 0 ? nil : String(cString: strerror(errno))
  }
}
