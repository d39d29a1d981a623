# SPDX-License-Identifier: GPL-2.0-or-later
"""missing-shared-library, in its variants: what was looked for, where, and what lies elsewhere."""
import os
import re
import shutil

import pytest

import harness
import interpreters
import shapes
from loader_cases import (built_library, by_name, cdll, embedded, explain, extension, from_c,
                          installed,
                          library, prefixed, rpath, runpath)
from verdict import facts

GONE = "libdep17.so.1"
NOT_FOUND = GONE + ": cannot open shared object file: No such file or directory"
CAUSE = "missing-shared-library"


# -- nowhere on this machine ----------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m, shapes.import_module,
                                   shapes.thread,
                                   shapes.subprocess, shapes.zipapp, shapes.handled,
                                   shapes.reraised], ids=by_name)
def test_nowhere(lab, debian, shape):
    path = extension(debian, "native_17", lab.site, built_library(GONE))
    finding = explain(lab, debian, shape(lab, "import native_17"), cause=CAUSE, module="native_17",
                      library=GONE, needed_by=path, path=(None, path),
                      tried=[("/usr/lib/x86_64-linux-gnu/" + GONE, "default", "absent")])
    assert finding["error"] == {"type": "ImportError", "message": NOT_FOUND}
    assert not re.search(r"libdep17\.so\.[^1]", facts(finding))


@pytest.mark.parametrize("shape", [from_c, embedded], ids=by_name)
def test_nowhere_from_c(lab, debian, shape):
    path = extension(debian, "native_17", lab.site, built_library(GONE))
    finding = explain(lab, debian, shape(debian)(lab, "import native_17"), cause=CAUSE,
                      module="native_17", library=GONE, needed_by=path, path=(None, path),
                      bare_says=re.escape(NOT_FOUND))
    if shape is from_c:
        assert any(n["symbol"] == "PyInit_asker_17" for n in finding["native_stack"]), (
            finding["native_stack"])
        assert "asker_17" in facts(finding) + str(finding["importers"])


def test_nowhere_in_a_subinterpreter(lab, any_python):
    """What surfaces is the error of the function that ran the code there."""
    if any_python.version < (3, 8):
        pytest.skip("before 3.8 there is no module for subinterpreters")
    path = extension(any_python, "native_17", lab.site, built_library(GONE))
    name = "_interpreters" if any_python.version >= (3, 13) else "_xxsubinterpreters"
    script = lab.write("sub.py", "import sys\nimport %s as interpreters\n"
                       "sub = interpreters.create()\n"
                       "err = interpreters.run_string(sub, 'import native_17')\n"
                       "sys.exit(1 if err else 0)\n" % name)
    argv = [any_python.path, script]
    bare = lab.bare(argv)
    assert bare.returncode == 1
    run = lab.traced(argv, bare=bare)
    _, report = lab.analyze(run.trace, "--all")
    finding = harness.finding_of(report, "native_17")
    assert finding["cause"] == CAUSE, finding["summary"]
    assert (finding["library"]["name"], finding["library"]["needed_by"]) == (GONE, str(path))


def test_nowhere_other_pythons(lab, python):
    path = extension(python, "native_17", lab.site, built_library(GONE),
                     flags=[runpath("$ORIGIN/lib")])
    explain(lab, python, shapes.inside_package(lab, "import native_17"), cause=CAUSE,
            module="native_17", library=GONE, needed_by=path, path=(None, path),
            tried=[(lab.site / "lib" / GONE, "runpath", "absent"),
                   ("/usr/lib/x86_64-linux-gnu/" + GONE, "default", "absent")])


@pytest.mark.parametrize("tag", [rpath, runpath], ids=by_name)
def test_every_rule_in_order(lab, debian, tag):
    """RPATH stands before LD_LIBRARY_PATH, RUNPATH behind it."""
    path = extension(debian, "native_17", lab.site, built_library(GONE),
                     flags=[tag("$ORIGIN/near")])
    program = shapes.script(lab, "import native_17")
    (lab.root / "further").mkdir()
    (lab.site / "near").mkdir()
    program.env = lab.env(LD_LIBRARY_PATH=str(lab.root / "further"))
    own = (lab.site / "near" / GONE, tag.__name__, "absent")
    variable = (lab.root / "further" / GONE, "ld_library_path", "absent")
    explain(lab, debian, program, cause=CAUSE, module="native_17", library=GONE, needed_by=path,
            path=(None, path), tried=[*((own, variable) if tag is rpath else (variable, own)),
                                      ("/usr/lib/x86_64-linux-gnu/" + GONE, "default", "absent")])


@pytest.mark.parametrize("name", [GONE, "dir/" + GONE])
def test_ctypes(lab, debian, name):
    """No import fails: module null, the caller named."""
    shape = cdll(name if name == GONE else lab.dir / name)
    finding = explain(lab, debian, shape(lab, ""), cause=CAUSE, module=None,
                      path=None if name == GONE else (None, lab.dir / name),
                      library=(GONE, str(lab.dir / name)),
                      tried=[("/usr/lib/x86_64-linux-gnu/" + GONE, "default",
                              "absent") if name == GONE
                             else (lab.dir / name, "direct", "absent")])
    assert finding["error"]["type"] == "OSError"


