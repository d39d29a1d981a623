# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel records of many processes and threads at once, and of an imptrace that is killed."""
import collections
import shutil
import subprocess
import time

from bpf_cases import PATIENCE, Server, attach, bpf, kinds, record  # noqa: F401

ALONE = ("--bpf", "--no-preload")


def failed(events):
    """Names of the imports that failed -> how often."""
    return collections.Counter(e["exception"].get("name") for e in kinds(events, "import_end") if "exception" in e)


def test_many_children_at_once(bpf, debian):
    program = bpf.write("forks.py", """
import os
children = []
for i in range(199):
    child = os.fork()
    if not child:
        try:
            __import__("absent_%d" % i)
        except ImportError:
            os._exit(i % 7)
        os._exit(99)
    children.append(child)
for i, child in enumerate(children):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == i % 7
""")
    run = record(bpf, [debian.path, program], *ALONE)
    assert run.returncode == 0, run.text
    report, events = bpf.analyze(run.trace)[1], bpf.dump(run.trace)
    assert report["complete"], report["notes"]
    wanted = {"absent_%d" % i: 1 for i in range(199)}
    assert {name: n for name, n in failed(events).items() if name in wanted} == wanted
    by_pid = {e["pid"]: e["exception"]["name"] for e in kinds(events, "import_end")
              if "exception" in e and e["exception"].get("name") in wanted}
    codes = {by_pid[e["pid"]]: e["code"] for e in kinds(events, "process_end") if e["pid"] in by_pid}
    assert codes == {"absent_%d" % i: i % 7 for i in range(199)}


def test_programs_that_become_others(bpf, debian):
    """Each ends where the next one begins, whatever was recorded of it."""
    bpf.module("last_17", "import absent_at_last_17\n")
    launcher = bpf.write("launcher.py", """
import os, sys
try:
    import absent_before_17
except ImportError:
    os.execv(sys.executable, [sys.executable, "-c", "import last_17"])
""")
    script = bpf.write("storm.sh", """
i=0
while [ $i -lt 41 ]; do /bin/true; sh -c 'exec sh -c "exec /bin/true"'; i=$((i+1)); done
exec %s %s
""" % (debian.path, launcher))
    run = record(bpf, ["sh", script], *ALONE)
    assert run.returncode == 1, run.text
    report, events = bpf.analyze(run.trace, "--all")[1], bpf.dump(run.trace)
    assert report["complete"], report["notes"]
    names = failed(events)
    assert names["absent_before_17"] == 1 and names["absent_at_last_17"], names
    root = next(e["pid"] for e in kinds(events, "process") if e["argv"] == ["sh", str(script)])
    became = [e["argv"] for e in kinds(events, "exec") if e["pid"] == root]
    assert became == [[debian.path, str(launcher)], [debian.path, "-c", "import last_17"]]
    assert len(kinds(events, "process_end")) == 2 * 41 + 1


def test_threads_that_import_at_once(bpf, debian):
    run = record(bpf, [debian.path, "-c", """
import threading
def fail(i):
    for k in range(23):
        try:
            __import__("absent_%d_%d" % (i, k))
        except ImportError:
            pass
def load(name):
    __import__(name)
names = "json decimal sqlite3 ctypes email.mime.text xml.dom.minidom asyncio hashlib bz2 lzma".split()
threads = [threading.Thread(target=fail, args=(i,)) for i in range(7)]
threads += [threading.Thread(target=load, args=(name,)) for name in names]
for t in threads: t.start()
for t in threads: t.join()
"""], *ALONE)
    assert run.returncode == 0, run.text
    events = bpf.dump(run.trace)
    assert bpf.analyze(run.trace)[1]["complete"]
    assert len(kinds(events, "import_begin")) == len(kinds(events, "import_end"))
    names = failed(events)
    assert {name: n for name, n in names.items() if str(name).startswith("absent_")} == {
        "absent_%d_%d" % (i, k): 1 for i in range(7) for k in range(23)}
    loaded = {e["text"].rpartition("/")[2].partition(".")[0] for e in kinds(events, "dlopen_enter") if "text" in e}
    assert {"_decimal", "_sqlite3", "_ctypes", "_bz2", "_lzma"} & loaded


def text_of(pid, path):
    """The program's code as it lies in the process's memory, and as it lies in the file."""
    for line in open("/proc/%d/maps" % pid):
        where, flags, offset, *_, name = line.split()
        if flags.startswith("r-x") and name == str(path):
            begin, end = (int(part, 16) for part in where.split("-"))
            with open("/proc/%d/mem" % pid, "rb") as memory, open(path, "rb") as file:
                memory.seek(begin)
                file.seek(int(offset, 16))
                inside = memory.read(end - begin)
                return inside, file.read(end - begin)
    raise AssertionError("%s is not mapped" % path)


def test_killed_imptrace_leaves_nothing(bpf, debian):
    """With it go its probes; the program runs on, and what was recorded by then can be read."""
    python = bpf.dir / "python3-of-its-own"  # nobody else's imptrace has probes in it
    shutil.copy(debian.path, python)
    server = Server(bpf, python)
    try:
        pid = server.process.pid
        trace = bpf.new_trace()
        tracer = attach(bpf, pid, trace)
        assert server.load("absent_while_17").startswith("ModuleNotFoundError")
        inside, file = text_of(pid, python)
        assert inside != file  # breakpoints
        until = time.monotonic() + PATIENCE
        while b"absent_while_17" not in bpf.command("dump", trace).stdout:
            assert time.monotonic() < until, "nothing was written"
            time.sleep(0.1)
        tracer.kill()
        tracer.wait(PATIENCE)
        tracer.stderr.close()
        while inside != file:
            assert time.monotonic() < until, "the probes are still there"
            time.sleep(0.05)
            inside, file = text_of(pid, python)
        assert server.load("absent_after_17").startswith("ModuleNotFoundError")
        assert server.load("decimal") == "ok"
        assert failed(bpf.dump(trace)) == {"absent_while_17": 1}
        assert not bpf.analyze(trace)[1]["complete"]
    finally:
        assert server.end() == 0
