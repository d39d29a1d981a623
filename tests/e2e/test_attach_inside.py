# SPDX-License-Identifier: GPL-2.0-or-later
"""The side of `imptrace attach --backend=inject` that runs in the recorded process, without ptrace(2).

A program opens the patched copy of libimptrace.so itself and calls its two entry points
(tests/fixtures/attach/inside.py). What it asserts about itself, it asserts there.
"""
import struct
import subprocess
import sys

import pytest

import harness
import interpreters
import trace_decoder

FIXTURE = harness.FIXTURES / "attach"
sys.path.insert(0, str(FIXTURE))
import inside as fixture  # noqa: E402
ATTACH, DETACHED, PHASE_ATTACH = 4, 3, 4		# IMP_START_ATTACH, IMP_END_DETACHED, IMP_PHASE_ATTACH

BEGIN = """
import sys
sys.path.insert(0, %r)
import ctypes, os, threading, time
import inside
from inside import Area, Recorder, round_trip, state, same
library, area_path, trace = sys.argv[1:4]
def fails():
    try:
        import no_such_module_here
    except ImportError:
        return
    raise AssertionError
# What loading the copy and the first look at ourselves bring along.
recorder = Recorder(library, hold="hold" in sys.argv)
state()
""" % str(FIXTURE)


def patch(preload, where):
    """A copy of libimptrace.so as imptrace gives it to a running process: imptrace_attached is 1 in it."""
    data = bytearray(preload.read_bytes())
    symbols = subprocess.run(["nm", "-D", str(preload)], stdout=subprocess.PIPE, check=True).stdout.decode()
    address, = (int(line.split()[0], 16) for line in symbols.splitlines()
                if line.endswith(" imptrace_attached"))
    start, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for i in range(count):
        kind, _, offset, virtual, _, size, _, _ = struct.unpack_from("<IIQQQQQQ", data, start + 56 * i)
        if kind == 1 and virtual <= address < virtual + size:
            assert data[offset + address - virtual:][:4] == b"\0\0\0\0"
            data[offset + address - virtual] = 1
            where.write_bytes(data)
            return where
    raise AssertionError("imptrace_attached is not in the file")


class Inside:
    """One run of a program that attaches to itself."""

    def __init__(self, lab):
        lab.require_build()
        self.lab = lab
        self.copy = patch(lab.preload, lab.root / "libimptrace-copy.so")
        self.area = lab.root / "area"
        self.trace = lab.root / "inside.zst"
        # imptrace writes the header: here it is another trace's.
        other = lab.recorded(["/bin/true"])
        data = other.trace.read_bytes()
        self.trace.write_bytes(data[:trace_decoder.frame_end(data, 0)])
        self.header = self.trace.stat().st_size

    def python(self, python, code, *args, options=(), **kw):
        script = self.lab.write("inside_script.py", BEGIN + code)
        run = self.lab.execute([python.path, *options, script, self.copy, self.area, self.trace, *args],
                               self.lab.env(), **kw)
        assert run.returncode == 0, run.text
        run.trace = self.trace
        run.events = trace_decoder.events(self.trace)
        return run


@pytest.fixture
def inside(lab):
    return Inside(lab)


def only(events, kind, **where):
    return [e for e in events if e["kind"] == kind and all(e.get(k) == v for k, v in where.items())]


def names(events, kind):
    return [e.get("text") for e in only(events, kind)]


# -- the whole of it ------------------------------------------------------------------------
WHOLE = """
import ctypes.util, _ctypes, decimal
import importlib.machinery
def during():
    fails()
    try:
        ctypes.CDLL("/nonexistent/library.so")
    except OSError as error:
        assert str(error).startswith("/nonexistent/library.so: cannot open shared object file"), error
    else:
        raise AssertionError
    import _elementtree
    state_inside.append(state())
state_inside = []
before = state()
threads = inside.threads()
round_trip(recorder, area_path, trace, during)
inside.wait_for_threads(threads)
same(before, state())
there = state_inside[0]
# And all of it was otherwise in between.
assert all(before["words"][key] != there["words"][key] for key in before["words"])
assert all(a != b for a, b in zip(before["methods"], there["methods"]))
assert before["find_and_load"] != there["find_and_load"]
assert before["find_spec"] != there["find_spec"]
assert before["descriptors"] == there["descriptors"]
"""


