"""The network that the nodes live in: namespaces on a bridge that can be cut, or plain loopback.

    root namespace: the test and its clients, .254 on the bridge
      bridge ── port 0 ══ eth0 of namespace 0, .1
             ├─ port 1 ══ eth0 of namespace 1, .2
             └─ …

A direction is cut by giving the sender a wrong hardware address for the receiver: the packets leave
and nobody takes them. A blackhole route would do the same for open connections, but `connect` would
fail at once instead of hanging, which is not what a partition looks like. So all hardware addresses
are set by hand, and ARP, which could heal a cut, never runs.
"""

import os
import subprocess
from pathlib import Path

NAMESPACES = Path("/var/run/netns")
PREFIX = "coterie-chaos"
NOBODY = "02:c0:7e:ff:ff:ff"


class NetworkUnavailable(Exception):
    """Namespaces cannot be made here."""


def make_network(size):
    """A network that can be cut if this machine allows it, else loopback with the reason why."""
    try:
        return BridgedNetwork(size)
    except NetworkUnavailable as reason:
        return LoopbackNetwork(str(reason))


class LoopbackNetwork:
    """127.0.0.1, .2, … : processes can die and stop, but no packet is ever lost."""

    can_be_cut = False

    def __init__(self, reason):
        self.reason = reason

    def host(self, index):
        return f"127.0.0.{index + 1}"

    def command(self, index, command):
        return command

    def heal(self):
        pass

    def close(self):
        pass


class BridgedNetwork:
    """One namespace a node, named after this process, and a bridge that joins them."""

    can_be_cut = True

    def __init__(self, size):
        self.size = size
        self.run = os.getpid()
        self.bridge = f"ccb{self.run}"
        self._cut = set()
        self._unplugged = set()
        remove_leftovers()
        self.subnet = free_subnet(self.run)
        try:
            self._build()
        except NetworkUnavailable:
            self.close()
            raise

    def _build(self):
        ip_batch([f"link add {self.bridge} type bridge",
                  f"addr add {self.subnet}.254/24 dev {self.bridge}",
                  f"link set {self.bridge} up"])
        for index in range(self.size):
            name, port = self.namespace(index), self._port(index)
            ip_batch([f"netns add {name}",
                      f"link add {port} type veth peer name eth0 netns {name}",
                      f"link set {port} master {self.bridge} up"])
            ip_batch(["link set lo up", f"link set eth0 address {self._hardware(index)}",
                      f"addr add {self.host(index)}/24 dev eth0", "link set eth0 up"], name)
        self.heal()

    def host(self, index):
        return f"{self.subnet}.{index + 1}"

    def namespace(self, index):
        return f"{PREFIX}-{self.run}-{index}"

    def command(self, index, command):
        """`ip netns exec` becomes the command: the process that starts is the server itself."""
        return ["ip", "netns", "exec", self.namespace(index), *command]

    def cut(self, directions):
        """From now on no packet gets from the first node of each pair to the second."""
        directions = set(directions)
        self._cut |= directions
        self._set_neighbours({sender for sender, _ in directions})

    def unplug(self, index):
        """The node reaches nobody, not even its clients."""
        self._unplugged.add(index)
        ip_batch([f"link set {self._port(index)} down"])

    def heal(self):
        self._cut.clear()
        if self._unplugged:
            ip_batch([f"link set {self._port(index)} up" for index in sorted(self._unplugged)])
            self._unplugged.clear()
        self._set_neighbours(range(self.size))
        ip_batch([self._neighbour(index, self._hardware(index), self.bridge)
                  for index in range(self.size)])

    def close(self):
        """Takes away what is there of it; deleting a namespace deletes its cable."""
        for index in range(self.size):
            quietly(["ip", "netns", "delete", self.namespace(index)])
            quietly(["ip", "link", "delete", self._port(index)])
        quietly(["ip", "link", "delete", self.bridge])

    def _set_neighbours(self, senders):
        for sender in senders:
            ip_batch([
                self._neighbour(
                    receiver,
                    NOBODY if (sender, receiver) in self._cut else self._hardware(receiver), "eth0")
                for receiver in range(self.size) if receiver != sender
            ], self.namespace(sender))

    def _neighbour(self, index, hardware, device):
        return f"neigh replace {self.host(index)} lladdr {hardware} nud permanent dev {device}"

    def _hardware(self, index):
        return f"02:c0:7e:00:00:{index + 1:02x}"

    def _port(self, index):
        return f"ccv{self.run}n{index}"


def ip_batch(lines, namespace=None):
    command = ["ip", *(["-n", namespace] if namespace else []), "-batch", "-"]
    try:
        done = subprocess.run(command, input="\n".join(lines) + "\n", text=True, timeout=20,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NetworkUnavailable(str(error)) from error
    if done.returncode != 0:
        raise NetworkUnavailable(f"{lines}: {done.stdout.strip()}")


def quietly(command):
    try:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20,
                       check=False)
    except (OSError, subprocess.TimeoutExpired):
        pass


def free_subnet(run):
    """The first three numbers of a network that no route of this machine leads to."""
    try:
        routes = subprocess.run(["ip", "route", "show", "table", "all"], text=True, timeout=20,
                                stdout=subprocess.PIPE, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NetworkUnavailable(str(error)) from error
    for step in range(256):
        subnet = f"10.{99 + (run + step) // 256 % 100}.{(run + step) % 256}"
        if f"{subnet}." not in routes:
            return subnet
    raise NetworkUnavailable("every network 10.x.y.0/24 that was tried is taken")


def remove_leftovers():
    """Takes away what runs left that could not clean up; the names tell which process it was."""
    if not NAMESPACES.is_dir():
        return
    for path in sorted(NAMESPACES.glob(f"{PREFIX}-*")):
        run = path.name.split("-")[2]
        if not Path("/proc", run).exists():
            quietly(["ip", "netns", "delete", path.name])
            quietly(["ip", "link", "delete", f"ccb{run}"])
