# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces that are large, and traces made to hurt whoever reads them, with frames as whole as the recorder's own
(test_bombs.py has the broken ones): the right answer, or a clear one, in bounded memory and time."""
import json
import os
import pty
import subprocess
import sys
import threading
import time

import pytest

MEMORY = 256 << 20
SECONDS = 40	# 2, with room for a loaded machine


@pytest.fixture(scope="module")
def maker(build):
    def tool(name):
        path = build.dir / "tests" / "tools" / name
        assert path.exists(), "not built: %s (make check-e2e builds it)" % path
        return str(path)

    def make(path, what, *args):
        with open(path, "wb") as out:
            name = "big_trace" if what == "events" else "hostile_trace"
            subprocess.run([tool(name), what, *map(str, args)], stdout=out, check=True, timeout=600)
        return path

    make.tool = tool
    return make


# A small process in between: what a child's largest size says is at least the size of who started it.
RUNNER = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
os.write(int(sys.argv[1]), b"%d %d" % (os.waitstatus_to_exitcode(status), usage.ru_maxrss << 10))
"""


def measured(lab, argv, stdin=subprocess.DEVNULL):
    """(exit status, standard output, standard error), within the bounds."""
    told, tell = os.pipe()
    with open(lab.root / "out", "w+b") as out, open(lab.root / "err", "w+b") as err:
        start = time.monotonic()
        subprocess.run([sys.executable, "-S", "-E", "-c", RUNNER, str(tell), str(lab.build.command), *map(str, argv)],
                       stdin=stdin, stdout=out, stderr=err, env=lab.env(), pass_fds=[tell], check=True)
        took = time.monotonic() - start
        os.close(tell)
        status, memory = map(int, os.read(told, 100).split())
        os.close(told)
        out.seek(0)
        err.seek(0)
        answer, errors = out.read(), err.read().decode(errors="replace")
    assert status >= 0, "ended by a signal: %d: %s" % (status, errors)
    assert took < SECONDS
    if b"__asan_init" not in lab.build.command.read_bytes():
        assert memory < MEMORY, "%d MB" % (memory >> 20)
    return status, answer, errors


HOSTILE = {
    # what hostile_trace writes: what is said of it
    ("bomb", 4 << 30): "holds more than imptrace writes",
    ("frames", 4 << 30): "decompresses to more than any program's record",
    ("imports", 4 << 30): "takes more memory than any program's record",
    ("claim",): "a frame is malformed",
    ("nest", 10 ** 6): "nested too deeply",
}


@pytest.mark.parametrize("what", HOSTILE, ids=lambda what: what[0])
def test_hostile(lab, maker, what):
    trace = maker(lab.new_trace(), *what)
    status, answer, _ = measured(lab, ["analyze", "--format=json", trace])
    report = json.loads(answer)
    assert status == 0 and not report["findings"]
    assert not report["complete"]
    assert any(HOSTILE[what] in note for note in report["notes"]), report["notes"]
    status, answer, errors = measured(lab, ["dump", trace])
    assert status == 0 and answer.count(b"\n") >= 1
    assert "imptrace: " in errors
    trace.unlink()


def test_ten_million_processes(lab, maker):
    """From a pipe: what is not looked at is not even read."""
    tool = subprocess.Popen([maker.tool("hostile_trace"), "processes", str(10 ** 7)], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)
    status, answer, _ = measured(lab, ["analyze", "--format=json", "-"], tool.stdout)
    tool.stdout.close()
    assert tool.wait(timeout=600) != 0      # it was stopped in the middle of its work
    report = json.loads(answer)
    assert status == 0
    assert len(report["processes"]) == 100000
    assert any("more processes than imptrace looks at" in note for note in report["notes"])


