#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""gen-schema - preload/trace_format.h as CDDL (RFC 8610), and as a module that the tests import

usage: scripts/gen-schema.py           writes analyzer/man/imptrace.cddl, and puts it into imptrace-trace.5
       scripts/gen-schema.py --check   exit status 1 where they are not what would be written

trace_format.h stays the one source: kinds, keys and values are read out of its X-macros. What a macro's
third column says in words only (what a list holds) stands in SHAPES; a list or map that is missing there, or
one there that is no longer in the header, is an error.
"""
import pathlib
import re
import sys
import textwrap

TOP = pathlib.Path(__file__).resolve().parent.parent
HEADER = TOP / "preload" / "trace_format.h"
OUTPUT = TOP / "analyzer" / "man" / "imptrace.cddl"
PAGE = TOP / "analyzer" / "man" / "imptrace-trace.5"

SHAPES = {
    # (table, key): CDDL
    ("KEYS", "IDS"): "[uid: uint, euid: uint, gid: uint, egid: uint]",
    ("KEYS", "MACHINE"): "[machine: btext, release: btext]",
    ("KEYS", "HOST"): "[boot-id: btext, root-dev: uint, root-ino: uint]",
    ("KEYS", "FRAME"): "frame",
    ("KEYS", "STACK"): "[* frame]",
    ("KEYS", "SEARCHED"): "[* [entry: btext, finder: btext, result: search]]",
    ("KEYS", "EXCEPTION"): "exception",
    ("KEYS", "ENTRIES"): "[* entry]",
    ("KEYS", "CLAIMS"): "[* [metadata: btext, record: btext, wheel-tag: btext]]",
    ("KEYS", "STAT"): "stat",
    ("KEYS", "LINKS"): "[* [path: btext, target: btext]]",
    ("KEYS", "DIRECTORIES"): "[* [path: btext, mode: uint, uid: uint, gid: uint]]",
    ("KEYS", "MOUNT"): "[flags: uint, type: uint]",
    ("KEYS", "CHUNKS"): "[* [offset: uint, data: bstr]]",
    ("KEYS", "FRAMES"): "[* [object: uint, offset: uint]]",
    ("EXC_KEYS", "CAUSE"): "exception",
    ("EXC_KEYS", "CONTEXT"): "exception",
    ("EXC_KEYS", "WHERE"): "frame",
    ("EXC_KEYS", "MEMBERS"): "[* exception]",
    ("ENTRY_KEYS", "STAT"): "stat",
    ("ENTRY_KEYS", "CANDIDATES"): "[* candidate]",
    ("CAND_KEYS", "STAT"): "stat",
}
# A kind whose key is of another shape than elsewhere.
IN_KIND = {
    ("HEADER", "VERSION"): "[major: uint, minor: uint]",
    ("STRING", "TEXT"): "bstr",
    ("INTERPRETER", "FLAGS"): "{* btext => int}",
    ("NOTE", "NOTE"): "remark",
    ("PROCESS", "HOW"): "start",
    ("PROCESS_END", "HOW"): "end",
    ("UNCAUGHT", "HOW"): "handler",
    ("SYS_PATH", "PHASE"): "phase",
    ("KERNEL_FILE", "SYSCALL"): "syscall",
    ("EXT_BEGIN", "STEP"): "step",
    ("SNAPSHOT", "SYS_MODULES"): "module-state",
}
TYPES = {"uint": "uint", "int": "int", "bool": "bool", "bytes": "bstr", "text": "btext",
         "texts": "[* btext]", "number": "number"}
MAPS = (("EXC_KEYS", "exception", ("TYPE",)), ("ENTRY_KEYS", "entry", ("ENTRY", "STATE")),
        ("CAND_KEYS", "candidate", ("NAME",)))
ENUMS = (("imp_start", "IMP_START_", "start"), ("imp_end", "IMP_END_", "end"),
         ("imp_phase", "IMP_PHASE_", "phase"), ("imp_search_result", "IMP_SEARCH_", "search"),
         ("imp_step", "IMP_STEP_", "step"), ("imp_module_state", "IMP_MODULE_", "module-state"),
         ("imp_path_state", "IMP_PATH_", "path-state"), ("imp_uncaught", "IMP_UNCAUGHT_", "handler"),
         ("imp_syscall", "IMP_SYSCALL_", "syscall"))

FIXED = """\
; A trace is a concatenation of zstd frames (RFC 8878), each with a content
; checksum. Each decompresses to a CBOR sequence (RFC 8742): the first to one
; header, every other one to a batch and its events. So do the data of a
; journal slot, a skippable frame that is described in imptrace-trace(5).
trace-frame-0 = header
trace-frame-n = [batch, * event]    ; the items, without the array around them

