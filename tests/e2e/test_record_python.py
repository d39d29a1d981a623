# SPDX-License-Identifier: GPL-2.0-or-later
"""What the recorder notes in CPython, compared with what the program itself says at that moment.

The trace is read by trace_decoder.py, which shares no code with `imptrace dump`.
"""
import json
import os
import re
import sys
import sysconfig

import pytest

import interpreters
import trace_decoder

ABSENT, NONE, PRESENT = 0, 1, 2			# IMP_MODULE_*
NOT_FOUND, FOUND, NAMESPACE = 0, 1, 2		# IMP_SEARCH_*
DIRECTORY, FILE, NO_PATH, UNREADABLE = 1, 2, 3, 4	# IMP_PATH_*
START, SITE, RUN = 1, 2, 3			# IMP_PHASE_*
MAIN, THREAD = 1, 2				# IMP_UNCAUGHT_*
CREATE, EXEC = 1, 2				# IMP_STEP_*


class Record:
    """The events of one run."""

    def __init__(self, run):
        self.run = run
        self.events = trace_decoder.events(run.trace)

    def all(self, kind, **where):
        return [e for e in self.events if e["kind"] == kind and
                all(e.get(k) == v for k, v in where.items())]

    def one(self, kind, **where):
        found = self.all(kind, **where)
        assert len(found) == 1, (kind, where, found)
        return found[0]

    def attempt(self, name, which=-1):
        """(begin, end) of an attempt."""
        begin = self.all("import_begin", text=name)[which]
        return begin, self.one("import_end", **{"import": begin["import"],
                                                "image_ns": begin["image_ns"]})

    def snapshot(self, name, which=-1):
        return self.all("snapshot", text=name)[which]

    def entry(self, name, path):
        return next(e for e in self.snapshot(name)["entries"] if e["entry"] == str(path))

    def candidates(self, name, path):
        return {c["name"]: c for c in self.entry(name, path).get("candidates", [])}


def record(lab, python, code, *args, options=(), **kw):
    """Run a script bare and traced; returns the Record."""
    script = lab.write("script.py", code)
    return Record(lab.traced([python.path, *options, script, *args], **kw))


# -- attempts ------------------------------------------------------------------------------
TRUTH = """
import sys, json, decimal, sqlite3, email.mime.text, xml.dom.minidom
def facts(module):
    spec = getattr(module, "__spec__", None)
    loader = getattr(spec, "loader", None)
    kind = loader if isinstance(loader, type) else type(loader)
    return [getattr(spec, "origin", None), kind.__name__]
print(json.dumps({name: facts(module) for name, module in sys.modules.items()}))
"""
# Imported before there is anything to hook, or not by importlib.
EARLY = {"sys", "builtins", "_frozen_importlib", "_imp", "_thread", "_warnings", "_weakref", "winreg",
         "__main__", "_io", "marshal", "posix", "encodings.latin_1", "zipimport"}


def test_every_import_is_recorded_with_its_origin(lab, any_python):
    run = record(lab, any_python, TRUTH)
    truth = json.loads(run.run.stdout.decode())
    seen = {}
    for begin in run.all("import_begin"):
        end = run.one("import_end", **{"import": begin["import"]})
        if "exception" not in end:
            seen[begin["text"]] = (end.get("origin"), end.get("loader"))
    # What is put into sys.modules by hand (os.path, namespace packages of a .pth) has no import of its own.
    missing = {n for n in truth if n not in seen and n not in EARLY and "." not in n and truth[n][0] and
               truth[n][1] in ("SourceFileLoader", "ExtensionFileLoader") and n != "mpl_toolkits"}
    assert not missing
    compared = 0
    for name, (origin, loader) in seen.items():
        # A module that replaces itself, or whose spec was made up by hand, says something else.
        if name not in truth or truth[name][0] is None or name == "posixpath":
            continue
        if origin in ("built-in", "frozen") and truth[name][0] != origin:
            continue
        assert (origin, loader) == tuple(truth[name]), name
        compared += 1
    assert compared > 40


