# SPDX-License-Identifier: GPL-2.0-or-later
"""What is on disk when a process dies in native code, or long after it: the journal slot."""
import os
import random
import signal
import subprocess
import time

import pytest

import trace_decoder
from loader_cases import extension

ILLEGAL = "illegal-instruction/illegal.c"

# Loads extension modules without end, and says so after each: what was said has to be in the trace.
LOOP = """
import importlib, os, sys
where, = [p for p in sys.path if p.endswith("lib-dynload")]
names = sorted(n.split(".")[0] for n in os.listdir(where) if n.endswith(sys.argv[1]))
names = [n for n in names if "test" not in n and n not in sys.modules][:23]
said = 0
while True:
    for name in names:
        sys.modules.pop(name, None)
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        said += 1
        os.write(1, b"%d %s\\n" % (said, name.encode()))
"""


def native(lab, trace):
    """The native side of a trace: the events of loads and extensions, in order. Nothing is damaged."""
    run = lab.command("dump", "--format=json", trace)
    assert (run.returncode, run.text) == (0, "")
    return [e for e in lab.dump(trace) if e["kind"] in ("dlopen_enter", "dlopen_leave", "ext_begin", "ext_end")]


def open_calls(events, begin, end):
    """What began and did not end."""
    ended = {e["call"] for e in events if e["kind"] == end}
    return [e for e in events if e["kind"] == begin and e["call"] not in ended]


def recorded(lab, code, *args):
    trace = lab.new_trace()
    return trace, lab.recorder_env(lab.env(), trace), ["-c", code, *args]


@pytest.mark.parametrize("where,status", [("constructor", signal.SIGILL), ("init", signal.SIGILL),
                                          ("init", signal.SIGSEGV)])
def test_crash(lab, debian, where, status):
    """Which step was running, and of what, when the process died."""
    how = {"IN_CONSTRUCTOR": 1} if where == "constructor" else {}
    if status == signal.SIGSEGV:
        how["SEGFAULT"] = 1
    path = extension(debian, "native_17", lab.site, source=ILLEGAL, GIVES="PyInit_native_17", **how)
    run = lab.traced([debian.path, "-c", "import json, native_17"])
    assert run.returncode == -status
    lab.raw(run.trace)
    events = native(lab, run.trace)
    begun, = open_calls(events, "ext_begin", "ext_end")
    assert (begun["text"], begun["origin"], begun["step"]) == ("native_17", str(path), "create")
    loads = open_calls(events, "dlopen_enter", "dlopen_leave")
    assert [e["text"] for e in loads] == ([str(path)] if where == "constructor" else [])
    assert [e["text"] for e in events if e["kind"] == "dlopen_enter"][-1] == str(path)
    # What `imptrace dump` reads is what a reader that shares no code with it reads.
    assert [e["kind"] for e in lab.dump(run.trace)] == [
        e["kind"] for e in trace_decoder.events(run.trace) if e["kind"] != "batch"]


def test_killed_long_after(lab, debian):
    """The last extension is not to blame: its load and its steps have ended, and the trace says so."""
    path = extension(debian, "native_17", lab.site, source="abi-tag-mismatch/native.c", MODULE="native_17")
    trace, env, args = recorded(lab, "import native_17, os, time; os.write(1, b'x'); time.sleep(60)")
    with subprocess.Popen([debian.path, *args], env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout.read(1) == b"x"
        process.kill()
    lab.raw(trace)
    events = native(lab, trace)
    assert [e["origin"] for e in events if e["kind"] == "ext_begin"][-1] == str(path)
    assert not open_calls(events, "ext_begin", "ext_end")
    assert not open_calls(events, "dlopen_enter", "dlopen_leave")


def test_valid_at_every_moment(lab, debian):
    """Stopped anywhere, the trace is a whole .zst, and the reader finds nothing amiss."""
    trace, env, args = recorded(lab, LOOP, debian.suffix)
    with subprocess.Popen([debian.path, *args], env=env, stdout=subprocess.DEVNULL) as process:
        for _ in range(17):
            time.sleep(random.uniform(0.001, 0.03))
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            if trace.exists() and trace.stat().st_size:
                subprocess.run(["zstd", "-tq", str(trace)], check=True)
                native(lab, trace)
            process.send_signal(signal.SIGCONT)
        process.kill()
    assert native(lab, trace)


def test_random_sigkill(lab, debian):
    """Every load that the program knows has ended is on disk as ended, whenever the process is killed."""
    most = 0
    for _ in range(100):
        trace, env, args = recorded(lab, LOOP, debian.suffix)
        with subprocess.Popen([debian.path, *args], env=env, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline().startswith(b"1 ")
            time.sleep(random.uniform(0, 0.02))
            process.kill()
            said = [b"1"] + process.stdout.read().splitlines()
        subprocess.run(["zstd", "-tq", str(trace)], check=True)
        events = native(lab, trace)
        created = {e["call"] for e in events if e["kind"] == "ext_begin" and e["step"] == "create"}
        ended = {e["call"] for e in events if e["kind"] == "ext_end" and not e.get("exception")}
        assert len(created & ended) >= len(said)
        assert len(open_calls(events, "ext_begin", "ext_end")) <= 1
        most = max(most, len(said))
        trace.unlink()
    assert most > 23		# some were killed well within the loop


def test_no_native_code_no_slot(lab, debian):
    run = lab.traced([debian.path, "-S", "-c", "import textwrap, pathlib"])
    assert b"imp-slot" not in run.trace.read_bytes()
