# SPDX-License-Identifier: GPL-2.0-or-later
"""Ends and mix-ups below the loader that no exception tells of, and remedies that can be done."""
import os
import re
import signal

import pytest

import harness
import shapes
from lab_cases import commands, fatal, told
from loader_cases import built_library, died, explain, extension, library, place, runpath
from test_lab_loader import typed

DEP = "libdep17.so.1"


def lacking(lab, debian, **how):
    """An extension that calls dep_new_17, and its library, which has dep_17 alone."""
    path = extension(debian, "native_17", lab.site, built_library(DEP, ALSO="dep_new_17"),
                     CALLS="dep_new_17", flags=[runpath("$ORIGIN/lib"), "-Wl,-z,lazy"])
    return path, library(lab.site / "lib", DEP, **how)


@pytest.mark.parametrize("way", ["run", "preload", "exit"])
def test_symbol_looked_up_at_its_first_call(lab, debian, way):
    """With RTLD_LAZY the load succeeds, and ld.so ends the process by a system call of its own."""
    path, _ = lacking(lab, debian)
    code = "import sys; sys.setdlopenflags(1); import native_17"
    argv = [debian.path, "-c", code]
    bare = lab.bare(argv)
    if bare.returncode != 127:
        pytest.skip("this loader looks all symbols up at once: " + bare.text)
    trace = lab.new_trace()
    if way == "preload":
        trace = lab.traced(argv).trace
    else:
        run = lab.command("run", "-o", trace, "--", *argv)
        assert (run.returncode, run.stderr) == (127, bare.stderr)
    status, report = lab.analyze(trace, *(["--no-host"] if way == "exit" else []))
    finding = report["findings"][0]
    assert (finding["module"], finding["outcome"], status) == ("native_17", "fatal", 1)
    assert not re.search(r"\bexit\(\) was called", told(finding)), told(finding)
    if way == "run":
        assert (finding["cause"], finding["path"]) == ("undefined-symbol", str(path))
    if way != "exit":
        assert "dep_new_17" in told(finding)
    if way != "preload":
        assert "status 127" in told(finding)


def test_end_of_its_own_past_exit(lab, debian):
    """The same status, past exit(), of a program whose imports had all come to an end."""
    extension(debian, "other_17", lab.site, built_library(DEP), flags=[runpath("$ORIGIN/lib")])
    library(lab.site / "lib", DEP)
    trace = lab.new_trace()
    run = lab.command("run", "-o", trace, "--", debian.path, "-c", "import ctypes, other_17\n"
                      "ctypes.CDLL(None).syscall(231, 127)    # exit_group on x86-64")
    assert run.returncode == 127, run.text
    assert lab.analyze(trace)[1]["findings"] == []


@pytest.mark.parametrize("rest", [False, True])
def test_older_one_by_preload(lab, debian, rest):
    """LD_PRELOAD brought it: nothing can be imported before that, but it can be taken away."""
    path = extension(debian, "native_17", lab.site, built_library(DEP, ALSO="dep_new_17"),
                     CALLS="dep_new_17", flags=[runpath("$ORIGIN/lib")])
    library(lab.site / "lib", DEP, ALSO="dep_new_17")
    old = library(lab.root / "old", DEP)
    other = place(built_library("libother17.so", gives="other_17"), lab.root, "libother17.so")
    env = lab.env(LD_PRELOAD="%s%s" % ("%s " % other if rest else "", old))
    argv = [debian.path, "-c", "import native_17"]
    trace = lab.new_trace()
    run = lab.command("run", "-o", trace, "--", *argv, env=env)
    assert "undefined symbol: dep_new_17" in run.text
    finding = lab.analyze(trace)[1]["findings"][0]
    assert (finding["module"], finding["cause"]) == ("native_17", "wrong-library")
    assert finding["path"] == str(old) and finding["library"]["needed_by"] == str(path)
    assert "by LD_PRELOAD" in told(finding) and "import native_17 first" not in told(finding)
    assert commands(finding)[0] == ("export LD_PRELOAD=%s" % other if rest else "unset LD_PRELOAD")
    typed(lab, argv, finding, env)


