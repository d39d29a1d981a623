# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile content and hostile neighbours: what comes out of a real run with names, texts and files that somebody chose to
do harm, and what another user can do to who records."""
import json
import os
import re
import shutil
import stat
import subprocess
import sys

import pytest

import interpreters

RTL, LRI, C1 = "\u202e", "\u2066", "\x9b"
NAMES = ["<script>alert(17)</script>", "a&b\"c'd", "line\nbreak", "tab\tand\rreturn", "esc\x1b]0;title\x07",
         "rtl" + RTL + "gnp.exe", "iso" + LRI + "late", "c1" + C1 + "31m", "nul\\0", "$(touch pwned)", "`id`",
         "\u00e9\u4e2d\U0001f600", "../../etc/passwd", "%s%n%d", "a" * 300]
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def hostile_run(lab, debian):
    """A trace in which every name is a module's, a directory's, a message's, an argument's."""
    script = lab.write("main.py", "import os, sys\n"
                       "for name in %r:\n"
                       "    try:\n        os.makedirs('d/' + name.replace('/', '_')[:200])\n"
                       "    except OSError:\n        pass\n"
                       "    here = os.path.abspath('d/' + name.replace('/', '_')[:200])\n"
                       "    sys.path.insert(0, here)\n"
                       "    try:\n        __import__('gone_' + name)\n"
                       "    except (ImportError, ValueError):\n        pass\n"
                       "    with open(os.path.join(here, 'bad_17.py'), 'w') as out:\n"
                       "        out.write('raise ImportError(%%r)' %% name)\n"
                       "    sys.modules.pop('bad_17', None)\n"
                       "    try:\n        import bad_17\n    except ImportError:\n        pass\n"
                       "    with open(os.path.join(here, 'native_17.cpython-399-x86_64-linux-gnu.so'), 'w'):\n"
                       "        pass\n"
                       "    sys.path.remove(here)\n"
                       "sys.path.insert(0, here)\nimport native_17\n" % (NAMES,))
    run = lab.traced([debian.path, script, *[n for n in NAMES]])
    assert run.returncode == 1
    return run.trace


@pytest.mark.parametrize("args", [["analyze", "--color=never", "--all"], ["analyze", "--color=never"],
                                  ["analyze", "--color=never", "-m", NAMES[4]], ["dump"]], ids=" ".join)
def test_no_control_character_reaches_the_terminal(lab, hostile_run, args):
    run = lab.command(*args, hostile_run)
    assert run.returncode in (0, 1), run.text
    text = run.stdout.decode("utf-8")
    found = CONTROL.search(text)
    assert not found, "%r in %r" % (found.group(), text[found.start() - 60:found.start() + 20])
    assert not CONTROL.search(run.stderr.decode("utf-8").replace("\n", ""))
    assert len(text) > 500 or "-m" in args


def test_names_come_back_whole_in_json(lab, hostile_run):
    _, report = lab.analyze(hostile_run, "--all")
    modules = {f["module"] for f in report["findings"]}
    for name in NAMES:
        assert "gone_" + name in modules or "gone_" + name.split(".")[0] in modules, name
    messages = {f["error"]["message"] for f in report["findings"] if f["error"]}
    assert set(NAMES) <= messages
    assert report["processes"][0]["argv"][2:] == NAMES
    for line in lab.command("dump", "--format=json", hostile_run).stdout.decode().splitlines():
        json.loads(line)
    raw = lab.command("analyze", "--format=json", "--all", hostile_run).stdout
    assert all(c == 0x0a or c >= 0x20 for c in raw)


def test_commands_of_fixes_are_quoted(lab, hostile_run):
    """What a person may paste into a shell does one thing only."""
    _, report = lab.analyze(hostile_run, "--all")
    seen = 0
    for finding in report["findings"]:
        for fix in finding["fixes"]:
            command = fix["command"]
            if command is None:
                continue
            assert not CONTROL.search(command.replace("\n", "")), command
            done = subprocess.run(["/bin/bash", "-n", "-c", command], stderr=subprocess.PIPE)
            assert done.returncode == 0, (command, done.stderr)
            words = subprocess.run(["/bin/bash", "-c", "set -- " + command.split("&&")[0] +
                                    "; printf '%s\\0' \"$@\""], cwd=str(lab.dir), env=lab.env(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert not (lab.dir / "pwned").exists(), command
            seen += bool(words.stdout)
    assert seen > 0


# -- secrets --------------------------------------------------------------------------------
def test_no_secret_is_in_the_trace(lab, debian):
    """Planted wherever a program keeps them, in an environment, in memory, in files that it reads."""
    secret = "hunter2-%s-secret"
    interpreters.extension(debian, "init-failed/failing.c", "device_17", lab.site, NEEDS="firmware_17")
    lab.module("wallet_17", "TOKEN = %r\n# %s\ndef get(password=%r):\n    key = password\n    import gone_17\n" % (
        secret % "module", secret % "comment", secret % "default"))
    (lab.dir / "secrets.txt").write_text(secret % "file")
    script = lab.write("main.py", "import os, subprocess, sys\nos.environ['LATE'] = %r\n"
                       "held = open('secrets.txt').read()\ntyped = sys.stdin.read()\n"
                       "def login(password):\n    cookie = held + typed\n    try:\n        import wallet_17\n"
                       "        wallet_17.get()\n    except ImportError:\n        pass\n"
                       "    try:\n        import device_17\n    except ImportError:\n        pass\n"
                       "login(%r)\nsubprocess.check_call([sys.executable, '-c', 'try: import gone_19\\n"
                       "except ImportError: pass'], env=dict(os.environ, CHILD=%r))\n"
                       "import ctypes\ntry:\n    ctypes.CDLL('libgone_17.so')\nexcept OSError:\n    pass\n"
                       % (secret % "late", secret % "argument", secret % "child"))
    names = ["AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "XPYTHONPATH", "PATHX", "MYPATH", "HOMEPAGE", "LDX", "CONDAX",
             "VIRTUAL_ENV_PROMPT", "PS1", "GITHUB_TOKEN", "PIP_INDEX_URL", "http_proxy", "LC_SECRET"]
    env = lab.env(**{name: secret % name for name in names})
    for variables in ({"IMPTRACE_STACKS": "all"}, {"IMPTRACE_STACKS": "all", "IMPTRACE_LEVEL": "19"}):
        run = lab.traced([debian.path, script], env, stdin=(secret % "stdin").encode(), variables=variables)
        for data in (lab.raw(run.trace), run.trace.read_bytes()):	# the slots are not compressed
            assert b"hunter2" not in data, data[data.index(b"hunter2") - 200:][:300]
        assert b"gone_19" in lab.raw(run.trace) + run.trace.read_bytes()
        whole = lab.command("dump", run.trace).stdout + lab.command("analyze", "--all", run.trace).stdout
        # The analyzer shows the line of the source that asked, which is not in the trace.
        assert b"hunter2" not in lab.command("dump", "--format=json", run.trace).stdout
        assert secret.encode() % b"file" not in whole


# -- other users ----------------------------------------------------------------------------
ATTACKER = r"""
import os, sys, time
victim, names = sys.argv[1], sys.argv[2:]
print("ready", flush=True)
end = time.monotonic() + 60
while time.monotonic() < end and os.getppid() == %d:
    for name in names:
        for make in (lambda: os.symlink(victim, name), lambda: os.link(victim, name), lambda: os.mkfifo(name),
                     lambda: os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)),
                     lambda: os.mkdir(name)):
            try:
                make()
            except OSError:
                pass
            for take in (os.unlink, os.rmdir):
                try:
                    take(name)
                except OSError:
                    pass
