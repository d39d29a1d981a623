# SPDX-License-Identifier: GPL-2.0-or-later
"""undefined-symbol, symbol-version-missing and libpython-not-global: everything is found, and
does not fit."""
import glob
import re

import pytest

import harness
import interpreters
import shapes
from elf_edit import Elf
from loader_cases import (Host, built_library, by_name, cdll, embedded, explain, extension, from_c,
                          library, own_error, runpath)
from verdict import facts

MAPS = harness.FIXTURES / "symbol-version-missing"
FOO = "libfoo17.so.1"


# -- undefined-symbol: a C++ ABI ------------------------------------------------------------
def circles(lab, python, abi):
    """A C++ library of one ABI beside an extension of the other."""
    def flags(number):
        return ["-D_GLIBCXX_USE_CXX11_ABI=%d" % number, "-lstdc++"]
    wanted = built_library("libshape17.so.1", source="undefined-symbol/shape.cc",
                           flags=flags(abi), gives="none")
    path = extension(python, "circles_17", lab.site, wanted, source="undefined-symbol/ext.cc",
                     flags=[*flags(abi), runpath("$ORIGIN/lib")])
    other = library(lab.site / "lib", "libshape17.so.1", source="undefined-symbol/shape.cc",
                    flags=flags(1 - abi), gives="none")
    return path, other


@pytest.mark.parametrize("abi,shape", [(1, shapes.script), (0, shapes.import_module), (1,
                                                                                       shapes.subprocess)],
                         ids=["new", "old", "subprocess"])
def test_cxx_abi(lab, debian, abi, shape):
    path, other = circles(lab, debian, abi)
    finding = explain(lab, debian, shape(lab, "import circles_17"), cause="undefined-symbol",
                      module="circles_17", path=(path, other),
                      says=[r"shapes17::Circle::named\(", re.escape(str(other)),
                            r"basic_string|std::string", "ABI"])
    own_error(finding, "undefined symbol: _ZNK8shapes176Circle5named")


# -- undefined-symbol: another Python's C API -----------------------------------------------
def newer_or_removed(python):
    """A function of the C API that this version has not, and another version has."""
    return "PyUnicode_AsUnicode" if python.version >= (3, 12) else "PyList_GetItemRef"


@pytest.mark.parametrize("shape", [shapes.script, shapes.thread, shapes.handled], ids=by_name)
def test_other_pythons_api(lab, python, shape):
    symbol = newer_or_removed(python)
    path = extension(python, "native_17", lab.site, suffix=".so", CALLS=symbol)
    finding = explain(lab, python, shape(lab, "import native_17"), cause="undefined-symbol",
                      module="native_17", path=path, says=[symbol, r"(?i)python|C API"])
    own_error(finding, "undefined symbol: " + symbol)


def test_python2s_api(lab, debian):
    """Half ported: a function that only Python 2 had."""
    path = extension(debian, "native_17", lab.site, suffix=".so", CALLS="PyString_FromString")
    finding = explain(lab, debian, from_c(debian)(lab, "import native_17"),
                      cause="undefined-symbol",
                      module="native_17", path=path, says=["PyString_FromString", "(?i)python ?2|another Python|C API"])
    own_error(finding, "undefined symbol: PyString_FromString")


def test_private_api_of_an_older_python(lab, debian):
    """Built for 3.11, and named so that every version takes it."""
    newest = max(interpreters.every(), key=lambda p: p.version)
    if newest.version < (3, 12):
        pytest.skip("needs CPython 3.12 or later")
    path = extension(debian, "native_17", lab.site, suffix=".so", CALLS="_PyUnicode_Ready_17")
    Elf(path).replace_symbol("_PyUnicode_Ready_17", "_PyUnicode_Ready").save()	# declared otherwise
    assert lab.bare([debian.path, "-c", "import native_17"]).returncode != 1
    explain(lab, newest, shapes.dash_m(lab, "import native_17"), cause="undefined-symbol",
            module="native_17", path=path, says=["_PyUnicode_Ready", r"3\.11|older|another Python"])


