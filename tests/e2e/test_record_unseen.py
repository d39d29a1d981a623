# SPDX-License-Identifier: GPL-2.0-or-later
"""What is recorded in many interpreters and processes, and that CPython and the program do not notice."""
import os
import re

import pytest

import interpreters
from record_python import Record, record


# -- interpreters, processes ----------------------------------------------------------------
def test_subinterpreters(lab, any_python):
    code = """
import sys
code = "try:\\n    import absent_in_sub\\nexcept ImportError:\\n    pass\\n"
try:
    from _testcapi import run_in_subinterp as run
except ImportError:
    import _xxsubinterpreters as x
    def run(code):
        i = x.create()
        x.run_string(i, code)
        x.destroy(i)
for _ in range(3):
    run(code)
import colorsys
"""
    if any_python.version >= (3, 13):
        code += "import _interpreters as x\nx.exec(x.create(), code)\n"
    run = record(lab, any_python, code)
    count = 4 if any_python.version >= (3, 13) else 3
    assert [e["interp"] for e in run.all("interpreter")] == list(range(count + 1))
    assert [e.get("interp", 0) for e in run.all("import_begin", text="absent_in_sub")] == list(
        range(1, count + 1))
    assert "interp" not in run.attempt("colorsys")[0]
    assert len(run.all("snapshot", text="absent_in_sub")) == count


def test_fork_in_the_middle_of_an_import(lab, python):
    lab.module("forker", "import os\npid = os.fork()\ntry:\n    import absent_after_fork\n"
                         "except ImportError:\n    pass\nimport colorsys\n"
                         "if pid:\n    os.waitpid(pid, 0)\nelse:\n    os._exit(0)\n")
    run = record(lab, python, "import forker\n")
    images = {e["image_ns"] for e in run.all("snapshot", text="absent_after_fork")}
    assert len(images) == 2
    for image in images:
        begun = {e["import"] for e in run.all("import_begin", image_ns=image)}
        ended = {e["import"] for e in run.all("import_end", image_ns=image)}
        assert ended <= begun
        assert {e["parent"] for e in run.all("import_begin", image_ns=image) if "parent" in e} <= begun
        assert len(run.all("interpreter", image_ns=image)) == 1
        assert run.all("sys_path", image_ns=image)


def test_embedded_and_started_again(lab, any_python):
    source = lab.write("host.c", r"""
#include <Python.h>
static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, "hostmod", 0, -1, 0};
static PyObject *init(void) { return PyModule_Create(&def); }
int main(void)
{
	PyImport_AppendInittab("hostmod", init);
	for (int i = 0; i < 3; i++) {
		Py_Initialize();
		PyRun_SimpleString("import hostmod, json\ntry:\n    import absent_in_host\n"
				   "except ImportError as e:\n    print(e)\n");
		if (!PyImport_ImportModule("absent_from_c"))
			PyErr_Clear();
		printf("%d\n", Py_FinalizeEx());
	}
	return 0;
}
""")
    host = interpreters.host_program(any_python, source)
    env = lab.env(PYTHONHOME=any_python.prefix)
    run = Record(lab.traced([host], env=env))
    assert [e["interp"] for e in run.all("interpreter")] == [0, 1, 2]
    assert len(run.all("snapshot", text="absent_in_host")) == 3
    assert all("frame" not in e for e in run.all("import_begin", text="absent_from_c"))
    assert len(run.all("import_begin", text="absent_from_c")) == 3


def test_a_libpython_opened_by_dlopen(lab, any_python):
    libs = [os.path.join(any_python.libdir, n) for n in os.listdir(any_python.libdir)
            if re.fullmatch(r"libpython%s[a-z]*\.so\.1\.0" % re.escape(any_python.minor), n)]
    if not libs:
        pytest.skip("no shared libpython for " + any_python.id)
    source = lab.write("opener.c", r"""
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	void *lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	((void (*)(void))dlsym(lib, "Py_Initialize"))();
	((int (*)(const char *))dlsym(lib, "PyRun_SimpleString"))(
		"try:\n    import absent_in_opened\nexcept ImportError as e:\n    print(e)\n");
	printf("%d\n", ((int (*)(void))dlsym(lib, "Py_FinalizeEx"))());
	return argc - 2;
}
""")
    opener = interpreters.compile_c(source, "-ldl")
    run = Record(lab.traced([opener, libs[0]], env=lab.env(PYTHONHOME=any_python.prefix)))
    assert run.snapshot("absent_in_opened")
    holder = run.one("object", object=run.one("interpreter")["object"])
    assert os.path.realpath(holder["text"]) == os.path.realpath(libs[0])


def test_a_host_with_copy_relocations(lab, any_python):
    """Its own copies of PyImport_Inittab and None are the ones that count."""
    source = lab.write("copies.c", r"""
#include <Python.h>
int main(void)
{
	struct _inittab *table = PyImport_Inittab;
	PyObject *none = Py_None;
	int n = 0;
	while (table[n].name)
		n++;
	Py_Initialize();
	PyRun_SimpleString("try:\n    import absent_with_copies\nexcept ImportError as e:\n    print(e)\n");
	printf("%d %s\n", n > 10, Py_TYPE(none)->tp_name);
	return Py_FinalizeEx();
}
""")
    host = interpreters.host_program(any_python, source, "-no-pie", "-fno-pie")
    run = Record(lab.traced([host], env=lab.env(PYTHONHOME=any_python.prefix)))
    assert run.snapshot("absent_with_copies")


