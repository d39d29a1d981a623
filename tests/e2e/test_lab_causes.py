# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes that lie in how a program is laid out or started, and not in what is installed."""
import marshal
import os
import re

import pytest

import harness
import interpreters
import shapes
from lab_cases import both, commands, fatal, script, told
from verdict import diagnose, facts


# -- a Python that is led to another one's library --------------------------------------------
@both
def test_PYTHONHOME_of_nothing(lab, cpython):
    """Not even `encodings` is found: the interpreter does not get to the script."""
    path = lab.write("main.py", "import json\n")
    home = str(lab.root / "nosuchhome")
    finding, _ = fatal(lab, [cpython.path, path], "encodings",
                       ("installed-elsewhere", "not-installed"), env=lab.env(PYTHONHOME=home),
                       says="No module named 'encodings'")
    assert "PYTHONHOME" in finding["summary"], finding["summary"]
    assert home in told(finding)
    assert not any(re.search("install", c) for c in commands(finding)), finding["fixes"]
    assert any("PYTHONHOME" in (f["command"] or "") + f["effect"] for f in finding["fixes"]), (
        finding["fixes"])


@both
def test_PYTHONPATH_of_another_version(lab, cpython):
    """ssl.py of another version is taken first, beside the right _ssl."""
    program, other = ssl_of_another(lab, cpython)
    finding = diagnose(lab, cpython, program, cause="shadowed", module="ssl", importer=False,
                       path=other.stdlib + "/ssl.py")
    assert cpython.stdlib + "/ssl.py" in facts(finding), "does not name the right one"
    assert "PYTHONPATH" in "".join([told(finding), *commands(finding)])


@both
def test_remedy_for_PYTHONPATH_of_another_version(lab, cpython):
    """Take it out of PYTHONPATH; the files themselves are the other interpreter's."""
    program, _ = ssl_of_another(lab, cpython)
    run = lab.recorded(program.argv(cpython), program.env)
    finding = harness.finding_of(lab.analyze(run.trace)[1], "ssl")
    best = finding["fixes"][0]
    assert "PYTHONPATH" in (best["command"] or "") + best["effect"], finding["fixes"]
    assert not any(re.search(r"\b(mv|rm)\b", c) for c in commands(finding)), (
        "another interpreter's standard library is to be broken: %r" % finding["fixes"])


def ssl_of_another(lab, cpython):
    """A program that gets the ssl.py of another version, and that version's interpreter."""
    for other in interpreters.every():
        if other.minor == cpython.minor:
            continue
        program = script(lab, "import ssl\n")
        program.env = lab.env(PYTHONPATH=other.stdlib)
        seen = lab.bare(program.argv(cpython), program.env)
        if seen.returncode and (seen.last_error() or [""])[0] == "ImportError":
            return program, other
    return pytest.skip("needs an interpreter whose ssl.py does not suit " + cpython.id)


def other_of(version):
    """Another build of the same version of Python, with a library of its own."""
    found = [p for p in interpreters.every() if p.minor == version.minor and p.stdlib != version.stdlib]
    return found[0] if found else pytest.skip("needs two Pythons %s" % version.minor)


def test_PYTHONHOME_of_another_build(lab, debian):
    """The same version: it runs, and lacks what is installed for it."""
    home = str(other_of(debian).stdlib).partition("/lib/python")[0]
    argv = [debian.path, "-c", "import numpy"]
    if lab.bare(argv, lab.env(PYTHONPATH=None)).returncode:
        pytest.skip("needs numpy for Debian's Python")
    run = lab.recorded(argv, lab.env(PYTHONHOME=home, PYTHONPATH=None))
    if b"No module named 'numpy'" not in run.stderr:
        pytest.skip("needs numpy for Debian's Python alone: " + run.text)
    finding = lab.analyze(run.trace)[1]["findings"][0]
    assert finding["cause"] == "installed-elsewhere", told(finding)
    assert "PYTHONHOME (%s)" % home in finding["summary"]
    assert "another Python" not in told(finding)
    assert finding["fixes"][0]["command"] == "unset PYTHONHOME", finding["fixes"]
    assert not any("pip" in c for c in commands(finding)), "it is installed: " + repr(commands(finding))


