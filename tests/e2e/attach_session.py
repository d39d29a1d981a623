# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that run while a test attaches to them, and `imptrace attach` itself."""
import os
import re
import select
import signal
import subprocess
import time

import pytest

TIMEOUT = 60


def read_line(stream, timeout=TIMEOUT):
    """One line of a pipe; fails where none comes."""
    line = b""
    end = time.monotonic() + timeout
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], max(0, end - time.monotonic()))
        assert ready, "no line came in %d s, but %r" % (timeout, line)
        byte = os.read(stream.fileno(), 1)
        if not byte:
            break
        line += byte
    return line.decode("utf-8", "surrogateescape").rstrip("\n")


class Target:
    """A running program that says "ready", reads lines and answers them."""

    def __init__(self, lab, argv, env=None, prefix=(), wait=True, **popen):
        self.lab = lab
        self.process = subprocess.Popen([*map(str, prefix), *map(str, argv)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        cwd=str(lab.dir), env=lab.env() if env is None else env,
                                        **dict(lab.popen, **popen))
        self.pid = self.process.pid
        if wait:
            self.expect("ready")

    def expect(self, wanted):
        line = read_line(self.process.stdout)
        assert line == wanted, "%r, not %r; it %s" % (
            line, wanted, "ended with %r: %s" % (self.process.wait(5), self.process.stderr.read())
            if not line else "goes on")

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, line):
        self.say(line)
        return read_line(self.process.stdout)

    def alive(self):
        return self.process.poll() is None

    def end(self, expected=0):
        """Let it come to its own end; returns what it said last."""
        out, err = self.process.communicate(timeout=TIMEOUT)
        assert self.process.returncode == expected, (self.process.returncode, out[-500:], err)
        return out.decode("utf-8", "surrogateescape").strip()

    def close(self):
        if self.alive():
            self.process.kill()
        self.process.wait(TIMEOUT)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- what can be seen of it from outside --------------------------------------------------
    def status(self, name):
        with open("/proc/%d/status" % self.pid) as lines:
            return re.search(r"^%s:\s*(.*)$" % name, lines.read(), re.M).group(1)

    def memfds(self):
        """The numbers of descriptors that are memory files of ours."""
        found = []
        for number in os.listdir("/proc/%d/fd" % self.pid):
            try:
                if "memfd:imptrace" in os.readlink("/proc/%d/fd/%s" % (self.pid, number)):
                    found.append(number)
            except OSError:
                pass
        return found

    def mapped(self):
        """Names of what is mapped of ours."""
        with open("/proc/%d/maps" % self.pid) as lines:
            return {m.group(1) for m in re.finditer(r"/memfd:(imptrace-\w+)", lines.read())}


class Attached:
    """`imptrace attach PID`, from the moment at which it records."""

    def __init__(self, lab, pid, *args, trace=None, env=None, prefix=(), wait=True, **popen):
        lab.require_build()
        self.lab = lab
        self.trace = trace or lab.new_trace()
        self.process = subprocess.Popen(
            [*map(str, prefix), str(lab.build.command), "attach", str(pid), "--backend=inject", "-o",
             str(self.trace), *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=lab.env() if env is None else env, cwd=str(lab.dir), **popen)
        self.said = []
        if wait:
            # Before 3.7 a program of one thread has no GIL to be taken: the hooks come in when it next runs.
            single = "python3.6" in os.readlink("/proc/%d/exe" % pid)
            self.wait_for("recording PID", *["recording what process"][:single])

    def wait_for(self, *texts):
        """Until it says so; skips where this machine forbids it."""
        while True:
            line = read_line(self.process.stderr)
            self.said.append(line)
            if any(text in line for text in texts):
                return line
            if not line:
                self.process.wait(TIMEOUT)
                message = "\n".join(self.said)
                if re.search(r"container may not trace|lets nobody trace|lets only root", message):
                    pytest.skip("this machine forbids tracing: " + message)
                raise AssertionError("attach ended with %r: %s" % (self.process.returncode, message))

    def end(self, signum=signal.SIGINT, status=0):
        """End the recording; returns the trace."""
        if signum:
            self.process.send_signal(signum)
        out, err = self.process.communicate(timeout=TIMEOUT)
        self.said += err.decode("utf-8", "surrogateescape").splitlines()
        assert self.process.returncode == status, (self.process.returncode, self.said)
        self.stdout = out
        return self.trace

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(TIMEOUT)
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def refusal(lab, pid, *args, prefix=(), env=None):
    """The one sentence with which an attach is refused, at once, with status 3."""
    run = lab.command("attach", pid, "--backend=inject", "-o", lab.new_trace(), *args, prefix=prefix,
                      env=env)
    assert run.returncode == 3, (run.returncode, run.text)
    assert run.text.startswith("imptrace attach: ") and run.text.count("\n") == 1, run.text
    assert not list(lab.root.glob("trace-*.zst")), "a refused attach leaves no trace"
    return run.text[len("imptrace attach: "):].strip()


def events(lab, trace, kind):
    return [e for e in lab.dump(trace) if e["kind"] == kind]
