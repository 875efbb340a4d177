import RESP

/// The words of a call among those of a request: all of them, or for ACL DRYRUN those behind the
/// user's name.
package struct CallWords {
  private let list: UnsafeMutablePointer<ArgumentList>
  private let offset: Int

  package init(_ list: UnsafeMutablePointer<ArgumentList>, from offset: Int = 0) {
    self.list = list
    self.offset = offset
  }

  package var count: Int { list.pointee.count - offset }
  package subscript(index: Int) -> UnsafeRawBufferPointer { list.pointee[offset + index] }
}