def test_many_processes_side_by_side(lab, maker):
    """As with 5 million events, in a smaller size: each failure of each process is told."""
    trace = maker(lab.new_trace(), "events", 400000, 20)
    status, answer, _ = measured(lab, ["analyze", "--all", "--format=json", trace])
    report = json.loads(answer)
    assert status == 0 and report["complete"]
    assert [p["exit"]["code"] for p in report["processes"]] == [0] * 20
    imports = {p["imports"] for p in report["processes"]}
    assert min(imports) > 7000 and max(imports) < 8000
    found = {(f["pid"], f["module"]) for f in report["findings"]}
    assert len(found) == len(report["findings"])
    for pid in range(1000, 1020):
        names = {module for p, module in found if p == pid}
        assert len(names) in (10, 20, 40) and all(n.startswith("optional_") for n in names), names
    # Who asked is told, also of imports that went well: the file is put together from two halves.
    who = report["findings"][0]["importers"][-1]
    assert who["file"].startswith("/usr/lib/python3/dist-packages/framework") and who["file"].endswith(".py")
    assert who["function"] == "<module>" and who["module"].startswith("framework")


def test_same_answer_from_a_pipe(lab, maker):
    """A file is decompressed by a second thread, a pipe is not."""
    trace = maker(lab.new_trace(), "events", 100000, 10)
    direct = lab.command("analyze", "--all", "--format=json", trace)
    piped = lab.command("analyze", "--all", "--format=json", "-", stdin=trace.read_bytes())
    assert direct.returncode == piped.returncode == 0
    assert json.loads(direct.stdout) == json.loads(piped.stdout)


def test_module_among_many(lab, maker):
    trace = maker(lab.new_trace(), "events", 100000, 10)
    _, report = lab.analyze(trace, "-m", "framework3.subpackage30.module_1201")
    loaded = report["loaded"]
    assert loaded and {l["module"] for l in loaded} == {"framework3.subpackage30.module_1201"}
    assert {l["path"] for l in loaded} == {
        "/usr/lib/python3/dist-packages/framework3/subpackage30/module_1201.py"}
    assert {l["loader"] for l in loaded} == {"SourceFileLoader"}
    assert {l["entry"] for l in loaded} == {"/usr/lib/python3/dist-packages/framework3/subpackage30"}
    assert {l["importer"]["function"] for l in loaded} == {"<module>"}


# -- the progress bar -----------------------------------------------------------------------
def on_a_terminal(lab, trace_bytes, pause):
    """What `imptrace analyze -` writes to standard error, a terminal, while its input makes a pause."""
    master, slave = pty.openpty()
    child = subprocess.Popen([str(lab.build.command), "analyze", "--format=json", "-"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=slave, env=lab.env())
    os.close(slave)
    seen = bytearray()

    def collect():
        try:
            while True:
                data = os.read(master, 4096)
                if not data:
                    return
                seen.extend(data)
        except OSError:
            return      # EIO: the other side is closed

    collector = threading.Thread(target=collect)
    collector.start()
    half = len(trace_bytes) // 2
    child.stdin.write(trace_bytes[:half])
    child.stdin.flush()
    time.sleep(pause)
    out, _ = child.communicate(trace_bytes[half:], timeout=600)
    collector.join(timeout=60)
    os.close(master)
    json.loads(out)
    return child.returncode, bytes(seen)


def test_progress_after_a_second(lab, maker):
    trace = maker(lab.new_trace(), "events", 50000, 5)
    status, seen = on_a_terminal(lab, trace.read_bytes(), 1.5)
    assert status == 0
    assert b"\rimptrace: reading" in seen
    assert seen.endswith(b" \r")    # nothing of it is left
    assert b"\x1b" not in seen


def test_no_progress_without_a_terminal(lab, maker):
    trace = maker(lab.new_trace(), "events", 50000, 5)
    read, write = os.pipe()
    child = subprocess.Popen([str(lab.build.command), "analyze", "-"], stdin=read, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=lab.env())
    os.close(read)
    data = trace.read_bytes()
    os.write(write, data[:1000])
    time.sleep(1.5)
    with os.fdopen(write, "wb") as pipe:
        pipe.write(data[1000:])
    _, errors = child.communicate(timeout=600)
    assert child.returncode == 0 and errors == b""
