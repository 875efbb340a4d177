"""The conf files that ship: coterie.conf is true of every directive, three-nodes is a cluster."""

import re
from dataclasses import dataclass

import pytest

from processes import REPOSITORY, STARTS_WITHIN, Node, ServerProcess, free_ports, wait_until
from wire import ServerError

CONF = REPOSITORY / "conf" / "coterie.conf"
THREE_NODES = [REPOSITORY / "conf" / "three-nodes" / f"node-{number}.conf" for number in (1, 2, 3)]
SPECS_SOURCE = REPOSITORY / "Sources" / "CacheNode" / "ParameterStore.swift"
KEYSPACE_SOURCE = REPOSITORY / "Sources" / "Keyspaces" / "Keyspace.swift"
SWIFT_NUMBERS = {"Int.max": 2**63 - 1, "Int(Int32.max)": 2**31 - 1}

# `#name value` is a directive at its default; `# text` is text.
COMMENTED_OUT = re.compile(r"^#(?=[a-z])", re.MULTILINE)


@dataclass(frozen=True)
class Spec:
    """A parameter as ParameterStore.swift declares it."""

    name: str
    default: str
    choices: list
    range: tuple
    is_mutable: bool


@dataclass(frozen=True)
class Entry:
    """A directive of coterie.conf and the text above it."""

    name: str
    default: str
    text: str


def declared_specs():
    """The parameters in ParameterStore.specs, by name."""
    body = re.search(
        r"let specs: \[ParameterSpec\] = \[\n(.*?)\n  \]\n", SPECS_SOURCE.read_text(), re.DOTALL)[1]
    body = re.sub(r"^ *//.*\n", "", body, flags=re.M)
    calls = re.split(r"^    (?=fixed\(|open\()", body, flags=re.M)
    return {spec.name: spec for spec in map(declared_spec, filter(str.strip, calls))}


def declared_spec(call):
    name, *choices, default = re.findall(r'"([^"]*)"', call)
    bounds = re.search(r"\.integer\((-?[\d_]+)\.\.\.([\w.()]+)\),", call)
    limits = tuple(map(swift_number, bounds.groups())) if bounds else None
    return Spec(name, default, choices, limits, call.startswith("open("))


def swift_number(text):
    return SWIFT_NUMBERS[text] if text in SWIFT_NUMBERS else int(text.replace("_", ""))


def declared_keyspace_settings():
    source = KEYSPACE_SOURCE.read_text()
    words = re.search(r"static let parameters = \[(.*?)\]", source, re.DOTALL)[1]
    return [f"keyspace.default.{word}" for word in re.findall(r'"([^"]+)"', words)]


def conf_entries():
    """The directives of coterie.conf in their order."""
    entries = []
    for block in CONF.read_text().split("\n\n"):
        *text, last = block.strip("\n").split("\n")
        if COMMENTED_OUT.match(last):
            name, default = last[1:].split(maxsplit=1)
            lines = [line.removeprefix("#").strip() for line in text]
            entries.append(Entry(name, "" if default == '""' else default, " ".join(lines)))
    return entries


def configuration_of(node, pattern="*"):
    """CONFIG GET as a dictionary of text."""
    reply = [word.decode() for word in node.call("CONFIG", "GET", pattern)]
    return dict(zip(reply[0::2], reply[1::2]))


def start_with(conf, directory):
    """A node with that conf file, on a free port, its files in `directory`."""
    node = Node(directory)
    node.command.insert(1, str(conf))
    return node


@pytest.fixture(scope="module")
def entries():
    return {entry.name: entry for entry in conf_entries()}


def test_coterie_conf_has_every_parameter_once_with_its_default():
    shown = [(entry.name, entry.default) for entry in conf_entries()]
    specs = declared_specs()
    assert len(specs) == len(re.findall(r"^    (?:fixed|open)\(", SPECS_SOURCE.read_text(), re.M))
    expected = {name: spec.default for name, spec in specs.items()}
    parameters = [pair for pair in shown if not pair[0].startswith("keyspace.")]
    assert sorted(parameters) == sorted(expected.items())
    assert len(shown) == len(COMMENTED_OUT.findall(CONF.read_text())), "a directive has no text"


def test_coterie_conf_has_every_keyspace_setting_once_with_its_default(node):
    shown = [(e.name, e.default) for e in conf_entries() if e.name.startswith("keyspace.")]
    assert sorted(name for name, _ in shown) == sorted(declared_keyspace_settings())
    assert sorted(shown) == sorted(configuration_of(node, "keyspace.default.*").items())


def test_coterie_conf_says_of_each_directive_what_it_may_hold_and_its_default(entries):
    for name, entry in entries.items():
        assert re.search(r"\w.* Values: .+ Default: .+ CONFIG SET: (yes|no)\.$", entry.text), name
        default = re.escape(entry.default) if entry.default else "empty"
        assert re.search(rf"Default: {default}(\.| \()", entry.text), name
    for name, spec in declared_specs().items():
        values = re.search(r"Values: (.+) Default: ", entries[name].text)[1]
        if spec.range:
            assert values.startswith("{} to {}".format(*spec.range)), name
        if spec.choices:
            assert values == ", ".join(spec.choices) + ".", name


