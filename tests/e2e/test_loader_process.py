# SPDX-License-Identifier: GPL-2.0-or-later
"""What the process may not do or has no room for: static-tls-exhausted, executable-stack,
memory-limit, noexec-mount, permission-denied, illegal-instruction."""
import os
import re

import pytest

import shapes
from harness import need
from loader_cases import (built_library, by_name, cdll, died, embedded, explain, extension, from_c,
                          library, own_error, prefixed, runpath)
from verdict import facts

NATIVE = "abi-tag-mismatch/native.c"
DEP = "libdep17.so.1"


def needs_dep(lab, python, **how):
    path = extension(python, "native_17", lab.site, built_library(DEP, **how),
                     flags=[runpath("$ORIGIN/lib")])
    return path, library(lab.site / "lib", DEP, **how)


# -- static-tls-exhausted -------------------------------------------------------------------
TLS = dict(source="static-tls-exhausted/tls.c", BYTES=65536)


@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.handled,
                                   shapes.thread],
                         ids=by_name)
def test_static_tls_of_a_library(lab, debian, shape):
    path, dep = needs_dep(lab, debian, **TLS)
    env = lab.env(LD_PRELOAD=str(dep))
    assert lab.bare([debian.path, "-c", "import native_17"], env).returncode == 0
    finding = explain(lab, debian, shape(lab, "import native_17"), cause="static-tls-exhausted",
                      module="native_17", path=dep, says=[r"\b6[45][,. ]?\d*\b|0x10000", "TLS"])
    own_error(finding, "%s: cannot allocate memory in static TLS block" % dep)
    assert str(path) in facts(finding) or (finding["library"] or {}).get("needed_by") == str(path)


def test_static_tls_of_the_extension(lab, python):
    path = extension(python, "native_17", lab.site, source="static-tls-exhausted/tls.c",
                     BYTES=65536,
                     GIVES="PyInit_native_17")
    finding = explain(lab, python, shapes.dash_m(lab, "import native_17"), module="native_17",
                      cause="static-tls-exhausted", path=path)
    own_error(finding, "cannot allocate memory in static TLS block")


def test_static_tls_through_ctypes(lab, debian):
    path = library(lab.dir, DEP, **TLS)
    explain(lab, debian, cdll(path)(lab, ""), cause="static-tls-exhausted", module=None, path=path)


# -- executable-stack -----------------------------------------------------------------------
REFUSE = "import ctypes\n"\
         "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):\n    raise SystemExit('no PR_SET_MDWE')\n"


def refuse_exec_gain(lab, debian):
    """What systemd's MemoryDenyWriteExecute= does, for the program and its children."""
    if b"no PR_SET_MDWE" in lab.bare([debian.path, "-c", REFUSE]).stderr:
        pytest.skip("no PR_SET_MDWE (before Linux 6.3): the C library obeys")
    lab.module("sitecustomize", REFUSE)


@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.handled, from_c],
                         ids=by_name)
def test_executable_stack(lab, debian, shape):
    refuse_exec_gain(lab, debian)
    path = extension(debian, "native_17", lab.site, source=NATIVE, flags=["-Wl,-z,execstack"])
    shape = shape(debian) if shape is from_c else shape
    finding = explain(lab, debian, shape(lab, "import native_17"), cause="executable-stack",
                      module="native_17", path=path, says=["PT_GNU_STACK|GNU_STACK"])
    own_error(finding, "cannot enable executable stack as shared object requires")


def test_executable_stack_of_a_library(lab, debian):
    refuse_exec_gain(lab, debian)
    path = extension(debian, "native_17", lab.site, built_library(DEP),
                     flags=[runpath("$ORIGIN/lib")])
    dep = library(lab.site / "lib", DEP, flags=["-Wl,-z,execstack"])
    finding = explain(lab, debian, shapes.thread(lab, "import native_17"), cause="executable-stack",
                      module="native_17", path=dep, says=["GNU_STACK"])
    assert str(path) in facts(finding) or (finding["library"] or {}).get("needed_by") == str(path)


# -- memory-limit ---------------------------------------------------------------------------
BIG = dict(source="memory-limit/big.c", BYTES="(1L<<32)")


def test_memory_limit_of_the_shell(lab, debian):
    path, dep = needs_dep(lab, debian, **BIG)
    assert lab.bare([debian.path, "-c", "import native_17"]).returncode == 0
    program = prefixed(shapes.script, lab, "import native_17", "sh", "-c",
                       "ulimit -v 1000000; exec \"$@\"", "sh")
    finding = explain(lab, debian, program, cause="memory-limit", module="native_17", path=(dep,
                                                                                            path),
                      says=[r"(?i)RLIMIT_AS|address space",
                            r"1024000000|97[67]|1000000|1\.0 G|0\.95"])
    own_error(finding, "failed to map segment from shared object")


@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m], ids=by_name)
def test_memory_limit_of_the_program(lab, debian, shape):
    path, dep = needs_dep(lab, debian, **BIG)
    lab.module("sitecustomize", "import resource\n"
               "resource.setrlimit(resource.RLIMIT_AS, (2000 << 20, 2000 << 20))\n")
    explain(lab, debian, shape(lab, "import native_17"), cause="memory-limit", module="native_17",
            path=(dep, path), says=[r"(?i)RLIMIT_AS|address space"])


def test_memory_limit_through_ctypes(lab, debian):
    path = library(lab.dir, DEP, **BIG)
    program = prefixed(cdll(path), lab, "", need("prlimit"), "--as=1000000000")
    explain(lab, debian, program, cause="memory-limit", module=None, path=path,
            says=[r"(?i)RLIMIT_AS|address space"])


