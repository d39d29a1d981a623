# SPDX-License-Identifier: GPL-2.0-or-later
"""`imptrace analyze` and `dump`: options, damaged traces, and what reaches a terminal."""
import json
import os
import pty
import re
import subprocess

import pytest

FAIL = "import surely_absent_17"
ESC = "\x1b"


@pytest.fixture
def trace(lab, debian):
    return lab.recorded([debian.path, "-c", FAIL]).trace


def one_sentence(run, status=2):
    assert run.returncode == status, (run.returncode, run.text)
    lines = run.text.splitlines()
    assert len(lines) == 1 and lines[0].startswith("imptrace"), run.text
    assert run.stdout == b""


# -- help and version -----------------------------------------------------------------------
@pytest.mark.parametrize("args", [["--help"], ["run", "--help"], ["analyze", "--help"],
                                  ["dump", "--help"]])
def test_help(lab, args):
    run = lab.command(*args)
    assert (run.returncode, run.stderr) == (0, b"")
    text = run.stdout.decode()
    assert max(map(len, text.splitlines())) <= 80
    options = {"--help": ["run", "analyze", "dump"], "run": ["-o", "--stacks"],
               "analyze": ["-m", "--all", "--format", "--no-host", "--color"],
               "dump": ["--format"]}[args[0]]
    for word in options:
        assert word in text


def test_version(lab):
    run = lab.command("--version")
    assert (run.returncode, run.stderr) == (0, b"")
    assert re.match(rb"imptrace \d+\.\d+", run.stdout)


@pytest.mark.parametrize("args", [[], ["surely-not-a-command"], ["--no-such-option"],
                                  ["analyze", "--no-such-option"], ["analyze", "--format=xml"],
                                  ["analyze", "--color=pink"], ["analyze", "-m"],
                                  ["analyze", "a.zst", "b.zst"], ["dump", "--format=xml"],
                                  ["dump", "a.zst", "b.zst"], ["dump", "-x"]])
def test_usage(lab, args):
    run = lab.command(*args)
    assert run.returncode == 2, run.text
    assert run.text.strip()
    assert run.stdout == b""


# -- analyze --------------------------------------------------------------------------------
def test_formats_agree(lab, trace):
    status, report = lab.analyze(trace)
    answer = lab.analyze_text(trace)
    assert status == answer.returncode == 1
    assert report["findings"][0]["summary"].split()[0] in answer.answer
    assert "surely_absent_17" in answer.answer.splitlines()[0] + answer.answer.splitlines()[1]


def test_standard_input(lab, trace):
    for command in (["analyze", "--format=json", "-"], ["dump", "--format=json", "-"]):
        run = lab.command(*command, stdin=trace.read_bytes())
        assert run.returncode == (1 if command[0] == "analyze" else 0)
        same = lab.command(*command[:-1], trace)
        assert run.stdout == same.stdout


def test_default_file(lab, trace):
    assert lab.command("analyze").returncode == 2
    os.rename(trace, lab.dir / "trace.zst")
    assert lab.command("analyze").returncode == 1
    assert lab.command("dump").returncode == 0


def test_it_is_repeatable(lab, trace):
    runs = {lab.command("analyze", "--format=json", trace).stdout for _ in range(3)}
    assert len(runs) == 1


def test_module_that_is_unknown(lab, trace):
    """-m of a module that the trace never saw: said so, and no finding."""
    status, report = lab.analyze(trace, "-m", "never_asked_17")
    assert (status, report["findings"]) == (0, [])
    answer = lab.analyze_text(trace, "-m", "never_asked_17")
    assert "never_asked_17" in answer.answer + answer.text


def test_module_asks_for_one_alone(lab, debian):
    code = "try:\n    import one_17\nexcept ImportError:\n    pass\nimport two_17"
    run = lab.recorded([debian.path, "-c", code])
    status, report = lab.analyze(run.trace, "-m", "one_17")
    assert [(f["module"], f["outcome"]) for f in report["findings"]] == [("one_17", "handled")]
    assert status == 0
    status, report = lab.analyze(run.trace, "-m", "two_17")
    assert [f["module"] for f in report["findings"]] == ["two_17"]
    assert status == 1


