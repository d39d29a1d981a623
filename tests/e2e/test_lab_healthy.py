# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that fail for reasons of their own, after imports that they could do without."""
import os
import shutil
import signal

import pytest

from interpreters import extension
from lab_cases import blameless, both, ended, handled, listed

PROBE = "try:\n    import absent_17\nexcept ImportError:\n    absent_17 = None\n"
IN_MAIN = "def main():\n    %s\n\n\nmain()\n"

# Each ends a program; with the exit status that it gives.
ENDS = {
    "SystemExit-text": ("raise SystemExit('bye')", 1),
    "SystemExit-1": ("raise SystemExit(1)", 1),
    "sys.exit": ("import sys; sys.exit(1)", 1),
    "sys.exit-text": ("import sys; sys.exit('no input was given')", 1),
    "os._exit": ("import os; os._exit(1)", 1),
    "exit": ("exit(1)", 1),
    "exit-3": ("exit(3)", 3),
    "quit": ("quit(1)", 1),
    "argparse": ("import argparse; argparse.ArgumentParser().parse_args(['--bad'])", 2),
    "ValueError": ("int('x')", 1),
    "KeyError": ("import os; os.environ['NOT_SET_17']", 1),
    "AttributeError": ("import os; os.nothing_17", 1),
    "FileNotFoundError": ("open('/nonexistent/17')", 1),
    "assert": ("assert 17 == 19", 1),
    "SIGTERM": ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "SIGKILL": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "SIGINT": ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
    "abort": ("import os; os.abort()", -signal.SIGABRT),
    "exec-false": ("import os; os.execvp('false', ['false'])", 1),
    "exec-grep": ("import os; os.execvp('grep', ['grep', 'nope', '/dev/null'])", 1),
    "child-false": ("import subprocess, sys; sys.exit(subprocess.call(['false']))", 1),
}


def as_from_a_shell():
    """No core files; and SIGINT works, though the tests may run in the background."""
    import resource
    import signal
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@both
@pytest.mark.parametrize("end", ENDS)
def test_end_of_its_own(lab, cpython, end):
    """With and without a probe before it, and no import to blame."""
    code, returncode = ENDS[end]
    lab.popen["preexec_fn"] = as_from_a_shell
    blameless(lab, [cpython.path, lab.write("plain.py", IN_MAIN % code)], returncode)
    handled(lab, [cpython.path, lab.write("probes.py", PROBE + IN_MAIN % code)], "absent_17",
            returncode=returncode)


@both
@pytest.mark.parametrize("end", ["SystemExit-text", "sys.exit", "os._exit", "exit", "ValueError"])
def test_end_at_the_top_of_the_script(lab, cpython, end):
    """Outside of the handler, and in the line right after it."""
    code, returncode = ENDS[end]
    handled(lab, [cpython.path, lab.write("main.py", PROBE + code + "\n")], "absent_17",
            returncode=returncode)


@both
def test_probe_within_another_handler(lab, cpython):
    """What is being handled is the program's own error; the probe is a detail of it."""
    script = lab.write("main.py", "import sys\ntry:\n    int('x')\nexcept ValueError:\n    try:\n"
                       "        import absent_17\n    except ImportError:\n        pass\n"
                       "    sys.exit(2)\n")
    handled(lab, [cpython.path, script], "absent_17", returncode=2)


@both
def test_error_after_three_probes(lab, cpython):
    script = lab.write("main.py", "for name in ('absent_13', 'absent_17', 'absent_19'):\n"
                       "    try:\n        __import__(name)\n    except ImportError:\n"
                       "        pass\nint('x')\n")
    handled(lab, [cpython.path, script], "absent_17", returncode=1,
            says="(?m)^ValueError: invalid literal")


@both
def test_unrelated_KeyError_in_the_handler(lab, cpython):
    """The module has a substitute; that the setting is missing has nothing to do with it."""
    script = lab.write("main.py", "import os\ntry:\n    import absent_17 as json\n"
                       "except ImportError:\n    import json\n"
                       "    config = os.environ['NOT_SET_17']\n")
    handled(lab, [cpython.path, script], "absent_17", returncode=1, says="KeyError: 'NOT_SET_17'")


