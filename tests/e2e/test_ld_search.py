# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of files that the analyzer derives is the one that the loader tries (rtld-audit), in order.

Made-up trees, one rule each; then the real objects of the machine.
"""
import collections
import glob
import os
import pathlib
import shutil
import subprocess

import pytest

pytest.register_assert_rewrite("ld_agreement")
import ld_agreement  # noqa: E402
from ld_agreement import FIXTURES  # noqa: E402

NEW, OLD = "-Wl,--enable-new-dtags", "-Wl,--disable-new-dtags"
pytestmark = pytest.mark.skipif(not os.path.exists("/lib64/ld-linux-x86-64.so.2"), reason="no glibc for x86-64")


@pytest.fixture(scope="module")
def pair(tmp_path_factory, build):
    return ld_agreement.Pair(tmp_path_factory.mktemp("pair"), build.dir)


@pytest.fixture
def tree(tmp_path, pair):
    return Tree(tmp_path, pair)


class Tree:
    def __init__(self, directory, pair):
        self.dir = directory
        self.pair = pair

    def path(self, name):
        return self.dir / name

    def object(self, name, *needed, rpath=None, runpath=None, soname=True, flags=(), symbol=None):
        """A shared object; @needed: paths in the tree of what it is linked with."""
        out = self.path(name)
        link = [self.path(n) for n in needed]
        more = ["-shared", "-fPIC", "-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined",
                "-DIMP_SYMBOL=" + (symbol or "own_" + "".join(c if c.isalnum() else "_" for c in name))]
        if soname:
            more.append("-Wl,-soname," + (soname if isinstance(soname, str) else out.name))
        more += self.search_flags(rpath, runpath)
        return ld_agreement.compile_object(out, FIXTURES / "object.c", *more, *link, *flags)

    @staticmethod
    def search_flags(rpath, runpath):
        if rpath is not None:
            return ["-Wl,-rpath," + rpath, OLD]
        if runpath is not None:
            return ["-Wl,-rpath," + runpath, NEW]
        return []

    def program(self, name, *needed, rpath=None, runpath=None, flags=()):
        return ld_agreement.compile_object(
            self.path(name), FIXTURES / "opener.c", "-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined",
            *self.search_flags(rpath, runpath), *[self.path(n) for n in needed], *flags)

    def copy(self, name, to):
        self.path(to).parent.mkdir(parents=True, exist_ok=True)
        return shutil.copy2(self.path(name), self.path(to))

    def agree(self, *commands, **how):
        """Runs both; asserts that they tell the same; returns the derived blocks, the start first."""
        how.setdefault("cwd", str(self.dir))
        both = self.pair.both([c.format(dir=self.dir) for c in commands], **how)
        for observed, derived in both:
            assert derived.events == observed.events, observed.command
            if derived.error or observed.error:
                assert derived.error == observed.error, observed.command
        return [derived for _, derived in both]


def opened(block):
    """[(origin, path)] of what was taken."""
    return [(origin, path) for origin, result, path in block.results if result == "opened"]


def with_result(block, wanted):
    return [path for _, result, path in block.results if result == wanted]


def test_nothing_there(tree):
    """The first search looks for every subdirectory; the second knows that there are none."""
    _, first, second = tree.agree("open no-such-object.so.1", "open no-such-object.so.2")
    assert len(first.events) > len(second.events) >= 2
    assert first.error == "no-such-object.so.1: cannot open shared object file: No such file or directory"


def test_direct(tree):
    tree.object("a/libone.so")
    blocks = tree.agree("open {dir}/a/libone.so", "open {dir}/a/libnone.so", "open a/libone.so", "open ./a/none.so")
    assert opened(blocks[1]) == [("direct", str(tree.path("a/libone.so")))]
    assert blocks[3].events == [("direct", "a/libone.so")]  # the same file: nothing is mapped


@pytest.mark.parametrize("kind", ["rpath", "runpath"])
def test_inheritance(tree, kind):
    """C is needed by B alone: A's RPATH finds it, A's RUNPATH does not."""
    tree.object("lib/libc_.so")
    tree.object("lib/libb.so", "lib/libc_.so")
    tree.object("liba.so", "lib/libb.so", **{kind: "$ORIGIN/lib"})
    block = tree.agree("open {dir}/liba.so")[1]
    if kind == "rpath":
        assert block.error is None
        assert ("rpath", str(tree.path("lib/libc_.so"))) in opened(block)
    else:
        assert block.error.startswith("libc_.so: cannot open shared object file")


def test_chain_of_rpaths(tree):
    """C needs D: C's RPATH, then B's, A's, then the program's."""
    tree.object("d/libd.so")
    tree.object("c/libc_.so", "d/libd.so", rpath="$ORIGIN/none_c")
    tree.object("b/libb.so", "c/libc_.so", rpath="$ORIGIN/none_b:$ORIGIN/../c")
    tree.object("a/liba.so", "b/libb.so", rpath="$ORIGIN/none_a:$ORIGIN/../b:$ORIGIN/../c")
    program = tree.program("program", rpath="$ORIGIN/none_p:$ORIGIN/d")
    block = tree.agree("open {dir}/a/liba.so", "open {dir}/a/liba.so", "open libnone.so", program=program)[1]
    assert opened(block)[-1] == ("rpath", str(tree.dir) + "/d/libd.so")


def test_runpath_in_the_chain(tree):
    """A RUNPATH of the requester switches every RPATH off; one of its loader switches that one's own off."""
    tree.object("d/libd.so")
    tree.object("d/libe.so")
    tree.object("b/libb.so", "d/libd.so", runpath="$ORIGIN/nowhere")
    tree.object("b/libc_.so", "d/libe.so")
    tree.object("a/liba.so", "b/libb.so", rpath="$ORIGIN/../b:$ORIGIN/../d")
    tree.object("a/libz_.so", "b/libc_.so", runpath="$ORIGIN/../b:$ORIGIN/../d")
    program = tree.program("program", rpath="$ORIGIN/d")
    blocks = tree.agree("open {dir}/a/liba.so", "open {dir}/a/libz_.so", program=program)
    assert blocks[1].error.startswith("libd.so")
    assert opened(blocks[2])[-1] == ("rpath", str(tree.dir) + "/d/libe.so")


