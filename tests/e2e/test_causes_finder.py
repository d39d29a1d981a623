# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes that the finders know: what lay on the search path, and why it was not taken."""
import os
import re
import zipfile

import pytest

import interpreters
import shapes
from verdict import diagnose, facts, remedies

ABSENT = "surely_absent_17"
TWO = (shapes.script, shapes.import_module)


def by_name(shape):
    return shape.__name__


# -- not-installed --------------------------------------------------------------------------
@pytest.mark.parametrize("shape", shapes.ALL, ids=by_name)
def test_not_installed(lab, python, shape):
    program = shape(lab, "import " + ABSENT)
    if program.outcome == "handled":
        pytest.skip("hidden by default: see test_optional_module_is_hidden")
    finding = diagnose(lab, python, program, cause="not-installed", module=ABSENT, path=None)
    entries = [s["entry"] for s in finding["searched"]]
    assert str(lab.site) in entries
    assert not any(s["candidates"] for s in finding["searched"])


def test_not_installed_submodule(lab, python):
    """A regular package that never had such a part."""
    lab.module("whole_pkg/__init__")
    program = shapes.script(lab, "import whole_pkg.sub_17")
    finding = diagnose(lab, python, program, cause="not-installed", module="whole_pkg.sub_17",
                       path=None)
    assert str(lab.site / "whole_pkg") in [s["entry"] for s in finding["searched"]]


@pytest.mark.parametrize("module,distribution", [
    ("cv2", "opencv-python"), ("sklearn", "scikit-learn"), ("skimage", "scikit-image"),
    ("serial", "pyserial"), ("usb", "pyusb")])
def test_not_installed_name_is_translated(lab, debian, module, distribution):
    """An import name that differs from its distribution's."""
    for python in interpreters.every():
        for base in (python.platlib, "/usr/lib/python3/dist-packages"):
            if os.path.exists(os.path.join(base, module)):
                pytest.skip("%s is on this machine" % module)
    finding = diagnose(lab, debian, shapes.script(lab, "import " + module),
                       cause="not-installed", module=module, path=None)
    assert any(re.search(distribution, r) for r in remedies(finding)), finding["fixes"]


def test_optional_module_is_hidden(lab, python):
    """Handled, and nothing is broken: with --all only."""
    program = shapes.handled(lab, "import " + ABSENT)
    bare = lab.bare(program.argv(python))
    assert bare.stdout == b"without it\ndone\n"
    run = lab.traced(program.argv(python), bare=bare)
    status, report = lab.analyze(run.trace)
    assert status == 0 and report["findings"] == []
    status, report = lab.analyze(run.trace, "--all")
    assert status == 0
    assert [(f["module"], f["cause"], f["outcome"]) for f in report["findings"]
            if f["module"] == ABSENT] == [(ABSENT, "not-installed", "handled")]
    status, report = lab.analyze(run.trace, "-m", ABSENT)
    assert [f["module"] for f in report["findings"]] == [ABSENT]


# -- abi-tag-mismatch -----------------------------------------------------------------------
def wrong_tags(python):
    """Tags that @python does not accept, and what each stands for."""
    major, minor = python.version[:2]
    triplet = re.search(r"([a-z0-9_]+)-linux-gnu", python.suffix).group(0)
    other = minor + 1 if minor != 12 else 11
    foreign = "aarch64-linux-gnu" if "x86_64" in triplet else "x86_64-linux-gnu"
    own = python.cache_tag.replace("cpython-", "")
    return {
        "version": "cpython-3%d-%s" % (other, triplet),
        "free-threaded": "cpython-%st-%s" % (own, triplet),
        "debug": "cpython-%sd-%s" % (own, triplet),
        "platform": python.suffix.strip(".").replace(triplet, foreign).replace(".so", ""),
        "musl": python.suffix.strip(".").replace("-gnu.so", "-musl"),
        "pypy": "pypy39-pp73-" + triplet,
        "darwin": "cpython-%s-darwin" % own,
    }


KINDS = ("version", "free-threaded", "debug", "platform", "musl", "pypy", "darwin")


