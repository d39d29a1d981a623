# SPDX-License-Identifier: GPL-2.0-or-later
"""wrong-library: the right one lies further on, or another of that name was there before."""
import re

import pytest

import harness
import interpreters
import shapes
from loader_cases import (Host, built_library, by_name, cdll, explain, extension, from_c, library,
                          own_error,
                          rpath, runpath)

DEP = "libdep17.so.1"
CAUSE = "wrong-library"
MAPS = harness.FIXTURES / "symbol-version-missing"


def old_and_new(lab, python, tag=runpath, name="native_17"):
    """An extension and its library beside it; and an older build of that elsewhere."""
    path = extension(python, name, lab.site, built_library(DEP, ALSO="dep_new_17"),
                     CALLS="dep_new_17", flags=[tag("$ORIGIN/lib")])
    right = library(lab.site / "lib", DEP, ALSO="dep_new_17")
    return path, right, library(lab.root / "old", DEP)


@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m, shapes.import_module,
                                   shapes.handled, shapes.subprocess], ids=by_name)
def test_variable_leads_to_an_older_one(lab, debian, shape):
    path, right, old = old_and_new(lab, debian)
    program = shape(lab, "import native_17")
    program.env = lab.env(LD_LIBRARY_PATH=str(old.parent))
    assert lab.bare([debian.path, "-c", "import native_17"]).returncode == 0, "without it, it works"
    finding = explain(lab, debian, program, cause=CAUSE, module="native_17", path=(old, path),
                      library=DEP, needed_by=path,
                      tried=[(old, "ld_library_path", "opened"), (right, "runpath", "skipped")],
                      says=["dep_new_17", re.escape(str(old)), re.escape(str(right)),
                            "LD_LIBRARY_PATH"])
    own_error(finding, "undefined symbol: dep_new_17")


def test_variable_other_pythons(lab, python):
    path, right, old = old_and_new(lab, python)
    program = from_c(python)(lab, "import native_17")
    (lab.root / "none").mkdir()
    program.env = lab.env(LD_LIBRARY_PATH="%s:%s" % (lab.root / "none", old.parent))
    explain(lab, python, program, cause=CAUSE, module="native_17", path=(old, path), library=DEP,
            needed_by=path, says=[re.escape(str(right))],
            tried=[(lab.root / "none" / DEP, "ld_library_path", "absent"),
                   (old, "ld_library_path", "opened"), (right, "runpath", "skipped")])


@pytest.mark.parametrize("shape", [shapes.script, shapes.thread], ids=by_name)
def test_runpath_leads_to_an_older_one(lab, debian, shape):
    """Two directories in one RUNPATH: the first one has the older build."""
    path = extension(debian, "native_17", lab.site, built_library(DEP, ALSO="dep_new_17"),
                     CALLS="dep_new_17", flags=[rpath("$ORIGIN/stale:$ORIGIN/lib")])
    stale = library(lab.site / "stale", DEP)
    right = library(lab.site / "lib", DEP, ALSO="dep_new_17")
    explain(lab, debian, shape(lab, "import native_17"), cause=CAUSE, module="native_17",
            path=(stale, path), library=DEP, needed_by=path,
            tried=[(stale, "rpath", "opened"), (right, "rpath", "skipped")])


@pytest.mark.parametrize("shape", [shapes.script, shapes.reraised], ids=by_name)
def test_older_version_first(lab, debian, shape):
    """What is missing is a symbol version; the library that has it is passed over."""
    def foo(version):
        return dict(gives="foo_old_17", ALSO="foo_new_17", flags=[
            "-Wl,--version-script=%s" % (MAPS / ("dep_%d.map" % version))])
    path = extension(debian, "native_17", lab.site, built_library("libfoo17.so.1", **foo(2)),
                     CALLS="foo_new_17", flags=[runpath("$ORIGIN/lib")])
    right = library(lab.site / "lib", "libfoo17.so.1", **foo(2))
    old = library(lab.root / "old", "libfoo17.so.1", **foo(1))
    program = shape(lab, "import native_17")
    program.env = lab.env(LD_LIBRARY_PATH=str(old.parent))
    explain(lab, debian, program, cause=CAUSE, module="native_17", path=(old, path),
            library="libfoo17.so.1", needed_by=path, says=[r"FOO_2\.0", re.escape(str(right))],
            tried=[(old, "ld_library_path", "opened"), (right, "runpath", "skipped")])


@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module], ids=by_name)
def test_loaded_by_another_extension(lab, debian, shape):
    """Two packages bring a library of one soname; the first one loaded serves both."""
    path, right, old = old_and_new(lab, debian)
    first = extension(debian, "first_17", lab.site / "first", built_library(DEP),
                      flags=[runpath("$ORIGIN/../../old")])
    lab.module("first_pkg/__init__",
               "import sys\nsys.path.append(%r)\nimport first_17\n" % str(first.parent))
    lab.module("both_17", "import first_pkg\nimport native_17\n")
    assert lab.bare([debian.path, "-c", "import native_17, first_pkg"]).returncode == 0
    explain(lab, debian, shape(lab, "import both_17"), cause=CAUSE, module="native_17", library=DEP,
            needed_by=path, importer=(str(lab.site / "both_17.py"), 2),
            path=(old, path, old.parent / ".." / "old" / DEP, "%s/../../old/%s" % (first.parent,
                                                                                   DEP)),
            says=["(?i)already|before|earlier", re.escape(str(right)), "first_17|old/libdep17"])


@pytest.mark.parametrize("how", ["host", "ctypes"])
def test_loaded_by_the_host(lab, debian, how):
    """The program that embeds Python is linked with an older library of that soname."""
    path, right, old = old_and_new(lab, debian)
    if how == "host":
        built = interpreters.host_program(debian, "embedding/host_linked.c", "-DCALLS=dep_17",
                                          "-Wl,--no-as-needed", built_library(DEP))
        program = Host([built, "import sys\nimport native_17"], ("<string>", 2))
        program.env = lab.env(LD_PRELOAD=None, LD_LIBRARY_PATH=str(old.parent))
    else:
        script = lab.write("plug.py",
                           "import ctypes\nctypes.CDLL(%r)\nimport native_17\n" % str(old))
        program = shapes.Program([script], (str(script), 3))
    explain(lab, debian, program, cause=CAUSE, module="native_17", path=(old, path), library=DEP,
            needed_by=path,
            says=["(?i)already|before|earlier|at start", re.escape(str(old)),
                  re.escape(str(right))])


def test_through_ctypes(lab, debian):
    path = library(lab.dir, "libmine17.so", built_library(DEP, ALSO="dep_new_17"), gives="mine_17",
                   CALLS="dep_new_17", flags=[runpath("$ORIGIN/lib"), "-Wl,-z,now"])
    right = library(lab.dir / "lib", DEP, ALSO="dep_new_17")
    old = library(lab.root / "old", DEP)
    program = cdll(path)(lab, "")
    program.env = lab.env(LD_LIBRARY_PATH=str(old.parent))
    explain(lab, debian, program, cause=CAUSE, module=None, path=(old, path), library=DEP,
            needed_by=path, says=[re.escape(str(right))],
            tried=[(old, "ld_library_path", "opened"), (right, "runpath", "skipped")])