@pytest.mark.parametrize("hold", ["", "hold"])
def test_a_running_python_is_recorded_and_left_as_it_was(inside, any_python, hold):
    events = inside.python(any_python, WHOLE, hold).events
    process, = only(events, "process")
    assert process["how"] == ATTACH
    assert process["argv"][0] == any_python.path
    end, = only(events, "process_end")
    assert end["how"] == DETACHED and "code" not in end
    interpreter, = only(events, "interpreter")
    assert interpreter["cache_tag"] == any_python.cache_tag
    path = only(events, "sys_path")[0]
    assert path["phase"] == PHASE_ATTACH and str(FIXTURE) in path["path"]
    assert only(events, "meta_path")
    modules = {e["text"]: e for e in only(events, "module")}
    assert modules["_ctypes"]["origin"].endswith(".so")
    assert modules["_ctypes"]["loader"] == "ExtensionFileLoader"
    assert "sys" not in modules and "os" not in modules
    objects = {e["text"].rpartition("/")[2] for e in only(events, "object")}
    assert {"libc.so.6", "libimptrace.so", modules["_ctypes"]["origin"].rpartition("/")[2]} <= objects
    assert "no_such_module_here" in names(events, "import_begin")
    assert "no_such_module_here" in names(events, "snapshot")
    call, = only(events, "dlopen_enter", text="/nonexistent/library.so")
    leave, = only(events, "dlopen_leave", call=call["call"])
    assert "cannot open shared object file" in leave["error"]
    if "_elementtree" not in any_python.builtin:
        assert "_elementtree" in names(events, "ext_begin")
    assert all(e["lost"] == 0 for e in only(events, "batch"))


def test_the_analyzer_reads_it(inside, debian):
    """From where a module was loaded that was there before, and why one failed."""
    inside.lab.write(inside.lab.site / "no_such_module_here.cpython-36m-x86_64-linux-gnu.so", "")
    inside.python(debian, WHOLE)
    answer = inside.lab.analyze_text(inside.trace, "-m", "_ctypes").answer
    origin, = (e["origin"] for e in trace_decoder.events(inside.trace)
               if e["kind"] == "module" and e["text"] == "_ctypes")
    assert "_ctypes was imported." in answer and origin in answer.replace("\n", "")
    _, report = inside.lab.analyze(inside.trace, "-m", "no_such_module_here")
    assert harness.finding_of(report, "no_such_module_here")["cause"] == "abi-tag-mismatch"
    assert report["complete"], report["notes"]
    shown = inside.lab.dump(inside.trace)
    assert {"detached"} == {e["how"] for e in shown if e["kind"] == "process_end"}
    assert "_ctypes" in {e["text"] for e in shown if e["kind"] == "module"}


MANY = """
stopping = []
def work():
    while not stopping:
        fails()
        ctypes.CDLL(None)
        try:
            ctypes.CDLL("/nonexistent/library.so")
        except OSError as error:
            assert "cannot open shared object file" in str(error), error
        else:
            raise AssertionError
        time.sleep(0.002)		# nobody empties the ring while this script holds the GIL
fails()
before = state()
workers = [threading.Thread(target=work) for _ in range(3)]
for worker in workers:
    worker.start()
failed = []
try:
    for i in range(100):
        area = round_trip(recorder, area_path, trace, fails)
        assert area.get(inside.HOOKED) == area.get(inside.PYTHONS) == 1, area.remark()
finally:
    stopping.append(1)
    for worker in workers:
        worker.join()
fails()
after = state()
same(before, after)
print(len(os.listdir("/proc/self/task")))
"""


