import Primitives
import RESP

// CLIENT, with the line format of Redis 7.0, which tools parse.

extension NodeCore {
  mutating func executeClient(_ index: Int, _ name: String) -> Bool {
    let session = sessions[index]
    switch name {
    case "id": return reply(index, integer: session.pointee.id)
    case "getname":
      let name = session.pointee.name
      let resp = session.pointee.resp
      return replyNow(index) {
        if name.isEmpty { $0.pointee.appendNull(resp: resp) } else { $0.pointee.appendBulk(name) }
      }
    case "setname": return setClientName(index)
    case "setinfo": return setClientInfo(index)
    case "info":
      let line = clientLine(index) + "\n"
      let resp = session.pointee.resp
      return replyNow(index) { $0.pointee.appendVerbatim(line, resp: resp) }
    case "list": return listClients(index)
    case "kill": return killClients(index)
    case "reply": return setClientReply(index)
    case "no-evict": return setClientFlag(index, .noEvict)
    case "no-touch": return setClientFlag(index, .noTouch)
    case "pause": return pauseClients(index)
    case "unpause":
      endPause()
      return replyOK(index)
    case "unblock": return unblockClient(index)
    case "getredir": return reply(index, integer: -1)
    case "trackinginfo":
      let resp = session.pointee.resp
      return replyNow(index) { reply in
        reply.pointee.appendMapHeader(3, resp: resp)
        reply.pointee.appendBulk("flags")
        reply.pointee.appendSetHeader(1, resp: resp)
        reply.pointee.appendBulk("off")
        reply.pointee.appendBulk("redirect")
        reply.pointee.appendInteger(-1)
        reply.pointee.appendBulk("prefixes")
        reply.pointee.appendArrayHeader(0)
      }
    default: return syntaxError(index)
    }
  }

  private mutating func setClientName(_ index: Int) -> Bool {
    guard isClientName(arguments.pointee[2]) else {
      return fail(index, "ERR Client names cannot contain spaces, newlines or special characters.")
    }
    sessions[index].pointee.name = arguments.pointee[2].text
    return replyOK(index)
  }

  private mutating func setClientInfo(_ index: Int) -> Bool {
    let value = arguments.pointee[3]
    let option = arguments.pointee[2]
    guard option.isWord("lib-name") || option.isWord("lib-ver") else {
      return fail(index, "ERR Unrecognized option '\(cString(option, limit: 128))'")
    }
    let shown = option.text.lowercased()
    guard isClientName(value) else {
      return fail(index, "ERR \(shown) cannot contain spaces, newlines or special characters.")
    }
    if shown == "lib-name" {
      sessions[index].pointee.libraryName = value.text
    } else {
      sessions[index].pointee.libraryVersion = value.text
    }
    return replyOK(index)
  }

