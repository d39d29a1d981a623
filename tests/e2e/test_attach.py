# SPDX-License-Identifier: GPL-2.0-or-later
"""`imptrace attach --backend=inject`: what is recorded, and that the process never notices."""
import http.client
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

import harness
import interpreters
from attach_session import Attached, Target, events, read_line, refusal
from harness import need
from loader_cases import built_library, extension

ROUNDS = int(os.environ.get("IMPTRACE_ATTACH_ROUNDS", "20"))
WAITS = ["nanosleep", "poll", "ppoll", "select", "epoll", "epoll_pwait", "futex", "condition", "read",
         "recv", "waitpid"]

# Reads a line, runs it, answers; idle in read().
SERVER = """\
import sys
print("ready", flush=True)
for line in sys.stdin:
    try:
        exec(line)
        print("done", flush=True)
    except Exception as err:
        print(type(err).__name__ + ": " + str(err), flush=True)
"""

# The same with an event loop: idle in epoll_wait().
ASYNC_SERVER = """\
import asyncio, sys
async def main():
    loop = asyncio.get_event_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    while True:
        line = await reader.readline()
        if not line:
            break
        try:
            exec(line)
            print("done", flush=True)
        except Exception as err:
            print(type(err).__name__ + ": " + str(err), flush=True)
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
"""

# Never waits: the next line is looked for between two rounds of a computation.
BUSY_SERVER = """\
import os, select, sys
print("ready", flush=True)
n = 0
while True:
    for i in range(20000):
        n = n * 3 + i & 0xffff
    if not select.select([0], [], [], 0)[0]:
        continue
    line = sys.stdin.readline()
    if not line:
        break
    try:
        exec(line)
        print("done", flush=True)
    except Exception as err:
        print(type(err).__name__ + ": " + str(err), flush=True)
"""

# Busy in C with the interpreter's lock released, in all but the thread that waits for lines.
HASH_SERVER = SERVER.replace("import sys\n", """\
import sys, threading, zlib
data = bytes(1 << 20)
def work():
    while True:
        zlib.crc32(data)
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
""", 1)

SERVERS = {"read": SERVER, "epoll": ASYNC_SERVER, "busy": BUSY_SERVER, "without-lock": HASH_SERVER}


def serve(lab, python, how="read", **kw):
    return Target(lab, [python.path, lab.write("server_%s.py" % how, SERVERS[how])], **kw)


def say_and_wait(target, line, answer):
    assert target.ask(line) == answer


# -- what is recorded ---------------------------------------------------------------------------
@pytest.mark.parametrize("how", sorted(SERVERS))
def test_imports_are_recorded(lab, python, how):
    """Debian's interpreter is static, the others have a shared libpython."""
    lab.module("plugin_good", "x = 17")
    with serve(lab, python, how) as target:
        say_and_wait(target, "import json", "done")
        with Attached(lab, target.pid) as attached:
            say_and_wait(target, "import plugin_good", "done")
            say_and_wait(target, "import plugin_gone", "ModuleNotFoundError: No module named 'plugin_gone'")
            trace = attached.end()
        say_and_wait(target, "import plugin_gone", "ModuleNotFoundError: No module named 'plugin_gone'")
        target.end()
    names = {e["import"]: e["text"] for e in events(lab, trace, "import_begin")}
    assert "plugin_good" in names.values() and "plugin_gone" in names.values(), names
    assert list(names.values()).count("plugin_gone") == 1, "recorded after the end"
    assert "json" not in names.values()
    started = events(lab, trace, "process")[0]
    assert started["how"] == "attach" and started["pid"] == target.pid
    assert events(lab, trace, "interpreter")[0]["version"].startswith(
        "%d.%d.%d" % tuple(python.version))
    assert len(events(lab, trace, "process_end")) == 1
    lab.raw(trace)


