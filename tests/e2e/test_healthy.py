# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs with which nothing is wrong: no finding, exit status 0, and a true record of them."""
import os
import subprocess

import pytest

import interpreters


def healthy(lab, argv, env=None, stdout=None, returncode=0, **kw):
    """Run bare and traced; assert that analyze finds nothing; returns (run, report)."""
    bare = lab.bare(argv, env, **kw)
    assert bare.returncode == returncode, bare.text
    if stdout is not None:
        assert bare.stdout == stdout
    run = lab.traced(argv, env, bare=bare, **kw)
    status, report = lab.analyze(run.trace)
    assert report["findings"] == [], [(f["module"], f["cause"], f["summary"])
                                      for f in report["findings"]]
    assert status == 0
    assert report["complete"] is True, report["notes"]
    return run, report


def first_process(report):
    return report["processes"][0]


def test_pass(lab, any_python):
    _, report = healthy(lab, [any_python.path, "-c", "pass"], stdout=b"")
    process = first_process(report)
    assert len(report["processes"]) == 1
    assert process["exit"] == {"code": 0, "signal": None}
    assert process["argv"][1:] == ["-c", "pass"]
    python = process["python"]
    assert python["implementation"] == "cpython"
    assert python["version"] == ".".join(map(str, any_python.version))
    assert python["cache_tag"] == any_python.cache_tag
    assert python["extension_suffixes"] == any_python.suffixes
    assert os.path.realpath(python["executable"]) == os.path.realpath(any_python.path)
    assert os.path.realpath(python["prefix"]) == os.path.realpath(any_python.prefix)
    assert str(lab.site) in python["path"]
    assert process["imports"] > 0


@pytest.mark.parametrize("flag", ["-I", "-S", "-E", "-s", "-B", "-O", "-OO", "-u", "-v", "-q"])
def test_flags(lab, python, flag):
    healthy(lab, [python.path, flag, "-c", "import json; print(json.dumps([17]))"],
            stdout=b"[17]\n") if flag != "-v" else _verbose(lab, python)


def _verbose(lab, python):
    """-v prints every import: the recorder's hooks must not show there."""
    argv = [python.path, "-v", "-c", "import json"]
    lab.bare(argv)
    run = lab.traced(argv)
    assert lab.analyze(run.trace)[0] == 0


def test_standard_library(lab, any_python):
    """A large import; the attempts are counted."""
    code = ("import asyncio, concurrent.futures, csv, ctypes, decimal, email.mime.text, "
            "http.server, json, logging.config, multiprocessing.pool, pathlib, pickle, "
            "sqlite3, ssl, tarfile, unittest.mock, urllib.request, uuid, xml.dom.minidom, "
            "zipfile; print('ok')")
    _, report = healthy(lab, [any_python.path, "-c", code], stdout=b"ok\n")
    process = first_process(report)
    assert process["imports"] > 151
    assert process["loads"] > 2


def test_numpy(lab, debian):
    argv = [debian.path, "-c", "import numpy; print(numpy.arange(17).sum())"]
    if lab.bare(argv).returncode:
        pytest.skip("needs python3-numpy")
    _, report = healthy(lab, argv, stdout=b"136\n")
    assert first_process(report)["loads"] > 7


def test_where_a_module_came_from(lab, debian):
    """-m MODULE of one that was loaded says from where."""
    path = lab.module("present_17", "answer = 17\n")
    run, _ = healthy(lab, [debian.path, "-c", "import present_17, json"])
    answer = lab.analyze_text(run.trace, "-m", "present_17")
    assert answer.returncode == 0
    assert str(path) in "".join(answer.answer.split()), answer.answer
    answer = lab.analyze_text(run.trace, "-m", "json")
    assert "json/__init__.py" in "".join(answer.answer.split()), answer.answer
    assert lab.analyze(run.trace, "-m", "json")[1]["findings"] == []


def test_optional_modules(lab, python):
    """A program that probes for what may be there, as many libraries do."""
    script = lab.write("probes.py", "found = []\n"
                       "for name in ('no_simplejson_17', 'no_ujson_17', 'json'):\n"
                       "    try:\n        found.append(__import__(name).__name__)\n"
                       "    except ImportError:\n        pass\n"
                       "import importlib.util\n"
                       "assert importlib.util.find_spec('no_such_17') is None\n"
                       "print(found)\n")
    run, _ = healthy(lab, [python.path, script], stdout=b"['json']\n")
    _, report = lab.analyze(run.trace, "--all")
    mine = [(f["module"], f["cause"], f["outcome"]) for f in report["findings"]
            if f["module"].startswith("no_")]
    assert mine == [("no_simplejson_17", "not-installed", "handled"),
                    ("no_ujson_17", "not-installed", "handled")]