@both
@pytest.mark.parametrize("line", [
    "run_on_exit(None)", "absent_17 = None  # no need to sys.exit(1) for this",
    "print('leave with quit()')", "raise_SystemExit = False",
    "if absent_17_is_needed:\n        sys.exit(1)"],
    ids=["function", "comment", "string", "variable", "branch"])
def test_handler_that_only_speaks_of_exit(lab, cpython, line):
    """The handler goes on; what ends the program stands below it."""
    script = lab.write("main.py", "import sys\nabsent_17_is_needed = False\n"
                       "def run_on_exit(what):\n    pass\n\ntry:\n    import absent_17\n"
                       "except ImportError:\n    " + line + "\nint('x')\n")
    handled(lab, [cpython.path, script], "absent_17", returncode=1, says="ValueError")
    script.write_text(script.read_text().replace("int('x')", "raise SystemExit('bye')"))
    handled(lab, [cpython.path, script], "absent_17", returncode=1, says="^bye$")


@both
def test_find_spec_probe(lab, cpython):
    """No import was tried, so none failed."""
    script = lab.write("main.py", "import importlib.util\n"
                       "if importlib.util.find_spec('absent_17') is None:\n"
                       "    raise SystemExit('no absent_17')\n")
    blameless(lab, [cpython.path, script], 1, says="^no absent_17$")


@both
@pytest.mark.parametrize("status", [0, 1, 17])
def test_module_that_ends_the_program(lab, cpython, status):
    """A module whose body calls sys.exit(), as scripts without a __main__ guard do."""
    lab.module("does_all_17", "import sys\nsys.exit(%d)\n" % status)
    script = lab.write("main.py", PROBE + "import does_all_17\n")
    run = ended(lab, [cpython.path, script], status)
    code, report = lab.analyze(run.trace)
    assert not [f for f in report["findings"] if f["module"] == "absent_17"], listed(report)
    if status == 0:
        assert (code, report["findings"]) == (0, []), listed(report)


@both
def test_package_run_by_m_that_crashes(lab, cpython):
    lab.write("tool_17/__init__.py")
    lab.write("tool_17/__main__.py", PROBE + "int('x')\n")
    handled(lab, [cpython.path, "-m", "tool_17"], "absent_17", returncode=1, says="ValueError")


@both
def test_thread_that_crashes(lab, cpython):
    script = lab.write("main.py", PROBE + "import threading\n"
                       "worker = threading.Thread(target=int, args=('x',))\n"
                       "worker.start()\nworker.join()\nraise SystemExit(1)\n")
    handled(lab, [cpython.path, script], "absent_17", returncode=1, says="ValueError")


@both
def test_segmentation_fault(lab, cpython):
    lab.popen["preexec_fn"] = as_from_a_shell
    script = lab.write("main.py", PROBE + "import ctypes\nctypes.string_at(0)\n")
    handled(lab, [cpython.path, script], "absent_17", returncode=-signal.SIGSEGV)


# -- tools of the standard library, whose own imports probe for this and that -------------------
TOOLS = {
    "json.tool-bad": (["-m", "json.tool", "bad.json"], 1),
    "json.tool-absent": (["-m", "json.tool", "nosuch.json"], (1, 2)),
    "py_compile-bad": (["-m", "py_compile", "bad.py"], 1),
    "compileall-bad": (["-m", "compileall", "-q", "bad.py"], 1),
    "unittest-fails": (["-m", "unittest", "test_fails"], 1),
    "unittest-passes": (["-m", "unittest", "test_passes"], 0),
    "pydoc-json": (["-m", "pydoc", "json"], 0),
    "ast-bad": (["-m", "ast", "bad.py"], 1),
    "tokenize-bad": (["-m", "tokenize", "nosuch.py"], 1),
    "zipfile-bad": (["-m", "zipfile", "-l", "bad.json"], 1),
    "tarfile-bad": (["-m", "tarfile", "-l", "bad.json"], 1),
    "timeit-bad": (["-m", "timeit", "1 +"], 1),
    "syntax-error": (["bad.py"], 1),
    "no-such-script": (["nosuch.py"], 2),
    "no-such-option": (["--nosuch"], 2),
    "platform": (["-m", "platform"], 0),
    "site": (["-m", "site"], 0),
    "sysconfig": (["-m", "sysconfig"], 0),
}