def test_caller_path(tree):
    """A bare name is looked for along the RUNPATH of the object that calls dlopen."""
    tree.object("plugins/plug.so")
    tree.object("host/libhost.so", runpath="$ORIGIN/../plugins")
    tree.object("host/libhost2.so", rpath="$ORIGIN/../plugins")
    blocks = tree.agree("open {dir}/host/libhost.so", "open plug.so", "from {dir}/host/libhost.so", "open plug.so",
                        "open none.so")
    assert blocks[2].error and blocks[3].error is None
    assert opened(blocks[3]) == [("runpath", str(tree.dir) + "/host/../plugins/plug.so")]
    tree.agree("open {dir}/host/libhost2.so", "from {dir}/host/libhost2.so", "open plug.so", "open none.so")


def test_program_runpath(tree):
    """It serves the program's own dlopen, and no other object's."""
    tree.object("d/libd.so")
    tree.object("a/liba.so", "d/libd.so")
    program = tree.program("program", runpath="$ORIGIN/d:$ORIGIN/a")
    blocks = tree.agree("open liba.so", "open libd.so", "open liba.so", program=program)
    assert blocks[1].error.startswith("libd.so") and blocks[3].error is None


def test_start_of_a_program(tree):
    tree.object("d/libd.so")
    tree.object("a/liba.so", "d/libd.so")
    tree.object("other/libd.so")
    program = tree.program("program", "a/liba.so", rpath="$ORIGIN/a:$ORIGIN/d")
    start = tree.agree("open libd.so", program=program, library_path="other")[0]
    assert ("map", str(tree.dir) + "/d/libd.so") in start.events
    start = tree.agree("open libd.so", program=program, preload=["libd.so", "libz.so.1"], library_path="none:other")[0]
    assert opened(start)[0] == ("rpath", str(tree.dir) + "/d/libd.so")


HWCAPS = ["glibc-hwcaps/x86-64-v2", "glibc-hwcaps/x86-64-v3", "tls", "x86_64", "tls/x86_64", ""]


@pytest.mark.parametrize("present", range(1, len(HWCAPS) + 1))
def test_hwcaps(tree, present):
    """The best subdirectory that has it; an empty one is remembered to exist."""
    tree.object("libh.so")
    for where in HWCAPS[:present]:
        tree.copy("libh.so", os.path.join("path", where, "libh.so"))
    tree.path("path/glibc-hwcaps/x86-64-v4").mkdir(parents=True, exist_ok=True)
    tree.object("libuser.so", "libh.so", runpath="$ORIGIN/path")
    tree.agree("open {dir}/libuser.so", "open none.so", "from {dir}/libuser.so", "open libh.so", "open none.so",
               "open none2.so")
    tree.agree("open libh.so", "open none.so", "open none2.so", library_path=str(tree.path("path")))


