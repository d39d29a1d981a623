# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes that a distribution's metadata proves: broken, mixed, of two versions; and extensions
of the standard library that were never built."""
import os
import re
import shutil

import pytest

import interpreters
import shapes
from distributions import install
from harness import need
from verdict import ANY, diagnose, facts, remedies


def by_name(shape):
    return shape.__name__


# -- broken-installation --------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.subprocess,
                                   shapes.reraised, shapes.handled], ids=by_name)
def test_broken_module_is_gone(lab, python, shape):
    """RECORD lists a top-level module that is not there."""
    info = install(lab.site, "broken_dist", "1.7", {"broken_17.py": "answer = 17\n"},
                   absent=["broken_17.py"])
    finding = diagnose(lab, python, shape(lab, "import broken_17"),
                       cause="broken-installation", module="broken_17",
                       path=lab.site / "broken_17.py", says=[r"broken_17\.py,sha256="],
                       # All metadata is read where a program ends of it: that may take long.
                       no_host=shape is not shapes.handled or ("broken-installation",
                                                               "not-installed"))
    assert info.name in facts(finding) or "broken_dist" in facts(finding)
    assert any(re.search("broken[-_]dist", r) for r in remedies(finding)), finding["fixes"]


@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m, shapes.handled], ids=by_name)
def test_broken_extension_is_gone(lab, python, shape):
    """The native part of a package was deleted (a virus scanner, a half-done upgrade)."""
    native = "pkg_17/_native" + python.suffix
    install(lab.site, "pkg_17", "2.3", {
        "pkg_17/__init__.py": "\n\nfrom . import _native\n", native: b"\x7fELF" * 7,
    }, absent=[native], tag="cp36-abi3-linux_x86_64")
    diagnose(lab, python, shape(lab, "import pkg_17"), cause="broken-installation",
             module="pkg_17._native", path=lab.site / native,
             importer=(str(lab.site / "pkg_17/__init__.py"), 3),
             says=[re.escape(native) + ",sha256="],
             error=("ModuleNotFoundError", r"No module named 'pkg_17\._native'"))


def test_broken_submodule_directory_is_gone(lab, python):
    install(lab.site, "pkg_17", "2.3", {
        "pkg_17/__init__.py": "\nimport pkg_17.deep.part\n",
        "pkg_17/deep/__init__.py": "", "pkg_17/deep/part.py": "answer = 17\n",
    }, absent=["pkg_17/deep/__init__.py", "pkg_17/deep/part.py"])
    diagnose(lab, python, shapes.script(lab, "import pkg_17"), cause="broken-installation",
             module=("pkg_17.deep", "pkg_17.deep.part"), says=[r"deep/\w+\.py,sha256="],
             path=(lab.site / "pkg_17/deep/__init__.py", lab.site / "pkg_17/deep/part.py"),
             importer=(str(lab.site / "pkg_17/__init__.py"), 2))


@pytest.mark.needs_root
def test_broken_says_dpkg(lab, debian):
    """A package of Debian's that lost its files: only the package database tells.

    The files are hidden by an empty mount, in a mount namespace of the test's own."""
    unshare = need("unshare")
    listing = "/var/lib/dpkg/info/python3-bcrypt.list"
    if not os.path.exists(listing):
        pytest.skip("needs python3-bcrypt")
    hide = [unshare, "-m", "--propagation", "private", "/bin/sh", "-c",
            "mount -t tmpfs none /usr/lib/python3/dist-packages/bcrypt && exec \"$@\"", "sh"]
    argv = [debian.path, "-c", "import bcrypt._bcrypt"]
    bare = lab.bare([*hide, *argv])
    if bare.last_error() is None:
        pytest.skip("cannot mount here: " + bare.text)
    run = lab.traced([*hide, *argv], bare=bare)
    status, report = lab.analyze(run.trace, prefix=hide)
    finding = report["findings"][0]
    assert (finding["module"], finding["cause"], status) == (
        "bcrypt._bcrypt", "broken-installation", 1), (finding["summary"], facts(finding))
    assert finding["path"].startswith("/usr/lib/python3/dist-packages/bcrypt/")
    assert re.search("dpkg|package database|python3-bcrypt", facts(finding))
    assert re.search("apt.* (--reinstall install|install --reinstall) python3-bcrypt",
                     finding["fixes"][0]["command"] or "")


