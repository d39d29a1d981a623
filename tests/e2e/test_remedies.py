# SPDX-License-Identifier: GPL-2.0-or-later
"""The first remedy, typed exactly as printed, mends the program.

Where it would change the machine (apt), or only a person can decide, the test is skipped with that
reason: nothing is shown by it.
"""
import glob
import os
import shutil
import subprocess
import zipfile

import pytest

import distributions
import interpreters
from elf_edit import EM_AARCH64, Elf
from harness import need
from loader_cases import built_library, extension, library, place, runpath
from remedy_cases import DONE, Sandbox, mended, script

NATIVE = "abi-tag-mismatch/native.c"
DEP = "libdep17.so.1"


@pytest.fixture
def sandbox(lab):
    """A virtual environment of Debian's interpreter."""
    return Sandbox(lab, interpreters.debian())


@pytest.fixture
def other_sandbox(lab):
    """One of another interpreter, where there is one with pip."""
    for python in sorted(interpreters.every()[1:], key=lambda p: p.version, reverse=True):
        if subprocess.run([python.path, "-m", "pip", "--version"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return Sandbox(lab, python)
    pytest.skip("no other interpreter with pip")


# -- the finder -----------------------------------------------------------------------------
def test_not_installed(lab, sandbox):
    sandbox.wheel("absent_17", {"absent_17.py": ""}, install=False)
    mended(lab, sandbox, script(lab, "import absent_17\n"), cause="not-installed")


def test_not_installed_other_python(lab, other_sandbox):
    other_sandbox.wheel("absent_17", {"absent_17.py": ""}, install=False)
    mended(lab, other_sandbox, script(lab, "import absent_17\n"), cause="not-installed")


def test_not_installed_asked_by_a_package(lab, sandbox):
    sandbox.wheel("inner_17", {"inner_17.py": ""}, install=False)
    sandbox.wheel("outer_17", {"outer_17/__init__.py": "import inner_17\n"})
    mended(lab, sandbox, script(lab, "import outer_17\n"), cause="not-installed")


def test_not_installed_asked_by_an_extension(lab, sandbox):
    sandbox.wheel("firmware_17", {"firmware_17.py": ""}, install=False)
    sandbox.native_wheel("device_17", source="init-failed/failing.c", NEEDS="firmware_17")
    mended(lab, sandbox, script(lab,
                                "import device_17\n"),
           cause="not-installed")


def test_abi_tag(lab, sandbox):
    path = sandbox.native_wheel()
    path.rename(path.with_name("native_17.cpython-399-x86_64-linux-gnu.so"))
    mended(lab, sandbox, script(lab, "import native_17\n"),
           cause=("abi-tag-mismatch", "broken-installation"))


def test_abi_tag_of_another_build(lab, sandbox):
    """The wheel of another Python was unpacked here; a right one is in the directory of wheels."""
    sandbox.wheel("native_17", {"native_17" + sandbox.base.suffix: sandbox.native()},
                  tag=sandbox.tag(),
                  install=False)
    sandbox.wheel("native_17", {"native_17.cpython-399-x86_64-linux-gnu.so": sandbox.native()},
                  tag="cp399-cp399-linux_x86_64")
    mended(lab, sandbox, script(lab, "import native_17\n"), cause="abi-tag-mismatch")


def test_broken_module(lab, sandbox):
    sandbox.wheel("broken_17", {"broken_17.py": ""})
    (sandbox.site / "broken_17.py").unlink()
    mended(lab, sandbox, script(lab, "import broken_17\n"), cause="broken-installation")


def test_broken_below_PYTHONPATH(lab, sandbox):
    """pip --target has filled that directory: installed elsewhere, the damaged copy would still be taken."""
    wheel = sandbox.wheel("broken_17", {"broken_17/__init__.py": "", "broken_17/part.py": ""}, install=False)
    deps = lab.root / "my deps"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(deps)
    (deps / "broken_17/part.py").unlink()
    lab.write(deps / "kept_17.py")
    env = dict(sandbox.env, PYTHONPATH=str(deps))
    mended(lab, sandbox, script(lab, "import broken_17.part, kept_17\n"), cause="broken-installation", env=env)


def test_broken_extension(lab, sandbox):
    native = "pkg_17/_native" + sandbox.base.suffix
    sandbox.wheel("pkg_17", {"pkg_17/__init__.py": "from . import _native\n",
                             native: sandbox.native("_native")}, tag=sandbox.tag())
    (sandbox.site / native).unlink()
    mended(lab, sandbox, script(lab, "import pkg_17\n"), cause="broken-installation")


def test_broken_other_python(lab, other_sandbox):
    other_sandbox.wheel("broken_17", {"broken_17/__init__.py": "from . import part\n",
                                      "broken_17/part.py": ""})
    (other_sandbox.site / "broken_17/part.py").unlink()
    mended(lab, other_sandbox, script(lab, "import broken_17\n"), cause="broken-installation")


def test_mixed(lab, sandbox):
    """The files of an older generation were left over the newer one."""
    sandbox.wheel("mixed_17", {"mixed_17/__init__.py": "from .part import new\n",
                               "mixed_17/part.py": "new = 17\n"}, version="2.0")
    (sandbox.site / "mixed_17/part.py").write_text("old = 16\n")
    mended(lab, sandbox, script(lab, "import mixed_17\n"),
           cause=("mixed-installation", "missing-attribute", "broken-installation"))


def test_shadowed_by_the_script_directory(lab, sandbox):
    lab.write("json.py", "print('not the one')\n")
    mended(lab, sandbox, script(lab, "import json\njson.dumps([])\n"), cause="shadowed")


def test_shadowed_by_a_directory(lab, sandbox):
    sandbox.wheel("taken_17", {"taken_17.py": "answer = 17\n"})
    lab.write("taken_17/__init__.py", "")
    mended(lab, sandbox, script(lab, "from taken_17 import answer\n"), cause="shadowed")


def test_user_site_switched_off(lab, sandbox):
    where = interpreters.debian().user_site(lab.home)
    lab.write(where / "mine_17.py", "")
    env = dict(lab.env(PYTHONPATH=None, PYTHONNOUSERSITE="1"))
    mended(lab, sandbox, None, argv=["/usr/bin/python3", script(lab, "import mine_17\n")], env=env,
           cause="installed-elsewhere")


def test_in_a_zip(lab, sandbox):
    archive = lab.dir / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("native_17" + sandbox.base.suffix, sandbox.native())
    program = script(lab, "import sys\nsys.path[:0] = [%r, %r]\nimport native_17\n" % (
        str(archive) + ".d", str(archive)))
    sandbox.native_wheel("other_17")
    mended(lab, sandbox, program, cause="not-importable-from-archive")


def test_python_path_of_another(lab, sandbox):
    """PYTHONPATH leads to a broken copy; without it, all is well."""
    sandbox.wheel("twice_17", {"twice_17.py": "answer = 17\n"})
    lab.write(lab.root / "stale" / "twice_17.py", "")
    env = dict(sandbox.env, PYTHONPATH=str(lab.root / "stale"))
    mended(lab, sandbox, script(lab, "from twice_17 import answer\n"), env=env,
           cause=("shadowed", "mixed-installation"))


def test_pip_that_was_interrupted(lab, sandbox):
    """What it replaces has a name with "~" until it is done: nobody can install that."""
    sandbox.wheel("pkg_17", {"pkg_17/__init__.py": ""})
    for name in ("pkg_17", "pkg_17-1.7.dist-info"):
        (sandbox.site / name).rename(sandbox.site / ("~" + name[1:]))
    finding = mended(lab, sandbox, script(lab, "import pkg_17\n"), cause="broken-installation")
    assert "interrupted" in finding["summary"]


def test_directory_that_the_program_adds(lab, sandbox):
    """pip --target of another Python has filled it: what is installed elsewhere comes behind it."""
    for suffix, tag in [(sandbox.base.suffix, sandbox.tag()),
                        (".cpython-399-x86_64-linux-gnu.so", "cp399-cp399-linux_x86_64")]:
        wheel = sandbox.wheel("pkg_17", {"pkg_17/__init__.py": "from . import _part\n",
                                         "pkg_17/_part" + suffix: sandbox.native("_part")},
                              tag=tag, install=False)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(lab.dir / "deps")
    mended(lab, sandbox, script(lab, "import sys; sys.path.insert(0, %r)\nimport pkg_17\n"
                                % str(lab.dir / "deps")), cause="abi-tag-mismatch")


def test_native_part_of_an_older_version(lab, sandbox):
    """It is whole and loads: only the list of the distribution tells that it is another one."""
    part = "pkg_17/_part" + sandbox.base.suffix
    sandbox.wheel("pkg_17", {"pkg_17/__init__.py": "from ._part import answer\n",
                             part: sandbox.native("_part")}, tag=sandbox.tag())
    older = sandbox.native("_part").replace(b"answer", b"anzwer") + bytes(64)
    (sandbox.site / part).write_bytes(older)
    finding = mended(lab, sandbox, script(lab, "import pkg_17\n"), cause="mixed-installation",
                     fails="cannot import name 'answer'")
    assert finding["path"] == str(sandbox.site / part) and "cut" not in finding["summary"]


@pytest.mark.parametrize("program", ["from pkg_17 import answer\n", "import pkg_17\npkg_17.answer\n"],
                         ids=["from", "attribute"])
def test_package_that_is_an_extension(lab, sandbox, program):
    """Its __init__ is of another Python: what is left looks like a namespace package."""
    for suffix, tag in [(sandbox.base.suffix, sandbox.tag()),
                        (".cpython-399-x86_64-linux-gnu.so", "cp399-cp399-linux_x86_64")]:
        sandbox.wheel("pkg_17", {"pkg_17/__init__" + suffix: sandbox.native("pkg_17")}, tag=tag,
                      install="399" in tag)
    finding = mended(lab, sandbox, script(lab, program), cause="abi-tag-mismatch")
    assert finding["path"].endswith("/pkg_17/__init__.cpython-399-x86_64-linux-gnu.so")


def test_build_that_hides_its_source(lab, sandbox):
    """Built in place once, from a source that has got more since."""
    lab.write("pkg_17/__init__.py")
    lab.write("pkg_17/_part.py", "def fresh():\n    pass\n")
    (lab.dir / ("pkg_17/_part" + sandbox.base.suffix)).write_bytes(sandbox.native("_part"))
    finding = mended(lab, sandbox, script(lab, "from pkg_17._part import fresh\n"), cause="shadowed",
                     fails="cannot import name 'fresh'")
    assert not any("name of its own" in f["effect"] for f in finding["fixes"]), finding["fixes"]


@pytest.mark.needs_root
def test_permission_of_a_package(public_lab):
    """Installed under a umask of 077: one command opens all of it."""
    lab = public_lab
    lab.module("closed_17/__init__", "")
    lab.module("closed_17/sub/__init__", "from . import part\n")
    lab.module("closed_17/sub/part", "")
    for path in [lab.site / "closed_17", *(lab.site / "closed_17").rglob("*")]:
        os.chmod(path, 0o700 if path.is_dir() else 0o600)
    program = script(lab, "import closed_17.sub\n")
    lab.popen = {"user": 65534, "group": 65534, "extra_groups": []}
    bare = lab.bare(["/usr/bin/python3", program])
    assert "No module named" in bare.text, bare.text
    run = lab.traced(["/usr/bin/python3", program], bare=bare)
    command = lab.analyze(run.trace)[1]["findings"][0]["fixes"][0]["command"]
    assert "chmod" in command and str(lab.site / "closed_17") in command
    lab.popen = {}
    assert lab.execute(["sh", "-c", command.replace("sudo ", "", 1)], lab.env()).returncode == 0
    lab.popen = {"user": 65534, "group": 65534, "extra_groups": []}
    assert lab.bare(["/usr/bin/python3", program]).stdout == b"mended 17\n"


@pytest.mark.needs_root
def test_permission_of_a_module(public_lab):
    """Root gives what nobody lacks."""
    lab = public_lab
    path = lab.module("closed_17", "")
    os.chmod(path, 0)
    program = script(lab, "import closed_17\n")
    lab.popen = {"user": 65534, "group": 65534, "extra_groups": []}
    bare = lab.bare(["/usr/bin/python3", program])
    assert "PermissionError" in bare.text
    run = lab.traced(["/usr/bin/python3", program], bare=bare)
    finding = lab.analyze(run.trace)[1]["findings"][0]
    command = finding["fixes"][0]["command"]
    assert command and "chmod" in command and str(path) in command
    lab.popen = {}	# whoever tests is root, and needs no sudo
    assert lab.execute(["sh", "-c", command.replace("sudo ", "", 1)], lab.env()).returncode == 0
    lab.popen = {"user": 65534, "group": 65534, "extra_groups": []}
    assert lab.bare(["/usr/bin/python3", program]).stdout == b"mended 17\n"


# -- below dlopen ---------------------------------------------------------------------------
def native_program(lab, name="native_17"):
    return script(lab, "import %s\n" % name)


def cut(path):
    path.write_bytes(path.read_bytes()[:100])


def for_aarch64(path):
    Elf(path).machine(EM_AARCH64).save()


def for_musl(path):
    place(built_library("native_17.so", built_library("libc.musl-x86_64.so.1"), gives="x_17",
                        CALLS="dep_17"), path.parent, path.name)


def for_other_pages(path):
    built = extension(interpreters.debian(), "native_17", path.parent / "small", source=NATIVE,
                      flags=["-Wl,-z,max-page-size=1024,-z,common-page-size=1024"])
    path.write_bytes(built.read_bytes())


def for_other_api(path):
    built = extension(interpreters.debian(), "native_17", path.parent / "api",
                      CALLS="PyList_GetItemRef")
    path.write_bytes(built.read_bytes())


def not_an_extension(path):
    path.write_bytes(open(built_library("native_17.so"), "rb").read())


def nowhere(path):
    path.unlink()
    path.symlink_to(path.parent / "gone_17.so")


def for_newer_glibc(path):
    built = extension(interpreters.debian(), "native_17", path.parent / "newer",
                      CALLS="getpagesize")
    path.write_bytes(built.read_bytes())
    Elf(path).replace_version("GLIBC_2.2.5", "GLIBC_2.99").save()


def empty(path):
    path.write_bytes(b"")


def large_file_pointer(path):
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:17\nsize 17000\n")


@pytest.mark.parametrize("harm,cause", [
    (cut, "corrupt-file"), (empty, "corrupt-file"), (large_file_pointer, "corrupt-file"),
    (for_aarch64, "wrong-elf-machine"), (for_musl, "wrong-libc"),
    (for_other_pages, "page-size-mismatch"), (for_other_api, "undefined-symbol"),
    (not_an_extension, "missing-init-function"), (nowhere, "dangling-symlink"), (for_newer_glibc, "symbol-version-missing"),
], ids=lambda value: value.__name__ if callable(value) else None)
def test_wheel_is_installed_again(lab, sandbox, harm, cause):
    """The file on disk is not what the wheel brought."""
    path = sandbox.native_wheel()
    harm(path)
    mended(lab, sandbox, native_program(lab), cause=cause)


def test_bundled_library_is_gone(lab, sandbox):
    dep = open(built_library(DEP), "rb").read()
    native = sandbox.native("_native", source="missing-shared-library/ext.c",
                            needs=[built_library(DEP)],
                            flags=[runpath("$ORIGIN/../pkg_17.libs")])
    sandbox.wheel("pkg_17", {"pkg_17/__init__.py": "from . import _native\n",
                             "pkg_17.libs/" + DEP: dep,
                             "pkg_17/_native" + sandbox.base.suffix: native}, tag=sandbox.tag())
    (sandbox.site / "pkg_17.libs" / DEP).unlink()
    mended(lab, sandbox, script(lab, "import pkg_17\n"),
           cause=("missing-shared-library", "broken-installation"))


def test_variable_was_dropped(lab, sandbox):
    """The parent had LD_LIBRARY_PATH, its child has not."""
    extension(sandbox.base, "native_17", sandbox.site, built_library(DEP))
    library(lab.root / "vendor", DEP)
    program = native_program(lab)
    env = dict(sandbox.env, LD_LIBRARY_PATH=str(lab.root / "vendor"))
    mended(lab, sandbox, program, env=env, cause="missing-shared-library",
           prefix=["sh", "-c", "/usr/bin/env true; unset LD_LIBRARY_PATH; exec \"$@\"", "sh"])


def test_directory_that_no_rule_leads_to(lab, sandbox):
    extension(sandbox.base, "_native", sandbox.site / "pkg_17", built_library(DEP))
    lab.write(sandbox.site / "pkg_17/__init__.py", "from . import _native\n")
    library(sandbox.site / "pkg_17.libs", DEP)
    mended(lab, sandbox, script(lab, "import pkg_17\n"), cause="missing-shared-library")


def test_other_soname(lab, sandbox):
    """Built where the library had another soname; a build for this machine is at hand."""
    path = sandbox.native_wheel()
    built = extension(sandbox.base, "native_17", lab.root / "elsewhere", built_library(DEP),
                      flags=[runpath("$ORIGIN/lib")])
    shutil.copy(built, path)
    library(sandbox.site / "lib", "libdep17.so.2")
    mended(lab, sandbox, native_program(lab), cause="missing-shared-library")


def test_link_is_lost(lab, sandbox):
    """libdep17.so.1.7 without the link that ldconfig or the package would have made."""
    path = sandbox.native_wheel(needs=[built_library("libdep17.so.1")],
                                flags=[runpath("$ORIGIN/lib")])
    library(path.parent / "lib", "libdep17.so.1")
    os.rename(path.parent / "lib" / "libdep17.so.1", path.parent / "lib" / "libdep17.so.1.7")
    finding = mended(lab, sandbox, native_program(lab), cause="missing-shared-library")
    assert finding["fixes"][0]["command"].startswith("ln -s "), finding["fixes"]


def test_variable_leads_to_an_older_one(lab, sandbox):
    extension(sandbox.base, "native_17", sandbox.site, built_library(DEP, ALSO="dep_new_17"),
              CALLS="dep_new_17", flags=[runpath("$ORIGIN/lib")])
    library(sandbox.site / "lib", DEP, ALSO="dep_new_17")
    old = library(lab.root / "old", DEP)
    mended(lab, sandbox, native_program(lab), env=dict(sandbox.env,
                                                       LD_LIBRARY_PATH=str(old.parent)),
           cause="wrong-library")


def test_static_tls(lab, sandbox):
    how = dict(source="static-tls-exhausted/tls.c", BYTES=65536)
    extension(sandbox.base, "native_17", sandbox.site, built_library(DEP, **how),
              flags=[runpath("$ORIGIN/lib")])
    library(sandbox.site / "lib", DEP, **how)
    mended(lab, sandbox, native_program(lab), cause="static-tls-exhausted")


def test_memory_limit(lab, sandbox):
    """A soft limit of the shell's, which the shell may raise again."""
    how = dict(source="memory-limit/big.c", BYTES="(1L<<32)")
    extension(sandbox.base, "native_17", sandbox.site, built_library(DEP, **how),
              flags=[runpath("$ORIGIN/lib")])
    library(sandbox.site / "lib", DEP, **how)
    mended(lab, sandbox, native_program(lab), cause="memory-limit",
           prefix=["sh", "-c", "ulimit -S -v 1000000; exec \"$@\"", "sh"])


def test_libpython_is_local(lab, sandbox):
    libs = glob.glob("/usr/lib/*/libpython%s.so.1.0" % sandbox.base.minor)
    if not libs:
        pytest.skip("no shared libpython for Debian's interpreter")
    extension(sandbox.base, "native_17", lab.site, source=NATIVE)
    host = place(interpreters.compile_c("embedding/host_dlopen.c", "-ldl"), lab.dir, "host")
    code = lab.write("inner.py", "import native_17\n" + DONE)
    mended(lab, sandbox, None, cause="libpython-not-global", env=lab.env(),
           argv=[host, libs[0], "local", "exec(open(%r).read())" % str(code)])


@pytest.mark.needs_root
def test_noexec(lab, sandbox):
    """In a mount namespace that lives as long as the shell: remount, and run."""
    built = extension(sandbox.base, "native_17", lab.dir / "good", source=NATIVE)
    mnt = lab.root / "mnt"
    mnt.mkdir()
    prefix = [need("unshare"), "-m", "--propagation", "private", "/bin/sh", "-c",
              "mount -t tmpfs -o noexec,mode=755 none %s && cp %s %s/ && exec \"$@\"" % (mnt,
                                                                                         built,
                                                                                         mnt), "sh"]
    if lab.bare([*prefix, "true"]).returncode:
        pytest.skip("cannot mount here")
    mended(lab, sandbox, native_program(lab), cause="noexec-mount", prefix=prefix,
           env=dict(sandbox.env, PYTHONPATH=str(mnt)))


def test_executable_stack_wheel(lab, sandbox):
    """Refused by the process's own policy: another build of the wheel does without."""
    path = sandbox.native_wheel()
    good = path.read_bytes()
    bad = extension(sandbox.base, "native_17", lab.root / "bad", source=NATIVE,
                    flags=["-Wl,-z,execstack"])
    shutil.copy(bad, path)
    assert path.read_bytes() != good
    program = script(lab,
                     "import ctypes\nctypes.CDLL(None).prctl(65, 1, 0, 0, 0)\nimport native_17\n")
    if lab.bare([sandbox.path, program], sandbox.env).returncode == 0:
        pytest.skip("this kernel has no PR_SET_MDWE")
    mended(lab, sandbox, program, cause="executable-stack")


# -- a copy that PYTHONPATH brings -----------------------------------------------------------
@pytest.mark.parametrize("metadata", [True, False])
def test_copy_that_comes_first_lacks_a_part(lab, sandbox, metadata):
    """The whole one is behind it: no installer can mend the copy, and moving a part of it breaks more."""
    sandbox.wheel("copied_17", {"copied_17/__init__.py": "from . import core\n",
                                "copied_17/core/__init__.py": "from . import part\n",
                                "copied_17/core/part.py": ""})
    first = lab.root / "first"
    for path in sandbox.site.glob("copied_17*" if metadata else "copied_17"):
        shutil.copytree(path, first / path.name)
    (first / "copied_17/core/part.py").unlink()
    (lab.root / "more").mkdir()
    finding = mended(lab, sandbox, script(lab, "import copied_17\n"),
                     cause="mixed-installation" if metadata else "shadowed",
                     env=dict(sandbox.env, PYTHONPATH="%s:%s" % (lab.root / "more", first)))
    fixes = [f["command"] for f in finding["fixes"] if f["command"]]
    assert "export PYTHONPATH=%s" % (lab.root / "more") in fixes, fixes
    assert not any("pip" in fix for fix in fixes), fixes
    if not metadata:
        assert finding["path"] == str(first / "copied_17/__init__.py")


def test_stray_init_in_a_namespace_package(lab, sandbox):
    for name in ("a/ns_17/one.py", "b/ns_17/two.py"):
        lab.write(name, "")
    lab.write("a/ns_17/__init__.py", "# \n\n")
    mended(lab, sandbox, script(lab, "import ns_17.one\nimport ns_17.two\n"), cause="shadowed",
           env=dict(sandbox.env, PYTHONPATH="%s/a:%s/b" % (lab.dir, lab.dir)))


def test_package_with_an_init_of_its_own(lab, sandbox):
    """That __init__.py is somebody's work, and is not to be removed."""
    lab.write("a/ns_17/__init__.py", "answer = 17\n")
    lab.write("b/ns_17/two.py", "")
    finding = mended(lab, sandbox, script(lab, "import ns_17.two\n"), cause="shadowed",
                     env=dict(sandbox.env, PYTHONPATH="%s/a:%s/b" % (lab.dir, lab.dir)))
    assert not any((f["command"] or "").startswith("rm ") for f in finding["fixes"])


def test_init_failed_in_a_copy(lab, sandbox):
    """What pip brings counts only once PYTHONPATH does not lead to the copy."""
    sandbox.wheel("native_17", {"native_17" + sandbox.base.suffix: sandbox.native()},
                  tag=sandbox.tag(), install=False)
    bad = extension(sandbox.base, "native_17", lab.root / "bad", source="init-failed/failing.c",
                    HOW=1)
    first = lab.root / "first"
    first.mkdir()
    distributions.install(first, "native_17", "1.6", {bad.name: bad.read_bytes()})
    mended(lab, sandbox, script(lab, "import native_17\n"), cause="init-failed",
           env=dict(sandbox.env, PYTHONPATH=str(first)))


def test_init_failed_in_ones_own_module(lab, sandbox):
    """No distribution brought it: what has that name on PyPI is a stranger's."""
    extension(sandbox.base, "native_17", lab.root / "own", source="init-failed/failing.c", HOW=1)
    env = dict(sandbox.env, PYTHONPATH=str(lab.root / "own"))
    run = lab.traced([sandbox.path, script(lab, "import native_17\n")], env)
    _, report = lab.analyze(run.trace)
    finding, = report["findings"]
    assert finding["cause"] == "init-failed" and finding["fixes"]
    assert not any(f["command"] for f in finding["fixes"]), finding["fixes"]


# -- the init function ----------------------------------------------------------------------
def test_two_parts_of_different_versions(lab, sandbox):
    """cffi's way: the Python part checks the version of its native part."""
    check = "import _duo_17\nassert _duo_17.answer == 17, 'version mismatch: %s' % _duo_17.answer\n"
    sandbox.wheel("duo_17", {"duo_17.py": check, "_duo_17.py": "answer = 17\n"})
    (sandbox.site / "_duo_17.py").unlink()
    mended(lab, sandbox, script(lab, "import duo_17\n"), cause="broken-installation")


def test_cause_behind_a_swallowed_error(lab, sandbox):
    """The visible error is a package's own; the remedy is for the root."""
    native = "pkg_17/_native" + sandbox.base.suffix
    sandbox.wheel("pkg_17", {
        "pkg_17/__init__.py": "try:\n    from ._native import answer\nexcept ImportError:\n    pass\n",
        native: sandbox.native("_native")}, tag=sandbox.tag())
    (sandbox.site / native).write_bytes(b"")
    mended(lab, sandbox, script(lab, "from pkg_17 import answer\n"), cause="corrupt-file")


def test_please_install(lab, sandbox):
    sandbox.wheel("fast_17", {"fast_17.py": ""}, install=False)
    sandbox.wheel("pkg_17", {"pkg_17.py": "try:\n    import fast_17\nexcept ImportError:\n"
                             "    raise RuntimeError('please install the extras') from None\n"})
    mended(lab, sandbox, script(lab, "import pkg_17\n"), cause="not-installed")
