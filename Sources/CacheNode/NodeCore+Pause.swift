import Primitives
import RESP

// CLIENT PAUSE: this node's clients wait, all or those that write; the request that a client waits with
// is its next one, and nothing of it has run. As in Redis 7.0 a pause of ALL holds CLIENT UNPAUSE, too.
//
// A paused client costs nothing until the pause ends: its session is stalled and in no list but that of
// the paused ones. What other nodes forward here, replication, hints and comparisons go on, and so do
// expiry and eviction: Redis stops these two so that a replica can catch up with a master that stands
// still; here they are local, no other node sees them as writes, and while others write here the memory
// limit must hold.

/// What is paused and until when.
struct ClientPause {
  /// Monotonic microseconds.
  var until: UInt64 = 0
  var writesOnly = true
  /// The sessions that wait, each once.
  var sessions: [SessionID] = []
}

extension NodeCore {
  mutating func pauseClients(_ index: Int) -> Bool {
    guard arguments.pointee.count <= 4 else { return wrongSubcommandArity(index, "CLIENT") }
    var writesOnly = false
    if arguments.pointee.count == 4 {
      writesOnly = arguments.pointee[3].isWord("write")
      guard writesOnly || arguments.pointee[3].isWord("all") else {
        return fail(index, "ERR CLIENT PAUSE mode must be WRITE or ALL")
      }
    }
    guard let timeout = parseInteger(arguments.pointee[2]), timeout <= Int.max / 2000 else {
      return fail(index, "ERR timeout is not an integer or out of range")
    }
    guard timeout >= 0 else { return fail(index, "ERR timeout is negative") }
    // A pause that holds is made no shorter and no weaker.
    let isOn = meter.pointee.isPaused
    pause.until = max(isOn ? pause.until : 0, monotonic + UInt64(timeout) * 1000)
    pause.writesOnly = writesOnly && (!isOn || pause.writesOnly)
    meter.pointee.isPaused = true
    return replyOK(index)
  }

  mutating func endPause() {
    meter.pointee.isPaused = false
    pause.until = 0
    var waiting: [SessionID] = []
    swap(&waiting, &pause.sessions)
    for id in waiting {
      guard let session = session(id) else { continue }
      session.pointee.flags.remove(.held)
      resumeLater(id.index)
    }
  }

  /// A session that waits is gone.
  mutating func forgetHeld(_ index: Int) {
    guard sessions[index].pointee.flags.contains(.held) else { return }
    sessions[index].pointee.flags.remove(.held)
    pause.sessions.removeAll { $0.index == index }
  }

  /// Ends the pause when its time has come.
  mutating func stepPause() {
    if _slowPath(meter.pointee.isPaused), monotonic >= pause.until { endPause() }
  }

  /// Whether the pause holds a command; then its session waits.
  @inline(never)
  mutating func holds(_ index: Int, _ entry: UnsafeMutablePointer<CommandEntry>) -> Bool {
    guard monotonic < pause.until, entry.pointee.isWrite || !pause.writesOnly else { return false }
    let session = sessions[index]
    if !session.pointee.flags.contains(.held) {
      session.pointee.flags.insert(.held)
      pause.sessions.append(SessionID(index: index, generation: session.pointee.generation))
    }
    return true
  }
}
