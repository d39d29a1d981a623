# SPDX-License-Identifier: GPL-2.0-or-later
"""The masked failure, for real: Debian 13's jwt and cryptography with no usable _cffi_backend.

What the user sees is PyO3's refusal of a second initialization; the root is the first attempt, which an
except in jwt swallowed.
"""

import json
import os
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("IMPTRACE_BUILD", TOP / "build"))
PYO3 = "may only be initialized once per interpreter process"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    root = tmp_path_factory.mktemp("lab") / "root"
    done = subprocess.run([TOP / "scripts/trixie-lab", root], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True,
                          env=dict(os.environ, IMPTRACE_BUILD=str(BUILD)))
    if done.returncode == 77:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout
    yield root / "lab"
    subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)


def analyze(trace):
    done = subprocess.run([BUILD / "imptrace", "analyze", "--format=json", "--no-host", trace],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 1, done.stderr
    return json.loads(done.stdout)


def visible(text):
    """What the program printed, without what differs from run to run."""
    return re.sub(r"0x[0-9a-f]+", "0x", text)


def test_bare_run_shows_only_the_consequence(lab):
    text = (lab / "bare.txt").read_text()
    last = text.strip().splitlines()[-2]
    assert last.startswith("ImportError: PyO3 modules") and PYO3 in last
    assert text.strip().splitlines()[-1] == "exit status 1"


def test_traced_run_is_the_same(lab):
    assert visible((lab / "traced.txt").read_text()) == visible((lab / "bare.txt").read_text())


def check_report(report):
    assert report["schema"] == "imptrace.report/1"
    finding = report["findings"][0]
    assert finding["module"] == "_cffi_backend"
    assert finding["outcome"] == "fatal"
    assert finding["cause"] == "abi-tag-mismatch"
    assert finding["error"]["type"] == "ModuleNotFoundError"
    assert finding["error"]["message"] == "No module named '_cffi_backend'"
    assert finding["surfaced"]["type"] == "ImportError"
    assert PYO3 in finding["surfaced"]["message"]
    name = os.path.basename(finding["path"])
    assert re.match(r"_cffi_backend\.cpython-3\d+-.*\.so$", name)
    # The same root is told once: the second attempt is its consequence.
    assert [f["module"] for f in report["findings"] if f["outcome"] == "fatal"] == ["_cffi_backend"]
    return finding


def test_the_trace_alone_tells_the_root(lab):
    finding = check_report(analyze(lab / "trace.zst"))
    # Who asked, from the script on.
    assert finding["importers"][0]["file"].endswith("fetch.py")


def test_the_same_inside_the_root(lab):
    if not (lab / "report.json").exists():
        pytest.skip("this machine's imptrace does not run there: " + (lab / "version.txt").read_text())
    check_report(json.loads((lab / "report.json").read_text()))
    assert "_cffi_backend" in (lab / "report.txt").read_text()