def test_ctypes_handled(lab, debian):
    """A program that tries one soname after the other, and has luck at last, failed in nothing."""
    script = lab.write("tries.py", "import ctypes\nfor name in ('libdep17.so.9', 'libm.so.6'):\n"
                       "    try:\n        lib = ctypes.CDLL(name)\n        break\n"
                       "    except OSError:\n        pass\nprint('found', name)\n")
    argv = [debian.path, script]
    assert lab.bare(argv).stdout == b"found libm.so.6\n"
    run = lab.traced(argv)
    status, report = lab.analyze(run.trace)
    assert status == 0
    assert all(f["outcome"] == "handled" for f in report["findings"])
    _, report = lab.analyze(run.trace, "--all")
    finding, = [f for f in report["findings"] if f["cause"] == CAUSE]
    assert (finding["module"], finding["outcome"]) == (None, "handled")
    assert finding["library"]["name"] == "libdep17.so.9"


# -- under another soname -------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.handled],
                         ids=by_name)
def test_other_soname(lab, python, shape):
    path = extension(python, "native_17", lab.site, built_library(GONE),
                     flags=[runpath("$ORIGIN/lib")])
    other = library(lab.site / "lib", "libdep17.so.2")
    explain(lab, python, shape(lab, "import native_17"), cause=CAUSE, module="native_17",
            library=GONE,
            needed_by=path, path=(None, path, other), says=[r"libdep17\.so\.2"])


def test_other_soname_of_the_system(lab, debian):
    """The classic: libffi.so.7 where the machine has libffi.so.8."""
    if not os.path.exists("/usr/lib/x86_64-linux-gnu/libffi.so.8"):
        pytest.skip("needs libffi.so.8")
    path = extension(debian, "native_17", lab.site, built_library("libffi.so.7"))
    explain(lab, debian, shapes.dash_m(lab, "import native_17"), cause=CAUSE, module="native_17",
            library="libffi.so.7", needed_by=path, path=(None, path), says=[r"libffi\.so\.8"])


# -- in a directory that no rule leads to ---------------------------------------------------
def test_libs_directory_beside_the_package(lab, debian):
    """What auditwheel bundles, after something stripped the RUNPATH."""
    path = extension(debian, "pkg_17._native", lab.site / "pkg_17", built_library(GONE))
    lab.module("pkg_17/__init__", "\nfrom . import _native\n")
    there = library(lab.site / "pkg_17.libs", GONE)
    explain(lab, debian, shapes.script(lab, "import pkg_17"), cause=CAUSE, module="pkg_17._native",
            library=GONE, needed_by=path, path=(None, path, there), says=[re.escape(str(there))],
            importer=(str(lab.site / "pkg_17/__init__.py"), 2))


@pytest.mark.parametrize("shape", [shapes.import_module, shapes.thread], ids=by_name)
def test_wrong_runpath(lab, debian, shape):
    """The library lies beside the extension; its RUNPATH leads somewhere else."""
    path = extension(debian, "native_17", lab.site, built_library(GONE),
                     flags=[runpath("$ORIGIN/../lib64")])
    there = library(lab.site, GONE)
    explain(lab, debian, shape(lab, "import native_17"), cause=CAUSE, module="native_17",
            library=GONE,
            needed_by=path, path=(None, path, there), says=[re.escape(str(there))],
            tried=[(str(lab.site) + "/../lib64/" + GONE, "runpath", "absent")])


def test_in_the_prefix(lab, debian):
    """A conda-like prefix: the library in PREFIX/lib, an extension there without a RUNPATH."""
    site = lab.root / "env" / "lib" / ("python" + debian.minor) / "site-packages"
    path = extension(debian, "native_17", site, built_library(GONE))
    there = library(lab.root / "env" / "lib", GONE)
    program = shapes.script(lab, "import native_17")
    program.env = lab.env(PYTHONPATH=str(site))
    explain(lab, debian, program, cause=CAUSE, module="native_17", library=GONE, needed_by=path,
            path=(None, path, there), says=[re.escape(str(there))])


# -- only there once another module has been imported ---------------------------------------
def torchish(lab, python):
    """A package that opens its library when it is imported, and another that relies on that."""
    core = library(lab.site / "torchish" / "lib", GONE)
    lab.module("torchish/__init__", "import ctypes, os\n\nctypes.CDLL(os.path.join("
               "os.path.dirname(__file__), 'lib', %r), ctypes.RTLD_GLOBAL)\n" % GONE)
    return core, extension(python, "torchish_ext", lab.site, built_library(GONE))


