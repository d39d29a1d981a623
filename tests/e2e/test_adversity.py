# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever the world does to the trace, the program ends as it does bare, and the trace up to there is good.

test_recording_hostile.py has the ordinary cases; here are the failures of the system itself, and the programs
that take the trace out of their own reach.
"""
import errno
import os
import resource
import subprocess

import pytest

import interpreters
from test_recording import one_line
from test_recording_hostile import MANY

WRITE, WRITEV, PWRITE, OPENAT, GETCWD, READ = 1, 20, 18, 257, 79, 0
TRY = "try:\n    import %s\nexcept ImportError:\n    pass\n"
MODULE = TRY % "gone_17" + "print('done')"

x86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64's system calls")


def failing(lab, code, size, calls, argv):
    """(bare, recorded) of a program in which those system calls fail."""
    program = interpreters.compile_c("adversity/failing.c", "-static")
    command = [program, code, size, *calls, "--", *argv]
    bare = lab.bare(command)
    if bare.returncode == 77:
        pytest.skip("no seccomp here")
    assert bare.returncode == 0, bare.text
    run = lab.recorded(command)
    assert (run.returncode, run.stdout) == (bare.returncode, bare.stdout)
    return bare, run


# -- the system calls fail ------------------------------------------------------------------
@x86_64
@pytest.mark.parametrize("code", [errno.EIO, errno.EDQUOT, errno.ENOSPC], ids=errno.errorcode.get)
def test_write_fails_from_the_start(lab, debian, code):
    bare, run = failing(lab, code, 1, [WRITE, WRITEV, PWRITE], [debian.path, "-c", MANY])
    one_line(run, bare)
    assert not run.trace.exists() or not run.trace.stat().st_size


@x86_64
@pytest.mark.parametrize("code", [errno.EIO, errno.EDQUOT], ids=errno.errorcode.get)
@pytest.mark.parametrize("size", [300, 700, 1500])
def test_longer_writes_fail(lab, debian, code, size):
    """The beginning is there; of what followed, some or nothing. The record says that it is not all."""
    bare, run = failing(lab, code, size, [WRITE, WRITEV, PWRITE], [debian.path, "-c", MANY])
    if run.stderr != bare.stderr:
        one_line(run, bare)
    lab.raw(run.trace)
    assert lab.analyze(run.trace)[1]["complete"] is False


@x86_64
def test_slot_cannot_be_written(lab, debian):
    """Where nothing can be written in place, frames are appended instead: nothing is missing."""
    bare, run = failing(lab, errno.EIO, 1, [PWRITE], [debian.path, "-c", MANY])
    assert run.stderr == bare.stderr
    _, report = lab.analyze(run.trace, "--all")
    assert sum(f["module"].startswith("gone_") for f in report["findings"]) == 397


@x86_64
@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.EROFS, errno.EDQUOT],
                         ids=errno.errorcode.get)
def test_cannot_be_created(lab, debian, code):
    bare, run = failing(lab, code, 1, [OPENAT], [debian.path, "-c", MODULE])
    one_line(run, bare)
    assert not run.trace.exists()


# -- limits that the program sets itself ----------------------------------------------------
def test_no_descriptors_left(lab, python):
    """RLIMIT_NOFILE = 0: what was recorded before is there."""
    code = (TRY % "gone_17" + "import resource, sys\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))\n" + TRY % "gone_19" +
            "print('done')\nsys.exit(3)")
    run = lab.traced([python.path, "-c", code])
    assert run.returncode == 3
    lab.raw(run.trace)
    _, report = lab.analyze(run.trace, "--all")
    assert "gone_17" in [f["module"] for f in report["findings"]]
    assert report["complete"] is False


@pytest.mark.parametrize("descriptors", [3, 4, 5, 9])
def test_few_descriptors_from_the_start(lab, debian, descriptors):
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    argv = [debian.path, "-S", "-c", "print('done')"]
    bare = lab.bare(argv, preexec_fn=lower)
    run = lab.recorded(argv, preexec_fn=lower)
    # With three, ld.so itself opens no library more: bare ends with 127, as does the preloaded.
    assert run.returncode == bare.returncode
    assert run.stdout == bare.stdout
    if bare.returncode == 0 and run.stderr != bare.stderr:
        one_line(run, bare)


def test_file_size_limit_of_the_program(lab, python):
    """RLIMIT_FSIZE below what the trace has already: not a byte more, and no SIGXFSZ."""
    code = (TRY % "gone_17" + "import resource, signal\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))\n" + MANY)
    run = lab.traced([python.path, "-c", code])
    lab.raw(run.trace)
    _, report = lab.analyze(run.trace, "--all")
    assert "gone_17" in [f["module"] for f in report["findings"]]
    assert report["complete"] is False


def test_address_space_is_tight(lab, debian):
    """A few megabytes above the least with which it runs bare: what we need is not more."""
    argv = [debian.path, "-S", "-c", MODULE]

    def limited(run, limit):
        return run(argv, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    low, high = 1 << 20, 256 << 20
    assert limited(lab.bare, high).returncode == 0
    while high - low > 1 << 18:
        middle = (low + high) // 2
        good = limited(lab.bare, middle).stdout == b"done\n"
        low, high = (low, middle) if good else (middle, high)
    run = limited(lab.recorded, high + (4 << 20))
    assert (run.returncode, run.stdout, run.stderr) == (0, b"done\n", b"")
    lab.raw(run.trace)


# -- the world changes ----------------------------------------------------------------------
@pytest.mark.parametrize("what", ["shutil.rmtree(d)", "os.rename(d, d + '.gone')", "os.chmod(d, 0)",
                                  "os.unlink(t) if os.path.exists(t) else 0; os.mkfifo(t)",
                                  "os.unlink(t) if os.path.exists(t) else 0; os.symlink('/dev/null', t)"],
                         ids=["removed", "renamed", "closed", "fifo", "link"])
def test_directory_vanishes(lab, debian, what):
    """As the program began it could write; what comes of it later is none of the program's affairs."""
    where = lab.root / "traces"
    code = ("import os, shutil\nd = %r\nt = d + '/t.zst'\nos.makedirs(d, exist_ok=True)\n" % str(where) +
            TRY % "gone_17" + what + "\n" + MANY)

    def prepare():
        shutil_rmtree(where)
        where.mkdir()
    lab.traced([debian.path, "-c", code], prepare=prepare, trace=where / "t.zst")
    if where.exists():
        where.chmod(0o755)


