extension RESPConnection {
  /// A command as it is sent.
  static func request(_ words: [String]) -> [UInt8] {
    var request: [UInt8] = []
    append(words.map { Array($0.utf8) }, to: &request)
    return request
  }
}