@pytest.mark.parametrize("kind", KINDS)
def test_abi_tag_top_level(lab, python, kind):
    tag = wrong_tags(python)[kind]
    path = interpreters.extension(python, "abi-tag-mismatch/native.c", "_native_17", lab.site,
                                  suffix="." + tag + ".so")
    shape = (shapes.script, shapes.import_module, shapes.thread)[KINDS.index(kind) % 3]
    finding = diagnose(lab, python, shape(lab, "import _native_17"), cause="abi-tag-mismatch",
                       module="_native_17", path=path, says=[re.escape(tag)])
    near = [s for s in finding["searched"] if s["entry"] == str(lab.site)]
    assert near and path.name in near[0]["candidates"]
    assert near[0]["result"] == "near-miss"
    assert any(suffix.replace(".so", "") in facts(finding) for suffix in python.suffixes
               if suffix != ".so"), "no accepted suffix beside it: " + facts(finding)


def test_abi_tag_windows(lab, python):
    """Another platform altogether: a directory that was copied from Windows."""
    own = python.cache_tag.replace("cpython-", "")
    path = lab.write(lab.site / ("_native_17.cp%s-win_amd64.pyd" % own), b"MZ" + b"\0" * 97)
    diagnose(lab, python, shapes.script(lab, "import _native_17"), cause="abi-tag-mismatch",
             module="_native_17", path=path, says=["pyd|win"])


@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m, shapes.subprocess,
                                   shapes.reraised, shapes.handled], ids=by_name)
@pytest.mark.parametrize("kind", ["version", "pypy"])
def test_abi_tag_in_package(lab, python, kind, shape):
    """`from . import _native`: the interpreter swallows the root and says something else."""
    init = lab.module("pkg_17/__init__", "# a package\n\nfrom . import _native\n")
    tag = wrong_tags(python)[kind]
    path = interpreters.extension(python, "abi-tag-mismatch/native.c", "_native",
                                  lab.site / "pkg_17", suffix="." + tag + ".so")
    diagnose(lab, python, shape(lab, "import pkg_17"), cause="abi-tag-mismatch",
             module="pkg_17._native", path=path, importer=(str(init), 3),
             error=("ModuleNotFoundError", r"^No module named 'pkg_17\._native'$"),
             says=[re.escape(tag)])


def test_abi_tag_right_file_elsewhere_on_path_wins(lab, python):
    """A wrong tag in the first directory does no harm where the second has the right file."""
    other = lab.root / "other"
    interpreters.extension(python, "abi-tag-mismatch/native.c", "_native_17", lab.site,
                           suffix="." + wrong_tags(python)["version"] + ".so")
    interpreters.extension(python, "abi-tag-mismatch/native.c", "_native_17", other)
    env = lab.env(PYTHONPATH="%s:%s" % (lab.site, other))
    argv = [python.path, "-c", "import _native_17; print(_native_17.answer)"]
    assert lab.bare(argv, env).stdout == b"17\n"
    run = lab.traced(argv, env)
    status, report = lab.analyze(run.trace)
    assert status == 0 and report["findings"] == []


# -- case-mismatch --------------------------------------------------------------------------
@pytest.mark.parametrize("shape", TWO + (shapes.handled,), ids=by_name)
@pytest.mark.parametrize("there", ["Yamlish.py", "YAMLISH/__init__.py", "YamlISH%s"])
def test_case_mismatch(lab, python, shape, there):
    path = lab.write(lab.site / (there % python.suffix if "%" in there else there))
    paths = (path, path.parent) if path.name == "__init__.py" else path
    diagnose(lab, python, shape(lab, "import yamlish"), cause="case-mismatch", module="yamlish",
             path=paths, says=["(?i)case|capital|letter"])


# -- dangling-symlink -----------------------------------------------------------------------
@pytest.mark.parametrize("shape", TWO + (shapes.handled,), ids=by_name)
@pytest.mark.parametrize("kind", ["source", "extension", "package", "loop"])
def test_dangling_symlink(lab, python, shape, kind):
    name = {"source": "linked_17.py", "extension": "linked_17" + python.suffix,
            "package": "linked_17", "loop": "linked_17.py"}[kind]
    path = lab.site / name
    path.symlink_to(name if kind == "loop" else "/nonexistent/store/" + name)
    diagnose(lab, python, shape(lab, "import linked_17"), cause="dangling-symlink",
             module="linked_17", path=path,
             says=[name] if kind == "loop" else ["/nonexistent/store/"])