def test_a_hundred_rounds_with_threads_at_work(inside, python):
    events = inside.python(python, MANY).events
    images = {e["image_ns"] for e in only(events, "process")}
    assert len(images) == 100
    for image_ns in images:
        own = [e for e in events if e.get("image_ns") == image_ns]
        # Each stands for itself: all ids of objects from 1 on, the first interpreter is number 0.
        assert sorted(e["object"] for e in only(own, "object"))[0] == 1
        assert [e["interp"] for e in only(own, "interpreter")] == [0]
        assert only(own, "process_end")[0]["how"] == DETACHED
        assert "no_such_module_here" in names(own, "import_begin")


# -- where the main thread is ---------------------------------------------------------------
BLOCKED = """
ended = []
def attach():
    try:
        before = state()
        round_trip(recorder, area_path, trace, fails)
        same(before, state())
        ended.append(True)
    finally:
        os.write(end, b"x")
begin, end = os.pipe()
thread = threading.Thread(target=attach)
thread.start()
os.read(begin, 1)		# where a server's main thread is for weeks
thread.join()
assert ended
"""
BUSY = """
ended = []
def attach():
    try:
        before = state()
        for _ in range(3):
            round_trip(recorder, area_path, trace, fails)
        same(before, state())
        ended.append(True)
    finally:
        done.append(True)
done = []
thread = threading.Thread(target=attach)
thread.start()
while not done:
    sum(range(1000))
thread.join()
assert ended
"""


@pytest.mark.parametrize("code", [BLOCKED, BUSY], ids=["blocked", "busy"])
def test_the_main_thread_elsewhere(inside, any_python, code):
    events = inside.python(any_python, code).events
    assert "no_such_module_here" in names(events, "import_begin")


IN_FLIGHT = """
before = state()
area = Area(area_path)
assert recorder.attach(area) == 0
area.wait(inside.ALL)
thread = threading.Thread(target=__import__, args=("slow_module",))
thread.start()
while "slow_module" not in sys.modules:
    time.sleep(0.001)
assert recorder.detach() == 0
area.wait(inside.OFF)
area.store(trace)
again = Area(area_path + "-again")
assert recorder.attach(again) == 0
again.wait(inside.ALL)
sys.slow_module_may_end = True
thread.join()
fails()
assert recorder.detach() == 0
again.wait(inside.OFF)
again.store(trace)
same(before, state())
"""


def test_an_import_that_is_under_way_ends_well(inside, any_python):
    inside.lab.module("slow_module", "import sys, time\n"
                                     "while not hasattr(sys, 'slow_module_may_end'):\n"
                                     "    time.sleep(0.001)\n")
    events = inside.python(any_python, IN_FLIGHT).events
    first, second = only(events, "process")
    assert only(events, "import_begin", text="slow_module", image_ns=first["image_ns"])
    own = [e for e in events if e.get("image_ns") == second["image_ns"]]
    begun = [e["import"] for e in only(own, "import_begin")]
    assert sorted(e["import"] for e in only(own, "import_end")) == sorted(begun)
    assert "no_such_module_here" in names(own, "import_begin")


# -- dlerror, errno, signals ----------------------------------------------------------------
DLERROR = """
library = ctypes.CDLL(%r)
library.fail.restype = ctypes.c_char_p
MISSING = b"/nonexistent/library.so: cannot open shared object file: No such file or directory"
fail, BETWEEN = library.fail, ctypes.CFUNCTYPE(None)
assert fail(b"/nonexistent/library.so", None) == MISSING
before = state()
for _ in range(3):
    area = Area(area_path)
    attach = BETWEEN(lambda: recorder.attach(area) and None)
    assert fail(b"/nonexistent/library.so", attach) == MISSING
    area.wait(inside.ALL)
    assert fail(b"/nonexistent/library.so", None) == MISSING
    detach = BETWEEN(lambda: recorder.detach() and None)
    assert fail(b"/nonexistent/library.so", detach) == MISSING
    area.wait(inside.OFF)
    assert fail(b"/nonexistent/library.so", None) == MISSING
    same(before, state())
for function, fd, state_then in ((recorder.library.imptrace_attach, True, inside.ALL),
                                 (recorder.library.imptrace_detach, False, inside.OFF)):
    if fd:
        area = Area(area_path)
    ret = library.call(function, os.open(area_path, os.O_RDWR) if fd else -1, 0)
    assert ret == 0, ret
    area.wait(state_then)
"""


