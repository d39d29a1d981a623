# SPDX-License-Identifier: GPL-2.0-or-later
"""installed-elsewhere: the module is on this machine, where this interpreter does not look; and
shadowed: another file took its name."""
import os
import re
import subprocess

import pytest

import shapes
from verdict import ANY, diagnose, facts, remedies

# What the trace alone can say where the evidence lies on the host's disk.
HOST_ONLY = ("installed-elsewhere", "not-installed")


def by_name(shape):
    return shape.__name__


def make_venv(python, where):
    subprocess.run([python.path, "-m", "venv", "--without-pip", str(where)], check=True,
                   env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
                   stdout=subprocess.DEVNULL)
    return where / "lib" / ("python" + python.minor) / "site-packages", where / "bin" / "python"


# -- installed-elsewhere --------------------------------------------------------------------
@pytest.mark.parametrize("shape", [shapes.script, shapes.dash_m, shapes.reraised],
                         ids=by_name)
@pytest.mark.parametrize("name", [".venv", "venv", "env"])
def test_venv_beside_the_script(lab, python, shape, name):
    site, venv_python = make_venv(python, lab.dir / name)
    path = lab.write(site / "elsewhere_17.py", "answer = 17\n")
    finding = diagnose(lab, python, shape(lab, "import elsewhere_17"),
                       cause="installed-elsewhere", module="elsewhere_17", path=path,
                       no_host=HOST_ONLY, says=[re.escape(str(site))])
    assert any(str(venv_python) in r or "activate" in r for r in remedies(finding)), (
        finding["fixes"])


def test_venv_one_directory_up(lab, debian):
    site, _ = make_venv(debian, lab.dir / ".venv")
    path = lab.write(site / "elsewhere_17" / "__init__.py", "answer = 17\n")
    script = lab.write("tools/deep.py", "import elsewhere_17\n")
    diagnose(lab, debian, shapes.Program([script], (str(script), 1)), no_host=HOST_ONLY,
             cause="installed-elsewhere", module="elsewhere_17", path=(path, path.parent))


@pytest.mark.parametrize("how", ["-s", "-I", "PYTHONNOUSERSITE"])
@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module], ids=by_name)
def test_user_site_switched_off(lab, python, how, shape):
    path = lab.write(python.user_site(lab.home) / "elsewhere_17.py", "answer = 17\n")
    program = shape(lab, "import elsewhere_17")
    assert lab.bare(program.argv(python)).returncode == 0, "the user site should be on"
    if how.startswith("-"):
        program.args.insert(0, how)
    else:
        program.env = lab.env(PYTHONNOUSERSITE="1")
    finding = diagnose(lab, python, program, cause="installed-elsewhere", path=path,
                       module="elsewhere_17", no_host=HOST_ONLY, says=[r"(?i)user.?site"])
    assert how in facts(finding) + "".join(remedies(finding)), "does not say that %s did it" % how


def test_user_site_off_in_a_venv(lab, python):
    """A venv has no user site unless it was made with --system-site-packages."""
    path = lab.write(python.user_site(lab.home) / "elsewhere_17.py", "answer = 17\n")
    _, venv_python = make_venv(python, lab.root / "made")
    program = shapes.script(lab, "import elsewhere_17")
    program.argv = lambda _: [str(venv_python), *program.args]
    diagnose(lab, python, program, cause="installed-elsewhere", module="elsewhere_17", path=path,
             no_host=HOST_ONLY, says=["(?i)venv|virtual"])


@pytest.mark.parametrize("how", ["-E", "-I"])
@pytest.mark.parametrize("shape", [shapes.script, shapes.thread], ids=by_name)
def test_pythonpath_dropped(lab, python, how, shape):
    path = lab.module("elsewhere_17", "answer = 17\n")
    program = shape(lab, "import elsewhere_17")
    assert lab.bare(program.argv(python)).returncode == 0
    program.args.insert(0, how)
    finding = diagnose(lab, python, program, cause="installed-elsewhere", path=path,
                       module="elsewhere_17", no_host=HOST_ONLY, says=["PYTHONPATH"])
    assert how in facts(finding) + "".join(remedies(finding))


