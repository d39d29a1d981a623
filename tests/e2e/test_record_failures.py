# SPDX-License-Identifier: GPL-2.0-or-later
"""What the recorder notes of an import that fails."""
import os

import pytest

from record_python import ABSENT, DIRECTORY, FILE, NAMESPACE, NONE, NOT_FOUND, NO_PATH, UNREADABLE, record


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