@pytest.mark.parametrize("how", ["symbol", "version"])
def test_replaced_under_the_program(lab, debian, how):
    """An upgrade while it runs: what is on the disk has it, and what is loaded has not."""
    flags = []
    if how == "version":
        for name, more in (("new", "FOO_2 { dep_new_17; } FOO_1;"), ("old", "")):
            lab.write(name + ".map", "FOO_1 { dep_17; };\n" + more)
        flags = ["-Wl,--version-script=%s"]

    def build(name, **also):
        return built_library(DEP, flags=[f % (lab.dir / (name + ".map")) for f in flags]
                             + ["-Wl,--build-id=sha1"], **also)
    new = build("new", ALSO="dep_new_17")
    path = extension(debian, "native_17", lab.site, new, CALLS="dep_new_17",
                     flags=[runpath("$ORIGIN/lib")])
    dep = place(build("old"), lab.site / "lib", DEP)
    extension(debian, "first_17", lab.site, build("old"), flags=[runpath("$ORIGIN/lib")])
    fresh = place(new, lab.root, "fresh.so")
    old = place(dep, lab.root, "old.so")
    assert lab.bare([debian.path, "-c", "import first_17"]).returncode == 0
    code = ("import os, shutil, first_17\nshutil.copy2(%r, %r)\n"
            "os.rename(%r, %r)\nimport native_17\n"
            % (str(fresh), str(lab.root / "next.so"), str(lab.root / "next.so"), str(dep)))
    argv = [debian.path, lab.write("main.py", code)]
    bare = lab.bare(argv)
    assert re.search("dep_new_17|FOO_2", bare.text), bare.text
    os.replace(old, dep)
    run = lab.recorded(argv)
    assert run.returncode == 1, run.text
    status, report = lab.analyze(run.trace)
    finding = report["findings"][0]
    assert (finding["module"], finding["cause"], status) == ("native_17", "wrong-library", 1)
    assert finding["path"] == str(dep) and finding["library"]["needed_by"] == str(path)
    assert "replaced" in finding["summary"] and "another build" in told(finding)
    assert "start the program again" in finding["fixes"][0]["effect"]
    assert lab.bare([debian.path, "-c", "import native_17"]).returncode == 0, "the remedy works"


def test_directory_in_its_place(lab, debian):
    """docker run -v FILE:FILE, where FILE is not there."""
    path = extension(debian, "native_17", lab.site, built_library(DEP),
                     flags=[runpath("$ORIGIN/lib")])
    dep = lab.site / "lib" / DEP
    dep.mkdir(parents=True)
    finding = explain(lab, debian, shapes.script(lab, "import native_17"), cause="corrupt-file",
                      module="native_17", path=dep, library=DEP, needed_by=path,
                      says=["is a directory"])
    assert "copy or download" not in told(finding) and "damaged" not in finding["summary"]


def test_no_descriptor_is_left(lab, debian):
    """What ctypes could not open is what failed: nothing went on after it."""
    path = library(lab.dir, "libvip17.so")
    text = ("import ctypes, resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\n"
            "kept = []\ntry:\n    while True:\n        kept.append(open('/dev/null'))\n"
            "except OSError:\n    pass\nctypes.CDLL(%r)\n" % str(path))
    finding, _ = fatal(lab, [debian.path, lab.write("main.py", text)], None, "unknown",
                       error=("OSError", "Too many open files"))
    assert "went on" not in told(finding), told(finding)
    assert finding["summary"].startswith("%s could not be loaded" % path)
    assert any("ulimit -n" in c for c in commands(finding))


@pytest.mark.parametrize("entry", ["~/lib", "${HOME}/lib", " %s/lib", '"%s/lib"', "%s/lib/" + DEP])
def test_entry_that_was_meant_otherwise(lab, debian, entry):
    """LD_LIBRARY_PATH out of an .env file, a unit, a Dockerfile: no shell has read it."""
    path = extension(debian, "native_17", lab.site, built_library(DEP))
    dep = library(lab.home / "lib", DEP)
    entry = entry % lab.home if "%" in entry else entry
    env = lab.env(LD_LIBRARY_PATH="/nowhere_17:" + entry)
    argv = [debian.path, "-c", "import native_17"]
    finding, _ = fatal(lab, argv, "native_17", "missing-shared-library", env=env,
                       error=("ImportError", "cannot open shared object file"))
    assert finding["path"] == str(path) and str(dep) in told(finding)
    assert "LD_LIBRARY_PATH has the entry %s:" % entry in told(finding)
    typed(lab, argv, finding, env)


