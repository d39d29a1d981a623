# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the kernel's recording share."""
import subprocess

import pytest

PATIENCE = 60


@pytest.fixture
def bpf(lab):
    """lab, where this machine and this user can record through the kernel; else a skip that says why not."""
    trace = lab.root / "probe-check.zst"
    check = lab.command("run", "--bpf", "--no-preload", "-o", trace, "--", "/bin/true")
    # The kernel's verifier says "permission denied" of a program that it does not believe in: that is a bug of ours.
    assert "failed to load BPF skeleton 'imptrace_bpf': -13" not in check.text
    if check.returncode == 125:
        pytest.skip(check.text.strip().splitlines()[-1])
    assert check.returncode == 0, check.text
    return lab


def record(lab, argv, *options, env=None, cwd=None):
    """`imptrace run OPTIONS -- ARGV`: the Run, with its trace."""
    trace = lab.new_trace()
    run = lab.command("run", *options, "-o", trace, "--", *argv, env=env, cwd=cwd)
    run.trace = trace
    return run


def kinds(events, *wanted):
    return [event for event in events if event["kind"] in wanted]


SERVER = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    try:
        __import__(line.strip())
        print("ok", flush=True)
    except ImportError as error:
        print(type(error).__name__, error, flush=True)
"""


class Server:
    """A Python that imports what it is told, and says what came of it."""

    def __init__(self, lab, path):
        self.process = subprocess.Popen([str(path), "-c", SERVER], env=lab.env(), cwd=lab.dir, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "ready\n"

    def load(self, name):
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(PATIENCE)


def attach(lab, pid, trace, *options):
    process = subprocess.Popen([str(lab.build.command), "attach", str(pid), "--backend=bpf", "-o", str(trace), *options],
                               env=lab.env(), cwd=lab.dir, stderr=subprocess.PIPE, text=True)
    said = process.stderr.readline()
    assert "recording PID %d" % pid in said, said
    return process