def test_nothing_of_the_thread_changes(inside, debian):
    library = interpreters.compile_c("attach/between.c", "-shared", "-fPIC")
    inside.python(debian, DLERROR % library)


# -- processes ------------------------------------------------------------------------------
FORK = """
before = state()
area = Area(area_path)
assert recorder.attach(area) == 0
area.wait(inside.ALL)
to_child, from_parent = os.pipe()
to_parent, from_child = os.pipe()
pid = os.fork()
if not pid:
    try:
        fails()
        os.write(from_child, b"y")
        assert os.read(to_child, 1) == b"x"
        # The parent is left alone by now; we notice at the next event.
        fails()
        keys = ("words", "methods", "find_and_load", "find_spec", "inittab")
        was = {key: before[key] for key in keys}
        for _ in range(5000):
            now = state()
            now = {key: now[key] for key in keys}
            if now == was:
                break
            time.sleep(0.001)
        same(was, now)
        os._exit(0)
    finally:
        import traceback
        traceback.print_exc()
        os._exit(1)
fails()
assert os.read(to_parent, 1) == b"y"
area.set(inside.STOP, 1)
assert recorder.detach() == 0
area.wait(inside.OFF)
os.write(from_parent, b"x")
assert os.waitpid(pid, 0)[1] == 0
area.store(trace)
print(pid)
"""


def test_forked_children_write_into_the_same_ring(inside, any_python):
    run = inside.python(any_python, FORK)
    child = int(run.stdout)
    started = only(run.events, "process", pid=child)
    assert [e["how"] for e in started] == [3]		# IMP_START_FORK
    parent = only(run.events, "process", how=ATTACH)[0]
    assert started[0]["parent_image_ns"] == parent["image_ns"]
    for pid in (child, parent["pid"]):
        assert names([e for e in run.events if e["pid"] == pid],
                     "import_begin").count("no_such_module_here") == 1


ABANDONED = """
before = state()
area = Area(area_path)
assert recorder.attach(area) == 0
area.wait(inside.ALL)
fails()
time.sleep(5.5)		# IMP_ATTACH_DEAD_MS
fails()
for _ in range(60000):
    if area.get(inside.STATE) == inside.OFF:
        break
    time.sleep(0.001)
assert area.get(inside.STATE) == inside.OFF
same(before, state())
area.store(trace)
"""


def test_without_imptrace_the_hooks_come_out_by_themselves(inside, debian):
    events = inside.python(debian, ABANDONED).events
    assert names(events, "import_begin").count("no_such_module_here") == 1


EXIT = """
area = Area(area_path)
assert recorder.attach(area) == 0
area.wait(inside.ALL)
import atexit
atexit.register(area.store, trace)
def last():
    import no_such_module_at_the_end
pid = os.fork()
if not pid:
    threading.stack_size()
    sys.exit(23)
assert os.waitpid(pid, 0)[1] == 23 << 8
area.store(trace)
print(pid)
assert recorder.detach() == 0
"""


def test_the_end_of_a_process_is_recorded(inside, debian):
    run = inside.python(debian, EXIT)
    end, = only(run.events, "process_end", pid=int(run.stdout))
    assert (end["how"], end["code"]) == (1, 23)		# IMP_END_EXIT


# -- refusals -------------------------------------------------------------------------------
REFUSED = """
import errno, struct
before = state()
area = Area(area_path)
struct.pack_into("=I", area.memory, 4, 99)		# the version
assert recorder.attach(area) == -errno.EPROTO
os.truncate(area.path, 4096)
assert recorder.attach(area) == -errno.EPROTO
assert recorder.library.imptrace_attach(-1, -1) == -errno.EBADF
same(before, state())
area = Area(area_path + "-2")
assert recorder.attach(area) == 0
assert recorder.attach(Area(area_path + "-3")) == -errno.EBUSY
area.wait(inside.ALL)
assert recorder.detach() == 0
area.wait(inside.OFF)
assert recorder.detach() == 0		# there is nothing to detach from
same(before, state())
"""
PRELOADED = """
import errno
assert recorder.attach(Area(area_path)) == -errno.EBUSY
fails()
"""


