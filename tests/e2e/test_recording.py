# SPDX-License-Identifier: GPL-2.0-or-later
"""The recording contract: the variables, where the trace goes, what it may not hold."""
import os
import re
import signal
import stat
import subprocess
import time

import pytest

import interpreters

FAIL = "import surely_absent_17"
WORK = "import json; print(json.dumps([17]))"


# -- the variables --------------------------------------------------------------------------
GOOD = [("IMPTRACE_STACKS", ("none", "failures", "all")),
        ("IMPTRACE_DLSYM", ("none", "failures", "all")),
        ("IMPTRACE_FOLLOW", ("0", "1")),
        ("IMPTRACE_LEVEL", ("1", "3", "19"))]


@pytest.mark.parametrize("name,value", [(n, v) for n, values in GOOD for v in values])
def test_good_value(lab, debian, name, value):
    run = lab.traced([debian.path, "-c", FAIL], variables={name: value})
    status, report = lab.analyze(run.trace)
    assert status == 1
    assert report["findings"][0]["module"] == "surely_absent_17"
    lab.raw(run.trace)


BAD = [("IMPTRACE_STACKS", ("", "some", "ALL", "all ", "none,all", "1")),
       ("IMPTRACE_DLSYM", ("", "yes", "Failures")),
       ("IMPTRACE_FOLLOW", ("", "2", "yes", "-1", "01x")),
       ("IMPTRACE_LEVEL", ("", "0", "20", "-3", "three", "3x", "99999999999999999999", " 3"))]


@pytest.mark.parametrize("name,value", [(n, v) for n, values in BAD for v in values])
def test_bad_value(lab, debian, name, value):
    """One line on stderr that starts `imptrace:`; the program runs on as if it were bare."""
    argv = [debian.path, "-c", WORK]
    bare = lab.bare(argv)
    run = lab.recorded(argv, variables={name: value})
    assert run.returncode == bare.returncode and run.stdout == bare.stdout
    if value == "" and not run.stderr:
        return			# an empty variable may count as unset
    one_line(run, bare, name)


def one_line(run, bare, *words):
    extra = run.stderr.decode("utf-8", "replace")
    assert extra.endswith(bare.stderr.decode()), extra
    extra = extra[:len(extra) - len(bare.stderr)]
    lines = extra.splitlines()
    assert len(lines) == 1, "want one line, got %r" % extra
    assert lines[0].startswith("imptrace:"), lines
    for word in words:
        assert word in lines[0], lines


def test_bad_value_is_told_once_in_a_tree(lab, debian):
    """Children inherit the bad value; one line is enough for each process at most."""
    child = "import subprocess, sys; subprocess.call([sys.executable, '-c', 'pass'])"
    run = lab.recorded([debian.path, "-c", child], variables={"IMPTRACE_LEVEL": "x"})
    assert run.returncode == 0
    lines = run.text.splitlines()
    assert 1 <= len(lines) <= 2 and all(x.startswith("imptrace:") for x in lines)


def test_level_makes_it_smaller(lab, debian):
    code = "import asyncio, email.mime.text, http.server, unittest.mock"
    sizes = [lab.recorded([debian.path, "-c", code],
                          variables={"IMPTRACE_LEVEL": v}).trace.stat().st_size
             for v in ("1", "19")]
    assert sizes[1] <= sizes[0]


# Where a stack is kept is the recorder's affair; the report tells whether there was one.
@pytest.mark.parametrize("value", ["none", "failures", "all"])
def test_stacks(lab, debian, value):
    interpreters.extension(debian, "init-failed/failing.c", "device_17", lab.site,
                           NEEDS="firmware_17")
    run = lab.traced([debian.path, "-c", "import device_17"], variables={"IMPTRACE_STACKS": value})
    finding = lab.analyze(run.trace)[1]["findings"][0]
    assert finding["module"] == "firmware_17"
    stack = finding["native_stack"]		# with "none": what the loads tell, without offsets
    assert all(n["offset"] is None for n in stack) if value == "none" else stack
    assert [i["file"] for i in finding["importers"]] == ["<string>"]