def test_entries_that_mean_what_they_say(lab, debian):
    extension(debian, "native_17", lab.site, built_library(DEP))
    library(lab.home / "lib", DEP)
    (lab.dir / "~").mkdir()
    env = lab.env(LD_LIBRARY_PATH="%s:~:" % lab.root)
    finding, _ = fatal(lab, [debian.path, "-c", "import native_17"], "native_17",
                       "missing-shared-library", env=env,
                       error=("ImportError", "cannot open shared object file"))
    assert "has the entry" not in told(finding)


@pytest.mark.parametrize("how", ["ctypes", "import"])
def test_loaded_for_somebody_else(lab, debian, how):
    """It is loaded, and was opened without RTLD_GLOBAL: its symbols are not for everybody."""
    extension(debian, "native_17", lab.site, CALLS="dep_17")
    dep = library(lab.dir, DEP)
    if how == "import":
        extension(debian, "core_17", lab.site, built_library(DEP), flags=[runpath(str(lab.dir))])
    first = {"ctypes": "import ctypes, os; ctypes.CDLL('./%s'%%s)" % DEP,
             "import": "import os, sys; %simport core_17"}[how]
    more = {"ctypes": ", mode=os.RTLD_GLOBAL",
            "import": "sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL); "}[how]
    finding, _ = fatal(lab, [debian.path, "-c", first % "" + "\nimport native_17"], "native_17",
                       "undefined-symbol", error=("ImportError", "undefined symbol: dep_17"))
    assert "%s had been loaded, but without RTLD_GLOBAL" % dep in told(finding)
    assert "RTLD_GLOBAL" in finding["fixes"][0]["effect"]
    done = lab.bare([debian.path, "-c", first % more + "\nimport native_17"])
    assert done.returncode == 0, "the remedy does not work: " + done.text


def test_crash_after_a_load_in_vain(lab, debian):
    """The init function uses what it could not open: the signal alone tells nothing."""
    gone = "libvip17.so.42"
    path = extension(debian, "plug_17", lab.site, source="init-failed/ways.c", HOW="CRASH",
                     NEEDS=gone)
    died(lab, debian, shapes.script(lab, "import plug_17"), signal=signal.SIGSEGV, cause="unknown",
         module="plug_17", path=path,
         says=[re.escape('before that, dlopen("%s"), called by %s had failed' % (gone, path))])


@pytest.mark.parametrize("there", [False, True])
def test_name_of_another_system(lab, debian, there):
    """libx.so, then libx.dylib: the second says nothing about this machine."""
    text = ("import ctypes\nfor name in ('./libvip17.so', './libvip17.dylib'):\n    try:\n"
            "        lib = ctypes.CDLL(name)\n        break\n    except OSError as err:\n"
            "        last = err\nelse:\n    raise last\n")
    if there:
        library(lab.dir, "libvip17.so", built_library("libinner17.so.1", gives="inner_17"))
    finding, _ = fatal(lab, [debian.path, lab.write("main.py", text)], None,
                       "missing-shared-library", error=("OSError", "dylib"))
    name = "libinner17.so.1" if there else "./libvip17.so"
    assert finding["library"]["name"] == name and "dylib" not in finding["summary"]
    finding, _ = fatal(lab, [debian.path, "-c", "import ctypes\nctypes.CDLL('libvip18.dylib')"],
                       None, "missing-shared-library", error=("OSError", "dylib"))
    assert "install the library libvip18.dylib" not in told(finding)


def test_debugging_information_in_its_place(lab, debian):
    harness.need("objcopy")
    path = extension(debian, "native_17", lab.site, source="init-failed/ways.c", HOW="RAISE")
    whole = place(path, lab.root, "whole.so")
    assert lab.execute(["objcopy", "--only-keep-debug", whole, path], lab.env()).returncode == 0
    finding, _ = fatal(lab, [debian.path, "-c", "import native_17"], "native_17", "corrupt-file",
                       error=("ImportError", "no dynamic section"))
    assert "debugging information" in finding["summary"] and "damaged" not in told(finding)
