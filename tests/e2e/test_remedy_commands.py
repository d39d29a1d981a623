# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that are typed as printed: in the program's directory, in its environment.

Each case is built, fails bare, is diagnosed; then the commands that need no network are run, and the
program with them.  What the evidence contradicts must not be offered: a stranger's distribution from
PyPI for the project's own module, the command that has just failed, a link that leads nowhere.
"""
import os
import re
import shlex
import shutil
import subprocess

import pytest

import interpreters
from distributions import record_line
from remedy_cases import DONE, MENDED, Sandbox, mended, script

PIP = r"\bpip3? install\b"


@pytest.fixture
def sandbox(lab, debian):
    """A virtual environment of Debian's interpreter."""
    return Sandbox(lab, debian)


def commands(finding):
    found = [f["command"] for f in finding["fixes"] if f["command"]]
    assert not any("\n" in c for c in found), found
    return found


def told(finding):
    return finding["summary"] + "\n" + "\n".join(e["fact"] for e in finding["evidence"])


def ask(lab, argv, *, cause="installed-elsewhere", env=None, cwd=None, module=None):
    """Run it bare and traced; the finding."""
    env = env or lab.env(PYTHONPATH=None)
    bare = lab.bare(argv, env, cwd=cwd)
    assert bare.returncode != 0 and MENDED not in bare.stdout, bare.text
    run = lab.traced(argv, env, bare=bare, cwd=cwd)
    finding = lab.analyze(run.trace)[1]["findings"][0]
    assert finding["cause"] == cause, (finding["cause"], finding["summary"])
    for alone in lab.analyze(run.trace, "--no-host")[1]["findings"]:	# less is known, and no command is worse
        assert not any("\n" in (f["command"] or "") for f in alone["fixes"])
    if module:
        assert finding["module"] == module
    again = " ".join(shlex.quote(str(a)) for a in argv)
    assert again not in commands(finding), "the command that has just failed"
    return finding


def type_in(lab, command, *, again=None, env=None, cwd=None, shell="sh"):
    """Type a command, and after it what it is to mend; the program must get to its end."""
    text = command + "\n"
    if again:
        text += " ".join(shlex.quote(str(a)) for a in again) + "\n"
    run = lab.execute([shell, "-c", text], env or lab.env(PYTHONPATH=None), cwd=cwd)
    assert run.returncode == 0 and MENDED in run.stdout, "%s\n%s" % (command, run.text)


def make_venv(python, where, *options):
    subprocess.run([python.path, "-m", "venv", "--without-pip", *options, str(where)], check=True,
                   env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}, stdout=subprocess.DEVNULL)
    return where / "bin" / "python", where / "lib" / ("python" + python.minor) / "site-packages"


# -- directories of the project -------------------------------------------------------------
def check_project(finding):
    assert not any(re.search(PIP, c) and " -e " not in c for c in commands(finding)), finding["fixes"]
    assert " searches " not in told(finding), told(finding)


def test_package_in_the_working_directory(lab, python):
    lab.write("mypkg/__init__.py")
    lab.write("mypkg/x.py")
    lab.write("scripts/a.py", "import mypkg.x\n" + DONE)
    finding = ask(lab, [python.path, "scripts/a.py"], module="mypkg")
    check_project(finding)
    for command in commands(finding):
        type_in(lab, command)


def test_pythonpath_is_kept(lab, debian):
    lab.module("needed_17")
    lab.write("mypkg/__init__.py", "import needed_17\n")
    lab.write("scripts/a.py", "import mypkg\n" + DONE)
    env = lab.env()
    finding = ask(lab, [debian.path, "scripts/a.py"], module="mypkg", env=env)
    type_in(lab, commands(finding)[0], env=env)


@pytest.mark.parametrize("name,shell", [("my project", "sh"), ("it's $HOME", "sh"), ("two\nlines", "bash"),
                                        ("\u00e4", "sh")])
def test_strange_directory(lab, debian, name, shell):
    where = lab.dir / name
    lab.write(where / "mypkg.py")
    lab.write(where / "scripts/a.py", "import mypkg\n" + DONE)
    finding = ask(lab, [debian.path, "scripts/a.py"], module="mypkg", cwd=where)
    type_in(lab, commands(finding)[0], cwd=where, shell=shell)