def test_python27_gets_the_loader_events_alone(lab, python27):
    script = lab.write("script.py", "import json, sqlite3\n")
    run = Record(lab.traced([python27.path, script]))
    assert not run.all("import_begin") and not run.all("note")
    assert run.all("dlopen_enter")


# -- not to be seen ------------------------------------------------------------------------
def test_the_hooks_look_like_what_they_replace(lab, any_python):
    record(lab, any_python, """
import copy, inspect, pickle, sys, threading, _imp, _thread
found = {"exit": sys.exit, "excepthook": sys.excepthook, "create": _imp.create_dynamic,
         "exec": _imp.exec_dynamic, "thread": getattr(_thread, "_excepthook", len)}


def attempt(function, *args, **kw):
    try:
        return repr(function(*args, **kw))
    except BaseException as e:
        return type(e).__name__, str(e)
for name in sorted(found):
    f = found[name]
    print(name, repr(f), type(f), repr(f.__self__), [getattr(f, a) for a in (
        "__name__", "__qualname__", "__module__", "__doc__", "__text_signature__")])
    print(attempt(inspect.signature, f), pickle.loads(pickle.dumps(f)) is f, copy.deepcopy(f) is f)
    print(attempt(f), attempt(f, 1, 2, 3, 4, 5), attempt(f, keyword=1))
print(sys.excepthook is sys.__excepthook__)
print(getattr(threading, "excepthook", len) is found["thread"])
from importlib import _bootstrap, _bootstrap_external
f = _bootstrap._find_and_load
print(f.__name__, f.__qualname__, f.__module__, f.__doc__, inspect.signature(f), attempt(f), attempt(f, x=1))
f = _bootstrap_external.FileFinder.find_spec
print(f.__name__, f.__module__, f.__doc__, inspect.signature(f))
finder = _bootstrap_external.FileFinder("/", (_bootstrap_external.SourceFileLoader, [".py"]))
print(inspect.signature(finder.find_spec), inspect.ismethod(finder.find_spec), finder.find_spec("no"))
print(sorted(vars(sys)), sorted(vars(_imp)), sorted(vars(_bootstrap)))
""")


def test_objects_live_as_long_as_without_us(lab, python):
    record(lab, python, """
import gc, sys, weakref
gc.disable()
class Error(ImportError):
    def __del__(self):
        print("error gone")
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "special":
            raise Error("special", name=name)
    def find_module(self, name, path=None):
        return None
sys.meta_path.insert(0, Finder())
class Text(str):
    pass
entry = Text("/no/such/dir")
sys.path.append(entry)
print(sys.getrefcount(entry))
for _ in range(3):
    try:
        import special
    except ImportError as e:
        print("caught", sys.getrefcount(e))
    print("after")
    try:
        import absent_one
    except ImportError as e:
        keep = e
        print(sys.getrefcount(keep))
print(sys.getrefcount(entry))
name = "absent_" + str(len(sys.argv))
count = sys.getrefcount(name)
try:
    __import__(name)
except ImportError:
    pass
print(sys.getrefcount(name) - count)
del keep
print("end")
""")


def test_refused_arguments_stay_refused(lab, debian):
    record(lab, debian, """
import builtins, importlib._bootstrap as b
for args in ((), (1,), (1, 2), ("a",), ("a", 2, 3), (None, None), (b"x", __import__)):
    try:
        b._find_and_load(*args)
    except BaseException as e:
        print(type(e).__name__, e)
for name in ("", ".", "..x", 5, None):
    try:
        __import__(name)
    except BaseException as e:
        print(type(e).__name__, e)
""")


def test_signals_are_not_swallowed(lab, python):
    """A KeyboardInterrupt that waits while we record reaches the program."""
    record(lab, python, """
import os, signal


def handler(*args):
    raise KeyboardInterrupt
signal.signal(signal.SIGUSR1, handler)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "killer":
            os.kill(os.getpid(), signal.SIGUSR1)
    find_module = None
import sys
sys.meta_path.append(Finder())
try:
    import killer
except KeyboardInterrupt:
    print("interrupted")
except ImportError:
    print("not interrupted")
""")


def test_deep_recursion(lab, any_python):
    """RecursionError comes, and the program goes on."""
    lab.module("deep", "import sys\ndef down(n):\n    try:\n        down(n + 1)\n"
                       "    except RecursionError:\n        try:\n            import absent_deep_down\n"
                       "        except (ImportError, RecursionError):\n            pass\n"
                       "        if n < 900:\n            raise\ndown(0)\n")
    script = lab.write("script.py", "try:\n    import deep\nexcept RecursionError:\n    pass\nprint('on')\n")
    argv = [any_python.path, script]
    bare, traced = lab.bare(argv), lab.recorded(argv)
    assert (traced.returncode, traced.stdout) == (bare.returncode, bare.stdout)


def test_stacks_of_every_attempt(lab, debian):
    lab.module("one", "import two\n")
    lab.module("two", "")
    script = lab.write("script.py", "import one\n")
    run = Record(lab.recorded([debian.path, script], variables={"IMPTRACE_STACKS": "all"}))
    begin, _ = run.attempt("two")
    assert [f[3] for f in begin["stack"]] == ["__main__", "one"]
    assert "frame" not in begin
    run = Record(lab.recorded([debian.path, "-c", "import absent_x"],
                              variables={"IMPTRACE_STACKS": "none"}))
    assert "stack" not in run.attempt("absent_x")[1]
