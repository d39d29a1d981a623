# SPDX-License-Identifier: GPL-2.0-or-later
"""Places where a trace can't be written, and programs that do what programs do: the recorder
costs them nothing."""
import os
import resource
import stat
import subprocess

import pytest

from harness import same
from test_recording import WORK, one_line

FAILS = "try:\n    import gone_17\nexcept ImportError:\n    pass\n" + WORK


def unwritable(lab, argv, trace, **kw):
    """Runs as bare does, but for one line on stderr; returns the traced run."""
    bare = lab.bare(argv, **kw)
    run = lab.recorded(argv, trace=trace, **kw)
    assert (run.returncode, run.stdout) == (bare.returncode, bare.stdout)
    one_line(run, bare)
    return run


def same_but_for_a_line(lab, argv, **kw):
    """The recorder may say, in one line, that from here on it cannot write."""
    bare = lab.bare(argv, **kw)
    run = lab.recorded(argv, **kw)
    assert (run.returncode, run.stdout) == (bare.returncode, bare.stdout)
    if run.stderr != bare.stderr:
        one_line(run, bare)
    return run


@pytest.mark.parametrize("where", ["no/such/directory/t.zst", "/proc/t.zst", "/dev/null/t.zst",
                                   "a-directory", "x" * 300 + ".zst", "y/" * 2100 + "t.zst"],
                         ids=lambda w: w[:17])
def test_cannot_be_created(lab, debian, where):
    (lab.dir / "a-directory").mkdir()
    (lab.dir / "a-directory" / "full").write_text("x")
    run = lab.recorded([debian.path, "-c", FAILS], trace=where)
    bare = lab.bare([debian.path, "-c", FAILS])
    assert (run.returncode, run.stdout) == (bare.returncode, bare.stdout)
    if where != "a-directory" or run.stderr:	# it may be moved away like an older trace
        one_line(run, bare)


def test_directory_is_not_writable(public_lab, debian):
    lab = public_lab
    if os.geteuid() == 0:
        lab.popen = {"user": 65534, "group": 65534, "extra_groups": []}
    closed = lab.root / "closed"
    closed.mkdir(mode=0o555)
    unwritable(lab, [debian.path, "-c", FAILS], closed / "t.zst")
    assert os.listdir(closed) == []


