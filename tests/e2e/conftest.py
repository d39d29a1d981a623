# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the end-to-end tests.

$IMPTRACE_BUILD names the build directory (absolute); default <repo>/build.  Every CPython on the
machine is found; only /usr/bin/python3 is needed, the others widen the coverage.
`--bare-only` stops each case after its bare run: it checks the fixtures themselves.
"""
import collections
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

pytest.register_assert_rewrite("harness", "verdict")

import harness  # noqa: E402
import interpreters  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--bare-only", action="store_true",
                     help="check only that the fixtures fail bare as they should")


def pytest_configure(config):
    config.addinivalue_line("markers", "cpython_suite: runs parts of CPython's own test suite")
    config.addinivalue_line("markers", "needs_root: skipped unless run by root")
    # A shell starts what runs in its background, and nohup what it runs, with these ignored; whatever is run here would
    # inherit that, and wait for ever where a test sends one. What has a handler begins with the default.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_generate_tests(metafunc):
    if "python" in metafunc.fixturenames:
        chosen = interpreters.chosen()
        metafunc.parametrize("python", chosen, ids=[p.id for p in chosen])
    if "any_python" in metafunc.fixturenames:
        every = interpreters.every()
        metafunc.parametrize("any_python", every, ids=[p.id for p in every])


@pytest.fixture(scope="session")
def build(request):
    """The build under test."""
    where = os.environ.get("IMPTRACE_BUILD") or str(harness.REPO / "build")
    assert os.path.isabs(where), "IMPTRACE_BUILD must be absolute: " + where
    found = harness.Build(where)
    if not request.config.getoption("--bare-only"):
        assert not found.missing(), "not built: " + ", ".join(found.missing())
    return found


@pytest.fixture
def lab(tmp_path, build, request):
    """A directory, a home and a search path of the test's own."""
    return harness.Lab(tmp_path, build, request.config.getoption("--bare-only"))


@pytest.fixture
def public_lab(build, request):
    """A lab that every user may enter (pytest's own directories are closed to others)."""
    root = tempfile.mkdtemp(prefix="imptrace-public-")
    os.chmod(root, 0o777)
    made = harness.Lab(root, build, request.config.getoption("--bare-only"))
    if build.preload.exists():
        made.preload = pathlib.Path(root) / build.preload.name
        shutil.copy(build.preload, made.preload)
        os.chmod(made.preload, 0o755)
    for path in (made.dir, made.site, made.home):
        os.chmod(path, 0o777)
    yield made
    for base, dirs, _ in os.walk(root):
        for name in dirs:
            path = os.path.join(base, name)
            if not os.path.islink(path):
                os.chmod(path, 0o755)
    shutil.rmtree(root)


@pytest.fixture
def debian():
    """/usr/bin/python3, the one interpreter that must be there."""
    return interpreters.debian()


@pytest.fixture
def python27():
    found = interpreters.python27()
    if not found:
        pytest.skip("no Python 2.7 on this machine")
    return found


@pytest.fixture
def run_bare(lab):
    return lab.bare


@pytest.fixture
def run_traced(lab):
    return lab.traced


@pytest.fixture
def analyze(lab):
    return lab.analyze


@pytest.fixture
def dump(lab):
    return lab.dump


@pytest.fixture(autouse=True)
def _root_only(request):
    if request.node.get_closest_marker("needs_root") and os.geteuid() != 0:
        pytest.skip("needs root")


def pytest_terminal_summary(terminalreporter):
    """Say why tests were skipped, and how many for each reason."""
    reasons = collections.Counter()
    for report in terminalreporter.stats.get("skipped", []):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[why.replace("Skipped: ", "")] += 1
    if reasons:
        terminalreporter.section("skipped, by reason")
    for why, number in reasons.most_common():
        terminalreporter.line("%4d  %s" % (number, why))
