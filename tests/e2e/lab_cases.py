# SPDX-License-Identifier: GPL-2.0-or-later
"""What the three test_lab_*.py share: programs of a few lines, and whether they end by an import.

Here a program need not end with a traceback: it may say `please install x`, or grep may have
found nothing.  Each runs on Debian's interpreter and on the newest of the others.
"""
import re

import pytest

import interpreters
import shapes
from verdict import ANY

both = pytest.mark.parametrize("cpython", interpreters.chosen()[:2], ids=lambda p: p.id)


def told(finding):
    """All that a finding says, as one text."""
    return "\n".join([finding["summary"], *(e["fact"] for e in finding["evidence"]),
                      *(f["effect"] for f in finding["fixes"])])


def commands(finding):
    return [f["command"] for f in finding["fixes"] if f["command"]]


def listed(report):
    return [(f["module"], f["cause"], f["outcome"], f["summary"]) for f in report["findings"]]


def ended(lab, argv, returncode, env=None, says=None, **kw):
    """Run bare and traced; assert how it ended.  Returns the traced run.

    @returncode: as subprocess has it (negative: a signal), or a tuple of such
    @says: a regular expression for what it prints on stderr
    """
    bare = lab.bare(argv, env, **kw)
    want = returncode if isinstance(returncode, tuple) else (returncode,)
    assert bare.returncode in want, "ended with %r: %s" % (bare.returncode, bare.text)
    if says:
        assert re.search(says, bare.text), bare.text
    return lab.traced(argv, env, bare=bare, **kw)


def blameless(lab, argv, returncode=0, env=None, says=None, **kw):
    """A program in which no import failed that mattered: nothing is found, and exit status 0."""
    run = ended(lab, argv, returncode, env, says, **kw)
    status, report = lab.analyze(run.trace)
    assert report["findings"] == [], listed(report)
    assert status == 0
    lab.analyze_text(run.trace)
    return run


def handled(lab, argv, module, cause="not-installed", returncode=0, says=None, **kw):
    """One that caught a failed import, and ended by something else; returns the finding."""
    run = blameless(lab, argv, returncode, says=says, **kw)
    status, report = lab.analyze(run.trace, "--all")
    assert status == 0
    mine = [f for f in report["findings"] if f["module"] == module]
    assert [(f["cause"], f["outcome"]) for f in mine] == [(cause, "handled")], listed(report)
    return mine[0]


def fatal(lab, argv, module, cause, returncode=1, env=None, says=None, surfaced=None, error=None,
          **kw):
    """One that an import ended; returns (finding, report).

    @surfaced: (regular expressions of) type and message of what was seen in the error's stead;
               None where the error itself was seen; ANY: not checked
    @error: type and message of the root; not given: the usual one of a module that is not there
    """
    run = ended(lab, argv, returncode, env, says, **kw)
    status, report = lab.analyze(run.trace)
    assert report["findings"], "nothing found, and the program ended so:\n" + run.text
    finding = report["findings"][0]
    causes = (cause,) if isinstance(cause, str) else cause
    assert finding["module"] == module, listed(report)
    assert finding["cause"] in causes, "%s\n%s" % (listed(report), told(finding))
    assert (finding["outcome"], status) == ("fatal", 1), listed(report)
    kind, message = error or ("ModuleNotFoundError", "^No module named '%s'" % module)
    assert finding["error"]["type"] == kind
    assert re.search(message, finding["error"]["message"]), finding["error"]
    if surfaced is None:
        assert finding["surfaced"] is None, finding["surfaced"]
    elif surfaced is not ANY:
        assert finding["surfaced"], "does not say what the user saw:\n" + run.text
        got = finding["surfaced"]["type"], finding["surfaced"]["message"]
        assert all(re.search(*pair) for pair in zip(surfaced, got)), got
    answer = lab.analyze_text(run.trace)
    assert answer.returncode == 1
    assert module is None or module in answer.answer
    return finding, report


def script(lab, text, line=1, name="main.py"):
    """A Program of that text; the import stands in @line."""
    path = lab.write(name, text)
    return shapes.Program([path], (str(path), line))
