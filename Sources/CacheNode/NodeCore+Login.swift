import Access
import Primitives
import RESP

// AUTH and HELLO: how a connection gets its user.

extension NodeCore {
  mutating func executeAuth(_ index: Int) -> Bool {
    let count = arguments.pointee.count
    if count > 3 { return syntaxError(index) }
    if count == 2, access.isOpen {
      return fail(
        index,
        "ERR AUTH <password> called without any password configured for the default user. "
          + "Are you sure your configuration is correct?")
    }
    let name = count == 2 ? AccessControl.defaultName : Array(arguments.pointee[1])
    if let error = logIn(index, name, arguments.pointee[count - 1]) { return fail(index, error) }
    return replyOK(index)
  }

  /// Makes the session one of a user; returns the error when it may not be.
  private mutating func logIn(
    _ index: Int, _ name: [UInt8], _ password: UnsafeRawBufferPointer
  ) -> String? {
    let address = sessions[index].pointee.address
    if let seconds = attempts.wait(address, at: monotonic) {
      return "WRONGPASS too many failed attempts from this address. Try again in \(seconds) s."
    }
    guard let place = access.authenticate(name, password) else {
      attempts.fail(address, at: monotonic)
      logRefusal(index, .auth, Array(arguments.pointee[0]), username: name)
      return "WRONGPASS invalid username-password pair or user is disabled."
    }
    sessions[index].pointee.user = place
    sessions[index].pointee.flags.insert(.authenticated)
    refreshAccess(index)
    return nil
  }

  mutating func executeHello(_ index: Int) -> Bool {
    let session = sessions[index]
    var resp = session.pointee.resp
    var at = 1
    if arguments.pointee.count > 1 {
      guard let version = parseInteger(arguments.pointee[1]) else {
        return fail(index, "ERR Protocol version is not an integer or out of range")
      }
      guard version == 2 || version == 3 else {
        return fail(index, "NOPROTO unsupported protocol version")
      }
      resp = UInt8(version)
      at = 2
    }
    while at < arguments.pointee.count {
      let left = arguments.pointee.count - at - 1
      if arguments.pointee[at].isWord("auth"), left >= 2 {
        let name = Array(arguments.pointee[at + 1])
        if let error = logIn(index, name, arguments.pointee[at + 2]) { return fail(index, error) }
        at += 3
      } else if arguments.pointee[at].isWord("setname"), left >= 1 {
        guard isClientName(arguments.pointee[at + 1]) else {
          return fail(
            index, "ERR Client names cannot contain spaces, newlines or special characters.")
        }
        // Kept even when a later option is wrong, as in Redis.
        session.pointee.name = arguments.pointee[at + 1].text
        at += 2
      } else {
        return fail(
          index, "ERR Syntax error in HELLO option '\(cString(arguments.pointee[at], limit: 128))'")
      }
    }
    guard session.pointee.flags.contains(.authenticated) else {
      return fail(
        index,
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
          + "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
          + "protocol version at the same time")
    }
    // Commands behind this one reply in the new version; those before have their own.
    session.pointee.resp = resp
    let id = session.pointee.id
    let mode = parameters.isYes("cluster-enabled") ? "cluster" : "standalone"
    return replyNow(index) { reply in
      reply.pointee.appendMapHeader(7, resp: resp)
      for (key, value) in [("server", "redis"), ("version", NodeCore.redisVersion)] {
        reply.pointee.appendBulk(key)
        reply.pointee.appendBulk(value)
      }
      reply.pointee.appendBulk("proto")
      reply.pointee.appendInteger(Int(resp))
      reply.pointee.appendBulk("id")
      reply.pointee.appendInteger(id)
      reply.pointee.appendBulk("mode")
      reply.pointee.appendBulk(mode)
      reply.pointee.appendBulk("role")
      reply.pointee.appendBulk("master")
      reply.pointee.appendBulk("modules")
      reply.pointee.appendArrayHeader(0)
    }
  }
}