@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m], ids=by_name)
def test_another_module_brings_it(lab, debian, shape):
    core, path = torchish(lab, debian)
    argv = [debian.path, "-c", "import torchish, torchish_ext"]
    assert lab.bare(argv).returncode == 0, "the fixture works in the right order"
    explain(lab, debian, shape(lab, "import torchish_ext"), cause=CAUSE, module="torchish_ext",
            library=GONE, needed_by=path, path=(None, path, core),
            says=[
                r"(?i)\b(import|load)\w*\b.*\btorchish\b|\btorchish\b.*\b(import|load)"])


def test_another_module_brought_it_later(lab, debian):
    """Tried too early, and again once the other module was there: the trace shows both."""
    torchish(lab, debian)
    program = shapes.Program([lab.write("twice.py",
                                        "try:\n    import torchish_ext\nexcept ImportError:\n"
                                        "    import torchish\n    import torchish_ext\n")],
                             (str(lab.dir / "twice.py"), 2), outcome="handled")
    explain(lab, debian, program, cause=CAUSE, module="torchish_ext", library=GONE,
            says=[r"\btorchish\b"])


# -- LD_LIBRARY_PATH was dropped on the way -------------------------------------------------
@pytest.mark.parametrize("how", ["env -u", "python", "sh"])
def test_variable_was_dropped(lab, debian, how):
    path = extension(debian, "native_17", lab.site, built_library(GONE))
    there = library(lab.root / "vendor", GONE)
    program = shapes.script(lab, "import native_17")
    env = lab.env(LD_LIBRARY_PATH=str(lab.root / "vendor"))
    assert lab.bare(program.argv(debian), env).returncode == 0, "with the variable it works"
    if how == "env -u":
        program = prefixed(shapes.script, lab, "import native_17", "sh", "-c",
                           "env -u LD_LIBRARY_PATH \"$@\"; exit $?", "sh")
    elif how == "sh":
        program = prefixed(shapes.script, lab, "import native_17", "sh", "-c",
                           "/usr/bin/env true; unset LD_LIBRARY_PATH; exec \"$@\"", "sh")
    else:
        child, (_, line) = lab.dir / "main.py", program.importer
        parent = lab.write("service.py", "import os, subprocess, sys\nenv = dict(os.environ)\n"
                           "del env['LD_LIBRARY_PATH']\n"
                           "sys.exit(subprocess.call([sys.executable, %r], env=env))\n" % str(child))
        program = shapes.Program([parent], (str(child), line))
    program.env = env
    explain(lab, debian, program, cause=CAUSE, module="native_17", library=GONE, needed_by=path,
            path=(None, path, there), says=["LD_LIBRARY_PATH", re.escape(str(lab.root / "vendor"))])


# -- through others -------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.subprocess, shapes.retried], ids=by_name)
def test_chain(lab, debian, shape):
    """The extension needs A, A needs B, B needs C: C is the finding, and B asked for it."""
    c = built_library("libc17.so.1", gives="c_17")
    b = built_library("libb17.so.1", c, gives="b_17", CALLS="c_17", flags=[runpath("$ORIGIN")])
    a = built_library("liba17.so.1", b, gives="a_17", CALLS="b_17", flags=[runpath("$ORIGIN")])
    where = lab.site / "lib"
    where.mkdir()
    for built, name in ((a, "liba17.so.1"), (b, "libb17.so.1")):
        shutil.copy(built, where / name)
    extension(debian, "native_17", lab.site, a, CALLS="a_17", flags=[runpath("$ORIGIN/lib")])
    finding = explain(lab, debian, shape(lab, "import native_17"), cause=CAUSE, module="native_17",
                      library="libc17.so.1", needed_by=where / "libb17.so.1",
                      tried=[(where / "libc17.so.1", "runpath", "absent")])
    chain = [f for f in facts(finding).splitlines() if "liba17.so.1" in f and "libb17.so.1" in f]
    assert chain, "the chain is not in " + facts(finding)


def test_chain_through_ctypes(lab, debian):
    gone = built_library(GONE)
    path = library(lab.dir, "libmine17.so", gone, gives="mine_17", CALLS="dep_17")
    explain(lab, debian, cdll(path)(lab, ""), cause=CAUSE, module=None, library=GONE,
            needed_by=path,
            path=(None, path), bare_says=re.escape(NOT_FOUND))


def test_recorded_library_is_gone(lab, debian):
    """The distribution brought the library, as RECORD says; it is gone."""
    data = open(interpreters.compile_c("missing-shared-library/dep.c", "-shared", "-fPIC",
                                       "-DGIVES=dep_17"), "rb").read()
    installed(lab, "pkg_17", {"pkg_17/__init__.py": "\nfrom . import _native\n",
                              "pkg_17.libs/" + GONE: data}, absent=["pkg_17.libs/" + GONE])
    path = extension(debian, "pkg_17._native", lab.site / "pkg_17", built_library(GONE),
                     flags=[runpath("$ORIGIN/../pkg_17.libs")])
    explain(lab, debian, shapes.script(lab, "import pkg_17"), cause=(CAUSE, "broken-installation"),
            module="pkg_17._native", library=GONE, needed_by=path,
            importer=(str(lab.site / "pkg_17/__init__.py"), 2), says=["RECORD"])