def test_pythonpath_dropped_by_env_i(lab, debian):
    """sudo, cron and services start a child with a cleaned environment."""
    path = lab.module("elsewhere_17", "answer = 17\n")
    child = lab.write("child.py", "import elsewhere_17\n")
    parent = lab.write("parent.py", "import os, subprocess, sys\nenv = dict(os.environ)\n"
                       "env.pop('PYTHONPATH')\n"
                       "sys.exit(subprocess.call([sys.executable, %r], env=env))\n" % str(child))
    diagnose(lab, debian, shapes.Program([parent], (str(child), 1)), path=path,
             cause="installed-elsewhere", module="elsewhere_17", no_host=HOST_ONLY,
             says=["PYTHONPATH"])


@pytest.mark.parametrize("shape", [shapes.script, shapes.inside_package], ids=by_name)
def test_entry_removed_at_run_time(lab, python, shape):
    lost = lab.root / "lost"
    path = lab.write(lost / "elsewhere_17.py", "answer = 17\n")
    program = shape(lab, "import elsewhere_17")
    lab.module("early_17")
    lab.module("sitecustomize", "import sys, early_17\n")
    main = lab.write("removes.py", "import sys, wave\nsys.path.remove(%r)\n"
                     "exec(compile(open(%r).read(), %r, 'exec'))\n" % (
                         str(lost), str(program.args[0]), str(program.args[0])))
    program.args = [main]
    program.env = lab.env(PYTHONPATH="%s:%s" % (lost, lab.site))
    diagnose(lab, python, program, cause="installed-elsewhere", module="elsewhere_17", path=path,
             no_host=HOST_ONLY, says=[re.escape(str(lost)), "(?i)remove|no longer|gone|lost"])


@pytest.mark.parametrize("place", [".pyenv/versions/3.98.7", "miniconda3", ".virtualenvs/work",
                                   "miniconda3/envs/science", ".conda/envs/science"])
def test_pyenv_and_conda_places(lab, python, place):
    """The usual homes of other interpreters, below the user's own."""
    root = lab.home / place
    path = lab.write(root / "lib" / ("python" + python.minor) / "site-packages/elsewhere_17.py")
    (root / "bin").mkdir()
    for name in ("python", "python3", "python" + python.minor):
        (root / "bin" / name).symlink_to(python.path)
    if "conda" in place:
        (root / "conda-meta").mkdir()
        lab.write(lab.home / ".conda/environments.txt", str(root) + "\n")
    if "virtualenv" in place:
        lab.write(root / "pyvenv.cfg", "home = /usr/bin\n")
    diagnose(lab, python, shapes.script(lab, "import elsewhere_17"), path=path, no_host=HOST_ONLY,
             cause="installed-elsewhere", module="elsewhere_17", says=[re.escape(str(root))])


DEBIAN_SITE = "/usr/lib/python3/dist-packages"


def test_other_interpreters_site(lab, python):
    """A module of Debian's, asked of a Python that is not."""
    if python.is_debian:
        pytest.skip("needs an interpreter that is not Debian's")
    for name in ("appdirs", "httplib2", "distro", "pytest", "pluggy", "iniconfig"):
        there = [os.path.join(DEBIAN_SITE, name + ".py"),
                 os.path.join(DEBIAN_SITE, name, "__init__.py")]
        there = [p for p in there if os.path.exists(p)]
        bare = lab.bare([python.path, "-c", "import " + name])
        if there and bare.returncode:
            break
    else:
        pytest.skip("Debian has no module here that %s lacks" % python.id)
    finding = diagnose(lab, python, shapes.script(lab, "import " + name), module=name,
                       cause="installed-elsewhere", path=ANY, no_host=HOST_ONLY)
    assert finding["path"], "which file?"
    assert os.path.exists(finding["path"])
    assert DEBIAN_SITE in facts(finding) or finding["path"] not in there


@pytest.mark.parametrize("how", ["subprocess", "exec"])
def test_child_with_another_interpreter(lab, debian, how):
    """The parent runs in a venv that has it; the child is started as plain python3."""
    site, venv_python = make_venv(debian, lab.root / "made")
    path = lab.write(site / "elsewhere_17.py", "answer = 17\n")
    child = lab.write("child.py", "import elsewhere_17\n")
    start = {"subprocess": "sys.exit(subprocess.call(['/usr/bin/python3', %r]))",
             "exec": "os.execv('/usr/bin/python3', ['python3', %r])"}[how] % str(child)
    parent = lab.write("parent.py", "import elsewhere_17, os, subprocess, sys\n" + start + "\n")
    program = shapes.Program([parent], (str(child), 1), env=lab.env(PYTHONPATH=None))
    program.argv = lambda _: [str(venv_python), *program.args]
    finding = diagnose(lab, debian, program, cause="installed-elsewhere", module="elsewhere_17",
                       path=path, no_host=HOST_ONLY, says=[re.escape(str(venv_python))])
    pids = {p["pid"] for p in finding["_report"]["processes"]}
    assert len(pids) == (2 if how == "subprocess" else 1)


