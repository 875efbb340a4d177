import Foundation

/// Where progress and complaints go, so that standard output holds only the tables.
enum StandardError {
  static func print(_ line: String) {
    FileHandle.standardError.write(Data("\(line)\n".utf8))
  }
}