def test_program_of_several_lines(lab, debian):
    """Nobody types that again: the variable is set for the next run."""
    lab.write("src/mypkg.py")
    argv = [debian.path, "-c", "import mypkg\n" + DONE]
    finding = ask(lab, argv, module="mypkg")
    check_project(finding)
    type_in(lab, commands(finding)[0], again=argv)


def test_script_inside_its_package(lab, python):
    lab.write("pkg/__init__.py")
    lab.write("pkg/util.py")
    lab.write("pkg/run.py", "import sys\nimport pkg.util\nassert sys.argv[1:] == ['-v', 'a b']\n" + DONE)
    finding = ask(lab, [python.path, "-B", "pkg/run.py", "-v", "a b"], module="pkg")
    check_project(finding)
    assert commands(finding)[0].endswith(" -B -m pkg.run -v 'a b'")
    for command in commands(finding):
        type_in(lab, command)


def test_script_inside_its_package_from_elsewhere(lab, debian):
    lab.write("top/pkg/__init__.py")
    lab.write("top/pkg/sub/__init__.py")
    lab.write("top/pkg/sub/__main__.py", "import pkg\n" + DONE)
    finding = ask(lab, [debian.path, "top/pkg/sub/__main__.py"], module="pkg")
    assert commands(finding)[0].endswith(" -m pkg.sub")
    for command in commands(finding):
        type_in(lab, command)


@pytest.mark.parametrize("script_name", ["run.py", "run-it.py", "run"])
def test_script_that_is_no_module(lab, debian, script_name):
    """It uses what lies beside it by a bare name, or has no name that could be imported: no -m."""
    lab.write("pkg/__init__.py")
    lab.write("pkg/beside_17.py")
    lab.write("pkg/" + script_name, ("import beside_17\n" if script_name == "run.py" else "") +
              "import pkg\n" + DONE)
    finding = ask(lab, [debian.path, "pkg/" + script_name], module="pkg")
    assert not any(" -m pkg" in c for c in commands(finding)), finding["fixes"]
    for command in commands(finding):
        type_in(lab, command)


@pytest.mark.parametrize("text,offered", [("[project]\nname = 'mypkg'\n", True),
                                          ("[tool.black]\nline-length = 99\n", False)])
def test_src_layout(lab, debian, text, offered):
    lab.write("src/mypkg/__init__.py")
    lab.write("pyproject.toml", text)
    lab.write("tests/test_a.py", "import mypkg\n" + DONE)
    finding = ask(lab, [debian.path, "tests/test_a.py"], module="mypkg")
    check_project(finding)
    type_in(lab, commands(finding)[0])
    assert any(c.endswith(" -m pip install -e .") for c in commands(finding)) == offered, finding["fixes"]


def test_lib_beside_the_script(lab, python):
    lab.write("proj/lib/helper_17.py")
    lab.write("proj/a.py", "import helper_17\n" + DONE)
    finding = ask(lab, [python.path, "proj/a.py"], module="helper_17")
    check_project(finding)
    type_in(lab, commands(finding)[0])


def test_relative_entry_and_chdir(lab, python):
    lab.write("lib/helper_17.py")
    lab.write("a.py", "import os, sys\nsys.path.insert(0, 'lib')\nos.chdir('/')\nimport helper_17\n" + DONE)
    finding = ask(lab, [python.path, "a.py"], module="helper_17")
    assert finding["path"] == str(lab.dir / "lib/helper_17.py")
    assert "working directory" in told(finding)
    type_in(lab, commands(finding)[0])


# -- options and variables ------------------------------------------------------------------
@pytest.mark.parametrize("options", [["-S"], ["-BS"], ["-S", "-W", "ignore", "-X", "dev"]])
def test_without_site(lab, python, options):
    venv_python, site = make_venv(python, lab.dir / "v")
    lab.write(site / "proj_17.py")
    lab.write("a.py", "import proj_17\n" + DONE)
    finding = ask(lab, [venv_python, *options, "a.py"], module="proj_17")
    assert "the option -S" in told(finding) and "not used" not in told(finding)
    command = commands(finding)[0]
    assert "S" not in "".join(w for w in shlex.split(command) if re.match("-[A-Za-z]", w))
    type_in(lab, command)


