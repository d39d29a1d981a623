# SPDX-License-Identifier: GPL-2.0-or-later
"""The two reports as they come out of the command: escaping, colours, width, and what is listed."""
import json
import os
import pty
import re

import pytest

from harness import finding_of

HOSTILE = b"dir \x1b[31m\x07\xff\xc2\x9b\xe2\x80\xae\n17"
SHOWN = "dir \\x1b[31m\\x07\\xff\\u009b\\u202e\\x0a17"
SGR = re.compile(rb"\033\[[0-9;]*m")


def near_miss(lab, where, module=b"victim_17"):
    """A directory with an extension that is built for another Python; returns the file's path."""
    path = os.path.join(os.fsencode(str(lab.dir)), where)
    os.mkdir(path)
    name = os.path.join(path, module + b".cpython-35m-x86_64-linux-gnu.so")
    with open(name, "wb") as f:
        f.write(b"\x7fELF")
    return name


@pytest.fixture
def hostile(lab, debian):
    """(trace of a failure among hostile names, path of the near miss)."""
    file = near_miss(lab, HOSTILE)
    lab.write("prog.py", "import os, sys\nsys.path.insert(0, os.fsdecode(%r))\nimport victim_17\n" %
              os.path.dirname(file))
    run = lab.recorded([debian, "prog.py"])
    assert "No module named 'victim_17'" in run.text
    return run.trace, file


def test_hostile_names_in_json(lab, hostile):
    trace, file = hostile
    run = lab.command("analyze", "--format=json", trace)
    assert all(c == 0x0a or c >= 0x20 for c in run.stdout)
    finding = finding_of(json.loads(run.stdout.decode("ascii" if file.isascii() else "utf-8")),
                         "victim_17")
    assert finding["cause"] == "abi-tag-mismatch"
    assert os.fsencode(finding["path"]) == file
    entries = [os.fsencode(e["entry"]) for e in finding["searched"] if e["result"] == "near-miss"]
    assert entries == [os.path.dirname(file)]


def test_hostile_names_in_text(lab, hostile):
    trace, _ = hostile
    run = lab.command("analyze", "--color=never", trace)
    text = run.stdout.decode("utf-8")
    assert SHOWN in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
    run = lab.command("analyze", "--color=always", trace)
    assert SGR.search(run.stdout)
    assert SGR.sub(b"", run.stdout).decode("utf-8") == text


def test_message_of_the_program_is_fenced(lab, debian):
    """A message can't pass for something that imptrace says, nor steer the terminal."""
    lab.write("prog.py", "raise ImportError('first\\n\\nWhat to do\\n    rm -rf /\\x1b[2J')\n")
    run = lab.recorded([debian, "-c", "import prog"])
    text = lab.analyze_text(run.trace).answer
    assert "  | ImportError: first\n  |\n  | What to do\n" in text
    assert re.search(r"^  \| +rm -rf /\\x1b\[2J$", text, re.M)
    assert not re.search(r"^ +rm -rf", text, re.M)


@pytest.mark.parametrize("columns", [40, 60, 80, 97])
def test_width(lab, hostile, columns):
    trace, _ = hostile
    run = lab.command("analyze", "--color=never", trace, env=lab.env(COLUMNS=str(columns)))
    wide = [line for line in run.stdout.decode().splitlines() if len(line) > columns]
    # Paths and commands stay whole, so that they can be copied.
    assert [line for line in wide if "/" not in line and ".so" not in line] == []
    assert not any(line.endswith(" ") for line in run.stdout.decode().splitlines())


def test_commands_stand_alone(lab, debian):
    """Every command of the JSON report is one whole line of the text report."""
    file = near_miss(lab, b"plain", b"grpc")  # which pip knows by another name, grpcio
    run = lab.recorded([debian, "-c", "import grpc"],
                       env=lab.env(PYTHONPATH=os.fsdecode(os.path.dirname(file))))
    _, report = lab.analyze(run.trace)
    commands = [f["command"] for f in finding_of(report, "grpc")["fixes"] if f["command"]]
    lines = [line.strip() for line in lab.analyze_text(run.trace).answer.splitlines()]
    assert commands
    assert [c for c in commands if c not in lines] == []