def test_dlsym_levels(lab, debian):
    """Which dlsym look-ups are recorded: of the one that fails, and of PyInit__ctypes."""
    script = lab.write("looks.py", "import ctypes\ntry:\n    ctypes.CDLL(None).absent_symbol_17"
                       "\nexcept AttributeError:\n    print('absent')\n")
    held = {}
    for value in ("none", "failures", "all"):
        run = lab.traced([debian.path, script], variables={"IMPTRACE_DLSYM": value})
        events = [str(e) for e in lab.dump(run.trace) if "dlsym" in str(e["kind"])]
        held[value] = tuple(any(name in e for e in events)
                            for name in ("absent_symbol_17", "PyInit__ctypes"))
    assert held == {"none": (False, False), "failures": (True, False), "all": (True, True)}


# -- where the trace goes -------------------------------------------------------------------
def test_default_name(lab, debian):
    env = lab.recorder_env(lab.env(), None)
    assert lab.execute([debian.path, "-c", FAIL], env).returncode == 1
    assert lab.analyze("trace.zst")[0] == 1
    status, report = lab.analyze(lab.dir / "trace.zst")
    assert report["findings"][0]["module"] == "surely_absent_17"


def test_default_directory_is_where_the_first_process_started(lab, debian):
    elsewhere = lab.root / "elsewhere"
    elsewhere.mkdir()
    code = ("import os, subprocess, sys\nos.chdir(%r)\nsubprocess.call([sys.executable, '-c', "
            "'import surely_absent_17'], stderr=subprocess.DEVNULL)" % str(elsewhere))
    env = lab.recorder_env(lab.env(), None)
    assert lab.execute([debian.path, "-c", code], env).returncode == 0
    assert os.listdir(elsewhere) == []
    _, report = lab.analyze(lab.dir / "trace.zst")
    assert len(report["processes"]) == 2
    assert report["findings"][0]["module"] == "surely_absent_17"


def test_old_trace_is_kept(lab, debian):
    trace = lab.root / "named.zst"
    lab.traced([debian.path, "-c", "import first_17"], trace=trace)
    first = trace.read_bytes()
    lab.recorded([debian.path, "-c", "import second_17"], trace=trace)
    assert (lab.root / "named.zst.old").read_bytes() == first
    assert lab.analyze(trace)[1]["findings"][0]["module"] == "second_17"
    lab.recorded([debian.path, "-c", "import third_17"], trace=trace)
    old = lab.analyze(str(trace) + ".old")[1]["findings"]
    assert [f["module"] for f in old] == ["second_17"]
    assert sorted(p.name for p in lab.root.glob("named.zst*")) == ["named.zst", "named.zst.old"]


def test_percent_p(lab, debian):
    code = "import os, subprocess, sys\nprint(os.getpid(), flush=True)\n" \
           "subprocess.call([sys.executable, '-c', 'import os; print(os.getpid())'])"
    run = lab.recorded([debian.path, "-c", code], trace=lab.root / "t-%p.zst")
    pids = run.stdout.split()
    assert len(pids) == 2
    names = sorted(p.name for p in lab.root.glob("t-*.zst"))
    assert names == sorted("t-%s.zst" % pid.decode() for pid in pids)
    for pid in pids:
        _, report = lab.analyze(lab.root / ("t-%s.zst" % pid.decode()))
        assert [p["pid"] for p in report["processes"]] == [int(pid)]


def test_mode(lab, debian):
    for mask in (0o000, 0o022, 0o377):
        run = lab.recorded([debian.path, "-c", "pass"], umask=mask)
        assert stat.S_IMODE(run.trace.stat().st_mode) & 0o177 == 0
        if mask != 0o377:
            assert stat.S_IMODE(run.trace.stat().st_mode) == 0o600


def test_symbolic_link_is_refused(lab, debian):
    victim = lab.root / "victim"
    victim.write_bytes(b"precious")
    trace = lab.root / "link.zst"
    trace.symlink_to(victim)
    argv = [debian.path, "-c", WORK]
    bare = lab.bare(argv)
    run = lab.recorded(argv, trace=trace)
    assert victim.read_bytes() == b"precious"
    assert run.stdout == bare.stdout and run.returncode == 0
    if run.stderr:
        one_line(run, bare)
    else:			# moved away to link.zst.old, as an older trace is
        assert not trace.is_symlink() and lab.analyze(trace)[0] == 0


def test_follow_0(lab, debian):
    code = "import subprocess, sys\nsubprocess.call([sys.executable, '-c', 'import child_17'])" \
           "\nimport parent_17"
    run = lab.traced([debian.path, "-c", code], variables={"IMPTRACE_FOLLOW": "0"})
    _, report = lab.analyze(run.trace)
    assert len(report["processes"]) == 1
    assert [f["module"] for f in report["findings"]] == ["parent_17"]
    run = lab.traced([debian.path, "-c", code], variables={"IMPTRACE_FOLLOW": "1"})
    _, report = lab.analyze(run.trace)
    assert len(report["processes"]) == 2
    assert sorted(f["module"] for f in report["findings"]) == ["child_17", "parent_17"]