def test_failed_plugin_is_explained_as_by_the_preload(lab, python):
    """A server that runs for weeks fails to load a plugin: attach, let it try again, read why."""
    extension(python, "native_17", lab.site, built_library("libdep17.so.1"))
    error = ("ImportError: libdep17.so.1: cannot open shared object file: No such file or directory")
    findings = []
    for attach in (False, True):
        env = lab.env()
        trace = lab.new_trace()
        if not attach:
            env = lab.recorder_env(env, trace)
        with serve(lab, python, env=env) as target:
            if attach:
                with Attached(lab, target.pid, trace=trace) as attached:
                    say_and_wait(target, "import native_17", error)
                    attached.end()
            else:
                say_and_wait(target, "import native_17", error)
            target.end()
        _, report = lab.analyze(trace, "--all")
        findings.append(harness.finding_of(report, "native_17"))
    for key in ("cause", "summary", "path", "error", "surfaced", "searched", "library", "fixes"):
        assert findings[0][key] == findings[1][key], key
    assert findings[0]["cause"] == "missing-shared-library"


def test_missing_module_is_explained_as_by_the_preload(lab, debian):
    findings = []
    for attach in (False, True):
        trace = lab.new_trace()
        env = lab.env() if attach else lab.recorder_env(lab.env(), trace)
        with serve(lab, debian, env=env) as target:
            if attach:
                with Attached(lab, target.pid, trace=trace) as attached:
                    target.ask("import not_here_17")
                    attached.end()
            else:
                target.ask("import not_here_17")
            target.end()
        findings.append(harness.finding_of(lab.analyze(trace, "--all")[1], "not_here_17"))
    for key in ("cause", "error", "path", "searched"):
        assert findings[0][key] == findings[1][key], key
    assert findings[0]["cause"] == "not-installed"


def test_program_without_python(lab):
    """dlopen, called from an object that was loaded long before, is seen all the same."""
    program = interpreters.compile_c("attach/plain.c", "-ldl")
    with Target(lab, [program]) as target:
        with Attached(lab, target.pid) as attached:
            answer = target.ask("libgone_17.so")
            assert answer.startswith("libgone_17.so: cannot open shared object file"), answer
            assert target.ask("libz.so.1") == "opened"
            trace = attached.end()
        assert target.ask("libgone_18.so").startswith("libgone_18.so: cannot open")
        target.end()
    # Events of dlopen name the file that was asked for.
    text = lab.command("dump", trace).stdout.decode()
    assert "libgone_17.so" in text and "libz.so.1" in text
    assert "libgone_18.so" not in text


def test_embedded_python(lab, debian):
    program = interpreters.host_program(debian, "embedding/host.c")
    code = "import sys\n" + SERVER
    with Target(lab, [program, "run", code]) as target:
        with Attached(lab, target.pid) as attached:
            assert target.ask("import gone_17").startswith("ModuleNotFoundError")
            trace = attached.end()
        target.end()
    assert "gone_17" in [e["text"] for e in events(lab, trace, "import_begin")]


def test_threads_that_import(lab, python):
    """Eight threads that import all the time; attached and detached five times."""
    for number in range(50):
        lab.module("many_%d" % number, "x = %d" % number)
    program = lab.write("threads.py", """\
import importlib, sys, threading
stop = False
counts = [0] * 8
def work(index):
    n = 0
    while not stop:
        name = "many_%d" % (n % 50)
        sys.modules.pop(name + "_" + str(index), None)
        try:
            importlib.import_module("gone_%d_%d" % (index, n))
        except ImportError:
            counts[index] += 1
        importlib.import_module(name)
        n += 1
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for t in threads:
    t.start()
print("ready", flush=True)
sys.stdin.readline()
stop = True
for t in threads:
    t.join(60)
print("good" if all(counts) and not any(t.is_alive() for t in threads) else "bad")
""")
    with Target(lab, [python.path, program]) as target:
        for _ in range(5):
            with Attached(lab, target.pid, "--timeout=50") as attached:
                time.sleep(0.1)
                trace = attached.end()
            assert target.alive()
        target.say("")
        assert target.end() == "good"
    assert events(lab, trace, "process")[0]["how"] == "attach"


def test_in_the_middle_of_an_import(lab, python):
    """The module that is being imported waits; what it imports after the attach is recorded."""
    lab.module("half_17", "import sys\nprint('within', flush=True)\nsys.stdin.readline()\n"
               "try:\n    import gone_within_17\nexcept ImportError:\n    pass\n")
    program = lab.write("middle.py", "print('ready', flush=True)\nimport half_17\nprint('good')\n")
    with Target(lab, [python.path, program]) as target:
        target.expect("within")
        with Attached(lab, target.pid) as attached:
            target.say("")
            assert target.end() == "good"
            trace = attached.end(signum=None)
    assert "gone_within_17" in [e["text"] for e in events(lab, trace, "import_begin")]