  /// No command blocks yet, so nobody is ever unblocked.
  private mutating func unblockClient(_ index: Int) -> Bool {
    let count = arguments.pointee.count
    guard count <= 4 else { return wrongSubcommandArity(index, "CLIENT") }
    if count == 4, !arguments.pointee[3].isWord("timeout"), !arguments.pointee[3].isWord("error") {
      return fail(index, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    }
    guard parseInteger(arguments.pointee[2]) != nil else {
      return fail(index, "ERR value is not an integer or out of range")
    }
    return reply(index, integer: 0)
  }

  private mutating func setClientFlag(_ index: Int, _ flag: SessionFlags) -> Bool {
    if arguments.pointee[2].isWord("on") {
      sessions[index].pointee.flags.insert(flag)
    } else if arguments.pointee[2].isWord("off") {
      sessions[index].pointee.flags.remove(flag)
    } else {
      return syntaxError(index)
    }
    return replyOK(index)
  }

  private mutating func setClientReply(_ index: Int) -> Bool {
    let session = sessions[index]
    if arguments.pointee[2].isWord("on") {
      session.pointee.flags.remove([.silent, .skipNext, .skipThis])
      return replyOK(index)
    }
    if arguments.pointee[2].isWord("off") {
      session.pointee.flags.insert(.silent)
    } else if arguments.pointee[2].isWord("skip") {
      if !session.pointee.flags.contains(.silent) { session.pointee.flags.insert(.skipNext) }
    } else {
      return syntaxError(index)
    }
    session.pointee.flags.remove(.skipThis)
    return true
  }

  // MARK: Listing

  func clientLine(_ index: Int) -> String {
    let session = sessions[index]
    let command = session.pointee.lastCommand
    var commandName = command < 0 ? "NULL" : commandTable.commands[command].name
    if command >= 0, commandTable.commands[command].isContainer,
      !session.pointee.lastSubcommand.isEmpty
    {
      commandName += "|" + session.pointee.lastSubcommand
    }
    let input = session.pointee.input.count
    let output = session.pointee.output.pointee.totalCount
    var flags = ""
    if session.pointee.flags.contains(.monitor) { flags += "O" }
    if session.pointee.flags.contains(.held) { flags += "b" }
    if session.pointee.flags.contains(.noEvict) { flags += "e" }
    if session.pointee.flags.contains(.noTouch) { flags += "T" }
    if session.pointee.flags.contains(.closing) { flags += "c" }
    if flags.isEmpty { flags = "N" }
    return "id=\(session.pointee.id) addr=\(session.pointee.address) "
      + "laddr=\(session.pointee.localAddress) fd=\(session.pointee.descriptor) "
      + "name=\(session.pointee.name) age=\((monotonic - session.pointee.openedAt) / 1_000_000) "
      + "idle=\((monotonic - session.pointee.lastActive) / 1_000_000) flags=\(flags) "
      + "db=\(session.pointee.database) sub=0 psub=0 ssub=0 multi=-1 qbuf=\(input) "
      + "qbuf-free=\(session.pointee.input.capacity - input) argv-mem=0 multi-mem=0 rbs=\(Limits.idleBufferBytes) "
      + "rbp=0 obl=\(output) oll=\(session.pointee.queue.count) omem=\(output) tot-mem=\(session.pointee.memoryBytes) "
      + "events=r cmd=\(commandName) user=\(userName(index)) redir=-1 "
      + "resp=\(session.pointee.resp)"
  }

  private var openSessionIndices: [Int] {
    (0..<sessions.end).filter { sessions[$0].pointee.isOpen }
      .sorted { sessions[$0].pointee.id < sessions[$1].pointee.id }
  }

  private mutating func listClients(_ index: Int) -> Bool {
    var wanted = openSessionIndices
    let count = arguments.pointee.count
    if count > 2 {
      if arguments.pointee[2].isWord("type"), count == 4 {
        let type = arguments.pointee[3].text.lowercased()
        guard ["normal", "master", "replica", "slave", "pubsub"].contains(type) else {
          return fail(
            index, "ERR Unknown client type '\(cString(arguments.pointee[3], limit: 128))'")
        }
        if type != "normal" { wanted = [] }
      } else if arguments.pointee[2].isWord("id"), count > 3 {
        var ids: [Int] = []
        for place in 3..<count {
          guard let id = parseInteger(arguments.pointee[place]) else {
            return fail(index, "ERR Invalid client ID")
          }
          ids.append(id)
        }
        wanted = wanted.filter { ids.contains(sessions[$0].pointee.id) }
      } else {
        return syntaxError(index)
      }
    }
    let text = wanted.map { clientLine($0) + "\n" }.joined()
    let resp = sessions[index].pointee.resp
    return replyNow(index) { $0.pointee.appendVerbatim(text, resp: resp) }
  }

  // MARK: Killing

  private struct KillFilter {
    var id: Int?
    var address: String?
    var localAddress: String?
    /// Its place.
    var user: Int?
    var type: String?
    var skipsMe = true
  }

  private mutating func killClients(_ index: Int) -> Bool {
    if arguments.pointee.count == 3 { return killByAddress(index) }
    var filter = KillFilter()
    if let error = readKillFilter(&filter) { return fail(index, error) }
    var killed = 0
    for other in openSessionIndices where matches(other, filter) {
      if other == index, filter.skipsMe { continue }
      killed += 1
      if other != index { kill(other) }
    }
    let killsMe = !filter.skipsMe && matches(index, filter)
    _ = reply(index, integer: killed)
    if killsMe { closeAfterReplies(index) }
    return true
  }

  private mutating func killByAddress(_ index: Int) -> Bool {
    let address = arguments.pointee[2].text
    guard let other = openSessionIndices.first(where: { sessions[$0].pointee.address == address })
    else { return fail(index, "ERR No such client") }
    _ = replyOK(index)
    if other == index { closeAfterReplies(index) } else { kill(other) }
    return true
  }

  private func matches(_ index: Int, _ filter: KillFilter) -> Bool {
    let session = sessions[index]
    if let id = filter.id, id != session.pointee.id { return false }
    if let address = filter.address, address != session.pointee.address { return false }
    if let local = filter.localAddress, local != session.pointee.localAddress { return false }
    if let user = filter.user, user != session.pointee.user { return false }
    if let type = filter.type, type != "normal" { return false }
    return true
  }

  private func readKillFilter(_ filter: inout KillFilter) -> String? {
    let count = arguments.pointee.count
    guard (count - 2) % 2 == 0 else { return "ERR syntax error" }
    for place in stride(from: 2, to: count, by: 2) {
      let word = arguments.pointee[place]
      let value = arguments.pointee[place + 1]
      if word.isWord("id") {
        guard let id = parseInteger(value), id >= 1 else {
          return "ERR client-id should be greater than 0"
        }
        filter.id = id
      } else if word.isWord("addr") {
        filter.address = value.text
      } else if word.isWord("laddr") {
        filter.localAddress = value.text
      } else if word.isWord("user") {
        guard let user = access.place(of: value) else {
          return "ERR No such user '\(cString(value, limit: 128))'"
        }
        filter.user = user
      } else if word.isWord("type") {
        let type = value.text.lowercased()
        guard ["normal", "master", "replica", "slave", "pubsub"].contains(type) else {
          return "ERR Unknown client type '\(cString(value, limit: 128))'"
        }
        filter.type = type
      } else if word.isWord("skipme"), value.isWord("yes") || value.isWord("no") {
        filter.skipsMe = value.isWord("yes")
      } else {
        return "ERR syntax error"
      }
    }
    return nil
  }
}