"""


@pytest.mark.needs_root
@pytest.mark.parametrize("who", ["root", "user"])
def test_somebody_races_in_a_sticky_directory(public_lab, debian, who):
    """What the other makes under the trace's name is never written to, whatever the moment."""
    lab = public_lab
    sticky = lab.root / "sticky"
    sticky.mkdir()
    os.chmod(sticky, 0o1777)
    victim = lab.root / "victim"
    victim.write_bytes(b"precious")
    os.chmod(victim, 0o666)
    os.chown(victim, 65533, 65533)
    names = [str(sticky / "t.zst"), str(sticky / "t.zst.old")]
    argv = [debian.path, "-S", "-c", "try: import gone_17\nexcept ImportError: pass\nprint(17)"]
    attacker = subprocess.Popen([sys.executable, "-c", ATTACKER % os.getpid(), str(victim), *names], user=65533,
                                group=65533, extra_groups=[], stdout=subprocess.PIPE)
    try:
        attacker.stdout.readline()
        as_user = {"user": 65534, "group": 65534, "extra_groups": []} if who == "user" else {}
        written = 0
        for _ in range(37):
            run = lab.recorded(argv, trace=names[0], **as_user)
            assert (run.returncode, run.stdout) == (0, b"17\n")
            assert victim.read_bytes() == b"precious"
            assert all(line.startswith("imptrace: ") for line in run.text.splitlines()), run.text
            for name in names:
                try:
                    st = os.lstat(name)
                except FileNotFoundError:
                    continue
                if st.st_uid != 65533 and stat.S_ISREG(st.st_mode):
                    assert stat.S_IMODE(st.st_mode) == 0o600
                    written += st.st_size > 0
                    os.unlink(name)
    finally:
        attacker.kill()
        attacker.wait()
        attacker.stdout.close()