# -- stale-finder-cache ---------------------------------------------------------------------
STALE = """
import os, sys
where, name = %r, %r
if os.path.exists(os.path.join(where, name)):
    os.unlink(os.path.join(where, name))
import listed_17
before = os.stat(where)
with open(os.path.join(where, name), "wb") as new:
    new.write(%r)
os.utime(where, ns=(before.st_atime_ns, before.st_mtime_ns))
import generated_17
"""


@pytest.mark.parametrize("shape", ["script", "dash_c", "extension"])
def test_stale_finder_cache(lab, python, shape):
    """Written so soon after the finder listed the directory that its time is the same."""
    lab.module("listed_17")
    name = "generated_17" + (python.suffix if shape == "extension" else ".py")
    text = STALE % (str(lab.site), name, b"answer = 17\n")
    if shape == "dash_c":
        program = shapes.Program(["-c", text], ("<string>", 11))
    else:
        path = lab.write("generates.py", text)
        program = shapes.Program([path], (str(path), 11))
    diagnose(lab, python, program, cause="stale-finder-cache", module="generated_17",
             path=lab.site / name, says=[name])


# -- not-importable-from-archive ------------------------------------------------------------
def archive(path, members):
    with zipfile.ZipFile(path, "w") as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


@pytest.mark.parametrize("shape", TWO, ids=by_name)
def test_archive_on_path(lab, python, shape):
    path = archive(lab.dir / "bundle.zip", {"_native_17" + python.suffix: b"\x7fELF"})
    program = shape(lab, "import _native_17")
    program.env = lab.env(PYTHONPATH=str(path))
    diagnose(lab, python, program, cause="not-importable-from-archive", module="_native_17",
             path=(path, path / ("_native_17" + python.suffix)),
             says=["_native_17" + re.escape(python.suffix)])


@pytest.mark.parametrize("kind", ["zipapp", "egg"])
def test_archive_package(lab, python, kind):
    """A package in a zipapp or an egg, with its native part beside it."""
    members = {"pkg_17/__init__.py": "\n\nfrom . import _native\n",
               "pkg_17/_native" + python.suffix: b"\x7fELF"}
    if kind == "zipapp":
        path = archive(lab.dir / "app.pyz", dict(members, **{"__main__.py": "import pkg_17\n"}))
        program = shapes.Program([path], (str(path) + "/pkg_17/__init__.py", 3))
    else:
        path = archive(lab.dir / "pkg-1.0.egg", members)
        program = shapes.script(lab, "import pkg_17")
        program.importer = (str(path) + "/pkg_17/__init__.py", 3)
        program.env = lab.env(PYTHONPATH=str(path))
    diagnose(lab, python, program, cause="not-importable-from-archive", module="pkg_17._native",
             path=(path, path / ("pkg_17/_native" + python.suffix)),
             error=("ModuleNotFoundError", r"No module named 'pkg_17\._native'"))


# -- blocked --------------------------------------------------------------------------------
HOOK = """
import sys
class Gatekeeper:
    def find_spec(self, name, path=None, target=None):
        if name == 'forbidden_17':
            raise %s
        return None
sys.meta_path.insert(0, Gatekeeper())
"""


@pytest.mark.parametrize("shape", TWO + (shapes.handled, shapes.reraised), ids=by_name)
def test_blocked_by_none(lab, python, shape):
    lab.module("sitecustomize", "import sys\nsys.modules['forbidden_17'] = None\n")
    lab.module("forbidden_17", "answer = 17\n")
    diagnose(lab, python, shape(lab, "import forbidden_17"), cause="blocked",
             module="forbidden_17", path=(None, lab.site / "forbidden_17.py",
                                          lab.site / "sitecustomize.py"),
             says=[r"sys\.modules"])


@pytest.mark.parametrize("shape", TWO + (shapes.handled,), ids=by_name)
@pytest.mark.parametrize("error", ["ImportError('not on this site')",
                                   "ModuleNotFoundError('refused: ' + name, name=name)"])
def test_blocked_by_hook(lab, python, shape, error):
    lab.module("sitecustomize", HOOK % error)
    lab.module("forbidden_17", "answer = 17\n")
    diagnose(lab, python, shape(lab, "import forbidden_17"), cause="blocked",
             module="forbidden_17", path=(None, lab.site / "forbidden_17.py",
                                          lab.site / "sitecustomize.py"),
             says=[r"Gatekeeper|sitecustomize\.py"])