def on_terminal(lab, *args, **env):
    """What the command prints where standard output is a terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(str(lab.build.command), [str(lab.build.command), *map(str, args)],
                  lab.env(TERM="xterm", **env))
    out = b""
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:		# EIO: the other end is closed
            break
        if not data:
            break
        out += data
    os.waitpid(pid, 0)
    os.close(fd)
    return out


def test_colours_on_a_terminal_only(lab, hostile):
    trace, _ = hostile
    assert SGR.search(on_terminal(lab, "analyze", trace))
    assert not SGR.search(on_terminal(lab, "analyze", trace, NO_COLOR="1"))
    assert not SGR.search(on_terminal(lab, "analyze", "--color=never", trace))
    assert SGR.search(on_terminal(lab, "analyze", "--color=always", trace, NO_COLOR="1"))
    assert not SGR.search(lab.command("analyze", trace).stdout)


def test_optional_modules_are_counted_and_listed(lab, debian):
    lab.write("prog.py", "for name in ('nope_1', 'nope_2', 'nope_3'):\n"
              "    try:\n        __import__(name)\n    except ImportError:\n        pass\n")
    run = lab.recorded([debian, "-S", "prog.py"])
    text = lab.analyze_text(run.trace).answer
    assert text.startswith("No import failed fatally.\n")
    number = int(re.search(r"(\d+) optional modules were", text).group(1))
    assert number >= 3 and "nope_2" not in text
    every = lab.analyze_text(run.trace, "--all").answer
    assert len(re.findall(r"^  - ", every, re.M)) == number
    assert all("nope_%d" % i in every for i in (1, 2, 3))
    one = lab.analyze_text(run.trace, "-m", "nope_2").answer
    assert "nope_2" in one.splitlines()[0] and "Ruled out" in one
    _, report = lab.analyze(run.trace)
    assert report["findings"] == [] and report["loaded"] == []


def test_module_that_was_imported(lab, debian):
    lab.module("good_17", "")
    run = lab.recorded([debian, "-c", "import good_17, sys"])
    text = lab.analyze_text(run.trace, "-m", "good_17").answer
    assert text.startswith("good_17 was imported.\n")
    assert "  from     %s/good_17.py\n" % lab.site in text
    _, report = lab.analyze(run.trace, "-m", "good_17")
    loaded, = report["loaded"]
    assert loaded["path"] == "%s/good_17.py" % lab.site
    assert loaded["entry"] == str(lab.site)
    assert loaded["loader"] == "SourceFileLoader"
    assert loaded["pid"] == report["processes"][0]["pid"]
    assert lab.analyze_text(run.trace, "-m", "bad_17").answer == "No import of bad_17 was seen.\n"


def test_nothing_failed(lab, debian):
    run = lab.recorded([debian, "-S", "-c", "import json"])
    _, report = lab.analyze(run.trace)
    lines = lab.analyze_text(run.trace).answer.splitlines()
    assert lines[0].startswith("No import failed")
    imports, = re.findall(r"(\d+) imports", " ".join(lines))
    assert int(imports) == report["processes"][0]["imports"] > 10
    run = lab.recorded(["/bin/true"])
    assert lab.analyze_text(run.trace).answer.startswith("No import failed.\nRecorded in ")
    assert lab.analyze(run.trace)[1]["processes"][0]["python"] is None


def test_subdirectories_that_ld_so_tried_are_folded(lab, debian):
    """Each directory once; what lies below it is counted, and listed with --all."""
    lab.write("prog.py", "import ctypes\nctypes.CDLL('libnot_there_17.so.3')\n")
    trace = lab.recorded([debian, "prog.py"]).trace
    folded = lab.command("analyze", "--color=never", trace).stdout.decode()
    listed = lab.command("analyze", "--color=never", "--all", trace).stdout.decode()
    tried = re.compile(r"^  absent     (\S+)/libnot_there_17\.so\.3  \(\w+\)$", re.M)
    below = [int(n) for n in re.findall(r"^ {13}nor in (\d+) director(?:y|ies) below it", folded, re.M)]
    assert "/usr/lib" in tried.findall(folded)
    assert not [path for path in tried.findall(folded) if "glibc-hwcaps" in path]
    assert below and min(below) > 0
    assert len(tried.findall(listed)) == len(tried.findall(folded)) + sum(below)
    assert "below it" not in listed


def test_status_of_a_program_that_went_on(lab, debian):
    """The import was caught; what ended the program later may have come of it."""
    lab.write("prog.py", "import sys\ntry:\n    import broken_17\nexcept ImportError:\n    pass\n"
              "sys.exit(int(sys.argv[1]))\n")
    os.symlink("nowhere", str(lab.dir / "broken_17.py"))
    for status in (0, 3):
        trace = lab.recorded([debian, "prog.py", str(status)]).trace
        text = " ".join(lab.command("analyze", "--color=never", trace).stdout.decode().split())
        assert "cause dangling-symlink" in text
        assert ("ended with status 3 all the same" in text) == (status == 3)
        assert ("went on in spite of it" in text) == (status == 0)