@pytest.mark.needs_root
def test_program_with_more_rights_is_left_alone(public_lab):
    """AT_SECURE, and we are loaded all the same: by /etc/ld.so.preload, as an administrator might do it."""
    lab = public_lab
    plain = lab.root / "plain"
    shutil.copy(interpreters.compile_c("adversity/secure.c", "-ldl"), plain)
    suid = lab.root / "suid"
    shutil.copy(plain, suid)
    os.chmod(plain, 0o755)
    os.chown(suid, 65533, 65533)
    os.chmod(suid, 0o4755)
    (lab.root / "upper").mkdir()
    mounts = ("mount -t tmpfs none {0}/upper && mkdir {0}/upper/u {0}/upper/w && "
              "mount -t overlay -o lowerdir=/etc,upperdir={0}/upper/u,workdir={0}/upper/w none /etc && "
              "echo {1} >/etc/ld.so.preload").format(lab.root, lab.preload)
    found, owners = {}, {}
    for program in (plain, suid):
        traces = lab.root / ("traces-" + program.name)
        traces.mkdir()
        os.chmod(traces, 0o777)
        # A child of its own for the program: with %p, what it writes is a file of its own, by its own user.
        done = subprocess.run(["/usr/bin/unshare", "-m", "/bin/sh", "-c",
                               "%s || exit 77; IMPTRACE_OUTPUT=%s/%%p.zst exec setpriv --reuid 65534 --regid 65534 "
                               "--clear-groups /bin/sh -c '%s; :'" % (mounts, traces, program)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=str(lab.dir), env=lab.env())
        if done.returncode == 77 or b"unshare" in done.stderr:
            pytest.skip("cannot mount over /etc here: " + done.stderr.decode())
        found[program.name] = done.stdout
        owners[program.name] = {path.stat().st_uid for path in traces.iterdir()}
    if found["suid"] != b"AT_SECURE=1\n":
        pytest.skip("set-user-id programs have no effect here")
    assert found["plain"] == b"AT_SECURE=0\n"
    assert 65534 in owners["plain"], "we were not loaded at all"
    assert not owners["suid"] & {65533, 65534}


# -- the analyzer without memory ------------------------------------------------------------
def test_allocation_fails(lab, build, hostile_run):
    """At whichever allocation the heap ends: an answer, or a sentence and exit status 2; no crash."""
    if b"__asan_init" in build.command.read_bytes() or b"__tsan_init" in build.command.read_bytes():
        pytest.skip("the sanitizers have a heap of their own")
    fewer = interpreters.compile_c("adversity/fewer.c", "-shared", "-fPIC")
    endings = {}
    for args in (["analyze", "--all"], ["analyze", "--format=json"], ["dump"]):
        for number in [*range(0, 40), *range(40, 400, 13), 503, 1009, 2003, 4001]:
            env = lab.env(LD_PRELOAD=fewer, FEWER=str(number))
            run = lab.command(*args, hostile_run, env=env)
            what = (args, number, run.returncode, run.text[-200:])
            assert run.returncode in (0, 1, 2), what
            if run.returncode == 2:
                assert run.text.startswith("imptrace: ") and run.text.endswith("\n"), what
            endings[run.returncode] = endings.get(run.returncode, 0) + 1
    assert endings.get(2, 0) > 20, endings