LIBRARY_PATHS = ["{dir}/one:{dir}/two", "{dir}/two;{dir}/one", ":{dir}/two", "{dir}/none:", "one", "./one/:two//",
                 "$ORIGIN/two", "${{ORIGIN}}/../one", "{dir}/$LIB:{dir}/$PLATFORM", "{dir}/$NOTOKEN/x:{dir}/one", "",
                 "{dir}/one:{dir}/one/:{dir}/one//", "{dir}/file:{dir}/one", "/", "$ORIGINAL/one:$ORIGIN"]


@pytest.mark.parametrize("library_path", LIBRARY_PATHS)
def test_library_path(tree, library_path):
    tree.object("one/libx.so")
    tree.object("two/liby.so")
    tree.object("lib/x86_64-linux-gnu/libl.so")
    tree.object("x86_64/libp.so")
    tree.path("file").write_text("no directory\n")
    tree.copy("one/libx.so", "two/libx.so")
    program = tree.program("program")
    tree.agree("open libx.so", "open liby.so", "open libl.so", "open libp.so", "open libnone.so", "open libnone.so",
               program=program, library_path=library_path.format(dir=tree.dir))


def test_library_path_against_the_others(tree):
    """RPATH before LD_LIBRARY_PATH before RUNPATH; what is passed over is known."""
    for where in "env", "own":
        tree.object(where + "/libx.so", symbol="x_of_" + where)
    tree.object("librpath.so", "own/libx.so", rpath="$ORIGIN/own")
    tree.object("librunpath.so", "own/libx.so", runpath="$ORIGIN/own")
    env = str(tree.path("env"))
    block = tree.agree("open {dir}/librpath.so", library_path=env)[1]
    assert opened(block)[-1] == ("rpath", str(tree.path("own/libx.so")))
    assert block.later == [("ld_library_path", env + "/libx.so")]
    block = tree.agree("open {dir}/librunpath.so", library_path=env)[1]
    assert opened(block)[-1] == ("ld_library_path", env + "/libx.so")
    assert block.later == [("runpath", str(tree.path("own/libx.so")))]


def test_cache_and_default(tree):
    """A soname is in the cache; the name of the file behind it is found in the default directories."""
    cached = opened(tree.agree("open libz.so.1")[1])[-1]
    assert cached[0] == "cache"
    name = os.path.basename(os.path.realpath(cached[1]))
    assert name != "libz.so.1"
    blocks = tree.agree("open " + name, "open libz.so.1")
    assert opened(blocks[1])[-1][0] == "default"
    assert [event for event in blocks[2].events if event[0] == "map"] == []
    tree.agree("open libz.so.1", "open " + name)  # the other way round: the same inode


def test_no_default_libraries(tree):
    tree.object("own/libown.so")
    tree.object("libuser.so", "own/libown.so", runpath="$ORIGIN/own", flags=["-Wl,-z,nodefaultlib", "-lz"])
    block = tree.agree("open {dir}/libuser.so", "open libz.so.1")[1]
    assert block.error.startswith("libz.so.1: cannot open")
    assert any(origin == "cache" and "nodefaultlib" in why for origin, _, why in block.skipped)


def test_soname_of_a_loaded_object(tree):
    tree.object("one/libx.so", soname="libother.so.1")
    tree.object("two/libother.so.1")
    tree.object("libuser.so", "two/libother.so.1", runpath="$ORIGIN/two")
    blocks = tree.agree("open {dir}/one/libx.so", "open {dir}/libuser.so", "open libother.so.1", "open libx.so")
    assert opened(blocks[2]) == [("direct", str(tree.path("libuser.so")))]


def test_same_file_twice(tree):
    tree.object("real/libx.so", soname=False)
    tree.path("link").symlink_to("real")
    tree.path("libx2.so").symlink_to("real/libx.so")
    os.link(tree.path("real/libx.so"), tree.path("libx3.so"))
    tree.copy("real/libx.so", "libx4.so")
    tree.agree("open {dir}/real/libx.so", "open {dir}/link/libx.so", "open {dir}/libx2.so", "open {dir}/libx3.so",
               "open {dir}/libx4.so", "open libx4.so", "open libx.so", library_path=str(tree.dir))