# -- noexec-mount ---------------------------------------------------------------------------
@pytest.mark.needs_root
@pytest.mark.parametrize("shape,what", [(shapes.script, "extension"), (shapes.handled, "extension"),
                                        (shapes.import_module, "library")])
def test_noexec(lab, debian, shape, what):
    """A tmpfs of the test's own; analyze runs where that mount does not exist."""
    path = extension(debian, "native_17", lab.dir / "good", built_library(DEP), flags=[
        runpath(str(lab.root / "mnt"))])
    library(lab.dir / "good", DEP)
    mnt = lab.root / "mnt"
    mnt.mkdir()
    moved = path.name if what == "extension" else DEP
    if what == "library":
        os.rename(path, lab.site / path.name)
    hide = [need("unshare"), "-m", "--propagation", "private", "/bin/sh", "-c",
            "mount -t tmpfs -o noexec,mode=755 none %s && cp %s/* %s/ && exec \"$@\"" % (
                mnt, lab.dir / "good", mnt), "sh"]
    probe = lab.bare([*hide, "true"])
    if probe.returncode:
        pytest.skip("cannot mount here: " + probe.text)
    program = prefixed(shape, lab, "import native_17", *hide)
    program.env = lab.env(PYTHONPATH=str(lab.site if what == "library" else mnt))
    finding = explain(lab, debian, program, cause="noexec-mount", module="native_17",
                      path=mnt / moved,
                      says=["noexec", re.escape(str(mnt))])
    own_error(finding, "failed to map segment from shared object")


# -- permission-denied ----------------------------------------------------------------------
@pytest.fixture
def denied(public_lab):
    """A lab whose programs run without root's privileges."""
    if os.geteuid() == 0:
        public_lab.popen = {"user": 65534, "group": 65534, "extra_groups": []}
    return public_lab


@pytest.mark.parametrize("shape", [shapes.script, shapes.handled, embedded], ids=by_name)
def test_library_cannot_be_read(denied, debian, shape):
    path, dep = needs_dep(denied, debian)
    os.chmod(dep, 0o000)
    program = (shape(debian) if shape is embedded else shape)(denied, "import native_17")
    if shape is embedded:
        host = denied.write(denied.root / "host", open(program.args[0], "rb").read(), mode=0o755)
        program.args[0] = host
    finding = explain(denied, debian, program, cause="permission-denied", module="native_17",
                      path=dep,
                      library=DEP, needed_by=path, tried=[(dep, "runpath", "denied")],
                      says=["65534|mode"])
    own_error(finding, DEP + ": cannot open shared object file: ")


def test_directory_of_the_library_cannot_be_searched(denied, debian):
    path, dep = needs_dep(denied, debian)
    os.chmod(dep.parent, 0o600)
    explain(denied, debian, shapes.import_module(denied, "import native_17"),
            cause="permission-denied",
            module="native_17", path=(dep, dep.parent), library=DEP, needed_by=path,
            tried=[(dep, "runpath", "denied")], says=[re.escape(str(dep.parent))])


def test_ctypes_cannot_read_it(denied, debian):
    path = library(denied.dir, DEP)
    os.chmod(path, 0o200)
    explain(denied, debian, cdll(path)(denied, ""), cause="permission-denied", module=None,
            path=path,
            says=["Permission denied|permission|mode"])


# -- illegal-instruction --------------------------------------------------------------------
@pytest.mark.parametrize("where", ["constructor", "init"])
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module], ids=by_name)
def test_illegal_instruction(lab, debian, shape, where):
    how = {"IN_CONSTRUCTOR": 1} if where == "constructor" else {}
    path, dep = needs_dep(lab, debian, source="illegal-instruction/illegal.c", **how)
    died(lab, debian, shape(lab, "import native_17"), signal=4, cause="illegal-instruction",
         module="native_17", path=(path, dep), says=["SIGILL|(?i:illegal instruction)"])


def test_illegal_instruction_and_the_processor(lab, debian):
    path, dep = needs_dep(lab, debian, source="illegal-instruction/illegal.c")
    died(lab, debian, shapes.script(lab, "import native_17"), signal=4, cause="illegal-instruction",
         module="native_17", path=(path, dep), says=["(?i)flags|avx|sse"])


def test_illegal_instruction_in_a_needed_library(lab, debian):
    """Whose constructor it was, nobody saw; that the library has its part in it must be said."""
    path, dep = needs_dep(lab, debian, source="illegal-instruction/illegal.c", IN_CONSTRUCTOR=1)
    died(lab, debian, shapes.script(lab, "import native_17"), signal=4, cause="illegal-instruction",
         module="native_17", path=(path, dep), says=[re.escape(DEP)])


def test_illegal_instruction_in_a_child(lab, debian):
    """The parent only passes on how its child ended."""
    path = extension(debian, "native_17", lab.site, source="illegal-instruction/illegal.c",
                     GIVES="PyInit_native_17")
    child = lab.write("child.py", "import native_17\n")
    script = lab.write("parent.py", "import subprocess, sys\nsys.exit(3 if subprocess.call("
                       "[sys.executable, %r]) == -4 else 5)\n" % str(child))
    trace = lab.new_trace()
    run = lab.command("run", "-o", trace, "--", debian.path, script)
    assert run.returncode == 3, run.text
    _, report = lab.analyze(trace)
    finding, = report["findings"]
    assert (finding["module"], finding["path"]) == ("native_17", str(path))
    assert finding["cause"] in ("illegal-instruction", "unknown"), finding["summary"]
    assert "native_17" in finding["summary"]
