# SPDX-License-Identifier: GPL-2.0-or-later
"""`imptrace run`: the end that it adds to the trace, what cannot be recorded, job control, and what is refused."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

FAIL = "import surely_absent_17"


def one_sentence(run, status):
    assert run.returncode == status, (run.returncode, run.text)
    lines = run.text.splitlines()
    assert len(lines) == 1 and lines[0].startswith("imptrace"), run.text
    return lines[0]


def waits(lab, trace):
    return [e for e in lab.dump(trace) if e["kind"] == "wait"]


# -- how it ended ---------------------------------------------------------------------------
def test_exit_status_is_in_the_trace(lab):
    lab.command("run", "/bin/sh", "-c", "/bin/true; exit 17")
    events = lab.dump("trace.zst")
    first = next(e for e in events if e["kind"] == "header")
    assert [(w["pid"], w["code"]) for w in waits(lab, "trace.zst")] == [(first["pid"], 17)]
    report = lab.analyze("trace.zst")[1]
    process = next(p for p in report["processes"] if p["pid"] == first["pid"])
    assert process["exit"] == {"code": 17, "signal": None}
    assert len(report["processes"]) == 2, "imptrace itself is no process of the program"


def test_signal_is_in_the_trace(lab, debian):
    code = "import os, wave; os.kill(os.getpid(), 9)"
    assert lab.command("run", debian.path, "-c", code).returncode == 137
    assert [w["signal"] for w in waits(lab, "trace.zst")] == [9]
    report = lab.analyze("trace.zst")[1]
    assert report["processes"][0]["exit"] == {"code": None, "signal": 9}


def test_a_file_for_each_process(lab):
    """%p: the end goes into COMMAND's own file."""
    lab.command("run", "-o", "t-%p.zst", "/bin/sh", "-c", "(/bin/true); /bin/true; exit 3")
    files = sorted(lab.dir.glob("t-*.zst"))
    assert len(files) >= 3
    ends = [(f, w) for f in files for w in waits(lab, f)]
    assert len(ends) == 1 and ends[0][1]["code"] == 3
    assert ends[0][0].name == "t-%d.zst" % ends[0][1]["pid"]


def test_percent_and_space_in_names(lab):
    where = lab.dir / "50%p %s"
    where.mkdir()
    run = lab.command("run", "-o", "a b.zst", "/bin/sh", "-c", "exit 5", cwd=where)
    assert (run.returncode, run.stderr) == (5, b"")
    assert [w["code"] for w in waits(lab, where / "a b.zst")] == [5]


def test_an_older_trace_is_left_alone(lab):
    """Where COMMAND records nothing, nothing is added to the trace of yesterday's run."""
    lab.command("run", "/bin/true")
    before = (lab.dir / "trace.zst").read_bytes()
    assert lab.command("run", "surely-absent-command-17").returncode == 127
    static = static_program(lab, "int main(void) { return 7; }")
    assert lab.command("run", static).returncode == 7
    assert (lab.dir / "trace.zst").read_bytes() == before
    assert not (lab.dir / "trace.zst.old").exists()


# -- standard output ------------------------------------------------------------------------
def test_to_standard_output(lab, debian):
    tmp = lab.root / "tmp"
    tmp.mkdir()
    run = lab.command("run", "-o", "-", debian.path, "-c", FAIL, env=lab.env(TMPDIR=str(tmp)))
    assert run.returncode == 1
    status, report = lab.analyze("-", stdin=run.stdout)
    assert (status, report["findings"][0]["module"]) == (1, "surely_absent_17")
    assert list(tmp.iterdir()) == [] and not (lab.dir / "trace.zst").exists()


def test_to_a_full_standard_output(lab):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(lab.build.command), "run", "-o", "-", "/bin/true"], stdout=full,
                              stderr=subprocess.PIPE, cwd=str(lab.dir), env=lab.env())
    assert done.returncode == 125
    assert done.stderr.startswith(b"imptrace run: the trace cannot be written")