@pytest.mark.parametrize("module,cause", [("nosuch_17", "not-installed"), ("ssl", "undefined-symbol")])
def test_PYTHONHOME_leads_to_another_build(lab, debian, module, cause):
    """Nothing is to be installed, or built again, with the standard library of another Python."""
    home = str(other_of(debian).stdlib).partition("/lib/python")[0]
    run = lab.recorded([debian.path, "-c", "import " + module], lab.env(PYTHONHOME=home, PYTHONPATH=None))
    if not run.returncode or (module == "ssl" and b"undefined symbol" not in run.stderr):
        pytest.skip("they do not differ: " + run.text)
    finding = lab.analyze(run.trace)[1]["findings"][0]
    assert finding["cause"] == cause, told(finding)
    assert commands(finding) == ["unset PYTHONHOME"] and len(finding["fixes"]) == 1, finding["fixes"]
    assert module != "ssl" or home in finding["summary"]


def test_PYTHONPATH_of_another_build(lab, debian):
    """A standard library that is not this one's: nobody is to build that again."""
    stdlib = str(other_of(debian).stdlib)
    env = lab.env(PYTHONPATH="%s:%s/lib-dynload:/nowhere" % (stdlib, stdlib))
    run = lab.recorded([debian.path, "-c", "import ssl"], env)
    if not run.returncode or b"undefined symbol" not in run.stderr:
        pytest.skip("they do not differ: " + run.text)
    finding = lab.analyze(run.trace)[1]["findings"][0]
    assert finding["cause"] == "undefined-symbol", told(finding)
    assert stdlib in finding["summary"] and "PYTHONPATH" in finding["summary"]
    assert [f["command"] for f in finding["fixes"]] == ["export PYTHONPATH=/nowhere"], finding["fixes"]


# -- files that are not what they seem --------------------------------------------------------
@both
def test_pyc_of_another_version(lab, cpython):
    """Without its source, and with the magic number of 3.5."""
    code = b"\x17\r\r\n" + bytes(12) + marshal.dumps(17)
    path = lab.write(lab.site / "compiled_17.pyc", code)
    finding = diagnose(lab, cpython, script(lab, "import compiled_17\n"), module="compiled_17",
                       cause=("unknown", "corrupt-file", "version-mismatch", "abi-tag-mismatch"),
                       path=path, bare_says="bad magic number")
    assert "magic number" in told(finding)


@both
def test_module_that_wants_a_setting(lab, cpython):
    """The error comes from os.py; at fault is the module that asked for the variable."""
    path = lab.module("settings_17", "import os\n\n\nBASE = os.environ['DATABASE_URL_17']\n")
    finding = diagnose(lab, cpython, script(lab, "import settings_17\n"), module="settings_17",
                       cause=("unknown", "init-failed"), path=path)
    assert finding["error"] == {"type": "KeyError", "message": "'DATABASE_URL_17'"}
    assert not commands(finding), finding["fixes"]


@both
def test_part_of_a_package_that_wants_a_setting(lab, cpython):
    asker = lab.module("tool_17/__init__", "from . import conf\n")
    path = lab.module("tool_17/conf", "import os\nBASE = os.environ['DATABASE_URL_17']\n")
    lab.module("tool_17/settings", "")
    diagnose(lab, cpython, script(lab, "import tool_17.settings\n"), module="tool_17.conf",
             cause=("unknown", "init-failed"), path=path, importer=(str(asker), 1))


# -- names that are no names of modules -------------------------------------------------------
@both
def test_path_for_a_name(lab, cpython):
    lab.write("sub/plug_17.py", "answer = 17\n")
    path = lab.write("main.py", "__import__('sub/plug_17')\n")
    finding, _ = fatal(lab, [cpython.path, path], "sub/plug_17", "not-installed")
    assert finding["path"] is None
    assert re.search(r"(?i)\bis (a|the) path|slash|no name of a module|not a (valid )?module name",
                     told(finding)), told(finding)
    assert not any("install" in c for c in commands(finding)), finding["fixes"]


@both
def test_data_directory_taken_for_the_package(lab, cpython):
    """A directory without __init__.py is a namespace package as soon as nothing else is found."""
    lab.write("yaml_17/config.yml", "answer: 17\n")
    finding = diagnose(lab, cpython, script(lab, "from yaml_17 import safe_load\n"),
                       module="yaml_17", cause="missing-attribute", path=lab.dir / "yaml_17",
                       bare_says="unknown location",
                       says=["__init__|namespace"])
    assert "directory" in finding["summary"]


# -- files that take another's name -----------------------------------------------------------
@both
@pytest.mark.parametrize("real", [False, True], ids=["alone", "beside-the-real-one"])
def test_script_with_the_name_of_a_package(lab, cpython, real):
    """requests.py imports requests.adapters, and gets itself."""
    if real:
        lab.module("requests/__init__", "")
        lab.module("requests/adapters", "")
    program = script(lab, "import requests.adapters\n", name="requests.py")
    finding = diagnose(lab, cpython, program, cause="shadowed", path=program.importer[0],
                       module=("requests", "requests.adapters"), importer=False,
                       bare_says="'requests' is not a package")
    assert program.importer[0] in finding["summary"]
    if real:
        assert str(lab.site / "requests") in facts(finding), "does not name the real one"


