# SPDX-License-Identifier: GPL-2.0-or-later
"""More broken environments in which the search itself ends: one of each kind.

Each is run once, traced (what is bare and traced alike is tested elsewhere); the diagnosis is
asserted, also from the trace alone, and the first command that needs no network is typed as printed.
"""
import json
import os
import re
import shlex
import subprocess
import zipfile

import pytest

import interpreters
from distributions import install
from harness import need
from lab_cases import blameless, commands, listed, script, told
from loader_cases import built_library, extension
from remedy_cases import DONE, MENDED
from verdict import check_fixes

ELSEWHERE = "installed-elsewhere"
ABSENT = "not-installed"
NETWORK = r"\bpip3? (install|uninstall)\b|-m pip\b|\bapt(-get)? |\bsudo |\bensurepip\b|\bpyenv\b"
CASES = []


class Case:
    """How one is built and run: fill in env and argv; main() writes the program."""

    def __init__(self, lab, debian):
        self.lab, self.debian = lab, debian
        self.env = lab.env(PYTHONPATH=None)
        self.argv = []
        self.cwd = None

    def main(self, text="import mod_17", where="main.py", python=None, options=()):
        path = self.lab.write(where, text + "\n" + DONE)
        self.argv = [python or self.debian.path, *options, path]

    def searches(self, *dirs):
        self.env["PYTHONPATH"] = ":".join(map(str, dirs))

    def module(self, where="mod_17.py", text="name = 17\n"):
        return self.lab.write(where, text)

    def package(self, site, name="mod_17", **how):
        site.mkdir(parents=True, exist_ok=True)
        return install(site, name, "1.7", {name + "/__init__.py": "name = 17\n"}, **how)

    def venv(self, where):
        """An environment of Debian's; returns (interpreter, site-packages)."""
        root = self.lab.dir / where
        done = subprocess.run([self.debian.path, "-m", "venv", "--without-pip", str(root)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            pytest.skip("no venv: " + done.stdout.decode())
        return root / "bin/python", root / "lib" / ("python" + self.debian.minor) / "site-packages"


def case(cause, module="mod_17", path=None, alone=None, says=(), typed=True):
    """@path: a regular expression for the end of the finding's path; None: it has none
    @alone: the cause with --no-host; None: the same
    @typed: the first command that needs no network mends it, as printed"""
    def add(function):
        expected = {"cause": cause, "module": module, "path": path, "alone": alone or cause,
                    "says": says, "typed": typed}
        CASES.append(pytest.param(function, expected, id=function.__name__))
        return function
    return add


# -- directories that are not searched ----------------------------------------------------------
@case(ELSEWHERE, path="work/vendor/mod_17.py", alone=ABSENT)
def vendored(case):
    case.module("vendor/mod_17.py")
    case.main()


@case(ELSEWHERE, path="work/deps/mod_17/__init__.py", alone=ABSENT)
def installed_with_target(case):
    case.package(case.lab.dir / "deps")
    case.main()


@case(ELSEWHERE, path="site-packages/mod_17/__init__.py", alone=ABSENT)
def installed_with_prefix(case):
    case.package(case.lab.dir / "lib" / ("python" + case.debian.minor) / "site-packages")
    case.main()


@case(ELSEWHERE, path="site-packages/mod_17/__init__.py", alone=ABSENT, says=[r"pyvenv\.cfg"])
def venv_without_its_configuration(case):
    python, site = case.venv(".venv")
    case.package(site)
    (python.parent.parent / "pyvenv.cfg").unlink()
    case.main(python=python)


@case(ELSEWHERE, path="python3.5/site-packages/mod_17/__init__.py", alone=ABSENT, typed=False,
      says=["made for Python 3.5"])
def venv_of_an_older_python(case):
    """The base was upgraded: the same command again would do the same."""
    python, site = case.venv(".venv")
    case.package(site.parent.parent / "python3.5/site-packages")
    case.main(python=python)


@case(ELSEWHERE, path="pypoetry/virtualenvs/p-py3/lib/python%(minor)s/site-packages/mod_17/__init__.py",
      alone=ABSENT)
def environment_of_poetry(case):
    _, site = case.venv(case.lab.home / ".cache/pypoetry/virtualenvs/p-py3")
    case.package(site)
    case.main()


@case(ELSEWHERE, path="site-packages/mod_17/__init__.py", alone=ABSENT, says=["HOME"])
def home_changed_on_the_way(case):
    case.package(case.lab.home / (".local/lib/python%s/site-packages" % case.debian.minor))
    case.main()
    case.argv = ["/bin/sh", "-c", "HOME=/nonexistent exec " + " ".join(map(str, case.argv))]


@case(ELSEWHERE, path="site-packages/mod_17/__init__.py", alone=ABSENT, says=["PYTHONUSERBASE"])
def user_base_lost_on_the_way(case):
    case.package(case.lab.root / ("base/lib/python%s/site-packages" % case.debian.minor))
    case.env["PYTHONUSERBASE"] = str(case.lab.root / "base")
    case.main()
    case.argv = ["/bin/sh", "-c", "unset PYTHONUSERBASE; exec " + " ".join(map(str, case.argv))]


@case(ELSEWHERE, path="work/mod_17.py", alone=ABSENT, says=["working directory"])
def current_directory_was_left(case):
    case.module()
    case.argv = [case.debian.path, "-c", "import os; os.chdir('/'); import mod_17; print('mended 17')"]


@case(ELSEWHERE, path="work/mod_17-main/src/mod_17/__init__.py", alone=ABSENT)
def unpacked_beside_the_script(case):
    case.module("mod_17-main/src/mod_17/__init__.py")
    case.main()


@case(ELSEWHERE, module="mod_17.part", path="work/mod_17/mod_17/part.py", alone=ABSENT)
def cloned_beside_the_script(case):
    """The repository's directory is taken for a namespace package of that name."""
    case.module("mod_17/mod_17/__init__.py")
    case.module("mod_17/mod_17/part.py")
    case.main("import mod_17.part")


@case("missing-attribute", path="work/mod_17", says=["one directory further down"])
def name_of_a_clone(case):
    case.module("mod_17/mod_17/__init__.py")
    case.main("from mod_17 import name")


@case(ELSEWHERE, path="bin/mod_17.py", alone=ABSENT, says=["is a link"])
def script_is_a_link(case):
    case.module("bin/mod_17.py")
    case.main(where="src/tool.py")
    (case.lab.dir / "bin/tool.py").symlink_to("../src/tool.py")
    case.argv[-1] = case.lab.dir / "bin/tool.py"


# -- entries that Python reads otherwise than they were meant -----------------------------------
@case(ELSEWHERE, path="home/lib/mod_17.py", alone=ABSENT, says=["~"])
def tilde(case):
    case.module(case.lab.home / "lib/mod_17.py")
    case.searches("~/lib")
    case.main()


@case(ELSEWHERE, path="home/lib/mod_17.py", alone=ABSENT, says=[r"variable"])
def variable(case):
    case.module(case.lab.home / "lib/mod_17.py")
    case.searches("${HOME}/lib")
    case.main()


@case(ELSEWHERE, path="b/mod_17.py", alone=ABSENT, says=["';'|;"])
def semicolon(case):
    case.module(case.lab.root / "b/mod_17.py")
    case.searches("%s/a;%s/b" % (case.lab.root, case.lab.root))
    case.main()


@case(ELSEWHERE, path="far/mod_17.py", alone=ABSENT, says=["quotes"])
def quotes(case):
    case.module(case.lab.root / "far/mod_17.py")
    case.searches('"%s"' % (case.lab.root / "far"))
    case.main()


@case(ELSEWHERE, path="far/mod_17/__init__.py", alone=ABSENT, says=["module itself"])
def the_package_itself(case):
    case.module(case.lab.root / "far/mod_17/__init__.py")
    case.searches(case.lab.root / "far/mod_17")
    case.main()


@case(ELSEWHERE, path="mod_17-1.7-py3.egg/mod_17/__init__.py", alone=ABSENT, says=["egg"])
def egg(case):
    case.module(case.lab.site / "mod_17-1.7-py3.egg/mod_17/__init__.py")
    case.searches(case.lab.site)
    case.main()


@case(ABSENT, says=[r"PosixPath"], typed=False)
def path_object(case):
    """sys.path.insert(0, Path(__file__).parent / ...): imports pass over it."""
    case.module(case.lab.root / "far/mod_17.py")
    case.main("import pathlib, sys\nsys.path.insert(0, pathlib.Path(%r))\nimport mod_17" % str(case.lab.root / "far"))


# -- directories that are searched, and still nothing is found ----------------------------------
@pytest.mark.parametrize("entry", ["site", "../work/site/."], ids=["relative", "odd"])
def test_no_file_in_a_searched_directory(lab, debian, entry):
    """Directories and FIFOs under a module's name: nobody may say that the directory is not searched."""
    site = lab.dir / "site"
    lab.write(site / "pkg_17/__init__.py")
    for name in ("pkg_17/_one.abi3.so", "pkg_17/_two.py", "top_17.py", "tag_17.cpython-399-x86_64-linux-gnu.so"):
        (site / name).mkdir()
    os.mkfifo(site / "pkg_17/_three.abi3.so")
    (site / "pkg_17/_four.py").symlink_to("_two.py")
    kinds = {"pkg_17._one": "a directory", "pkg_17._two": "a directory", "pkg_17._three": "a FIFO",
             "pkg_17._four": "a directory", "top_17": "a directory", "tag_17": "a directory"}
    run = lab.recorded([debian.path, "-c", "".join(
        "try:\n    import %s\nexcept ImportError:\n    pass\n" % n for n in kinds)],
        lab.env(PYTHONPATH=entry))
    assert run.returncode == 0, run.text
    findings = {f["module"]: f for f in lab.analyze(run.trace, "--all")[1]["findings"]}
    for name, kind in kinds.items():
        assert findings[name]["cause"] == ABSENT, told(findings[name])
        assert "and is %s: Python takes only a file" % kind in told(findings[name])
        assert "not search" not in told(findings[name])
        assert not any("PYTHONPATH=" in c for c in commands(findings[name])), findings[name]["fixes"]


def test_searched_directory_below_a_mount(lab, debian):
    """The process saw another file system where this analysis sees the module."""
    unshare = need("unshare")
    lab.module("mod_17", "name = 17\n")
    hide = "mount -t tmpfs none %s || exit 77; exec \"$@\"" % lab.site
    run = lab.recorded([unshare, "-m", "sh", "-c", hide, "sh", debian.path, "-c", "import mod_17"],
                       lab.env(PYTHONPATH=str(lab.site)))
    if run.returncode == 77 or b"unshare" in run.stderr:
        pytest.skip("may not mount here: " + run.text)
    finding = lab.analyze(run.trace)[1]["findings"][0]
    assert (finding["module"], finding["cause"]) == ("mod_17", ABSENT), told(finding)
    assert "saw another file system" in told(finding)
    assert not any("PYTHONPATH=%s:" % lab.site in c for c in commands(finding)), finding["fixes"]


# -- finders ------------------------------------------------------------------------------------
@case("blocked", path="site/mod_17.py", says=["PathFinder"], typed=False)
def no_path_finder(case):
    case.module(case.lab.site / "mod_17.py")
    case.searches(case.lab.site)
    case.main("import sys\nsys.meta_path[:] = sys.meta_path[:2]\nimport mod_17")


@case("blocked", path="site/mod_17.py", says=["Mine"], typed=False)
def hook_that_takes_every_directory(case):
    case.module(case.lab.site / "mod_17.py")
    case.searches(case.lab.site)
    case.main("import sys\nclass Mine:\n    def __init__(self, path): pass\n"
              "    def find_spec(self, name, target=None): return None\n"
              "sys.path_hooks.insert(0, Mine)\nsys.path_importer_cache.clear()\nimport mod_17")


@case("stale-finder-cache", path="later/mod_17.py", says=["invalidate_caches"], typed=False)
def directory_made_later(case):
    case.main("import os, sys\nsys.path.insert(0, 'later')\ntry:\n    import mod_17\nexcept ImportError:\n    pass\n"
              "os.mkdir('later')\nopen('later/mod_17.py', 'w').close()\nimport mod_17")


@case("not-importable-from-archive", module="native_17", path=r"native_17\.\S+\.so")
def extension_in_a_zipapp(case):
    file = extension(case.debian, "native_17", case.lab.root / "built", source="abi-tag-mismatch/native.c")
    with zipfile.ZipFile(case.lab.dir / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", "import native_17\n" + DONE)
        archive.write(file, file.name)
    case.argv = [case.debian.path, case.lab.dir / "app.pyz"]


# -- links, metadata ----------------------------------------------------------------------------
@case("dangling-symlink", path="mod_17/__init__.py", alone="missing-attribute", typed=False)
def init_is_a_link_to_nothing(case):
    case.module(case.lab.site / "mod_17/part.py")
    (case.lab.site / "mod_17/__init__.py").symlink_to("/nonexistent/mod_17.py")
    case.searches(case.lab.site)
    case.main("from mod_17 import name")


@case("broken-installation", path="mod_17/__init__.py", typed=False)
def init_is_gone(case):
    """The directory that is left is a namespace package, without the name."""
    install(case.lab.site, "mod_17", "1.7", {"mod_17/__init__.py": "name = 17\n", "mod_17/part.py": ""},
            absent=["mod_17/__init__.py"])
    case.searches(case.lab.site)
    case.main("from mod_17 import name")


@case("broken-installation", path="site/mod_17", alone=ABSENT, typed=False)
def half_uninstalled(case):
    (case.package(case.lab.site, write=False) / "RECORD").unlink()
    case.searches(case.lab.site)
    case.main()


@case("broken-installation", path="__editable___mod_17_1_7_finder.py", alone=ABSENT, typed=False)
def finder_of_an_editable_installation_is_gone(case):
    python, site = case.venv("v")
    case.module("src/mod_17/__init__.py")
    info = install(site, "mod_17", "1.7", {"__editable__.mod_17.pth": "",
                                           "__editable___mod_17_1_7_finder.py": "MAPPING = {}\n"},
                   absent=["__editable___mod_17_1_7_finder.py"])
    (info / "direct_url.json").write_text(json.dumps(
        {"dir_info": {"editable": True}, "url": "file://%s" % case.lab.dir}))
    (info / "top_level.txt").write_text("mod_17\n")
    case.main(python=python, where="run/main.py")


# -- a line of a .pth file that fails: Python prints it, and goes on ------------------------------
@case(ELSEWHERE, path="elsewhere/mod_17.py", alone=ABSENT,
      says=[r"hook\.pth names it, and Python ignored that", r"line 1 of \S+hook\.pth", "gone_17"])
def line_before_it_fails(case):
    python, site = case.venv("v")
    case.module(case.lab.root / "elsewhere/mod_17.py")
    (site / "hook.pth").write_text("import gone_17\n%s\n" % (case.lab.root / "elsewhere"))
    case.main(python=python)


@case("missing-shared-library", module="native_17", path=r"native_17\.\S+\.so", alone=ABSENT, typed=False,
      says=[r"line 1 of \S+hook\.pth asked for hook_17", "mod_17 then failed"])
def hook_of_a_distribution_fails(case):
    python, site = case.venv("v")
    extension(case.debian, "native_17", site, built_library("libdep17.so.1"))
    install(site, "mod_17", "1.7", {"hook.pth": "import hook_17\n", "hook_17.py": "import native_17\n"})
    case.main(python=python)


@case("corrupt-file", path="mod_17/__init__.py", alone="missing-attribute", typed=False, says=["empty"])
def source_is_cut_short(case):
    case.package(case.lab.site)
    (case.lab.site / "mod_17/__init__.py").write_text("")
    case.searches(case.lab.site)
    case.main("from mod_17 import name")


@case(ABSENT, module="mod_17._speed", says=[r"_speed\.pyx"], typed=False)
def extension_is_not_built(case):
    """Python calls it a circular import, and it is none."""
    case.module("mod_17/__init__.py", "from . import _speed\n")
    case.module("mod_17/_speed.pyx")
    case.module("setup.py", "from setuptools import setup\n")
    case.main()


@case(ABSENT, module="dep_17", says=["requires .dep.17>=2"], typed=False)
def requirement_of_a_distribution(case):
    python, site = case.venv("v")
    info = install(site, "mod_17", "1.7", {"mod_17/__init__.py": "import dep_17\n"})
    with open(info / "METADATA", "a") as file:
        file.write("Requires-Dist: dep-17>=2 ; python_version > '3'\n")
    case.main(python=python)


# -- names --------------------------------------------------------------------------------------
@case(ABSENT, module="pkg_17.utlis", says=[r"pkg_17\.utils"], typed=False)
def misspelt(case):
    case.module(case.lab.site / "pkg_17/__init__.py")
    case.module(case.lab.site / "pkg_17/utils.py")
    case.searches(case.lab.site)
    case.main("import pkg_17.utlis")


@case(ABSENT, says=[r"mod-17\.py"])
def hyphen_in_the_file(case):
    case.module("mod-17.py")
    case.main()


@case(ABSENT, module="mod_17\n", says=["white space"], typed=False)
def name_with_its_line_end(case):
    case.module()
    case.main("import importlib\nimportlib.import_module('mod_17\\n')")


@case(ABSENT, module="mod_17:main", says=["entry point"], typed=False)
def entry_point(case):
    case.module()
    case.main("import importlib\nimportlib.import_module('mod_17:main')")


@case("missing-attribute", path="site/mod_17", says=[r"_init_\.py"], typed=False)
def init_is_misspelt(case):
    case.module(case.lab.site / "mod_17/_init_.py")
    case.searches(case.lab.site)
    case.main("from mod_17 import name")


@case("case-mismatch", module="Json", path="json", typed=False)
def case_of_a_standard_module(case):
    case.main("import Json")


@case(ABSENT, path=None, says=[r"mod_17\.c lies in /\S+/work:", r"build the extension from /\S+/work/mod_17\.c"],
      typed=False)
def source_in_the_current_directory(case):
    case.module("mod_17.c")
    case.argv = [case.debian.path, "-c", "import mod_17"]


# -- files that took the name -------------------------------------------------------------------
@case("shadowed", path="work/mod_17/__init__.py", alone="missing-attribute", says=[r"work/mod_17\.py"])
def package_beside_the_module(case):
    case.module("mod_17/__init__.py", "")
    case.module()
    case.main("from mod_17 import name")


@case("shadowed", path="a/mod_17/__init__.py", alone="missing-attribute", says=["b/mod_17"])
def older_copy_first(case):
    for name, text in (("a", ""), ("b", "def name():\n    pass\n")):
        (case.lab.root / name).mkdir()
        install(case.lab.root / name, "mod_17", "1." + name, {"mod_17/__init__.py": text})
    case.searches(case.lab.root / "a", case.lab.root / "b")
    case.main("from mod_17 import name")


@case("shadowed", path=r"mod_17\.\S+\.so", alone="missing-attribute", says=[r"mod_17\.py"])
def old_build_beside_the_source(case):
    extension(case.debian, "mod_17", case.lab.site, source="abi-tag-mismatch/native.c")
    case.module(case.lab.site / "mod_17.py")
    case.searches(case.lab.site)
    case.main("from mod_17 import name")


@case("shadowed", module="pkg_17.two", path="a/pkg_17/__init__.py", alone=ABSENT, says=[r"b/pkg_17/two\.py"])
def package_in_two_halves(case):
    """One has an __init__.py with something in it: neither half can be done without."""
    case.module(case.lab.root / "a/pkg_17/__init__.py", "VERSION = 1")
    case.module(case.lab.root / "a/pkg_17/one.py")
    case.module(case.lab.root / "b/pkg_17/two.py")
    case.searches(case.lab.root / "a", case.lab.root / "b")
    case.main("import pkg_17.one\nimport pkg_17.two\nassert pkg_17.VERSION")


@case(ELSEWHERE, path="work/vendor/mod_17.py", alone=ABSENT, says=["no string, but of type bytes", r"os\.fsdecode"])
def path_in_bytes(case):
    case.module("vendor/mod_17.py")
    case.main("import os, sys\nsys.path.append(os.fsencode(os.path.abspath('vendor')))\nimport mod_17")


# -- builds for others --------------------------------------------------------------------------
@case("abi-tag-mismatch", path=r"mod_17.cpython-399-x86_64-linux-gnu.so", typed=False)
def own_build_of_another_version(case):
    case.module(case.lab.site / "mod_17.cpython-399-x86_64-linux-gnu.so", "\x7fELF")
    case.searches(case.lab.site)
    case.main()


@pytest.mark.parametrize("make,expected", CASES)
def test_cause(lab, debian, make, expected):
    made = Case(lab, debian)
    make(made)
    run = lab.recorded(made.argv, made.env, cwd=made.cwd)
    assert run.returncode and MENDED not in run.stdout, "it works"
    status, report = lab.analyze(run.trace)
    assert report["findings"], run.text
    finding = report["findings"][0]
    assert (finding["module"], finding["cause"], finding["outcome"], status) == (
        expected["module"], expected["cause"], "fatal", 1), listed(report)
    if expected["path"]:
        assert re.search(expected["path"] % {"minor": debian.minor} + "$", finding["path"] or ""), finding["path"]
    else:
        assert finding["path"] is None
    for words in expected["says"]:
        assert re.search(words, told(finding)), told(finding)
    check_fixes(finding)
    again = " ".join(shlex.quote(str(a)) for a in made.argv)
    assert again not in commands(finding), "the command that has just failed"
    _, alone = lab.analyze(run.trace, "--no-host")
    assert [f["cause"] for f in alone["findings"]][:1] == [expected["alone"]], listed(alone)
    if not expected["typed"]:
        return
    first = [c for c in commands(finding) if not re.search(NETWORK, c)][:1]
    assert first, "nothing to type: %r" % (finding["fixes"],)
    after = lab.execute(["sh", "-c", "%s\n%s\n" % (first[0], again)], made.env, cwd=made.cwd)
    assert MENDED in after.stdout, "%s\n%s" % (first[0], after.text)


def test_line_of_a_pth_file_fails_and_nothing_else(lab, debian):
    """It is told on its own: whoever wrote that line wanted it, and Python only printed the error."""
    made = Case(lab, debian)
    python, site = made.venv("v")
    (site / "hook.pth").write_text("import gone_17\n")
    (site / "careful.pth").write_text("import sys; exec('try:\\n import absent_17\\nexcept ImportError: pass')\n")
    made.main("print(17)", python=python)
    run = lab.recorded(made.argv, made.env)
    assert run.returncode == 0 and "Error processing line 1 of" in run.text
    status, report = lab.analyze(run.trace)
    finding, = report["findings"]
    assert (finding["module"], finding["cause"], finding["outcome"], status) == (
        "gone_17", ABSENT, "handled", 0)
    assert "line 1 of %s asked for gone_17" % (site / "hook.pth") in told(finding)


def newest():
    found = [p for p in interpreters.every() if p.version >= (3, 13)]
    return found[0] if found else pytest.skip("needs a Python from which modules were removed")


@pytest.mark.parametrize("module,brings", [("audioop", "audioop-lts"), ("cgi", "legacy-cgi"),
                                           ("telnetlib", None)])
def test_removed_from_the_standard_library(lab, module, brings):
    """No build of that version has it, be it an extension or not."""
    python = newest()
    run = lab.recorded([python.path, script(lab, "import %s\n" % module).argv(python)[-1]],
                       lab.env(PYTHONPATH=None))
    status, report = lab.analyze(run.trace)
    finding = report["findings"][0]
    assert (finding["module"], finding["cause"], status) == (module, ABSENT, 1), listed(report)
    assert "3.13" in told(finding)
    assert not brings or any(brings in c for c in commands(finding)), finding["fixes"]


def test_optional_modules_on_an_odd_path(lab, debian):
    """Entries that name nothing, names much like others: a program that copes with it is healthy."""
    lab.module("yaml_17/__init__")
    env = lab.env(PYTHONPATH="%s:~/lib:$HOME/x:/nowhere;/x:%s" % (lab.site, lab.site / "gone"))
    lab.module("pkg_17/__init__", "try:\n    from . import _speed\nexcept ImportError:\n    _speed = None\n")
    lab.write(lab.site / "pkg_17/_speed.pyx")
    names = ["pkg_17", "simplejson_17", "Queue", "yaml_71", "mod_17", "pkg_17.x", "msvcrt",
             "audioop_17", "yaml_17.fast"]
    blameless(lab, [debian.path, "-c", "import pathlib, sys\nsys.path.append(pathlib.Path('/'))\n" + "".join(
        "try:\n    import %s\nexcept ImportError:\n    pass\n" % n for n in names)], env=env)