def test_attempts_nest_and_end(lab, any_python):
    run = record(lab, any_python, "import json, decimal\n")
    begun = {e["import"]: e for e in run.all("import_begin")}
    ended = [e["import"] for e in run.all("import_end")]
    assert sorted(begun) == sorted(ended)
    parent = begun[run.attempt("json.decoder")[0]["parent"]]
    assert parent["text"] == "json"
    order = [(e["kind"], e["import"]) for e in run.events if e["kind"].startswith("import_")]
    for number, begin in begun.items():
        if "parent" in begin:
            assert (order.index(("import_begin", begin["parent"])) <
                    order.index(("import_begin", number)) <
                    order.index(("import_end", number)) <
                    order.index(("import_end", begin["parent"])))


def test_who_asked(lab, any_python):
    lab.module("asked", "def fetch():\n    import sqlite3\n")
    run = record(lab, any_python, "import asked\n\nasked.fetch()\n")
    begin, _ = run.attempt("sqlite3")
    assert begin["frame"] == [str(lab.site / "asked.py"), 2, "fetch", "asked"]
    begin, _ = run.attempt("asked")
    assert begin["frame"] == [str(lab.dir / "script.py"), 1, "<module>", "__main__"]


def test_who_asked_through_importlib(lab, python):
    run = record(lab, python, "import importlib\ndef load():\n"
                              "    return importlib.import_module('colorsys')\nload()\n")
    begin, _ = run.attempt("colorsys")
    assert begin["frame"] == [str(lab.dir / "script.py"), 3, "load", "__main__"]


def test_interpreter(lab, any_python):
    run = record(lab, any_python, """
import sys, json, _imp
print(json.dumps({"version": sys.version, "implementation": sys.implementation.name,
    "cache_tag": sys.implementation.cache_tag, "suffixes": _imp.extension_suffixes(),
    "abiflags": sys.abiflags, "executable": sys.executable, "prefix": sys.prefix,
    "base_prefix": sys.base_prefix, "exec_prefix": sys.exec_prefix,
    "base_exec_prefix": sys.base_exec_prefix, "platform": sys.platform,
    "flags": {n: int(getattr(sys.flags, n)) for n in ("no_site", "isolated", "optimize", "verbose")}}))
""", options=["-O"])
    truth = json.loads(run.run.stdout.decode())
    event = run.one("interpreter")
    flags = event["flags"]
    for key, value in truth.pop("flags").items():
        assert flags[key] == value, key
    for key, value in truth.items():
        assert event[key] == value, key
    holder = run.one("object", object=event["object"])
    assert "python" in os.path.basename(holder["text"])


def test_sys_path_and_its_phases(lab, any_python):
    run = record(lab, any_python, """
import sys, json
at_start = list(sys.path)
sys.path.insert(1, "/nowhere/in/particular")
try:
    import not_there_at_all
except ImportError:
    pass
print(json.dumps([at_start, sys.path]))
""")
    at_start, changed = json.loads(run.run.stdout.decode())
    paths = run.all("sys_path")
    assert paths[-1]["path"] == changed
    assert paths[-1]["phase"] == RUN
    assert paths[-1]["import"] == run.attempt("not_there_at_all")[0]["import"]
    assert [p["phase"] for p in paths] == sorted(p["phase"] for p in paths)
    first = paths[0]
    assert first["phase"] == START
    assert str(lab.site) in first["path"]
    assert not any("site-packages" in p or "dist-packages" in p for p in first["path"])
    before = [p for p in paths if p["phase"] == SITE]
    added = set(at_start[1:]) - set(first["path"])
    assert added <= {x for p in before for x in p["path"]}, "what site added is told to be site's"


def test_without_site(lab, python):
    run = record(lab, python, "import sys\nsys.path.append('/later')\nimport colorsys\n",
                 options=["-I", "-S"])
    assert [p["phase"] for p in run.all("sys_path")][0] == START
    assert {p["phase"] for p in run.all("sys_path")[1:]} == {RUN}
    assert run.one("interpreter")["flags"]["no_site"] == 1


