# SPDX-License-Identifier: GPL-2.0-or-later
"""Libraries that a program's own code opens, and searches that a rule of ld.so leads astray.

What is to be typed is typed: after the first remedy the same program must come to its end.
"""
import pathlib
import shlex
import signal
import struct

import pytest

import harness
import interpreters
import shapes
from elf_edit import EM_AARCH64, Elf
from harness import need
from lab_cases import blameless, commands, ended, fatal, listed
from loader_cases import built_library, cdll, explain, extension, library, place, rpath, runpath
from verdict import ANY, facts

GONE = "libvip17.so.42"
NOT_FOUND = GONE + ": cannot open shared object file: No such file or directory"
MISSING = "missing-shared-library"
OPEN = "import ctypes\ntry:\n    lib = ctypes.CDLL('%s')\nexcept OSError%s:\n    %s\n"


def typed(lab, argv, finding, env=None, prefix=()):
    """Type the first remedy as printed, and run the program again in the same shell."""
    command = finding["fixes"][0]["command"]
    assert command, "nothing to type: %r" % finding["fixes"]
    again = " ".join(shlex.quote(str(a)) for a in argv)
    after = lab.execute([*prefix, "/bin/sh", "-c", command + "\n" + again], env or lab.env())
    assert after.returncode == 0, "%s\ndid not mend it: %s" % (command, after.text)


def lost(finding, name, needed_by=None):
    assert finding["library"]["name"] == name, finding["library"]
    assert finding["library"]["needed_by"] == (needed_by and str(needed_by))


# -- what Python code makes of a library that it cannot open ----------------------------------
@pytest.mark.parametrize("handler", ["from", "during", "none"])
def test_error_of_the_programs_own(lab, debian, handler):
    """ctypes' OSError is caught, and another exception ends the program."""
    tail = {"from": " from err", "during": "", "none": " from None"}[handler]
    path = lab.write("main.py", OPEN % (GONE, " as err",
                                        "raise RuntimeError('backend unavailable')" + tail))
    finding, _ = fatal(lab, [debian.path, path], None, MISSING, says="RuntimeError",
                       error=("OSError", "^" + NOT_FOUND),
                       surfaced=("^RuntimeError$", "^backend unavailable$"))
    lost(finding, GONE)


CODE = {
    "ImportError": OPEN % (GONE, " as err", "raise ImportError('see the manual') from err"),
    "OSError": "import ctypes\nlib = ctypes.CDLL('%s')\n" % GONE,
    "None": OPEN % (GONE, "", "lib = None") + "lib.start.restype = None\n",
    "loop": "import ctypes\nlib = None\nfor name in ('%s', 'libvip17.so.41'):\n"
            "    try:\n        lib = ctypes.CDLL(name)\n    except OSError:\n        pass\n"
            "if lib is None:\n    raise ImportError('libvips is not installed')\n" % GONE,
}


@pytest.mark.parametrize("code", CODE)
def test_error_of_a_modules_own(lab, debian, code):
    """The module is fine: installing it, or a stranger's of that name, would change nothing."""
    lab.module("vipsy_17", CODE[code])
    finding, _ = fatal(lab, [debian.path, "-c", "import vipsy_17"], "vipsy_17", MISSING,
                       error=("OSError", "^" + NOT_FOUND),
                       surfaced=None if code == "OSError" else ANY)
    lost(finding, GONE)
    assert (finding["surfaced"] is None) == (code == "OSError")
    assert not any("pip" in c for c in commands(finding)), finding["fixes"]


@pytest.mark.parametrize("after", [
    "raise KeyError('settings')", "raise ImportError('vipsy_17 needs Python 4')",
    "from os.path import libnothing_17",
    "import re\nre.match('a', 'b').group()", "raise RuntimeError('could not find the settings')",
    "lib = ctypes.CDLL('libvip17.so')\nraise ImportError('libvip17 was not found to be new')"],
    ids=["accident", "import-error", "no-such-name", "other-none", "other-thing", "opened-at-last"])