def test_foreign_trace(lab, trace):
    """A trace from another machine is found out, and said: here, from another root."""
    _, report = lab.analyze(trace, "--no-host")
    assert report["findings"][0]["cause"] == "not-installed"


# -- text, colour, width --------------------------------------------------------------------
def test_no_colour_in_a_pipe(lab, trace):
    assert ESC not in lab.command("analyze", trace).stdout.decode()
    assert ESC not in lab.command("analyze", "--color=auto", trace).stdout.decode()
    assert ESC in lab.command("analyze", "--color=always", trace).stdout.decode()
    assert ESC not in lab.command("analyze", "--color=never", trace).stdout.decode()


@pytest.mark.parametrize("variables,coloured", [({}, True), ({"NO_COLOR": "1"}, False),
                                                ({"NO_COLOR": ""}, True),
                                                ({"TERM": "dumb"}, False)])
def test_colour_on_a_terminal(lab, trace, variables, coloured):
    text = on_a_terminal(lab, ["analyze", trace], **variables)
    assert (ESC in text) == coloured, text
    assert "surely_absent_17" in text


def on_a_terminal(lab, args, **variables):
    """What the command writes to a terminal of 80 columns."""
    master, slave = pty.openpty()
    env = lab.env(TERM="xterm-256color")
    env.update(variables)
    with subprocess.Popen([str(lab.build.command), *map(str, args)], env=env, cwd=str(lab.dir),
                          stdin=slave, stdout=slave, stderr=slave) as running:
        os.close(slave)
        text = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                break
            if not part:
                break
            text += part
        running.wait()
    os.close(master)
    return text.decode("utf-8", "surrogateescape")


def test_80_columns(lab, debian):
    """Whatever can be broken is; a path alone on its line may be longer."""
    trace = lab.recorded([debian.path, "-c", FAIL]).trace
    lab.write(lab.site / "long_17.cpython-399-x86_64-linux-gnu.so", b"\x7fELF")
    second = lab.recorded([debian.path, "-c", "import long_17"]).trace
    for path in (trace, second):
        for line in lab.analyze_text(path, "--all").answer.splitlines():
            whole = [w for w in line.split() if len(w) > 50]	# a path is not broken,
            whole += re.findall(r"^ {2,}/\S+ .*", line)		# nor a command to paste
            assert len(line) <= 80 or whole, "%d columns: %r" % (len(line), line)


HOSTILE = [b"esc\x1b]0;owned\x07", b"csi\x1b[2J", b"new\nline", b"rtl\xe2\x80\xaetxt",
           b"bell\x07", b"c1\xc2\x9b31m", b"cr\rback", b"bad\xff\xfe", b"zero\xe2\x80\x8bwidth"]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda n: re.sub(r"\W", "", ascii(n)))
@pytest.mark.parametrize("command", ["analyze", "dump"])
def test_hostile_names(lab, debian, name, command):
    """Nothing that is in a file's name steers the terminal."""
    where = os.fsencode(str(lab.dir)) + b"/" + name
    os.mkdir(where)
    for file, data in ((b"main.py", b"import pkg_17\n"), (b"pkg_17.pypy39-pp73-x.so", b"\x7fELF"),
                       (b"pkg_17" + name + b".cpython-399-x86_64-linux-gnu.so", b"\x7fELF")):
        with open(where + b"/" + file, "wb") as out:
            out.write(data)
    run = lab.recorded([debian.path.encode(), where + b"/main.py"])
    assert run.returncode == 1
    args = [command, run.trace] if command == "dump" else [command, "--all", "--color=never",
                                                           run.trace]
    for data in (lab.command(*args).stdout, on_a_terminal(lab, args).encode(
            "utf-8", "surrogateescape").replace(b"\r\n", b"\n")):
        text = data.decode("utf-8")			# valid UTF-8 in any case
        bad = re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069]",
                         text)
        assert not bad, "unescaped: %r" % bad
        assert b"main.py" in data
    if command == "dump":
        for line in lab.command("dump", run.trace).stdout.splitlines():
            assert line.strip()
    lab.analyze(run.trace)


