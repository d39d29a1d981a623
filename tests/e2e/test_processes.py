# SPDX-License-Identifier: GPL-2.0-or-later
"""Process trees: one trace holds every process, each with its own events and its end."""
import glob
import os
import subprocess

import pytest

import interpreters
from loader_cases import extension


def by_pid(report):
    """{pid: its processes}: after an exec one pid may have been two programs."""
    found = {}
    for process in report["processes"]:
        found.setdefault(process["pid"], []).append(process)
    return found


def traced(lab, argv, **kw):
    bare = lab.bare(argv)
    assert bare.returncode == 0, bare.text
    run = lab.traced(argv, **kw)
    lab.raw(run.trace)
    return run, lab.analyze(run.trace, "--all")[1]


def gone(report, prefix="gone_"):
    return {f["module"]: f["pid"] for f in report["findings"] if f["module"].startswith(prefix)}


TRY = "try:\n    __import__('gone_%s' % WHO)\nexcept ImportError:\n    pass\n"


def test_subprocess(lab, python):
    child = lab.write("child.py", TRY.replace("WHO", "'child'"))
    script = lab.write("main.py", TRY.replace("WHO", "'parent'") +
                       "import subprocess, sys\nsys.exit(subprocess.call([sys.executable, %r]))\n"
                       % str(child))
    _, report = traced(lab, [python.path, script])
    pids = gone(report)
    assert set(pids) == {"gone_parent", "gone_child"}
    parent, child = pids["gone_parent"], pids["gone_child"]
    processes = by_pid(report)
    assert set(processes) == {parent, child}
    assert processes[child][-1]["ppid"] == parent
    assert processes[child][-1]["exit"] == {"code": 0, "signal": None}
    assert processes[parent][0]["argv"][1] == str(script)


