# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong in the init function, or around it: missing-init-function, version-mismatch,
circular-import, init-failed, reinitialization-refused, frozen-bundle-incomplete."""
import os
import re

import pytest

import shapes
from loader_cases import (Host, built_library, by_name, embedded, explain, extension, from_c, place,
                          runpath)
from verdict import facts

NATIVE = "abi-tag-mismatch/native.c"
NUMPY = "/usr/lib/python3/dist-packages/numpy/core/include"


# -- missing-init-function ------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m, shapes.import_module,
                                   shapes.handled, shapes.reraised], ids=by_name)
def test_renamed_module(lab, python, shape):
    built = extension(python, "first_17", lab.dir, source=NATIVE)
    path = place(built, lab.site, "second_17" + python.suffix)
    explain(lab, python, shape(lab, "import second_17"), cause="missing-init-function",
            module="second_17", path=path, says=["PyInit_second_17", "PyInit_first_17"])


def test_renamed_in_a_package(lab, debian):
    built = extension(debian, "native_17", lab.dir, source=NATIVE)
    path = place(built, lab.site / "pkg_17", "_native_17" + debian.suffix)
    lab.module("pkg_17/__init__", "from . import _native_17\n")
    explain(lab, debian, embedded(debian)(lab, "import pkg_17"), cause="missing-init-function",
            module="pkg_17._native_17", path=path, says=["PyInit__native_17", "PyInit_native_17"],
            importer=(str(lab.site / "pkg_17/__init__.py"), 1))


@pytest.mark.parametrize("shape", [shapes.thread, from_c], ids=by_name)
def test_plain_library(lab, debian, shape):
    """A library that is no extension at all has the module's name."""
    path = place(built_library("native_17.so"), lab.site, "native_17.so")
    shape = shape(debian) if shape is from_c else shape
    explain(lab, debian, shape(lab, "import native_17"), cause="missing-init-function",
            module="native_17", path=path, says=["PyInit_native_17",
                                                 "(?i)no (other )?(PyInit|init)|none"])


def test_python2_extension(lab, debian):
    """It exports initNAME, as Python 2 wants it."""
    path = place(built_library("native_17.so", gives="initnative_17"), lab.site, "native_17.so")
    explain(lab, debian, shapes.script(lab, "import native_17"), cause="missing-init-function",
            module="native_17", path=path, says=["initnative_17", "(?i)python ?2"])


# -- version-mismatch -----------------------------------------------------------------------
@pytest.mark.parametrize("what,says", [("ABI", "0x2000000"), ("API", "0x20")])
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module], ids=by_name)
def test_numpy_numbers(lab, debian, what, says, shape):
    """Built against another numpy. What surfaces is "numpy.core.multiarray failed to import"."""
    if not os.path.exists(NUMPY):
        pytest.skip("needs python3-numpy's headers")
    path = extension(debian, "native_17", lab.site, source="version-mismatch/numpy_user.c",
                     flags=["-I" + NUMPY], **{what: says})
    finding = explain(lab, debian, shape(lab, "import native_17"), cause="version-mismatch",
                      module="native_17", path=path, bare_says="module compiled against",
                      says=[r"(?i)numpy", "1[.]24|" + says])
    assert "numpy" in str(finding["fixes"])


@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m, shapes.handled], ids=by_name)
def test_size_of_a_type_changed(lab, python, shape):
    """Cython's check, in its words."""
    path = extension(python, "native_17", lab.site, source="version-mismatch/cython_like.c",
                     NEEDS="decimal", TYPE="Context", EXPECTED=8)
    finding = explain(lab, python, shape(lab, "import native_17"), cause="version-mismatch",
                      module="native_17", path=path, says=["decimal"])
    assert "size changed" in finding["error"]["message"]


# -- circular-import ------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.reraised, shapes.subprocess], ids=by_name)
def test_circle_through_an_init_function(lab, debian, shape):
    """The package imports its extension, whose init function takes a name from the package."""
    path = extension(debian, "ring_17._native", lab.site / "ring_17",
                     source="circular-import/asks.c",
                     NEEDS="ring_17", WANTS="settings")
    init = lab.module("ring_17/__init__", "from . import _native\nsettings = {}\n")
    finding = explain(lab, debian, shape(lab, "import ring_17"), cause="circular-import",
                      module=("ring_17", "ring_17._native"), path=(path, init), importer=False,
                      says=["ring_17._native", "settings"])
    assert "partially initialized module 'ring_17'" in finding["error"]["message"]