@pytest.mark.parametrize("options", [("-X", "importtime"), ("-X", "frozen_modules=off"), ("-E",), ("-v",)])
def test_options(lab, debian, options):
    script = lab.write("script.py", "import colorsys\nimport absent_module_of_mine\n")
    argv = [debian.path, *options, script]
    bare, traced = lab.bare(argv), lab.recorded(argv)
    assert traced.returncode == bare.returncode == 1
    assert traced.last_error() == bare.last_error()
    run = Record(traced)
    assert run.attempt("colorsys")[1]["loader"] == "SourceFileLoader"
    assert run.snapshot("absent_module_of_mine")


# -- failures ------------------------------------------------------------------------------
def test_an_optional_import_that_fails(lab, any_python):
    run = record(lab, any_python, """
try:
    import absent_speedups
except ImportError:
    absent_speedups = None
import colorsys
""")
    begin, end = run.attempt("absent_speedups")
    error = end["exception"]
    assert error["type"] == "ModuleNotFoundError"
    assert error["message"] == "No module named 'absent_speedups'"
    assert error["name"] == "absent_speedups"
    assert begin["frame"][:3] == [str(lab.dir / "script.py"), 3, "<module>"]
    assert end["stack"] == [begin["frame"]]
    assert [str(lab.dir), "FileFinder", NOT_FOUND] in end["searched"]
    assert [str(lab.site), "FileFinder", NOT_FOUND] in end["searched"]
    snapshot = run.snapshot("absent_speedups")
    assert snapshot["sys_modules"] == ABSENT
    assert [e["entry"] for e in snapshot["entries"]] == run.all("sys_path")[-1]["path"]
    assert not run.all("uncaught")


def near_misses(lab):
    site = lab.site
    (site / "thing.cpython-399-x86_64-linux-gnu.so").write_bytes(b"")
    (site / "Thing.py").write_text("")
    (site / "thing.pyc.bak").write_text("")
    (site / "thing.libs").mkdir(exist_ok=True)
    if not (site / "thing.py").is_symlink():
        (site / "thing.py").symlink_to("gone/target.py")
    (site / "thingummy.py").write_text("")


def test_near_misses(lab, any_python):
    near_misses(lab)
    run = record(lab, any_python, "import thing\n")
    found = run.candidates("thing", lab.site)
    assert set(found) == {"thing.cpython-399-x86_64-linux-gnu.so", "Thing.py", "thing.pyc.bak",
                          "thing.libs", "thing.py"}
    for name, candidate in found.items():
        st = os.lstat(lab.site / name)
        assert candidate["stat"] == [st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns]
        assert candidate["in_cache"] is True
    assert found["thing.py"]["target"] == "gone/target.py"
    assert found["thing.py"]["target_errno"] == 2
    entry = run.entry("thing", lab.site)
    st = os.stat(lab.site)
    assert (entry["state"], entry["finder"]) == (DIRECTORY, "FileFinder")
    assert entry["finder_mtime"] == st.st_mtime_ns
    assert entry["finder_names"] == len(os.listdir(lab.site))
    error = run.one("uncaught")["exception"]
    assert error["message"] == "No module named 'thing'"
    assert run.attempt("thing")[1]["exception"]["id"] == error["id"], "the same exception object"


def test_a_folder_without_init_and_one_with(lab, debian):
    def prepare():
        for name in ("withinit", "plain"):
            (lab.site / name).mkdir(exist_ok=True)
        (lab.site / "withinit" / "__init__.cpython-399.so").write_text("")
    run = record(lab, debian, "import plain\ntry:\n    import withinit.sub\n"
                              "except ImportError:\n    pass\nimport plain.nothing\n", prepare=prepare)
    _, end = run.attempt("plain")
    assert [str(lab.site), "FileFinder", NAMESPACE] in end["searched"]
    _, end = run.attempt("plain.nothing")
    assert end["submodule_path"] == [str(lab.site / "plain")]
    entry = run.entry("plain.nothing", lab.site / "plain")
    assert entry["hooked"] is True
    begin, _ = run.attempt("withinit.sub")
    assert run.candidates("withinit.sub", lab.site / "withinit") == {}