@pytest.mark.parametrize("option", ["-I", "-P", "-E", "-s"])
def test_option_that_hides_it(lab, debian, option):
    env = lab.env()
    lab.write({"-E": lab.site, "-s": debian.user_site(lab.home)}.get(option, lab.dir) / "helper_17.py")
    lab.write("a.py", "import helper_17\n" + DONE)
    finding = ask(lab, [debian.path, option, "a.py"], module="helper_17", env=env)
    assert "the option %s " % option in told(finding)
    assert not any(re.search(PIP, c) for c in commands(finding))
    type_in(lab, commands(finding)[0], env=env)


@pytest.mark.parametrize("variable", ["PYTHONSAFEPATH", "PYTHONNOUSERSITE"])
def test_variable_that_hides_it(lab, debian, variable):
    lab.write((lab.dir if "SAFE" in variable else debian.user_site(lab.home)) / "helper_17.py")
    lab.write("a.py", "import helper_17\n" + DONE)
    env = dict(lab.env(PYTHONPATH=None), **{variable: "1"})
    argv = [debian.path, "a.py"]
    finding = ask(lab, argv, module="helper_17", env=env)
    assert variable in finding["summary"] and "option" not in finding["summary"]
    assert commands(finding)[0] == "unset " + variable
    type_in(lab, commands(finding)[0], again=argv, env=env)


def test_home_of_another(lab, python):
    if python.is_debian:
        pytest.skip("Debian's interpreter finds its library all the same")
    env = dict(lab.env(PYTHONPATH=None), PYTHONHOME="/nonexistent")
    argv = [python.path, "-c", DONE.strip()]
    bare = lab.bare(argv, env)
    assert bare.returncode != 0
    run = lab.traced(argv, env, bare=bare)
    finding = lab.analyze(run.trace)[1]["findings"][0]
    assert "PYTHONHOME" in told(finding)
    assert commands(finding) == ["unset PYTHONHOME"]
    type_in(lab, commands(finding)[0], again=argv, env=env)


def test_variable_lost_on_the_way(lab, debian):
    path = lab.module("proj_17")
    child = lab.write("a.py", "import proj_17\n" + DONE)
    parent = lab.write("parent.py", "import os, subprocess, sys\nenv = dict(os.environ)\n"
                       "del env['PYTHONPATH']\n"
                       "sys.exit(subprocess.call([sys.executable, %r], env=env))\n" % str(child))
    finding = ask(lab, [debian.path, parent], module="proj_17", env=lab.env())
    assert finding["path"] == str(path)
    assert commands(finding)[0] == "PYTHONPATH=%s %s %s" % (lab.site, debian.path, child) or (
        commands(finding)[0].startswith("PYTHONPATH=%s /" % lab.site))
    assert not any(re.search(PIP, c) for c in commands(finding))
    type_in(lab, commands(finding)[0])


# -- virtual environments -------------------------------------------------------------------
def test_install_into_the_environment_that_runs(lab, python):
    """A virtual environment is never "externally managed", whatever its base is."""
    box = Sandbox(lab, python)
    del box.env["PIP_NO_CACHE_DIR"]	# the pip of Python 3.6 stumbles over it
    if lab.bare([box.path, "-m", "pip", "--version"], box.env).returncode:
        pytest.skip("no pip for " + python.id)
    box.wheel("absent_17", {"absent_17.py": ""}, install=False)
    finding = mended(lab, box, script(lab, "import absent_17\n"), cause="not-installed")
    command = finding["fixes"][0]["command"]
    assert command == "%s -m pip install absent-17" % box.path
    assert finding["fixes"][0]["confidence"] == "possible"	# anybody may register that name


def test_environment_without_pip(lab, sandbox):
    venv_python, _ = make_venv(sandbox.base, lab.dir / "nopip")
    sandbox.wheel("absent_17", {"absent_17.py": ""}, install=False)
    argv = [venv_python, script(lab, "import absent_17\n")]
    finding = ask(lab, argv, cause="not-installed", env=sandbox.env)
    assert "%s -m ensurepip --upgrade && " % venv_python in commands(finding)[0]
    if "apt install" in commands(finding)[0]:
        pytest.skip("this machine has no ensurepip")
    type_in(lab, commands(finding)[0], again=argv, env=sandbox.env)