# -- mixed-installation ---------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.thread, shapes.reraised,
                                   shapes.handled], ids=by_name)
def test_two_copies_stacked(lab, python, shape):
    """The first copy, a pure one, has no native part; the second, passed over, has it."""
    second = lab.root / "second"
    text = "\n\n\nfrom . import _native\n"
    install(lab.site, "pkg_17", "2.0", {"pkg_17/__init__.py": text})
    interpreters.extension(python, "abi-tag-mismatch/native.c", "pkg_17._native",
                           second / "pkg_17")
    native = "pkg_17/_native" + python.suffix
    install(second, "pkg_17", "1.0", {
        "pkg_17/__init__.py": text, native: (second / native).read_bytes()})
    program = shape(lab, "import pkg_17")
    program.env = lab.env(PYTHONPATH="%s:%s" % (lab.site, second))
    diagnose(lab, python, program, cause="mixed-installation", module="pkg_17._native",
             path=second / native, importer=(str(lab.site / "pkg_17/__init__.py"), 4),
             error=("ModuleNotFoundError", r"No module named 'pkg_17\._native'"),
             says=[re.escape(str(second)), re.escape(str(lab.site))],
             no_host=("mixed-installation", "not-installed", "broken-installation"))


@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.handled],
                         ids=by_name)
def test_two_generations_merged(lab, python, shape):
    """An upgrade that left parts of the old generation, which the new one's code meets."""
    install(lab.site, "pkg_17", "1.0", {
        "pkg_17/__init__.py": "from ._helpers import old_name\n",
        "pkg_17/_helpers.py": "old_name = 1\n"})
    install(lab.site, "pkg_17", "2.0", {
        "pkg_17/__init__.py": "\nfrom pkg_17._helpers import new_name\n",
        "pkg_17/_helpers.py": "new_name = 2\n"}, absent=["pkg_17/_helpers.py"])
    diagnose(lab, python, shape(lab, "import pkg_17"), cause="mixed-installation",
             module=("pkg_17", "pkg_17._helpers"),
             path=(lab.site / "pkg_17/_helpers.py", lab.site / "pkg_17/__init__.py"),
             importer=False, says=[r"1\.0", r"2\.0"],
             no_host=("mixed-installation", "missing-attribute", "unknown"))


# -- version-mismatch -----------------------------------------------------------------------
STAND_IN = '''__version__ = "%s"


class FFI:
    def __init__(self):
        import _cffi_backend as backend
        if backend.__version__ != __version__:
            raise Exception(
                "Version mismatch: this is the 'cffi' package version %%s, located in %%r.  "
                "When we import the top-level '_cffi_backend' extension module, we get version "
                "%%s, located in %%r.  The two versions should be equal; check your "
                "installation." %% (__version__, __file__, backend.__version__,
                                   backend.__file__))
'''


@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m, shapes.thread, shapes.reraised,
                                   shapes.handled], ids=by_name)
def test_cffi_and_its_backend(lab, python, shape):
    backend = interpreters.extension(python, "version-mismatch/backend.c", "_cffi_backend",
                                     lab.site)
    package = lab.module("cffi/__init__", STAND_IN % "1.16.0")
    lab.module("uses_ffi", "import cffi\nffi = cffi.FFI()\n")
    diagnose(lab, python, shape(lab, "import uses_ffi"), cause="version-mismatch",
             module=("_cffi_backend", "cffi"), path=(backend, package), importer=False,
             says=[r"1\.16\.0", r"1\.15\.1", re.escape(str(backend)), re.escape(str(package))])