# -- that it does not notice ----------------------------------------------------------------------
@pytest.mark.parametrize("kind", WAITS)
def test_waits_go_on(lab, kind):
    """No EINTR, nothing early, no byte lost; the signal mask, errno and the alternate stack are its own."""
    program = interpreters.compile_c("attach/waits.c", "-lpthread")
    stop = lab.dir / "stop"
    with Target(lab, [program, kind, stop]) as target:
        for _ in range(4):
            with Attached(lab, target.pid, "--timeout=50") as attached:
                attached.end()
        stop.touch()
        assert target.end() == "good"


def test_registers_are_restored(lab):
    program = interpreters.compile_c("attach/busy.c", "-lrt")
    stop = lab.dir / "stop"
    with Target(lab, [program, stop]) as target:
        for _ in range(8):
            with Attached(lab, target.pid, "--timeout=50") as attached:
                attached.end()
        stop.touch()
        assert re.match(r"good, longest step", target.end())


def test_nothing_is_left_behind(lab, debian):
    with serve(lab, debian) as target:
        before = os.listdir("/proc/%d/fd" % target.pid)
        say_and_wait(target, "import sys, signal; kept = signal.pthread_sigmask(0, [])", "done")
        for _ in range(3):
            with Attached(lab, target.pid) as attached:
                assert target.memfds() == []
                say_and_wait(target, "import gone_17", "ModuleNotFoundError: No module named 'gone_17'")
                attached.end()
        say_and_wait(target, "assert signal.pthread_sigmask(0, []) == kept", "done")
        assert sorted(os.listdir("/proc/%d/fd" % target.pid)) == sorted(before)
        # The library stays, and is used again: one copy.
        assert target.mapped() <= {"imptrace-library", "imptrace-area"}
        with open("/proc/%d/maps" % target.pid) as lines:
            copies = sum(1 for line in lines if "imptrace-library" in line and " 00000000 " in line)
        assert copies == 1
        target.end()


def test_repeated(lab, debian):
    """Attaching again works, any number of times."""
    with serve(lab, debian) as target:
        for number in range(10):
            with Attached(lab, target.pid) as attached:
                say_and_wait(target, "import gone_%d" % number,
                             "ModuleNotFoundError: No module named 'gone_%d'" % number)
                trace = attached.end()
            names = [e["text"] for e in events(lab, trace, "import_begin")]
            assert names == ["gone_%d" % number]
        target.end()


def kill_at_random(lab, target, rounds, use, seed):
    chance = random.Random(seed)
    for number in range(rounds):
        with Attached(lab, target.pid, trace=lab.root / "killed.zst", wait=False) as attached:
            # Most of what can go wrong happens in the first milliseconds.
            time.sleep(chance.choice([0.012, 0.05, 0.3]) * chance.random())
            attached.process.kill()
        if not target.alive() and target.process.returncode == 0 and number >= rounds // 3:
            return  # it came to its own end, on a slow machine
        assert target.alive(), "round %d: it ended with %r" % (number, target.process.returncode)
        if number % 5 == 4:
            use(number)


@pytest.mark.parametrize("how", ["read", "busy", "without-lock"])
def test_killed_at_random_moments(lab, debian, how):
    """The process lives on, works, and can be attached to again."""
    with serve(lab, debian, how) as target:
        kill_at_random(lab, target, ROUNDS, lambda n: say_and_wait(
            target, "import gone_%d" % n, "ModuleNotFoundError: No module named 'gone_%d'" % n), 17)
        with Attached(lab, target.pid) as attached:
            target.ask("import gone_after")
            trace = attached.end()
        target.end()
    assert "gone_after" in [e["text"] for e in events(lab, trace, "import_begin")]


@pytest.mark.parametrize("kind", ["read", "condition"])
def test_killed_while_it_waits(lab, kind):
    """Nothing is lost even then: these waits are entered again without the tracer's help."""
    program = interpreters.compile_c("attach/waits.c", "-lpthread")
    stop = lab.dir / "stop"
    with Target(lab, [program, kind, stop]) as target:
        kill_at_random(lab, target, ROUNDS, lambda n: None, 23)
        stop.touch()
        assert target.end() == "good"