def test_trace_of_another_user(public_lab, debian):
    """An older trace that may not be replaced: in a sticky directory, as /tmp is."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    lab = public_lab
    sticky = lab.root / "sticky"
    sticky.mkdir()
    os.chmod(sticky, 0o1777)
    (sticky / "t.zst").write_bytes(b"mine")
    os.chmod(sticky / "t.zst", 0o644)
    lab.popen = {"user": 65534, "group": 65534, "extra_groups": []}
    unwritable(lab, [debian.path, "-c", FAILS], sticky / "t.zst")
    assert (sticky / "t.zst").read_bytes() == b"mine"


@pytest.mark.needs_root
@pytest.mark.parametrize("name,minor", [("full", 7), ("null", 3), ("zero", 5)])
def test_device(lab, debian, name, minor):
    """A device is no trace: it is neither moved away nor written to.  (Nodes of our own: a
    recorder that does move them must not break the machine.)"""
    device = lab.root / name
    os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, minor))
    try:
        device.open("rb").close()
    except OSError as err:
        pytest.skip("device nodes cannot be used here: %s" % err)
    unwritable(lab, [debian.path, "-c", FAILS], device)
    assert stat.S_ISCHR(os.stat(device).st_mode)


def test_link_to_stdout(lab, debian):
    link = lab.root / "stdout"
    link.symlink_to("/proc/self/fd/1")
    argv = [debian.path, "-c", FAILS]
    bare = lab.bare(argv)
    run = lab.recorded(argv, trace=link)
    assert (run.returncode, run.stdout) == (bare.returncode, bare.stdout)


def test_fifo_does_not_block(lab, debian):
    fifo = lab.root / "fifo.zst"
    os.mkfifo(fifo)
    argv = [debian.path, "-c", FAILS]
    bare = lab.bare(argv)
    run = lab.recorded(argv, trace=fifo, timeout=13)
    assert (run.returncode, run.stdout) == (bare.returncode, bare.stdout)


def small_disk(lab, size):
    where = lab.root / "disk"
    where.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "none", str(where)],
                      stderr=subprocess.DEVNULL).returncode:
        pytest.skip("cannot mount a small file system here")
    return where


@pytest.mark.needs_root
def test_disk_full_from_the_start(lab, debian):
    where = small_disk(lab, 4096)
    try:
        (where / "fill").write_bytes(b"x" * 4096)
        bare = lab.bare([debian.path, "-c", FAILS])
        run = lab.recorded([debian.path, "-c", FAILS], trace=where / "t.zst")
        assert (run.returncode, run.stdout) == (bare.returncode, bare.stdout)
        one_line(run, bare)
    finally:
        subprocess.run(["umount", str(where)], check=True)


MANY = "for i in range(397):\n    try:\n        __import__('gone_%d' % i)\n" \
       "    except ImportError:\n        pass\nprint('done')"


@pytest.mark.needs_root
def test_disk_fills_up(lab, debian):
    """What was written stays a valid trace, which says that it is not all."""
    where = small_disk(lab, 16384)
    try:
        trace = where / "t.zst"
        bare = lab.bare([debian.path, "-c", MANY])
        run = lab.recorded([debian.path, "-c", MANY], trace=trace)
        assert (run.returncode, run.stdout) == (bare.returncode, bare.stdout)
        if run.stderr != bare.stderr:
            one_line(run, bare)
        lab.raw(trace)
        _, report = lab.analyze(trace, "--all")
        assert report["complete"] is False and report["notes"]
        assert 0 < len(report["findings"]) < 397
    finally:
        subprocess.run(["umount", str(where)], check=True)


@pytest.mark.parametrize("limit", [0, 17, 4099])
def test_file_size_limit(lab, debian, limit):
    """RLIMIT_FSIZE: the kernel sends SIGXFSZ to who writes beyond it; not to the program."""
    def lower():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    code = "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n" + MANY
    argv = [debian.path, "-c", code]
    bare = lab.bare(argv, preexec_fn=lower)
    assert bare.returncode == 0
    run = lab.recorded(argv, preexec_fn=lower)
    assert (run.returncode, run.stdout) == (0, bare.stdout)
    if run.stderr != bare.stderr:
        one_line(run, bare)
    if run.trace.exists() and run.trace.stat().st_size:
        lab.raw(run.trace)
        _, report = lab.analyze(run.trace)
        assert report["complete"] is False


def test_closed_descriptors(lab, python):
    """A program that closes every descriptor, and opens files of its own at once."""
    mine = lab.dir / "mine.txt"
    code = ("import os\nos.closerange(3, 1024)\nfds = [os.open(%r, os.O_CREAT | os.O_RDWR "
            "| os.O_TRUNC) for _ in range(31)]\n" % str(mine) + MANY +
            "\nos.write(fds[-1], b'only this')\nprint(fds[0], fds[-1])")
    run = lab.traced([python.path, "-c", code])
    assert mine.read_bytes() == b"only this"
    _, report = lab.analyze(run.trace, "--all")
    assert sum(f["module"].startswith("gone_") for f in report["findings"]) == 397
    assert report["complete"] is True


def test_no_descriptor_is_left_open(lab, python):
    code = "import os\ntry:\n    import gone_17\nexcept ImportError:\n    pass\n" \
           "print(sorted(os.listdir('/proc/self/fd'), key=int))"
    lab.traced([python.path, "-c", code])


def test_standard_descriptors_closed(lab, debian):
    """Even 0, 1 and 2: the trace must not become the program's stdout."""
    argv = ["/bin/sh", "-c", "exec %s -c \"import os; open('out', 'w').write('17'); "
            "print('lo' * 7)\" <&- >&- 2>&-" % debian.path]
    bare = lab.bare(argv)
    run = lab.traced(argv, bare=bare)
    assert (lab.dir / "out").read_text() == "17"
    assert b"lololo" not in run.trace.read_bytes()
    lab.raw(run.trace)
    assert lab.analyze(run.trace)[1]["findings"] == []


def test_working_directory_vanishes(lab, debian):
    """A relative name means the directory in which the run started, wherever it goes."""
    gone = lab.dir / "gone"
    code = "import os\nos.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')\n" + FAILS
    argv = [debian.path, "-c", code]
    bare = lab.bare(argv)
    run = lab.recorded(argv, trace="relative.zst")
    same(bare, run)
    assert not gone.exists()
    _, report = lab.analyze(lab.dir / "relative.zst", "--all")
    assert "gone_17" in [f["module"] for f in report["findings"]]


def test_started_where_nothing_is_left(lab, debian):
    """The working directory is gone already, and the trace's name is relative to it."""
    argv = ["/bin/sh", "-c", "mkdir d && cd d && rmdir ../d && exec %s -S -c 'print(17)'"
            % debian.path]
    bare = lab.bare(argv)
    run = lab.recorded(argv, trace="sub/relative.zst")
    assert (run.returncode, run.stdout) == (bare.returncode, bare.stdout)