def test_new_environment_is_said(lab, sandbox):
    """The system manages its Python (PEP 668): the command makes an environment, and says so."""
    if not os.path.exists(os.path.join(sandbox.base.stdlib, "EXTERNALLY-MANAGED")):
        pytest.skip("no EXTERNALLY-MANAGED here")
    sandbox.wheel("absent_17", {"absent_17.py": ""}, install=False)
    program = script(lab, "import absent_17\n")
    finding = ask(lab, [sandbox.base.path, program.name], cause="not-installed", env=sandbox.env)
    fix = finding["fixes"][0]
    if "apt install" in fix["command"]:
        pytest.skip("this machine has no ensurepip")
    assert " -m venv " in fix["command"] and "virtual environment, .venv," in fix["effect"]
    assert "this very interpreter" not in fix["effect"]
    assert ".venv/bin/python prog.py" in fix["effect"]
    type_in(lab, fix["command"], again=[".venv/bin/python", "prog.py"], env=sandbox.env)
    finding = ask(lab, [sandbox.base.path, program.name], env=sandbox.env)	# now it is elsewhere: there
    assert commands(finding)[0] == "%s/.venv/bin/python prog.py" % lab.dir
    type_in(lab, commands(finding)[0], env=sandbox.env)


def test_interpreter_of_the_environment_is_gone(lab, debian):
    venv_python, site = make_venv(debian, lab.dir / "v", "--system-site-packages")
    lab.write(site / "proj_17.py")
    for link in venv_python.parent.glob("python*"):
        link.unlink()
    venv_python.symlink_to("/nonexistent/python3")
    (venv_python.parent / "python3").symlink_to("python")
    finding = ask(lab, [debian.path, script(lab, "import proj_17\n")], module="proj_17")
    assert "link to nothing" in finding["summary"]
    type_in(lab, commands(finding)[0])
    assert "include-system-site-packages = true" in (lab.dir / "v/pyvenv.cfg").read_text()


def test_environment_that_another_version_took_over(lab, debian):
    """Its base was upgraded in place: what was installed before is no longer searched by its python."""
    venv_python, site = make_venv(debian, lab.dir / "v")
    site.parent.rename(site.parent.parent / "python3.5")
    lab.write("v/lib/python3.5/site-packages/proj_17.py")
    finding = ask(lab, [debian.path, script(lab, "import proj_17\n")], module="proj_17")
    assert not any(str(venv_python) in c for c in commands(finding)), finding["fixes"]
    assert "%s searches" % venv_python not in told(finding)


def test_lib64_of_the_environment(lab, debian):
    """Filled by the rules of another system: of the same version, and not searched."""
    venv_python, site = make_venv(debian, lab.dir / "v")
    (lab.dir / "v/lib64").unlink(missing_ok=True)
    lab.write("v/lib64/python%s/site-packages/proj_17.py" % debian.minor)
    finding = ask(lab, [venv_python, script(lab, "import proj_17\n")], module="proj_17")
    assert "made for Python" not in finding["summary"], finding["summary"]
    type_in(lab, commands(finding)[0])


def test_worker_that_lacks_a_module(lab, debian):
    """What is run again is the program: nobody can type the command line of a worker."""
    _, site = make_venv(debian, lab.dir / "v")
    lab.write(site / "proj_17.py")
    program = script(lab, "import multiprocessing, sys\n"
                     "if __name__ == '__mp_main__':\n    import proj_17\n"
                     "def work():\n    pass\n"
                     "if __name__ == '__main__':\n"
                     "    p = multiprocessing.get_context('spawn').Process(target=work)\n"
                     "    p.start()\n    p.join()\n"
                     "    if p.exitcode:\n        sys.exit(p.exitcode)\n")
    finding = ask(lab, [debian.path, program], module="proj_17")
    assert "multiprocessing" not in "".join(f["effect"] for f in finding["fixes"]), finding["fixes"]
    type_in(lab, commands(finding)[0])


def test_own_prefix_is_no_environment(lab, debian):
    """A Python that was upgraded where it stands: `-m venv` in its prefix would break it."""
    prefix = lab.root / "pf"
    lab.write(prefix / "lib/python3.5/site-packages/proj_17.py")
    (prefix / "lib" / ("python" + debian.minor)).symlink_to(debian.stdlib)
    (prefix / "bin").mkdir()
    own = shutil.copy(debian.path, prefix / "bin")
    assert lab.bare([own, "-c", "import sys; print(sys.prefix)"]).stdout.decode() == "%s\n" % prefix
    finding = ask(lab, [own, script(lab, "import proj_17\n")], module="proj_17")
    assert "pyvenv" not in told(finding) and "3.5" in finding["summary"]
    assert not any("-m venv" in c and str(prefix) in c.split("-m venv")[1]
                   for c in commands(finding)), finding["fixes"]


