import Commands
import Objects
import Placement
import Primitives
import RESP

// Commands without a key of their own, and the containers (CLIENT, CONFIG, CLUSTER, …).

extension NodeCore {
  /// Runs a command that has no key, or several.
  @inline(never)
  mutating func executeOther(_ index: Int, _ handler: Handler) -> Bool {
    switch handler {
    case .client, .command, .config, .cluster, .memory, .object, .acl, .slowlog, .latency:
      return executeContainer(index, handler)
    case .mget, .mset, .msetnx, .keys, .scan, .randomkey, .dbsize, .flushdb, .flushall, .wait:
      guard clusterState == .ok else { return refuseWhileForming(index) }
      return executeOnData(index, handler)
    default:
      return executeOnConnection(index, handler)
    }
  }

  private mutating func executeOnData(_ index: Int, _ handler: Handler) -> Bool {
    let database = sessions[index].pointee.database
    switch handler {
    case .mget: return executeOverKeys(index, .mget, .array, step: 1)
    case .mset: return executeOverKeys(index, .mset, .allOK, step: 2)
    case .msetnx: return executeOverKeys(index, .msetnx, .noneExists, step: 2)
    case .scan: return executeScan(index)
    case .keys: return executeOverCluster(index, .keys, .keys, Array(arguments.pointee[1]))
    case .randomkey: return executeOverCluster(index, .randomKey, .randomKey, [])
    case .dbsize:
      if isAlone {
        let count = table.liveCount(database: database)
        return replyNow(index) { $0.pointee.appendInteger(count) }
      }
      return executeOverCluster(index, .count, .count, [])
    case .wait: return executeWait(index)
    default:
      if arguments.pointee.count > 2
        || (arguments.pointee.count == 2
          && !arguments.pointee[1].isWord("async") && !arguments.pointee[1].isWord("sync"))
      {
        return syntaxError(index)
      }
      return executeFlush(index, all: handler == .flushall)
    }
  }

  mutating func syntaxError(_ index: Int) -> Bool { fail(index, "ERR syntax error") }

  mutating func fail(_ index: Int, _ text: String) -> Bool {
    return replyNow(index) { $0.pointee.appendError(text) }
  }

  mutating func replyOK(_ index: Int) -> Bool { replyNow(index) { $0.pointee.appendOK() } }

  mutating func reply(_ index: Int, bulk text: String) -> Bool {
    replyNow(index) { $0.pointee.appendBulk(text) }
  }

  mutating func reply(_ index: Int, integer value: Int) -> Bool {
    replyNow(index) { $0.pointee.appendInteger(value) }
  }

  /// WAIT: copies beside the first are not replicas of it; the quorum has been waited for already.
  private mutating func executeWait(_ index: Int) -> Bool {
    guard parseInteger(arguments.pointee[1]) != nil else {
      return fail(index, "ERR value is not an integer or out of range")
    }
    guard let timeout = parseInteger(arguments.pointee[2]) else {
      return fail(index, "ERR timeout is not an integer or out of range")
    }
    guard timeout >= 0 else { return fail(index, "ERR timeout is negative") }
    return reply(index, integer: isAlone ? 0 : max(0, policies[0].write - 1))
  }

  // MARK: Connection

  private mutating func executeOnConnection(_ index: Int, _ handler: Handler) -> Bool {
    let session = sessions[index]
    switch handler {
    case .ping:
      if arguments.pointee.count > 2 { return wrongArity(index, session.pointee.lastCommand) }
      let words = arguments
      return replyNow(index) { reply in
        if words.pointee.count == 2 {
          reply.pointee.appendBulk(words.pointee[1])
        } else {
          reply.pointee.append("+PONG\r\n")
        }
      }
    case .echo:
      let words = arguments
      return replyNow(index) { $0.pointee.appendBulk(words.pointee[1]) }
    case .select: return executeSelect(index)
    case .hello: return executeHello(index)
    case .auth: return executeAuth(index)
    case .quit:
      _ = replyOK(index)
      closeAfterReplies(index)
      return true
    case .reset:
      if session.pointee.inFlight > 0 { return stall(index) }
      session.pointee.resp = 2
      session.pointee.database = 0
      session.pointee.name = ""
      session.pointee.flags.remove([.silent, .skipNext, .skipThis, .noEvict, .noTouch])
      beginAsDefaultUser(index)
      stopMonitoring(index)
      return replyNow(index) { $0.pointee.append("+RESET\r\n") }
    case .time: return executeTime(index)
    case .role:
      return replyNow(index) { reply in
        reply.pointee.appendArrayHeader(3)
        reply.pointee.appendBulk("master")
        reply.pointee.appendInteger(0)
        reply.pointee.appendArrayHeader(0)
      }
    case .readonly, .readwrite:
      guard parameters.isYes("cluster-enabled") else {
        return fail(index, "ERR This instance has cluster support disabled")
      }
      return replyOK(index)
    case .info: return executeInfo(index)
    case .monitor: return executeMonitor(index)
    case .debug: return executeDebug(index)
    case .shutdown:
      actions.append(.shutdown)
      return replyOK(index)
    default:
      invariant(false, "\(handler) has no code")
      return true
    }
  }