def test_error_for_a_reason_of_its_own(lab, debian, after):
    """The library that could not be opened was not needed."""
    library(lab.dir, "libvip17.so")
    lab.module("vipsy_17", OPEN % (GONE, "", "lib = None") + after + "\n")
    run = ended(lab, [debian.path, "-c", "import vipsy_17"], 1,
                env=lab.env(LD_LIBRARY_PATH=str(lab.dir)))
    report = lab.analyze(run.trace)[1]
    assert all(f["cause"] != MISSING for f in report["findings"]), listed(report)


def test_libraries_tried_before_an_error(lab, debian):
    """A loop whose error comes after its handlers: nothing says which library it wanted, but all are told."""
    names = [GONE, "libvap19.so.1"]
    path = lab.module("loopy_17", "import ctypes\nfor name in %r:\n    try:\n        ctypes.CDLL(name)\n"
                      "    except OSError:\n        continue\nraise ImportError('no backend')\n" % names)
    finding, _ = fatal(lab, [debian.path, "-c", "import loopy_17"], "loopy_17", "unknown",
                       error=("ImportError", "^no backend$"))
    assert finding["path"] == str(path)
    for name in names:
        assert any('dlopen("%s") had failed' % name in e["fact"] for e in finding["evidence"])


def test_probing_is_no_failure(lab, debian):
    """A linker script, a name that is not there, another soname: all were caught."""
    lab.write("libscript_17.so", "/* GNU ld script */\nINPUT(libm.so.6)\n" * 9)
    path = lab.write("main.py", "import ctypes\n"
                     "for name in ('./libscript_17.so', 'libvip17.so', 'libm.so.6'):\n"
                     "    try:\n        lib = ctypes.CDLL(name)\n    except OSError:\n"
                     "        pass\nlib.cos\n")
    blameless(lab, [debian.path, path])


# -- find_library() opens nothing -------------------------------------------------------------
@pytest.mark.parametrize("use", ["raise ImportError('Unable to find zbar_17')",
                                 "ctypes.CDLL(path).zbar_new_17()"], ids=["said", "CDLL-None"])
def test_find_library(lab, debian, use):
    """It gives None, which ctypes.CDLL() takes for the program itself."""
    need("ld")
    path = lab.write("main.py", "import ctypes, ctypes.util\n"
                     "path = ctypes.util.find_library('zbar_17')\n" + use + "\n")
    kind = "ImportError" if use.startswith("raise") else "AttributeError"
    finding, _ = fatal(lab, [debian.path, path], None, MISSING, error=(kind, "zbar_"))
    lost(finding, "libzbar_17.so")
    assert "find_library" in finding["summary"]


def test_function_that_the_library_has_not(lab, debian):
    """Another version of it was opened: no load failed at all."""
    path = library(lab.dir, "libvip17.so")
    finding, _ = fatal(lab, [debian.path, "-c", "import ctypes\nctypes.CDLL(%r).vip_new_17()"
                             % str(path)], None, "undefined-symbol",
                       error=("AttributeError", "undefined symbol: vip_new_17$"))
    assert finding["path"] == str(path)
    assert finding["library"]["name"] == str(path)
    assert "vip_new_17" in finding["summary"]


# -- a host in C ------------------------------------------------------------------------------
def test_host_without_its_libpython(lab):
    """As the bootloader of a frozen program ends; there is no Python to tell of it."""
    host = interpreters.compile_c("embedding/host_dlopen.c", "-ldl")
    run = ended(lab, [host, "libpython3.3m.so.1.0", "local", "pass"], 65, says="^libpython3.3m")
    for more in (), ("--no-host",):
        status, report = lab.analyze(run.trace, *more)
        finding, = report["findings"]
        assert (finding["cause"], finding["outcome"], status) == (MISSING, "fatal", 1)
        assert (finding["module"], finding["path"]) == (None, None)
        lost(finding, "libpython3.3m.so.1.0")


