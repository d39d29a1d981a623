# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a failed import ended the program, where no plain traceback says so."""
import re

import pytest

import shapes
from harness import finding_of
from lab_cases import both, commands, ended, fatal, handled, listed, script, told
from verdict import ANY, diagnose

GONE = ("ModuleNotFoundError", "^No module named 'absent_17'$")

# What a handler may do to end the program, with exit status and what surfaces.
HANDLERS = {
    "sys.exit": ("sys.exit('please install absent_17')", 1, "please install absent_17"),
    "with-the-error": ("sys.exit('absent_17 is needed: %s' % err)", 1,
                       "absent_17 is needed: No module named 'absent_17'"),
    "two-lines": ("print('one')\n    sys.exit('no absent_17:\\n  see the manual')", 1,
                  "no absent_17:\n  see the manual"),
}


@both
@pytest.mark.parametrize("handler", HANDLERS)
def test_exit_in_the_handler(lab, cpython, handler):
    """There is no traceback: the text of SystemExit is all that the user saw."""
    code, returncode, text = HANDLERS[handler]
    path = lab.write("main.py", "import sys\ntry:\n    import absent_17\n"
                     "except ImportError as err:\n    " + code + "\n")
    finding, _ = fatal(lab, [cpython.path, path], "absent_17", "not-installed", returncode,
                       surfaced=("^SystemExit$", "^" + re.escape(text) + "$"),
                       says="^" + re.escape(text))
    assert (finding["importers"][-1]["file"], finding["importers"][-1]["line"]) == (str(path), 3)
    assert any("absent" in c for c in commands(finding)), finding["fixes"]


@both
@pytest.mark.parametrize("status", [1, 3])
@pytest.mark.parametrize("where", ["handler", "function", "finally"])
def test_exit_status_in_the_handler(lab, cpython, where, status):
    """The message is printed, and SystemExit holds a number."""
    leave = {"handler": "sys.exit(%d)", "function": "leave(%d)",
             "finally": "try:\n        pass\n    finally:\n        sys.exit(%d)"}[where] % status
    path = lab.write("main.py", "import sys\n\n\ndef leave(status):\n    sys.exit(status)\n\n\n"
                     "try:\n    import absent_17\nexcept ImportError as err:\n"
                     "    print('please install it', file=sys.stderr)\n    " + leave + "\n")
    run = ended(lab, [cpython.path, path], status, says="please install it")
    code, report = lab.analyze(run.trace)
    assert code == 1, "nothing fatal: %s" % listed(report)
    finding = finding_of(report, "absent_17")
    assert (finding["cause"], finding["outcome"]) == ("not-installed", "fatal")


@both
def test_exit_after_the_log(lab, cpython):
    path = lab.write("main.py", "import logging, sys\ntry:\n    import absent_17\n"
                     "except ImportError:\n    logging.exception('cannot go on')\n"
                     "    sys.exit(2)\n")
    run = ended(lab, [cpython.path, path], 2, says="cannot go on")
    code, report = lab.analyze(run.trace)
    assert code == 1, listed(report)
    assert finding_of(report, "absent_17")["outcome"] == "fatal"


@both
@pytest.mark.parametrize("leave", ["sys.exit", "raise SystemExit"])
def test_exit_in_the_handler_of_a_package(lab, cpython, leave):
    """The handler is in a module; the script only imported that."""
    inner = lab.module("tool_17/__init__", "import sys\ntry:\n    import absent_17\n"
                       "except ImportError:\n    %s('tool_17 needs absent_17')\n" % leave)
    path = lab.write("main.py", "import tool_17\n")
    finding, _ = fatal(lab, [cpython.path, path], "absent_17", "not-installed",
                       says="^tool_17 needs absent_17$",
                       surfaced=("^SystemExit$", "^tool_17 needs absent_17$") if
                       leave == "sys.exit" else ANY)
    chain = [(i["file"], i["line"]) for i in finding["importers"]]
    assert chain[0] == (str(path), 1) and chain[-1] == (str(inner), 3), chain


