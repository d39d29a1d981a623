# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes that lie in the chain of imports: the root is seldom the error that the user saw."""
import re

import pytest

import interpreters
import shapes
from distributions import install
from verdict import ANY, diagnose, facts

PYO3 = ("PyO3 modules compiled for CPython 3.8 or older may only be initialized once per "
        "interpreter process")


def by_name(shape):
    return shape.__name__


# -- reinitialization-refused ---------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.handled],
                         ids=by_name)
def test_second_initialisation_is_refused(lab, python, shape):
    path = interpreters.extension(python, "reinitialization-refused/once.c", "once_17", lab.site)
    lab.module("sitecustomize", "import sys, once_17\ndel sys.modules['once_17']\n")
    finding = diagnose(lab, python, shape(lab, "import once_17"), module="once_17", path=path,
                       cause="reinitialization-refused", says=["(?i)first|earlier|before"])
    assert finding["error"] == {"type": "ImportError", "message": PYO3}


@pytest.mark.parametrize("root", ["not-installed", "abi-tag-mismatch"])
def test_masked_by_the_refusal(lab, python, root):
    """The first attempt failed within, an except swallowed that, and the second was refused."""
    path = interpreters.extension(python, "reinitialization-refused/once.c", "rusty_17",
                                  lab.site, NEEDS="needed_17")
    wrong = None
    if root == "abi-tag-mismatch":
        wrong = lab.write(lab.site / "needed_17.cpython-399-x86_64-linux-gnu.so", b"\x7fELF")
    lab.module("jwtish/__init__", "from .algorithms import has_crypto\nfrom .client import go\n")
    lab.module("jwtish/algorithms", "try:\n    import rusty_17\n    has_crypto = True\n"
               "except ModuleNotFoundError:\n    has_crypto = False\n")
    lab.module("jwtish/client", "import rusty_17\n\n\ndef go():\n    pass\n")
    script = lab.write("fetch.py", "import jwtish\n")
    finding = diagnose(lab, python, shapes.Program([script], (None, None)), cause=root,
                       module="needed_17", path=wrong, importer=False, bare_says=PYO3,
                       error=("ModuleNotFoundError", "^No module named 'needed_17'$"),
                       says=["rusty_17"])
    assert finding["surfaced"] == {"type": "ImportError", "message": PYO3}
    files = [i["file"] for i in finding["importers"]]
    assert str(lab.site / "jwtish/algorithms.py") in files, "the swallowed attempt: %r" % files
    assert files[0] == str(script)
    assert any(str(path) == n["object"] for n in finding["native_stack"]), (
        "the native module that asked is not in %r" % finding["native_stack"])


def test_refused_in_a_subinterpreter(lab, any_python):
    """A single-phase extension asked for in an interpreter of its own lock."""
    if any_python.version < (3, 12):
        pytest.skip("before 3.12 subinterpreters load every extension")
    path = interpreters.extension(any_python, "abi-tag-mismatch/native.c", "single_17", lab.site)
    module = "_interpreters" if any_python.version >= (3, 13) else "_xxsubinterpreters"
    script = lab.write("sub.py", "import sys\nimport %s as interpreters\n"
                       "sub = interpreters.create()\n"
                       "err = interpreters.run_string(sub, 'import single_17')\n"
                       "sys.exit('refused' if err else 0)\n" % module)
    argv = [any_python.path, script]
    bare = lab.bare(argv)
    assert bare.returncode == 1
    assert "refused" in bare.text or "does not support loading in subinterpreters" in bare.text
    run = lab.traced(argv, bare=bare)
    _, report = lab.analyze(run.trace)
    finding = next(f for f in report["findings"] if f["module"] == "single_17")
    assert finding["cause"] == "reinitialization-refused", finding["summary"]
    assert finding["path"] == str(path)
    assert "subinterpreter" in facts(finding)


# -- init-failed ----------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.reraised,
                                   shapes.subprocess], ids=by_name)