# -- rules that lead astray ------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["not-inherited", "cancelled"])
def test_path_of_another_object(lab, debian, kind):
    """A RUNPATH serves its own object alone; an RPATH serves none that has a RUNPATH."""
    last = pathlib.Path(built_library("libdep17.so.1"))
    middle = built_library("libmid17.so.1", last, gives="mid_17", CALLS="dep_17",
                           flags=[runpath("/nonexistent-17")] if kind == "cancelled" else [])
    path = extension(debian, "native_17", lab.site, middle, CALLS="mid_17",
                     flags=[(rpath if kind == "cancelled" else runpath)("$ORIGIN/lib"),
                            "-Wl,-rpath-link," + str(last.parent), "-Wl,--allow-shlib-undefined"])
    own = place(middle, lab.site / "lib", "libmid17.so.1")
    there = place(last, lab.site / "lib", "libdep17.so.1")
    finding = explain(lab, debian, shapes.script(lab, "import native_17"), cause=MISSING,
                      module="native_17", library="libdep17.so.1", needed_by=own,
                      path=(None, path), says=["RPATH" if kind == "cancelled" else "RUNPATH",
                                               str(there), str(path)])
    typed(lab, [debian.path, "-c", "import native_17"], finding)


def test_two_levels_of_a_package(lab, debian):
    """nvidia/cuda_runtime/lib: libraries alone, in packages that no import loads."""
    soname = "libcudart17.so.12"
    path = extension(debian, "_C", lab.site / "torchy_17", built_library(soname),
                     flags=[runpath("$ORIGIN/lib")])
    lab.module("torchy_17/__init__", "from torchy_17 import _C\n")
    lab.module("nvidia/__init__", "")
    lab.module("nvidia/cuda_runtime/__init__", "")
    there = library(lab.site / "nvidia/cuda_runtime/lib", soname)
    argv = [debian.path, "-c", "import torchy_17"]
    finding, _ = fatal(lab, argv, "torchy_17._C", MISSING, error=("ImportError", soname))
    lost(finding, soname, path)
    assert str(there) in facts(finding)
    typed(lab, argv, finding)


@pytest.mark.parametrize("kind", ["the extension", "the library"])
def test_farm_of_links(lab, debian, kind):
    """bazel, conda: $ORIGIN is the directory of the link by which a file was opened."""
    soname, store = "libdep17.so.1", lab.root / "store"
    if kind == "the extension":
        real = extension(debian, "native_17", store, built_library(soname), flags=[runpath("$ORIGIN/libs")])
        there = library(store / "libs", soname)
        path = lab.site / real.name
        path.symlink_to(real)
        says = [str(real), "ORIGIN, in its RUNPATH, is the directory of the link", str(there.parent)]
    else:
        inner = built_library("libinner17.so.1", gives="inner_17")
        there = library(store, soname, inner, flags=[runpath("$ORIGIN")])
        place(inner, store, "libinner17.so.1")
        path = extension(debian, "native_17", lab.site, built_library(soname))
        (lab.site / "lib").mkdir()
        (lab.site / "lib" / soname).symlink_to(there)
        says = ["is a symbolic link to " + str(there)]
    finding = explain(lab, debian, shapes.script(lab, "import native_17"), cause=MISSING, module="native_17",
                      library=soname, needed_by=path, path=(None, path), says=says)
    assert str(there.parent) in finding["fixes"][0]["command"]
    typed(lab, [debian.path, "-c", "import native_17"], finding)


# Code that opens a library, catches the error, and raises one that does not name it.
CAUGHT = {
    "returns the first": ("import ctypes\n\n\ndef load():\n    for name in ('libvip17.so.42', 'libvip17.so'):\n"
                          "        try:\n            return ctypes.CDLL(name)\n        except OSError:\n"
                          "            pass\n    raise ValueError('no back end')\n\n\nload()\n", True),
    "asks for it": ("import ctypes\nway = None\ntry:\n    way = ctypes.CDLL('libvip17.so.42')\nexcept OSError:\n"
                    "    pass\nif way is None:\n    raise RuntimeError('no back end')\n", True),
    "fails otherwise": ("import ctypes, os\nway = None\ntry:\n    way = ctypes.CDLL('libvip17.so.42')\n"
                        "except OSError:\n    pass\nif 'TOKEN_17' not in os.environ:\n"
                        "    raise ImportError('this library wants a token')\n", False),
}


