import Keyspaces
import Membership
import Objects
import PeerProtocol
import Primitives

/// The time at which members are merged.
private let now: UInt64 = 1_700_000_000_000
private let databases = 16

/// Two bodies of one kind, as two peers may send them: a byte for the kind, then a `Pair`.
func checkGossip(_ bytes: [UInt8]) {
  guard let kind = bytes.first, let pair = Pair(bytes.dropFirst()) else { return }
  if kind & 1 == 0 {
    mergeMembers(checkMembers(Array(pair.first)), checkMembers(Array(pair.second)))
  } else {
    mergeSettings(checkSettings(Array(pair.first)), checkSettings(Array(pair.second)))
  }
}

// MARK: Members

/// A body of member records that is taken is, written again, the same bytes.
@discardableResult
func checkMembers(_ body: [UInt8]) -> [Member] {
  guard let members = withExactCopy(of: body, { MemberTable.decode($0) }) else { return [] }
  let again = written { buffer in
    buffer.append(littleEndian: UInt32(members.count))
    for member in members { member.encode(to: &buffer) }
  }
  property(again == body, "member records that are written again are other bytes")
  for member in members {
    property(Member.id(hex: member.hexID) == member.id, "a node's id is not what it prints")
    property(!member.replaces(member), "a record replaces itself")
  }
  return members
}

/// Records merge in any order, any number of times, to one table; and nobody but the node itself
/// has a say in its own record.
private func mergeMembers(_ first: [Member], _ second: [Member]) {
  let forwards = table(first + second)
  let backwards = table((first + second).reversed())
  let twice = table(first + second + first)
  property(others(forwards) == others(backwards), "member records merge by order")
  property(others(forwards) == others(twice), "a member record counts twice")
  for table in [forwards, backwards, twice] {
    let isOut = table.own.status == .forgotten
    property(
      table.own.id == table.ownID && (isOut || table.own.name == "own"), "the own record is lost")
    let body = written { table.encode(to: &$0) }
    property(checkMembers(body) == table.all, "a table that was merged can't be read")
    checkForgetting(table)
  }
}

private func table(_ records: [Member]) -> MemberTable {
  var table = MemberTable(
    own: Member(
      id: 1, actor: Actor(rawValue: 1), incarnation: now, host: "own", port: 1, peerPort: 2,
      name: "own", zone: "", weight: 1, isFilled: true))
  for record in records {
    let outcome = table.merge(record, now: now)
    guard record.id == table.ownID, outcome != .refused, outcome != .removed else { continue }
    property(!record.replaces(table.own) || record == table.own, "a forged record stands")
  }
  return table
}

private func others(_ table: MemberTable) -> [UInt8] {
  written { buffer in
    for member in table.all where member.id != table.ownID { member.encode(to: &buffer) }
  }
}

/// Whatever a peer said of a member, it can be taken out of the ring, and stays out.
private func checkForgetting(_ table: MemberTable) {
  var table = table
  for member in table.all where member.id != table.ownID {
    property(
      table.remove(member.id, to: .forgotten) == member.status.isMember,
      "who is in can be forgotten")
    property(table.merge(member, now: now) == .known, "gossip brings a forgotten node back")
  }
  property(
    table.members.allSatisfy { $0.id == table.ownID }, "a forgotten node is in the ring")
}

// MARK: Settings

/// The registers and barriers of one body.
struct SettingsBody {
  var registers: [SettingRegister] = []
  var barriers: [Stamp] = []
}

/// A body of settings that is taken is, written again, the same bytes.
@discardableResult
func checkSettings(_ body: [UInt8]) -> SettingsBody {
  guard let decoded = withExactCopy(of: body, { KeyspaceSettings.decode($0) }) else {
    return SettingsBody()
  }
  let again = written { buffer in
    buffer.append(littleEndian: UInt32(decoded.barriers.count))
    for barrier in decoded.barriers { buffer.append(littleEndian: barrier.rawValue) }
    buffer.append(littleEndian: UInt32(decoded.registers.count))
    for register in decoded.registers {
      buffer.append(field: register.name)
      buffer.append(field: register.value)
      buffer.append(littleEndian: register.version.stamp.rawValue)
      buffer.append(littleEndian: register.version.actor.rawValue)
    }
  }
  property(again == body, "settings that are written again are other bytes")
  return SettingsBody(registers: decoded.registers, barriers: decoded.barriers)
}

/// Settings merge in any order to one state, and that state is policies that a node can use.
private func mergeSettings(_ first: SettingsBody, _ second: SettingsBody) {
  let forwards = merged([first, second])
  let backwards = merged([second, first])
  let body = written { forwards.encode(to: &$0) }
  let decoded = checkSettings(body)
  property(
    decoded.registers == forwards.registers && decoded.barriers == forwards.barriers,
    "settings that were merged can't be read")
  property(merged([first, second, first]).digest == forwards.digest, "a setting counts twice")
  if eachVersionIsOneSetting(first.registers + second.registers) {
    property(written { backwards.encode(to: &$0) } == body, "settings merge by order")
    property(backwards.digest == forwards.digest, "equal settings, other digests")
  }
  checkPolicies(forwards)
}

private func merged(_ bodies: [SettingsBody]) -> KeyspaceSettings {
  var settings = KeyspaceSettings(databases: databases)
  for body in bodies {
    for register in body.registers { _ = settings.merge(register) }
    for (database, barrier) in body.barriers.enumerated() {
      _ = settings.merge(barrier: barrier, database: database)
    }
  }
  for (left, right) in zip(settings.registers, settings.registers.dropFirst()) {
    property(left.name < right.name, "registers are out of order")
  }
  return settings
}

/// Whether no version names two values of one setting; only a forger makes such, and then the first
/// to come stays.
private func eachVersionIsOneSetting(_ registers: [SettingRegister]) -> Bool {
  var values: [String: [Version: String]] = [:]
  for register in registers {
    let known = values[register.name, default: [:]].updateValue(
      register.name + register.value, forKey: register.version)
    let text = register.name + register.value
    guard known.map({ $0.utf8.elementsEqual(text.utf8) }) ?? true else { return false }
  }
  return true
}

private func checkPolicies(_ settings: KeyspaceSettings) {
  let keyspaces = settings.keyspaces()
  property(keyspaces["default"] != nil, "there is no default keyspace")
  let map = KeyspaceMap(keyspaces)
  property(map.names.first == "default", "the default keyspace is not the first")
  for (name, keyspace) in keyspaces {
    checkPolicy(keyspace)
    guard name != "default" else { continue }
    let index = withExactCopy(of: Array("\(name):k".utf8)) { map.index(for: $0) }
    property(map.names[index] == name, "a key of a keyspace belongs to another")
  }
}

/// What CONFIG GET shows is what CONFIG SET takes.
private func checkPolicy(_ keyspace: Keyspace) {
  property((1...Limits.copies).contains(keyspace.copies), "n is out of bounds")
  for size in [keyspace.write, keyspace.read] {
    let needed = size.resolved(copies: keyspace.copies)
    property((1...Limits.copies).contains(needed), "w or r is out of bounds")
  }
  var again = Keyspace()
  for parameter in Keyspace.parameters {
    let shown = keyspace.value(of: parameter) ?? ""
    property(again.set(parameter, shown) == nil, "\(parameter) does not take what it shows")
  }
  property(again == keyspace, "a keyspace is not what it shows")
}
