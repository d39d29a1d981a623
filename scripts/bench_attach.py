# SPDX-License-Identifier: GPL-2.0-or-later
"""bench --only attach: for how long `imptrace attach` and its end hold up a program.

The program has 8 threads and 500 mapped objects besides its own. One thread runs a loop in pure Python and notes
the longest gap between two of its rounds; imptrace says for how long the thread that it used was held. Each
attach is to a new process: the first one has the most to do.
"""
import mmap
import re
import shutil
import statistics
import struct
import subprocess
import time

OBJECTS = 500
THREADS = 8

PROGRAM = """
import ctypes, mmap, struct, sys, threading, time
file = open(sys.argv[1], "r+b")
shared = mmap.mmap(file.fileno(), 4096)
for number in range(int(sys.argv[2])):
    ctypes.CDLL(sys.argv[3] + "/liba%d.so" % number)
for _ in range(int(sys.argv[4]) - 1):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
now, pack, unpack = time.perf_counter, struct.pack_into, struct.unpack_from
pack("d", shared, 8, 1.0)
last = now()
while True:
    t = now()
    if t - last > unpack("d", shared)[0]:
        pack("d", shared, 0, t - last)
    last = t
"""


def make_objects(where):
    """One library, copied: the loader tells files apart by their inodes."""
    source = where / "liba.c"
    source.write_text("int a_17(int x) { return x + 1; }\n")
    first = where / "liba0.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(first), str(source)], check=True)
    for number in range(1, OBJECTS):
        shutil.copy(first, where / ("liba%d.so" % number))


class Target:
    """The busy program, and the word in which it notes its longest gap."""

    def __init__(self, bench, where):
        self.file = open(where / "shared", "w+b")
        self.file.write(bytes(4096))
        self.file.flush()
        self.shared = mmap.mmap(self.file.fileno(), 4096)
        self.process = subprocess.Popen(
            [bench.args.python, "-c", PROGRAM, str(where / "shared"), str(OBJECTS), str(where), str(THREADS)],
            env=bench.bare)
        while not struct.unpack_from("d", self.shared, 8)[0]:
            if self.process.poll() is not None:
                raise SystemExit("bench: the program to attach to ended")
            time.sleep(0.01)
        time.sleep(0.05)

    def reset(self):
        struct.pack_into("d", self.shared, 0, 0.0)

    def longest_ms(self):
        return 1e3 * struct.unpack_from("d", self.shared)[0]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.shared.close()
        self.file.close()


def one_attach(bench, build, where):
    """{"attach": held ms, "detach": held ms, "gap": ms, "quiet": ms} of one process."""
    target = Target(bench, where)
    try:
        target.reset()
        time.sleep(0.3)
        found = {"quiet": target.longest_ms()}
        target.reset()
        done = subprocess.run([str(build / "imptrace"), "attach", str(target.process.pid), "--backend=inject",
                               "-v", "--duration=0.2", "-o", str(where / "trace.zst")], env=bench.bare,
                              stderr=subprocess.PIPE, universal_newlines=True)
        found["gap"] = target.longest_ms()
        for what, ms in re.findall(r"(attach|detach): thread \d+ was held for ([\d.]+) ms", done.stderr):
            found[what] = float(ms)
        if done.returncode or len(found) != 4 or target.process.poll() is not None:
            raise SystemExit("bench: attach ended with %d: %s" % (done.returncode, done.stderr))
        return found
    finally:
        target.close()


def run(bench, build, rounds):
    where = bench.work / "attach"
    where.mkdir()
    make_objects(where)
    found = [one_attach(bench, build, where) for _ in range(rounds)]
    for what, text in (("attach", "a thread was held, attach"), ("detach", "a thread was held, detach"),
                       ("gap", "longest gap of a busy loop"), ("quiet", "the same without an attach")):
        values = [f[what] for f in found]
        late = sorted(values)[len(values) * 95 // 100] if rounds > 1 else values[0]
        print("%-42s min %.2f, median %.2f, 95 %% %.2f, max %.2f ms, n=%d" % (
            text, min(values), statistics.median(values), late, max(values), rounds), flush=True)
    held = [f[what] for f in found for what in ("attach", "detach")]
    bench.report("attach", statistics.median(f["attach"] for f in found), rounds, {})
    bench.report("attach_max", max(held), len(held), {})