# -- what cannot be recorded ----------------------------------------------------------------
def static_program(lab, source, name="static_17"):
    lab.write(name + ".c", source)
    done = subprocess.run(["gcc", "-static", "-o", str(lab.dir / name), str(lab.dir / (name + ".c"))],
                          stderr=subprocess.PIPE)
    if done.returncode:
        pytest.skip("gcc -static does not work here: " + done.stderr.decode().splitlines()[-1])
    return lab.dir / name


def test_static_command(lab):
    static = static_program(lab, "int main(void) { return 7; }")
    sentence = one_sentence(lab.command("run", static), 7)
    assert "statically linked" in sentence and "static_17" in sentence
    assert not (lab.dir / "trace.zst").exists()


def test_static_command_by_name_and_script(lab):
    static = static_program(lab, "int main(void) { return 7; }")
    env = lab.env()
    env["PATH"] = "%s:%s" % (lab.dir, env["PATH"])
    assert "statically linked" in one_sentence(lab.command("run", "static_17", env=env), 7)
    lab.write("script", "#! %s -x\n" % static, mode=0o755)
    assert "statically linked" in one_sentence(lab.command("run", "./script"), 7)


def test_static_command_whose_children_are_recorded(lab):
    static = static_program(lab, "#include <stdlib.h>\nint main(void) { system(\"/bin/true\"); return 7; }")
    one_sentence(lab.command("run", static), 7)
    events = lab.dump("trace.zst")
    assert [e["code"] for e in events if e["kind"] == "wait"] == [7]
    assert any("/true" in str(e.get("exe")) for e in events if e["kind"] == "process")


def test_setuid_command(lab):
    if os.geteuid() != 0:
        pytest.skip("needs root to make a setuid program of another user")
    shutil.copy("/bin/true", str(lab.dir / "suid_17"))
    os.chown(str(lab.dir / "suid_17"), 65534, -1)
    os.chmod(str(lab.dir / "suid_17"), 0o4755)
    assert "setuid" in one_sentence(lab.command("run", "./suid_17"), 0)