def test_venv(lab, python):
    where = lab.root / "venv"
    subprocess.run([python.path, "-m", "venv", "--without-pip", str(where)], check=True,
                   env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})
    site = where / "lib" / ("python" + python.minor) / "site-packages"
    lab.write(site / "inside_17.py", "answer = 17\n")
    argv = [where / "bin" / "python", "-c", "import inside_17; print(inside_17.answer)"]
    _, report = healthy(lab, argv, stdout=b"17\n")
    info = first_process(report)["python"]
    assert info["prefix"] == str(where)
    assert os.path.realpath(info["base_prefix"]) == os.path.realpath(python.prefix)
    assert str(site) in info["path"]


def test_namespace_package(lab, python):
    """Two halves of a namespace package, in two entries of the path."""
    other = lab.root / "other"
    lab.module("spread_17/left", "value = 1\n")
    lab.write(other / "spread_17/right.py", "value = 2\n")
    env = lab.env(PYTHONPATH="%s:%s" % (lab.site, other))
    healthy(lab, [python.path, "-c", "import spread_17.left as a, spread_17.right as b; "
                  "print(a.value + b.value)"], env, stdout=b"3\n")


CUSTOM = '''
import importlib.abc, importlib.machinery, sys
class Maker(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.startswith("made_17"):
            return importlib.machinery.ModuleSpec(name, self, origin="made")
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        module.answer = 17
'''


@pytest.mark.parametrize("where", ["insert(0, Maker())", "append(Maker())"])
def test_custom_finder(lab, python, where):
    script = lab.write("makes.py", CUSTOM + "sys.meta_path.%s\nimport made_17\n"
                       "print(made_17.answer, made_17.__spec__.origin)\n" % where)
    healthy(lab, [python.path, script], stdout=b"17 made\n")


def test_old_style_finder(lab, python):
    """find_module() without find_spec(), as before Python 3.4 (gone with 3.12)."""
    if python.version >= (3, 12):
        pytest.skip("find_module() is gone in 3.12")
    script = lab.write("old.py", "import sys, types\nclass Old:\n"
                       "    def find_module(self, name, path=None):\n"
                       "        return self if name == 'made_17' else None\n"
                       "    def load_module(self, name):\n"
                       "        mod = sys.modules[name] = types.ModuleType(name)\n"
                       "        mod.__loader__ = self\n        mod.answer = 17\n"
                       "        return mod\n"
                       "sys.meta_path.insert(0, Old())\nimport made_17\nprint(made_17.answer)\n")
    healthy(lab, [python.path, "-W", "ignore", script], stdout=b"17\n")


def test_import_overridden(lab, python):
    """A program with an __import__ of its own, and one that replaces _find_and_load."""
    script = lab.write("over.py", "import builtins\nseen = []\nreal = builtins.__import__\n"
                       "def mine(name, *args, **kw):\n    seen.append(name)\n"
                       "    return real(name, *args, **kw)\n"
                       "builtins.__import__ = mine\nimport wave\nprint(seen[0])\n"
                       "import _frozen_importlib as f\nold = f._find_and_load\n"
                       "def wrap(name, import_):\n    seen.append('wrapped ' + name)\n"
                       "    return old(name, import_)\n"
                       "f._find_and_load = wrap\nimport this_is_not_there_17\n")
    bare = lab.bare([python.path, script])
    assert bare.returncode == 1 and bare.stdout == b"wave\n"
    run = lab.traced([python.path, script], bare=bare)
    status, report = lab.analyze(run.trace)
    assert status == 1
    assert report["findings"][0]["module"] == "this_is_not_there_17"


def test_reload_and_invalidate(lab, python):
    lab.module("again_17", "count = 17\n")
    healthy(lab, [python.path, "-c", "import again_17, importlib, sys\n"
                  "importlib.reload(again_17)\nimportlib.invalidate_caches()\n"
                  "del sys.modules['again_17']\nimport again_17\nprint(again_17.count)"],
            stdout=b"17\n")


