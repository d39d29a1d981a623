# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one program bare and traced, and reads back what imptrace made of it.

The bare run is the judge: whatever a program prints or returns without the recorder, it must
print and return with it.  Only what differs between two bare runs too is normalised.
"""
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import report_schema

TIMEOUT = 60
REPO = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = REPO / "tests" / "fixtures"


def normalise(data: bytes) -> bytes:
    """The one place where output is normalised: addresses differ between two bare runs too."""
    return re.sub(rb"0x[0-9a-fA-F]{4,16}", b"0xADDR", data)


@dataclasses.dataclass
class Run:
    """How one run of a program ended."""
    argv: list
    returncode: int
    stdout: bytes
    stderr: bytes
    trace: pathlib.Path = None

    @property
    def text(self):
        return self.stderr.decode("utf-8", "surrogateescape")

    def last_error(self):
        """(type, message) of the last traceback on stderr, as the user read it."""
        tail = ("\n" + self.text).rpartition("\nTraceback (most recent call last):\n")
        # Frames are indented; what follows them is the exception, to the very end.
        match = re.search(r"^([A-Za-z_][\w.]*)(?:: (.*))?\Z", tail[2][:-1], re.M | re.S)
        if not tail[1] or not match:
            return None
        # The hint is the traceback's, and no part of the exception's message.
        return match.group(1), re.sub(r"\. Did you mean: '[^']*'\?$", "", match.group(2) or "")


def same(bare, traced):
    """Assert that the recorder changed nothing that can be seen."""
    assert traced.returncode == bare.returncode, (
        "exit status differs: bare %r, traced %r\n%s" % (bare.returncode, traced.returncode,
                                                        traced.text))
    assert normalise(traced.stdout) == normalise(bare.stdout), "stdout differs"
    assert normalise(traced.stderr) == normalise(bare.stderr), "stderr differs"


class Build:
    """The products under test."""

    def __init__(self, where):
        self.dir = pathlib.Path(where)
        self.command = self.dir / "imptrace"
        self.preload = self.dir / "libimptrace.so"

    def missing(self):
        return [str(p) for p in (self.command, self.preload) if not p.exists()]


class Lab:
    """One test's own directory, home and search path; programs run in it, bare and traced."""

    def __init__(self, root, build, bare_only=False):
        self.root = pathlib.Path(root)
        self.bare_only = bare_only
        self.build = build
        self.preload = build.preload
        self.dir = self.root / "work"
        self.site = self.root / "site"
        self.home = self.root / "home"
        for path in (self.dir, self.site, self.home):
            path.mkdir(exist_ok=True)
        self.traces = 0
        self.popen = {}			# for every program of this lab, e.g. user=

    # -- files ----------------------------------------------------------------------------
    def write(self, where, text="", mode=None):
        """Write a file below the work directory (or at an absolute path); returns its path."""
        path = self.dir / where
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text, encoding="utf-8")
        if mode is not None:
            path.chmod(mode)
        return path

    def module(self, name, text=""):
        """Write a module (or `pkg/__init__`) on the search path."""
        return self.write(self.site / (name + ".py"), text)

    def env(self, **extra):
        """A small environment of our own: nothing of the caller's steers the imports."""
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(self.site),
        }
        for sanitizer in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if sanitizer in os.environ:
                env[sanitizer] = os.environ[sanitizer]
        # An imptrace that is built with the sanitizers is itself preloaded into by some tests.
        env["ASAN_OPTIONS"] = ":".join(filter(None, [env.get("ASAN_OPTIONS"),
                                                     "verify_asan_link_order=0"]))
        for key, value in extra.items():
            env.pop(key, None)
            if value is not None:
                env[key] = value
        return env

    # -- running --------------------------------------------------------------------------
    def execute(self, argv, env, cwd=None, stdin=b"", timeout=TIMEOUT, **popen):
        argv = [str(a) if not isinstance(a, bytes) else a for a in argv]
        done = subprocess.run(argv, env=env, cwd=str(cwd or self.dir), input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                              **dict(self.popen, **popen))
        return Run(argv, done.returncode, done.stdout, done.stderr)

    def bare(self, argv, env=None, prepare=None, **kw):
        """Run without the recorder."""
        if prepare:
            prepare()
        return self.execute(argv, self.env() if env is None else env, **kw)

    def require_build(self):
        """Here a --bare-only run ends."""
        if self.bare_only:
            pytest.skip("bare run only")

    def recorder_env(self, env, trace, **variables):
        """@env with the recorder in it."""
        self.require_build()
        env = dict(env)
        env["LD_PRELOAD"] = str(self.preload)
        if trace is not None:
            env["IMPTRACE_OUTPUT"] = str(trace)
        env.update(variables)
        return env

    def new_trace(self):
        self.traces += 1
        return self.root / ("trace-%d.zst" % self.traces)

    def recorded(self, argv, env=None, prepare=None, trace=None, variables=(), **kw):
        """Run with the recorder, without comparing; most tests want traced()."""
        if prepare:
            prepare()
        trace = trace or self.new_trace()
        env = self.recorder_env(self.env() if env is None else env, trace, **dict(variables))
        run = self.execute(argv, env, **kw)
        run.trace = pathlib.Path(trace)
        return run

    def traced(self, argv, env=None, prepare=None, bare=None, **kw):
        """Run bare, run traced, assert that both are the same; returns the traced run."""
        if bare is None:
            common = {k: v for k, v in kw.items() if k not in ("trace", "variables")}
            bare = self.bare(argv, env, prepare, **common)
        run = self.recorded(argv, env, prepare, **kw)
        same(bare, run)
        return run

    # -- reading --------------------------------------------------------------------------
    def command(self, *args, env=None, cwd=None, stdin=b"", prefix=()):
        """Run the imptrace command; returns the Run."""
        self.require_build()
        argv = [*prefix, str(self.build.command), *map(str, args)]
        done = subprocess.run(argv, env=self.env() if env is None else env,
                              cwd=str(cwd or self.dir), input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=TIMEOUT)
        return Run(argv, done.returncode, done.stdout, done.stderr)

    def analyze(self, trace, *args, **kw):
        """(exit status, checked report) of `imptrace analyze --format=json`."""
        run = self.command("analyze", "--format=json", *args, trace, **kw)
        assert run.returncode in (0, 1), "analyze ended with %r: %s" % (run.returncode, run.text)
        report = json.loads(run.stdout.decode("utf-8"))
        report_schema.check(report)
        fatal = any(f["outcome"] == "fatal" for f in report["findings"])
        assert run.returncode == (1 if fatal else 0), (
            "exit status %d, but the findings are %s" % (
                run.returncode, [(f["module"], f["outcome"]) for f in report["findings"]]))
        return run.returncode, report

    def analyze_text(self, trace, *args, **kw):
        """The text answer; its width is checked here, for every test."""
        run = self.command("analyze", "--color=never", *args, trace, **kw)
        assert run.returncode in (0, 1), "analyze ended with %r: %s" % (run.returncode, run.text)
        run.answer = run.stdout.decode("utf-8", "surrogateescape")
        return run

    def dump(self, trace, *args, **kw):
        """Every event of the trace, as dicts."""
        run = self.command("dump", "--format=json", *args, trace, **kw)
        assert run.returncode == 0, "dump ended with %r: %s" % (run.returncode, run.text)
        return [json.loads(line) for line in run.stdout.decode("utf-8").splitlines()]

    def raw(self, trace):
        """The decompressed trace, by zstd itself: proves that the file is a valid .zst."""
        done = subprocess.run(["zstd", "-dcq", str(trace)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        assert done.returncode == 0, "zstd -dc: " + done.stderr.decode()
        return done.stdout


def finding_of(report, module):
    """The finding of one module; fails with the list of those that are there.

    None is the module of a failed dlopen that no import asked for."""
    modules = (module,) if isinstance(module, str) or module is None else tuple(module)
    for finding in report["findings"]:
        if finding["module"] in modules:
            return finding
    raise AssertionError("no finding for %s; there are: %s" % (
        modules, [(f["module"], f["cause"], f["outcome"]) for f in report["findings"]]))


def need(tool):
    """Path of a tool, or a skip with its reason."""
    path = shutil.which(tool)
    if not path:
        pytest.skip("needs " + tool)
    return path