def patched(tree, source, to, at, value):
    data = bytearray(tree.path(source).read_bytes())
    data[at:at + len(value)] = value
    tree.path(to).parent.mkdir(parents=True, exist_ok=True)
    tree.path(to).write_bytes(data)


# Offsets in the ELF header: class 4, order 5, version 6, OS ABI 7, padding 9, type 16, machine 18, phentsize 54.
PASSED_OVER = {"class": (4, b"\1"), "machine": (18, b"\xb7\0")}
REFUSED = {"order": (5, b"\2"), "version": (6, b"\0"), "osabi": (7, b"\x61"), "abiversion": (8, b"\x7f"),
           "padding": (12, b"\1"), "type": (16, b"\1\0"), "phentsize": (54, b"\x20\0"), "magic": (0, b"\x7fELG"),
           "e_version": (20, b"\2\0\0\0"), "phoff": (32, b"\0\0\0\0\1\0\0\0")}


@pytest.mark.parametrize("what", PASSED_OVER)
def test_passed_over(tree, what):
    """An object for another processor is no failure: the next directory has the right one."""
    tree.object("good/libx.so")
    patched(tree, "good/libx.so", "bad/libx.so", *PASSED_OVER[what])
    bad, good = str(tree.path("bad")), str(tree.path("good"))
    block = tree.agree("open libx.so", "open {dir}/bad/libx.so", library_path=bad + ":" + good)[1]
    assert with_result(block, "wrong-elf")[-1] == bad + "/libx.so"
    assert opened(block) == [("ld_library_path", good + "/libx.so")]
    tree.agree("open libx.so", "open none.so", "open {dir}/bad/libx.so", library_path=bad)


@pytest.mark.parametrize("what", REFUSED)
def test_refused(tree, what):
    """A damaged one ends the search, whatever lies in the next directory."""
    tree.object("good/libx.so")
    patched(tree, "good/libx.so", "bad/libx.so", *REFUSED[what])
    block = tree.agree("open libx.so", library_path="%s/bad:%s/good" % (tree.dir, tree.dir))[1]
    assert block.error and with_result(block, "wrong-elf")[-1] == str(tree.path("bad/libx.so"))
    assert block.later[0] == ("ld_library_path", str(tree.path("good/libx.so")))
    tree.agree("open {dir}/bad/libx.so")


CONTENTS = {"empty": b"", "text": b"#!/bin/sh\nexit 0\n" * 9, "short": b"\x7fELF\2\1\1", "zeros": bytes(4096),
            "html": b"<!DOCTYPE html><html><body>404</body></html>" * 4, "archive": b"!<arch>\n" * 9}


@pytest.mark.parametrize("what", CONTENTS)
def test_no_object(tree, what):
    tree.object("good/libx.so")
    tree.path("bad").mkdir()
    tree.path("bad/libx.so").write_bytes(CONTENTS[what])
    assert tree.agree("open libx.so", "open {dir}/bad/libx.so", library_path="bad:good")[1].error


def test_odd_names(tree):
    """A directory of that name, a link to nothing, one to itself, a file in the place of a directory."""
    tree.object("good/libx.so")
    for where in "directory", "dangling", "circle":
        tree.path(where).mkdir()
    tree.path("directory/libx.so").mkdir()
    tree.path("dangling/libx.so").symlink_to("nothing")
    tree.path("circle/libx.so").symlink_to("libx.so")
    tree.path("file").write_bytes(b"x")
    good = str(tree.path("good"))
    for where in "dangling", "circle", "file", "directory":
        # Twice good: a circle ends the list of LD_LIBRARY_PATH, not the search.
        tree.object("user/libuser.so", "good/libx.so", runpath="$ORIGIN/../good")
        tree.agree("open {dir}/user/libuser.so", "open libx.so", library_path="%s:%s" % (tree.path(where), good))
        tree.agree("open libx.so", library_path="%s:%s" % (tree.path(where), good))


def test_programs_are_no_objects(tree):
    tree.program("pie")
    tree.program("fixed", flags=["-no-pie"])
    static = tree.program("static", flags=["-static"]) if os.path.exists("/usr/lib/x86_64-linux-gnu/libc.a") else None
    tree.agree("open {dir}/pie", "open {dir}/fixed", *(["open {dir}/static"] if static else []))


RPATHS = ["$ORIGIN/x:$ORIGIN/lib", "$ORIGIN/lib:", ":$ORIGIN/lib", "lib", "${ORIGIN}/./lib/", "$ORIGIN/$LIB:$ORIGIN/lib",
          "$FOO/lib:$ORIGIN/lib", "$ORIGIN/lib:$ORIGIN/lib", "/nonexistent/a:/nonexistent/b", "$ORIGINx/lib:$ORIGIN/lib",
          "$PLATFORM", "//{dir}//lib"]