def test_hostile_module_and_message(lab, debian):
    """A module's own words reach the terminal escaped, too."""
    code = "raise ImportError('\\x1b[31mred\\x1b]0;owned\\x07\\nsecond line \\u202e')"
    lab.module("hostile_17", code)
    run = lab.recorded([debian.path, "-c", "import hostile_17"])
    text = on_a_terminal(lab, ["analyze", "--color=never", run.trace]).replace("\r\n", "\n")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text), text
    error = lab.analyze(run.trace)[1]["findings"][0]["error"]
    assert error["message"] == "\x1b[31mred\x1b]0;owned\x07\nsecond line \u202e"


# -- damaged traces -------------------------------------------------------------------------
def test_cannot_be_read(lab):
    lab.write("empty.zst", b"")
    lab.write("text.zst", b"this is no trace\n" * 17)
    lab.write("zeros.zst", bytes(4099))
    plain = subprocess.run(["zstd", "-qc"], input=b"some other content\n" * 7,
                           stdout=subprocess.PIPE).stdout
    lab.write("other.zst", plain)
    (lab.dir / "dir.zst").mkdir()
    for name in ("empty.zst", "text.zst", "zeros.zst", "other.zst", "dir.zst", "absent.zst"):
        for command in ("analyze", "dump"):
            run = lab.command(command, name)
            assert run.returncode == 2, (command, name, run.text)
            one_sentence(run)
            assert name in run.text


@pytest.mark.parametrize("args", [
    ["analyze", "absent\x1b[31m\n\u202e\x9b1m"], ["dump", "rubbish\x1b[31m"], ["analyze", "rubbish\x1b[31m"],
    ["analyze", "folder\x1b[31m"], ["analyze", "--color=\x1b[31m"], ["analyze", "--\x1b[31m"], ["\x1b[31m"],
    ["attach", "\x1b[31m"], ["run", "absent\x1b[31m"], ["run", "./rubbish\x1b[31m"],
    ["run", "-o", "folder\x1b[31m", "true"]], ids=range(11))
def test_hostile_arguments(lab, args):
    """A name that a shell's * gave to the command."""
    lab.write("rubbish\x1b[31m", "rubbish")
    (lab.dir / "folder\x1b[31m").mkdir()
    run = lab.command(*args)
    text = run.stderr.decode()
    assert len(text.splitlines()) == 1 and text.startswith("imptrace")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), text
    assert "[31m" in text and run.stdout == b""


@pytest.mark.parametrize("args,status,says", [
    (["analyze", "/dev/zero"], 2, "no trace"), (["dump", "/dev/zero"], 2, "no trace"),
    (["run", "-o", "/dev/full", "true"], 0, "not a regular file"),
    (["run", "-o", "/dev/zero", "sh", "-c", "exit 17"], 17, "not a regular file")])
def test_device_without_end(lab, args, status, says):
    run = lab.command(*args)
    one_sentence(run, status)
    assert says in run.text


