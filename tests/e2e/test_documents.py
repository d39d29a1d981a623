# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents say is what the command does: --help, man pages, completions, README, schema."""
import os
import re
import subprocess

import pytest

from harness import REPO, need

COMMANDS = ("run", "analyze", "attach", "dump")
MAN = REPO / "analyzer" / "man"
COMPLETIONS = REPO / "analyzer" / "completions"
README = REPO / "README.md"
# What shells complete, and neither --help nor a man page calls an option of imptrace.
NO_OPTIONS = {"--"}


def help_of(build, *args):
    done = subprocess.run([build.command, *args, "--help"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, env={"PATH": "/usr/bin"})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def section(text, title):
    """The lines of one section of --help: from 'title:' to the next line that is not indented."""
    match = re.search(r"^%s:\n((?:[ \t]+.*\n|\n)*)" % title, text, re.M)
    assert match, "no section %r in:\n%s" % (title, text)
    return match.group(1)


def options_of_help(text):
    """{"--output": "-o" or None}."""
    found = {}
    for line in section(text, "options").splitlines():
        match = re.match(r"  (?:(-\w), |    )(--[\w-]+)", line)
        if match:
            found[match.group(2)] = match.group(1)
    assert found, text
    return found


def roff(name):
    """(the page's sections as {title: text}, with roff's escapes taken out)."""
    text = (MAN / name).read_text()
    text = re.sub(r'^\.\\".*\n', "", text, flags=re.M)
    text = text.replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")
    text = re.sub(r"\\f.", "", text)
    parts = re.split(r"^\.SH (.*)\n", text, flags=re.M)
    return dict(zip((t.strip('"') for t in parts[1::2]), parts[2::2]))


def items(section_text):
    """The head of each .TP item, without its macros and quotes."""
    heads = re.findall(r"^\.TP\n(.*)\n", section_text, re.M)
    return [re.sub(r"^\.\w+ ", "", h).replace('"', "").replace(" ", "") for h in heads]


def options_of_man(page):
    found = {}
    for head in items(roff(page)["OPTIONS"]):
        match = re.match(r"(?:(-\w),)?(--[\w-]+)", head)
        assert match, "no option: %r" % head
        found[match.group(2)] = match.group(1)
    return found


# -- --help -----------------------------------------------------------------------------------
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_for_a_terminal(build, command):
    text = help_of(build, command)
    assert text.startswith("usage: imptrace %s " % command)
    for line in text.splitlines():
        assert len(line) <= 80, line
        assert line == line.rstrip()


def test_help_lists_every_command(build):
    text = help_of(build)
    assert {c for c in COMMANDS if re.search(r"^\s+%s\b" % c, text, re.M)} == set(COMMANDS)
    assert all(len(line) <= 80 for line in text.splitlines())


def test_version(build):
    done = subprocess.run([build.command, "--version"], stdout=subprocess.PIPE, check=True,
                          universal_newlines=True)
    version = re.search(r"^VERSION := (.*)", (REPO / "Makefile").read_text(), re.M).group(1)
    assert done.stdout.split() == ["imptrace", version]
    for page in MAN.glob("*.[157]"):
        assert "imptrace %s" % version in page.read_text().splitlines()[1], page


# -- manual pages -------------------------------------------------------------------------------
@pytest.mark.parametrize("command", COMMANDS)
def test_man_page_has_the_options_of_help(build, command):
    assert options_of_man("imptrace-%s.1" % command) == options_of_help(help_of(build, command))


@pytest.mark.parametrize("command", COMMANDS)
def test_man_page_has_the_exit_statuses_of_help(build, command):
    words = [line.strip().split("  ")[0] for line in
             section(help_of(build, command), "exit status").splitlines() if line.strip()]
    page = roff("imptrace-%s.1" % command)["EXIT STATUS"]
    statuses = {w for w in words if re.match(r"\d", w)}
    assert statuses, words
    assert {head.split(",")[0] for head in items(page)} == statuses


@pytest.mark.parametrize("page", sorted(p.name for p in MAN.glob("*.1")))
def test_man_page_is_complete(page):
    sections = roff(page)
    wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "OVERHEAD",
              "SEE ALSO"]
    assert [s for s in wanted if s not in sections] == []
    name = page[:-2]
    assert sections["NAME"].startswith(name + " - ")
    for other in re.findall(r"^\.BR (imptrace[\w-]*) \((\d)\)", sections["SEE ALSO"], re.M):
        assert (MAN / ("%s.%s" % other)).exists(), other


