import Objects
import Primitives

/// How many of n copies: a number, or a word that follows n.
public enum QuorumSize: Equatable, Sendable, CustomStringConvertible {
  case count(Int)
  case one
  case quorum
  case all

  /// The number for `copies` copies; a number stays what it is, even above `copies`.
  @inline(__always)
  public func resolved(copies: Int) -> Int {
    switch self {
    case .count(let count): count
    case .one: 1
    case .quorum: copies / 2 &+ 1
    case .all: copies
    }
  }

  public init?(_ text: String) {
    switch text.lowercased() {
    case "one": self = .one
    case "quorum": self = .quorum
    case "all": self = .all
    default:
      guard let count = Int(text), (1...Limits.copies).contains(count) else { return nil }
      self = .count(count)
    }
  }

  public var description: String {
    switch self {
    case .count(let count): "\(count)"
    case .one: "one"
    case .quorum: "quorum"
    case .all: "all"
    }
  }
}

/// What happens when two writes race.
public enum ConflictRule: String, Sendable, CaseIterable {
  case lww
  case siblings
}

/// What a write without a context does under siblings.
public enum BlindWrite: String, Sendable, CaseIterable {
  /// Replaces what the coordinator holds.
  case overwrite
  /// Becomes one more sibling.
  case sibling
  case reject
}

/// The policy for the keys under one prefix.
public struct Keyspace: Equatable, Sendable {
  public var copies = 3
  public var write = QuorumSize.quorum
  public var read = QuorumSize.quorum
  public var conflict = ConflictRule.lww
  public var blindWrite = BlindWrite.overwrite
  public var isSloppy = true
  /// Seconds given to a key that is written without a TTL; 0: none.
  public var ttl: UInt64 = 0

  public init() {}

  public static let parameters = ["n", "w", "r", "conflict", "blind-write", "sloppy", "ttl"]

  /// The setting as CONFIG GET shows it.
  public func value(of parameter: String) -> String? {
    switch parameter {
    case "n": "\(copies)"
    case "w": write.description
    case "r": read.description
    case "conflict": conflict.rawValue
    case "blind-write": blindWrite.rawValue
    case "sloppy": isSloppy ? "yes" : "no"
    case "ttl": "\(ttl)"
    default: nil
    }
  }

  /// Takes a setting; returns what is allowed when `text` is not.
  public mutating func set(_ parameter: String, _ text: String) -> String? {
    switch parameter {
    case "n":
      guard let count = Int(text), (1...Limits.copies).contains(count) else {
        return "argument must be between 1 and \(Limits.copies)"
      }
      copies = count
    case "w", "r":
      guard let size = QuorumSize(text) else {
        return "argument must be one, quorum, all or a number between 1 and n"
      }
      if parameter == "w" { write = size } else { read = size }
    case "conflict":
      guard let rule = ConflictRule(rawValue: text.lowercased()) else {
        return "argument must be one of the following: lww, siblings"
      }
      conflict = rule
    case "blind-write":
      guard let rule = BlindWrite(rawValue: text.lowercased()) else {
        return "argument must be one of the following: overwrite, sibling, reject"
      }
      blindWrite = rule
    case "sloppy":
      guard ["yes", "no"].contains(text.lowercased()) else {
        return "argument must be 'yes' or 'no'"
      }
      isSloppy = text.lowercased() == "yes"
    case "ttl":
      guard let seconds = UInt64(text), seconds <= Keyspace.longestTTL else {
        return "argument must be between 0 and \(Keyspace.longestTTL) seconds"
      }
      ttl = seconds
    default:
      return "a keyspace has n, w, r, conflict, blind-write, sloppy and ttl"
    }
    return nil
  }

  private static let longestTTL: UInt64 = 100 * 366 * 86_400

  /// What is wrong with the settings together; nil when nothing is.
  public var contradiction: (parameter: String, text: String)? {
    for (name, size) in [("w", write), ("r", read)] {
      if case .count(let count) = size, count > copies {
        return (name, "\(name) (\(count)) > n (\(copies))")
      }
    }
    return nil
  }
}
