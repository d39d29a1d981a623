# SPDX-License-Identifier: GPL-2.0-or-later
"""wrong-elf-machine, wrong-libc, corrupt-file, page-size-mismatch: what the file itself is."""
import os
import re

import pytest

import shapes
from elf_edit import EM_386, EM_AARCH64, Elf
from loader_cases import (built_library, by_name, cdll, died, embedded, explain, extension,
                          from_c, installed, library, own_error, runpath)
from verdict import facts

NATIVE = "abi-tag-mismatch/native.c"
DEP = "libdep17.so.1"
LFS = (b"version https://git-lfs.github.com/spec/v1\n"
       b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 23984\n")
HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n<body></body></html>\n"


def native(lab, python):
    return extension(python, "native_17", lab.site, source=NATIVE)


def needs_dep(lab, python):
    """An extension that finds its library beside it; returns where that is."""
    path = extension(python, "native_17", lab.site, built_library(DEP),
                     flags=[runpath("$ORIGIN/lib")])
    return path, library(lab.site / "lib", DEP)


# -- wrong-elf-machine ----------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.handled, from_c],
                         ids=by_name)
def test_other_processor(lab, debian, shape):
    """The loader says that there is no such file; there is, for AArch64."""
    path = native(lab, debian)
    Elf(path).machine(EM_AARCH64).save()
    shape = shape(debian) if shape is from_c else shape
    finding = explain(lab, debian, shape(lab, "import native_17"), cause="wrong-elf-machine",
                      module="native_17", path=path, says=["(?i)aarch64|arm", "(?i)x86[-_]64"])
    own_error(finding, "cannot open shared object file: No such file or directory")


@pytest.mark.parametrize("shape", [shapes.dash_m, shapes.reraised], ids=by_name)
def test_other_word_size(lab, python, shape):
    path = native(lab, python)
    Elf(path).elf_class(1).machine(EM_386).save()
    finding = explain(lab, python, shape(lab, "import native_17"), cause="wrong-elf-machine",
                      module="native_17", path=path, says=["(?i)32[- ]bit|ELFCLASS32"])
    own_error(finding, "wrong ELF class: ELFCLASS32")


def test_library_for_another_processor(lab, debian):
    """The loader passes over what is not for this processor, and then finds nothing."""
    path, dep = needs_dep(lab, debian)
    Elf(dep).machine(EM_AARCH64).save()
    explain(lab, debian, shapes.thread(lab, "import native_17"), cause="wrong-elf-machine",
            module="native_17", path=dep, library=DEP, needed_by=path,
            tried=[(dep, "runpath", "wrong-elf")], says=["(?i)aarch64|arm"])


def test_library_of_another_word_size(lab, debian):
    _, dep = needs_dep(lab, debian)
    Elf(dep).elf_class(1).machine(EM_386).save()
    explain(lab, debian, cdll(dep)(lab, ""), cause="wrong-elf-machine", module=None, path=dep,
            says=["(?i)32[- ]bit|ELFCLASS32"])


def test_passed_over_and_all_is_well(lab, debian):
    """A library for another processor in front of the right one is no fault."""
    path, dep = needs_dep(lab, debian)
    other = lab.write(lab.root / "arm" / DEP, dep.read_bytes())
    Elf(other).machine(EM_AARCH64).save()
    env = lab.env(LD_LIBRARY_PATH=str(other.parent))
    run = lab.traced([debian.path, "-c", "import native_17"], env)
    assert run.returncode == 0
    assert lab.analyze(run.trace)[1]["findings"] == []


# -- wrong-libc -----------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.handled],
                         ids=by_name)
def test_needs_musl(lab, python, shape):
    """Built on Alpine."""
    path = extension(python, "native_17", lab.site, built_library("libc.musl-x86_64.so.1"))
    explain(lab, python, shape(lab, "import native_17"), cause="wrong-libc", module="native_17",
            path=path, library="libc.musl-x86_64.so.1", needed_by=path, says=["musl"])


def test_needs_musls_plain_name(lab, debian):
    """musl's soname is libc.so: here that is a linker script of glibc's."""
    if not os.path.exists("/usr/lib/x86_64-linux-gnu/libc.so"):
        pytest.skip("needs libc6-dev")
    path = extension(debian, "native_17", lab.site, built_library("libc.so"))
    finding = explain(lab, debian, from_c(debian)(lab, "import native_17"), cause="wrong-libc",
                      module="native_17", path=(path, "/lib/x86_64-linux-gnu/libc.so"),
                      says=["musl"])
    own_error(finding, "invalid ELF header")


def test_needs_musls_loader(lab, debian):
    """Its interpreter is ld-musl, and a function of musl's is what is missing."""
    path = extension(debian, "native_17", lab.site, source="wrong-libc/musl.c", INTERP=1)
    finding = explain(lab, debian, shapes.script(lab, "import native_17"), cause="wrong-libc",
                      module="native_17", path=path, says=["ld-musl", "issetugid"])
    own_error(finding, "undefined symbol: issetugid")


def test_library_needs_musl(lab, debian):
    """Not the extension: the library that was bundled with it."""
    b = built_library("libb17.so.1", gives="b_17", CALLS="dep_17")
    extension(debian, "native_17", lab.site, b, CALLS="b_17", flags=[runpath("$ORIGIN/lib")])
    where = library(lab.site / "lib", "libb17.so.1", built_library("libc.musl-x86_64.so.1"),
                    gives="b_17", CALLS="dep_17")
    explain(lab, debian, shapes.subprocess(lab, "import native_17"), cause="wrong-libc",
            module="native_17", path=where, library="libc.musl-x86_64.so.1", needed_by=where,
            says=["musl"])