def test_truncated(lab, debian):
    """Of any prefix: events in their order, or an honest refusal; never a crash.

    They need not be a prefix of the events: the journal slot, which stands early in the file, may hold later ones
    than the frames that were cut off.
    """
    code = "for i in range(31):\n    try:\n        __import__('gone_%d' % i)\n" \
           "    except ImportError:\n        pass"
    trace = lab.recorded([debian.path, "-c", code]).trace
    whole = trace.read_bytes()
    full = lab.command("dump", trace).stdout.splitlines()
    seen = 0
    for cut in sorted({*range(0, 67, 3), *range(67, len(whole), max(1, len(whole) // 43))}):
        (lab.dir / "cut.zst").write_bytes(whole[:cut])
        run = lab.command("dump", "cut.zst")
        assert run.returncode in (0, 2), (cut, run.returncode)
        if run.returncode == 2:
            one_sentence(run)
            continue
        lines = run.stdout.splitlines()
        events = [line for line in lines if line in full]
        rest = iter(full)
        assert all(line in rest for line in events), "not in order at %d" % cut
        analyzed = lab.command("analyze", "--no-host", "--format=json", "cut.zst")
        assert analyzed.returncode in (0, 1), (cut, analyzed.text)
        report = json.loads(analyzed.stdout)
        assert report["complete"] is False or cut == len(whole), cut
        seen += 1
    assert seen > 7


def test_damaged_in_the_middle(lab, debian):
    """A frame that is damaged is skipped, and counted; those after it are read.

    A journal slot that frames have superseded may be damaged at no loss.
    """
    code = "for i in range(31):\n    try:\n        __import__('gone_%d' % i)\n" \
           "    except ImportError:\n        pass"
    trace = lab.recorded([debian.path, "-c", code]).trace
    whole = bytearray(trace.read_bytes())
    events, counted = lab.command("dump", trace).stdout, 0
    good = sum(f["module"].startswith("gone_")
               for f in lab.analyze(trace, "--all")[1]["findings"])
    assert good == 31
    for at in range(len(whole) // 7, len(whole) - 1, len(whole) // 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0x5a
        (lab.dir / "damaged.zst").write_bytes(damaged)
        run = lab.command("analyze", "--all", "--no-host", "--format=json",
                          "damaged.zst")
        assert run.returncode in (0, 1), (at, run.returncode, run.text)
        report = json.loads(run.stdout)
        if report["complete"]:
            assert lab.command("dump", "damaged.zst").stdout == events, "at %d of %d" % (at, len(whole))
        else:
            assert report["notes"], "at %d of %d" % (at, len(whole))
            counted += 1
    assert counted > 1


def test_rubbish_never_crashes_it(lab, trace):
    """Random bytes at random places: exit 0, 1 or 2, never a signal."""
    import random
    rng = random.Random(17)
    whole = trace.read_bytes()
    raw = lab.raw(trace)
    for turn in range(61):
        data = bytearray(whole if turn % 2 else raw)
        for _ in range(rng.choice((1, 3, 17))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if not turn % 2:			# past the checksums, into the decoder
            data = subprocess.run(["zstd", "-qc"], input=bytes(data),
                                  stdout=subprocess.PIPE).stdout
        (lab.dir / "rubbish.zst").write_bytes(data)
        for command in ("analyze", "dump"):
            run = lab.command(command, "rubbish.zst")
            assert run.returncode in (0, 1, 2), (turn, command, run.returncode, run.text)


# -- dump -----------------------------------------------------------------------------------
def test_dump(lab, debian):
    run = lab.recorded([debian.path, "-c", "import wave\n" + FAIL])
    events = lab.dump(run.trace)
    assert all(isinstance(e, dict) for e in events)
    assert len(events) == len(lab.command("dump", "--format=json", run.trace).stdout.splitlines())
    lines = lab.command("dump", run.trace).stdout.decode().splitlines()
    assert len(lines) >= len(events) > 13
    text = "\n".join(lines)
    for word in ("surely_absent_17", "wave", str(debian.suffix), "PYTHONPATH"):
        assert word in text, word


def test_broken_pipe(lab, trace):
    """`imptrace dump | head -1` ends quietly."""
    done = subprocess.run(["/bin/bash", "-c", "set -o pipefail; %s dump %s | head -1" % (
        lab.build.command, trace)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.stderr == b"" and done.stdout.count(b"\n") == 1


def test_full_stdout(lab, trace):
    """An answer that cannot be written is no answer: exit 2."""
    for args in (["analyze"], ["analyze", "--format=json"], ["dump"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([str(lab.build.command), *args, str(trace)], stdout=full,
                                  stderr=subprocess.PIPE)
        assert done.returncode == 2, args
        assert done.stderr
