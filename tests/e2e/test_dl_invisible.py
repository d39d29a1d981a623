# SPDX-License-Identifier: GPL-2.0-or-later
"""The dynamic loader and its callers behave under the recorder as they do without it.

Each test runs a program bare and traced; Cases.run() compares what they print and how they end.
"""
import os
import shutil
import signal
import subprocess

import pytest

pytest.register_assert_rewrite("dl_cases")
import dl_cases  # noqa: E402


@pytest.fixture
def cases(tmp_path):
    return dl_cases.Cases(tmp_path)


# How the calling object was built: where a return gadget is to be found differs each time.
BUILDS = {
    "O0": ["-O0"],
    "O2": ["-O2"],
    "O3-omit-frame-pointer": ["-O3", "-fomit-frame-pointer"],
    "Os-frame-pointer": ["-Os", "-fno-omit-frame-pointer"],
    "cet": ["-O2", "-fcf-protection=full"],
    "stripped": ["-O2", "-s"],
    "no-pie": ["-O1", "-no-pie"],
    "no-eh-frame": ["-O2", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"],
    "stack-protector": ["-O1", "-fstack-protector-all"],
    "clang-O0": ["clang", "-O0"],
    "clang-O2": ["clang", "-O2"],
}


@pytest.fixture(params=sorted(BUILDS))
def how(request):
    """Arguments of Cases.compile() for one kind of caller."""
    flags = list(BUILDS[request.param])
    compiler = "gcc"
    if flags[0] == "clang":
        compiler = flags.pop(0)
        if not shutil.which(compiler):
            pytest.skip("no clang")
    return flags, {"compiler": compiler}


def plugin(cases, out, name=None, *flags):
    return cases.compile(out, "plugin.c", '-DNAME="%s"' % (name or out), *flags)


@pytest.mark.parametrize("tags", ["--enable-new-dtags", "--disable-new-dtags"])
def test_search(cases, how, tags):
    """RUNPATH and RPATH of the library and of the program, $ORIGIN, relative paths."""
    flags, compiler = how
    plugin(cases, "lib/plugins/plug_x.so", "x of the library")
    plugin(cases, "own/plug_y.so", "y of the program")
    plugin(cases, "here.so", "in the working directory")
    link = ["-Wl," + tags]
    opener = cases.compile("lib/libopener.so", "opener.c", *flags, "-foptimize-sibling-calls", *link,
                           "-Wl,-rpath,$ORIGIN/plugins", **compiler)
    program = cases.compile("search", "search.c", *flags, *link, opener, "-Wl,-rpath,$ORIGIN/own:$ORIGIN/lib",
                            **compiler)
    events = cases.run(program, "plug_x.so", "plug_y.so", "$ORIGIN/plugins/plug_x.so", "$ORIGIN/own/plug_y.so",
                       "./here.so", "here.so", "libz.so.1")
    assert "library plug_x.so: x of the library" in cases.output
    assert "program plug_y.so: y of the program" in cases.output
    assert "program plug_x.so: NULL" in cases.output
    objects = events.objects()
    asked = {(os.path.basename(objects[e["CALLER"]]), e["TEXT"]) for e in events.of("DLOPEN_ENTER")}
    assert ("libopener.so", "plug_x.so") in asked and ("search", "plug_x.so") in asked
    assert len(events.of("DLOPEN_ENTER")) == len(events.of("DLOPEN_LEAVE")) == 21
    assert not events.of("NOTE")


def test_dlerror(cases, how):
    flags, compiler = how
    plug = plugin(cases, "plug.so")
    program = cases.compile("dlerror", "dlerror.c", *flags, "-pthread", **compiler)
    events = cases.run(program, plug)
    assert "read twice, 2: error [none]" in cases.output
    assert "read once: error [libno-such-thing.so.7: cannot open" in cases.output
    # What was read was recorded, and each failure was, read or not.
    failed = [e for e in events.of("DLOPEN_LEAVE") if not e["HANDLE"]]
    assert len([e for e in failed if e["ERROR"].startswith("libno-such-thing.so.7: ")]) == 12
    told = [e["TEXT"] for e in events.of("DLERROR")]
    assert any("invalid" in text or "unsupported dlinfo" in text for text in told)


def test_dlerror_not_recorded(cases):
    """With look-ups left out of the record, their errors are libc's alone."""
    program = cases.compile("dlerror", "dlerror.c", "-pthread")
    plug = plugin(cases, "plug.so")
    for which in ("none", "failures"):
        events = cases.run(program, plug, options={"IMPTRACE_DLSYM": which})
        assert bool(events.of("DLSYM")) == (which == "failures")
        assert all("ERROR" in e for e in events.of("DLSYM"))


@pytest.mark.parametrize("where", ["before", "after", "both"])
def test_second_interposer(cases, where):
    second = cases.compile("second.so", "second.c")
    third = cases.compile("third.so", "second.c")
    plug = plugin(cases, "lib/plug_x.so")
    opener = cases.compile("libopener.so", "opener.c", "-Wl,-rpath,$ORIGIN/lib")
    program = cases.compile("search", "search.c", opener, "-Wl,-rpath,$ORIGIN")
    others = {"before": {"before": [second]}, "after": {"after": [second]},
              "both": {"before": [second], "after": [third]}}[where]
    events = cases.run(program, "plug_x.so", plug, "libz.so.1", **others)
    assert "second: dlopen(plug_x.so)" in cases.output
    objects = events.objects()
    callers = {os.path.basename(objects[e["CALLER"]]) for e in events.of("DLOPEN_ENTER")}
    assert callers == ({"search", "libopener.so"} if where == "after" else {"second.so"})
    # A wrapper of dlopen is what ld.so takes for the caller, then as now.
    assert "library plug_x.so: NULL" in cases.output


def test_address_sanitizer(cases):
    """Its runtime interposes dlopen too, and must come first."""
    plug = plugin(cases, "lib/plug_x.so")
    opener = cases.compile("libopener.so", "opener.c", "-Wl,-rpath,$ORIGIN/lib")
    program = cases.compile("search", "search.c", opener, "-Wl,-rpath,$ORIGIN")
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], stdout=subprocess.PIPE, check=True)
    runtime = os.path.realpath(found.stdout.decode().strip())
    if not os.path.isabs(runtime) or not os.path.exists(runtime):
        pytest.skip("no libasan.so")
    events = cases.run(program, "plug_x.so", plug, before=[runtime], env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert events.of("DLOPEN_ENTER")


def test_next(cases, how):
    """Libraries that ask RTLD_NEXT for the function that they are in."""
    flags, compiler = how
    three = cases.compile("libthree.so", "chain.c", *flags, '-DNAME="three"', **compiler)
    two = cases.compile("libtwo.so", "chain.c", *flags, '-DNAME="two"', "-Wl,--no-as-needed", three,
                        "-Wl,-rpath,$ORIGIN", **compiler)
    one = cases.compile("libone.so", "chain.c", *flags, '-DNAME="one"', "-Wl,--no-as-needed", two,
                        "-Wl,-rpath,$ORIGIN", **compiler)
    program = cases.compile("chain", "chain_main.c", *flags, one, "-Wl,-rpath,$ORIGIN", **compiler)
    events = cases.run(program)
    assert cases.output.startswith("work in one, depth 0\nwork in two, depth 1\nwork in three, depth 2\n")
    looked = [e for e in events.of("DLSYM") if e["TEXT"] == "work"]
    assert {os.path.basename(events.objects()[e["CALLER"]]) for e in looked} == {
        "libone.so", "libtwo.so", "libthree.so", "chain"}
    assert [e["ERROR"] for e in looked if not e["ADDRESS"]]


@pytest.mark.parametrize("where", ["before", "after"])
def test_dlsym_itself(cases, where):
    itself = cases.compile("itself.so", "itself.c")
    plug = plugin(cases, "plug.so")
    program = cases.compile("dlerror", "dlerror.c", "-pthread")
    cases.run(program, plug, **{where: [itself]})
    assert "recursion" not in cases.output and "no next dlsym" not in cases.output


def test_namespaces(cases, how):
    flags, compiler = how
    plug = plugin(cases, "plug.so")
    opener = cases.compile("opener.so", "opener.c", *flags, **compiler)
    program = cases.compile("namespaces", "namespaces.c", *flags, **compiler)
    events = cases.run(program, plug, opener)
    assert "first: dlinfo 0, id 1" in cases.output
    there = [os.path.basename(e["TEXT"]) for e in events.of("OBJECT") if e.get("NAMESPACE") == 1]
    assert sorted(there) == ["libc.so.6", "opener.so", "plug.so"]
    asked = [e for e in events.of("DLOPEN_ENTER") if e["TEXT"] == str(plug)]
    assert [e.get("NAMESPACE") for e in asked] == [None, -1, 1, 13, -1]
    looked = [e for e in events.of("DLSYM") if e.get("SYMVER") == "GLIBC_9.9"]
    assert len(looked) == 1 and looked[0]["ADDRESS"] == 0 and "GLIBC_9.9" in looked[0]["ERROR"]


@pytest.mark.parametrize("env", [{}, {"UNREAD": "1"}, {"FAIL_LAST": "1"}], ids=["read", "unread", "last"])
@pytest.mark.parametrize("inner", ["inner.so", "absent.so"])
def test_constructors_and_destructors(cases, env, inner):
    """They call dl functions themselves; those are recorded too, nested."""
    plugin(cases, "inner.so")
    outer = cases.compile("outer.so", "nested.c")
    program = cases.compile("flags", "flags.c")
    events = cases.run(program, outer, env={"INNER": "./" + inner, **env})
    kinds = [e["KIND"] for e in events.of("DLOPEN_ENTER", "DLOPEN_LEAVE")
             if e.get("TEXT") in (None, str(outer), "./" + inner)]
    # First the NOLOAD, then the outer one around the inner.
    assert kinds[:6] == ["DLOPEN_ENTER", "DLOPEN_LEAVE", "DLOPEN_ENTER", "DLOPEN_ENTER", "DLOPEN_LEAVE",
                         "DLOPEN_LEAVE"]
    assert [e for e in events.of("DLSYM") if e["TEXT"] == "plugin_value"]


def test_flags_and_refusals(cases, how):
    flags, compiler = how
    plug = plugin(cases, "plug.so")
    needed = plugin(cases, "gone/libneeded.so", None, "-Wl,-soname,libneeded.so")
    cases.compile("dependent.so", "opener.c", "-Wl,--no-as-needed", needed)
    needed.unlink()
    cases.compile("undefined.so", "upcall.c", "-Wl,-z,now")
    cases.compile("static_tls.so", "tls.c", "-DSTATIC_TLS", "-DSIZE=256")
    cases.compile("too_much_tls.so", "tls.c", "-DSTATIC_TLS", "-DSIZE=9000")
    cases.compile("tls.so", "tls.c", "-DSIZE=9000")
    (cases.dir / "garbage.so").write_bytes(b"this is no ELF file\n" * 9)
    (cases.dir / "empty.so").write_bytes(b"")
    (cases.dir / "cut.so").write_bytes(plug.read_bytes()[:50])
    foreign = bytearray(plug.read_bytes())
    foreign[18] = 183  # e_machine: AArch64
    (cases.dir / "foreign.so").write_bytes(foreign)
    os.symlink("nowhere", cases.dir / "dangling.so")
    program = cases.compile("flags", "flags.c", *flags, "-rdynamic", **compiler)
    names = ["absent.so", "dependent.so", "undefined.so", "static_tls.so", "too_much_tls.so", "tls.so", "garbage.so",
             "empty.so", "cut.so", "foreign.so", "dangling.so"]
    events = cases.run(program, plug, *("./" + name for name in names))
    errors = {}
    for enter in events.of("DLOPEN_ENTER"):
        leave = [e for e in events.of("DLOPEN_LEAVE") if e["CALL"] == enter["CALL"]]
        assert len(leave) == 1
        errors[os.path.basename(enter.get("TEXT", "NULL"))] = leave[0].get("ERROR")
    assert "libneeded.so: cannot open" in errors["dependent.so"]
    assert "static TLS" in errors["too_much_tls.so"] and errors["tls.so"] is None
    assert "undefined symbol: in_constructor" in errors["undefined.so"]
    for name in ("absent.so", "garbage.so", "empty.so", "cut.so", "foreign.so", "dangling.so"):
        assert "./" + name in errors[name]
    assert [e for e in events.of("DLOPEN_ENTER") if "TEXT" not in e]	# dlopen(NULL)


def test_backtrace(cases, how):
    """A constructor's stack leads through our frames to the program."""
    flags, compiler = how
    plug = plugin(cases, "plug.so")
    upcall = cases.compile("upcall.so", "upcall.c")
    program = cases.compile("unwind", "unwind.c", *flags, "-rdynamic", "-pthread", **compiler)
    cases.run(program, 0, upcall, plug)
    if "-fno-unwind-tables" not in flags:
        assert "constructor: unwound 3 of 3" in cases.output


@pytest.mark.parametrize("mode,expected", [(1, "jumped out of the constructor"), (2, "the thread left with 5"),
                                           (3, "handler: printf in libc.so.6")],
                         ids=["longjmp", "pthread_exit", "signal"])
def test_ways_out_of_a_constructor(cases, how, mode, expected):
    flags, compiler = how
    plug = plugin(cases, "plug.so")
    upcall = cases.compile("upcall.so", "upcall.c")
    program = cases.compile("unwind", "unwind.c", *flags, "-rdynamic", "-pthread", **compiler)
    if mode == 2 and "-fno-unwind-tables" in flags:
        pytest.skip("no unwinding without tables, bare neither")
    events = cases.run(program, mode, upcall, plug)
    assert expected in cases.output
    # What was left by another way than a return has an enter without a leave.
    without = {e["CALL"] for e in events.of("DLOPEN_ENTER")} - {e["CALL"] for e in events.of("DLOPEN_LEAVE")}
    assert len(without) == (0 if mode == 3 else 1)


@pytest.mark.parametrize("flags", [["-O0"], ["-O2"], ["-O2", "-fomit-frame-pointer", "-fcf-protection"], ["-Os"]],
                         ids=["O0", "O2", "cet", "Os"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_exceptions(cases, compiler, flags):
    if not shutil.which(compiler):
        pytest.skip("no " + compiler)
    plug = cases.compile("throw.so", "throw.cc", "-DPLUGIN", *flags, compiler=compiler)
    constructor = cases.compile("ctor.so", "throw.cc", "-DPLUGIN", "-DFROM_CONSTRUCTOR", *flags, compiler=compiler)
    program = cases.compile("throw", "throw.cc", *flags, compiler=compiler)
    events = cases.run(program, plug, constructor, plug)
    assert cases.output.count("caught libno-such-thing.so.7") == 2
    assert "caught from the constructor" in cases.output
    assert len(events.of("DLOPEN_ENTER")) == len(events.of("DLOPEN_LEAVE")) + 1


def test_threads(cases, how):
    flags, compiler = how
    plugs = [plugin(cases, "plug%d.so" % i) for i in range(5)]
    program = cases.compile("threads", "threads.c", *flags, "-pthread", **compiler)
    events = cases.run(program, *plugs)
    assert cases.status == 0
    # Four threads, 211 rounds, two objects each: not one call is lost.
    assert len(events.of("DLOPEN_ENTER")) == len(events.of("DLOPEN_LEAVE")) == 4 * 211 * 2
    assert len(events.of("DLCLOSE")) == 4 * 211 * 2
    texts = {e["TEXT"] for e in events.of("DLSYM") if not e["ADDRESS"]}
    assert len(texts) == 4 * 211


def test_code_without_object(cases, how):
    """For calls from generated code, ld.so takes the program as the caller, and refuses RTLD_NEXT."""
    if os.uname().machine != "x86_64":
        pytest.skip("x86-64 machine code")
    flags, compiler = how
    plugin(cases, "own/plug_y.so")
    plug = plugin(cases, "plug.so")
    program = cases.compile("anonymous", "anonymous.c", *flags, "-Wl,-rpath,$ORIGIN/own", **compiler)
    events = cases.run(program, "plug_y.so", plug)
    assert "RTLD_NEXT used in code not dynamically loaded" in cases.output
    assert [e["CALLER"] for e in events.of("DLOPEN_ENTER")] == [0, 0]


def test_calls_past_us(cases):
    """An object loaded with RTLD_DEEPBIND finds libc's own functions; they end the life of a text too."""
    past = cases.compile("past_us.so", "past_us.c")
    program = cases.compile("past_us", "past_us_main.c")
    cases.run(program, past)
    assert "failure: error [" in cases.output and "another_missing_symbol" in cases.output


def test_foreign_error_text(cases):
    """In another language the text is the same as bare."""
    plug = plugin(cases, "plug.so")
    program = cases.compile("dlerror", "dlerror.c", "-pthread")
    cases.run(program, plug, env={"LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"})


def test_killed_in_a_constructor(cases):
    """The trace names the object in which the process died."""
    crash = cases.compile("crash.so", "crash.c")
    program = cases.compile("flags", "flags.c")
    events = cases.run(program, crash)
    assert cases.status == -signal.SIGKILL
    last = events.of("DLOPEN_ENTER")[-1]
    assert last["TEXT"] == str(crash) and last["FLAGS"] == os.RTLD_LAZY
    assert last["CALL"] not in {e["CALL"] for e in events.of("DLOPEN_LEAVE")}