def test_registers_after_a_kill(lab):
    program = interpreters.compile_c("attach/busy.c", "-lrt")
    stop = lab.dir / "stop"
    with Target(lab, [program, stop]) as target:
        kill_at_random(lab, target, ROUNDS, lambda n: None, 29)
        stop.touch()
        assert re.match(r"good, longest step", target.end())


def test_silent_after_a_kill(lab, debian):
    """The trace up to then is whole, and the process records no more and goes on."""
    with serve(lab, debian) as target:
        with Attached(lab, target.pid) as attached:
            say_and_wait(target, "import gone_17", "ModuleNotFoundError: No module named 'gone_17'")
            end = time.monotonic() + 60
            while b"gone_17" not in lab.raw(attached.trace) and time.monotonic() < end:
                time.sleep(0.05)
            attached.process.kill()
        lab.raw(attached.trace)
        say_and_wait(target, "import gone_18", "ModuleNotFoundError: No module named 'gone_18'")
        say_and_wait(target, "import json", "done")
        target.end()
    assert b"gone_18" not in lab.raw(attached.trace)


PREFORK = """\
import http.server, os, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        try:
            __import__("gone_" + self.path[1:])
        except ImportError as err:
            body = str(err).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
server = Server(("127.0.0.1", 0), Handler)
workers = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        server.serve_forever()
    workers.append(pid)
print(*workers, server.server_address[1], flush=True)
sys.stdin.readline()
for pid in workers:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
"""