def test_refusals(inside, debian):
    inside.python(debian, REFUSED)


def test_a_process_that_is_recorded_already(inside, debian):
    script = inside.lab.write("script.py", BEGIN + PRELOADED)
    run = inside.lab.recorded([debian.path, script, inside.copy, inside.area, inside.trace])
    assert run.returncode == 0, run.text
    assert "no_such_module_here" in names(trace_decoder.events(run.trace), "import_begin")


# -- other programs -------------------------------------------------------------------------
def host(inside, *args):
    program = interpreters.compile_c("attach/host.c", "-ldl")
    area = fixture.Area(str(inside.area))
    run = inside.lab.execute([program, inside.copy, inside.area, *args], inside.lab.env())
    assert run.returncode == 0, run.text
    area.store(str(inside.trace))
    run.events = trace_decoder.events(inside.trace)
    return run


def test_a_program_without_python(inside):
    run = host(inside)
    assert run.stdout.decode().splitlines() == 2 * [
        "/nonexistent/first.so: cannot open shared object file: No such file or directory"]
    assert len(only(run.events, "dlopen_enter", text="/nonexistent/first.so")) == 1
    assert not only(run.events, "interpreter")


def test_a_python_that_starts_later(inside, any_python):
    libraries = interpreters.glob.glob("%s/libpython%s.so.1.0" % (any_python.libdir, any_python.ldversion))
    if not libraries:
        pytest.skip("no shared libpython for " + any_python.id)
    code = "import sys\ntry:\n    import no_such_module_here\nexcept ImportError:\n    print('as it should')\n" \
           "sys.stdout.flush()\n"
    run = host(inside, libraries[0], code)
    text = "/nonexistent/first.so: cannot open shared object file: No such file or directory"
    assert sorted(run.stdout.decode().splitlines()) == sorted(2 * [text, "as it should"])
    assert names(run.events, "import_begin").count("no_such_module_here") == 1
    assert only(run.events, "interpreter")


# -- several interpreters -------------------------------------------------------------------
OTHERS = """
try:
    import _xxsubinterpreters as interpreters
except ImportError:
    try:
        import _interpreters as interpreters
    except ImportError:
        print("none")
        sys.exit()
other = interpreters.create()
run = "import sys\\n" + '''
try:
    import no_such_module_in_there
except ImportError:
    pass
import _json
try:
    import nor_this_one
except ImportError:
    pass
'''
which = "import sys, importlib._bootstrap as b; open(%r, 'w').write(type(b._find_and_load).__name__ + " \\
        "str(type(b._find_and_load) is type(lambda: 0)))" % (trace + "-type")
area = Area(area_path)
assert recorder.attach(area) == 0
area.wait(inside.ALL)
interpreters.run_string(other, run)
assert recorder.detach() == 0
area.wait(inside.OFF)
area.store(trace)
interpreters.run_string(other, run)
interpreters.run_string(other, which)
assert open(trace + "-type").read() == "functionTrue", open(trace + "-type").read()
print(area.get(inside.PYTHONS), area.get(inside.HOOKED), area.remark())
"""


def test_other_interpreters(inside, any_python):
    run = inside.python(any_python, OTHERS)
    if run.stdout == b"none\n":
        pytest.skip("no interpreters module in " + any_python.id)
    seen = names(run.events, "import_begin")
    assert seen.count("nor_this_one") == 1
    if any_python.version < (3, 12):
        assert run.stdout.startswith(b"2 2 \n")
        assert seen.count("no_such_module_in_there") == 1
    else:
        assert b"only once they load an extension module" in run.stdout