RAISES = {
    "handler": "try:\n    import absent_17\nexcept ImportError:\n"
               "    raise SystemExit('please install absent_17')\n",
    "named": "try:\n    import absent_17\nexcept ImportError as err:\n"
             "    raise SystemExit('please install absent_17')\n",
    "one-line": "try:\n    import absent_17\n"
                "except ImportError: raise SystemExit('please install absent_17')\n",
    "from-None": "try:\n    import absent_17\nexcept ImportError:\n    # a person reads this\n"
                 "    text = 'please install absent_17'\n    raise SystemExit(text) from None\n",
    "third-import": "try:\n    import absent_17\n    import json\n    import wave\n"
                    "except ModuleNotFoundError:\n"
                    "    raise SystemExit('please install absent_17')\n",
    "second-handler": "try:\n    import absent_17\nexcept KeyError:\n    pass\n"
                      "except ImportError:\n    raise SystemExit('please install absent_17')\n",
}


@both
@pytest.mark.parametrize("how", RAISES)
@pytest.mark.parametrize("where", ["top", "function"])
def test_raise_SystemExit_in_the_handler(lab, cpython, how, where):
    """Unlike sys.exit(), this calls nothing: the handler's source must say it."""
    text = RAISES[how]
    if where == "function":
        text = "def main():\n" + re.sub("(?m)^", "    ", text).rstrip() + "\n\n\nmain()\n"
    path = lab.write("main.py", text)
    finding, _ = fatal(lab, [cpython.path, path], "absent_17", "not-installed", surfaced=ANY,
                       says="^please install absent_17$")
    assert finding["surfaced"] in (None, {"type": "SystemExit",
                                          "message": "please install absent_17"})


# -- the handler raises an error of the program's own -------------------------------------------
CONFIG = '''class ImproperlyConfigured(Exception):
    pass


def load(name):
    try:
        return __import__(name)
    except ImportError as err:
        raise ImproperlyConfigured('did you install %s?' % name)'''


@both
@pytest.mark.parametrize("suffix", ["", " from err", " from None"],
                         ids=["context", "cause", "none"])
def test_error_of_a_class_of_its_own(lab, cpython, suffix):
    config = lab.module("config_17", CONFIG + suffix + "\n")
    program = script(lab, "import config_17\nconfig_17.load('absent_17')\n")
    program.wrapped = ("config_17.ImproperlyConfigured", "did you install absent_17?")
    finding = diagnose(lab, cpython, program, cause="not-installed", module="absent_17",
                       importer=(str(config), 7), error=GONE)
    assert finding["surfaced"]["message"] == "did you install absent_17?"


@both
@pytest.mark.parametrize("suffix", ["", " from err", " from None"],
                         ids=["context", "cause", "none"])
def test_error_of_the_scripts_own_class(lab, cpython, suffix):
    """A traceback leaves __main__ off the name."""
    path = lab.write("main.py", CONFIG + suffix + "\n\n\nload('absent_17')\n")
    finding, _ = fatal(lab, [cpython.path, path], "absent_17", "not-installed",
                       says=r"(?m)^(__main__\.)?ImproperlyConfigured: did you install",
                       surfaced=(r"^(__main__\.)?ImproperlyConfigured$",
                                 r"^did you install absent_17\?$"))
    assert finding["importers"][-1]["line"] == 7


@both
def test_kept_and_raised_later(lab, cpython):
    """The handler keeps the error; who needs the module raises it."""
    path = lab.write("main.py", "kept = None\ntry:\n    import absent_17\n"
                     "except ImportError as err:\n    kept = err\n\n\n"
                     "def need():\n    raise kept\n\n\nneed()\n")
    finding, _ = fatal(lab, [cpython.path, path], "absent_17", "not-installed")
    assert finding["importers"][-1]["line"] == 3, finding["importers"]


QUOTES = {
    "later": "kept = []\ntry:\n    import q7\nexcept ImportError as err:\n    kept.append(str(err))\n"
             "raise RuntimeError('cannot begin: ' + kept[0])\n",
    "subinterpreter": "import _xxsubinterpreters as inner\ninner.run_string(inner.create(), 'import q7')\n",
}


@pytest.mark.parametrize("how", QUOTES)
def test_error_that_quotes_the_text(lab, debian, how):
    """No chain leads from one exception to the other, and the name is too short to be found in a text."""
    run = lab.recorded([debian.path, lab.write("main.py", QUOTES[how])])
    if "No module named '_xx" in run.text:
        pytest.skip("subinterpreters have another module in this version")
    assert run.returncode == 1 and re.search(r"Error: .+: No module named 'q7'", run.text), run.text
    status, report = lab.analyze(run.trace)
    finding, = report["findings"]
    assert (finding["module"], finding["cause"], finding["outcome"], status) == ("q7", "not-installed", "fatal", 1)
    assert finding["surfaced"]["message"].endswith(": No module named 'q7'"), finding["surfaced"]


