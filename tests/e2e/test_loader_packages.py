# SPDX-License-Identifier: GPL-2.0-or-later
"""Real packages: private copies of Debian's, each with a needed object taken away or replaced."""
import os
import pathlib
import re
import shutil

import pytest

import shapes
from elf_edit import EM_AARCH64, Elf
from loader_cases import built_library, by_name, explain, library, place
from verdict import facts

DIST = pathlib.Path("/usr/lib/python3/dist-packages")


def copied(lab, debian, package, part):
    """A copy of links, in which the one native part is a file of its own; returns that file."""
    source = DIST / package
    if not source.is_dir() or not debian.is_debian:
        pytest.skip("needs Debian's package for " + package)
    target = lab.site / package
    shutil.copytree(source, target, copy_function=os.symlink,
                    ignore=shutil.ignore_patterns("tests", "__pycache__", "include"))
    where, = list(target.glob(part + ".*so"))
    data = where.read_bytes()
    where.unlink()
    where.write_bytes(data)
    return where


def needs_another(path, old, new):
    if old not in Elf(path).needed():
        pytest.skip("%s of this release does not need %s" % (path.name, old))
    Elf(path).replace_needed(old, new).save()


# -- numpy ----------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.dash_m], ids=by_name)
def test_numpy_without_its_blas(lab, debian, shape):
    """numpy tells it in forty lines of its own."""
    path = copied(lab, debian, "numpy", "core/_multiarray_umath")
    needs_another(path, "libblas.so.3", "libblas.so.9")
    finding = explain(lab, debian, shape(lab, "import numpy"), cause="missing-shared-library",
                      module="numpy.core._multiarray_umath", library="libblas.so.9", needed_by=path,
                      importer=False, path=(None, path, "/lib/x86_64-linux-gnu/libblas.so.3",
                                            "/usr/lib/x86_64-linux-gnu/libblas.so.3"),
                      bare_says="IMPORTANT: PLEASE READ THIS",
                      error=("ImportError", "^libblas.so.9: cannot open shared object file"),
                      says=[r"libblas\.so\.3"])
    assert "IMPORTANT: PLEASE READ THIS" in finding["surfaced"]["message"]


def test_numpy_of_another_machine(lab, debian):
    path = copied(lab, debian, "numpy", "core/_multiarray_umath")
    Elf(path).machine(EM_AARCH64).save()
    explain(lab, debian, shapes.script(lab, "import numpy"), cause="wrong-elf-machine",
            module="numpy.core._multiarray_umath", path=path, importer=False,
            error=("ImportError", "cannot open shared object file"), says=["(?i)aarch64|arm"])


def test_numpy_linalg(lab, debian):
    """LAPACK is missing: numpy.core loads, numpy.linalg does not."""
    path = copied(lab, debian, "numpy", "linalg/_umath_linalg")
    needs_another(path, "liblapack.so.3", "liblapack.so.9")
    explain(lab, debian, shapes.script(lab, "import numpy"), cause="missing-shared-library",
            module="numpy.linalg._umath_linalg", library="liblapack.so.9", needed_by=path,
            importer=False)


# -- lxml -----------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.thread], ids=by_name)
def test_lxml_without_libxslt(lab, debian, shape):
    path = copied(lab, debian, "lxml", "etree")
    needs_another(path, "libxslt.so.1", "libxslt.so.7")
    explain(lab, debian, shape(lab, "import lxml.etree"), cause="missing-shared-library",
            module="lxml.etree", library="libxslt.so.7", needed_by=path, says=[r"libxslt\.so\.1"])


def test_lxml_with_an_older_libxml2(lab, debian):
    """LD_LIBRARY_PATH leads to a libxml2.so.2 that has none of the symbols."""
    path = copied(lab, debian, "lxml", "etree")
    wrong = library(lab.root / "old", "libxml2.so.2")
    program = shapes.script(lab, "import lxml.etree")
    program.env = lab.env(LD_LIBRARY_PATH=str(wrong.parent))
    explain(lab, debian, program, cause="wrong-library", module="lxml.etree",
            library="libxml2.so.2",
            path=(wrong, path), tried=[(wrong, "ld_library_path", "opened")],
            says=[r"/libxml2\.so\.2", "LIBXML2_|xml"])


# -- Pillow ---------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.subprocess], ids=by_name)
def test_pillow_without_libtiff(lab, debian, shape):
    """The wheel of another release: libtiff.so.5, where this one has libtiff.so.6."""
    path = copied(lab, debian, "PIL", "_imaging")
    needs_another(path, "libtiff.so.6", "libtiff.so.5")
    explain(lab, debian, shape(lab, "import PIL.Image"), cause="missing-shared-library",
            module="PIL._imaging", library="libtiff.so.5", needed_by=path, importer=False,
            says=[r"libtiff\.so\.6"])