def test_inside_a_folder(lab, debian):
    def prepare():
        (lab.site / "folder.py.d").mkdir(exist_ok=True)
        (lab.site / "Folder").mkdir(exist_ok=True)
        (lab.site / "Folder" / "__init__.py").write_text("")
        (lab.site / "Folder" / "other.py").write_text("")
    run = record(lab, debian, "import folder\n", prepare=prepare)
    found = run.candidates("folder", lab.site)
    assert found["Folder"]["inside"] == ["__init__.py"]
    assert found["folder.py.d"]["inside"] == []


def test_a_stale_listing_is_exposed(lab, any_python):
    """The file comes after the listing, and the directory's mtime is put back."""
    code = """
import os, sys
site = sys.argv[1]
try:
    import warm_up_the_listing
except ImportError:
    pass
before = os.stat(site)
open(os.path.join(site, "late.py"), "w").close()
os.utime(site, ns=(before.st_atime_ns, before.st_mtime_ns))
import late
"""
    def prepare():
        for late in lab.site.glob("late*"):
            late.unlink()
    run = record(lab, any_python, code, lab.site, prepare=prepare)
    assert run.run.returncode == 1
    found = run.candidates("late", lab.site)
    assert found["late.py"]["in_cache"] is False
    assert "stat" in found["late.py"]


def test_a_listed_file_that_is_gone(lab, debian):
    code = """
import os, sys
site = sys.argv[1]
try:
    import warm_up_the_listing
except ImportError:
    pass
before = os.stat(site)
os.unlink(os.path.join(site, "gone.py"))
os.utime(site, ns=(before.st_atime_ns, before.st_mtime_ns))
import gone
"""
    run = record(lab, debian, code, lab.site, prepare=lambda: lab.module("gone"))
    found = run.candidates("gone", lab.site)["gone.py"]
    assert (found["in_cache"], found["on_disk"], found["errno"]) == (True, False, 2)


def test_states_of_entries(lab, debian):
    lab.write("a_file", "not an archive")
    run = record(lab, debian, "import sys\nsys.path[1:1] = [sys.argv[1], '/not/there', '']\n"
                              "import nothing_of_that_name\n", lab.dir / "a_file")
    states = {e["entry"]: e["state"] for e in run.snapshot("nothing_of_that_name")["entries"]}
    assert states[str(lab.dir / "a_file")] == FILE
    assert states["/not/there"] == NO_PATH
    assert states[""] == DIRECTORY
    assert run.entry("nothing_of_that_name", "/not/there")["errno"] == 2


@pytest.mark.needs_root
def test_a_directory_that_may_not_be_listed(public_lab, debian):
    lab = public_lab
    closed = lab.dir / "closed"
    closed.mkdir()
    closed.chmod(0o000)
    run = record(lab, debian, "import sys\nsys.path.insert(1, sys.argv[1])\nimport hidden\n", closed,
                 user=65534, group=65534, extra_groups=[])
    entry = run.entry("hidden", closed)
    assert (entry["state"], entry["errno"]) == (UNREADABLE, 13)
    assert entry["stat"][0] & 0o7777 == 0


def test_members_of_an_archive(lab, any_python):
    import zipfile
    path = lab.dir / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("native.cpython-399-x86_64-linux-gnu.so", b"x")
        archive.writestr("native_other.py", "")
        archive.writestr("pkg/__init__.py", "")
        archive.writestr("pkg/inner.so", b"x")
    run = record(lab, any_python, """
import sys
sys.path.insert(1, sys.argv[1])
try:
    import native
except ImportError:
    pass
import pkg.inner
""", path)
    found = run.candidates("native", path)
    assert set(found) == {"native.cpython-399-x86_64-linux-gnu.so"}
    assert found["native.cpython-399-x86_64-linux-gnu.so"]["on_disk"] is False
    assert run.entry("native", path)["state"] == FILE
    assert set(run.candidates("pkg.inner", path / "pkg")) == {"inner.so"}


