# SPDX-License-Identifier: GPL-2.0-or-later
"""Many threads and interpreters for a long time: no deadlock, nothing lost, and a recorder that stays small.

$IMPTRACE_ENDURANCE: how much work, 1 in `make check`; `make check-endurance` sets 1000, which comes to 10 million dlsym()
calls and a million imports by 24 threads.
"""
import json
import os
import re

import pytest

import interpreters

WORK = int(os.environ.get("IMPTRACE_ENDURANCE") or 1)
TIMEOUT = 60 + 20 * WORK
LIMIT = 2 << 20				# bytes of the recorder in one process


def check_nothing_lost(lab, trace):
    """Returns (the report, whether events were lost).

    On a machine with more to do than processors a thread may be kept from running while it holds the recorder's
    lock, for longer than others wait: with little work in `make check` that is let pass, as long as it is counted."""
    _, report = lab.analyze(trace, "--no-host")
    said = [note for note in report["notes"] if "lost" in note]
    assert not said or WORK == 1 and report["complete"] is False, said
    return report, bool(said)


def test_dlsym(lab):
    """24 threads, two thirds of a thousand names absent: each look-up is in the record, once or as a count."""
    program = interpreters.compile_c("endurance/busy.c", "-pthread", "-ldl", "-O2")
    calls = 24 * (10000 * WORK // 24)
    argv = [program, 24, calls, 100]
    bare = lab.bare(argv, timeout=TIMEOUT)
    run = lab.recorded(argv, timeout=TIMEOUT)
    assert run.returncode == 0 and run.stderr == b""
    found = re.compile(rb"found (\d+)\nmemory (\d+) (\d+)\n")
    before, after = found.fullmatch(bare.stdout).groups(), found.fullmatch(run.stdout).groups()
    assert before[0] == after[0]
    # Its own pages, and what it has mapped besides: everything else is the same in both.
    more = (int(after[1]) + int(after[2]) - int(before[2])) << 10
    print("dlsym: %d calls, recorder's memory %d kB" % (calls, more >> 10))
    # 24 blocks of threads are the program's doing: one block each, of which few pages are touched.
    assert more < LIMIT + 24 * (96 << 10), "%d kB" % (more >> 10)
    _, lost = check_nothing_lost(lab, run.trace)
    counted = 0
    for line in lab.command("dump", "--format=json", run.trace).stdout.decode().splitlines():
        event = json.loads(line)
        if event["kind"] == "dlsym":
            counted += event.get("count", 1)
    # The error text of each absent name is recorded; found ones are counted.
    assert counted == calls or lost and counted < calls, (counted, calls)


PROGRAM = r"""
import sys, threading
threads, each = 24, int(sys.argv[1])
gone, again = [0] * threads, [0] * threads

def work(n):
    for i in range(each):
        try:
            __import__("gone_%d_%d" % (n, i % 50))
        except ImportError:
            gone[n] += 1

def memory():
    total = 0
    with open("/proc/self/smaps") as maps:
        ours = False
        for line in maps:
            if "-" in line.split(" ", 1)[0]:
                ours = "libimptrace" in line
            elif ours and line.startswith("Rss:"):
                total += int(line.split()[1])
    return total

ts = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
[t.start() for t in ts]
[t.join() for t in ts]
print(sum(gone))
sys.stderr.write("own %d kB\n" % memory())
"""


def test_imports(lab, python):
    each = 42 * WORK if WORK > 1 else 20
    script = lab.write("busy.py", PROGRAM)
    run = lab.recorded([python.path, "-S", script, each], timeout=TIMEOUT)
    assert (run.returncode, run.stdout) == (0, b"%d\n" % (24 * each)), run.text
    own = int(re.fullmatch(r"own (\d+) kB\n", run.text).group(1)) << 10
    print("imports: %d, libimptrace.so resident %d kB, trace %d bytes" % (
        24 * each, own >> 10, run.trace.stat().st_size))
    assert own < LIMIT
    report, lost = check_nothing_lost(lab, run.trace)
    assert lost or report["complete"] is True
    assert lost or report["processes"][0]["imports"] >= 24 * each


SUBINTERPRETERS = r"""
import sys, threading
try:
    import _interpreters as i
except ImportError:
    import _xxsubinterpreters as i
rounds = int(sys.argv[1])
code = '''
for n in range(20):
    try:
        __import__("gone_%d" % n)
    except ImportError:
        pass
import colorsys
'''
done = [0] * 6

def work(n):
    for _ in range(rounds):
        interp = i.create()
        i.run_string(interp, code)
        i.destroy(interp)
        done[n] += 1

ts = [threading.Thread(target=work, args=(n,)) for n in range(6)]
[t.start() for t in ts]
[t.join() for t in ts]
print(sum(done))
"""


def test_subinterpreters(lab, any_python):
    """Six threads that make, use and destroy interpreters at the same time."""
    if any_python.version < (3, 12):
        pytest.skip("subinterpreters in several threads at once crash, bare, before 3.12")
    rounds = 3 if WORK == 1 else max(3, WORK // 4)
    script = lab.write("sub.py", SUBINTERPRETERS)
    bare = lab.bare([any_python.path, script, rounds], timeout=TIMEOUT)
    if bare.returncode:
        pytest.skip("does not work bare: %r" % (bare.last_error(),))
    run = lab.recorded([any_python.path, script, rounds], timeout=TIMEOUT)
    assert (run.returncode, run.stdout) == (0, b"%d\n" % (6 * rounds)), run.text
    report, lost = check_nothing_lost(lab, run.trace)
    assert lost or report["processes"][0]["imports"] >= 6 * rounds * 21
