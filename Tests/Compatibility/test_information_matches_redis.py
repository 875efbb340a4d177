"""INFO's sections hold Redis's fields in Redis's order; beside them may be fields of our own."""

import re

import pytest

SECTIONS = [
    "server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules",
    "commandstats", "errorstats", "latencystats", "cluster", "keyspace",
]


def info(server, *sections):
    return server.call("INFO", *sections).decode()


def field_names(text):
    return [line.split(":")[0] for line in text.split("\r\n") if ":" in line]


@pytest.mark.parametrize("section", [
    name for name in SECTIONS if name not in ("commandstats", "errorstats", "latencystats")])
def test_the_fields_of_redis_are_there_in_order(reference_and_subject, section):
    redis, coterie = (info(server, section) for server in reference_and_subject)
    assert coterie.split("\r\n")[0] == redis.split("\r\n")[0]
    expected = field_names(redis)
    found = [name for name in field_names(coterie) if name in set(expected)]
    assert found == expected


def headings(text):
    return re.findall(r"^# (.*)\r$", text, re.MULTILINE)


@pytest.mark.parametrize("words", [
    (), ("all",), ("everything",), ("default",), ("server", "CPU"), ("cpu", "server", "cpu"),
    ("keyspace", "latencystats"), ("commandstats", "nosuch"), ("nosuch",)])
def test_sections_come_as_in_redis(reference_and_subject, words):
    redis, coterie = (info(server, *words) for server in reference_and_subject)
    assert [name for name in headings(coterie) if name != "Coterie"] == headings(redis)


def statistics(server, section):
    pairs = (line.split(":", 1) for line in info(server, section).split("\r\n")[1:] if line)
    return dict(pairs)


def test_commands_are_counted_as_in_redis(reference_and_subject):
    for server in reference_and_subject:
        with server.connect() as connection:
            connection.ask("SET", "text", "abc")
            connection.ask("CONFIG", "RESETSTAT")
            for words in (
                    ["GET", "text"], ["GET", "text"], ["GET"], ["INCR", "text"], ["APPEND", "text"],
                    ["CONFIG", "GET", "port"], ["CONFIG", "GET"], ["CONFIG", "NOSUCH"], ["NOSUCH"],
                    ["OBJECT", "ENCODING", "text"], ["OBJECT", "FREQ", "text"], ["DEL", "a", "b"],
                    ["MGET", "a", "b"], ["CLIENT", "ID"], ["SELECT", "99"], ["PING"]):
                connection.ask(*words)
    redis, coterie = (
        {name: re.sub(r"usec=[\d]+,usec_per_call=\d+\.\d\d", "", text)
         for name, text in statistics(server, "commandstats").items()}
        for server in reference_and_subject)
    assert coterie == redis
    redis, coterie = (statistics(server, "errorstats") for server in reference_and_subject)
    assert coterie == redis
    redis, coterie = (statistics(server, "latencystats") for server in reference_and_subject)
    assert coterie.keys() - {"latency_percentiles_usec_info"} == \
        redis.keys() - {"latency_percentiles_usec_info"}
    for text in coterie.values():
        assert re.fullmatch(r"p50=\d+\.\d{3},p99=\d+\.\d{3},p99\.9=\d+\.\d{3}", text)
