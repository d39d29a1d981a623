# SPDX-License-Identifier: GPL-2.0-or-later
"""What programs do with the loader and with processes, in every company that a recorder may have: the same is
printed bare and traced, and what happened is in the trace."""
import ctypes.util
import os
import subprocess

import pytest

pytest.register_assert_rewrite("dl_cases")
import dl_cases  # noqa: E402

# What must be seen on stdout, so that no case passes by doing nothing.
CASES = {
    "deepbind": "asked: deep", "dlinfo": "data: 0 1", "ifunc": "chosen: 1", "tls": "thread: 203",
    "reload": "kept: found", "chain": "loader in its destructor: found", "signals": "signals came",
    "fork": "child ended with 11", "vfork": "vfork and an exec that fails: ended, status 17",
    "spawn": "posix_spawn: ended, status 19", "clone": "clone with CLONE_VM: ended, status 29",
    "setns": "setns: -1", "strict": "strict",
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The program, what it loads, and a second interposer."""
    made = dl_cases.Cases(tmp_path_factory.mktemp("table"))
    made.program = made.compile("table", "table.c", "-rdynamic", "-pthread", "-ldl")
    for name, *more in (("plain",), ("other",), ("deep",), ("late",),
                        ("loader", '-DLOADS="./other.so"', '-DUNLOADS="./late.so"'),
                        ("forks", "-DFORKS")):
        made.compile(name + ".so", "part.c", '-DNAME="%s"' % name, *more)
    quiet = made.dir / "quiet.c"
    quiet.write_text("int quiet;\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(made.dir / "quiet.so"), str(quiet)], check=True)
    made.second = made.compile("second.so", "second.c")
    return made


def library(name):
    """A library that other people preload; None: not here."""
    if name == "jemalloc":
        path = ctypes.util.find_library("jemalloc")
        return path
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], stdout=subprocess.PIPE, check=True)
    path = os.path.realpath(found.stdout.decode().strip())
    return path if os.path.isabs(path) and os.path.exists(path) else None


COMPANY = {"alone": ([], []), "second-before": (["second"], []), "second-after": ([], ["second"]),
           "jemalloc-before": (["jemalloc"], []), "jemalloc-after": ([], ["jemalloc"]),
           "asan-before": (["asan"], []), "all": (["second", "jemalloc"], ["second"])}


@pytest.mark.parametrize("company", sorted(COMPANY))
@pytest.mark.parametrize("case", sorted(CASES))
def test_same(parts, case, company):
    options = {}
    sides = []
    for names in COMPANY[company]:
        side = [parts.second if name == "second" else library(name) for name in names]
        if None in side:
            pytest.skip("not on this machine: " + company)
        sides.append(side)
    if company == "asan-before":
        if case in ("deepbind", "strict", "clone"):
            pytest.skip("AddressSanitizer itself does not let a program do that")
        options["ASAN_OPTIONS"] = "detect_leaks=0:detect_odr_violation=0"
    events = parts.run(parts.program, case, before=sides[0], after=sides[1], env=options)
    assert CASES[case] in parts.output, parts.output
    assert events.of("PROCESS"), "nothing was recorded"
    assert events.of("DLOPEN_ENTER") or case in ("spawn",)