# -- the recorder itself --------------------------------------------------------------------
def test_the_recorder_is_missing(lab):
    lab.require_build()
    shutil.copy(str(lab.build.command), str(lab.dir / "imptrace"))
    if pathlib.Path("/usr/local/lib/libimptrace.so").exists():
        pytest.skip("imptrace is installed here")
    done = subprocess.run(["./imptrace", "run", "/bin/echo", "ran"], cwd=str(lab.dir), env=lab.env(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"libimptrace.so" in done.stderr and done.stderr.count(b"\n") == 1


def test_a_path_that_ld_preload_cannot_name(lab):
    lab.require_build()
    where = lab.dir / "a b"
    where.mkdir()
    for file in (lab.build.command, lab.build.preload):
        shutil.copy(str(file), str(where))
    done = subprocess.run([str(where / "imptrace"), "run", "/bin/echo", "ran"], cwd=str(lab.dir),
                          env=lab.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"space" in done.stderr and done.stderr.count(b"\n") == 1


def test_a_run_in_a_run(lab):
    """The inner one is a run of its own."""
    inner = [str(lab.build.command), "run", "-o", "inner.zst", "/bin/sh", "-c", "exit 4"]
    run = lab.command("run", "-o", "outer.zst", *inner)
    assert (run.returncode, run.stderr) == (4, b"")
    assert [w["code"] for w in waits(lab, "inner.zst")] == [4]
    assert [w["code"] for w in waits(lab, "outer.zst")] == [4]
    first = {n: next(e for e in lab.dump(n) if e["kind"] == "header") for n in ("inner.zst", "outer.zst")}
    assert first["inner.zst"]["run_id"] != first["outer.zst"]["run_id"]


def test_the_environment_names_the_file(lab):
    lab.command("run", "/bin/true", env=lab.env(IMPTRACE_OUTPUT="named.zst"))
    assert (lab.dir / "named.zst").exists() and not (lab.dir / "trace.zst").exists()


# -- signals and jobs -----------------------------------------------------------------------
def shell(lab, script, timeout=20):
    """A shell with job control; $RUN is "imptrace run"."""
    lab.require_build()
    env = lab.env(RUN="%s run" % lab.build.command)
    # bash with job control and no terminal now and then ends at once, with status 0 and no word: with
    # env(1) in imptrace's place too (1 run in 24).
    for _ in range(5):
        done = subprocess.run(["/bin/bash", "-c", "set -m\n" + script], cwd=str(lab.dir), env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        if done.stdout:
            break
    return done.stdout.decode()


def test_a_program_that_stops_itself(lab):
    """The shell sees a stopped job, and fg goes on with it."""
    text = shell(lab, "$RUN /bin/sh -c 'kill -STOP $$; exit 5' & "
                      "for i in $(seq 100); do jobs | grep -q Stopped && break; sleep 0.05; done; "
                      "jobs | grep -c Stopped; kill -CONT %1; wait %1; echo status $?")
    assert text.split() == ["1", "status", "5"]


def test_a_stop_from_the_terminal(lab):
    text = shell(lab, "$RUN /bin/sh -c 'sleep 0.5; exit 6' & sleep 0.2; kill -TSTP %1; "
                      "for i in $(seq 100); do jobs | grep -q Stopped && break; sleep 0.05; done; "
                      "jobs | grep -c Stopped; kill -CONT %1; wait %1; echo status $?")
    assert text.split() == ["1", "status", "6"]


def test_a_stop_that_nobody_looks_after(lab):
    """Without a shell, whoever stopped the program continues it, and nobody would continue us."""
    code = "echo $$; kill -STOP $$; exit 8"
    with subprocess.Popen([str(lab.build.command), "run", "/bin/sh", "-c", code], cwd=str(lab.dir),
                          env=lab.env(), stdout=subprocess.PIPE, start_new_session=True) as running:
        pid = int(running.stdout.readline())
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if "\nState:\tT" in pathlib.Path("/proc/%d/status" % pid).read_text():
                break
            time.sleep(0.02)
        time.sleep(0.1)
        os.kill(pid, signal.SIGCONT)
        assert running.wait(10) == 8


def test_interrupt_from_the_terminal(lab, debian):
    """Control-C is the program's: imptrace waits for what it makes of it, and completes the trace."""
    code = "import time\ntry:\n    print('ready', flush=True)\n    time.sleep(9)\n" \
           "except KeyboardInterrupt:\n    raise SystemExit(9)\n"
    lab.write("prog.py", code)
    with subprocess.Popen([str(lab.build.command), "run", str(debian.path), "prog.py"],
                          cwd=str(lab.dir), env=lab.env(), stdout=subprocess.PIPE,
                          start_new_session=True) as running:
        assert running.stdout.readline() == b"ready\n"
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(10) == 9
    assert [w["code"] for w in waits(lab, "trace.zst")] == [9]


def test_ignored_signals_stay_ignored(lab):
    run = lab.command("run", "/bin/sh", "-c", "grep SigIgn /proc/self/status")
    bare = lab.bare(["/bin/sh", "-c", "grep SigIgn /proc/self/status"])
    assert run.stdout == bare.stdout
    text = shell(lab, "trap '' HUP; $RUN /bin/sh -c 'kill -HUP $PPID; kill -HUP $$; exit 3'; echo $?")
    assert text.split() == ["3"]


# -- wrong usage ----------------------------------------------------------------------------
def test_attach_wants_a_process(lab):
    assert lab.command("attach").returncode == 2
    assert lab.command("attach", "no-number").returncode == 2
    assert lab.command("attach", "1", "--backend=some").returncode == 2


def test_dump_is_in_the_order_of_time(lab):
    lab.command("run", "/bin/sh", "-c", "for i in 1 2 3; do /bin/true & done; wait; (exit 2)")
    run = lab.command("dump", "--format=json", "trace.zst")
    events = [json.loads(line) for line in run.stdout.splitlines()]
    times = [e["time_ns"] for e in events if e["kind"] != "header"]
    assert times == sorted(times) and events[0]["kind"] == "header"
    assert len({e["pid"] for e in events}) >= 4