# -- undefined-symbol: a library that was never linked --------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m, shapes.reraised], ids=by_name)
def test_never_linked_system_library(lab, debian, shape):
    """lzma_code is in liblzma.so.5, which DT_NEEDED does not name."""
    if not glob.glob("/lib/x86_64-linux-gnu/liblzma.so.5"):
        pytest.skip("needs liblzma.so.5")
    path = extension(debian, "native_17", lab.site, CALLS="lzma_code")
    finding = explain(lab, debian, shape(lab, "import native_17"), cause="undefined-symbol",
                      module="native_17", path=path, says=["lzma_code", r"liblzma\.so\.5"])
    own_error(finding, "undefined symbol: lzma_code")


def test_never_linked_own_library(lab, debian):
    """The library lies beside the extension."""
    path = extension(debian, "pkg_17._native", lab.site / "pkg_17")
    other = library(lab.site / "pkg_17", "libdep17.so.1")
    lab.module("pkg_17/__init__", "\nfrom . import _native\n")
    explain(lab, debian, shapes.script(lab, "import pkg_17"), cause="undefined-symbol",
            module="pkg_17._native", path=path, says=["dep_17", re.escape(str(other))],
            importer=(str(lab.site / "pkg_17/__init__.py"), 2))


def test_undefined_in_a_needed_library(lab, debian):
    """Not the extension is at fault: the library that it needs was linked badly."""
    b = built_library("libb17.so.1", gives="b_17", CALLS="never_linked_17")
    where = library(lab.site / "lib", "libb17.so.1", gives="b_17", CALLS="never_linked_17")
    extension(debian, "native_17", lab.site, b, CALLS="b_17", flags=[runpath("$ORIGIN/lib")])
    explain(lab, debian, shapes.script(lab, "import native_17"), cause="undefined-symbol",
            module="native_17", path=where, says=["never_linked_17", r"libb17\.so\.1"])


def test_undefined_through_ctypes(lab, debian):
    path = library(lab.dir, "libdep17.so.1", CALLS="never_linked_17")
    shape = cdll(path, ", ctypes.RTLD_GLOBAL")
    finding = explain(lab, debian, shape(lab, ""), cause="undefined-symbol", module=None, path=path,
                      says=["never_linked_17"])
    assert finding["error"]["type"] == "OSError"


# -- symbol-version-missing -----------------------------------------------------------------
def foo(version):
    return built_library(FOO, gives="foo_old_17", ALSO="foo_new_17", flags=[
        "-Wl,--version-script=%s" % (MAPS / ("dep_%d.map" % version))])


@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.handled],
                         ids=by_name)
def test_own_version(lab, python, shape):
    path = extension(python, "native_17", lab.site, foo(2), CALLS="foo_new_17",
                     flags=[runpath("$ORIGIN/lib")])
    old = library(lab.site / "lib", FOO, gives="foo_old_17", ALSO="foo_new_17", flags=[
        "-Wl,--version-script=%s" % (MAPS / "dep_1.map")])
    finding = explain(lab, python, shape(lab, "import native_17"), cause="symbol-version-missing",
                      module="native_17", path=(path, old), library=FOO, needed_by=path,
                      tried=[(old, "runpath", "opened")],
                      says=[r"FOO_2\.0", r"FOO_1\.0", re.escape(str(old))])
    own_error(finding, "version `FOO_2.0' not found (required by %s)" % path)


def test_own_version_through_ctypes(lab, debian):
    old = library(lab.dir, FOO, gives="foo_old_17", ALSO="foo_new_17", flags=[
        "-Wl,--version-script=%s" % (MAPS / "dep_1.map")])
    path = library(lab.dir, "libmine17.so", foo(2), gives="mine_17", CALLS="foo_new_17",
                   flags=[runpath("$ORIGIN")])
    explain(lab, debian, cdll(path)(lab, ""), cause="symbol-version-missing", module=None,
            library=FOO, needed_by=path, path=(path, old), says=[r"FOO_2\.0", r"FOO_1\.0"])