# -- python -m ----------------------------------------------------------------------------------
@both
def test_m_of_a_module_that_is_not_there(lab, cpython):
    text = re.escape("%s: No module named absent_17" % cpython.path)
    finding, _ = fatal(lab, [cpython.path, "-m", "absent_17"], "absent_17", "not-installed",
                       error=(finding_type(cpython), "No module named '?absent_17"),
                       surfaced=("^SystemExit$", "No module named absent_17"),
                       says="^" + text)
    assert commands(finding)


@both
def test_m_of_a_package_without_main(lab, cpython):
    lab.write("tool_17/__init__.py")
    finding, _ = fatal(lab, [cpython.path, "-m", "tool_17"], "tool_17.__main__", "not-installed",
                       error=(finding_type(cpython), r"No module named '?tool_17\.__main__"),
                       surfaced=("^SystemExit$", "'tool_17' is a package"),
                       says="cannot be directly executed")
    assert not any("install tool" in c for c in commands(finding)), finding["fixes"]
    assert "__main__" in told(finding)


def finding_type(cpython):
    """What runpy raises where it finds nothing; it turns that into SystemExit."""
    assert cpython.version >= (3, 6)
    return "runpy._Error"


@both
def test_m_of_a_submodule_without_its_package(lab, cpython):
    run = ended(lab, [cpython.path, "-m", "absent_17.tool"], 1, says="absent_17")
    code, report = lab.analyze(run.trace)
    assert code == 1, listed(report)
    assert finding_of(report, ("absent_17", "absent_17.tool"))["cause"] == "not-installed"


@both
def test_m_of_a_package_that_lacks_a_part(lab, cpython):
    lab.write("tool_17/__init__.py")
    lab.write("tool_17/__main__.py", "from .cli import main\nmain()\n")
    inner = lab.write("tool_17/cli.py", "\nimport absent_17\n")
    diagnose(lab, cpython, shapes.Program(["-m", "tool_17"], (str(inner), 2)), module="absent_17",
             cause="not-installed")


@both
def test_find_spec_of_a_submodule(lab, cpython):
    """find_spec() imports the parent, and that may fail."""
    diagnose(lab, cpython, script(lab, "import importlib.util\n"
                                  "importlib.util.find_spec('absent_17.part')\n", 2),
             module="absent_17", cause="not-installed", importer=False)


# -- other processes ----------------------------------------------------------------------------
# The result is asked for when it is there: the traceback of result() tells whether it waited.
POOLS = {
    "Pool": "import multiprocessing\n\n\ndef work(x):\n    import absent_17\n\n\n"
            "if __name__ == '__main__':\n    ctx = multiprocessing.get_context(%r)\n"
            "    with ctx.Pool(2) as pool:\n        pool.map(work, [17])\n",
    "apply_async": "import multiprocessing\n\n\ndef work(x):\n    import absent_17\n\n\n"
                   "if __name__ == '__main__':\n    ctx = multiprocessing.get_context(%r)\n"
                   "    with ctx.Pool(2) as pool:\n"
                   "        pool.apply_async(work, [17]).get()\n",
    "executor": "import multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor\n"
                "def work(x):\n\n    import absent_17\n\n\n"
                "if __name__ == '__main__':\n    ctx = multiprocessing.get_context(%r)\n"
                "    with ProcessPoolExecutor(1, mp_context=ctx) as pool:\n"
                "        future = pool.submit(work, 17)\n    future.result()\n",
    "executor-map": "import multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor\n"
                    "def work(x):\n\n    import absent_17\n\n\n"
                    "if __name__ == '__main__':\n    ctx = multiprocessing.get_context(%r)\n"
                    "    with ProcessPoolExecutor(1, mp_context=ctx) as pool:\n"
                    "        results = pool.map(work, [17])\n    list(results)\n",
}


@both
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("pool", POOLS)
def test_pool_of_processes(lab, cpython, pool, method):
    """The worker pickles its error and lives on; the parent raises the copy and ends by it."""
    program = script(lab, POOLS[pool] % method, 5)
    finding = diagnose(lab, cpython, program, module="absent_17", cause="not-installed")
    report = finding["_report"]
    assert [f["module"] for f in report["findings"]] == ["absent_17"], listed(report)
    assert any("pip install" in c for c in commands(finding)), finding["fixes"]


