# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program can find out about itself is the same bare and traced.

Each program prints what it finds; the lab compares both runs.
"""
import re

import pytest

import harness
import interpreters

SOURCES = harness.FIXTURES / "invisible"

# Every function that the recorder stands in for, by what can be asked of it.
FUNCTIONS = r"""
import copy, importlib, inspect, pickle, sys, types
import importlib._bootstrap as bootstrap
import importlib._bootstrap_external as external
import _imp, _thread

def tried(function):
    try:
        return function()
    except BaseException as error:
        return type(error).__name__, str(error)

finder = external.FileFinder("/tmp")
functions = [sys.exit, sys.excepthook, sys.__excepthook__, _imp.create_dynamic, _imp.exec_dynamic,
             bootstrap._find_and_load, external.FileFinder.find_spec,
             getattr(_thread, "_excepthook", None)]
for f in functions:
    print(f, f.__class__, repr(type(f)), f.__doc__)
    print([getattr(f, name, None) for name in ("__self__", "__name__", "__module__", "__qualname__",
          "__defaults__", "__annotations__", "__text_signature__")])
    print(hasattr(f, "__globals__"), tried(lambda: f.__code__.co_name), dir(f))
    print(tried(lambda: inspect.signature(f)), tried(lambda: inspect.getfile(f)))
    print(tried(lambda: pickle.loads(pickle.dumps(f)) is f), tried(lambda: copy.deepcopy(f) is f),
          tried(lambda: copy.copy(f) is f))
    print(inspect.isfunction(f), inspect.isbuiltin(f), inspect.isroutine(f), callable(f),
          isinstance(f, types.FunctionType), isinstance(f, types.BuiltinFunctionType))
    print(tried(lambda: setattr(f, "mark", 1)), tried(lambda: f.mark), tried(lambda: delattr(f, "mark")),
          tried(lambda: f.mark))
    print(f == f, hash(f) == hash(f), tried(lambda: f < f))
print(sys.excepthook is sys.__excepthook__)
print(finder.find_spec, inspect.ismethod(finder.find_spec), inspect.signature(finder.find_spec))
print(finder.find_spec.__func__ is external.FileFinder.find_spec, finder.find_spec == finder.find_spec)
print([sys.getrefcount(module) for module in (_imp, _thread)])

class Derived(external.FileFinder):
    again = external.FileFinder.find_spec
    def find_spec(self, *args, **kwargs):
        return super().find_spec(*args, **kwargs)

class Holder:
    leave = sys.exit

for call in (lambda: finder.find_spec("absent"), lambda: finder.find_spec(fullname="absent", target=None),
             lambda: finder.find_spec(), lambda: finder.find_spec("absent", None, 3),
             lambda: finder.find_spec("absent", bogus=1), lambda: external.FileFinder.find_spec(finder, "absent"),
             lambda: Derived("/tmp").find_spec("absent"), lambda: Derived("/tmp").again("absent"),
             lambda: bootstrap._find_and_load("absent_17", bootstrap._gcd_import),
             lambda: bootstrap._find_and_load(name="absent_19", import_=bootstrap._gcd_import),
             lambda: bootstrap._find_and_load(), lambda: bootstrap._find_and_load("absent_23", None, bogus=1),
             lambda: Holder().leave(7), lambda: sys.exit(1, 2), lambda: sys.exit(status=1), lambda: sys.exit("text"),
             lambda: sys.excepthook(1), lambda: sys.excepthook(*sys.exc_info()), lambda: _imp.create_dynamic(),
             lambda: _imp.create_dynamic(None), lambda: _imp.exec_dynamic(), lambda: _imp.exec_dynamic(sys)):
    print(tried(call))
"""

EVENTS = r"""
import importlib, sys
sys.dont_write_bytecode = True

def work():
    import colorsys
    importlib.import_module("stringprep")
    for name in ("absent_29", "json.absent_31"):
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    try:
        sys.exit(3)
    except SystemExit:
        pass

def called(frame, event, arg):
    events.append((event, frame.f_code.co_name, getattr(arg, "__qualname__", "") if event[:2] == "c_" else ""))

def traced(frame, event, arg):
    events.append((event, frame.f_code.co_name, frame.f_lineno))
    return traced

import json
for start, hook in ((sys.setprofile, called), (sys.settrace, traced)):
    for name in ("colorsys", "stringprep", "unicodedata"):
        sys.modules.pop(name, None)
    events = []
    start(hook)
    work()
    start(None)
    print(len(events))
    for event in events:
        print(event)
"""

# What an audit hook and sys.monitoring are told, and objects that tell when they are looked at.
WATCHED = r"""
import importlib, os, re, sys, threading
sys.dont_write_bytecode = True

def work():
    for name in ("colorsys", "unicodedata", "absent_47", "json.absent_53", "refused", "broken", "within"):
        sys.modules.pop(name, None)
        try:
            importlib.import_module(name)
        except (ImportError, ValueError, SyntaxError):
            pass
    try:
        from json import absent_59
    except ImportError as error:
        sys.excepthook(ImportError, error, error.__traceback__)
    try:
        sys.exit(3)
    except SystemExit:
        pass

class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name == "refused":
            raise ValueError(name)

for name, text in (("broken", "def"), ("within", "import absent_61")):
    with open(name + ".py", "w") as file:
        file.write(text)
sys.meta_path.insert(0, Refuses())
sys.path.insert(0, os.getcwd())
work()
events = []
recording = True

def heard(*event):
    global recording
    if recording:
        recording = False
        events.append(re.sub("0x[0-9a-f]+|[0-9]{12,}", "", repr(event)))
        recording = True