def test_child_left_the_environment(lab, debian):
    """A link to the same file as the parent's: only the prefix tells them apart."""
    venv_python, site = make_venv(debian, lab.root / "made")
    lab.write(site / "proj_17.py")
    child = script(lab, "import proj_17\n")
    parent = lab.write("parent.py", "import subprocess, sys, proj_17\n"
                       "sys.exit(subprocess.call(['python3', %r]))\n" % str(child))
    finding = ask(lab, [venv_python, parent], module="proj_17")
    assert re.search(r"was started by process \d+, which runs " + re.escape(str(venv_python)), told(finding))
    assert any("sys.executable" in f["effect"] for f in finding["fixes"])
    type_in(lab, commands(finding)[0])


# -- what pip has nothing to do with --------------------------------------------------------
@pytest.mark.parametrize("file", ["utils_17/__init__.py", "utils_17/other.py"])
def test_part_that_a_local_package_lacks(lab, debian, file):
    """utils_17/other.py alone: a namespace package."""
    lab.write(file)
    lab.write("a.py", "import utils_17.db\n" + DONE)
    finding = ask(lab, [debian.path, "a.py"], cause="not-installed")
    assert not any(re.search(PIP, c) for c in commands(finding)), finding["fixes"]
    assert not any("this copy" in f["effect"] for f in finding["fixes"])


def test_part_that_an_installed_package_lacks(lab, sandbox):
    sandbox.wheel("pkg_17", {"pkg_17/__init__.py": ""})
    finding = ask(lab, [sandbox.path, script(lab, "import pkg_17.db\n")], cause="not-installed",
                  env=sandbox.env)
    assert "%s -m pip install --force-reinstall pkg-17" % sandbox.path in commands(finding)


def test_submodule_that_was_not_checked_out(lab, debian):
    """git makes an empty directory of it."""
    (lab.dir / "third party/proj_17").mkdir(parents=True)
    lab.write(".gitmodules", '[submodule "p"]\n\tpath = third party/proj_17\n\turl = https://a.invalid/p\n')
    program = script(lab, "import sys; sys.path.insert(0, %r)\nfrom proj_17 import answer\n"
                     % str(lab.dir / "third party"))
    finding = ask(lab, [debian.path, program], module="proj_17", cause="missing-attribute")
    assert commands(finding)[0] == "git -C %s submodule update --init 'third party/proj_17'" % lab.dir


def test_namespace_package_of_ones_own(lab, debian):
    """Anybody may have registered that name."""
    lab.write("utils_17/other.py")
    finding = ask(lab, [debian.path, script(lab, "from utils_17 import answer\n")],
                  module="utils_17", cause="missing-attribute")
    assert finding["fixes"] and not commands(finding), finding["fixes"]


def test_library_that_a_path_names(lab, debian):
    """No directory is searched for it."""
    program = script(lab, "import ctypes; ctypes.CDLL(%r)\n" % str(lab.dir / "libproj_17.so"))
    finding = ask(lab, [debian.path, program], cause="missing-shared-library", module=None)
    effects = [f["effect"] for f in finding["fixes"]]
    assert effects and not any("directory" in e for e in effects), effects


def test_script_named_like_a_package(lab, debian):
    """The script is what was imported; the package that is meant is not there."""
    path = lab.write("requests.py", "import requests.adapters\n")
    bare = lab.bare([debian.path, "-c", "import sys; sys.path.pop(0); import requests"])
    finding = ask(lab, [debian.path, "requests.py"], cause="shadowed")
    assert not any("reinstall" in c for c in commands(finding)), finding["fixes"]
    fix = finding["fixes"][0]
    assert lab.execute(["sh", "-c", fix["command"]], lab.env()).returncode == 0
    assert not path.exists() and path.with_name("my_requests.py").exists()
    assert "new name" in fix["effect"]
    assert ("then install" in fix["effect"]) == (bare.returncode != 0), fix["effect"]


