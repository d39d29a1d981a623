# SPDX-License-Identifier: GPL-2.0-or-later
"""What the recorder notes in CPython, compared with what the program itself says at that moment."""
import json
import os

import pytest

from record_python import CREATE, RUN, SITE, START, THREAD, Record, record


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