def test_blocked_in_sys_modules(lab, python):
    run = record(lab, python, "import sys\nsys.modules['colorsys'] = None\ntry:\n    import colorsys\n"
                              "except ImportError:\n    pass\n")
    if python.version < (3, 7):
        pytest.skip("3.6 refuses before importlib is asked")
    assert run.snapshot("colorsys")["sys_modules"] == NONE


def test_one_failure_passes_through_many_imports(lab, python):
    lab.module("outer", "import middle\n")
    lab.module("middle", "import inner_most\n")
    lab.module("inner_most", "import really_absent\n")
    run = record(lab, python, "import outer\n")
    ids = {run.attempt(n)[1]["exception"]["id"] for n in ("outer", "middle", "inner_most",
                                                        "really_absent")}
    assert len(ids) == 1
    assert run.one("uncaught")["exception"]["id"] in ids
    for name in ("outer", "middle", "inner_most"):
        assert not run.all("snapshot", text=name)
        assert "stack" not in run.attempt(name)[1]
    functions = [f[3] for f in run.attempt("really_absent")[1]["stack"]]
    assert functions == ["__main__", "outer", "middle", "inner_most"]


def test_chains(lab, any_python):
    lab.module("wrapper", "try:\n    import base_is_absent\nexcept ImportError as e:\n"
                          "    raise RuntimeError('wrapper needs its base') from e\n")
    lab.module("second", "try:\n    import wrapper\nexcept RuntimeError:\n    1 / 0\n")
    run = record(lab, any_python, "import second\n")
    error = run.one("uncaught")["exception"]
    assert (error["type"], error["message"]) == ("ZeroDivisionError", "division by zero")
    assert error["where"] == [str(lab.site / "second.py"), 4, "<module>", "second"]
    context = error["context"]
    assert (context["type"], context["message"]) == ("RuntimeError", "wrapper needs its base")
    assert context["suppress"] is True
    cause = context["cause"]
    assert (cause["type"], cause["name"]) == ("ModuleNotFoundError", "base_is_absent")
    assert cause["id"] == run.attempt("base_is_absent")[1]["exception"]["id"]


@pytest.mark.parametrize("raised, message", [
    ("KeyError('k')", "'k'"),
    ("KeyError(\"it's\")", "\"it's\""),
    ("OSError(2, 'No such file', 'a/b')", "[Errno 2] No such file: 'a/b'"),
    ("OSError(2, 'No such file')", "[Errno 2] No such file"),
    ("ImportError('text', name='n', path='/p')", "text"),
    ("ValueError('a', 1, None, True, (2,))", "('a', 1, None, True, (2,))"),
    ("ValueError()", ""),
    ("ValueError(-7)", "-7"),
    ("ValueError(b'by\\x00te')", "b'by\\x00te'"),
    ("ImportError(OSError(5, 'inner'))", "[Errno 5] inner"),
    ("UnicodeError('tab\\tline\\n')", "tab\tline\n"),
    ("SystemError('caf\\xe9')", "caf\xe9"),
])
def test_messages_are_those_of_str(lab, debian, raised, message):
    lab.module("raises", "raise %s\n" % raised)
    run = record(lab, debian, "try:\n    import raises\nexcept BaseException as e:\n"
                              "    print(repr(str(e)))\n")
    assert eval(run.run.stdout.decode()) == message, "the fixture's own expectation"
    assert run.attempt("raises")[1]["exception"]["message"] == message


def test_syntax_error(lab, python):
    lab.module("broken", "x = 1\ndef (:\n")
    run = record(lab, python, "try:\n    import broken\nexcept SyntaxError as e:\n    print(e)\n")
    error = run.attempt("broken")[1]["exception"]
    assert error["type"] == "SyntaxError"
    assert error["message"] == run.run.stdout.decode().strip()