def test_what_coterie_conf_says_of_config_set_is_what_a_node_does(node, entries):
    for name, entry in entries.items():
        answer = node.answer("CONFIG", "SET", name, entry.default)
        if entry.text.endswith("CONFIG SET: yes."):
            assert answer == b"OK", name
        else:
            assert isinstance(answer, ServerError), name
            assert "immutable" in str(answer), name


def test_the_longest_ttl_of_a_keyspace_is_what_coterie_conf_says(node, entries):
    values = re.search(r"Values: 0 to (\d+) seconds", entries["keyspace.default.ttl"].text)
    longest = int(values[1])
    assert node.answer("CONFIG", "SET", "keyspace.default.ttl", longest) == b"OK"
    assert isinstance(
        node.answer("CONFIG", "SET", "keyspace.default.ttl", longest + 1), ServerError)
    assert node.answer("CONFIG", "SET", "keyspace.default.ttl", 0) == b"OK"


def test_coterie_conf_as_shipped_changes_no_default(tmp_path, node):
    configured = start_with(CONF, tmp_path)
    try:
        configured.start_and_wait()
        assert configured.call("PING") == b"PONG"
        expect_the_same_but_for_port_and_dir(configured, node)
    finally:
        configured.end()


def test_coterie_conf_with_every_directive_uncommented_is_taken(tmp_path, node):
    conf = tmp_path / "all.conf"
    conf.write_text(COMMENTED_OUT.sub("", CONF.read_text()))
    configured = start_with(conf, tmp_path)
    try:
        configured.start_and_wait()
        expect_the_same_but_for_port_and_dir(configured, node)
    finally:
        configured.end()


def expect_the_same_but_for_port_and_dir(configured, bare):
    found, expected = configuration_of(configured), configuration_of(bare)
    assert found["port"] == str(configured.port)
    for settings in (found, expected):
        del settings["port"], settings["dir"]
    assert found == expected


def test_the_three_nodes_example_differs_between_its_nodes_only_where_it_must():
    numbered = [
        re.sub(rf"(coterie-|port 700){number}\b", r"\1N", directives(conf))
        for number, conf in enumerate(THREE_NODES, 1)
    ]
    assert numbered[0] == numbered[1] == numbered[2]
    for number, conf in enumerate(THREE_NODES, 1):
        assert f"port 700{number}\ndir /var/tmp/coterie-{number}\n" in directives(conf)
        assert f"coterie-server conf/three-nodes/{conf.name}\n" in conf.read_text()


def directives(conf):
    """The lines of a conf file that are not comments."""
    lines = conf.read_text().splitlines()
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))


@pytest.fixture
def three_nodes(tmp_path):
    """The example as its reader starts it, but on free ports and in a temporary folder."""
    ports = free_ports(3)
    nodes = []
    for number, (conf, port) in enumerate(zip(THREE_NODES, ports), 1):
        text = conf.read_text().replace("/var/tmp/", f"{tmp_path}/")
        for shipped, free in zip((7001, 7002, 7003), ports):
            text = re.sub(rf"\b{shipped}\b", str(free), text)
        directory = tmp_path / f"coterie-{number}"
        directory.mkdir()
        copy = tmp_path / conf.name
        copy.write_text(text)
        nodes.append(Node(directory, port=port))
        nodes[-1].command = ServerProcess([copy], tmp_path / f"run-{number}").command
    yield nodes
    for node in nodes:
        node.end()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_the_three_nodes_example_started_one_by_one_is_one_cache(three_nodes, order):
    # At the pace of a person with three terminals: the first has given up on its seeds by then.
    patient = three_nodes[order[0]].start_and_wait()
    wait_until(
        lambda: patient.knows_a_complete_cluster_of(1), STARTS_WITHIN, "the first starts alone")
    for index in order[1:]:
        three_nodes[index].start_and_wait()
    for node in three_nodes:
        wait_until(
            lambda: node.knows_a_complete_cluster_of(3), STARTS_WITHIN,
            f"node {node.port} knows all three\n{node.output()[-2000:]}")
    first, second, third = three_nodes
    for number in range(50):
        first.call("SET", f"key-{number}", number)
    for number in range(50):
        assert second.call("GET", f"key-{number}") == b"%d" % number
        assert third.call("GET", f"key-{number}") == b"%d" % number


def test_the_three_nodes_example_keeps_each_nodes_state_in_its_folder(three_nodes):
    for node in three_nodes:
        node.start()
    for node in three_nodes:
        node.wait_until_it_answers()
    for node in three_nodes:
        assert node.terminate() == 0
        assert (node.directory / f"coterie-{node.port}.state").exists()