@pytest.mark.parametrize("where", ["module", "program"])
@pytest.mark.parametrize("tale", list(CAUGHT))
def test_own_error_after_a_load_that_failed(lab, debian, tale, where):
    """The source tells whether the one follows from the other."""
    text, follows = CAUGHT[tale]
    lab.module("mod_17", text)
    argv = [debian.path, lab.write("main.py", "import mod_17\n" if where == "module" else text)]
    run = lab.recorded(argv, lab.env())
    assert run.returncode == 1 and (b"no back end" in run.stderr) == follows
    finding = lab.analyze(run.trace)[1]["findings"][0]
    assert finding["outcome"] == "fatal"
    assert finding["cause"] == (MISSING if follows else "unknown"), finding["summary"]
    if follows:
        assert finding["library"]["name"] == "libvip17.so.42"
        assert "no back end" in finding["surfaced"]["message"]
    else:
        assert "wants a token" in finding["error"]["message"]


def test_relative_path_from_elsewhere(lab, debian):
    there = library(lab.dir / "app/build", "libvip17.so")
    path = lab.write("app/main.py", "import ctypes\nctypes.CDLL('./build/libvip17.so')\n")
    argv = [debian.path, path]
    finding, _ = fatal(lab, argv, None, MISSING, error=("OSError", "^./build/libvip17.so"))
    assert str(there) in facts(finding)
    typed(lab, argv, finding)


def test_path_in_DT_NEEDED(lab, debian):
    """Linked by its path, and without a soname: that path alone is tried."""
    built = built_library(str(lab.root / "builder/libvip17.so"))
    there = place(built, lab.dir, "libvip17.so")
    user = place(built_library("libuser17.so", built, gives="user_17", CALLS="dep_17"), lab.dir,
                 "libuser17.so")
    finding = explain(lab, debian, cdll(user)(lab, ""), cause=MISSING, module=None,
                      library=str(lab.root / "builder/libvip17.so"), needed_by=user, path=user,
                      says=[str(there)])
    typed(lab, [debian.path, "-c", "import ctypes; ctypes.CDLL(%r)" % str(user)], finding)


# -- LD_LIBRARY_PATH: what is to be typed ------------------------------------------------------
@pytest.mark.parametrize("entries", ["%(old)s:%(good)s", "old/:../%(name)s/good", "old:", "old"])
def test_path_of_relative_entries(lab, debian, entries):
    """The directory that is taken from it is named in another way than the loader's result; an empty one is the current."""
    path = extension(debian, "native_17", lab.site, built_library("libdep17.so.1", ALSO="dep_new_17"),
                     CALLS="dep_new_17", flags=[runpath("$ORIGIN/lib")])
    old = library(lab.dir / "old", "libdep17.so.1")
    good = library(lab.dir if entries == "old:" else lab.site / "lib" if entries == "old" else
                   lab.dir / "good", "libdep17.so.1", ALSO="dep_new_17")
    env = lab.env(LD_LIBRARY_PATH=entries % {"old": old.parent, "good": good.parent,
                                             "name": lab.dir.name})
    argv = [debian.path, "-c", "import native_17"]
    finding, _ = fatal(lab, argv, "native_17", "wrong-library", env=env,
                       error=("ImportError", "undefined symbol: dep_new_17"))
    lost(finding, "libdep17.so.1", path)
    typed(lab, argv, finding, env)