def test_init_imports_a_missing_module(lab, python, shape):
    """The root is the module that the init function asked for; the chain is its evidence."""
    path = interpreters.extension(python, "init-failed/failing.c", "device_17", lab.site,
                                  NEEDS="firmware_17")
    finding = diagnose(lab, python, shape(lab, "import device_17"), cause="not-installed",
                       module="firmware_17", path=None, says=["device_17"])
    stack = finding["native_stack"]
    assert any(n["object"] == str(path) and n["symbol"] == "PyInit_device_17" for n in stack), (
        "PyInit_device_17 is not in %r" % stack)


@pytest.mark.parametrize("shape", [shapes.script, shapes.handled], ids=by_name)
def test_init_imports_a_module_of_another_abi(lab, python, shape):
    interpreters.extension(python, "init-failed/failing.c", "device_17", lab.site,
                           NEEDS="firmware_17")
    wrong = lab.write(lab.site / "firmware_17.cpython-399-x86_64-linux-gnu.so", b"\x7fELF")
    diagnose(lab, python, shape(lab, "import device_17"), cause="abi-tag-mismatch",
             module="firmware_17", path=wrong, says=["device_17", "cpython-399"])


@pytest.mark.parametrize("how,error", [
    (1, "RuntimeError"), (2, "SystemError"), (3, "RuntimeError")])
@pytest.mark.parametrize("shape", [shapes.script, shapes.thread, shapes.handled], ids=by_name)
def test_init_fails_of_itself(lab, python, shape, how, error):
    path = interpreters.extension(python, "init-failed/failing.c", "device_17", lab.site, HOW=how)
    finding = diagnose(lab, python, shape(lab, "import device_17"), cause="init-failed",
                       module="device_17", path=path)
    assert finding["error"]["type"] == error


def needs_source(python, cause):
    """Before 3.7 the error names no module: the source says, which the trace does not hold."""
    return True if python.version >= (3, 7) else (cause, "unknown")


# -- circular-import ------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m, shapes.reraised,
                                   shapes.handled], ids=by_name)
def test_cycle_of_two_modules(lab, python, shape):
    a = lab.module("cycle_a", "import cycle_b\nvalue = 17\n")
    b = lab.module("cycle_b", "# asks for what is not there yet\nfrom cycle_a import value\n")
    finding = diagnose(lab, python, shape(lab, "import cycle_a"), cause="circular-import",
                       module=("cycle_a", "cycle_b"), path=(a, b), importer=False,
                       says=["cycle_a", "cycle_b"],
                       no_host=needs_source(python, "circular-import"))
    assert finding["error"]["type"] == "ImportError"


def test_cycle_attribute(lab, python):
    """The cycle shows as an AttributeError."""
    a = lab.module("cycle_a", "import cycle_b\n\n\ndef helper():\n    pass\n")
    b = lab.module("cycle_b", "import cycle_a\n\ncycle_a.helper()\n")
    finding = diagnose(lab, python, shapes.script(lab, "import cycle_a"), importer=False,
                       cause="circular-import", module=("cycle_a", "cycle_b"), path=(a, b),
                       bare_says="AttributeError", says=["cycle_a", "cycle_b"])
    assert finding["error"]["type"] == "AttributeError"


def test_cycle_of_three_in_a_package(lab, python):
    for name, text in (("__init__", "from .one import first\n"),
                       ("one", "from .two import second\nfirst = 1\n"),
                       ("two", "from .three import third\nsecond = 2\n"),
                       ("three", "from .one import first\nthird = 3\n")):
        lab.module("ring_17/" + name, text)
    diagnose(lab, python, shapes.import_module(lab, "import ring_17"), path=ANY,
             cause="circular-import", importer=False,
             no_host=needs_source(python, "circular-import"),
             module=tuple("ring_17." + n for n in ("one", "two", "three")),
             says=[r"ring_17\.one", r"ring_17\.two", r"ring_17\.three"])


# -- missing-attribute ----------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m, shapes.inside_package,
                                   shapes.reraised], ids=by_name)
def test_name_is_not_in_the_module(lab, python, shape):
    lab.module("sitecustomize")
    install(lab.site, "attr_dist", "1.7", {"attr_17.py": "old_name = 1\n"})
    diagnose(lab, python, shape(lab, "from attr_17 import new_name"), importer=False,
             cause="missing-attribute", module="attr_17", path=lab.site / "attr_17.py",
             says=["new_name"], no_host=False)