# -- corrupt-file ---------------------------------------------------------------------------
CONTENTS = {
    "empty": (lambda good: b"", r"(?i)\b0 bytes|empty", "file too short"),
    "cut in the header": (lambda good: good[:40], r"\b40\b", "file too short"),
    "cut behind the header": (lambda good: good[:64], r"\b64\b", "cannot read file data"),
    "cut in the program headers": (lambda good: good[:200], r"\b200\b", "cannot read file data"),
    "html": (lambda good: HTML * 3, "(?i)html", "invalid ELF header"),
    "short html": (lambda good: b"<html>404</html>\n", "(?i)html", "file too short"),
    "git-lfs": (lambda good: LFS, "(?i)git[- ]lfs", "invalid ELF header"),
    "magic": (lambda good: b"\x7fELG" + good[4:], "7f ?45 ?4c ?47|ELG|first bytes",
              "invalid ELF header"),
    "zeros": (lambda good: bytes(len(good)), "(?i)zero|00 ?00|null", "invalid ELF header"),
    "archive": (lambda good: b"!<arch>\n" + bytes(200), "(?i)!<arch>|archive",
                "invalid ELF header"),
}


@pytest.mark.parametrize("what", list(CONTENTS))
def test_corrupt_extension(lab, debian, what):
    change, says, error = CONTENTS[what]
    path = native(lab, debian)
    path.write_bytes(change(path.read_bytes()))
    shape = (shapes.script, shapes.import_module, shapes.handled)[list(CONTENTS).index(what) % 3]
    finding = explain(lab, debian, shape(lab, "import native_17"), cause="corrupt-file",
                      module="native_17", path=path, says=[says])
    own_error(finding, error)


def test_corrupt_other_pythons(lab, python):
    path = native(lab, python)
    path.write_bytes(path.read_bytes()[:17])
    explain(lab, python, embedded(python)(lab, "import native_17"), cause="corrupt-file",
            module="native_17", path=path, says=[r"\b17\b"])


@pytest.mark.parametrize("what", ["empty", "git-lfs"])
def test_corrupt_library(lab, debian, what):
    change, says, error = CONTENTS[what]
    path, dep = needs_dep(lab, debian)
    dep.write_bytes(change(dep.read_bytes()))
    finding = explain(lab, debian, shapes.dash_m(lab, "import native_17"), cause="corrupt-file",
                      module="native_17", path=dep, says=[says, "native_17"])
    own_error(finding, error)


def test_corrupt_through_ctypes(lab, debian):
    path = lab.write("libmine17.so", HTML)
    finding = explain(lab, debian, cdll(path)(lab, ""), cause="corrupt-file", module=None,
                      path=path,
                      says=["(?i)html"])
    assert finding["error"]["type"] == "OSError"


@pytest.mark.parametrize("shape,part", [(shapes.script, 4), (shapes.import_module, 2),
                                        (shapes.script, 1)],
                         ids=["quarter", "half", "nearly"])
def test_cut_so_that_the_process_dies(lab, debian, shape, part):
    """The loader maps what the headers promise, and SIGBUS ends the process."""
    path = native(lab, debian)
    promised = Elf(path).loads_end()
    keep = promised // part if part > 1 else 12288
    path.write_bytes(path.read_bytes()[:keep])
    died(lab, debian, shape(lab, "import native_17"), signal=7, cause="corrupt-file",
         module="native_17", path=path, says=["(?i)SIGBUS|bus error", r"\b%d\b" % keep])


def test_corrupt_and_recorded(lab, debian):
    """RECORD says how long the file was when it was installed."""
    path = native(lab, debian)
    good = path.read_bytes()
    path.unlink()
    installed(lab, "native_17", {path.name: good})
    path.write_bytes(good[:100])
    finding = explain(lab, debian, shapes.script(lab, "import native_17"), cause="corrupt-file",
                      module="native_17", path=path, says=[r"\b100\b"])
    assert re.search(r"native[-_]17", str(finding["fixes"]))


# -- page-size-mismatch ---------------------------------------------------------------------
@pytest.mark.parametrize("size,shape", [(1024, shapes.script), (512, shapes.import_module),
                                        (2048, shapes.handled)], ids=["1024", "512", "2048"])
def test_page_size(lab, debian, size, shape):
    path = extension(debian, "native_17", lab.site, source=NATIVE, flags=[
        "-Wl,-z,max-page-size=%d,-z,common-page-size=%d" % (size, size)])
    finding = explain(lab, debian, shape(lab, "import native_17"), cause="page-size-mismatch",
                      module="native_17", path=path, says=[r"\b%d\b|%#x" % (size, size),
                                                           r"\b4096\b|0x1000|4 KiB"])
    own_error(finding, "ELF load command address/offset not page-aligned")


def test_page_size_of_a_library(lab, python):
    flags = ["-Wl,-z,max-page-size=1024,-z,common-page-size=1024"]
    path = extension(python, "native_17", lab.site, built_library(DEP),
                     flags=[runpath("$ORIGIN/lib")])
    dep = library(lab.site / "lib", DEP, flags=flags)
    finding = explain(lab, python, shapes.thread(lab, "import native_17"),
                      cause="page-size-mismatch",
                      module="native_17", path=dep, says=[r"\b1024\b|0x400"])
    assert str(path) in facts(finding) or (finding["library"] or {}).get("needed_by") == str(path)


def test_page_size_is_not_at_fault(lab, debian):
    """Segments aligned for larger pages load well on smaller ones."""
    extension(debian, "native_17", lab.site, source=NATIVE, flags=["-Wl,-z,max-page-size=65536"])
    run = lab.traced([debian.path, "-c", "import native_17"])
    assert run.returncode == 0
    assert lab.analyze(run.trace)[1]["findings"] == []