@both
@pytest.mark.parametrize("name", ["plain_17", "plain_17/__init__"], ids=["module", "package"])
def test_star_import_of_a_bad_all(lab, cpython, name):
    path = lab.module(name, "__all__ = ['nope_17', 'yes_17']\nyes_17 = 1\n")
    # The trace alone can't tell it from a use of plain_17.nope_17: that takes the script's source.
    finding = diagnose(lab, cpython, script(lab, "from plain_17 import *\n"), module="plain_17",
                       cause="missing-attribute", path=path, bare_says="AttributeError",
                       no_host=False)
    assert "nope_17" in told(finding)


# -- relative imports -------------------------------------------------------------------------
@both
def test_relative_import_in_a_script(lab, cpython):
    """A file of a package, started as a script, has no package."""
    lab.write("tool_17/__init__.py")
    lab.write("tool_17/util.py", "answer = 17\n")
    path = lab.write("tool_17/run.py", "import os\nfrom .util import answer\n")
    finding, _ = fatal(lab, [cpython.path, path], None, "unknown",
                       error=("ImportError", "attempted relative import with no known parent"))
    assert finding["path"] == str(path)
    assert (finding["importers"][-1]["file"], finding["importers"][-1]["line"]) == (str(path), 2)
    assert any("python -m" in (f["command"] or "") + f["effect"] or " -m tool_17.run" in
               (f["command"] or "") for f in finding["fixes"]), finding["fixes"]
    assert not any("install" in c for c in commands(finding)), finding["fixes"]


@both
def test_relative_import_beyond_the_top(lab, cpython):
    lab.write("tool_17/__init__.py")
    path = lab.write("tool_17/run.py", "from ..util import answer\n")
    text = "attempted relative import beyond top-level package"
    finding, _ = fatal(lab, [cpython.path, "-c", "import tool_17.run"], "tool_17.run", "unknown",
                       says=text, error=("ImportError" if cpython.version >= (3, 9) else
                                         "ValueError", text))
    assert finding["path"] == str(path)


# -- circles ----------------------------------------------------------------------------------
@both
def test_script_that_is_imported_again(lab, cpython):
    """main.py is there twice: as __main__, and as the module that models_17 asks for."""
    lab.write("main.py", "from models_17 import Model\n\n\nclass Base:\n    pass\n")
    models = lab.write("models_17.py", "from main import Base\n\n\nclass Model(Base):\n    pass\n")
    finding = diagnose(lab, cpython, shapes.Program([lab.dir / "main.py"], (None, None)),
                       module=("models_17", "main"), cause="circular-import", importer=False)
    assert str(models) in told(finding)


# -- a program that embeds Python -------------------------------------------------------------
def test_interpreter_of_an_embedding_program(lab, debian):
    """It has none: sys.executable is the first python3 of PATH, of whatever version that is."""
    others = [p for p in interpreters.chosen() if p.version[:2] != debian.version[:2]]
    if not others:
        pytest.skip("no interpreter of another version")
    host = interpreters.host_program(debian, "embedding/host.c")
    venv = lab.dir / "v"
    lab.write(venv / "pyvenv.cfg", "home = %s\n" % os.path.dirname(os.path.realpath(others[0].path)))
    (venv / "bin").mkdir()
    (venv / "bin/python3").symlink_to(os.path.realpath(others[0].path))
    argv = [host, "run", "import absent_17"]
    env = lab.env(PATH="%s/bin:%s" % (venv, os.environ["PATH"]), VIRTUAL_ENV=str(venv))
    finding, report = fatal(lab, argv, "absent_17", "not-installed", env=env)
    assert report["processes"][0]["python"]["executable"] == str(venv / "bin/python3")
    assert "is another program" in told(finding)
    assert not any("pip" in command for command in commands(finding)), commands(finding)
    # Without that, Debian's own: what it installs into an environment, the program has to be told of.
    env = lab.env(PATH="/usr/bin:/bin")
    finding, _ = fatal(lab, argv, "absent_17", "not-installed", env=env)
    made = [f for f in finding["fixes"] if "-m venv" in (f["command"] or "")]
    if os.path.exists("/usr/lib/python%s/EXTERNALLY-MANAGED" % debian.minor):
        assert made, finding["fixes"]
    for fix in made:
        assert "PYTHONPATH=" in fix["effect"] and "run the program with it" not in fix["effect"]
