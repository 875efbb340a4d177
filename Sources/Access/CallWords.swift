import RESP

/// The words of a call among those of a request: all of them, or for ACL DRYRUN those behind the
/// user's name.
public struct CallWords {
  private let list: UnsafeMutablePointer<ArgumentList>
  private let offset: Int

  public init(_ list: UnsafeMutablePointer<ArgumentList>, from offset: Int = 0) {
    self.list = list
    self.offset = offset
  }

  public var count: Int { list.pointee.count - offset }
  public subscript(index: Int) -> UnsafeRawBufferPointer { list.pointee[offset + index] }
}