def test_no_code_of_the_program_runs(lab, any_python):
    """__str__, __repr__, properties, metaclasses: each would print."""
    lab.module("evil", """
class Meta(type):
    def __getattribute__(cls, name):
        print("metaclass asked for", name)
        return super().__getattribute__(name)
    @property
    def __module__(cls):
        print("module of a class")
class Loud:
    def __str__(self):
        print("str called")
        return "loud"
    __repr__ = __str__
    def __getattr__(self, name):
        print("getattr", name)
        raise AttributeError(name)
class Evil(ImportError):
    def __str__(self):
        print("evil str")
        return "evil"
    @property
    def name(self):
        print("name asked")
    args = property(lambda self: print("args asked"))
class Finder(metaclass=Meta):
    def __getattr__(self, name):
        print("finder getattr", name)
        raise AttributeError(name)
    def find_spec(self, *args):
        return None
class Path(str):
    def __hash__(self):
        print("hash of a path")
        return 1
    def __eq__(self, other):
        print("eq of a path")
        return False
""")
    run = record(lab, any_python, """
import sys, evil
sys.meta_path.append(evil.Finder())
sys.path_hooks.append(lambda p: (_ for _ in ()).throw(ImportError()))
evil.out = []
print("-- begin")
try:
    import absent_1
except ImportError:
    pass
sys.modules["loud"] = evil.Loud()
try:
    import loud.sub
except ImportError:
    pass
try:
    sys.exit(evil.Loud())
except SystemExit:
    pass
class Module:
    def find_spec(self, name, *rest):
        if name == "raising":
            raise evil.Evil(evil.Loud(), 1)
sys.meta_path.append(Module())
try:
    import raising
except ImportError:
    print("caught")
print("-- end")
raise evil.Evil("bye")
""")
    error = run.attempt("raising")[1]["exception"]
    assert error["type"] == "evil.Evil"
    assert "message" in error


def test_names_that_are_no_utf8(lab, python):
    run = record(lab, python, "import importlib\nfor n in ('sur\\udc80', 'high\\ud800', 'caf\\xe9', 'a\\0b'):\n"
                              "    try:\n        importlib.import_module(n)\n"
                              "    except (ImportError, ValueError) as e:\n        print(type(e).__name__)\n")
    names = {e["text"].encode("utf-8", "surrogateescape") for e in run.all("import_begin")}
    assert {b"sur\x80", b"high\xed\xa0\x80", "caf\xe9".encode(), b"a\0b"} <= names


def test_a_very_long_name(lab, debian):
    run = record(lab, debian, "try:\n    __import__('x' * 100000)\nexcept ImportError:\n    pass\n")
    names = [e["text"] for e in run.all("import_begin") if e["text"].startswith("xxx")]
    assert len(names) == 1 and 4000 < len(names[0]) < 5000 and names[0].endswith("[...]")


# -- the end -------------------------------------------------------------------------------
def test_sys_exit_while_handling(lab, any_python):
    run = record(lab, any_python, "import sys\ntry:\n    import absent_database\nexcept ImportError as e:\n"
                                  "    sys.exit('cannot start: %s' % e)\n")
    assert run.run.returncode == 1
    event = run.one("sys_exit")
    assert event["message"] == "cannot start: No module named 'absent_database'"
    assert event["code"] == 1
    assert event["exception"]["name"] == "absent_database"
    assert event["frame"] == [str(lab.dir / "script.py"), 5, "<module>", "__main__"]
    assert not run.all("uncaught")


@pytest.mark.parametrize("argument, code", [("", 0), ("3", 3), ("None", 0), ("True", 1), ("-1", -1)])
def test_sys_exit_codes(lab, debian, argument, code):
    event = record(lab, debian, "import sys\nsys.exit(%s)\n" % argument).one("sys_exit")
    assert (event["code"], event.get("exception"), event.get("message")) == (code, None, None)