if hasattr(sys, "addaudithook"):
    sys.addaudithook(heard)
if hasattr(sys, "monitoring"):
    def called(code, offset, function, argument):
        if getattr(function, "__name__", "") == "find_spec":
            heard("find_spec", offset, type(function).__name__, type(argument).__name__)
    sys.monitoring.use_tool_id(3, "test")
    sys.monitoring.register_callback(3, sys.monitoring.events.CALL, called)
    sys.monitoring.set_events(3, sys.monitoring.events.CALL)
work()
recording = False
for event in events:
    print(event)

class Traceback:
    def __getattribute__(self, name):
        print("traceback", name)
        raise AttributeError(name)

class Meta(type):
    def __getattribute__(cls, name):
        print("class", name)
        return type.__getattribute__(cls, name)

class Error(ImportError, metaclass=Meta):
    def __getattribute__(self, name):
        print("error", name)
        return ImportError.__getattribute__(self, name)

class Number(int):
    def __index__(self):
        print("number")
        return 5

try:
    raise Error("raised")
except Error as error:
    raised = error
for given in ((Error, raised, Traceback()), (Error, Error("not raised"), Traceback()), (3, 5, 7),
              (ValueError, "text", Traceback()), (None, None, None), (ValueError, ValueError(), 11)):
    hooks = [lambda: sys.excepthook(*given)]
    if hasattr(threading, "ExceptHookArgs"):
        hooks.append(lambda: threading.excepthook(threading.ExceptHookArgs(given + (threading.current_thread(),))))
    for hook in hooks:
        print(given[:1])
        try:
            hook()
        except BaseException as error:
            print(type(error).__name__)
for status in (Number(3), Traceback(), "text", (1, 2), 2**80, None) * 5:
    try:
        sys.exit(status)
    except SystemExit as error:
        print(type(error.code).__name__)
"""

# Objects that live until the very end, in all places from which the end takes them.
LAST_WORDS = r"""
import atexit, builtins, importlib, importlib.machinery, os, sys
import importlib._bootstrap as bootstrap

class Last:
    def __init__(self, name):
        self.name = name
    def __del__(self, leave=sys.exit, load=importlib.import_module, find=bootstrap._find_and_load,
                import_=bootstrap._gcd_import, FileFinder=importlib.machinery.FileFinder, hook=sys.excepthook,
                write=os.write, Error=BaseException, type=type):
        for what in (lambda: leave(3), lambda: load("colorsys"), lambda: load("absent_37"),
                     lambda: find("absent_41", import_), lambda: FileFinder("/tmp").find_spec("absent"),
                     lambda: hook(None, None, None)):
            try:
                what()
                said = "fine"
            except Error as error:
                said = type(error).__name__
            write(1, ("%s: %s\n" % (self.name, said)).encode())

cycle = Last("cycle")
cycle.self = cycle
sys.last = Last("sys")
builtins.last = Last("builtins")
sys.modules["last"] = Last("modules")
bootstrap.last = Last("importlib")
atexit.register(os.write, 1, b"atexit\n")
"""


@pytest.mark.parametrize("program", [FUNCTIONS, EVENTS, WATCHED, LAST_WORDS],
                         ids=["functions", "events", "watched", "last-words"])
def test_same(lab, any_python, program):
    run = lab.traced([any_python.path, lab.write("program.py", program)])
    assert run.returncode == 0, run.text
    assert run.stdout.count(b"\n") > 30


@pytest.mark.parametrize("flag", ["-v", "-vv"])
def test_verbose(lab, any_python, flag):
    """No object of ours is announced when the interpreter takes itself apart."""
    argv = [any_python.path, flag, "-c", "pass"]
    bare, traced = lab.bare(argv), lab.recorded(argv)
    assert b"# destroy" in bare.stderr

    def lines(run):
        return sorted(harness.normalise(run.stderr).splitlines())

    assert lines(traced) == lines(bare)


def test_profile_names_nothing_of_ours(lab, any_python):
    argv = [any_python.path, "-B", "-m", "cProfile", "-s", "name", lab.write(
        "program.py", "import colorsys, importlib\nimportlib.import_module('stringprep')\n")]

    def rows(run):
        times = re.sub(rb" +\d+\.\d\d\d", b"", harness.normalise(run.stdout))
        return sorted(line for line in times.splitlines() if b"seconds" not in line)

    bare, traced = lab.bare(argv), lab.recorded(argv)
    assert bare.returncode == traced.returncode == 0
    assert rows(traced) == rows(bare)


def test_memory_stays(lab, any_python):
    """What is recorded of an attempt leaves nothing behind in the interpreter.

    Some versions leave something behind themselves, so it is compared, with room for chance.
    """
    program = lab.write("program.py", r"""
import gc, sys

def work(times):
    for _ in range(times):
        sys.modules.pop("colorsys", None)
        import colorsys
        try:
            import absent_43
        except ImportError:
            pass
    gc.collect()
    return sys.getallocatedblocks()

work(211)
before = work(17)
print(work(1009) - before)
""")
    argv = [any_python.path, program]
    assert int(lab.recorded(argv).stdout) - int(lab.bare(argv).stdout) < 250


def test_descriptor_is_not_inherited_by_fork(lab):
    program = interpreters.compile_c(SOURCES / "fork_while_writing.c", "-pthread")
    assert lab.traced([program, ".zst"]).stdout == b"0\n"


def test_handler_leaves_by_longjmp(lab):
    program = interpreters.compile_c(SOURCES / "leave_by_longjmp.c", "-pthread")
    for delay in range(0, 53, 7):
        assert lab.traced([program, str(delay)]).stdout == b"fast\n"