def test_pillow_fonts(lab, debian):
    """An optional part: PIL defers the error to the first use."""
    path = copied(lab, debian, "PIL", "_imagingft")
    needs_another(path, "libfreetype.so.6", "libfreetype.so.9")
    script = lab.write("fonts.py", "from PIL import ImageFont\nprint('without fonts')\n")
    program = shapes.Program([script], (str(script), 1), outcome="handled")
    explain(lab, debian, program, cause="missing-shared-library", module="PIL._imagingft",
            library="libfreetype.so.9", needed_by=path, importer=False)


# -- psycopg2 -------------------------------------------------------------------------------
def test_psycopg2_without_libpq(lab, debian):
    path = copied(lab, debian, "psycopg2", "_psycopg")
    needs_another(path, "libpq.so.5", "libpq.so.9")
    explain(lab, debian, shapes.script(lab, "import psycopg2"), cause="missing-shared-library",
            module="psycopg2._psycopg", library="libpq.so.9", needed_by=path, importer=False)


# -- yaml -----------------------------------------------------------------------------------
def test_yaml_degrades_silently(lab, debian):
    """yaml goes on without its C part, and nobody is told: slower, and no CSafeLoader."""
    path = copied(lab, debian, "yaml", "_yaml")
    needs_another(path, "libyaml-0.so.2", "libyaml-0.so.9")
    script = lab.write("load.py",
                       "import yaml\nprint(yaml.safe_load('a: 17'), yaml.__with_libyaml__)\n")
    program = shapes.Program([script], (str(script), 1), outcome="handled")
    explain(lab, debian, program, cause="missing-shared-library", module="yaml._yaml",
            library="libyaml-0.so.9", needed_by=path, importer=False, says=[r"libyaml-0\.so\.2"])


def test_yaml_cannot_import_name(lab, debian):
    """The same, where the program asks for what was left out."""
    path = copied(lab, debian, "yaml", "_yaml")
    needs_another(path, "libyaml-0.so.2", "libyaml-0.so.9")
    script = lab.write("load.py", "from yaml import CSafeLoader\n")
    finding = explain(lab, debian, shapes.Program([script], (None, None)), importer=False,
                      cause="missing-shared-library", module="yaml._yaml", library="libyaml-0.so.9",
                      needed_by=path, error=("ImportError", "^libyaml-0.so.9: cannot open"))
    assert "cannot import name 'CSafeLoader'" in finding["surfaced"]["message"]


# -- cryptography ---------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module], ids=by_name)
def test_cryptography_without_openssl(lab, debian, shape):
    path = copied(lab, debian, "cryptography", "hazmat/bindings/_openssl")
    needs_another(path, "libssl.so.3", "libssl.so.1")
    explain(lab, debian, shape(lab, "import cryptography.hazmat.backends.openssl.backend"),
            cause="missing-shared-library", module="cryptography.hazmat.bindings._openssl",
            library="libssl.so.1", needed_by=path, importer=False, says=[r"libssl\.so\.3"])


def test_cryptography_cut_short(lab, debian):
    path = copied(lab, debian, "cryptography", "hazmat/bindings/_rust")
    path.write_bytes(b"")
    explain(lab, debian, shapes.script(lab, "import cryptography.fernet"), cause="corrupt-file",
            module="cryptography.hazmat.bindings._rust", path=path, importer=False,
            bare_says="file too short")


# -- bcrypt ---------------------------------------------------------------------------------
@pytest.mark.parametrize("what,cause", [("machine", "wrong-elf-machine"), ("text", "corrupt-file"),
                                        ("musl", "wrong-libc"), ("version",
                                                                 "symbol-version-missing"),
                                        ("library", "missing-init-function")])
def test_bcrypt(lab, debian, what, cause):
    path = copied(lab, debian, "bcrypt", "_bcrypt")
    if what == "machine":
        Elf(path).machine(EM_AARCH64).save()
    elif what == "text":
        path.write_bytes(b"<html><body>502 Bad Gateway</body></html>\n" * 3)
    elif what == "version":
        Elf(path).replace_version("GLIBC_2.2.5", "GLIBC_2.99").save()
    elif what == "musl":
        place(built_library("_bcrypt.so", built_library("libc.musl-x86_64.so.1"), gives="x_17",
                            CALLS="dep_17"), path.parent, path.name)
    else:
        place(built_library("_bcrypt.so"), path.parent, path.name)
    finding = explain(lab, debian, shapes.script(lab, "import bcrypt"), cause=cause, importer=False,
                      module="bcrypt._bcrypt",
                      path=(path, "/lib/x86_64-linux-gnu/libc.so.6",
                            "/usr/lib/x86_64-linux-gnu/libc.so.6"))
    assert re.search(re.escape(str(path)), facts(finding) + finding["summary"])
