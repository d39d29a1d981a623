# SPDX-License-Identifier: GPL-2.0-or-later
"""`imptrace run`: options, where the trace goes, and the exit statuses of the contract."""
import os
import signal
import subprocess

import pytest

import interpreters

FAIL = "import surely_absent_17"


def test_run_records(lab, debian):
    bare = lab.bare([debian.path, "-c", FAIL])
    run = lab.command("run", "--", debian.path, "-c", FAIL)
    assert (run.returncode, run.stdout) == (1, bare.stdout)
    assert run.stderr == bare.stderr
    assert lab.analyze("trace.zst")[1]["findings"][0]["module"] == "surely_absent_17"


@pytest.mark.parametrize("option", [["-o", "NAME"], ["-oNAME"]])
def test_run_output(lab, debian, option):
    option = [o.replace("NAME", str(lab.root / "other.zst")) for o in option]
    assert lab.command("run", *option, debian.path, "-c", FAIL).returncode == 1
    assert not (lab.dir / "trace.zst").exists()
    assert lab.analyze(lab.root / "other.zst")[0] == 1


def test_run_output_relative(lab, debian):
    """Relative to where the command was started, wherever the program goes."""
    lab.command("run", "-o", "rel.zst", debian.path, "-c", "import os; os.chdir('/'); " + FAIL)
    assert lab.analyze(lab.dir / "rel.zst")[0] == 1


@pytest.mark.parametrize("which", ["none", "failures", "all"])
def test_run_stacks(lab, debian, which):
    interpreters.extension(debian, "init-failed/failing.c", "device_17", lab.site,
                           NEEDS="firmware_17")
    lab.command("run", "--stacks=" + which, debian.path, "-c", "import device_17")
    finding = lab.analyze("trace.zst")[1]["findings"][0]
    stack = finding["native_stack"]		# with "none": what the loads tell, without offsets
    assert all(n["offset"] is None for n in stack) if which == "none" else stack


def test_run_stdin_and_out_pass_through(lab):
    data = bytes(range(256)) * 97
    run = lab.command("run", "--", "/bin/cat", stdin=data)
    assert (run.returncode, run.stdout, run.stderr) == (0, data, b"")


def test_run_stops_at_the_command(lab):
    """Options after the command are the command's."""
    run = lab.command("run", "/bin/echo", "-o", "x", "--stacks=all", "--help")
    assert run.stdout == b"-o x --stacks=all --help\n"


@pytest.mark.parametrize("status", [0, 1, 2, 17, 125, 126, 127, 128, 255])
def test_run_exit_status(lab, status):
    assert lab.command("run", "/bin/sh", "-c", "exit %d" % status).returncode == status


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV", "SIGINT", "SIGHUP"])
def test_run_signal(lab, name):
    number = int(getattr(signal, name))
    run = lab.command("run", "/bin/sh", "-c", "kill -%d $$" % number)
    assert run.returncode in (128 + number, -number), "as seen by a shell: 128+N"
    assert run.returncode == 128 + number or name == "SIGKILL"


def test_run_not_found(lab):
    run = lab.command("run", "surely-absent-command-17")
    assert run.returncode == 127
    one_sentence(run)
    assert lab.command("run", "./absent").returncode == 127
    assert lab.command("run", "/nonexistent/absent").returncode == 127


def test_run_cannot_execute(lab):
    lab.write("plain.txt", "no program\n", mode=0o644)
    for what in ("./plain.txt", "/", lab.dir):
        run = lab.command("run", what)
        assert run.returncode == 126, run.text
        one_sentence(run)


def test_run_script_without_interpreter(lab):
    lab.write("script", "#!/nonexistent/interpreter\n", mode=0o755)
    assert lab.command("run", "./script").returncode in (126, 127)


@pytest.mark.parametrize("args", [[], ["--"], ["--no-such-option", "/bin/true"], ["-o"],
                                  ["--stacks=some", "/bin/true"], ["--stacks", "x", "/bin/true"]])
