/// What can be fuzzed; the raw value is the program's name, and its folder in the corpus.
enum Target: String, CaseIterable {
  case requests
  case frames
  case gossip
  case siblings
  case histories
  case access
  case conf
  case globs
  case commands

  /// The target that the last component of `path` names.
  static func named(_ path: String) -> Target? {
    path.split(separator: "/").last.flatMap { Target(rawValue: String($0)) }
  }

  /// Ends the process when `bytes` break one of the target's properties.
  func check(_ bytes: [UInt8]) {
    switch self {
    case .requests: checkRequests(bytes)
    case .frames: checkFrames(bytes)
    case .gossip: checkGossip(bytes)
    case .siblings: checkSiblings(bytes)
    case .histories: checkHistory(bytes)
    case .access: checkAccess(bytes)
    case .conf: checkConf(bytes)
    case .globs: checkGlob(bytes)
    case .commands: checkCommands(bytes)
    }
  }

  /// Inputs to begin with, one for each thing that is hard to guess.
  var seeds: [[UInt8]] {
    switch self {
    case .requests: requestSeeds
    case .frames: frameSeeds
    case .gossip: gossipSeeds
    case .siblings: siblingSeeds
    case .histories: historySeeds
    case .access: accessSeeds
    case .conf: confSeeds
    case .globs: globSeeds
    case .commands: commandSeeds
    }
  }
}
