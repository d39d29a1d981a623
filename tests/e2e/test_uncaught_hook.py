# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that show their last error themselves: sys.excepthook is theirs, and does not call CPython's."""
import pytest

HOOK = """
import sys
def hook(type, value, traceback):
    sys.stdout.write("sorry: %s\\n" % value)
sys.excepthook = hook
"""


def outcomes(lab, python, code, status):
    run = lab.traced([python.path, lab.write("main.py", code)])
    assert run.returncode == status
    uncaught = [e for e in lab.dump(run.trace) if e["kind"] == "uncaught"]
    _, report = lab.analyze(run.trace, "--all")
    return uncaught, {f["module"]: f["outcome"] for f in report["findings"] if f["module"].startswith("gone_")}


def test_hook_that_does_not_chain(lab, any_python):
    uncaught, found = outcomes(lab, any_python, HOOK + "try:\n    import gone_13\nexcept ImportError:\n    pass\n"
                               "import gone_17\n", 1)
    assert [e["exception"]["message"] for e in uncaught] == ["No module named 'gone_17'"]
    assert found == {"gone_13": "handled", "gone_17": "fatal"}


def test_hook_that_chains(lab, any_python):
    """Once is enough."""
    code = HOOK.replace("    sys.stdout", "    sys.__excepthook__(type, value, traceback)\n    sys.stdout")
    uncaught, found = outcomes(lab, any_python, code + "import gone_17\n", 1)
    assert len(uncaught) == 1 and found == {"gone_17": "fatal"}


def test_error_that_wraps_it(lab, python):
    _, found = outcomes(lab, python, HOOK + "try:\n    import gone_17\nexcept ImportError as err:\n"
                        "    raise RuntimeError('no way') from err\n", 1)
    assert found == {"gone_17": "fatal"}


@pytest.mark.parametrize("code", ["raise ValueError(17)", "1 / 0", "sys.exit(3)"])
def test_errors_of_other_kinds(lab, python, code):
    """An optional module that is not there has nothing to do with them."""
    _, found = outcomes(lab, python, HOOK + "try:\n    import gone_17\nexcept ImportError:\n    pass\n" + code + "\n",
                        3 if "exit" in code else 1)
    assert found == {"gone_17": "handled"}


def test_hook_that_raises(lab, any_python):
    """CPython then shows both itself."""
    run = lab.traced([any_python.path, lab.write("main.py", HOOK.replace("sys.stdout.write", "gone_name") +
                                                 "import gone_17\n")])
    _, report = lab.analyze(run.trace)
    assert run.returncode == 1 and [f["outcome"] for f in report["findings"]] == ["fatal"]


def test_collected_often(lab, any_python):
    """Looking when garbage is collected costs the program's objects nothing."""
    code = HOOK + ("import gc, sys\nfor i in range(300):\n    try:\n        __import__('gone_%d' % (i % 7))\n"
                   "    except ImportError as err:\n        sys.last_value = err\n    gc.collect()\n"
                   "    print(sys.getrefcount(err) if 0 else len(gc.get_referrers(sys.last_value)) < 9)\n"
                   "del sys.last_value\nimport gone_17\n")
    uncaught, found = outcomes(lab, any_python, code, 1)
    assert found["gone_17"] == "fatal"