def test_server_goes_on_serving(lab, debian):
    """A server with two workers, each attached to in turn: no request fails, and the ends are clean."""
    program = lab.write("prefork.py", PREFORK)
    with Target(lab, [debian.path, program], wait=False) as target:
        *workers, port = map(int, read_line(target.process.stdout).split())
        failed, served, stop = [], [0], threading.Event()

        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            while not stop.is_set():
                try:
                    connection.request("GET", "/%d" % served[0])
                    answer = connection.getresponse()
                    if answer.status != 200 or not answer.read().startswith(b"No module named 'gone_"):
                        failed.append(answer.status)
                except (OSError, http.client.HTTPException) as err:
                    failed.append(err)
                    connection.close()
                served[0] += 1
            connection.close()

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        try:
            for number in range(ROUNDS // 2):
                with Attached(lab, workers[number % 2], "--timeout=50", trace=lab.root / "server.zst") as a:
                    a.end()
        finally:
            stop.set()
            for client in clients:
                client.join(60)
        assert failed == [] and served[0] > ROUNDS
        for pid in workers:
            os.kill(pid, 0)
        target.say("")
        target.end()


# -- how it ends -----------------------------------------------------------------------------------
def test_end_of_the_process(lab, debian):
    with serve(lab, debian) as target:
        with Attached(lab, target.pid) as attached:
            say_and_wait(target, "import gone_17", "ModuleNotFoundError: No module named 'gone_17'")
            target.end()
            trace = attached.end(signum=None)
    assert "gone_17" in [e["text"] for e in events(lab, trace, "import_begin")]
    assert any("imptrace analyze" in line for line in attached.said)


def test_process_that_is_killed(lab, debian):
    with serve(lab, debian) as target:
        with Attached(lab, target.pid) as attached:
            say_and_wait(target, "import gone_17", "ModuleNotFoundError: No module named 'gone_17'")
            target.process.kill()
            trace = attached.end(signum=None)
    assert "gone_17" in [e["text"] for e in events(lab, trace, "import_begin")]
    assert lab.analyze(trace, "--all")[1]["complete"] is False


def test_exec_ends_it(lab, debian):
    """What the process executes is another program, which is not recorded."""
    with serve(lab, debian) as target:
        with Attached(lab, target.pid) as attached:
            target.say("import os; os.execv('/bin/cat', ['cat'])")
            attached.end(signum=None)
        assert target.ask("still there") == "still there"
        target.end()


def test_duration(lab, debian):
    with serve(lab, debian) as target:
        began = time.monotonic()
        with Attached(lab, target.pid, "--duration=0.5") as attached:
            attached.end(signum=None)
        assert time.monotonic() - began >= 0.5
        say_and_wait(target, "pass", "done")
        target.end()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it(lab, debian, signum):
    with serve(lab, debian) as target:
        with Attached(lab, target.pid) as attached:
            attached.end(signum)
        assert attached.said[0] == "imptrace: recording PID %d (%s), Ctrl-C ends it" % (
            target.pid, pathlib.Path(debian.path).resolve().name)
        assert "imptrace analyze " + str(attached.trace) in attached.said[-1]
        target.end()


def test_children_are_recorded(lab, debian):
    """A fork child writes into the same trace, under its own number."""
    with serve(lab, debian) as target:
        with Attached(lab, target.pid) as attached:
            say_and_wait(target, "import os", "done")
            target.say("pid = os.fork(); exec('try: import gone_child_17\\nexcept ImportError: pass'); "
                       "os._exit(0) if pid == 0 else os.waitpid(pid, 0)")
            assert read_line(target.process.stdout) == "done"
            trace = attached.end()
        target.end()
    begun = events(lab, trace, "import_begin")
    assert {e["pid"] for e in begun if e["text"] == "gone_child_17"} >= {target.pid}
    assert len({e["pid"] for e in begun if e["text"] == "gone_child_17"}) == 2, begun


# -- where the trace goes --------------------------------------------------------------------------
def test_standard_output(lab, debian):
    with serve(lab, debian) as target:
        with Attached(lab, target.pid, trace="-") as attached:
            target.ask("import gone_17")
            attached.end()
        target.end()
    trace = lab.write("out.zst", attached.stdout)
    lab.raw(trace)
    assert "gone_17" in [e["text"] for e in events(lab, trace, "import_begin")]


def test_older_trace_is_moved(lab, debian):
    trace = lab.root / "kept.zst"
    with serve(lab, debian) as target:
        for name in ("gone_1", "gone_2"):
            with Attached(lab, target.pid, trace=trace) as attached:
                target.ask("import " + name)
                attached.end()
        target.end()
    assert [e["text"] for e in events(lab, trace, "import_begin")] == ["gone_2"]
    old = trace.with_name("kept.zst.old")
    assert [e["text"] for e in events(lab, old, "import_begin")] == ["gone_1"]
    assert trace.stat().st_mode & 0o777 == 0o600


def test_another_file_is_not_overwritten(lab, debian):
    kept = lab.write("letter.txt", "dear reader")
    with serve(lab, debian) as target:
        run = lab.command("attach", target.pid, "--backend=inject", "-o", kept)
        assert run.returncode == 3 and "not a trace" in run.text, run.text
        assert kept.read_text() == "dear reader"
        assert target.mapped() == set()
        target.end()


# -- refusals: one sentence each, with the reason ------------------------------------------------------
def test_no_such_process(lab):
    done = subprocess.Popen(["/bin/true"])
    done.wait()
    assert refusal(lab, done.pid) == "there is no process %d" % done.pid


def test_zombie(lab):
    child = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert re.search("zombie .*process %d" % os.getpid(), refusal(lab, child.pid))
    finally:
        child.wait()


def test_stopped(lab, debian):
    with serve(lab, debian) as target:
        target.process.send_signal(signal.SIGSTOP)
        while not target.status("State").startswith("T"):
            time.sleep(0.01)
        assert "kill -CONT %d" % target.pid in refusal(lab, target.pid)
        target.process.send_signal(signal.SIGCONT)
        say_and_wait(target, "pass", "done")


def test_thread_number(lab, debian):
    with serve(lab, debian, "without-lock") as target:
        threads = set(os.listdir("/proc/%d/task" % target.pid)) - {str(target.pid)}
        assert "imptrace attach %d" % target.pid in refusal(lab, threads.pop())


@pytest.mark.needs_root
def test_kernel_thread(lab):
    if not os.path.exists("/proc/2/comm") or pathlib.Path("/proc/2/comm").read_text() != "kthreadd\n":
        pytest.skip("no thread of the kernel can be seen here")
    assert "thread of the kernel" in refusal(lab, 2)


def test_static_program(lab):
    program = interpreters.compile_c("attach/plain.c", "-static", "-DSTATIC")
    with Target(lab, [program]) as target:
        assert "statically linked" in refusal(lab, target.pid)
        assert target.ask("still there") == "still there"


def test_32_bit_program(lab):
    done = subprocess.run(["gcc", "-m32", "-o", str(lab.dir / "small"),
                           str(harness.FIXTURES / "attach/plain.c"), "-ldl"], stderr=subprocess.PIPE)
    if done.returncode:
        pytest.skip("this compiler makes no 32-bit programs")
    with Target(lab, [lab.dir / "small"]) as target:
        assert "32-bit" in refusal(lab, target.pid)


def test_under_a_debugger(lab, debian):
    gdb = need("gdb")
    with serve(lab, debian) as target:
        with subprocess.Popen([gdb, "-q", "-nx", "-p", str(target.pid)], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=lab.env()) as debugger:
            end = time.monotonic() + 60
            while target.status("TracerPid") == "0" and time.monotonic() < end:
                time.sleep(0.05)
            if target.status("TracerPid") == "0":
                debugger.kill()
                pytest.skip("gdb cannot trace here")
            assert re.search(r"traced already, by process \d+ \(gdb\)", refusal(lab, target.pid))
            debugger.stdin.write(b"detach\nquit\n")
            debugger.stdin.flush()
            debugger.wait(60)
        say_and_wait(target, "pass", "done")


def test_recorded_from_its_start(lab, debian):
    with serve(lab, debian, env=lab.recorder_env(lab.env(), lab.new_trace())) as target:
        run = lab.command("attach", target.pid, "-o", lab.root / "second.zst")
        assert run.returncode == 3 and "recorded since its start" in run.text, run.text
        target.end()


def test_attached_already(lab, debian):
    with serve(lab, debian) as target:
        with Attached(lab, target.pid) as attached:
            run = lab.command("attach", target.pid, "-o", lab.root / "second.zst")
            assert run.returncode == 3, run.text
            assert "recorded already, by another imptrace attach (process %d)" % (
                attached.process.pid) in run.text
            say_and_wait(target, "import gone_17", "ModuleNotFoundError: No module named 'gone_17'")
            trace = attached.end()
        target.end()
    assert "gone_17" in [e["text"] for e in events(lab, trace, "import_begin")]


@pytest.mark.needs_root
def test_another_user(public_lab, debian):
    """Not his: refused with the reason. Root may."""
    lab = public_lab
    command = lab.root / "imptrace"
    shutil.copy(lab.build.command, command)
    with serve(lab, debian) as target:
        run = subprocess.run([str(command), "attach", str(target.pid), "--backend=inject"], user=65534,
                             group=65534, extra_groups=[], cwd="/tmp", stderr=subprocess.PIPE,
                             stdout=subprocess.PIPE, env=lab.env())
        assert run.returncode == 3, run
        assert b"belongs to another user (uid 0): run imptrace as that user or as root" in run.stderr
    with serve(lab, debian, user=65534, group=65534, extra_groups=[]) as target:
        with Attached(lab, target.pid) as attached:
            assert target.ask("import gone_17").startswith("ModuleNotFoundError")
            trace = attached.end()
        target.end()
    assert "gone_17" in [e["text"] for e in events(lab, trace, "import_begin")]
    # A user's own process, without any privilege.
    with serve(lab, debian, user=65534, group=65534, extra_groups=[]) as target:
        scope = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")
        if scope.exists() and scope.read_text().strip() != "0":
            pytest.skip("Yama lets only root attach here")
        own = pathlib.Path(lab.home) / "own.zst"
        with subprocess.Popen([str(command), "attach", str(target.pid), "--backend=inject", "-o", str(own)],
                              user=65534, group=65534, extra_groups=[], cwd="/tmp", env=lab.env(),
                              stderr=subprocess.PIPE) as attached:
            line = read_line(attached.stderr)
            assert "recording PID" in line, line + attached.stderr.read().decode()
            assert target.ask("import gone_18").startswith("ModuleNotFoundError")
            attached.send_signal(signal.SIGINT)
            assert attached.wait(60) == 0
        target.end()
    assert "gone_18" in [e["text"] for e in events(lab, own, "import_begin")]


SECCOMP = """\
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sock_filter kills[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof(kills) / sizeof(*kills), kills};
	char c;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (argc > 1 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return 1;
	puts("ready");
	fflush(stdout);
	if (argc == 1)
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	while (read(0, &c, 1) == 1)
		write(1, &c, 1);
	syscall(SYS_exit, 0);
}
"""


def seccomp_program(lab):
    subprocess.run(["gcc", "-w", "-o", str(lab.dir / "confined"), "-x", "c", "-"], input=SECCOMP.encode(),
                   check=True)
    return lab.dir / "confined"


def test_seccomp_strict(lab):
    with Target(lab, [seccomp_program(lab)]) as target:
        end = time.monotonic() + 60
        while target.status("Seccomp") != "1" and time.monotonic() < end:
            time.sleep(0.01)
        assert "strict mode" in refusal(lab, target.pid)
        assert target.ask("still there") == "still there"
        target.end()


@pytest.mark.needs_root
def test_seccomp_filter(public_lab):
    """The filter would kill it for what we have it do: root suspends it meanwhile, others are refused."""
    lab = public_lab
    shutil.copy(lab.build.command, lab.root / "imptrace")
    with Target(lab, [seccomp_program(lab), "filter"], user=65534, group=65534,
                extra_groups=[]) as target:
        run = subprocess.run([str(lab.root / "imptrace"), "attach", str(target.pid), "--backend=inject"],
                             user=65534, group=65534, extra_groups=[], cwd="/tmp", env=lab.env(),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert run.returncode == 3 and b"seccomp filter, which only root may suspend" in run.stderr, run
        with Attached(lab, target.pid) as attached:
            assert target.ask("still there") == "still there"
            attached.end()
        assert target.ask("still there") == "still there"
        target.end()


@pytest.mark.needs_root
@pytest.mark.parametrize("kind", ["--pid --fork --mount-proc", "--user --map-root-user --mount",
                                  "--user --map-root-user --pid --fork --mount --mount-proc --net --ipc --uts"])
def test_other_namespaces(lab, debian, kind):
    """From the host: neither its paths nor its numbers are ours."""
    unshare = need("unshare")
    flags = kind.split()
    probe = subprocess.run([unshare, *flags, "/bin/true"], stderr=subprocess.PIPE)
    if probe.returncode:
        pytest.skip("unshare cannot do that here: " + probe.stderr.decode().strip())
    with serve(lab, debian, prefix=[unshare, *flags, "--kill-child"] if "--fork" in flags
               else [unshare, *flags]) as target:
        pid = target.pid
        if "--fork" in flags:
            with open("/proc/%d/task/%d/children" % (pid, pid)) as children:
                pid = int(children.read().split()[0])
        with Attached(lab, pid) as attached:
            assert target.ask("import gone_17").startswith("ModuleNotFoundError")
            trace = attached.end()
        say_and_wait(target, "pass", "done")
        target.end()
    begun = events(lab, trace, "import_begin")
    assert [e["text"] for e in begun] == ["gone_17"]
    # The trace speaks of the process as it sees itself.
    assert begun[0]["pid"] == (1 if "--pid" in flags else pid)


@pytest.mark.needs_root
def test_refused_by_its_loader(lab, debian):
    """With the loader's own text; and the process is as it was."""
    unshare = need("unshare")
    hide = "mount --make-rprivate / && umount -l /proc && exec \"$@\""
    probe = subprocess.run([unshare, "--mount", "sh", "-c", hide, "sh", "/bin/true"],
                           stderr=subprocess.PIPE)
    if probe.returncode:
        pytest.skip("/proc cannot be taken away here: " + probe.stderr.decode().strip())
    with serve(lab, debian, prefix=[unshare, "--mount", "sh", "-c", hide, "sh"]) as target:
        files = sorted(os.listdir("/proc/%d/fd" % target.pid))
        text = refusal(lab, target.pid)
        assert re.search(r"refused the recorder: /proc/self/\S*fd/\d+: cannot open shared object file: "
                         "No such file or directory; /proc is not mounted", text), text
        assert sorted(os.listdir("/proc/%d/fd" % target.pid)) == files
        assert target.mapped() == set()
        say_and_wait(target, "import json", "done")
        target.end()


def test_wrong_numbers(lab):
    for value in ("0", "-1", "x", "99999999999"):
        assert lab.command("attach", "--", value).returncode == 2
    assert lab.command("attach", "1", "--duration=soon").returncode == 2
    assert lab.command("attach", "1", "--timeout=0").returncode == 2