  private mutating func executeTime(_ index: Int) -> Bool {
    let micros = now.wallMicroseconds
    return replyNow(index) { reply in
      reply.pointee.appendArrayHeader(2)
      reply.pointee.appendBulk(String(micros / 1_000_000))
      reply.pointee.appendBulk(String(micros % 1_000_000))
    }
  }

  private mutating func executeSelect(_ index: Int) -> Bool {
    guard let database = parseInteger(arguments.pointee[1]) else {
      return fail(index, "ERR value is not an integer or out of range")
    }
    guard Int32(exactly: database) != nil else {
      return fail(
        index, "ERR value is out of range, value must between -2147483648 and 2147483647")
    }
    if parameters.isYes("cluster-enabled"), database != 0 {
      return fail(index, "ERR SELECT is not allowed in cluster mode")
    }
    guard database >= 0, database < table.databases else {
      return fail(index, "ERR DB index is out of range")
    }
    sessions[index].pointee.database = database
    return replyOK(index)
  }

  /// The Redis release whose replies these are: clients switch features by it.
  static let redisVersion = "7.0.15"

  func isClientName(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.allSatisfy { $0 >= 33 && $0 <= 126 }
  }

  // MARK: Containers

  /// A command with subcommands: looks the subcommand up, checks its arity, runs it.
  mutating func executeContainer(_ index: Int, _ handler: Handler) -> Bool {
    let number = commandIndex.find(arguments.pointee[0])
    let spec = commandTable.commands[number]
    if arguments.pointee.count == 1 {
      let words = commandTable
      let resp = sessions[index].pointee.resp
      return replyNow(index) { words.appendAll(to: &$0.pointee, resp: resp) }
    }
    guard let place = access.catalog.subcommandPlace(of: number, arguments.pointee[1]) else {
      meter.pointee.isRunning = false
      return unknownSubcommand(index, spec)
    }
    let subcommand = spec.subcommands[place]
    let name = String(subcommand.name.dropFirst(spec.name.count + 1))
    sessions[index].pointee.lastSubcommand = name
    commandIs(commandIndex.subcommand(place, of: number))
    guard subcommand.accepts(wordCount: arguments.pointee.count) else {
      commandIndex.entries[meter.pointee.number].rejected += 1
      meter.pointee.isRunning = false
      return fail(index, "ERR wrong number of arguments for '\(subcommand.name)' command")
    }
    if handler == .acl { return executeACL(index, name) }
    if name == "help" { return executeHelp(index, spec) }
    switch handler {
    case .client: return executeClient(index, name)
    case .command: return executeCommand(index, name)
    case .config: return executeConfig(index, name)
    case .cluster: return executeCluster(index, name)
    case .memory: return replyMemoryStatistics(index)
    case .slowlog: return executeSlowLog(index, name)
    case .latency: return executeLatency(index, name)
    default: return fail(index, "ERR wrong number of arguments for '\(subcommand.name)' command")
    }
  }

  mutating func unknownSubcommand(_ index: Int, _ spec: CommandSpec) -> Bool {
    fail(
      index,
      "ERR unknown subcommand '\(cString(arguments.pointee[1], limit: 128))'. "
        + "Try \(spec.name.uppercased()) HELP.")
  }

  private mutating func executeHelp(_ index: Int, _ spec: CommandSpec) -> Bool {
    var lines = [
      "\(spec.name.uppercased()) <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ]
    for subcommand in spec.subcommands.sorted(by: { $0.name < $1.name })
    where !subcommand.name.hasSuffix("|help") {
      lines.append(subcommand.name.split(separator: "|")[1].uppercased())
      lines.append("    " + subcommand.summary)
    }
    lines += ["HELP", "    Print this help."]
    return replyNow(index, lines: lines)
  }

  private mutating func executeCommand(_ index: Int, _ name: String) -> Bool {
    let table = commandTable
    let resp = sessions[index].pointee.resp
    let words = (2..<max(2, arguments.pointee.count)).map { Array(arguments.pointee[$0]) }
    let names = words.map { String(decoding: $0, as: UTF8.self) }
    switch name {
    case "count": return replyNow(index) { table.appendCount(to: &$0.pointee) }
    case "info":
      return replyNow(index) { table.appendInfo(names: names, to: &$0.pointee, resp: resp) }
    case "docs":
      return replyNow(index) { table.appendDocs(names: names, to: &$0.pointee, resp: resp) }
    case "list":
      var filter: ListFilter?
      if !words.isEmpty {
        guard words.count == 3, names[0].lowercased() == "filterby",
          let given = ListFilter(kind: words[1], value: words[2])
        else { return syntaxError(index) }
        filter = given
      }
      return replyNow(index) { table.appendList(filter: filter, to: &$0.pointee, resp: resp) }
    case "getkeys":
      return replyNow(index) {
        table.appendKeys(of: words, withFlags: false, to: &$0.pointee, resp: resp)
      }
    default:
      return replyNow(index) {
        table.appendKeys(of: words, withFlags: true, to: &$0.pointee, resp: resp)
      }
    }
  }
}