@pytest.mark.parametrize("page", sorted(p.name for p in MAN.glob("*.[157]")))
def test_man_page_is_well_formed(page):
    tool = need("man")
    done = subprocess.run([tool, "--warnings=w", "-E", "UTF-8", "-l", str(MAN / page)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                          env=dict(os.environ, MANWIDTH="80", LC_ALL="C.UTF-8"))
    if "has been minimized" in done.stdout:
        pytest.skip("this system's man is a stand-in that prints no page")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "OVERHEAD" in done.stdout or page.endswith((".5", ".7"))


def test_environment_is_described():
    variables = set(re.findall(r"\bIMPTRACE_(?!RUN\b)[A-Z]+\b",
                               "".join(p.read_text() for p in (REPO / "preload").glob("*.c"))))
    assert len(variables) >= 5
    described = set(re.findall(r"\bIMPTRACE_(?!RUN\b)[A-Z]+\b", roff("imptrace.1")["ENVIRONMENT"]))
    assert described == variables


def causes():
    """[(code, phrase)] of causes.def."""
    text = (REPO / "analyzer" / "diagnose" / "causes.def").read_text()
    found = re.findall(r'CAUSE\(\w+, "([^"]+)", "([^"]+)"\)', text)
    assert len(found) > 30
    return found


def test_man_page_lists_every_cause():
    text = roff("imptrace-analyze.1")["CAUSES"]
    assert sorted(re.findall(r"^\.TP\n\.B ([\w-]+)\n(.*)\n", text, re.M)) == sorted(causes())


def answered_causes():
    """The codes that some rule of diagnose/ gives."""
    names = dict((name, code) for name, code in re.findall(
        r'CAUSE\((\w+), "([^"]+)"',
        (REPO / "analyzer" / "diagnose" / "causes.def").read_text()))
    text = "".join(p.read_text() for p in (REPO / "analyzer" / "diagnose").glob("*.c"))
    found = {names[n] for given in re.findall(r"cause = ([^;=]*(?:==[^;]*)?);", text)
             for n in re.findall(r"IMP_CAUSE_(\w+)", given)}
    assert "abi-tag-mismatch" in found and "unknown" in found
    return found


def test_documents_tell_which_causes_are_answered():
    text = roff("imptrace-analyze.1")["CAUSES"].split("These codes are reserved")[0]
    assert set(re.findall(r"^\.TP\n\.B ([\w-]+)\n", text, re.M)) == answered_causes()
    table = re.findall(r"^\| `([a-z-]+)` \|", README.read_text(), re.M)
    assert sorted(table) == sorted(answered_causes())


# -- completions --------------------------------------------------------------------------------
def bash_options(command, after=""):
    script = """
source "$1"
COMP_WORDS=(imptrace %s %s -) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_imptrace 2>/dev/null
printf '%%s\\n' "${COMPREPLY[@]}"
""" % (command, after)
    done = subprocess.run([need("bash"), "--norc", "-c", script, "bash", COMPLETIONS / "imptrace.bash"],
                          stdout=subprocess.PIPE, check=True, universal_newlines=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_completes_the_options_of_help(build, command):
    options = options_of_help(help_of(build, command))
    wanted = set(options) | {short for short in options.values() if short}
    assert bash_options(command) - NO_OPTIONS == wanted


def test_bash_leaves_the_command_alone():
    assert bash_options("run", "python3") == set()
    assert bash_options("run", "-o trace.zst python3") == set()
    assert "--output" in bash_options("run", "-o trace.zst")


@pytest.mark.parametrize("command", COMMANDS)
def test_zsh_completes_the_options_of_help(build, command):
    text = (COMPLETIONS / "_imptrace").read_text()
    block = re.search(r"^\t%s\)\n(.*?)\n\t\t;;" % command, text, re.M | re.S).group(1)
    found = set(re.findall(r"(?<=['{,])(--?[\w-]+)(?=[+=\[},])", block))
    options = options_of_help(help_of(build, command))
    assert found == set(options) | {short for short in options.values() if short}


@pytest.mark.parametrize("command", COMMANDS)
def test_fish_completes_the_options_of_help(build, command):
    found = {}
    for line in (COMPLETIONS / "imptrace.fish").read_text().splitlines():
        if "'__fish_seen_subcommand_from %s'" % command not in line:
            continue
        long, short = re.search(r" -l (\S+)", line), re.search(r" -s (\S)", line)
        if long:
            found["--" + long.group(1)] = "-" + short.group(1) if short else None
    assert found == options_of_help(help_of(build, command))


@pytest.mark.parametrize("shell, name", [("bash", "imptrace.bash"), ("zsh", "_imptrace"),
                                         ("fish", "imptrace.fish")])
def test_completion_parses(shell, name):
    subprocess.run([need(shell), "-n", COMPLETIONS / name], check=True)


# -- README -------------------------------------------------------------------------------------
def shell_lines():
    """The commands of the README's sh blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.M | re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_readme_commands_exist(build):
    targets = set(re.findall(r"^([a-z][\w-]*):", (REPO / "Makefile").read_text(), re.M))
    seen = set()
    for line in shell_lines():
        make = re.match(r"(?:sudo )?make(?: ([a-z][\w-]*))?(?: \w+=\S+)*$", line)
        script = re.match(r"(scripts/[\w.-]+|\.ci/run)\b", line)
        imptrace = re.search(r"(?:^|[\s/|])imptrace (\w+)", line)
        if make:
            assert (make.group(1) or "all") in targets, line
        elif script:
            path = REPO / script.group(1)
            assert os.access(str(path), os.X_OK), line
            seen.add(script.group(1))
        elif imptrace:
            assert imptrace.group(1) in COMMANDS, line
            options = options_of_help(help_of(build, imptrace.group(1)))
            known = set(options) | set(options.values())
            words = line.split("--")[0].split() if " -- " in line else line.split()
            if imptrace.group(1) != "run":
                assert {w.split("=")[0] for w in words if w.startswith("-") and w != "-"} <= known, line
            seen.add("imptrace " + imptrace.group(1))
        else:
            assert re.match(r"(git clone|cd|LD_PRELOAD=|IMPTRACE_\w+=|zstd) ?", line), "what is: " + line
    assert {"scripts/demo", "scripts/check", "imptrace run", "imptrace analyze", "imptrace dump"} <= seen


def test_readme_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text()):
        assert (REPO / target).exists(), target


# -- the schema ---------------------------------------------------------------------------------
def test_schema_is_current():
    done = subprocess.run(["/usr/bin/python3", REPO / "scripts" / "gen-schema.py", "--check"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout


def test_schema_defines_what_it_uses():
    text = re.sub(r";.*", "", (MAN / "imptrace.cddl").read_text())
    text = re.sub(r"&\([^)]*\)", "", text)
    defined = re.findall(r"^([a-z][\w-]*) =", text, re.M)
    assert len(defined) == len(set(defined)), "a rule is defined twice"
    used = set(re.findall(r"\b[a-z][\w-]*(?![\w-]|\s*:)", text)) - {"uint", "nint", "int", "bstr", "bool", "any", "n"}
    assert used - set(defined) == set()


def decode(data, at=0):
    """(item, where it ends) of the CBOR at @at; definite lengths alone, as the format says."""
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if info >= 24:
        assert info <= 27, "not a definite length: %d" % info
        size = 1 << (info - 24)
        value, at = int.from_bytes(data[at:at + size], "big"), at + size
    else:
        value = info
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major == 2:
        assert at + value <= len(data)
        return bytes(data[at:at + value]), at + value
    if major in (4, 5):
        items = []
        for _ in range(value * (major - 3)):
            item, at = decode(data, at)
            items.append(item)
        if major == 4:
            return items, at
        keys = [tuple(k) if isinstance(k, list) else k for k in items[::2]]
        assert len(set(keys)) == len(keys), "a key stands twice"
        return dict(zip(keys, items[1::2])), at
    assert major == 7 and value in (20, 21), "major type %d" % major
    return value == 21, at


class Schema:
    """imptrace.cddl, as far as it is used there."""

    def __init__(self, text):
        text = re.sub(r";.*", "", text)
        self.rules = {n: " ".join(body.split()) for n, body in
                      re.findall(r"^([a-z][\w-]*) = (.*?)(?=^[a-z][\w-]* = |\Z)", text, re.M | re.S)}
        self.kinds = {}
        self.choices = set()  # of keys, of which a map has exactly one
        for name, body in self.rules.items():
            match = re.match(r"\{ key-kind => (\d+),", body)
            if match:
                self.kinds[int(match.group(1))] = name

    def members(self, body):
        """{key: (optional, type)} of a map or group."""
        found = {}
        for member in re.split(r",\s*(?![^\[({]*[\])}])", body.strip("{} ")):
            member = member.strip()
            match = re.fullmatch(r"(\? )?([\w-]+) => (.*)", member)
            if member in ("more", ""):
                continue
            if member == "common":
                found.update(self.members(self.rules["common"][1:-1]))
                continue
            if member.startswith("("):
                either = [self.members(part) for part in member[1:-1].split(" // ")]
                self.choices.add(tuple(key for part in either for key in part))
                found.update((key, (True, kind)) for part in either for key, (_, kind) in part.items())
                continue
            key = match.group(2)
            number = int(key if key.isdigit() else self.rules[key])
            found[number] = (bool(match.group(1)), match.group(3).strip())
        return found

    def check(self, where, kind, value):
        rule = self.rules.get(kind, kind)
        if rule.startswith("&("):
            allowed = set(map(int, re.findall(r": (\d+)", rule)))
            assert value in allowed, "%s: %r is none of %s" % (where, value, allowed)
        elif kind == "btext":
            good = (isinstance(value, (bytes, int)) and not isinstance(value, bool) or
                    isinstance(value, list) and len(value) == 2)
            assert good, "%s: %r is no text" % (where, value)
            for part in value if isinstance(value, list) else ():
                self.check(where, "btext", part)
        elif rule in ("uint", "int", "uint / nint"):
            assert isinstance(value, int) and not isinstance(value, bool), "%s: %r" % (where, value)
            assert rule != "uint" or value >= 0, "%s: %r" % (where, value)
        elif rule in ("bstr", "bool"):
            assert isinstance(value, bytes if rule == "bstr" else bool), "%s: %r" % (where, value)
        elif rule.startswith("[* "):
            assert isinstance(value, list), "%s: %r" % (where, value)
            for i, item in enumerate(value):
                self.check("%s[%d]" % (where, i), rule[3:-1].strip(), item)
        elif rule.startswith("["):
            parts = [p.split(": ")[1] for p in rule.strip("[]").split(", ")]
            assert isinstance(value, list) and len(value) == len(parts), "%s: %r" % (where, value)
            for part, item in zip(parts, value):
                self.check(where, part, item)
        elif rule.startswith("{* "):
            key, item = rule[3:-1].strip().split(" => ")
            for k, v in value.items():
                self.check(where, key, list(k) if isinstance(k, tuple) else k)
                self.check(where, item, v)
        else:
            assert rule.startswith("{"), "%s: cannot read the rule %r" % (where, rule)
            self.check_map(where, self.members(rule), value)

    def check_map(self, where, members, value):
        assert isinstance(value, dict), "%s: %r" % (where, value)
        absent = [k for k, (optional, _) in members.items() if not optional and k not in value]
        assert absent == [], "%s lacks the keys %s: %r" % (where, absent, value)
        for choice in self.choices:
            if set(choice) <= set(members):
                assert len(set(choice) & set(value)) == 1, "%s: not one of %s: %r" % (where, choice, value)
        # Unknown keys are allowed to a reader; to this version's recorder they are a slip.
        assert set(value) <= set(members), "%s has more keys: %s" % (where, set(value) - set(members))
        for key, item in value.items():
            self.check("%s.%s" % (where, key), members[key][1], item)

    def check_item(self, item):
        assert item[0] in self.kinds, "unknown kind %r" % item[0]
        name = self.kinds[item[0]]
        members = self.members(self.rules[name])
        self.check_map(name, {**members, 0: (False, "uint")}, item)
        return name


PROGRAM = """
import json, os, subprocess, sys, threading
import ctypes
for name in ("nothing_there", "json.nothing_there", "pkg.broken"):
    try:
        __import__(name)
    except ImportError:
        pass
try:
    ctypes.CDLL("libnothing_there.so.17")
except OSError:
    pass
sys.path.insert(0, "")
sys.path.insert(0, b"bytes")
threading.Thread(target=lambda: __import__("nor_this")).start()
subprocess.call([sys.executable, "-c", "import decimal, sys; sys.exit('no')"])
if os.fork() == 0:
    import colorsys
    os._exit(3)
os.wait()
import not_there_either
"""


def test_trace_keeps_to_its_schema(lab, any_python):
    schema = Schema((MAN / "imptrace.cddl").read_text())
    assert len(schema.kinds) > 20
    lab.module("pkg/__init__")
    lab.module("pkg/broken", "try:\n    1 / 0\nexcept ArithmeticError as e:\n"
               "    raise ImportError('broken', name='pkg') from e\n")
    lab.write("prog.py", PROGRAM)
    run = lab.recorded([any_python, "prog.py"], variables={"IMPTRACE_STACKS": "all"})
    assert "No module named 'not_there_either'" in run.text
    data, at, seen = lab.raw(run.trace), 0, []
    while at < len(data):
        item, at = decode(data, at)
        seen.append(schema.check_item(item))
    assert seen[0] == "header" and seen[1] == "batch" and seen.count("header") == 1
    assert {"process", "object", "interpreter", "sys-path", "meta-path", "import-begin", "import-end",
            "ext-begin", "ext-end", "dlopen-enter", "dlopen-leave", "dlsym", "snapshot", "uncaught",
            "process-end", "string"} <= set(seen)