# -- shadowed -------------------------------------------------------------------------------
def test_script_named_like_a_stdlib_module(lab, python):
    """random.py imports random, and gets itself."""
    path = lab.write("random.py", "import random\nprint(random.randint(17, 17))\n")
    program = shapes.Program([path], (str(path), 1))
    diagnose(lab, python, program, cause="shadowed", module="random", path=path, importer=False,
             bare_says="AttributeError", no_host=False, says=[re.escape(str(path))])


@pytest.mark.parametrize("victim,name,kind", [
    ("random", "randint", "file"), ("random", "randint", "package"),
    ("calendar", "monthrange", "file"), ("shlex", "quote", "package")])
def test_file_beside_the_script_takes_a_stdlib_name(lab, python, victim, name, kind):
    path = lab.write(victim + ".py" if kind == "file" else victim + "/__init__.py", "mine = 1\n")
    script = lab.write("main.py", "import sys\nfrom %s import %s\n" % (victim, name))
    finding = diagnose(lab, python, shapes.Program([script], (str(script), 2)), cause="shadowed",
                       module=victim, path=path, bare_says="cannot import name", no_host=False,
                       importer=False)
    assert python.stdlib in facts(finding), "the file that was meant: " + facts(finding)


def test_shadow_hits_a_module_of_the_library(lab, python):
    """The script asks for something else, and that asks for the name that was taken."""
    path = lab.write("random.py", "mine = 1\n")
    script = lab.write("main.py", "import tempfile\n")
    finding = diagnose(lab, python, shapes.Program([script], (str(script), 1)), cause="shadowed",
                       module="random", path=path, importer=False, no_host=False,
                       bare_says="cannot import name|has no attribute")
    assert any("tempfile.py" in (i["file"] or "") for i in finding["importers"]), (
        finding["importers"])


@pytest.mark.parametrize("shape", [shapes.script, shapes.import_module, shapes.handled,
                                   shapes.reraised], ids=by_name)
def test_module_shadows_a_package(lab, python, shape):
    """numpyish.py beside the script, where a package numpyish is installed."""
    lab.module("numpyish/__init__", "version = 17\n")
    lab.module("numpyish/core", "answer = 17\n")
    early = lab.root / "early"
    path = lab.write(early / "numpyish.py", "mine = 1\n")
    program = shape(lab, "import numpyish.core")
    program.env = lab.env(PYTHONPATH="%s:%s" % (early, lab.site))
    finding = diagnose(lab, python, program, cause="shadowed", path=path,
                       module=("numpyish.core", "numpyish"), no_host=("shadowed", "not-installed"),
                       says=[re.escape(str(lab.site / "numpyish"))])
    assert "not a package" in finding["error"]["message"]


def test_package_shadows_a_package(lab, python):
    """By the order of sys.path; the later one has the part that is asked for."""
    lab.module("numpyish/__init__", "version = 17\n")
    lab.module("numpyish/core", "answer = 17\n")
    early = lab.root / "early"
    path = lab.write(early / "numpyish/__init__.py", "mine = 1\n")
    program = shapes.script(lab, "import numpyish.core")
    program.env = lab.env(PYTHONPATH="%s:%s" % (early, lab.site))
    both = ("shadowed", "mixed-installation")	# no metadata tells which of the two it is
    diagnose(lab, python, program, cause=both, path=(path, path.parent),
             module=("numpyish.core", "numpyish"), says=[re.escape(str(lab.site / "numpyish"))],
             no_host=both + ("not-installed",))


def test_shadow_that_works_is_no_finding(lab, python):
    """A file that takes a name and serves it does no harm."""
    lab.write("random.py", "def randint(a, b):\n    return a\n")
    script = lab.write("main.py", "from random import randint\nprint(randint(17, 18))\n")
    bare = lab.bare([python.path, script])
    assert bare.stdout == b"17\n"
    run = lab.traced([python.path, script], bare=bare)
    assert lab.analyze(run.trace)[1]["findings"] == []