@both
@pytest.mark.parametrize("tool", TOOLS)
def test_standard_tool(lab, cpython, tool):
    lab.write("bad.json", "{")
    lab.write("bad.py", "def f(:\n")
    lab.write("test_fails.py", "import unittest\n\n\nclass Test(unittest.TestCase):\n"
              "    def test(self):\n        self.assertEqual(17, 19)\n")
    lab.write("test_passes.py", "import unittest\n\n\nclass Test(unittest.TestCase):\n"
              "    def test(self):\n        pass\n")
    args, returncode = TOOLS[tool]
    run = (recorded if tool.startswith("unittest") else ended)(
        lab, [cpython.path, *args], returncode)
    status, report = lab.analyze(run.trace)
    assert report["findings"] == [] and status == 0, listed(report)


def recorded(lab, argv, returncode):
    """For a program that prints the time it took: two runs of it differ anyway."""
    bare, run = lab.bare(argv), lab.recorded(argv)
    assert bare.returncode == run.returncode == returncode, run.text
    return run


@both
@pytest.mark.parametrize("args, returncode", [(["list"], 0), (["nosuchcommand"], 1),
                                              (["show", "nosuch-17"], 1)],
                         ids=["list", "nosuchcommand", "show"])
def test_pip(lab, cpython, args, returncode):
    """Hundreds of imports, of which pip catches a few."""
    env = lab.env(PYTHONPATH=None, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    if lab.bare([cpython.path, "-m", "pip", "--version"], env).returncode:
        pytest.skip("no pip for " + cpython.id)
    run = ended(lab, [cpython.path, "-m", "pip", *args], returncode, env)
    status, report = lab.analyze(run.trace)
    assert status == 0, listed(report)


@pytest.mark.parametrize("text, returncode", [("assert 17 == 19", 1), ("pass", 0)],
                         ids=["fails", "passes"])
def test_pytest(lab, debian, text, returncode):
    lab.write("test_it.py", PROBE + "\n\ndef test():\n    %s\n" % text)
    argv = [debian.path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    if lab.bare([debian.path, "-c", "import pytest"]).returncode:
        pytest.skip("needs python3-pytest")
    run = recorded(lab, argv, returncode)
    status, report = lab.analyze(run.trace)
    assert status == 0, listed(report)
    assert not [f for f in report["findings"] if f["module"] == "absent_17"]


@pytest.mark.parametrize("modules", [
    "numpy", "pandas", "lxml.etree", "PIL.Image", "yaml", "cryptography.fernet", "bcrypt", "jwt",
    "matplotlib.pyplot", "scipy.stats"])
def test_package_of_the_system(lab, debian, modules):
    """Packages with extensions, and with many optional parts."""
    argv = [debian.path, "-c", "import " + modules]
    if lab.bare(argv).returncode:
        pytest.skip("no %s here" % modules)
    run = ended(lab, argv, 0)
    status, report = lab.analyze(run.trace)
    assert report["findings"] == [] and status == 0, listed(report)
    run = ended(lab, [debian.path, "-c", "import %s\nraise SystemExit('bye')" % modules], 1)
    status, report = lab.analyze(run.trace)
    assert report["findings"] == [] and status == 0, listed(report)


@both
@pytest.mark.parametrize("module", ["sqlite3", "ssl", "ctypes", "bz2", "lzma", "readline", "curses",
                                    "dbm.gnu", "zoneinfo", "multiprocessing.shared_memory"])
def test_module_of_the_standard_library(lab, cpython, module):
    argv = [cpython.path, "-c", "import " + module]
    if lab.bare(argv).returncode:
        pytest.skip("no %s in %s" % (module, cpython.id))
    blameless(lab, argv)


# -- programs that are no Python ---------------------------------------------------------------
@pytest.mark.parametrize("argv, returncode", [
    (["grep", "nope", "file"], 1), (["bash", "-c", "grep nope file"], 1), (["false"], 1),
    (["ls", "nosuch"], 2), (["test", "-e", "nosuch"], 1), (["diff", "file", "other"], 1),
    (["bash", "-c", "kill -TERM $$"], -signal.SIGTERM), (["bash", "-c", "exit 17"], 17),
    (["env", "nosuchprogram_17"], 127)], ids=lambda v: "_".join(v) if isinstance(v, list) else "")
def test_failing_program_without_python(lab, argv, returncode):
    if not shutil.which(argv[0], path=os.defpath):
        pytest.skip("needs " + argv[0])
    lab.write("file", "x\n")
    lab.write("other", "y\n")
    blameless(lab, argv, returncode)


@both
def test_pipeline_whose_last_part_fails(lab, cpython):
    """The interpreter did its work; grep found nothing in it."""
    script = lab.write("main.py", PROBE + "print('seventeen')\n")
    handled(lab, ["bash", "-c", "%s %s | grep -q nineteen" % (cpython.path, script)], "absent_17",
            returncode=1)


@both
def test_child_fails_for_its_own_reasons(lab, cpython):
    """Parent and child probe, the child fails, and the parent passes its status on."""
    child = lab.write("child.py", PROBE + "int('x')\n")
    script = lab.write("main.py", PROBE.replace("absent", "lacking") + "import subprocess, sys\n"
                       "sys.exit(subprocess.call([sys.executable, %r]))\n" % str(child))
    handled(lab, [cpython.path, script], "absent_17", returncode=1, says="ValueError")


# -- workers, runners of tests, native code -------------------------------------------------
@both
@pytest.mark.parametrize("end,returncode", [("int('x')", 1), ("raise SystemExit(3)", 3)],
                         ids=["ValueError", "SystemExit"])
def test_worker_that_fails_after_a_probe(lab, cpython, end, returncode):
    """multiprocessing prints its error, and gives its status; the import before it was caught."""
    script = lab.write("main.py", "import multiprocessing\n\ndef work():\n    try:\n        import absent_17\n"
                       "    except ImportError:\n        pass\n    %s\n\nif __name__ == '__main__':\n"
                       "    worker = multiprocessing.get_context('fork').Process(target=work)\n"
                       "    worker.start()\n    worker.join()\n    raise SystemExit(worker.exitcode)\n" % end)
    blameless(lab, [cpython.path, script], returncode)


@both
def test_parent_of_a_worker(lab, cpython):
    """Starting it, multiprocessing looks for modules of other systems."""
    script = lab.write("main.py", "import multiprocessing, time\nif __name__ == '__main__':\n"
                       "    worker = multiprocessing.get_context('spawn').Process(target=time.sleep, args=(17,))\n"
                       "    worker.start()\n    worker.kill()\n    raise SystemExit(1)\n")
    run = lab.recorded([cpython.path, script])
    assert run.returncode == 1, run.text
    assert lab.analyze(run.trace)[1]["findings"] == []


@both
def test_unittest_of_one_test(lab, cpython):
    """It asks for the class and the function as modules first."""
    lab.write("test_17.py", "import unittest\nclass Case(unittest.TestCase):\n    def test_it(self):\n"
              "        self.assertRaises(ImportError, __import__, 'absent_17')\n        self.fail()\n")
    run = lab.recorded([cpython.path, "-m", "unittest", "test_17.Case.test_it"])
    assert run.returncode == 1, run.text
    status, report = lab.analyze(run.trace)
    assert (status, report["findings"]) == (0, []), listed(report)


def test_pytest_that_skips(lab, debian):
    if lab.bare([debian.path, "-c", "import pytest"]).returncode:
        pytest.skip("no pytest for " + debian.id)
    lab.write("test_13.py", "import pytest\npytest.importorskip('absent_13')\n")
    lab.write("test_17.py", "import pytest\ntry:\n    import absent_17\nexcept ImportError:\n    absent_17 = None\n\n"
              "def test_raises():\n    with pytest.raises(ImportError):\n        import absent_19\n\n"
              "def test_fails():\n    assert absent_17\n")
    run = lab.recorded([debian.path, "-m", "pytest", "-q", "-p", "no:cacheprovider"])
    assert run.returncode == 1 and "1 skipped" in run.text + run.stdout.decode(), run.text
    status, report = lab.analyze(run.trace)
    assert (status, report["findings"]) == (0, []), listed(report)


@both
def test_program_that_runs_within_an_init_function(lab, cpython):
    """All of a compiled program may be the init function of its main module."""
    extension(cpython, "init-failed/ways.c", "app_17", lab.site, HOW="RUN")
    blameless(lab, [cpython.path, lab.write("main.py", "import app_17\n")], 3)


@both
def test_init_function_that_probes_the_processor(lab, cpython):
    extension(cpython, "init-failed/ways.c", "fast_17", lab.site, HOW="PROBE")
    blameless(lab, [cpython.path, lab.write("main.py", "import fast_17\n")], 0)
