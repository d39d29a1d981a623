# SPDX-License-Identifier: GPL-2.0-or-later
"""permission-denied: what lies on the path may not be listed, searched or read.

Root may read everything, so the program runs as nobody; analyze runs as whoever tests, and must
not believe its own eyes where the trace says otherwise.
"""
import os

import pytest

import interpreters
import shapes
from verdict import diagnose


@pytest.fixture
def denied(public_lab):
    """A lab whose programs run without root's privileges."""
    if os.geteuid() == 0:
        public_lab.popen = {"user": 65534, "group": 65534, "extra_groups": []}
    return public_lab


def by_name(shape):
    return shape.__name__


SHAPES = [shapes.script, shapes.import_module, shapes.handled]
IDS = "65534" if os.geteuid() == 0 else str(os.geteuid())


@pytest.mark.parametrize("shape", SHAPES, ids=by_name)
@pytest.mark.parametrize("mode", [0o000, 0o311])
def test_directory_cannot_be_listed(denied, debian, shape, mode):
    where = denied.root / "closed"
    path = denied.write(where / "closed_17.py", "answer = 17\n")
    program = shape(denied, "import closed_17")
    program.env = denied.env(PYTHONPATH="%s:%s" % (where, denied.site))
    os.chmod(where, mode)
    diagnose(denied, debian, program, cause="permission-denied", module="closed_17",
             path=(where, path), says=["%03o" % mode if mode else "0?000|none", IDS])


@pytest.mark.parametrize("shape", SHAPES + [shapes.reraised], ids=by_name)
def test_source_cannot_be_read(denied, debian, shape):
    path = denied.module("closed_17", "answer = 17\n")
    os.chmod(path, 0)
    program = shape(denied, "import closed_17")
    finding = diagnose(denied, debian, program, cause="permission-denied", module="closed_17",
                       path=path, says=[IDS])
    assert finding["error"]["type"] == "PermissionError"


def test_package_cannot_be_entered(denied, debian):
    """Listed, yet not searched: the finder takes it for a namespace package without parts."""
    denied.module("closed_17/__init__", "answer = 17\n")
    denied.module("closed_17/part", "answer = 17\n")
    where = denied.site / "closed_17"
    os.chmod(where, 0o644)
    diagnose(denied, debian, shapes.script(denied, "import closed_17.part"),
             cause="permission-denied", module=("closed_17.part", "closed_17"),
             path=(where, where / "part.py", where / "__init__.py"))


@pytest.mark.parametrize("shape", SHAPES, ids=by_name)
def test_extension_cannot_be_read(denied, debian, shape):
    path = interpreters.extension(debian, "abi-tag-mismatch/native.c", "closed_17", denied.site)
    os.chmod(path, 0)
    finding = diagnose(denied, debian, shape(denied, "import closed_17"), module="closed_17",
                       cause="permission-denied", path=path, says=[IDS])
    assert "Permission denied" in finding["error"]["message"]


def test_closed_entry_that_is_not_needed(denied, debian):
    """A closed directory on the path is no finding where the module lies in the next one."""
    where = denied.root / "closed"
    denied.write(where / "closed_17.py", "answer = 17\n")
    denied.module("closed_17", "answer = 18\n")
    env = denied.env(PYTHONPATH="%s:%s" % (where, denied.site))
    os.chmod(where, 0)
    argv = [debian.path, "-c", "import closed_17; print(closed_17.answer)"]
    assert denied.bare(argv, env).stdout == b"18\n"
    run = denied.traced(argv, env)
    assert denied.analyze(run.trace)[1]["findings"] == []
