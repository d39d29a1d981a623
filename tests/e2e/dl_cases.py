# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the programs of tests/fixtures/dl, runs each bare and traced, and reads what was recorded.

A trace is read here by a decoder of its own, so that the recorder is not judged by the analyzer.
"""
import os
import pathlib
import re
import subprocess

import trace_decoder

REPO = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = REPO / "tests" / "fixtures" / "dl"
BUILD = pathlib.Path(os.environ.get("IMPTRACE_BUILD") or REPO / "build")
PRELOAD = BUILD / "libimptrace.so"


class Events(list):
    """Events as dicts: KIND is a name, the other keys are the names of trace_format.h."""

    def of(self, *kinds):
        return [event for event in self if event["KIND"] in kinds]

    def objects(self):
        """Number to path; a number belongs to one image, so only for traces of one."""
        return {event["OBJECT"]: event["TEXT"] for event in self.of("OBJECT")}


class Cases:
    """A directory with what one test builds and runs."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.trace = self.dir / "trace.zst"

    def compile(self, out, source, *flags, compiler="gcc"):
        """A program, or a shared object where the name ends in .so; returns its path."""
        target = self.dir / out
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [compiler, "-g", "-O1", "-o", str(target)]
        if out.endswith(".so"):
            command += ["-shared", "-fPIC"]
            flags = [flag for flag in flags if flag != "-no-pie"]
        if source.endswith(".c"):  # a C++ compiler defines it itself
            command.append("-D_GNU_SOURCE")
        # Sources first: the linker takes from a library what stands before it.
        command += ["-I", str(FIXTURES), str(FIXTURES / source), *map(str, flags)]
        subprocess.run(command, check=True)
        return target

    def run(self, *command, before=(), after=(), env=None, options=None, timeout=60):
        """Runs the command bare, then traced; both must do the same. Returns the traced run's events.

        @before, @after: other objects to preload, before and after ours.
        """
        command = [str(part) for part in command]
        base = {"PATH": os.environ["PATH"], "HOME": str(self.dir), "LC_ALL": "C", **(env or {})}
        bare = self._run(command, base, [*before, *after], timeout)
        for old in (self.trace, self.trace.with_name("trace.zst.old")):
            old.unlink(missing_ok=True)
        base["IMPTRACE_OUTPUT"] = str(self.trace)
        base.update(options or {})
        traced = self._run(command, base, [*before, PRELOAD, *after], timeout)
        assert traced.stdout.decode("latin-1").splitlines() == bare.stdout.decode("latin-1").splitlines()
        assert traced.stderr == bare.stderr
        assert traced.returncode == bare.returncode
        self.output = bare.stdout.decode("utf-8", "surrogateescape")
        self.status = bare.returncode
        return read(self.trace)

    def _run(self, command, env, preload, timeout):
        env = dict(env)
        if preload:
            env["LD_PRELOAD"] = ":".join(map(str, preload))
        return subprocess.run(command, cwd=self.dir, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)


def _table(text, macro):
    body = text[text.index("#define %s(X)" % macro):]
    body = re.split(r"[^\\]\n", body, maxsplit=1)[0]
    return {int(number): name for name, number in re.findall(r"X\((\w+),\s*(\d+),", body)}


_FORMAT = (REPO / "preload" / "trace_format.h").read_text()
KINDS = _table(_FORMAT, "IMP_KINDS")
KEYS = _table(_FORMAT, "IMP_KEYS")
NOTES = _table(_FORMAT, "IMP_NOTES")


def _item(data, at):
    major, value = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        return {20: False, 21: True}[value], at
    if value >= 24:
        size = 1 << (value - 24)
        value, at = int.from_bytes(data[at:at + size], "big"), at + size
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major == 2:
        return data[at:at + value], at + value
    if major == 4:
        items = []
        for _ in range(value):
            item, at = _item(data, at)
            items.append(item)
        return items, at
    assert major == 5, "CBOR major type %d" % major
    pairs = {}
    for _ in range(value):
        key, at = _item(data, at)
        pairs[key], at = _item(data, at)
    return pairs, at


def read(trace):
    data = trace_decoder.whole(trace)
    at, strings, events, image = 0, {}, Events(), None

    def text(value):
        if isinstance(value, list):
            return text(value[0]) + "/" + text(value[1])
        if isinstance(value, int):
            return text(strings[image, value])
        return value.decode("utf-8", "surrogateescape")

    while at < len(data):
        raw, at = _item(data, at)
        if KINDS[raw[0]] == "BATCH":
            state = trace_decoder.Batch()
        elif image:
            raw = state.resolve(raw)
        event = {KEYS[key]: value for key, value in raw.items()}
        event["KIND"] = KINDS[raw[0]]
        if event["KIND"] == "BATCH":
            image = event["PID"], event["IMAGE_NS"]
            assert event["LOST"] == 0
        elif event["KIND"] == "STRING":
            strings[image, event["ID"]] = event["TEXT"]
        else:
            for key in ("TEXT", "ERROR", "SYMVER"):
                if key in event:
                    event[key] = text(event[key])
            event["IMAGE"] = image
            events.append(event)
    return events