def test_copy_that_lacks_the_symbol(lab, debian):
    """Two copies lie where no rule leads to; the one that comes first would not do."""
    extension(debian, "native_17", lab.site, built_library("libdep17.so.1", ALSO="dep_new_17"),
              CALLS="dep_new_17")
    old = library(lab.site, "libdep17.so.1")
    library(lab.site / "lib", "libdep17.so.1", ALSO="dep_new_17")
    argv = [debian.path, "-c", "import native_17"]
    finding, _ = fatal(lab, argv, "native_17", MISSING, error=("ImportError", "libdep17.so.1: "))
    assert "%s is there as well, and has no dep_new_17" % old in facts(finding)
    typed(lab, argv, finding)
    (lab.site / "lib/libdep17.so.1").unlink()
    finding, _ = fatal(lab, argv, "native_17", MISSING, error=("ImportError", "libdep17.so.1: "))
    assert "likely" not in [f["confidence"] for f in finding["fixes"]], finding["fixes"]


@pytest.mark.parametrize("wanted", ["version", "library"])
def test_another_c_library(lab, debian, wanted):
    """A sysroot's libc.so.6 beside the package: with its directory in LD_LIBRARY_PATH not even /bin/true would start."""
    libs = lab.site / "native_17.libs"
    if wanted == "version":
        lab.write("c.map", "GLIBC_2.917 { global: dep_17; };\n")
        c = library(libs, "libc.so.6",
                    flags=["-nostdlib", "-Wl,--version-script=%s" % (lab.dir / "c.map")])
        extension(debian, "native_17", lab.site, c)
        cause = "symbol-version-missing"
    else:
        extension(debian, "native_17", lab.site, library(libs, "libdep17.so.1"))
        c = library(libs, "libm.so.6")
        cause = MISSING
    finding, _ = fatal(lab, [debian.path, "-c", "import native_17"], "native_17", cause,
                       error=("ImportError", "GLIBC_2.917|libdep17"))
    assert str(c) in facts(finding)
    assert str(libs) not in "\n".join(commands(finding)), finding["fixes"]
    dead = lab.bare(["/bin/true"], lab.env(LD_LIBRARY_PATH=str(libs)))
    assert wanted == "library" or dead.returncode, "this test's libc.so.6 does no harm"


def test_cache_that_is_older(lab, debian):
    """A directory of ld.so.conf's has the library, and ldconfig was not run since."""
    path = extension(debian, "native_17", lab.site, built_library("libdep17.so.1"))
    there = library(lab.dir / "opt", "libdep17.so.1")
    lab.write("conf/dep17.conf", "%s\n" % there.parent)
    inside = [need("unshare"), "-m", "--propagation", "private", "/bin/sh", "-c",
              "mount -t tmpfs none /etc/ld.so.conf.d && cp %s/conf/* /etc/ld.so.conf.d && "
              "exec \"$@\"" % lab.dir, "sh"]
    if lab.bare([*inside, "true"]).returncode:
        pytest.skip("cannot mount here")
    argv = [debian.path, "-c", "import native_17"]
    run = ended(lab, argv, 1, says="libdep17.so.1: cannot open")
    shown = lab.command("analyze", "--format=json", run.trace, prefix=inside)
    finding = harness.finding_of(harness.json.loads(shown.stdout), "native_17")
    assert finding["cause"] == MISSING
    lost(finding, "libdep17.so.1", path)
    assert str(there) in facts(finding) and "ldconfig" in finding["summary"]
    assert finding["fixes"][0]["command"].endswith("ldconfig"), finding["fixes"]


def test_origin_that_make_has_eaten(lab, debian):
    """$O of "$ORIGIN" is a variable of make's, and empty."""
    path = extension(debian, "native_17", lab.site, built_library("libdep17.so.1"),
                     flags=[runpath("RIGIN/lib")])
    there = library(lab.site / "lib", "libdep17.so.1")
    finding = explain(lab, debian, shapes.script(lab, "import native_17"), cause=MISSING,
                      module="native_17", library="libdep17.so.1", needed_by=path,
                      path=(None, path), says=[r"RIGIN/lib: that was meant", str(there)])
    typed(lab, [debian.path, "-c", "import native_17"], finding)


