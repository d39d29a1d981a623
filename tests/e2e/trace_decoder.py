# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a trace without any code of ours: `zstd -dc`, a CBOR decoder, and names from trace_format.h.

An independent check of `imptrace dump`, and what the recorder's own tests look at.
"""
import pathlib
import re
import subprocess
import sys

FORMAT = pathlib.Path(__file__).resolve().parents[2] / "preload" / "trace_format.h"


def table(header, name):
    """{number: (lower-case name, type)} of one X-macro table."""
    body = re.search(r"#define %s\(X\)(.*?)(?<!\\)\n" % name, header, re.S).group(1)
    found = {}
    for entry in re.finditer(r"\bX\((\w+),\s*(\d+),\s*\"([^\"]*)\"", body):
        found[int(entry.group(2))] = (entry.group(1).lower(), entry.group(3))
    return found


HEADER = FORMAT.read_text()
KINDS = {number: name for number, (name, _) in table(HEADER, "IMP_KINDS").items()}
KEYS = table(HEADER, "IMP_KEYS")
EXC_KEYS = table(HEADER, "IMP_EXC_KEYS")
ENTRY_KEYS = table(HEADER, "IMP_ENTRY_KEYS")
CAND_KEYS = table(HEADER, "IMP_CAND_KEYS")



def item(data, at):
    """One CBOR item of definite length: (value, offset behind it)."""
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if low < 24:
        value = low
    elif low <= 27:
        size = 1 << (low - 24)
        value = int.from_bytes(data[at:at + size], "big")
        at += size
    else:
        raise ValueError("length of kind %d" % low)
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major == 2:
        assert at + value <= len(data), "cut"
        return bytes(data[at:at + value]), at + value
    if major == 4:
        items = []
        for _ in range(value):
            one, at = item(data, at)
            items.append(one)
        return items, at
    if major == 5:
        pairs = {}
        for _ in range(value):
            key, at = item(data, at)
            pairs[key], at = item(data, at)
        return pairs, at
    if major == 7 and low in (20, 21):
        return low == 21, at
    raise ValueError("major type %d, %d" % (major, low))


class Image:
    def __init__(self):
        self.strings = {}

    def text(self, value):
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        if isinstance(value, list):
            return self.text(value[0]) + "/" + self.text(value[1])
        return self.strings[value].decode("utf-8", "surrogateescape")

    def texts(self, values):
        return [self.text(v) for v in values]

    def frame(self, value):
        return [self.text(value[0]), value[1], self.text(value[2]), self.text(value[3])]

    def named(self, keys, value):
        return {keys[k][0]: self.value(keys, k, v) for k, v in value.items()}

    def value(self, keys, key, value):
        name, kind = keys[key]
        if name == "version" and isinstance(value, list):		# the header's
            return value
        if kind == "text":
            return self.text(value)
        if kind == "texts":
            return self.texts(value)
        if name in ("frame", "where"):
            return self.frame(value)
        if name == "stack":
            return [self.frame(f) for f in value]
        if name == "searched":
            return [[self.text(a), self.text(b), c] for a, b, c in value]
        if name in ("exception", "cause", "context"):
            return self.named(EXC_KEYS, value)
        if name == "entries":
            return [self.named(ENTRY_KEYS, e) for e in value]
        if name == "candidates":
            return [self.named(CAND_KEYS, c) for c in value]
        if name == "claims":
            return [self.texts(c) for c in value]
        if name == "flags" and isinstance(value, dict):
            return {self.text(k): v for k, v in value.items()}
        return value


def events(path):
    """Every event of the trace as a dict, in order; batches set `pid` and `image_ns` of theirs."""
    done = subprocess.run(["zstd", "-dcq", str(path)], stdout=subprocess.PIPE, check=True)
    data, at, images, batch, found = done.stdout, 0, {}, None, []
    while at < len(data):
        raw, at = item(data, at)
        kind = KINDS[raw[0]]
        if kind == "batch":
            batch = (raw[3], raw[4])
        image = images.setdefault(batch, Image())
        if kind == "string":
            image.strings[raw[11]] = raw[12]
            continue
        event = image.named(KEYS, raw)
        event["kind"] = kind
        if batch:
            event.setdefault("pid", batch[0])
            event.setdefault("image_ns", batch[1])
        found.append(event)
    return found


if __name__ == "__main__":
    for one in events(sys.argv[1]):
        print({k: v for k, v in one.items() if k not in ("image_ns", "pid", "time_ns")})