def test_run_usage(lab, args):
    """125: imptrace itself failed; the command was not started."""
    run = lab.command("run", *args)
    assert run.returncode == 125, run.text
    assert run.text.strip() and run.stdout == b""
    assert not (lab.dir / "trace.zst").exists()


def test_run_unwritable_output(lab):
    """The program runs on: a trace that can't be written costs it nothing."""
    run = lab.command("run", "-o", "/nonexistent/dir/t.zst", "/bin/echo", "17")
    if run.returncode == 125:
        one_sentence(run)
    else:
        assert (run.returncode, run.stdout) == (0, b"17\n")
        assert run.text.startswith("imptrace:") and run.text.count("\n") == 1


def test_run_keeps_an_ld_preload(lab):
    """The user's own LD_PRELOAD stays, behind or before ours."""
    source = lab.write("mine.c", "#include <stdio.h>\n__attribute__((constructor)) static void "
                       "hello(void) { puts(\"mine\"); }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(lab.dir / "mine.so"), str(source)],
                   check=True)
    env = lab.env(LD_PRELOAD=str(lab.dir / "mine.so"))
    bare = lab.bare(["/bin/true"], env)
    run = lab.command("run", "/bin/true", env=env)
    assert bare.stdout == b"mine\n"
    assert run.stdout.endswith(b"mine\n")
    assert lab.analyze("trace.zst")[1]["processes"], "nothing was recorded"


def test_run_finds_its_library_anywhere(lab, debian):
    """Through a link, by PATH, and from another directory."""
    lab.require_build()
    link = lab.root / "bin" / "imptrace"
    link.parent.mkdir()
    link.symlink_to(lab.build.command)
    env = lab.env()
    env["PATH"] = str(link.parent) + ":" + env["PATH"]
    for argv in (["imptrace"], [str(link)]):
        done = subprocess.run([*argv, "run", debian.path, "-c", FAIL], cwd=str(lab.dir), env=env,
                              stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        assert done.returncode == 1, done.stderr
        assert lab.analyze("trace.zst")[0] == 1
        os.unlink(str(lab.dir / "trace.zst"))


def test_broken_libraries_break_the_program_only(lab, debian):
    """What LD_LIBRARY_PATH leads to is for the program: the command that explains it has its own."""
    libraries = lab.dir / "lib"
    libraries.mkdir()
    for name in ("libelf.so.1", "libzstd.so.1", "libunwind-x86_64.so.8", "libunwind.so.8", "liblzma.so.5"):
        (libraries / name).write_bytes(b"")
    env = lab.env(LD_LIBRARY_PATH=str(libraries))
    run = lab.command("run", debian.path, "-c", "import lzma", env=env)
    assert run.returncode == 1 and "liblzma.so.5" in run.text
    for args in (["analyze", "trace.zst"], ["dump", "trace.zst"], ["--version"]):
        done = lab.command(*args, env=env)
        assert (done.returncode, done.stderr) == (args[0] == "analyze", b""), done.text
    finding = lab.analyze("trace.zst")[1]["findings"][0]
    assert (finding["cause"], finding["path"]) == ("corrupt-file", str(libraries / "liblzma.so.5"))


def test_run_sees_the_program_as_its_parent_would(lab):
    """Signals sent to the command reach the program; it keeps its terminal and its group."""
    lab.require_build()
    code = "trap 'echo got; exit 17' TERM; echo ready; while :; do sleep 0.05; done"
    argv = [str(lab.build.command), "run", "/bin/sh", "-c", code]
    with subprocess.Popen(argv, cwd=str(lab.dir), env=lab.env(),
                          stdout=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.read() == b"got\n"
        assert running.wait(13) == 17


def one_sentence(run):
    lines = run.text.splitlines()
    assert len(lines) == 1 and lines[0].startswith("imptrace"), run.text