def test_name_is_not_in_the_package(lab, python):
    """Neither a name of the package, nor a part of it."""
    path = lab.module("attr_17/__init__", "old_name = 1\n")
    diagnose(lab, python, shapes.script(lab, "from attr_17 import new_name"), importer=False,
             cause="missing-attribute", module="attr_17", path=(path, path.parent),
             says=["new_name"], no_host=False)


def test_missing_name_tells_the_version(lab, python):
    """A library that wants a newer release of another: the usual form."""
    install(lab.site, "attr_dist", "1.7.3", {"attr_17.py": "old_name = 1\n"})
    lab.module("wants_17/__init__", "from attr_17 import new_name\n")
    diagnose(lab, python, shapes.script(lab, "import wants_17"), cause="missing-attribute",
             module="attr_17", path=lab.site / "attr_17.py", importer=False,
             says=["new_name", r"1\.7\.3"], no_host=False)


# -- unknown --------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.reraised],
                         ids=by_name)
@pytest.mark.parametrize("text,error", [
    ("raise ImportError('please run the set-up first')", "ImportError"),
    ("raise ValueError('no licence')", "ValueError"),
])
def test_module_raises_of_itself(lab, python, shape, text, error):
    path = lab.module("moody_17", "# a module\n" + text + "\n")
    finding = diagnose(lab, python, shape(lab, "import moody_17"), cause="unknown",
                       module="moody_17", path=path)
    assert finding["error"]["type"] == error


def test_relative_import_in_a_script(lab, python):
    """No module was named, none was looked for: the error alone is known."""
    script = lab.write("main.py", "import sys\nfrom . import sibling_17\n")
    lab.write("sibling_17.py")
    bare = lab.bare([python.path, script])
    assert bare.returncode == 1
    run = lab.traced([python.path, script], bare=bare)
    status, report = lab.analyze(run.trace)
    assert status == 1
    finding = report["findings"][0]
    assert (finding["cause"], finding["outcome"]) == ("unknown", "fatal")
    assert finding["module"] is None or "sibling_17" in finding["module"]
    assert finding["path"] in (None, str(script))
    assert finding["error"]["message"] == bare.last_error()[1]
    assert lab.analyze_text(run.trace).returncode == 1


def test_syntax_error(lab, python):
    path = lab.module("typo_17", "def broken(:\n")
    finding = diagnose(lab, python, shapes.script(lab, "import typo_17"), cause="unknown",
                       module="typo_17", path=path, error=None, importer=False)
    assert finding["error"]["type"] == "SyntaxError"


@pytest.mark.parametrize("shape", [shapes.script, shapes.handled], ids=by_name)
@pytest.mark.parametrize("data,code", [(b"not an object", "corrupt-file"),
                                       (b"", "corrupt-file")])
def test_error_of_dlopen(lab, python, shape, data, code):
    """Below dlopen: `unknown`, with the loader's text and the file, until it is explained."""
    path = lab.write(lab.site / ("corrupt_17" + python.suffix), data)
    finding = diagnose(lab, python, shape(lab, "import corrupt_17"), cause=("unknown", code),
                       module="corrupt_17", path=path)
    assert finding["error"]["type"] == "ImportError"
    assert re.search(re.escape(str(path)) + ": (invalid ELF header|file too short)",
                     finding["error"]["message"])


def test_first_of_several_roots_comes_first(lab, python):
    """Two handled degradations and one fatal failure: the fatal one leads."""
    lab.write(lab.site / "speedup_17.cpython-399-x86_64-linux-gnu.so", b"\x7fELF")
    (lab.site / "extra_17.py").symlink_to("/nonexistent/extra_17.py")
    script = lab.write("main.py", "for name in ('speedup_17', 'extra_17'):\n    try:\n"
                       "        __import__(name)\n    except ImportError:\n        pass\n"
                       "import needed_17\n")
    finding = diagnose(lab, python, shapes.Program([script], (str(script), 6)), path=None,
                       cause="not-installed", module="needed_17")
    assert [(f["module"], f["cause"], f["outcome"]) for f in finding["_report"]["findings"]] == [
        ("needed_17", "not-installed", "fatal"), ("speedup_17", "abi-tag-mismatch", "handled"),
        ("extra_17", "dangling-symlink", "handled")]
