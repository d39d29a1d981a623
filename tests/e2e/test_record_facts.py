# SPDX-License-Identifier: GPL-2.0-or-later
"""What is recorded at a failed load beside the error: the file, and the native stack."""
import os
import pathlib
import subprocess

import pytest

pytest.register_assert_rewrite("dl_cases")
import dl_cases  # noqa: E402

FACTS = "../facts/"
PYTHON = "/usr/bin/python3"


@pytest.fixture
def cases(tmp_path):
    return dl_cases.Cases(tmp_path)


def files(events):
    """{file name: event} of the files that were looked at."""
    found = {}
    for event in events.of("FILE"):
        found.setdefault(os.path.basename(event["TEXT"]), event)
    return found


def as_on_disk(event, path):
    """Each chunk holds what the file holds there; returns them as {offset: bytes}."""
    data = pathlib.Path(path).read_bytes()
    for offset, chunk in event["CHUNKS"]:
        assert data[offset:offset + len(chunk)] == chunk
    assert event["STAT"][3] == len(data)
    return dict((offset, chunk) for offset, chunk in event["CHUNKS"])


def functions(path, offsets):
    """The function that each offset lies in, by its return address."""
    where = ["0x%x" % (offset - 1) for offset in offsets]
    done = subprocess.run(["addr2line", "-f", "-e", str(path), *where], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().split("\n")[::2][:len(offsets)]


def test_asked_for_and_named(cases):
    """The file that was asked for, and the one that dlerror() names; the same one again is left out."""
    version = cases.dir / "version.map"
    version.write_text("VERS_1 { global: *; };\n")
    library = cases.compile("libold.so", "plugin.c", "-Wl,--version-script=%s" % version, "-Wl,-soname,libold.so")
    user = cases.dir / "user.c"
    user.write_text("extern int plugin_value(void); int use(void) { return plugin_value(); }\n")
    plug = cases.compile("plug.so", str(user), library, "-Wl,-rpath,$ORIGIN")
    version.write_text("VERS_2 { global: *; };\n")
    cases.compile("libold.so", "plugin.c", "-Wl,--version-script=%s" % version, "-Wl,-soname,libold.so")
    program = cases.compile("loader", FACTS + "loader.c", "-O0")
    events = cases.run(program, "./plug.so", "./plug.so")
    assert "version `VERS_1' not found (required by ./plug.so)" in cases.output
    assert [os.path.normpath(e["TEXT"]) for e in events.of("FILE")] == ["plug.so", str(library)]
    calls = [e["CALL"] for e in events.of("DLOPEN_LEAVE") if not e["HANDLE"]]
    assert len(calls) == 2 and {e["CALL"] for e in events.of("FILE")} == {calls[0]}
    kept = b"".join(as_on_disk(files(events)["plug.so"], plug).values())
    assert b"\0libold.so\0" in kept and b"\0plugin_value\0" in kept and b"\0VERS_1\0" in kept
    kept = b"".join(as_on_disk(files(events)["libold.so"], library).values())
    assert b"\0VERS_2\0" in kept and b"\0plugin_value\0" in kept


def test_links_and_refusals(cases):
    (cases.dir / "real").mkdir()
    (cases.dir / "real" / "text.so").write_text("<html>" * 1000)
    (cases.dir / "link.so").symlink_to("real/text.so")
    (cases.dir / "dangling.so").symlink_to("nowhere.so")
    (cases.dir / "folder.so").mkdir()
    (cases.dir / "empty.so").write_bytes(b"")
    program = cases.compile("loader", FACTS + "loader.c", "-O0")
    events = cases.run(program, "./link.so", "./dangling.so", "./folder.so", "./empty.so", "libnot-there.so.3")
    found = files(events)
    assert set(found) == {"link.so", "dangling.so", "folder.so", "empty.so"}
    assert len(found["link.so"]["LINKS"]) == 1 and found["link.so"]["LINKS"][0][1] == b"real/text.so"
    assert found["link.so"]["CHUNKS"] == [[0, b"<html>" * 42 + b"<htm"]]
    assert found["dangling.so"]["ERRNO"] == 2 and len(found["dangling.so"]["LINKS"]) == 1
    assert "CHUNKS" not in found["folder.so"] and found["folder.so"]["STAT"][0] & 0o170000 == 0o040000
    assert found["empty.so"]["CHUNKS"] == [] and found["empty.so"]["STAT"][3] == 0
    assert all(len(e["MOUNT"]) == 2 for e in events.of("FILE") if "STAT" in e)


def test_large_tables(cases):
    """Of tables that are too large to be kept, what decides: needed names, undefined symbols, PyInit."""
    source = cases.dir / "large.c"
    lines = ["int needed_%d(void); int exported_with_a_long_name_%d(void) { return needed_%d(); }" % (n, n, n % 211)
             for n in range(3001)]
    lines.append("int getpid(void); int PyInit_large(void) { return getpid(); }")
    source.write_text("\n".join(lines))
    large = cases.compile("large.so", str(source), "-Wl,-soname,large.so.7", "-O0")
    program = cases.compile("loader", FACTS + "loader.c", "-O0")
    events = cases.run(program, "./large.so")
    assert "undefined symbol: needed_" in cases.output
    event = files(events)["large.so"]
    kept = as_on_disk(event, large)
    assert sum(map(len, kept.values())) < 48 * 1024
    strings = b"\0".join(kept.values())
    for name in [b"PyInit_large", b"large.so.7", b"libc.so.6"] + [b"needed_%d" % n for n in range(211)]:
        assert name + b"\0" in strings
    # The symbol that PyInit_large is the name of.
    table = subprocess.run(["readelf", "-W", "--dyn-syms", str(large)], stdout=subprocess.PIPE, check=True).stdout.decode()
    value = [int(line.split()[1], 16) for line in table.splitlines() if line.endswith(" PyInit_large")]
    assert any(len(chunk) == 24 and int.from_bytes(chunk[8:16], "little") == value[0] for chunk in kept.values())


def test_stack_of_a_failed_load(cases):
    program = cases.compile("loader", FACTS + "loader.c", "-O0")
    events = cases.run(program, "./not-there.so", "libz.so.1")
    stacks = events.of("NATIVE_STACK")
    enter = [e for e in events.of("DLOPEN_ENTER") if e["TEXT"] == "./not-there.so"]
    assert [s["CALL"] for s in stacks] == [e["CALL"] for e in enter] and len(stacks) == 1
    frames = stacks[0]["FRAMES"]
    assert frames[0] == [enter[0]["CALLER"], enter[0]["OFFSET"]]
    main = [offset for number, offset in frames if events.objects().get(number) == str(program)]
    assert functions(program, main) == ["inner", "outer", "main", "_start"]
    others = {os.path.basename(events.objects()[number]) for number, _ in frames} - {"loader"}
    assert others == {"libc.so.6"}


def test_stack_through_the_detour(cases):
    """A frame that we made to come back is none of the program's."""
    plug = cases.compile("plug.so", FACTS + "loader.c", "-DCONSTRUCTOR", "-O0")
    program = cases.compile("loader", FACTS + "loader.c", "-O0")
    events = cases.run(program, plug)
    stack = [s for s in events.of("NATIVE_STACK")]
    assert len(stack) == 1
    frames = stack[0]["FRAMES"]
    assert functions(plug, [o for n, o in frames if events.objects()[n] == str(plug)]) == ["construct"]
    assert functions(program, [o for n, o in frames if events.objects()[n] == str(program)]) == [
        "inner", "outer", "main", "_start"]


@pytest.mark.parametrize("which", ["none", "failures", "all"])
def test_which_stacks(cases, which):
    program = cases.compile("loader", FACTS + "loader.c", "-O0")
    events = cases.run(program, "./not-there.so", "libz.so.1", options={"IMPTRACE_STACKS": which})
    loads = {e["CALL"]: e["HANDLE"] for e in events.of("DLOPEN_LEAVE")}
    taken = {bool(loads[s["CALL"]]) for s in events.of("NATIVE_STACK")}
    assert taken == {"none": set(), "failures": {False}, "all": {False, True}}[which]


def extension(cases, name, init, imports):
    return cases.compile(name, FACTS + "extension.c", "-DINIT=" + init, '-DINIT_IMPORTS="%s"' % imports, "-O1")


def test_import_that_native_code_asked_for(cases):
    """From PyInit to the import that failed in it; a failed import of Python code has no native stack."""
    plug = extension(cases, "asks.so", "PyInit_asks", "gone_for_good")
    events = cases.run(PYTHON, "-c", "import sys; sys.path[0:0] = ['.']\n"
                       "for name in 'not_there', 'asks':\n"
                       "    try: __import__(name)\n"
                       "    except ImportError as e: print(e)")
    assert cases.output.splitlines() == ["No module named 'not_there'", "No module named 'gone_for_good'"]
    attempts = {e["IMPORT"]: e["TEXT"] for e in events.of("IMPORT_BEGIN")}
    stacks = events.of("NATIVE_STACK")
    assert [attempts[s["IMPORT"]] for s in stacks] == ["gone_for_good"]
    mine = [o for n, o in stacks[0]["FRAMES"] if events.objects()[n] == str(plug)]
    assert functions(plug, mine) == ["ask_for", "PyInit_asks"]
    assert not any("libimptrace" in events.objects()[n] for n, _ in stacks[0]["FRAMES"])


def test_init_function_that_is_not_there(cases):
    """It was loaded, so no failed dlopen() says what file it is."""
    plug = extension(cases, "wrong.so", "PyInit_other", "sys")
    events = cases.run(PYTHON, "-c", "import sys; sys.path[0:0] = ['.']\n"
                       "try: import wrong\n"
                       "except ImportError as e: print(e)")
    assert "does not define module export function (PyInit_wrong)" in cases.output
    event = files(events)["wrong.so"]
    assert event["CALL"] in {e["CALL"] for e in events.of("EXT_END")}
    assert b"\0PyInit_other\0" in b"".join(as_on_disk(event, plug).values())


def test_failed_init_function(cases):
    """The file is not at fault: nothing is kept of it."""
    extension(cases, "asks.so", "PyInit_asks", "gone_for_good")
    events = cases.run(PYTHON, "-c", "import sys; sys.path[0:0] = ['.']\n"
                       "try: import asks\n"
                       "except ImportError as e: print(e)")
    assert events.of("EXT_END") and not events.of("FILE")


def test_nothing_is_loaded_for_it(cases):
    """A stack is taken without any object that the program does not have."""
    program = cases.compile("loader", FACTS + "loader.c", "-O0")
    events = cases.run(program, "./not-there.so", options={"IMPTRACE_STACKS": "all"})
    names = {os.path.basename(path) for path in events.objects().values()}
    assert names == {"loader", "linux-vdso.so.1", "libimptrace.so", "libc.so.6", "ld-linux-x86-64.so.2"}