@pytest.mark.parametrize("start", ["posix_spawn", "vfork", "shell", "close_fds"])
def test_ways_to_start_a_child(lab, debian, start):
    call = {"posix_spawn": "os.waitpid(os.posix_spawn(sys.executable, argv, os.environ), 0)",
            "vfork": "subprocess._USE_VFORK = True; subprocess.call(argv)",
            "shell": "os.system('%s -c \"import gone_child\" 2>/dev/null' % sys.executable)",
            "close_fds": "subprocess.call(argv, close_fds=False, start_new_session=True)"}[start]
    code = ("import os, subprocess, sys\nargv = [sys.executable, '-c', "
            "'try: import gone_child\\nexcept ImportError: pass']\n" + call)
    _, report = traced(lab, [debian.path, "-c", code])
    assert set(gone(report)) == {"gone_child"}
    assert gone(report)["gone_child"] != report["processes"][0]["pid"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(lab, python, method):
    script = lab.write("pool.py", "import multiprocessing, os, sys\n\n"
                       "def work(i):\n    try:\n        __import__('gone_%%d' %% i)\n"
                       "    except ImportError:\n        return i * i\n\n"
                       "if __name__ == '__main__':\n"
                       "    ctx = multiprocessing.get_context(%r)\n"
                       "    with ctx.Pool(3) as pool:\n"
                       "        print(sum(pool.map(work, range(19), 1)))\n"
                       "        pool.close()\n        pool.join()\n" % method)
    run, report = traced(lab, [python.path, "-W", "ignore", script])
    assert run.stdout == b"2109\n"
    assert set(gone(report)) == {"gone_%d" % i for i in range(19)}
    assert report["processes"][0]["pid"] not in gone(report).values()


def test_fork_without_exec(lab, python):
    """Nested forks, that end by exit, _exit and a signal."""
    code = ("import os, signal, sys\nfor i in range(7):\n    pid = os.fork()\n    if not pid:\n"
            "        try:\n            __import__('gone_%d' % i)\n        except ImportError:\n"
            "            pass\n"
            "        if i % 3 == 0: os._exit(0)\n        if i % 3 == 1: sys.exit(0)\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n    os.waitpid(pid, 0)\n"
            "try:\n    import gone_parent\nexcept ImportError:\n    print('done')")
    _, report = traced(lab, [python.path, "-W", "ignore", "-c", code])
    pids = gone(report)
    assert set(pids) == {"gone_%d" % i for i in range(7)} | {"gone_parent"}
    assert len(set(pids.values())) == 8
    assert len(by_pid(report)) == 8
    assert all(p[0]["ppid"] == pids["gone_parent"] for pid, p in by_pid(report).items()
               if pid != pids["gone_parent"])


def test_fork_in_c(lab):
    _, report = traced(lab, [interpreters.compile_c("processes/forks.c", "-ldl"), "13"])
    processes = by_pid(report)
    assert len(processes) == 14
    assert sorted(sum(x["loads"] for x in p) for p in processes.values()) == [0] + [1] * 13


def test_fork_while_threads_import(lab, debian):
    """A fork while another thread holds whatever lock the recorder has."""
    code = ("import os, threading, time, warnings\nwarnings.simplefilter('ignore')\nstop = False\n"
            "def work(n):\n    i = 0\n    while not stop:\n        i += 1\n        try:\n"
            "            __import__('busy_%d_%d' % (n, i))\n        except ImportError:\n"
            "            time.sleep(0.002)\n"
            "ts = [threading.Thread(target=work, args=(n,)) for n in range(3)]\n"
            "[t.start() for t in ts]\n"
            "for i in range(23):\n    pid = os.fork()\n    if not pid:\n        try:\n"
            "            __import__('gone_%d' % i)\n        except ImportError:\n"
            "            os._exit(17)\n"
            "    assert os.waitpid(pid, 0)[1] == 17 << 8\n"
            "stop = True\n[t.join() for t in ts]\nprint('done')")
    argv = [debian.path, "-c", code]
    run = lab.recorded(argv)
    assert (run.returncode, run.stdout) == (0, b"done\n"), run.text
    lab.raw(run.trace)
    _, report = lab.analyze(run.trace, "--all")
    assert set(gone(report)) == {"gone_%d" % i for i in range(23)}


@pytest.mark.parametrize("how", ["execv", "execve", "execvp"])
def test_exec_into_another_interpreter(lab, debian, how):
    others = [p for p in interpreters.every() if p.path != debian.path]
    if not others:
        pytest.skip("needs two interpreters")
    other = others[-1]
    after = TRY.replace("WHO", "'after'")
    call = {"execv": "os.execv(%r, ['python', '-c', %r])",
            "execve": "os.execve(%r, ['python', '-c', %r], os.environ)",
            "execvp": "os.execvp(%r, ['python', '-c', %r])"}[how] % (other.path, after)
    code = "import os\n" + TRY.replace("WHO", "'before'") + call
    _, report = traced(lab, [debian.path, "-c", code])
    pids = gone(report)
    assert set(pids) == {"gone_before", "gone_after"}
    assert pids["gone_before"] == pids["gone_after"]
    versions = {p["python"]["version"] for p in report["processes"] if p["python"]}
    assert ".".join(map(str, other.version)) in versions


def test_exec_that_fails(lab, debian):
    code = ("import os\ntry:\n    os.execv('/nonexistent/python', ['x'])\n"
            "except OSError as err:\n    print(err)\n" + TRY.replace("WHO", "'after'"))
    _, report = traced(lab, [debian.path, "-c", code])
    assert set(gone(report)) == {"gone_after"}
    assert report["processes"][0]["exit"] == {"code": 0, "signal": None}


@pytest.mark.parametrize("kind", ["python", "shell"])
def test_200_children_at_once(lab, debian, kind):
    """All write to one trace at the same time: every one is there, and no frame is damaged."""
    argv = {"python": "[sys.executable, '-S', '-E', '-c', 'try: import gone_%d\\nexcept "
                      "ImportError: pass\\nimport os; print(os.getpid())' % i]",
            "shell": "['/bin/sh', '-c', 'echo $$']"}[kind]
    code = ("import os, subprocess, sys\nps = [subprocess.Popen(%s, stdout=subprocess.PIPE) "
            "for i in range(200)]\n"
            "pids = [int(p.communicate()[0]) for p in ps]\n"
            "with open('pids', 'w') as out:\n    out.write(' '.join(map(str, pids)))\n"
            "sys.exit(max(p.returncode for p in ps))" % argv)
    run = lab.recorded([debian.path, "-c", code])
    assert run.returncode == 0 and run.stderr == b"", run.text
    lab.raw(run.trace)
    _, report = lab.analyze(run.trace, "--all")
    want = {int(p) for p in (lab.dir / "pids").read_text().split()}
    assert len(want) == 200
    assert want <= set(by_pid(report)), "%d are missing" % len(want - set(by_pid(report)))
    assert report["complete"] is True, report["notes"]
    if kind == "python":
        assert set(gone(report)) == {"gone_%d" % i for i in range(200)}
        assert len(set(gone(report).values())) == 200


# -- embedding ------------------------------------------------------------------------------
def host_env(lab, python):
    home = None if python.is_debian else python.prefix
    return lab.env(PYTHONHOME=home)


def test_embedding(lab, python):
    host = interpreters.host_program(python, "embedding/host.c")
    env = host_env(lab, python)
    argv = [host, "run", "import json, wave; print(json.dumps([17]))"]
    assert lab.bare(argv, env).stdout == b"[17]\n"
    run = lab.traced(argv, env)
    status, report = lab.analyze(run.trace)
    assert status == 0 and report["findings"] == []
    process = report["processes"][0]
    assert os.path.realpath(process["exe"]) == os.path.realpath(host)
    assert process["python"]["version"] == ".".join(map(str, python.version))
    assert process["imports"] > 7


@pytest.mark.parametrize("how", ["run", "import"])
def test_embedding_fails(lab, python, how):
    """Asked by code that the host ran, and by the host itself through the C API."""
    host = interpreters.host_program(python, "embedding/host.c")
    path = lab.write(lab.site / "native_17.cpython-399-x86_64-linux-gnu.so", b"\x7fELF")
    argv = [host, how, "import native_17" if how == "run" else "native_17"]
    env = host_env(lab, python)
    bare = lab.bare(argv, env)
    assert bare.returncode == 1 and "No module named 'native_17'" in bare.text
    run = lab.traced(argv, env, bare=bare)
    status, report = lab.analyze(run.trace)
    assert status == 1
    finding = report["findings"][0]
    assert (finding["module"], finding["cause"], finding["path"], finding["outcome"]) == (
        "native_17", "abi-tag-mismatch", str(path), "fatal")
    if how == "run":
        assert finding["importers"][-1]["file"] == "<string>"
    else:			# no Python code asked: the native stack says who did
        assert finding["importers"] == []
        assert any(os.path.realpath(n["object"] or "") == os.path.realpath(host)
                   for n in finding["native_stack"]), finding["native_stack"]


def test_embedding_twice(lab, python):
    """Py_Initialize, Py_Finalize, and again: the second interpreter is recorded too."""
    host = interpreters.host_program(python, "embedding/host.c")
    code = ("import sys, itertools\nn = getattr(sys, 'round_17', 0)\n"
            "try:\n    import gone_17\nexcept ImportError:\n    print('none')\n")
    env = host_env(lab, python)
    bare = lab.bare([host, "twice", code], env)
    assert bare.stdout == b"none\nnone\n"
    run = lab.traced([host, "twice", code], env, bare=bare)
    events = [e for e in lab.dump(run.trace) if "gone_17" in str(e)]
    _, report = lab.analyze(run.trace, "--all")
    assert len(events) >= 2
    assert "gone_17" in [f["module"] for f in report["findings"]]


@pytest.mark.parametrize("flags", ["local", "global"])
def test_libpython_opened_at_run_time(lab, python, flags):
    host = interpreters.compile_c("embedding/host_dlopen.c", "-ldl")
    libs = sorted(glob.glob("%s/libpython%s.so.1*" % (python.libdir, python.ldversion)))
    if not libs:
        pytest.skip("no shared libpython for " + python.id)
    env = host_env(lab, python)
    argv = [host, libs[0], flags, "import surely_absent_17"]
    bare = lab.bare(argv, env)
    assert bare.returncode == 1 and "No module named 'surely_absent_17'" in bare.text, bare.text
    run = lab.traced(argv, env, bare=bare)
    status, report = lab.analyze(run.trace)
    assert (status, report["findings"][0]["module"]) == (1, "surely_absent_17")
    assert report["findings"][0]["cause"] == "not-installed"


# -- subinterpreters ------------------------------------------------------------------------
def test_subinterpreters(lab, any_python):
    if any_python.version < (3, 8):
        pytest.skip("no _xxsubinterpreters")
    module = "_interpreters" if any_python.version >= (3, 13) else "_xxsubinterpreters"
    sub = "try: import gone_sub\nexcept ImportError: print('sub', flush=True)\nimport wave"
    script = lab.write("sub.py", "import %s as i\nfor _ in range(3):\n    s = i.create()\n"
                       "    i.run_string(s, %r)\n    i.destroy(s)\n"
                       "try:\n    import gone_main\nexcept ImportError:\n    print('main')\n"
                       % (module, sub))
    bare = lab.bare([any_python.path, script])
    if bare.stdout.count(b"sub") != 3:
        pytest.skip("subinterpreters do not work bare: " + str(bare.last_error()))
    run = lab.traced([any_python.path, script], bare=bare)
    _, report = lab.analyze(run.trace, "--all")
    assert {"gone_sub", "gone_main"} <= set(gone(report))
    assert len([e for e in lab.dump(run.trace) if "gone_sub" in str(e)]) >= 3


# How a parent asks for a child's end, without and with a place for the status.
WAITS = {"wait": "os.wait()", "waitpid": "os.waitpid(pid, 0)", "wait3": "os.wait3(0)",
         "wait4": "os.wait4(pid, 0)", "waitid": "os.waitid(os.P_PID, pid, os.WEXITED)",
         "waitid-twice": "os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT); os.wait()",
         "null": "ctypes.CDLL(None).waitpid(pid, None, 0)"}

ENDED = """
import ctypes, os, signal, sys
end, start = os.pipe()
pid = os.fork()
if not pid:
    os.dup2(start, 1)
    import native_17
os.read(end, 1)
os.kill(pid, signal.SIGTERM)
%s
"""


@pytest.mark.parametrize("wait", WAITS)
def test_terminated_in_a_load(lab, debian, wait):
    """A worker that is no longer needed: its parent is told of the signal, so that nothing is suspected."""
    extension(debian, "native_17", lab.site, source="waiting-init/waiting.c", GIVES="PyInit_native_17")
    ended = ENDED % WAITS[wait]
    if wait == "wait":	# for as long as makes others suspect that it hangs
        ended = ended.replace("os.kill", "import time; time.sleep(1.5); os.kill")
    run = lab.traced([debian.path, "-c", ended])
    assert run.returncode == 0, run.text
    status, report = lab.analyze(run.trace)
    assert (status, report["findings"], report["complete"]) == (0, [], True)
    child, = [p for p in report["processes"] if p["ppid"] == report["processes"][0]["pid"]]
    assert child["exit"] == {"code": None, "signal": 15}


HANGS = "mkfifo f; %s -c 'import native_17' > f & head -c 1 f > /dev/null; sleep 1.5; kill -%s $!; wait"


def native_that_waits(lab, debian):
    return str(extension(debian, "native_17", lab.site, source="waiting-init/waiting.c", GIVES="PyInit_native_17"))


@pytest.mark.parametrize("name", ["TERM", "KILL"])
def test_ended_since_it_hangs(lab, debian, name):
    """By timeout(1), say: no worker of a Python, and not as soon as it had begun."""
    path = native_that_waits(lab, debian)
    run = lab.recorded(["sh", "-c", HANGS % (debian.path, name)], cwd=str(lab.dir))
    status, report = lab.analyze(run.trace)
    finding, = report["findings"]
    assert (finding["module"], finding["cause"], finding["outcome"]) == ("native_17", "unknown", "fatal")
    assert (finding["path"], status) == (path, 1)
    assert "in its init function" in finding["summary"] and "SIG" + name in finding["summary"], finding["summary"]


def test_killed_and_not_yet_waited_for(lab, debian):
    """A zombie still has its number: it has ended all the same."""
    path, trace = native_that_waits(lab, debian), lab.new_trace()
    env = lab.recorder_env(lab.env(), trace)
    with subprocess.Popen([debian.path, "-c", "import native_17"], env=env, stdout=subprocess.PIPE) as child:
        assert child.stdout.read(1) == b"x"
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        status, report = lab.analyze(trace)
    finding, = report["findings"]
    assert (finding["module"], finding["path"], status) == ("native_17", path, 1)
    assert "init function" in finding["summary"], finding["summary"]


@pytest.mark.parametrize("wait", ["waitpid", "waitid"])
def test_child_that_crashes_in_a_load(lab, debian, wait):
    extension(debian, "native_17", lab.site, source="illegal-instruction/illegal.c", GIVES="PyInit_native_17",
              SEGFAULT=1)
    run = lab.traced([debian.path, "-c", "import os\npid = os.fork()\nif not pid:\n    import native_17\n%s"
                      % WAITS[wait]])
    assert run.returncode == 0, run.text
    finding, = lab.analyze(run.trace)[1]["findings"]
    assert (finding["module"], finding["cause"]) == ("native_17", "unknown")
    assert "SIGSEGV" in finding["summary"]


def test_status_where_nothing_can_be_written(lab, debian):
    """The kernel's EFAULT is the caller's."""
    code = ("import ctypes, errno, os\npid = os.fork()\nif not pid: os._exit(17)\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "print(libc.waitpid(pid, ctypes.c_void_p(8), 0), errno.errorcode[ctypes.get_errno()])\n")
    traced(lab, [debian.path, "-c", code])
