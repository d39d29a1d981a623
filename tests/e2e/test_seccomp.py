# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that take system calls away from themselves: they go on as they do bare, and the record tells where
it ends."""
import os

import pytest

import interpreters

if os.uname().machine != "x86_64":
    pytest.skip("numbers of x86-64's system calls", allow_module_level=True)

WRITE, GETPID, OPENAT, GETTID, PERSONALITY, NANOSLEEP = 1, 39, 257, 186, 135, 35


def run(lab, *args):
    program = interpreters.compile_c("seccomp/locked.c", "-ldl")
    bare = lab.bare([program, *args])
    if bare.returncode == 77:
        pytest.skip("no seccomp here")
    traced = lab.traced([program, *args], bare=bare)
    lab.raw(traced.trace)
    looked = {e["text"] for e in lab.dump(traced.trace) if e["kind"] == "dlsym" and e.get("text")}
    assert "absent_before" in looked
    return traced, "absent_after" in looked, lab.analyze(traced.trace)[1]


@pytest.mark.parametrize("how", ["prctl", "syscall"])
@pytest.mark.parametrize("action,numbers", [
    ("kill", [OPENAT]), ("kill", [GETPID]), ("kill", [GETTID, NANOSLEEP]), ("kill", ["w"]),
    ("trap", [GETPID]), ("trap", [OPENAT]), ("errno", [OPENAT]), ("errno", [GETPID]),
    ("errno", ["w"])], ids=lambda v: "-".join(map(str, v)) if isinstance(v, list) else v)
def test_recording_ends(lab, how, action, numbers):
    """What the program would be punished for, or what would be in vain, is not tried any more."""
    traced, after, report = run(lab, how, action, *numbers)
    assert (traced.returncode, traced.stdout) == (4, b"still here\n")
    assert not after
    assert report["complete"] is False
    assert any("seccomp" in note for note in report["notes"]), report["notes"]


@pytest.mark.parametrize("how", ["prctl", "syscall"])
@pytest.mark.parametrize("action,numbers", [
    ("kill", [PERSONALITY]), ("log", [OPENAT, GETPID]), ("errno", [NANOSLEEP]), ("allow", [OPENAT])],
    ids=lambda v: "-".join(map(str, v)) if isinstance(v, list) else v)
def test_recording_goes_on(lab, how, action, numbers):
    """A filter that does not stand against the recorder costs nothing of the record."""
    traced, after, report = run(lab, how, action, *numbers)
    assert (traced.returncode, traced.stdout) == (4, b"still here\n")
    assert after
    assert report["complete"] is True and report["notes"] == []


def test_strict_mode(lab):
    traced, after, report = run(lab, "strict", "kill")
    assert traced.returncode == 7 and traced.stdout == b"in strict mode\n"
    assert not after and report["complete"] is False


def test_refused(lab):
    """The kernel refuses the filter: nothing has changed, and nothing is missing."""
    traced, after, report = run(lab, "bad", "kill", OPENAT)
    assert traced.returncode == 4 and traced.stdout.count(b"-1 ") == 3
    assert after and report["complete"] is True


def test_program_locks_itself_in_after_its_imports(lab, python):
    """A server in Python that gives up openat(2): what it imported, and what failed, is there."""
    code = (
        "import ctypes, os, struct, sys\n"
        "try:\n    import gone_17\nexcept ImportError:\n    pass\n"
        "ins = [(0x20, 0, 0, 0), (0x15, 0, 1, 257), (6, 0, 0, 0x80000000), (6, 0, 0, 0x7fff0000)]\n"
        "code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *i) for i in ins))\n"
        "prog = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(ins), ctypes.addressof(code)))\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.prctl(38, 1, 0, 0, 0) == 0\n"
        "assert libc.prctl(22, 2, prog, 0, 0) == 0, ctypes.get_errno()\n"
        "sys.path[:] = []\n"
        "try:\n    import gone_19\nexcept ImportError:\n    print('still here')\n"
        "sys.exit(3)\n")
    bare = lab.bare([python.path, "-S", "-c", code])
    if b"still here" not in bare.stdout:
        pytest.skip("no seccomp here: " + bare.text)
    assert bare.returncode == 3
    traced = lab.traced([python.path, "-S", "-c", code], bare=bare)
    _, report = lab.analyze(traced.trace, "--all")
    modules = [f["module"] for f in report["findings"]]
    assert "gone_17" in modules and "gone_19" not in modules
    assert report["complete"] is False and any("seccomp" in note for note in report["notes"])