def test_libraries_beside_the_package(lab, debian):
    """auditwheel's pkg.libs: the file at fault by its plain path, not by way of "pkg/..".

    The library there is of another machine; the one that it needs is gone."""
    lab.module("wheel_17/__init__", "from wheel_17 import _core\n")
    gone = built_library("libgfort-17ab.so.5")
    built = built_library("libblas-17cd.so.0", gone, gives="blas_17", CALLS="dep_17")
    extension(debian, "_core", lab.site / "wheel_17", built, CALLS="blas_17",
              flags=[runpath("$ORIGIN/../wheel_17.libs"), "-Wl,--allow-shlib-undefined"])
    blas = place(built, lab.site / "wheel_17.libs", "libblas-17cd.so.0")
    argv = [debian.path, "-c", "import wheel_17"]
    finding, _ = fatal(lab, argv, "wheel_17._core", MISSING, error=("ImportError", "libgfort"))
    lost(finding, "libgfort-17ab.so.5", blas)
    Elf(blas).machine(EM_AARCH64).save()
    finding, _ = fatal(lab, argv, "wheel_17._core", "wrong-elf-machine",
                       error=("ImportError", "libblas"))
    assert finding["path"] == str(blas)


# -- links ------------------------------------------------------------------------------------
@pytest.mark.parametrize("there", [True, False], ids=["upgraded", "gone"])
def test_link_of_a_library_to_nothing(lab, debian, there):
    """The soname's link leads to a version that is not there any more."""
    built = built_library("libdep17.so.1")
    path = extension(debian, "native_17", lab.site, built, flags=[runpath("$ORIGIN/lib")])
    (lab.site / "lib").mkdir()
    link = lab.site / "lib/libdep17.so.1"
    link.symlink_to("libdep17.so.1.2.3")
    if there:
        place(built, lab.site / "lib", "libdep17.so.1.2.4")
    finding = explain(lab, debian, shapes.script(lab, "import native_17"),
                      cause="dangling-symlink", module="native_17", library="libdep17.so.1",
                      needed_by=path, path=link, says=[r"libdep17\.so\.1\.2\.3"],
                      tried=[(link, "runpath", "absent")])
    if there:
        typed(lab, [debian.path, "-c", "import native_17"], finding)
    else:
        place(built, lab.site / "lib", "libdep17.so.1.2.3")
        assert lab.bare([debian.path, "-c", "import native_17"]).returncode == 0


# -- versions, builds, room -------------------------------------------------------------------
def test_version_that_a_newer_library_dropped(lab, debian):
    """It has FOO_1 and FOO_3: whatever it is, it is not too old for FOO_2."""
    def built(*versions):
        text = "".join("%s { %s; };\n" % v for v in versions)
        path = lab.write("%s.map" % versions[0][0], text)
        return built_library("libdep17.so.1", flags=["-Wl,--version-script=" + str(path)],
                             ALSO="other_17")
    path = extension(debian, "native_17", lab.site, built(("FOO_2", "dep_17")),
                     flags=[runpath("$ORIGIN/lib")])
    dep = place(built(("FOO_1", "dep_17"), ("FOO_3", "other_17")), lab.site / "lib",
                "libdep17.so.1")
    finding = explain(lab, debian, shapes.script(lab, "import native_17"),
                      cause="symbol-version-missing", module="native_17", path=path,
                      library="libdep17.so.1", needed_by=path, says=["FOO_3", str(dep)])
    assert "too old" not in finding["summary"]


@pytest.mark.parametrize("symbol, which", [("_Py_MergeZeroLocalRefcount", "free-threaded"),
                                           ("_Py_DECREF_DecRefTotal", "debug"),
                                           ("PyPyModule_Create", "PyPy")])
def test_symbol_of_another_build_of_Python(lab, debian, symbol, which):
    path = extension(debian, "native_17", lab.site, CALLS=symbol)
    explain(lab, debian, shapes.script(lab, "import native_17"), cause="undefined-symbol",
            module="native_17", path=path, says=[symbol, "C API of .*" + which])


