# SPDX-License-Identifier: GPL-2.0-or-later
"""A test suite run bare and traced, in parts, and its results compared case by case.

For check-cpython and check-suites. A part is one command that leaves results in JUnit's XML. It is run once
bare and once traced; where a case ends otherwise, it is run twice more in both ways. A case that ends in more than
one way in the three bare runs is flaky without us, and named so; any other difference is ours, and fails.
"""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("IMPTRACE_BUILD", TOP / "build")).resolve()
PYTHON = os.environ.get("IMPTRACE_PYTHON", "/usr/bin/python3")
PASSED_ON = ("IMPTRACE_STACKS", "IMPTRACE_DLSYM", "IMPTRACE_LEVEL")
AGAIN = 2				# more runs of each kind where the first two differ
WHOLE = "(the run itself)"		# a case of every part: how its command ended
ADDRESS = re.compile(r"0x[0-9a-f]{5,}")


class Part:
    """@argv: the command, in which {xml} is where the results go; @python_path: for its environment; @here: what
    it is to find in its working directory."""

    def __init__(self, name, argv, limit, python_path=None, whole=None, here=()):
        self.name, self.argv, self.limit, self.python_path, self.here = name, argv, limit, python_path, here
        self.whole = whole or (lambda status, log: "status %d" % status)


def read_cases(xml):
    """Every case with how often it ended how (a name may occur twice), and the reasons of those skipped."""
    cases, reasons = collections.defaultdict(collections.Counter), collections.Counter()
    for case in ET.parse(xml).iter("testcase"):
        found = {child.tag: child for child in case}
        end = next((tag for tag in ("error", "failure", "skipped") if tag in found), None)
        if end is None:
            end = case.get("outcome") or ("ok" if case.get("status", "run") == "run" else case.get("status"))
        # pytest tells the class apart from the name; regrtest does not know of one.
        name = "::".join(filter(None, (case.get("classname"), case.get("name"))))
        cases[ADDRESS.sub("0x", name)][end] += 1
        if end == "skipped":
            reasons[(found[end].get("message") or found[end].text or "no reason").strip().split("\n")[0][:90]] += 1
    return cases, reasons


def end_group(child):
    """What a test has left running in the session of its own goes with it."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(part, work, traced):
    """One run. Returns cases and reasons; a run that left no results has one case, WHOLE."""
    shutil.rmtree(work, ignore_errors=True)
    for place in ("home", "tmp", "cwd"):
        (work / place).mkdir(parents=True)
    for path in part.here:
        (work / "cwd" / path.name).symlink_to(path)
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "HOME": str(work / "home"),
           "TMPDIR": str(work / "tmp"), "OPENBLAS_NUM_THREADS": "1"}
    if part.python_path:
        env["PYTHONPATH"] = str(part.python_path)
    if traced:
        env.update(LD_PRELOAD=str(BUILD / "libimptrace.so"), IMPTRACE_OUTPUT=str(work / "trace.zst"))
        env.update((name, os.environ[name]) for name in PASSED_ON if name in os.environ)
    xml, log = work / "results.xml", work / "log"
    argv = [str(arg).replace("{xml}", str(xml)) for arg in part.argv]
    with open(log, "wb") as out:
        child = subprocess.Popen(argv, cwd=work / "cwd", env=env, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = child.wait(part.limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            end_group(child)
            child.wait()
    try:
        cases, reasons = read_cases(xml)
    except (OSError, ET.ParseError):
        cases, reasons = collections.defaultdict(collections.Counter), collections.Counter()
    if status is None:
        cases[WHOLE]["not done after %d s" % part.limit] += 1
    else:
        cases[WHOLE][part.whole(status, log.read_text(errors="replace"))] += 1
    if traced:
        complaint = check_trace(work / "trace.zst")
        if complaint:
            cases["(the trace)"][complaint] += 1
    return cases, reasons


def check_trace(trace):
    """None, or what is wrong with it."""
    if not trace.exists() or not trace.stat().st_size:
        return "there is no trace"
    if subprocess.run(["zstd", "-tq", trace], stderr=subprocess.DEVNULL).returncode:
        return "not a valid zstd file"
    run = subprocess.run([BUILD / "imptrace", "analyze", "--no-host", "--format=json", trace], timeout=600,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if run.returncode not in (0, 1):
        return "analyze ended with %d: %s" % (run.returncode, run.stderr.decode(errors="replace")[:200])
    lost = [note for note in json.loads(run.stdout)["notes"] if " lost " in note]
    return "; ".join(lost) or None


def counted(counter):
    return ", ".join("%s%s" % (end, " x%d" % n if n > 1 else "") for end, n in sorted(counter.items())) or "absent"


def compare(part, work):
    """A part's row: what was the same, what is flaky, what differs."""
    start = time.monotonic()
    bare, traced = [run(part, work / "bare", False)], [run(part, work / "traced", True)]
    row = {"part": part.name, "reasons": dict(bare[0][1]), "ends": {}, "flaky": {}, "differs": {}}
    row["whole"] = counted(bare[0][0][WHOLE])
    if bare[0][0] != traced[0][0]:
        keep = work / "differs" / re.sub(r"[^A-Za-z0-9_.-]+", "_", part.name)
        shutil.rmtree(keep, ignore_errors=True)
        keep.mkdir(parents=True)
        for arm in ("bare", "traced"):
            for name in ("log", "results.xml", "trace.zst"):
                if (work / arm / name).exists():
                    shutil.copy(work / arm / name, keep / ("%s-%s" % (arm, name)))
        for _ in range(AGAIN):
            bare.append(run(part, work / "bare", False))
            traced.append(run(part, work / "traced", True))
    ends = collections.Counter()
    for name in set().union(*(cases for cases, _ in bare + traced)):
        without = [cases[name] for cases, _ in bare]
        within = [cases[name] for cases, _ in traced]
        if all(one == without[0] for one in without + within):
            if name not in (WHOLE, "(the trace)"):
                for end, n in without[0].items():
                    ends[end] += n
            continue
        text = "bare %s; traced %s" % (" | ".join(map(counted, without)), " | ".join(map(counted, within)))
        steady = all(one == without[0] for one in without)
        row["differs" if steady else "flaky"][name] = text
    row["ends"] = dict(ends)
    row["seconds"] = round(time.monotonic() - start, 1)
    return row