@pytest.mark.parametrize("name,confidence", [("helpr_17", "possible"), ("simplejson", "likely")])
def test_guessed_name(lab, debian, name, confidence):
    """Anybody may register a name that is nobody's yet."""
    python = next((p for p in interpreters.every()[1:] if os.path.exists(p.stdlib + "/site-packages/pip")), None)
    if not python:
        pytest.skip("no other interpreter with pip")
    finding = ask(lab, [python.path, script(lab, "import %s\n" % name)], cause="not-installed")
    found = [f for f in finding["fixes"] if f["command"] and re.search(PIP, f["command"])]
    assert [f["confidence"] for f in found] == [confidence], finding["fixes"]


# -- a package that PYTHONPATH leads to -----------------------------------------------------
def other_build(lab, name="vv"):
    site = lab.root / name / "lib/python3.9/site-packages"
    lab.write(site / "numpyx_17/__init__.py")
    lab.write(site / "numpyx_17/_core.cpython-39-x86_64-linux-gnu.so", b"\x7fELF")
    return site


@pytest.mark.parametrize("also", [False, True])
def test_package_of_another_python_comes_first(lab, sandbox, also):
    """An installed copy is of no use while PYTHONPATH leads to the other."""
    where = [str(other_build(lab))]
    if also:
        lab.write(lab.root / "more/needed_17.py")
        where.append(str(lab.root / "more"))
    sandbox.wheel("numpyx_17", {"numpyx_17/__init__.py": "", "numpyx_17/_core.py": ""}, install=False)
    program = script(lab, "import numpyx_17._core\n" + "import needed_17\n" * also)
    env = dict(sandbox.env, PYTHONPATH=":".join(where))
    finding = mended(lab, sandbox, program, cause="abi-tag-mismatch", env=env)
    start = "export PYTHONPATH=%s && " % where[1] if also else "unset PYTHONPATH && "
    assert finding["fixes"][0]["command"].startswith(start)


def test_good_copy_is_behind(lab, sandbox):
    sandbox.wheel("numpyx_17", {"numpyx_17/__init__.py": "", "numpyx_17/_core.py": ""})
    env = dict(sandbox.env, PYTHONPATH=str(other_build(lab)))
    finding = mended(lab, sandbox, script(lab, "import numpyx_17._core\n"), cause="abi-tag-mismatch", env=env)
    assert commands(finding)[0] == "unset PYTHONPATH"


def test_own_extension_is_built_again(lab, debian):
    """Built beside its source, for another Python: PyPI has nothing to do with it."""
    lab.write("speed_17.cpython-399-x86_64-linux-gnu.so", b"\x7fELF")
    finding = ask(lab, [debian.path, script(lab, "import speed_17\n")], cause="abi-tag-mismatch")
    assert not any(re.search(PIP, c) for c in commands(finding)), finding["fixes"]
    assert "build it again" in finding["fixes"][0]["effect"]


def test_own_extension_of_a_project(lab, debian):
    """What says how it is built is there: that can be typed."""
    lab.write("proj/pkg_17/_part.cpython-399-x86_64-linux-gnu.so", b"\x7fELF")
    lab.write("proj/pkg_17/__init__.py", "from . import _part\n")
    lab.write("proj/setup.py")
    program = script(lab, "import sys; sys.path.insert(0, %r)\nimport pkg_17\n" % str(lab.dir / "proj"))
    finding = ask(lab, [debian.path, program], cause="abi-tag-mismatch")
    assert "build it again" in finding["fixes"][0]["effect"]
    assert any(c.endswith("-m pip install -e %s" % (lab.dir / "proj")) for c in commands(finding)), (
        finding["fixes"])