@both
def test_pool_that_only_tells(lab, cpython):
    """The parent looks at the error and goes on."""
    path = lab.write("main.py", "import multiprocessing\n\n\ndef work(x):\n    import absent_17\n"
                     "\n\nif __name__ == '__main__':\n"
                     "    with multiprocessing.get_context('fork').Pool(1) as pool:\n"
                     "        try:\n            pool.map(work, [17])\n"
                     "        except ImportError:\n            print('without it')\n")
    handled(lab, [cpython.path, path], "absent_17")


@both
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_process_whose_target_fails(lab, cpython, method):
    """The child ends by it; the parent sees an exit status, and here does not mind."""
    path = lab.write("main.py", "import multiprocessing\n\n\ndef work():\n    import absent_17\n"
                     "\n\nif __name__ == '__main__':\n"
                     "    child = multiprocessing.get_context(%r).Process(target=work)\n"
                     "    child.start()\n    child.join()\n    print(child.exitcode)\n" % method)
    finding, report = fatal(lab, [cpython.path, path], "absent_17", "not-installed", 0,
                            says="(?m)^ModuleNotFoundError: No module named 'absent_17'$")
    assert finding["pid"] != report["processes"][0]["pid"], "that is the parent"
    child = next(p for p in report["processes"] if p["pid"] == finding["pid"])
    assert child["exit"] == {"code": 1, "signal": None}
    assert finding["importers"][-1]["line"] == 5


@both
@pytest.mark.parametrize("how", ["thread-pool", "asyncio"])
def test_error_handed_over_within_the_process(lab, cpython, how):
    """Raised in a worker thread or a task, and again in the main thread, by result() or await."""
    text = {"thread-pool": "from concurrent.futures import ThreadPoolExecutor\n\ndef work():\n"
                           "    import absent_17\n\nwith ThreadPoolExecutor(1) as pool:\n"
                           "    future = pool.submit(work)\nfuture.result()\n",
            "asyncio": "import asyncio\n\nasync def work():\n    import absent_17\n\n"
                       "async def main():\n    await asyncio.ensure_future(work())\n\n"
                       "asyncio.get_event_loop_policy().new_event_loop()"
                       ".run_until_complete(main())\n"}[how]
    diagnose(lab, cpython, script(lab, text, 4), module="absent_17", cause="not-installed")


@both
@pytest.mark.parametrize("how", ["raised", "TaskGroup"])
def test_group_of_errors(lab, cpython, how):
    """The traceback shows each error in the group; each is fatal."""
    if cpython.version < (3, 11):
        pytest.skip("ExceptionGroup came with 3.11")
    text = {"raised": "errors = []\nfor name in ('absent_17', 'absent_19'):\n    try:\n"
                      "        __import__(name)\n    except ImportError as err:\n"
                      "        errors.append(err)\nraise ExceptionGroup('no plugin', errors)\n",
            "TaskGroup": "import asyncio\n\nasync def load(name):\n    __import__(name)\n\n"
                         "async def main():\n    async with asyncio.TaskGroup() as group:\n"
                         "        for name in ('absent_17', 'absent_19'):\n"
                         "            group.create_task(load(name))\n\n"
                         "asyncio.run(main())\n"}[how]
    run = ended(lab, [cpython.path, lab.write("main.py", text)], 1, says="ExceptionGroup: ")
    code, report = lab.analyze(run.trace)
    assert [(f["module"], f["cause"], f["outcome"]) for f in report["findings"]] == [
        (name, "not-installed", "fatal") for name in ("absent_17", "absent_19")], listed(report)
    assert code == 1


@both
def test_child_of_another_interpreter(lab, cpython, debian):
    """The finding, and its remedy, are the child's interpreter's."""
    child = lab.write("child.py", "import absent_17\n")
    path = lab.write("main.py", "import subprocess, sys\n"
                     "sys.exit(subprocess.call([%r, %r]))\n" % (debian.path, str(child)))
    finding, report = fatal(lab, [cpython.path, path], "absent_17", "not-installed")
    process = next(p for p in report["processes"] if p["pid"] == finding["pid"])
    assert process["python"]["version"] == ".".join(map(str, debian.version))
    assert finding["importers"][-1]["file"] == str(child)
    assert "CPython " + debian.minor in told(finding)
