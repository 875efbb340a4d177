"""What each owner holds of a key, for the check that the owners agree.

`CLUSTER PREFLIST key` says it in versions. Without that command every owner is asked for its own
copy: with R=1 an owner answers from its memory. (With R=all the read would merge the copies and
repair the stale ones: it would hide what it is to find.)
"""

import time
from dataclasses import dataclass

from timeline import slot_of
from wire import ServerError


@dataclass(frozen=True)
class Holder:
    """One line of CLUSTER PREFLIST."""

    is_owner: bool
    node: str
    address: str
    is_alive: bool
    version: object


def parse_preflist(reply):
    """The only place that knows the layout: [[role, node id, "host:port", state, version], …]."""
    holders = []
    for role, node, address, state, version in reply:
        assert role in (b"owner", b"fallback") and state in (b"alive", b"down"), reply
        holders.append(Holder(role == b"owner", node.decode(), address.decode(),
                              state == b"alive", version))
    return holders


class Preflist:
    """Copies as CLUSTER PREFLIST shows them."""

    name = "CLUSTER PREFLIST"

    def __init__(self, cluster):
        self.cluster = cluster

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def copies(self, keys):
        """For each key what its owners hold, as {address: version text}."""
        with self.cluster.members[0].connect() as connection:
            replies = connection.answers([("CLUSTER", "PREFLIST", key) for key in keys])
        copies = {}
        for key, reply in zip(keys, replies):
            assert not isinstance(reply, ServerError), f"CLUSTER PREFLIST {key}: {reply}"
            copies[key] = {
                holder.address: holder.version if holder.is_alive else b"down"
                for holder in parse_preflist(reply) if holder.is_owner}
        return copies


class OwnReads:
    """Copies as each owner reads its own with R=1."""

    name = "reads of every owner with R=1"
    PARAMETERS = ("keyspace.sib.r", "keyspace.default.r")

    def __init__(self, cluster):
        self.cluster = cluster
        self.owners = cluster.owners()

    def __enter__(self):
        self._set("one")
        return self

    def __exit__(self, *_):
        self._set("quorum")

    def _set(self, value):
        words = [word for parameter in self.PARAMETERS for word in (parameter, value)]
        self.cluster.members[0].call("CONFIG", "SET", *words)
        for node in self.cluster.members:
            deadline = time.monotonic() + 5.0
            while node.call("CONFIG", "GET", self.PARAMETERS[0])[1] != value.encode():
                assert time.monotonic() < deadline, f"{node.name} does not learn R={value}"
                time.sleep(0.02)

    def copies(self, keys):
        copies = {key: {} for key in keys}
        for node in self.cluster.members:
            held = [key for key in keys if node.host in self.owners[slot_of(key)]]
            with node.connect() as connection:
                replies = connection.answers([read_command(key) for key in held])
            for key, reply in zip(held, replies):
                copies[key][node.host] = as_text(reply)
        return copies


def read_command(key):
    return ("VGET" if key.startswith("sib:") else "GET", key)


def as_text(reply):
    if isinstance(reply, ServerError):
        return f"error {reply}".encode()
    if isinstance(reply, list):
        return b" ".join(sorted(reply[3]))
    return reply


def how_to_look(cluster):
    """The best view of the copies that this server has."""
    try:
        parse_preflist(cluster.members[0].call("CLUSTER", "PREFLIST", "key"))
    except ServerError:
        return OwnReads(cluster)
    return Preflist(cluster)


def differing(copies):
    """Keys whose owners do not hold the same, with what each holds."""
    return {key: held for key, held in copies.items() if len(set(held.values())) > 1 or not held}


def differing_after(look, keys, seconds):
    """Looks again at what differed until nothing does or the time is over.

    Returns what still differs and when the last difference was gone.
    """
    start = time.monotonic()
    left = differing(look.copies(keys))
    first = len(left)
    while left and time.monotonic() < start + seconds:
        time.sleep(0.2)
        left = differing(look.copies(sorted(left)))
    return left, first, time.monotonic() - start