def test_symbol_that_an_extension_holds_too(lab, debian):
    """A library that another extension has linked statically: that is not what to link with."""
    if not pathlib.Path("/usr/lib/x86_64-linux-gnu/liblzma.so.5").exists():
        pytest.skip("needs liblzma.so.5")
    place(built_library("", gives="PyInit_other_17", ALSO="lzma_version_number"), lab.site,
          "other_17.so")
    path = extension(debian, "native_17", lab.site, CALLS="lzma_version_number")
    explain(lab, debian, shapes.script(lab, "import native_17"), cause="undefined-symbol",
            module="native_17", path=path, says=[r"liblzma\.so\.5 has it"])


def test_room_for_several(lab, debian):
    """Each takes a part of the static TLS block: room for one of them is not enough."""
    libs = [place(built_library("libtls17.so.%d" % i, source="static-tls-exhausted/tls.c",
                                BYTES=1200, gives="tls_%d" % i), lab.dir, "libtls17.so.%d" % i)
            for i in range(4)]
    argv = [debian.path, "-c", "import ctypes\nfor path in %r:\n    ctypes.CDLL(path)"
            % [str(path) for path in libs]]
    finding, _ = fatal(lab, argv, None, "static-tls-exhausted", error=("OSError", "static TLS"))
    assert finding["path"] in [str(path) for path in libs]
    typed(lab, argv, finding)


def test_newer_processor_by_the_mark(lab, debian):
    """ld.so refuses it before any of its code has run."""
    path = library(lab.dir, "libvip17.so", flags=["-Wl,-z,x86-64-v4"])
    elf = Elf(path)
    at = elf.data.find(struct.pack("<II", 0xc0008002, 4))    # GNU_PROPERTY_X86_ISA_1_NEEDED
    if at < 0:
        pytest.skip("this link editor writes no such mark")
    elf.put("I", at + 8, 0xff).save()    # what no processor has yet
    argv = [debian.path, "-c", "import ctypes; ctypes.CDLL(%r)" % str(path)]
    if "CPU ISA level" not in lab.bare(argv).text:
        pytest.skip("this glibc does not look at the mark")
    finding = explain(lab, debian, cdll(path)(lab, ""), cause="illegal-instruction", module=None,
                      path=path, says=["x86-64-v"])
    assert "newer processors" in finding["summary"]


def test_linker_script(lab, debian):
    """Nothing is damaged: it was made for the link editor."""
    path = lab.write("libvip17.so", "/* GNU ld script */\nINPUT(libvip17.so.6 -ltinfo)\n" * 3)
    finding = explain(lab, debian, cdll(path)(lab, ""), cause="corrupt-file", module=None,
                      path=path, says=["linker script", r"INPUT\(libvip17\.so\.6"])
    assert "soname" in finding["fixes"][0]["effect"], finding["fixes"]


# -- handled ---------------------------------------------------------------------------------
def test_broken_and_handled(lab, debian):
    """Nobody is told that the slower code runs: that is listed, and nothing fatal."""
    path = extension(debian, "native_17", lab.site, built_library("libdep17.so.1"))
    text = lab.write("main.py", "try:\n    import native_17\nexcept ImportError:\n    pass\n")
    run = ended(lab, [debian.path, text], 0)
    status, report = lab.analyze(run.trace)
    finding, = report["findings"]
    assert (finding["module"], finding["cause"], finding["outcome"], status) == (
        "native_17", MISSING, "handled", 0)
    lost(finding, "libdep17.so.1", path)


# -- what is no shared object -------------------------------------------------------------------
@pytest.mark.parametrize("flags, says, mend", [
    (("-c",), "an object file", "link it"),
    (("-pie", "-fPIE"), "an executable program", "-shared"),
    (("-no-pie", "-fno-pie"), "an executable program", "-shared")],
    ids=["object", "pie", "executable"])
def test_elf_file_of_another_kind(lab, debian, flags, says, mend):
    """It is whole: to copy it again would change nothing."""
    built = interpreters.compile_c("processes/plain.c", *flags)
    path = place(built, lab.site, "kind_17" + debian.suffix)
    finding, _ = fatal(lab, [debian.path, "-c", "import kind_17"], "kind_17", "corrupt-file",
                       error=("ImportError", ""))
    assert finding["path"] == str(path)
    assert says in finding["summary"], finding["summary"]
    assert mend in finding["fixes"][0]["effect"]
    assert not any("damaged" in f["effect"] or "copy" in f["effect"] for f in finding["fixes"])