# -- editable installations -----------------------------------------------------------------
def install_editable(site, sources, kind):
    """As setuptools and pip do it: a .pth file, a finder with a mapping, or (formerly) an .egg-link."""
    if kind == "egg-link":
        (site / "proj_17.egg-link").write_text("%s\n." % sources)
        (site / "easy-install.pth").write_text("%s\n" % sources)
        return
    info = site / "proj_17-1.0.dist-info"
    info.mkdir()
    files = {"__editable__.proj_17-1.0.pth": "%s\n" % sources}
    if kind == "finder":
        files = {"__editable__.proj_17-1.0.pth": "import __editable___proj_17_1_0_finder\n",
                 "__editable___proj_17_1_0_finder.py":
                 "import sys\nMAPPING: dict[str, str] = {'proj_17': '%s/proj_17'}\n"
                 "for where in MAPPING.values():\n    sys.path.append(where.rpartition('/')[0])\n" % sources}
    files["proj_17-1.0.dist-info/METADATA"] = "Metadata-Version: 2.1\nName: proj_17\nVersion: 1.0\n"
    files["proj_17-1.0.dist-info/direct_url.json"] = (
        '{"dir_info": {"editable": true}, "url": "file://%s"}' % str(sources).replace(" ", "%20"))
    record = ""
    for name, text in files.items():
        (site / name).write_text(text)
        record += record_line(name, text.encode())
    (info / "RECORD").write_text(record + "proj_17-1.0.dist-info/RECORD,,\n")


@pytest.mark.parametrize("kind", ["pth", "finder", "egg-link"])
@pytest.mark.parametrize("name", ["src", "my src"])
def test_sources_of_an_editable_installation_are_gone(lab, debian, kind, name):
    venv_python, site = make_venv(debian, lab.root / "made")
    sources = lab.root / name
    lab.write(sources / "proj_17/__init__.py")
    install_editable(site, sources, kind)
    argv = [venv_python, script(lab, "import proj_17\n")]
    assert MENDED in lab.bare(argv, lab.env(PYTHONPATH=None)).stdout, "it is installed"
    away = lab.root / "away"
    sources.rename(away)
    finding = ask(lab, argv, cause="broken-installation", module="proj_17")
    assert finding["path"] in (str(sources), str(sources / "proj_17"))
    assert "editable" in finding["summary"]
    assert commands(finding) == [] and "pip install -e NEW_PLACE" in finding["fixes"][0]["effect"]
    shutil.move(str(away), str(sources))	# "put the sources back"
    assert MENDED in lab.bare(argv, lab.env(PYTHONPATH=None)).stdout


def test_editable_installation_that_is_whole(lab, debian):
    """Another module is missing: that one is not blamed."""
    venv_python, site = make_venv(debian, lab.root / "made")
    lab.write(lab.root / "src/proj_17/__init__.py")
    install_editable(site, lab.root / "src", "pth")
    ask(lab, [venv_python, script(lab, "import proj_17, absent_17\n")], cause="not-installed",
        module="absent_17")
    shutil.rmtree(lab.root / "src")
    ask(lab, [venv_python, script(lab, "import absent_17\n")], cause="not-installed", module="absent_17")


# -- files that took a name -----------------------------------------------------------------
def test_standard_library_of_another_python(lab, debian):
    """PYTHONPATH leads to it: its files stay where they are."""
    others = [p for p in interpreters.every()[1:] if p.version[:2] != debian.version[:2]]
    if not others:
        pytest.skip("needs another Python's standard library")
    lab.module("needed_17")
    env = lab.env(PYTHONPATH="%s:%s" % (others[-1].stdlib, lab.site))
    argv = [debian.path, "-c", "import needed_17, ssl, subprocess, typing; print('mended 17')"]
    bare = lab.bare(argv, env)
    if bare.returncode == 0:
        pytest.skip("that one serves")
    run = lab.traced(argv, env, bare=bare)
    finding = lab.analyze(run.trace)[1]["findings"][0]
    assert not any(c.startswith("mv ") for c in commands(finding)), finding["fixes"]
    if finding["cause"] == "shadowed":
        assert commands(finding)[0] == "export PYTHONPATH=%s" % lab.site
        type_in(lab, commands(finding)[0], again=argv, env=env)


@pytest.mark.parametrize("how", ["-m", "import"])
def test_file_name_in_place_of_the_module_s(lab, debian, how):
    lab.write("plug_17.py", DONE)
    argv = [debian.path, "-m", "plug_17.py"]
    if how == "import":
        argv = [debian.path, lab.write("a.py", "__import__('plug_17.py')\n")]
    bare = lab.bare(argv, lab.env(PYTHONPATH=None))
    run = lab.traced(argv, lab.env(PYTHONPATH=None), bare=bare)
    finding = lab.analyze(run.trace)[1]["findings"][0]
    assert "leave .py out" in finding["fixes"][0]["effect"], finding["fixes"]
    if how == "-m":
        type_in(lab, commands(finding)[0])
