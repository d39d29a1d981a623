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

# ---- journal slots ----------------------------------------------------------------------------

PRIMES = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
          0x27D4EB2F165667C5)


def xxh64(data, seed):
    """The hash of that name, as its specification has it."""
    p1, p2, p3, p4, p5 = PRIMES
    mask = (1 << 64) - 1

    def left(x, n):
        return (x << n | x >> (64 - n)) & mask

    def mixed(acc, lane):
        return left((acc + lane * p2) & mask, 31) * p1 & mask

    at, total = 0, len(data)
    if total >= 32:
        accs = [(seed + p1 + p2) & mask, (seed + p2) & mask, seed, (seed - p1) & mask]
        while at + 32 <= total:
            accs = [mixed(a, int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little"))
                    for i, a in enumerate(accs)]
            at += 32
        acc = sum(left(a, n) for a, n in zip(accs, (1, 7, 12, 18))) & mask
        for a in accs:
            acc = ((acc ^ mixed(0, a)) * p1 + p4) & mask
    else:
        acc = (seed + p5) & mask
    acc = (acc + total) & mask
    for size in (8, 4, 1):
        while at + size <= total:
            lane = int.from_bytes(data[at:at + size], "little")
            if size == 8:
                acc = (left(acc ^ mixed(0, lane), 27) * p1 + p4) & mask
            elif size == 4:
                acc = (left(acc ^ lane * p1 & mask, 23) * p2 + p3) & mask
            else:
                acc = left(acc ^ lane * p5 & mask, 11) * p1 & mask
            at += size
    acc = (acc ^ acc >> 33) * p2 & mask
    acc = (acc ^ acc >> 29) * p3 & mask
    return acc ^ acc >> 32


def frame_end(data, at):
    """Where the frame at @at ends: RFC 8878, 3.1."""
    if data[at + 1:at + 4] == b"\x2a\x4d\x18":
        return at + 8 + int.from_bytes(data[at + 4:at + 8], "little")
    flags = data[at + 4]
    size = (1 if flags & 0x20 else 0, 2, 4, 8)[flags >> 6]
    at += 5 + (0 if flags & 0x20 else 1) + (0, 1, 2, 4)[flags & 3] + size
    while True:
        head = int.from_bytes(data[at:at + 3], "little")
        at += 3 + (1 if head >> 1 & 3 == 1 else head >> 3)
        if head & 1:
            return at + (4 if flags & 4 else 0)


def slots(path):
    """What each journal slot holds."""
    data, at = pathlib.Path(path).read_bytes(), 0
    while at < len(data):
        end = frame_end(data, at)
        if data[at] == 0x5a and data[at + 8:at + 16] == b"imp-slot":
            rest, seed, held = data[at + 16:end], 0, b""
            while True:
                size = int.from_bytes(rest[:4], "little")
                if not 0 < size <= len(rest) - 12 or \
                        xxh64(rest[12:12 + size], seed) != int.from_bytes(rest[4:12], "little"):
                    break
                held, seed = held + rest[12:12 + size], int.from_bytes(rest[4:12], "little")
                rest = rest[12 + size:]
            if held:
                yield held
        at = end


def whole(path):
    """The decompressed trace, and behind it the slots that no batch has superseded."""
    data, at, last = subprocess.run(["zstd", "-dcq", str(path)], stdout=subprocess.PIPE,
                                    check=True).stdout, 0, {}
    while at < len(data):
        raw, at = item(data, at)
        if KINDS[raw[0]] == "batch":
            last[raw[3], raw[4]] = raw[5]
    for held in slots(path):
        raw, _ = item(held, 0)
        if raw[5] == last.get((raw[3], raw[4]), -1) + 1:
            data += held
    return data


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
        if name == "members":
            return [self.named(EXC_KEYS, e) for e in value]
        if name == "entries":
            return [self.named(ENTRY_KEYS, e) for e in value]
        if name == "candidates":
            return [self.named(CAND_KEYS, c) for c in value]
        if name == "claims":
            return [self.texts(c) for c in value]
        if name == "flags" and isinstance(value, dict):
            return {self.text(k): v for k, v in value.items()}
        return value


class Batch:
    """What stands before an item in its batch, and what distances from there mean."""
    STEP_NS = int(re.search(r"#define IMP_TIME_STEP_NS (\d+)", HEADER).group(1))

    def __init__(self):
        self.time_ns = self.newest = self.string = None

    def resolve(self, raw):
        """@raw, a map of numbers, with every distance replaced, in the order in which they stand."""
        found = {}
        for key, value in raw.items():
            name = KEYS[key][0] if key in KEYS else None
            if name == "later":
                key, value = 1, self.time_ns + value * self.STEP_NS
            if key == 1:
                self.time_ns = value
            if name in ("call", "import", "parent"):
                if value < 0:
                    value += 2 + self.newest
                self.newest = max(self.newest or 0, value)
            found[key] = value
        if KINDS.get(raw[0]) == "string":
            self.string = found.setdefault(11, (self.string or 0) + 1)
        return found


def events(path):
    """Every event of the trace as a dict, in order; batches set `pid` and `image_ns` of theirs."""
    data, at, images, batch, found = whole(path), 0, {}, None, []
    while at < len(data):
        raw, at = item(data, at)
        kind = KINDS[raw[0]]
        if kind == "batch":
            batch, state = (raw[3], raw[4]), Batch()
        elif kind != "header":
            raw = state.resolve(raw)
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