def test_real_cffi_and_debians_backend(lab, debian):
    """A cffi package of some other interpreter's, with the backend of Debian's."""
    debians = "/usr/lib/python3/dist-packages/_cffi_backend" + debian.suffix
    real = [os.path.join(p.platlib, "cffi") for p in interpreters.every()[1:]]
    real = [p for p in real if os.path.exists(os.path.join(p, "api.py"))]
    if not real or not os.path.exists(debians):
        pytest.skip("needs a cffi package and Debian's python3-cffi-backend")
    shutil.copytree(real[0], str(lab.site / "cffi"))
    shutil.copy(debians, str(lab.site))
    lab.module("uses_ffi", "import cffi\nffi = cffi.FFI()\n")
    bare = lab.bare([debian.path, "-c", "import uses_ffi"])
    if "Version mismatch" not in bare.text:
        pytest.skip("that cffi is of the same version as the backend")
    diagnose(lab, debian, shapes.script(lab, "import uses_ffi"), cause="version-mismatch",
             module=("_cffi_backend", "cffi"), path=ANY, importer=False)


# -- stdlib-extension-not-built -------------------------------------------------------------
def home_without(lab, python, *extensions):
    """A copy of the standard library, by links, whose lib-dynload lacks some extensions."""
    home = lab.root / "prefix"
    stdlib = home / "lib" / ("python" + python.minor)
    (stdlib / "lib-dynload").mkdir(parents=True)
    for name in os.listdir(python.stdlib):
        if name not in ("lib-dynload", "site-packages", "__pycache__"):
            (stdlib / name).symlink_to(os.path.join(python.stdlib, name))
    for name in os.listdir(python.dynload[0]):
        if name.split(".")[0] not in extensions:
            (stdlib / "lib-dynload" / name).symlink_to(os.path.join(python.dynload[0], name))
    return lab.env(PYTHONHOME=str(home))


@pytest.mark.parametrize("module,extension", [
    ("sqlite3", "_sqlite3"), ("ctypes", "_ctypes"), ("ssl", "_ssl"), ("bz2", "_bz2"),
    ("lzma", "_lzma"), ("uuid", None)])
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module], ids=by_name)
def test_extension_was_never_built(lab, python, module, extension, shape):
    program = shape(lab, "import " + module)
    if extension is None:			# an optional part: its absence is no failure
        program.env = home_without(lab, python, "_uuid")
        assert lab.bare(program.argv(python), program.env).returncode == 0
        run = lab.traced(program.argv(python), program.env)
        assert lab.analyze(run.trace)[0] == 0
        return
    if extension in python.builtin:
        pytest.skip("%s is built in" % extension)
    program.env = home_without(lab, python, extension)
    finding = diagnose(lab, python, program, cause="stdlib-extension-not-built",
                       module=extension, path=None, importer=False,
                       says=["lib-dynload"])
    assert not any(re.search(r"pip install\s+(-\S+\s+)*%s\b" % extension, f["command"] or "")
                   for f in finding["fixes"]), "no distribution of that name: %r" % (
                       finding["fixes"],)


def test_extension_never_built_handled(lab, python):
    """Caught by the program: a silent degradation is listed, without --all."""
    program = shapes.handled(lab, "import sqlite3")
    program.env = home_without(lab, python, "_sqlite3")
    diagnose(lab, python, program, cause="stdlib-extension-not-built", module="_sqlite3",
             path=None, importer=False)


@pytest.mark.parametrize("module,extension", [("dbm.gnu", "_gdbm"), ("dbm.ndbm", "_dbm"),
                                              ("tkinter", "_tkinter")])
def test_extension_that_this_build_really_lacks(lab, any_python, module, extension):
    probe = "from importlib.util import find_spec as f; print(f(%r) is None, f(%r) is None)"
    bare = lab.bare([any_python.path, "-c", probe % (module, extension)])
    if bare.stdout.split() != [b"False", b"True"]:
        pytest.skip("this interpreter has it, or lacks the whole package")
    error = None
    if any_python.is_debian and extension == "_gdbm":	# Debian's own words around the root's
        error = ("ModuleNotFoundError", "^No module named '_gdbm'$")
    finding = diagnose(lab, any_python, shapes.script(lab, "import " + module), error=error,
                       cause="stdlib-extension-not-built", module=extension, path=None,
                       importer=False, says=["lib-dynload"])
    if any_python.is_debian and extension in ("_gdbm", "_tkinter"):
        package = {"_gdbm": "python3-gdbm", "_tkinter": "python3-tk"}[extension]
        assert re.search("apt.*install " + package, finding["fixes"][0]["command"] or "")