@pytest.mark.parametrize("shape", [shapes.script, shapes.subprocess, shapes.reraised], ids=by_name)
def test_newer_glibc(lab, debian, shape):
    """Built on a newer distribution: GLIBC_2.99."""
    path = extension(debian, "native_17", lab.site, CALLS="getpagesize")
    Elf(path).replace_version("GLIBC_2.2.5", "GLIBC_2.99").save()
    finding = explain(lab, debian, shape(lab, "import native_17"), cause="symbol-version-missing",
                      module="native_17", library="libc.so.6", needed_by=path,
                      path=(path, "/lib/x86_64-linux-gnu/libc.so.6",
                            "/usr/lib/x86_64-linux-gnu/libc.so.6"),
                      says=[r"GLIBC_2\.99", r"GLIBC_2\.3[0-9]"])
    own_error(finding, "version `GLIBC_2.99' not found (required by %s)" % path)
    assert not any("--force-reinstall libc" in (f["command"] or "") for f in finding["fixes"])


def test_newer_libstdcxx(lab, debian):
    wanted = built_library("libshape17.so.1", source="undefined-symbol/shape.cc", gives="none",
                           flags=["-lstdc++"])
    path = extension(debian, "circles_17", lab.site, wanted, source="undefined-symbol/ext.cc",
                     flags=["-lstdc++", runpath("$ORIGIN/lib")])
    library(lab.site / "lib", "libshape17.so.1", source="undefined-symbol/shape.cc", gives="none",
            flags=["-lstdc++"])
    elf = Elf(path)
    old = max((v for v in re.findall(rb"\0(GLIBCXX_3\.4\.?\d*)\0", bytes(elf.data))),
              key=len).decode()
    if len(old) < len("GLIBCXX_3.4.99"):
        pytest.skip("its version names leave no room: " + old)
    elf.replace_version(old, "GLIBCXX_3.4.99").save()
    explain(lab, debian, embedded(debian)(lab, "import circles_17"), cause="symbol-version-missing",
            module="circles_17", library="libstdc++.so.6", needed_by=path,
            says=[r"GLIBCXX_3\.4\.99", r"GLIBCXX_3\.4\.3\d"])


# -- libpython-not-global -------------------------------------------------------------------
def host_dlopen(python, mode, code):
    libs = (glob.glob("%s/libpython%s.so.1.0" % (python.libdir, python.ldversion)) or
            glob.glob("/usr/lib/*/libpython%s.so.1.0" % python.ldversion))
    if not libs:
        pytest.skip("no shared libpython for " + python.id)
    host = interpreters.compile_c("embedding/host_dlopen.c", "-ldl")
    return Host([host, libs[0], mode, code], ("<string>", 2)), libs[0]


@pytest.mark.parametrize("what", ["own", "thread", "handled"])
def test_libpython_is_local(lab, python, what):
    path = extension(python, "native_17", lab.site, source="abi-tag-mismatch/native.c")
    if b"libpython" in path.read_bytes():
        pytest.skip("extensions of this build name libpython themselves")
    code = {"own": "\nimport native_17\n",
            "thread": "\ndef load(): import native_17\nimport threading\n"
                      "t = threading.Thread(target=load); t.start(); t.join()\nload()\n",
            "handled": "try:\n    import native_17\nexcept ImportError:\n    pass\n"}[what]
    good, _ = host_dlopen(python, "global", code)
    env = lab.env(PYTHONHOME=python.prefix, LD_LIBRARY_PATH=None)
    assert lab.bare(good.argv(python), env).returncode == 0, "opened globally it works"
    program, libpython = host_dlopen(python, "local", code)
    program.env = env
    program.outcome = "handled" if what == "handled" else "fatal"
    finding = explain(lab, python, program, cause="libpython-not-global", module="native_17",
                      importer=program.importer if what != "thread" else False,
                      path=(path, libpython),
                      says=["RTLD_LOCAL", r"Py\w+", re.escape(libpython.split("/")[-1][:-4])])
    own_error(finding, "undefined symbol: Py")


def test_libpython_is_local_stdlib(lab, debian):
    """Even the standard library's own extensions fail; the program is in no way Python's."""
    program, _ = host_dlopen(debian, "local", "\nimport _ctypes\n")
    program.env = lab.env(PYTHONHOME=debian.prefix)
    finding = explain(lab, debian, program, cause="libpython-not-global", module="_ctypes",
                      says=["RTLD_LOCAL", "host_dlopen|" + re.escape(program.args[0])])
    assert "host" in facts(finding) or program.args[0] in facts(finding)