def test_file_that_is_cut(lab, debian):
    """Nobody who is recorded waits for the process, so nobody is told its signal."""
    whole = extension(debian, "cut_17", lab.site, source="init-failed/ways.c", HOW="RAISE")
    data = whole.read_bytes()
    whole.write_bytes(data[:4096])
    argv = [debian.path, "-c", "import cut_17"]
    run = ended(lab, argv, -signal.SIGBUS)
    status, report = lab.analyze(run.trace)
    (finding,) = report["findings"]
    assert (finding["module"], finding["cause"], finding["path"]) == \
        ("cut_17", "corrupt-file", str(whole)), listed(report)
    assert status == 1
    assert "it has 4096" in finding["summary"]
    assert "no signal was recorded" in facts(finding)
    # What was put there since tells nothing of what was loaded then.
    whole.write_bytes(data[:4096])
    _, report = lab.analyze(run.trace)
    assert [f["cause"] for f in report["findings"]] == ["unknown"]
    # Nor is a file to blame that was mapped whole.
    whole.write_bytes(data)
    _, report = lab.analyze(run.trace)
    assert [f["cause"] for f in report["findings"]] == ["unknown"]


# -- what belongs to another Python, and names that only development files bring ----------------
def test_name_without_a_version(lab, debian):
    """ctypes.CDLL("libX.so"): the link of that name is for the link editor; the library is there."""
    library(lab.dir, "libvip17.so.42")
    argv = [debian.path, lab.write("main.py", "import ctypes\nctypes.CDLL('libvip17.so')\n")]
    finding, _ = fatal(lab, argv, None, MISSING, env=lab.env(LD_LIBRARY_PATH=str(lab.dir)),
                       error=("OSError", "^libvip17.so: cannot open"))
    lost(finding, "libvip17.so")
    assert "libvip17.so.42" in finding["summary"]
    assert "libvip17.so.42" in finding["fixes"][0]["effect"], finding["fixes"]
    assert "another" not in finding["summary"] + facts(finding), "the version is the same"


def test_linked_with_another_libpython(lab, debian):
    """Found or not, that library is of no use to the interpreter that runs."""
    path = extension(debian, "other_17", lab.site, built_library("libpython3.99.so.1.0"))
    finding, _ = fatal(lab, [debian.path, "-c", "import other_17"], "other_17", "version-mismatch",
                       error=("ImportError", "^libpython3.99.so.1.0: cannot open"))
    assert finding["path"] == str(path)
    lost(finding, "libpython3.99.so.1.0", path)
    assert "Python 3.99" in finding["summary"]
    assert not any("install the library" in f["effect"] for f in finding["fixes"]), finding["fixes"]


def test_library_hidden_by_a_mount(lab, debian):
    """The link leads nowhere for the process alone: here there is nothing to mend."""
    unshare = need("unshare")
    hidden = lab.root / "hidden"
    library(hidden, GONE)
    path = extension(debian, "needs_17", lab.site, built_library(GONE), flags=[runpath("$ORIGIN")])
    (lab.site / GONE).symlink_to(hidden / GONE)
    hide = "mount -t tmpfs none %s || exit 77; exec \"$@\"" % hidden
    run = lab.recorded([unshare, "-m", "sh", "-c", hide, "sh", debian.path, "-c", "import needs_17"],
                       lab.env())
    if run.returncode == 77 or b"unshare" in run.stderr:
        pytest.skip("may not mount here: " + run.text)
    finding = lab.analyze(run.trace)[1]["findings"][0]
    assert (finding["module"], finding["cause"]) == ("needs_17", "dangling-symlink"), finding
    assert finding["library"]["needed_by"] == str(path)
    assert "saw another file system" in facts(finding)
    assert not commands(finding), finding["fixes"]