@pytest.mark.needs_root
def test_chroot(lab, debian):
    jail = lab.root / "jail"
    jail.mkdir()
    code = "import os\nos.chroot(%r)\nos.chdir('/')\n" % str(jail) + FAILS.replace(
        WORK, "print(17)")
    run = same_but_for_a_line(lab, [debian.path, "-c", code])
    assert list(jail.iterdir()) == [], "the trace is not to land in the jail"
    lab.raw(run.trace)
    assert lab.analyze(run.trace)[0] == 0


@pytest.mark.needs_root
def test_drops_privileges(public_lab, debian):
    """Root at first, nobody later: the trace is root's, mode 0600, and must not be lost."""
    code = "import os\ntry:\n    import before_17\nexcept ImportError:\n    pass\n" \
           "os.setgid(65534)\nos.setuid(65534)\n" + FAILS
    run = same_but_for_a_line(public_lab, [debian.path, "-c", code])
    _, report = public_lab.analyze(run.trace, "--all")
    modules = [f["module"] for f in report["findings"]]
    assert "before_17" in modules
    assert "gone_17" in modules or report["complete"] is False


def test_trace_is_deleted_or_truncated_while_it_runs(lab, debian):
    for what in ("os.unlink(trace)", "os.truncate(trace, 0)", "os.rename(trace, trace + 'x')"):
        code = "import os\ntrace = os.environ.get('IMPTRACE_OUTPUT')\nif trace: %s\n" % what + MANY
        same_but_for_a_line(lab, [debian.path, "-c", code])


def test_environment_cleared_by_the_program(lab, debian):
    """os.environ.clear(): this process is recorded still, its children no longer."""
    code = ("import os, subprocess, sys\nos.environ.clear()\nsubprocess.call([sys.executable, "
            "'-c', 'import child_17'])\n" + FAILS)
    run = lab.traced([debian.path, "-c", code])
    _, report = lab.analyze(run.trace, "--all")
    modules = [f["module"] for f in report["findings"]]
    assert "gone_17" in modules and "child_17" not in modules


@pytest.mark.parametrize("name", [b"latin_\xe9\xff", b"line\nbreak", b"esc_\x1b[31mred",
                                  b"sp ace", b"quo\"te'"])
def test_names_that_are_not_utf8(lab, debian, name):
    """Directories on the path, scripts and trace files with any name that Linux takes."""
    where = os.fsencode(str(lab.dir)) + b"/" + name
    os.mkdir(where)
    with open(where + b"/pkg_17.cpython-399-x86_64-linux-gnu.so", "wb") as out:
        out.write(b"\x7fELF")
    with open(where + b"/main.py", "wb") as out:
        out.write(b"import pkg_17\n")
    trace = os.fsdecode(where + b"/t.zst")
    argv = [debian.path.encode(), where + b"/main.py"]
    run = lab.traced(argv, trace=trace)
    status, report = lab.analyze(trace)
    assert status == 1
    finding = report["findings"][0]
    assert (finding["module"], finding["cause"]) == ("pkg_17", "abi-tag-mismatch")
    assert os.fsencode(finding["path"]) == where + b"/pkg_17.cpython-399-x86_64-linux-gnu.so"
    assert os.fsencode(finding["importers"][-1]["file"]) == where + b"/main.py"
    assert os.fsencode(report["processes"][0]["argv"][1]) == where + b"/main.py"
    assert run.returncode == 1


def test_module_name_with_surrogates(lab, python):
    """A name that cannot be encoded; and one with a NUL, an empty one, a very long one."""
    code = ("for name in ('gone_\\udce9', 'nul\\0l', 'x' * 5003, 'a.' * 151 + 'b', '\\u202e17'):"
            "\n    try:\n        __import__(name)\n    except (ImportError, ValueError, "
            "UnicodeError, OSError) as err:\n        print(type(err).__name__)")
    run = lab.traced([python.path, "-c", code])
    assert run.returncode == 0
    _, report = lab.analyze(run.trace, "--all")
    modules = [f["module"] for f in report["findings"]]
    assert "gone_\udce9" in modules, modules
    lab.analyze_text(run.trace, "--all").answer.encode("utf-8", "surrogateescape")


def test_no_space_for_memory(lab, debian):
    """A tight address space: the program has what it had before."""
    limit = 211 << 20

    def lower():
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    run = lab.traced([debian.path, "-c", WORK], preexec_fn=lower)
    assert run.returncode == 0
