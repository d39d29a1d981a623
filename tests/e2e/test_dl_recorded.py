# SPDX-License-Identifier: GPL-2.0-or-later
"""What is recorded of the dynamic loader."""
import os
import re
import shutil
import subprocess

import pytest

pytest.register_assert_rewrite("dl_cases")
import dl_cases  # noqa: E402


@pytest.fixture
def cases(tmp_path):
    return dl_cases.Cases(tmp_path)


def test_objects(cases):
    """Each object once, with address, size and build-id; gone when it is unmapped."""
    plug = cases.compile("plug.so", "plugin.c", "-Wl,--build-id=0x0123456789abcdef")
    program = cases.compile("flags", "flags.c", "-Wl,--build-id=sha1")
    events = cases.run(program, plug, "libz.so.1")
    objects = events.of("OBJECT")
    assert len({e["OBJECT"] for e in objects}) == len(objects)
    assert objects[0]["TEXT"] == str(program)
    notes = subprocess.run(["readelf", "-n", str(program)], stdout=subprocess.PIPE, check=True).stdout.decode()
    assert objects[0]["BUILD_ID"].hex() == re.search(r"Build ID: (\w+)", notes)[1]
    mine = [e for e in objects if e["TEXT"] == str(plug)]
    assert len(mine) == 1 and mine[0]["BUILD_ID"].hex() == "0123456789abcdef"
    spans = sorted((e["ADDRESS"], e["ADDRESS"] + e["SIZE"]) for e in objects)
    assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:]))
    loaded = [e for e in events.of("DLOPEN_LEAVE") if e["HANDLE"]]
    assert {e["OBJECT"] for e in loaded} >= {mine[0]["OBJECT"], objects[0]["OBJECT"]}
    zlib = [e["OBJECT"] for e in objects if "/libz.so" in e["TEXT"]]
    assert len(zlib) == 1
    # plug.so was made RTLD_NODELETE, libz was closed.
    assert [e["OBJECT"] for e in events.of("OBJECT_GONE")] == zlib


def test_caller_offset(cases):
    """OFFSET is the return address as the ELF file has it."""
    program = cases.compile("chain", "chain_main.c", cases.compile("libone.so", "chain.c"), "-Wl,-rpath,$ORIGIN")
    events = cases.run(program)
    for name in ("chain", "libone.so"):
        number = [n for n, path in events.objects().items() if os.path.basename(path) == name]
        code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", str(cases.dir / name)], stdout=subprocess.PIPE,
                              check=True).stdout.decode().splitlines()
        after_call = {int(code[i + 1].split(":")[0], 16) for i in range(len(code) - 1) if "call" in code[i]
                      and "dlsym" in code[i]}
        offsets = {e["OFFSET"] for e in events.of("DLSYM") if e["CALLER"] in number}
        assert offsets and offsets <= after_call


def test_many_objects(cases):
    """More than any fixed table would hold; the forked child writes its objects anew."""
    first = cases.compile("many0.so", "plugin.c", "-s")
    count = 1201
    for number in range(1, count):
        shutil.copy(first, cases.dir / ("many%d.so" % number))
    program = cases.compile("many", "many.c")
    events = cases.run(program, cases.dir / "many", count)
    parent, child = events[0]["IMAGE"], None
    for event in events:
        if event["KIND"] == "PROCESS" and event["IMAGE"] != events.of("PROCESS")[0]["IMAGE"]:
            child = event["IMAGE"]
    parent = events.of("PROCESS")[0]["IMAGE"]
    assert child

    def named(kind, image):
        return [e for e in events.of(kind) if e["IMAGE"] == image and "/many" in e.get("TEXT", "")
                and e["TEXT"].endswith(".so")]

    assert len({e["TEXT"] for e in named("OBJECT", parent)}) == count
    assert len([e for e in events.of("OBJECT_GONE") if e["IMAGE"] == parent]) == count // 2
    # The child has those that were open, and the one that it opens.
    assert len({e["TEXT"] for e in named("OBJECT", child)}) == count - count // 2 + 1
    assert [e for e in events.of("DLOPEN_LEAVE") if e["IMAGE"] == child and not e["HANDLE"]][0]["ERROR"]


@pytest.mark.parametrize("rounds", [1, 997])
def test_repeated_lookups(cases, rounds):
    """Counted, not written again and again."""
    plug = cases.compile("plug.so", "plugin.c")
    program = cases.compile("lookups", "lookups.c")
    events = cases.run(program, plug, rounds)
    assert cases.output.startswith("%d hits, %d misses\n" % (3 * rounds, rounds))
    for name, version in (("plugin_name", None), ("plugin_value", None), ("not_there", None),
                          ("memcpy", "GLIBC_2.2.5")):
        of_name = [e for e in events.of("DLSYM") if e["TEXT"] == name and e.get("SYMVER") == version]
        assert sum(e.get("COUNT", 1) for e in of_name) == rounds
        assert len(of_name) == (1 if rounds == 1 else 2)
        assert all(bool(e["ADDRESS"]) == (name != "not_there") for e in of_name)
    zero = [e for e in events.of("DLSYM") if e["TEXT"] == "absolute_zero"]
    assert len(zero) == 1 and zero[0]["ADDRESS"] == 0 and "ERROR" not in zero[0]


@pytest.mark.parametrize("which", ["none", "failures", "all"])
def test_which_lookups(cases, which):
    plug = cases.compile("plug.so", "plugin.c")
    program = cases.compile("lookups", "lookups.c")
    events = cases.run(program, plug, 3, options={"IMPTRACE_DLSYM": which})
    names = {e["TEXT"] for e in events.of("DLSYM")}
    assert names == {"none": set(), "failures": {"not_there"},
                     "all": {"not_there", "plugin_name", "plugin_value", "memcpy", "absolute_zero"}}[which]
    assert events.of("DLOPEN_ENTER")


def test_failure_is_on_disk_at_once(cases):
    """A failed load is in the trace before dlopen() returns, whatever becomes of the program."""
    program = cases.compile("crash_after", "past_us_main.c")
    events = cases.run(program, "./absent.so")
    assert cases.status == 1
    failed = events.of("DLOPEN_LEAVE")
    assert failed and "./absent.so: cannot open shared object file" in failed[0]["ERROR"]


def test_same_object_again(cases):
    """Closed and opened again, it is another object with a number of its own."""
    plug = cases.compile("plug.so", "plugin.c")
    program = cases.compile("threads", "threads.c", "-pthread")
    events = cases.run(program, plug, plug)
    mine = [e["OBJECT"] for e in events.of("OBJECT") if e["TEXT"] == str(plug)]
    gone = [e["OBJECT"] for e in events.of("OBJECT_GONE")]
    assert len(mine) == len(set(mine)) == 211 and gone == mine