def test_uncaught_in_a_thread(lab, any_python):
    if any_python.version < (3, 8):
        pytest.skip("threading had no hook before 3.8")
    code = ("import threading\ndef work():\n    import absent_in_thread\n"
            "t = threading.Thread(target=work, name='w')\nt.start()\nt.join()\n")
    run = record(lab, any_python, code)
    event = run.one("uncaught")
    assert event["how"] == THREAD
    assert event["exception"]["name"] == "absent_in_thread"
    begin, _ = run.attempt("absent_in_thread")
    assert begin["thread"] != begin["pid"]


def test_claims(lab, any_python):
    def prepare():
        info = lab.site / "Some_Thing-1.5.dist-info"
        info.mkdir(exist_ok=True)
        (info / "RECORD").write_text(
            "some_thing/__init__.py,sha256=abc,10\n"
            "some_thing/_native.cpython-399-x86_64-linux-gnu.so,sha256=def,20\n"
            "Some_Thing-1.5.dist-info/RECORD,,\n")
        (info / "WHEEL").write_text("Wheel-Version: 1.0\nTag: cp399-cp399-linux_x86_64\n")
        egg = lab.site / "odd_name-2.egg-info"
        egg.mkdir(exist_ok=True)
        (egg / "top_level.txt").write_text("other\ncv9\n")
        (lab.site / "some_thing").mkdir(exist_ok=True)
        (lab.site / "some_thing" / "__init__.py").write_text("")
    run = record(lab, any_python, "try:\n    import some_thing._native\nexcept ImportError:\n    pass\n"
                                  "import cv9\n", prepare=prepare)
    claim = run.all("claims", text="some_thing._native")[0]["claims"]
    assert claim == [[str(lab.site / "Some_Thing-1.5.dist-info"),
                      "some_thing/_native.cpython-399-x86_64-linux-gnu.so,sha256=def,20",
                      "Tag: cp399-cp399-linux_x86_64"]]
    # Its distribution has a name that says nothing: found only since the program ends of it.
    claim = run.one("claims", text="cv9")["claims"]
    assert claim == [[str(lab.site / "odd_name-2.egg-info"), "cv9", ""]]


def test_metadata_names_once(lab, debian):
    def prepare():
        for name in ("a-1.dist-info", "b.egg-info", "c.egg-link", "d.pth", "__editable___e.py"):
            (lab.site / name).touch()
    run = record(lab, debian, "for n in ('first_x', 'second_x'):\n    try:\n        __import__(n)\n"
                              "    except ImportError:\n        pass\n", prepare=prepare)
    assert sorted(run.entry("first_x", lab.site)["metadata"]) == [
        "__editable___e.py", "a-1.dist-info", "b.egg-info", "c.egg-link", "d.pth"]
    assert "metadata" not in run.entry("second_x", lab.site)


# -- extensions ----------------------------------------------------------------------------
def test_extension_loads(lab, any_python):
    dynamic = [n for n in ("_json", "_struct", "_sqlite3", "_decimal", "_ctypes")
               if n not in any_python.builtin]
    assert dynamic
    run = record(lab, any_python, "import importlib, sys\nfor n in sys.argv[1:]:\n"
                                  "    print(importlib.import_module(n).__file__)\n", *dynamic)
    files = run.run.stdout.decode().split()
    for name, path in zip(dynamic, files):
        begins = run.all("ext_begin", text=name)
        assert begins[0]["step"] == CREATE
        assert {b["origin"] for b in begins} == {path}
        assert begins[0]["import"] == run.attempt(name, 0)[0]["import"]
        for begin in begins:
            assert "exception" not in run.one("ext_end", call=begin["call"])


def test_an_extension_that_cannot_be_loaded(lab, any_python):
    (lab.site / ("damaged" + any_python.suffix)).write_bytes(b"this is no ELF file")
    run = record(lab, any_python, "import damaged\n")
    begin = run.one("ext_begin", text="damaged")
    error = run.one("ext_end", call=begin["call"])["exception"]
    assert error["type"] == "ImportError"
    assert error["path"] == str(lab.site / ("damaged" + any_python.suffix))
    assert error["message"] == run.run.last_error()[1]
    assert set(run.candidates("damaged", lab.site)) == {"damaged" + any_python.suffix}


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