def test_lazy_loader(lab, python):
    lab.module("lazy_17", "answer = 17\n")
    healthy(lab, [python.path, "-c", "import importlib.util as u, sys\n"
                  "spec = u.find_spec('lazy_17')\nspec.loader = u.LazyLoader(spec.loader)\n"
                  "mod = u.module_from_spec(spec)\nspec.loader.exec_module(mod)\n"
                  "print(mod.answer)"], stdout=b"17\n")


def test_exit_status_and_sys_exit_text(lab, python):
    _, report = healthy(lab, [python.path, "-c", "import sys; sys.exit(17)"], returncode=17)
    assert first_process(report)["exit"] == {"code": 17, "signal": None}
    healthy(lab, [python.path, "-c", "import sys; sys.exit('a text')"], returncode=1)


@pytest.mark.parametrize("code", ["exit(1)", "raise SystemExit(1)", "import os; os._exit(1)",
                                  "import json, sys; sys.exit(1)", "1 / 0", "assert False"])
def test_failed_exit_blames_no_optional_module(lab, python, code):
    """site probes for modules that are seldom there; what fails later is not their doing."""
    bare = lab.bare([python.path, "-c", code])
    assert bare.returncode != 0
    healthy(lab, [python.path, "-c", code], returncode=bare.returncode)
    probe = "try:\n    import absent_17\nexcept ImportError:\n    pass\n" + code
    healthy(lab, [python.path, "-c", probe], returncode=bare.returncode)


def test_uncaught_error_that_is_no_import(lab, python):
    """A crash of the program's own is not an import's failure."""
    healthy(lab, [python.path, "-c", "import json\njson.loads('{')"], returncode=1)


def test_stdin_and_interactive(lab, python):
    healthy(lab, [python.path, "-"], stdin=b"import wave\nprint(17)\n", stdout=b"17\n")
    healthy(lab, [python.path, "-i", "-q", "-c", "x = 17"], stdin=b"print(x)\n")


@pytest.mark.parametrize("argv", [["/bin/true"], ["/bin/bash", "-c", "echo $((8 + 9))"],
                                  ["/bin/sh", "-c", "exit 0"], ["/bin/ls", "/"],
                                  ["/usr/bin/perl", "-e", "print 17"]], ids=lambda a: a[0])
def test_not_python(lab, argv):
    if not os.path.exists(argv[0]):
        pytest.skip("needs " + argv[0])
    _, report = healthy(lab, argv)
    process = first_process(report)
    assert process["python"] is None
    assert process["imports"] == 0
    assert os.path.realpath(process["exe"]) == os.path.realpath(argv[0])


def test_c_program(lab):
    program = interpreters.compile_c("processes/plain.c", "-ldl")
    _, report = healthy(lab, [program])
    assert first_process(report)["loads"] == 2, "attempts, failed ones too"


def test_static_program(lab):
    """No loader, no preload: nothing is recorded, and nothing breaks."""
    source = lab.write("s.c", "int main(void) { return 17; }\n")
    built = subprocess.run(["gcc", "-static", "-o", str(lab.dir / "s"), str(source)])
    if built.returncode:
        pytest.skip("cannot link statically here")
    assert lab.bare([lab.dir / "s"]).returncode == 17
    assert not lab.traced([lab.dir / "s"]).trace.exists()


def test_python27(lab, python27):
    """Of 2.7 the dl events alone are recorded."""
    argv = [python27.path, "-c", "import ctypes, json; print json.dumps([17])"]
    run, report = healthy(lab, argv, stdout=b"[17]\n")
    assert first_process(report)["loads"] > 0
    argv[-1] = "import surely_absent_17"
    run = lab.traced(argv)
    assert lab.analyze(run.trace)[0] in (0, 1)


def test_threads_that_import(lab, python):
    """13 threads that import different modules at once."""
    names = ("wave chunk_17 csv json shelve netrc plistlib cmd sched queue colorsys difflib "
             "filecmp").split()
    lab.module("chunk_17")
    code = ("import threading, sys\nnames = %r\nready = threading.Barrier(13)\ndef work(n):\n"
            "    ready.wait()\n    __import__(n)\n"
            "ts = [threading.Thread(target=work, args=(n,)) for n in names]\n"
            "[t.start() for t in ts]\n[t.join() for t in ts]\n"
            "print(all(n in sys.modules for n in names))" % names)
    healthy(lab, [python.path, "-c", code], stdout=b"True\n")
