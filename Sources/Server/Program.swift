import CLinux
import Configuration
import Glibc

/// `coterie-server`: what the command line asks for.
public enum Program {
  public static let version = "0.1.0"

  /// Runs the program; returns its exit code.
  public static func run(_ words: [String]) -> Int32 {
    do {
      return try start(try CommandLineRequest(words))
    } catch {
      complain(error.description)
    }
    return 1
  }

  private static func start(_ request: CommandLineRequest) throws(ConfigurationError) -> Int32 {
    if request.showsHelp {
      print(CommandLineRequest.usage)
      return 0
    }
    if request.showsVersion {
      print("coterie-server \(version)")
      return 0
    }
    var directives: [Directive] = []
    if let file = request.file {
      guard let text = StateStore.read(file) else {
        throw ConfigurationError("conf file '\(file)': \(String(cString: strerror(errno)))")
      }
      directives = try ConfigurationFile.parse(text, name: file)
    }
    let settings = try Settings(directives + request.directives)
    if request.localCluster > 0 { return try LocalCluster(request, settings).run() }
    if request.endsWithParent { _ = coterie_end_with_parent() }
    _ = coterie_refuse_huge_pages()
    try Server(settings: settings, file: request.file).run()
    return 0
  }

  private static func complain(_ text: String) {
    var line = "coterie-server: \(text)\n"
    line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
