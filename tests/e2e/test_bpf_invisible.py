# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's probes change nothing: ld.so still sees who calls it, and a stack is unwound as it is bare.

A uretprobe on dlopen or dlsym hides the caller's address from glibc (RUNPATH, $ORIGIN, RTLD_NEXT).
"""
import subprocess

import pytest

import dl_cases


@pytest.fixture
def probed(tmp_path):
    """Run a command bare and under the probe alone; both must do the same. Returns its output."""
    imptrace = dl_cases.BUILD / "imptrace"

    def run(*command):
        command = [str(part) for part in command]
        trace = tmp_path / "bpf.zst"
        traced = subprocess.run([str(imptrace), "run", "--bpf", "--no-preload", "-o", str(trace), "--", *command],
                                cwd=tmp_path, capture_output=True, text=True, timeout=120)
        if traced.returncode == 125:
            pytest.skip(traced.stderr.strip().splitlines()[-1])
        bare = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert traced.stdout.splitlines() == bare.stdout.splitlines()
        assert traced.stderr.splitlines() == bare.stderr.splitlines()
        assert traced.returncode == bare.returncode
        return bare.stdout, dl_cases.read(trace)

    return run


@pytest.fixture
def cases(tmp_path):
    return dl_cases.Cases(tmp_path)


@pytest.mark.parametrize("tags", ["--enable-new-dtags", "--disable-new-dtags"])
def test_search(cases, probed, tags):
    for where, name in (("lib/plugins/plug_x.so", "x of the library"), ("own/plug_y.so", "y of the program")):
        cases.compile(where, "plugin.c", '-DNAME="%s"' % name)
    opener = cases.compile("lib/libopener.so", "opener.c", "-Wl," + tags, "-Wl,-rpath,$ORIGIN/plugins")
    program = cases.compile("search", "search.c", "-Wl," + tags, opener, "-Wl,-rpath,$ORIGIN/own:$ORIGIN/lib")
    output, events = probed(program, "plug_x.so", "plug_y.so", "$ORIGIN/plugins/plug_x.so", "libz.so.1")
    assert "library plug_x.so: x of the library" in output
    assert "program plug_y.so: y of the program" in output
    assert "program plug_x.so: NULL" in output
    # Each call is told with its end, and those that failed with dlerror's text.
    entered, left = events.of("DLOPEN_ENTER"), events.of("DLOPEN_LEAVE")
    assert len(entered) == len(left) > 0
    failed = [event for event in left if not event["HANDLE"]]
    assert failed and any("plug_x.so: cannot open shared object file" in event.get("ERROR", "") for event in failed)


def test_exception_through_a_constructor(cases, probed):
    plug = cases.compile("throw.so", "throw.cc", "-DPLUGIN", compiler="g++")
    constructor = cases.compile("ctor.so", "throw.cc", "-DPLUGIN", "-DFROM_CONSTRUCTOR", compiler="g++")
    program = cases.compile("throw", "throw.cc", compiler="g++")
    output, events = probed(program, plug, constructor, plug)
    assert "caught from the constructor" in output
    # What was left by an exception has an enter without a leave.
    assert len(events.of("DLOPEN_ENTER")) == len(events.of("DLOPEN_LEAVE")) + 1