; Bytes that need not be UTF-8: the value; the number of a string that came
; earlier in this image; or a path: its directory and the name after the slash.
btext = bstr / string-id / [directory: btext, name: btext]
string-id = uint
; of an attempt or a call: itself; or -1 - D, which is D less than the number
; after the greatest that stands before it in this batch
number = uint / nint

; a Python frame
frame = [file: btext, line: uint, function: btext, module: btext]
stat = [mode: uint, uid: uint, gid: uint, size: uint, mtime-ns: int]

; Readers skip keys and kinds that they do not know.
more = (* uint => any)
; of every event but string
common = ((key-time-ns => uint // key-later => int), ? key-thread => uint)
"""


class SchemaError(Exception):
    pass


class Format:
    """What trace_format.h says."""

    def __init__(self, source):
        self.source = re.sub(r"\\\n", " ", source)
        self.major, self.minor = (self.number("IMP_FORMAT_" + n) for n in ("MAJOR", "MINOR"))
        # name: (number, about); name: (number, type, about)
        self.kinds = {n: (int(num), "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', rest)))
                      for n, num, rest in self.rows("KINDS")}
        self.tables = {t: self.keys(t) for t in ("KEYS", "EXC_KEYS", "ENTRY_KEYS", "CAND_KEYS")}
        self.notes = {n: (int(num), rest.strip().strip('"')) for n, num, rest in self.rows("NOTES")}
        self.enums = {name: self.enum(tag, prefix) for tag, prefix, name in ENUMS}

    def number(self, name):
        return int(re.search(r"#define %s\s+(\d+)" % name, self.source).group(1))

    def rows(self, table):
        """(name, number, what follows) of each X(...) of a macro."""
        body = re.search(r"#define IMP_%s\(X\)(.*)" % table, self.source)
        if not body:
            raise SchemaError("no IMP_%s in %s" % (table, HEADER))
        row = r'X\((\w+),\s*(\d+),\s*((?:"(?:[^"\\]|\\.)*"[\s,]*)+)\)'
        found = re.findall(row, body.group(1))
        if not found or len(found) != len(re.findall(r"\bX\(", body.group(1))):
            raise SchemaError("a row of IMP_%s cannot be read" % table)
        if len({number for _, number, _ in found}) != len(found):
            raise SchemaError("a number of IMP_%s is used twice" % table)
        return found

    def keys(self, table):
        result = {}
        for name, number, rest in self.rows(table):
            strings = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
            result[name] = (int(number), strings[0], "".join(strings[1:]).replace('\\"', '"'))
        return result

    def enum(self, tag, prefix):
        body = re.search(r"enum %s \{(.*?)\};" % tag, self.source, re.S)
        if not body:
            raise SchemaError("no enum %s" % tag)
        text = re.sub(r"/\*.*?\*/", "", body.group(1), flags=re.S)
        result, value = {}, -1
        for item in filter(None, (i.strip() for i in text.split(","))):
            match = re.fullmatch(r"(\w+)(?:\s*=\s*(\d+))?", item)
            value = int(match.group(2)) if match.group(2) else value + 1
            result[match.group(1)[len(prefix):]] = value
        return result

    def keys_of(self, kind):
        """[(key, optional, remark)] of a kind, in order."""
        seen = {}
        for key, optional, remark in re.findall(r"\b([A-Z][A-Z_]+)\b(\??)(?:\(([^)]*)\))?", self.kinds[kind][1]):
            if key in self.tables["KEYS"] and key not in seen:
                seen[key] = (key, bool(optional), remark)
        return list(seen.values())

    def prose_of(self, kind):
        """What a kind's description says besides its keys: one side of its colon, or nothing."""
        about = re.sub(r"\([^)]*\)", lambda m: m.group(0).replace(":", "\0"), self.kinds[kind][1])
        sides = [side.strip().replace("\0", ":") for side in about.split(": ")]
        return ": ".join(s for s in sides if s and not re.fullmatch(
            r"(?:[A-Z][A-Z_]+\??(?:\([^)]*\))?\s*)+", s))


def spelled(name):
    return name.lower().replace("_", "-")


def shape(fmt, table, key, used):
    kind = fmt.tables[table][key][1]
    if kind in TYPES:
        return TYPES[kind]
    if (table, key) not in SHAPES:
        raise SchemaError("what does the %s %s hold? Add it to SHAPES" % (kind, key))
    used.add((table, key))
    return SHAPES[table, key]


WIDTH = 78


def put(out, text, comment=""):
    """A line with its comment: behind it where there is room, else above it."""
    comment = re.sub(r"\s+", " ", comment)
    whole = text + ("    ; " + comment if comment else "")
    if len(whole) <= WIDTH:
        out.append(whole)
        return
    indent = re.match(" *", text).group()
    if comment:
        out += textwrap.wrap(comment, WIDTH, initial_indent=indent + "; ", subsequent_indent=indent + "; ")
    out += textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "    ",
                         break_on_hyphens=False, break_long_words=False)


def cddl(fmt):
    used = set()
    out = ["; imptrace's trace, format %d.%d, in CDDL (RFC 8610)." % (fmt.major, fmt.minor),
           "; Made by scripts/gen-schema.py from preload/trace_format.h: do not edit.", "", FIXED]
    put(out, "event = " + " / ".join(spelled(k) for k in fmt.kinds if k not in ("HEADER", "BATCH")))
    out.append("")
    for kind, (number, _) in fmt.kinds.items():
        put(out, spelled(kind) + " = {", fmt.prose_of(kind))
        put(out, "    key-kind => %d," % number)
        if kind not in ("HEADER", "BATCH", "STRING"):
            put(out, "    common,")
        for key, optional, remark in fmt.keys_of(kind):
            value = IN_KIND.get((kind, key)) or shape(fmt, "KEYS", key, used)
            put(out, "    %skey-%s => %s," % ("? " if optional else "", spelled(key), value), remark)
        out += ["    more", "}", ""]
    for table, name, required in MAPS:
        put(out, name + " = {")
        for key, (number, _, about) in fmt.tables[table].items():
            value = shape(fmt, table, key, used)
            if (name, key) == ("entry", "STATE"):
                value = "path-state"
            put(out, "    %s%d => %s," % ("" if key in required else "? ", number, value),
                spelled(key) + (": " + about if about else ""))
        out += ["    more", "}", ""]
    notes = {name: number for name, (number, _) in fmt.notes.items()}
    for name, values in list(fmt.enums.items()) + [("remark", notes)]:
        put(out, "%s = &(%s)" % (name, ", ".join("%s-%s: %d" % (name, spelled(n), v)
                                                 for n, v in values.items())))
    out.append("")
    for key, (number, _, about) in fmt.tables["KEYS"].items():
        put(out, "key-%s = %d" % (spelled(key), number), about)
    stale = set(SHAPES) - used - {("KEYS", k) for _, k in IN_KIND}
    if stale:
        raise SchemaError("no longer used, take it out of SHAPES: %s" % sorted(stale))
    return "\n".join(out) + "\n"


def load():
    return Format(HEADER.read_text())


def page_with(text):
    """The manual page, with the schema between its two marks, as roff wants it."""
    roff = text.replace("\\", "\\e").replace("-", "\\-")
    roff = "\n".join("\\&" + line if line.startswith((".", "'")) else line
                     for line in roff.splitlines())
    begin, end = '.\\" cddl: begin\n', '.\\" cddl: end\n'
    head, rest = PAGE.read_text().split(begin)
    return head + begin + roff + "\n" + end + rest.split(end)[1]


def main(argv):
    if argv not in ([], ["--check"]):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        text = cddl(load())
    except SchemaError as error:
        print("gen-schema: %s" % error, file=sys.stderr)
        return 1
    for path, wanted in ((OUTPUT, text), (PAGE, page_with(text))):
        if path.exists() and path.read_text() == wanted:
            continue
        if argv:
            print("gen-schema: %s is not what trace_format.h says: run scripts/gen-schema.py" %
                  path.relative_to(TOP), file=sys.stderr)
            return 1
        path.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