@pytest.mark.parametrize("kind", ["rpath", "runpath"])
@pytest.mark.parametrize("entries", RPATHS)
def test_entries(tree, entries, kind):
    tree.object("lib/libx.so")
    tree.object("libuser.so", "lib/libx.so", **{kind: entries.replace("{dir}", str(tree.dir))})
    tree.agree("open {dir}/libuser.so", "open libuser.so", "open none.so", library_path="none")


def test_needed_by_path(tree):
    """No soname: what was given to the linker is what stands in DT_NEEDED."""
    tree.object("lib/libx.so", soname=False)
    tree.object("libabs.so", "lib/libx.so")
    tree.object("lib/$ORIGIN/liby.so", soname="$ORIGIN/lib/libz_.so")
    tree.object("lib/librel.so", soname="./lib/librel.so")
    tree.copy("lib/librel.so", "lib/libz_.so")
    tree.object("liborigin.so", "lib/$ORIGIN/liby.so", "lib/librel.so")
    tree.agree("open {dir}/libabs.so", "open {dir}/liborigin.so", "open $ORIGIN/lib/libx.so")


def test_dlmopen(tree):
    """A new namespace has nothing: libc is looked for again, ld.so too."""
    tree.object("lib/libx.so", flags=["-lz", "-lm"])
    tree.object("libuser.so", "lib/libx.so", rpath="$ORIGIN/lib")
    blocks = tree.agree("open {dir}/libuser.so", "new {dir}/libuser.so", "new libm.so.6", "new libnone.so",
                        "open libm.so.6")
    assert ("cache", "/lib/x86_64-linux-gnu/libz.so.1") in opened(blocks[2])


def test_missing_in_the_middle(tree):
    """Breadth first: what comes before the missing one is there, what comes behind it is not looked for."""
    for name in "liba.so", "libb.so", "libc_.so", "libgone.so":
        tree.object("lib/" + name)
    tree.object("lib/libdeep.so", "lib/libc_.so")
    tree.object("lib/libmid.so", "lib/liba.so", "lib/libdeep.so", "lib/libgone.so", "lib/libb.so", runpath="$ORIGIN")
    tree.object("libtop.so", "lib/libmid.so", runpath="$ORIGIN/lib")
    tree.path("lib/libgone.so").unlink()
    block = tree.agree("open {dir}/libtop.so", "open {dir}/lib/libmid.so")[1]
    assert block.error == "libgone.so: cannot open shared object file: No such file or directory"
    assert not any(path.endswith("libb.so") for _, path in block.events)


def test_symbols(tree):
    """What dlerror says of symbols and versions is among what is derived."""
    tree.path("map1").write_text("V_1 { global: IMP_SYMBOL_; own*; local: *; };\nV_2 { global: x_*; } V_1;\n")
    tree.path("map0").write_text("V_1 { global: IMP_SYMBOL_; own*; x_*; local: *; };\n")
    version = "-Wl,--version-script," + str(tree.path("map1"))
    tree.object("new/libv.so", flags=[version], symbol="x_new")
    tree.object("old/libv.so", flags=["-Wl,--version-script," + str(tree.path("map0"))], symbol="x_new")
    source = tree.path("user.c")
    source.write_text("int x_new(void); int user(void) { return x_new(); }\n")
    tree.path("plain.c").write_text("int nobody_has_it(void); int user(void) { return nobody_has_it(); }\n")
    ld_agreement.compile_object(tree.path("libuser.so"), source, "-shared", "-fPIC", tree.path("new/libv.so"),
                                "-Wl,-rpath," + str(tree.path("old")) + ":" + str(tree.path("new")))
    ld_agreement.compile_object(tree.path("libplain.so"), tree.path("plain.c"), "-shared", "-fPIC")
    commands = ["open %s/libuser.so" % tree.dir, "open %s/libplain.so" % tree.dir]
    observed = tree.pair.observed(commands)
    _, user, plain = [b for b in tree.pair.derived(["symbols"] + commands) if b.command != "= symbols"]
    assert "version `V_2' not found" in observed[1].error
    assert user.versions == [(str(tree.path("libuser.so")), "libv.so", "V_2")]
    assert user.later == [("runpath", str(tree.path("new/libv.so")))]
    assert "undefined symbol: nobody_has_it" in observed[2].error
    assert plain.undefined == [(str(tree.path("libplain.so")), "nobody_has_it", "")]