def shutil_rmtree(where):
    for path in (where, where.with_name(where.name + ".gone")):
        subprocess.run(["rm", "-rf", str(path)], check=True)


@pytest.mark.needs_root
def test_file_system_becomes_read_only(lab, debian):
    where = lab.root / "disk"
    where.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(where)], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("cannot mount a file system here")
    try:
        code = (TRY % "gone_17" + "import subprocess\n"
                "subprocess.check_call(['mount', '-o', 'remount,ro', %r], env={'PATH': '/bin:/sbin:/usr/bin'})\n"
                % str(where) + MANY)
        bare = lab.bare([debian.path, "-c", code])
        assert bare.returncode == 0, bare.text
        subprocess.run(["mount", "-o", "remount,rw", str(where)], check=True)
        run = lab.recorded([debian.path, "-c", code], trace=where / "t.zst")
        assert (run.returncode, run.stdout, run.stderr) == (bare.returncode, bare.stdout, bare.stderr)
        lab.raw(run.trace)
        _, report = lab.analyze(run.trace, "--all")
        assert "gone_17" in [f["module"] for f in report["findings"]]
        assert report["complete"] is False
        # And from the start.
        run = lab.recorded([debian.path, "-c", MODULE], trace=where / "u.zst")
        one_line(run, lab.bare([debian.path, "-c", MODULE]))
    finally:
        subprocess.run(["umount", str(where)], check=True)


