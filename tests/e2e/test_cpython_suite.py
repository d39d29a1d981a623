# SPDX-License-Identifier: GPL-2.0-or-later
"""CPython's own tests of the import system end the same, bare and traced.

Debian's libpython3.11-testsuite; each result of each case is compared, so that a case which fails
bare as well (no network, run as root) is no failure of ours.
"""
import collections
import subprocess
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.cpython_suite

MODULES = ("test_import test_importlib test_imp test_runpy test_zipimport test_pkg test_ctypes "
           "test_subprocess test_traceback test_sys test_inspect").split()
LIMIT = 239


def start(lab, python, name, env):
    where = lab.root / name
    where.mkdir()
    home = where / "home"
    home.mkdir()
    env = dict(env, HOME=str(home), TMPDIR=str(where))
    env.pop("PYTHONPATH")
    out = open(where / "out", "wb")
    argv = [python.path, "-m", "test", "--junit-xml", where / "results.xml", "--timeout", "97",
            *MODULES]
    return subprocess.Popen(argv, cwd=str(where), env=env, stdin=subprocess.DEVNULL, stdout=out,
                            stderr=subprocess.STDOUT), where / "results.xml"


def results(path):
    """Counter of (case, result): a case may run more than once."""
    found = collections.Counter()
    for case in ElementTree.parse(path).iter("testcase"):
        ends = [e.tag for e in case if e.tag in ("error", "failure", "skipped")]
        found[case.get("name"), ends[0] if ends else "ok"] += 1
    return found


def test_ends_the_same(lab, debian):
    probe = lab.bare([debian.path, "-c", "import test.test_importlib, test.test_ctypes"])
    if probe.returncode:
        pytest.skip("needs libpython%s-testsuite" % debian.minor)
    trace = lab.new_trace()
    bare, bare_out = start(lab, debian, "bare", lab.env())
    traced, traced_out = start(lab, debian, "traced", lab.recorder_env(lab.env(), trace))
    try:
        codes = bare.wait(LIMIT), traced.wait(LIMIT)
    finally:
        for running in (bare, traced):
            if running.poll() is None:
                running.kill()
                running.wait()
    want, got = results(bare_out), results(traced_out)
    assert sum(want.values()) > 1499, "only %d results were understood" % sum(want.values())
    differs = {"bare": sorted(want - got), "traced": sorted(got - want)}
    assert want == got, "ended otherwise: %r" % differs
    assert codes[0] == codes[1]
    lab.raw(trace)
    assert lab.analyze(trace)[1]["processes"]