@pytest.mark.needs_root
def test_raised_privileges(tree, pair):
    """AT_SECURE: no LD_LIBRARY_PATH, no $ORIGIN outside the default directories. rtld-audit is off as well there."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    public = pathlib.Path(subprocess.check_output(["mktemp", "-d", "/tmp/imptrace-secure-XXXXXX"], text=True).strip())
    try:
        public.chmod(0o755)
        tree.dir = public
        tree.object("lib/libx.so")
        program = tree.program("program", runpath="$ORIGIN/lib")
        log = public / "log"
        program.chmod(0o4755)
        mounted = subprocess.check_output(["findmnt", "-no", "OPTIONS", "-T", str(public)], text=True)
        if "nosuid" in mounted:
            pytest.skip("/tmp is mounted nosuid")
        for name, library_path in ("libx.so", "lib"), ("libx.so", str(public / "lib")):
            log.write_text("")
            log.chmod(0o666)
            done = subprocess.run([str(program)], input="open %s\n" % name, text=True, user=65534, group=65534,
                                  extra_groups=[], cwd=str(public),
                                  env={"LD_LIBRARY_PATH": library_path, "LD_SEARCH_LOG": str(log)})
            assert done.returncode == 0
            error = log.read_text().split("error\t")[1].strip()
            block = pair.derived(["open " + name], program=program, library_path=library_path, options=["-S"])[1]
            assert block.error == error
            why = {path: reason for _, path, reason in block.skipped}
            assert "raised privileges" in why[library_path] and "raised privileges" in why["$ORIGIN/lib"]
    finally:
        shutil.rmtree(public)


def real_objects():
    """Shared objects and extension modules of the machine, each file once."""
    patterns = ["/usr/lib/x86_64-linux-gnu/*.so*", "/usr/lib/x86_64-linux-gnu/*/*.so", "/usr/lib/python3*/lib-dynload/*.so",
                "/usr/lib/python3/dist-packages/**/*.so",
                os.path.expanduser("~/.pyenv/versions/*/lib/python*/lib-dynload/*.so")]
    found = []
    for pattern in patterns:
        some = sorted({os.path.realpath(path) for path in glob.glob(pattern, recursive=True)})
        found += some[::max(1, len(some) // 200)]  # some of each kind
    return sorted({path for path in found if open(path, "rb").read(4) == b"\x7fELF"})


def test_real_objects(pair, capsys, record_property):
    """Every path and its rule, in order, for real objects; and what dlopen says of missing symbols."""
    names = real_objects()
    if len(names) < 200:
        pytest.skip("only %d shared objects on this machine" % len(names))
    # Nine in ten by path; the others by name, so that the rules are asked.
    opens = ["open " + (name if i % 10 else os.path.basename(name)) for i, name in enumerate(names)]
    observed = pair.observed(["fork"] + opens)
    commands = ["symbols"]
    for line in opens:
        commands += ["reset", line]
    derived = [b for b in pair.derived(commands) if b.command.split()[1] in ("start", "open")]
    assert [b.command for b in observed] == [b.command for b in derived]
    count, differ = collections.Counter(), []
    for seen, ours in zip(observed, derived):
        count["objects"] += 1
        count["events"] += len(seen.events)
        if seen.events != ours.events:
            differ.append(seen.command)
        missing = {name for _, name, _ in ours.undefined}
        if seen.error is None:
            count["loaded"] += 1
            if missing or ours.error:
                differ.append("%s: loaded, yet derived: %s %s" % (seen.command, ours.error, sorted(missing)[:3]))
        elif "undefined symbol: " in seen.error:
            count["undefined symbol"] += 1
            if seen.error.split("undefined symbol: ")[1].split(",")[0].strip() not in missing:
                differ.append("%s: %s" % (seen.command, seen.error))
        elif "static TLS" not in seen.error:
            count["other error"] += 1
            if seen.error != ours.error:
                differ.append("%s: %s; derived: %s" % (seen.command, seen.error, ours.error))
    text = "derived search == rtld-audit: %d of %d objects, %d paths; %s" % (
        len(observed) - len(differ), len(observed), count["events"],
        ", ".join("%d %s" % (count[k], k) for k in ("loaded", "undefined symbol", "other error")))
    record_property("agreement", text)
    with capsys.disabled():
        print("\n  " + text)
    assert not differ