# -- init-failed ----------------------------------------------------------------------------
def test_init_fails_because_a_library_does(lab, debian):
    """The init function asks for a module whose library is missing: that one is the root."""
    path = extension(debian, "native_17", lab.site, built_library("libdep17.so.1"))
    finding = explain(lab, debian, from_c(debian)(lab, "import native_17"), module="native_17",
                      cause="missing-shared-library", library="libdep17.so.1", needed_by=path)
    assert [f["module"] for f in finding["_report"]["findings"] if f["outcome"] == "fatal"][0] == "native_17"


@pytest.mark.parametrize("shape", [shapes.dash_m, shapes.subprocess], ids=by_name)
def test_init_raises_itself(lab, python, shape):
    path = extension(python, "native_17", lab.site, source="init-failed/failing.c", HOW=1)
    explain(lab, python, shape(lab, "import native_17"), cause="init-failed", module="native_17",
            path=path, says=["PyInit_native_17|init function"])


# -- reinitialization-refused ---------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.thread, shapes.import_module], ids=by_name)
def test_first_attempt_failed_in_the_loader(lab, debian, shape):
    """The init function's own import failed in the loader; an except swallowed it; the second
    attempt is refused.  The root is the library."""
    extension(debian, "rusty_17", lab.site, source="reinitialization-refused/once.c",
              NEEDS="native_17")
    path = extension(debian, "native_17", lab.site, built_library("libdep17.so.1"))
    lab.module("jwtish_17", "try:\n    import rusty_17\nexcept ImportError:\n    pass\n")
    lab.module("both_17", "import jwtish_17\nimport rusty_17\n")
    finding = explain(lab, debian, shape(lab, "import both_17"), cause="missing-shared-library",
                      module="native_17", library="libdep17.so.1", needed_by=path, importer=False,
                      bare_says="may only be initialized once",
                      error=("ImportError", "libdep17.so.1: cannot open"))
    assert "initialized once" in finding["surfaced"]["message"]
    assert "rusty_17" in facts(finding)


# -- frozen-bundle-incomplete ---------------------------------------------------------------
BOOTSTRAP = "import sys\nsys.frozen = True\nsys._MEIPASS = %r\n" \
            "sys.path[:] = [p for p in sys.path if 'python3' in p and 'packages' not in p]\n" \
            "sys.path.insert(0, sys._MEIPASS)\n"


def bundle(lab):
    """What PyInstaller's bootstrap sets up: one directory, and no site-packages."""
    where = lab.root / "_MEI17"
    where.mkdir()
    return where


@pytest.mark.parametrize("shape", [shapes.script, shapes.handled, shapes.import_module],
                         ids=by_name)
def test_frozen_without_a_module(lab, debian, shape):
    where = bundle(lab)
    lab.module("sitecustomize", BOOTSTRAP % str(where))
    finding = explain(lab, debian, shape(lab, "import hidden_17"), cause="frozen-bundle-incomplete",
                      module="hidden_17", path=None, says=["frozen|_MEIPASS",
                                                           re.escape(str(where))])
    assert not any("pip install" in (f["command"] or "") for f in finding["fixes"])


def test_frozen_program(lab, debian):
    """A program of its own, with Python in it; a module within asks for the one left out."""
    where = bundle(lab)
    lab.write(where / "app_17.py", "\nimport hidden_17\n")
    program = embedded(debian)(lab, "import app_17")
    code = BOOTSTRAP % str(where) + "import app_17\n"
    program = Host([*program.args[:2], code], (str(where / "app_17.py"), 2))
    explain(lab, debian, program, cause="frozen-bundle-incomplete", module="hidden_17", path=None,
            says=["frozen|_MEIPASS", "app_17"])


def test_frozen_without_a_submodule(lab, debian):
    where = bundle(lab)
    lab.write(where / "pkg_17/__init__.py", "from . import part\n")
    lab.module("sitecustomize", BOOTSTRAP % str(where))
    explain(lab, debian, shapes.script(lab, "import pkg_17"), cause="frozen-bundle-incomplete",
            module="pkg_17.part", path=None, says=["frozen|_MEIPASS"],
            error=("ModuleNotFoundError", r"No module named 'pkg_17\.part'"),
            importer=(str(where / "pkg_17/__init__.py"), 1))


def test_frozen_without_a_library(lab, debian):
    """The module is in the bundle, its library is not."""
    where = bundle(lab)
    path = extension(debian, "native_17", where, built_library("libdep17.so.1"),
                     flags=[runpath("$ORIGIN")])
    lab.module("sitecustomize", BOOTSTRAP % str(where))
    explain(lab, debian, shapes.script(lab, "import native_17"), library="libdep17.so.1",
            needed_by=path,
            cause=("missing-shared-library", "frozen-bundle-incomplete"), module="native_17",
            says=["frozen|_MEIPASS|bundle"])