def work_through(parts, work, limit, resume):
    """Compares each of @parts and prints the tally; @limit in seconds, 0 for none. Returns the exit status."""
    # Ignored in what a shell puts in the background, and inherited: tests that interrupt would fail.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    work.mkdir(parents=True, exist_ok=True)
    record = work / "rows.jsonl"
    done = {}
    if resume and record.exists():
        done = {row["part"]: row for row in map(json.loads, record.read_text().splitlines())}
    else:
        record.write_text("")
    start, rows, left = time.monotonic(), [], []
    for number, part in enumerate(parts, 1):
        if part.name in done:
            rows.append(done[part.name])
            continue
        if limit and time.monotonic() - start > limit:
            left.append(part.name)
            continue
        row = compare(part, work)
        rows.append(row)
        with open(record, "a") as out:
            out.write(json.dumps(row) + "\n")
        print("[%d/%d] %-28s %6.1f s  %s  (%s)" % (number, len(parts), part.name, row["seconds"],
                                                  counted(row["ends"]), row["whole"]), flush=True)
        for what in ("flaky", "differs"):
            for name, text in sorted(row[what].items()):
                print("  %s %s: %s" % ({"flaky": "flaky bare", "differs": "DIFFERS"}[what], name, text), flush=True)
    return tally(rows, left)


def tally(rows, left):
    ends, reasons, flaky, differs = collections.Counter(), collections.Counter(), 0, 0
    for row in rows:
        ends.update(row["ends"])
        reasons.update({key: n for key, n in row["reasons"].items() if n})
        flaky += len(row["flaky"])
        differs += len(row["differs"])
    print("\n== what ended the same, bare and traced: %s" % counted(ends))
    for reason, n in reasons.most_common(20):
        print("   skipped %5d: %s" % (n, reason))
    if len(reasons) > 20:
        print("   skipped %5d: for other reasons" % sum(n for _, n in reasons.most_common()[20:]))
    for title, what in (("flaky bare", "flaky"), ("DIFFERS", "differs")):
        for row in rows:
            for name, text in sorted(row[what].items()):
                print("%s: %s: %s: %s" % (title, row["part"], name, text))
    if left:
        print("not run, the time was up: %d of %d: %s" % (len(left), len(left) + len(rows), " ".join(left)))
    skipped = ends.pop("skipped", 0)
    same = sum(ends.values())
    if not same:
        print("no case ran")
    print("%d of %d parts; %d cases are flaky bare" % (len(rows), len(rows) + len(left), flaky))
    # A case that ends the same passes, also one that fails bare.
    print("\n%d passed, %d failed, %d skipped" % (same, differs, skipped))
    return int(bool(differs) or not same)


def add_options(parser):
    parser.add_argument("--time", type=int, default=int(os.environ.get("SUITE_TIME", 0)), metavar="SECONDS",
                        help="begin no other part after so long (0: no limit)")
    parser.add_argument("--resume", action="store_true", help="go on where an earlier run was ended")


def needs_build():
    for name in ("libimptrace.so", "imptrace"):
        if not (BUILD / name).exists():
            sys.exit("%s: %s is not built" % (pathlib.Path(sys.argv[0]).name, BUILD / name))