# -- what it may not hold -------------------------------------------------------------------
def test_secrets_stay_out(lab, debian):
    """Only the variables that steer loading are recorded."""
    secrets = {"AWS_SECRET_ACCESS_KEY": "hunter2-17-aws", "DATABASE_URL": "hunter2-17-db",
               "MY_TOKEN": "hunter2-17-token", "PYTHON_TOKEN_NOT": "kept-if-python",
               "SSH_AUTH_SOCK": "hunter2-17-ssh"}
    env = lab.env(**secrets)
    code = "import subprocess, sys\nsubprocess.call([sys.executable, '-c', 'import no_17'])"
    run = lab.traced([debian.path, "-c", code], env, variables={"IMPTRACE_STACKS": "all"})
    raw = lab.raw(run.trace)
    assert b"hunter2" not in raw
    for name in ("AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "MY_TOKEN", "SSH_AUTH_SOCK"):
        assert name.encode() not in raw
    assert str(lab.site).encode() in raw, "PYTHONPATH steers loading, and is recorded"
    assert b"PYTHONPATH" in raw


def test_steering_variables_are_there(lab, debian):
    env = lab.env(VIRTUAL_ENV="/opt/venv-17", CONDA_PREFIX="/opt/conda-17",
                  LD_LIBRARY_PATH="/opt/lib-17", PYTHONNOUSERSITE="1")
    run = lab.traced([debian.path, "-c", "pass"], env)
    raw = lab.raw(run.trace)
    for held in (b"/opt/venv-17", b"/opt/conda-17", b"/opt/lib-17", b"PYTHONNOUSERSITE"):
        assert held in raw, held


# -- valid at every moment ------------------------------------------------------------------
def test_after_sigkill(lab, debian):
    """A failed import is on disk before the call returns; a killed process loses none."""
    code = "import os, signal\ntry:\n    import gone_17\nexcept ImportError:\n    pass\n" \
           "os.kill(os.getpid(), signal.SIGKILL)"
    run = lab.traced([debian.path, "-c", code])
    assert run.returncode == -signal.SIGKILL
    lab.raw(run.trace)
    _, report = lab.analyze(run.trace, "--all")
    assert "gone_17" in [f["module"] for f in report["findings"]]
    assert report["complete"] is False
    assert report["notes"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGSEGV", "SIGABRT"])
def test_ended_by_signal(lab, debian, name):
    code = "import os, signal\nos.kill(os.getpid(), signal.%s)" % name
    run = lab.traced([debian.path, "-c", code])
    assert run.returncode == -getattr(signal, name)
    lab.raw(run.trace)
    _, report = lab.analyze(run.trace)
    exit_of = report["processes"][0]["exit"]
    assert exit_of["signal"] in (None, int(getattr(signal, name)))
    assert exit_of["code"] is None


@pytest.mark.parametrize("call", ["os._exit(17)", "os.abort()",
                                  "os.execv('/bin/sh', ['sh', '-c', 'exit 17'])"])
def test_ends_without_ceremony(lab, debian, call):
    code = "import os\ntry:\n    import gone_17\nexcept ImportError:\n    pass\n" + call
    run = lab.traced([debian.path, "-c", code])
    lab.raw(run.trace)
    _, report = lab.analyze(run.trace, "--all")
    assert "gone_17" in [f["module"] for f in report["findings"]]


def test_valid_while_it_runs(lab, debian):
    """Read it again and again while the program writes it."""
    trace = lab.root / "live.zst"
    code = "import time\nfor i in range(43):\n    try:\n        __import__('gone_%d' % i)\n" \
           "    except ImportError:\n        time.sleep(0.02)"
    env = lab.recorder_env(lab.env(), trace)
    with subprocess.Popen([debian.path, "-c", code], env=env, cwd=str(lab.dir)) as running:
        reads = 0
        while running.poll() is None:
            if trace.exists() and trace.stat().st_size:
                lab.raw(trace)
                reads += 1
            time.sleep(0.03)
    assert reads > 3
    _, report = lab.analyze(trace, "--all")
    assert sum(f["module"].startswith("gone_") for f in report["findings"]) == 43
    assert running.returncode == 0 and not re.search("damaged", " ".join(report["notes"]))
