# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGKILL at random moments of a busy import loop: 4 processes with 4 threads each.

After each failed import the program writes its name into a pipe. Whatever the moment, the trace is a valid zstd
file, every name that came through the pipe is in it, and the analyzer says who was killed.

$IMPTRACE_KILLS: how many (`make check-kill`: 1,000). $IMPTRACE_KILL_SEED: to repeat a run.
"""
import json
import os
import random
import signal
import subprocess
import time

import pytest

KILLS = int(os.environ.get("IMPTRACE_KILLS") or 60)
SEED = os.environ.get("IMPTRACE_KILL_SEED")
PART = 20				# kills in one test

PROGRAM = r"""
import os, sys, threading, time
pipe = int(sys.argv[1])
for _ in range(3):
    if not os.fork():
        break
os.write(pipe, b"pid %d\n" % os.getpid())

def work(thread):
    i = 0
    while True:
        i += 1
        name = "gone_%d_%d_%d" % (os.getpid(), thread, i)
        try:
            __import__(name)
        except ImportError:
            os.write(pipe, name.encode() + b"\n")
        if i % 7 == 0:
            mine = ("colorsys", "stringprep", "quopri", "nturl2path")[thread]
            __import__(mine)
            sys.modules.pop(mine)
        time.sleep(0.001)

for thread in range(3):
    threading.Thread(target=work, args=(thread,), daemon=True).start()
work(3)
"""


def one_run(lab, python, script, chance):
    """Starts the program, kills it, and returns (trace, names, pids)."""
    trace = lab.new_trace()
    reader, writer = os.pipe()
    env = lab.recorder_env(lab.env(), trace)
    process = subprocess.Popen([python.path, "-W", "ignore", "-S", script, str(writer)], env=env,
                               cwd=str(lab.dir), pass_fds=[writer], start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    os.close(writer)
    data = b""
    # A part of them in the middle of the start-up, the others after some work.
    if chance.random() < 0.85:
        while data.count(b"gone_") < 1:
            more = os.read(reader, 65536)
            assert more, process.stderr.read()
            data += more
        time.sleep(chance.random() * chance.random() * 0.25)
    else:
        time.sleep(chance.random() * 0.06)
    pids = [int(line.split()[1]) for line in data.split(b"\n")[:-1] if line.startswith(b"pid")]
    if chance.random() < 0.5:		# one after the other, while the others go on
        chance.shuffle(pids)
        for pid in pids[:2]:
            os.kill(pid, signal.SIGKILL)
            time.sleep(chance.random() * 0.02)
    os.killpg(process.pid, signal.SIGKILL)
    while True:
        more = os.read(reader, 65536)
        if not more:
            break
        data += more
    os.close(reader)
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == -signal.SIGKILL and errors == b"", errors
    lines = data.split(b"\n")[:-1]
    names = {line.decode() for line in lines if line.startswith(b"gone_")}
    return trace, names, {int(line.split()[1]) for line in lines if line.startswith(b"pid")}


@pytest.mark.parametrize("part", range((KILLS + PART - 1) // PART))
def test_killed(lab, debian, part):
    lab.require_build()
    seed = int(SEED) if SEED else random.SystemRandom().getrandbits(32)
    chance = random.Random(seed)
    script = lab.write("busy.py", PROGRAM)
    seen = 0
    for _ in range(min(PART, KILLS - part * PART)):
        trace, names, pids = one_run(lab, debian, script, chance)
        what = "IMPTRACE_KILL_SEED=%d, %s" % (seed, trace)
        if not trace.exists() or not trace.stat().st_size:
            assert not names, what
            continue
        lab.raw(trace)
        dump = lab.command("dump", "--format=json", trace)
        assert dump.returncode == 0, what
        begun, ended = {}, set()
        for line in dump.stdout.decode().splitlines():
            event = json.loads(line)
            key = event.get("pid"), event.get("image_ns"), event.get("import")
            if event["kind"] == "import_begin":
                begun[key] = event["text"]
            elif event["kind"] == "import_end" and event.get("exception") and key in begun:
                ended.add(begun[key])
        missing = names - ended
        assert not missing, "%s: %d of %d are not in the trace: %s" % (
            what, len(missing), len(names), sorted(missing)[:5])
        _, report = lab.analyze(trace, "--no-host")
        assert report["complete"] is False, what
        for pid in {p["pid"] for p in report["processes"]}:
            assert any("process %d " % pid in note for note in report["notes"]), (what, report["notes"])
        assert {int(name.split("_")[1]) for name in names} <= {p["pid"] for p in report["processes"]}, what
        seen += len(names)
        trace.unlink()
    assert seen > 0 or KILLS < 5