@pytest.mark.needs_root
@pytest.mark.parametrize("what", ["/proc", "/dev", "/sys"])
def test_without(lab, debian, what):
    """In a mount namespace of its own, with nothing there."""
    argv = ["/usr/bin/unshare", "-m", "/bin/sh", "-c",
            "mount -t tmpfs -o ro none %s 2>/dev/null || exit 77; exec %s -c \"%s\"" % (
                what, debian.path, MODULE.replace("\n", "\n"))]
    bare = lab.bare(argv)
    if bare.returncode == 77 or b"unshare" in bare.stderr:
        pytest.skip("cannot mount here")
    run = lab.traced(argv, bare=bare)
    assert run.stdout == b"done\n"
    lab.raw(run.trace)
    _, report = lab.analyze(run.trace, "--all", "--no-host")
    assert "gone_17" in [f["module"] for f in report["findings"]]
    assert report["complete"] is True, report["notes"]


# -- out of the program's own reach ---------------------------------------------------------
DROPS = {
    "setuid": "os.setgid(65534)\nos.setuid(65534)\n",
    "setresuid": "os.setresuid(65534, 65534, 65534)\n",
    "setreuid": "os.setreuid(65534, 65534)\n",
    "chroot": "os.mkdir('jail-%d' % os.getpid())\nos.chroot('jail-%d' % os.getpid())\nos.chdir('/')\n",
}


@pytest.mark.needs_root
@pytest.mark.parametrize("how", sorted(DROPS))
@pytest.mark.parametrize("who", ["itself", "fork"])
def test_gives_up_its_rights(public_lab, debian, how, who):
    """Not a byte on stderr is another; what came before is there, and the record says where it ends."""
    lab = public_lab
    code = ("import os, sys\n" + TRY % "before_17" + "import colorsys\n" +
            ("" if who == "itself" else "pid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n"
             "    print('parent')\n    sys.exit(0)\n" + TRY % "early_17") +
            DROPS[how] + TRY % "gone_17" + "print('done')\n")
    run = lab.traced([debian.path, "-c", code])
    lab.raw(run.trace)
    _, report = lab.analyze(run.trace, "--all")
    modules = [f["module"] for f in report["findings"]]
    assert "before_17" in modules and (who == "itself" or "early_17" in modules)
    assert report["complete"] is False
    assert any(how in note for note in report["notes"]), report["notes"]
    assert report["processes"][0]["imports"] > 7


@pytest.mark.needs_root
def test_children_of_another_user(public_lab, debian):
    """Programs started as another user, who may not open the trace: silent, and the record of the others is whole."""
    lab = public_lab
    code = ("import subprocess, sys\nfor i in range(3):\n    subprocess.check_call([sys.executable, '-c', "
            "'try: import gone_17\\nexcept ImportError: pass\\nprint(%d, flush=True)' % i], user=65534, "
            "group=65534, extra_groups=[])\n" + TRY % "gone_19" + "print('done')\n")
    run = lab.traced([debian.path, "-c", code])
    _, report = lab.analyze(run.trace, "--all")
    assert "gone_19" in [f["module"] for f in report["findings"]]


@pytest.mark.needs_root
def test_another_program_as_another_user(public_lab, debian):
    """setuid and exec in one process: of the second program there can be nothing, and the analyzer says so."""
    lab = public_lab
    code = ("import os, sys\n" + TRY % "before_17" + DROPS["setuid"] +
            "os.execv(sys.executable, [sys.executable, '-c', %r])" % MODULE)
    run = lab.traced([debian.path, "-c", code])
    assert run.stdout == b"done\n"
    _, report = lab.analyze(run.trace, "--all")
    assert report["complete"] is False
    assert any("setuid" in note for note in report["notes"]), report["notes"]
