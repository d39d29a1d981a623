# SPDX-License-Identifier: GPL-2.0-or-later
"""`imptrace attach` to a server that serves: gunicorn with two workers, and not one request may fail."""
import http.client
import json
import os
import re
import shutil
import socket
import threading
import time

import pytest

from attach_session import Attached, Target, events

ROUNDS = int(os.environ.get("IMPTRACE_ATTACH_ROUNDS", "12"))

APPLICATION = """
import importlib, json, os

def application(environ, start_response):
    name = environ["QUERY_STRING"]
    answer = {"pid": os.getpid()}
    try:
        importlib.import_module(name)
        answer["error"] = None
    except ImportError as e:
        answer["error"] = str(e)
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


class Load:
    """Requests without a pause, each on a connection of its own or on one that is kept."""

    def __init__(self, port):
        self.port, self.served, self.failed, self.stopped = port, 0, [], False
        self.threads = [threading.Thread(target=self.run, args=(kept,)) for kept in (False, True)]
        for thread in self.threads:
            thread.start()

    def run(self, kept):
        connection = None
        while not self.stopped:
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                connection.request("GET", "/?json")
                answer = connection.getresponse()
                body = json.loads(answer.read())
                assert answer.status == 200 and body["error"] is None
                self.served += 1
            except Exception as e:
                self.failed.append(repr(e))
            if not kept or answer.getheader("Connection") == "close":
                connection.close()
                connection = None
            time.sleep(0.002)
        if connection:
            connection.close()

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join(120)


def ask(port, query):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/?" + query)
    body = json.loads(connection.getresponse().read())
    connection.close()
    return body


@pytest.fixture
def server(lab, debian):
    """(port, {pids of the workers})"""
    gunicorn = shutil.which("gunicorn", path="/usr/bin")
    if not gunicorn:
        pytest.skip("no gunicorn")
    lab.module("served_17", APPLICATION)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [debian.path, gunicorn, "--workers=2", "--bind=127.0.0.1:%d" % port, "--timeout=600",
            "served_17:application"]
    with Target(lab, argv, wait=False) as target:
        end, workers = time.monotonic() + 60, set()
        while len(workers) < 2 and time.monotonic() < end:
            try:
                workers.add(ask(port, "json")["pid"])
            except OSError:
                assert target.alive(), target.process.stderr.read()
                time.sleep(0.05)
        if len(workers) < 2:
            pytest.skip("one worker took all requests")
        yield target, port, workers


def test_rounds_under_load(lab, server):
    target, port, workers = server
    load = Load(port)
    try:
        for number in range(ROUNDS):
            pid = sorted(workers)[number % 2]
            with Attached(lab, pid, trace=lab.root / "server.zst") as attached:
                served, end = load.served, time.monotonic() + 60
                while load.served < served + 3 and time.monotonic() < end:
                    time.sleep(0.01)
                attached.end()
            (lab.root / "server.zst").unlink()
    finally:
        load.stop()
    print("%d rounds of attaching, %d requests served, %d failed" % (ROUNDS, load.served, len(load.failed)))
    assert not load.failed, load.failed[:3]
    assert load.served > 3 * ROUNDS
    assert target.alive()
    assert ask(port, "json")["pid"] in workers, "a worker was replaced"


def test_plugin_that_a_worker_lacks(lab, server):
    """Attach, let it try again, read why."""
    target, port, workers = server
    pid = sorted(workers)[0]
    with Attached(lab, pid) as attached:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            answer = ask(port, "plugin_gone_17")
            assert answer["error"] == "No module named 'plugin_gone_17'"
            if answer["pid"] == pid:
                break
        else:
            pytest.skip("the other worker took all requests")
        trace = attached.end()
    _, report = lab.analyze(trace, "--all")
    found = [f for f in report["findings"] if f["module"] == "plugin_gone_17"]
    assert found and found[0]["cause"] == "not-installed" and found[0]["pid"] == pid
    assert any(re.search("served_17", i["file"]) for i in found[0]["importers"])
    assert [e["how"] for e in events(lab, trace, "process")] == ["attach"]
