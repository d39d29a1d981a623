# SPDX-License-Identifier: GPL-2.0-or-later
"""`imptrace run --audit`: what ld.so itself tells of each path that it tried, and what the report makes of it."""
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

pytest.register_assert_rewrite("ld_agreement")
import harness  # noqa: E402
import interpreters  # noqa: E402
import ld_agreement  # noqa: E402
import shapes  # noqa: E402
from loader_cases import built_library, cdll, check_tried, extension, library, rpath, runpath  # noqa: E402
from verdict import facts  # noqa: E402

pytestmark = pytest.mark.skipif(not os.path.exists("/lib64/ld-linux-x86-64.so.2"), reason="no glibc for x86-64")
GONE = "libdep19.so.1"


@pytest.fixture(scope="module")
def pair(tmp_path_factory, build):
    return ld_agreement.Pair(tmp_path_factory.mktemp("pair"), build.dir)


@pytest.fixture(scope="module")
def audit(build):
    path = build.dir / "libimptrace-audit.so"
    assert path.exists(), "not built: %s" % path
    return path


def searches(events):
    return [e for e in events if e["kind"] in ("search_path", "search_open")]


def run_audit(lab, argv, *, env=None, cwd=None, options=(), status=None, stdin=b""):
    """`imptrace run --audit`, which must behave as the bare program does; returns (Run, trace)."""
    argv = [str(a) for a in argv]
    env = lab.env() if env is None else env
    bare = lab.bare(argv, env, cwd=cwd, stdin=stdin)
    trace = lab.new_trace()
    run = lab.command("run", "--audit", "-o", trace, *options, "--", *argv, env=env, cwd=cwd, stdin=stdin)
    wanted = bare.returncode if bare.returncode >= 0 else 128 - bare.returncode
    assert run.returncode == wanted, run.text
    assert status is None or run.returncode == status
    assert harness.normalise(run.stdout) == harness.normalise(bare.stdout)
    assert harness.normalise(run.stderr) == harness.normalise(bare.stderr)
    return run, trace


# -- the object -----------------------------------------------------------------------------
def test_it_needs_nothing(audit):
    """A libc of its own would teach ld.so which directories do not exist, and change what is searched."""
    dynamic = subprocess.check_output(["readelf", "-dW", str(audit)], text=True)
    assert "NEEDED" not in dynamic and "INIT" not in dynamic and "TEXTREL" not in dynamic
    assert "[libimptrace-audit.so]" in dynamic
    names = subprocess.check_output(["nm", "-D", str(audit)], text=True).split("\n")
    assert sorted(n.split(maxsplit=1)[1] for n in names if n) == ["T la_objopen", "T la_objsearch", "T la_version"]
    segments = subprocess.check_output(["readelf", "-lW", str(audit)], text=True)
    assert " TLS " not in segments and not re.search("GNU_STACK .*RWE", segments)


# -- observed is derived --------------------------------------------------------------------
def read_trace(events, commands):
    """Blocks as ld_agreement's, of a trace of the opener: the program's start, then each of its dlopens."""
    origins = {"name": "direct"}
    block = ld_agreement.Block("= start")
    block.ended = True
    blocks, depth, pid = [block], 0, None
    ended = {e["pid"] for e in events if e["kind"] == "process_end"}
    for e in events:
        if e["pid"] != pid:
            pid, depth = e["pid"], 0  # a child that may have died within its dlopen
        if e["kind"] == "dlopen_enter":
            depth += 1
            if depth == 1:
                block = ld_agreement.Block("= " + commands[len(blocks) - 1])
                block.ended = pid in ended
                blocks.append(block)
        elif e["kind"] == "dlopen_leave":
            depth -= 1
            if depth == 0:
                block.error = e.get("error")
        elif depth > 1:
            continue  # of a constructor
        elif e["kind"] == "search_open":
            block.events.append(("map", e["text"]))
        elif e["kind"] == "search_path":
            if e["flags"] != "name" or "/" in e["text"]:
                block.events.append((origins.get(e["flags"], e["flags"]), e["text"]))
    return blocks


def agree(lab, pair, commands, program=None, library_path=None, cwd=None, fork=False):
    """Runs the commands under --audit; asserts that what was seen is what is derived. Returns the events' number.

    @fork: each in a child of its own, since some objects end their process, or change it."""
    log = lab.write("log")
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(lab.home), "LD_SEARCH_LOG": str(log)}
    if library_path is not None:
        env["LD_LIBRARY_PATH"] = library_path
    trace = lab.new_trace()
    run = lab.command("run", "--audit", "-o", trace, "--", program or pair.opener, env=env, cwd=cwd,
                      stdin="\n".join((["fork"] if fork else []) + commands).encode())
    assert run.returncode == 0, run.text
    seen = read_trace(lab.dump(trace), commands)
    if fork:
        commands = [word for line in commands for word in ("reset", line)]
    derived = [b for b in pair.derived(commands, program=program, library_path=library_path, cwd=cwd)
               if b.command != "= reset"]
    assert [b.command for b in seen] == [b.command for b in derived]
    # What a process that was killed had not written is lost (an object's constructor may do that).
    whole = [(s, d) for s, d in zip(seen, derived) if s.ended]
    assert len(whole) > 0.9 * len(seen)
    for s, d in whole:
        assert s.events == d.events, s.command
        if not (s.error and "undefined symbol" in s.error):
            assert s.error == d.error, s.command
    return sum(len(b.events) for b in seen)


def test_trees_agree(lab, pair):
    """Every rule: RPATH and RUNPATH with their inheritance, LD_LIBRARY_PATH, cache and default, hwcaps, dlmopen."""
    lib = lab.dir / "lib"
    needed = library(lib / "b", "libneeded19.so")
    middle = library(lib / "a", "libmiddle19.so", needed, flags=[rpath("$ORIGIN/none:$ORIGIN/../b")])
    top = library(lib, "libtop19.so", middle, flags=[runpath("$ORIGIN/none:$ORIGIN/a")])
    outer = library(lib, "libouter19.so", needed, flags=[rpath("$ORIGIN/b")])
    library(lib / "c" / "glibc-hwcaps" / "x86-64-v2", "libcap19.so")
    library(lib / "c", "libcap19.so")
    gone = library(lib, "libgone19.so", built_library(GONE), flags=[runpath("$ORIGIN/a")])
    commands = ["open %s" % top, "open libnone19.so", "open libcap19.so", "open libz.so.1", "open %s" % outer,
                "open lib/../lib/libtop19.so", "open %s/absent.so" % lib, "open %s" % gone, "open libnone19.so.1",
                "new %s" % outer, "new libm.so.6", "global libbz2.so.1.0"]
    assert agree(lab, pair, commands, cwd=lab.dir) > 40
    assert agree(lab, pair, commands, cwd=lab.dir, library_path="%s:lib/c::%s/b" % (lab.root / "none", lib)) > 60


def test_real_objects_agree(lab, pair):
    patterns = ["/usr/lib/x86_64-linux-gnu/*.so.*", "/usr/lib/python3*/lib-dynload/*.so",
                "/usr/lib/python3/dist-packages/**/*.so"]
    names = []
    for pattern in patterns:
        some = sorted({os.path.realpath(path) for path in glob.glob(pattern, recursive=True)})
        names += some[::max(1, len(some) // 40)]
    names = [n for n in dict.fromkeys(names) if open(n, "rb").read(4) == b"\x7fELF"]
    if len(names) < 30:
        pytest.skip("only %d shared objects on this machine" % len(names))
    # They end the process at once; jemalloc cannot be opened late.
    names = [n for n in names if not re.search("libasan|libtsan|libjemalloc", n)]
    assert agree(lab, pair, ["open " + n for n in names], fork=True) > len(names)


# -- the report -----------------------------------------------------------------------------
def nowhere(lab, debian):
    extension(debian, "native_19", lab.site, built_library(GONE), flags=[runpath("$ORIGIN/lib")])
    return shapes.script(lab, "import native_19"), None


def through_another(lab, debian):
    """The extension needs a library, which needs one that is gone."""
    middle = library(lab.site / "lib", "libmiddle19.so", built_library(GONE), flags=[rpath("$ORIGIN/x")])
    extension(debian, "native_19", lab.site, middle, flags=[rpath("$ORIGIN/lib")])
    return shapes.script(lab, "import native_19"), lab.env(LD_LIBRARY_PATH=str(lab.root / "none") + ":" + str(lab.home))


def older_one_first(lab, debian):
    extension(debian, "native_19", lab.site, built_library(GONE, ALSO="dep_new_17"), CALLS="dep_new_17",
              flags=[runpath("$ORIGIN/lib")])
    library(lab.site / "lib", GONE, ALSO="dep_new_17")
    return (shapes.script(lab, "import native_19"),
            lab.env(LD_LIBRARY_PATH=str(library(lab.root / "old", GONE).parent)))


def not_readable(lab, debian):
    """A file that is none: passed over without a word."""
    extension(debian, "native_19", lab.site, built_library(GONE), flags=[runpath("$ORIGIN/lib")])
    (lab.site / "lib" / GONE).mkdir(parents=True)
    return shapes.script(lab, "import native_19"), None


def opened_by_name(lab, debian):
    return cdll(GONE)(lab, "open"), lab.env(LD_LIBRARY_PATH=str(lab.home))


def opened_by_path(lab, debian):
    return cdll(lab.root / "none" / GONE)(lab, "open"), None


CASES = [nowhere, through_another, older_one_first, not_readable, opened_by_name, opened_by_path]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_report_is_the_derived_one(lab, debian, case):
    """The same list, whether derived or seen; and it says which it is."""
    program, env = case(lab, debian)
    argv = program.argv(debian)
    module = None if case in (opened_by_name, opened_by_path) else "native_19"
    plain = lab.new_trace()
    assert lab.command("run", "-o", plain, "--", *argv, env=env or lab.env()).returncode == 1
    _, trace = run_audit(lab, argv, env=env, status=1)
    found = [harness.finding_of(lab.analyze(t)[1], module) for t in (plain, trace)]
    assert [f["library"].pop("source") for f in found] == ["derived", "observed"]
    assert found[0]["library"] == found[1]["library"]
    assert [f["cause"] for f in found] == [found[0]["cause"]] * 2
    said = [{"fact": e["fact"], "source": e["source"]} for e in found[1]["evidence"] if "rtld-audit" in e["fact"]]
    assert said and said[0]["source"] == "observed" and found[1]["library"]["name"] in said[0]["fact"]
    assert not any("rtld-audit" in e["fact"] for e in found[0]["evidence"])
    assert "in this order (observed)" in " ".join(lab.analyze_text(trace).answer.split())
    assert "in this order (derived)" in " ".join(lab.analyze_text(plain).answer.split())


def test_missing_library_in_order(lab, debian):
    program, env = through_another(lab, debian)
    _, trace = run_audit(lab, program.argv(debian), env=env, status=1)
    finding = harness.finding_of(lab.analyze(trace)[1], "native_19")
    assert finding["cause"] == "missing-shared-library"
    assert (finding["library"]["name"], finding["library"]["source"]) == (GONE, "observed")
    assert finding["library"]["needed_by"] == str(lab.site / "lib" / "libmiddle19.so")
    check_tried(finding, [(lab.site / "lib" / "x" / GONE, "rpath", "absent"),
                          (lab.site / "lib" / GONE, "rpath", "absent"),
                          (lab.home / GONE, "ld_library_path", "absent"),
                          ("/usr/lib/x86_64-linux-gnu/" + GONE, "default", "absent")])
    tried = [e["text"] for e in lab.dump(trace) if e["kind"] == "search_path" and e["flags"] != "name"
             and e["text"].endswith("/" + GONE)]
    assert tried == [t["path"] for t in finding["library"]["searched"]]


def test_without_the_disk(lab, debian):
    """Where nothing can be looked up, derived paths are `skipped`; what was seen is known to be absent."""
    program, env = through_another(lab, debian)
    _, trace = run_audit(lab, program.argv(debian), env=env, status=1)
    with_disk = harness.finding_of(lab.analyze(trace)[1], "native_19")["library"]
    shutil.rmtree(lab.site)
    without = harness.finding_of(lab.analyze(trace, "--no-host")[1], "native_19")["library"]
    assert without["source"] == "observed"
    assert [(t["path"], t["result"]) for t in without["searched"]] == [
        (t["path"], t["result"]) for t in with_disk["searched"]]
    assert without["needed_by"] == with_disk["needed_by"]


def test_installed_meanwhile(lab, debian):
    """The library was put there after the run: what was seen then stays what is told."""
    program, env = nowhere(lab, debian)
    _, trace = run_audit(lab, program.argv(debian), env=env, status=1)
    placed = library(lab.site / "lib", GONE)
    finding = harness.finding_of(lab.analyze(trace)[1], "native_19")
    assert finding["cause"] == "missing-shared-library"
    check_tried(finding, [(placed, "runpath", "absent"), ("/usr/lib/x86_64-linux-gnu/" + GONE, "default", "absent")])


# -- the program's own ----------------------------------------------------------------------
def test_start_is_covered_and_we_are_not(lab, debian):
    _, trace = run_audit(lab, [debian.path, "-c", "import _ctypes, zlib"], status=0)
    events = lab.dump(trace)
    seen = searches(events)
    assert not any("imptrace" in e["text"] or "imptrace" in e.get("requester", "") for e in seen)
    first = events.index(next(e for e in events if e["kind"] == "dlopen_enter"))
    opened = [e["text"] for e in searches(events[:first]) if e["kind"] == "search_open"]
    assert any(os.path.basename(p) == "libc.so.6" for p in opened)
    needed = subprocess.check_output(["readelf", "-dW", debian.path], text=True)
    asked = [e["text"] for e in searches(events[:first]) if e.get("flags") == "name"]
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", needed):
        assert name in asked
    # What was opened is what is mapped.
    mapped = {e["text"] for e in events if e["kind"] == "object"}
    assert {e["text"] for e in seen if e["kind"] == "search_open"} <= mapped


def test_who_asked(lab, debian):
    program, env = through_another(lab, debian)
    _, trace = run_audit(lab, program.argv(debian), env=env, status=1)
    asked = {e["text"]: e.get("requester") for e in searches(lab.dump(trace)) if e.get("flags") == "name"}
    assert asked[GONE] == str(lab.site / "lib" / "libmiddle19.so")
    assert asked["libmiddle19.so"] == str(lab.site / ("native_19" + debian.suffix))


def test_without_the_option_nothing_changes(lab, debian):
    trace = lab.new_trace()
    run = lab.command("run", "-o", trace, "--", debian.path, "-c", "import os; print(os.environ.get('LD_AUDIT'))")
    assert run.stdout == b"None\n"
    assert not searches(lab.dump(trace))


# -- processes ------------------------------------------------------------------------------
def test_children_are_followed(lab, debian):
    code = ("import os, subprocess, sys\n"
            "subprocess.run([sys.executable, '-c', 'import zlib'], check=True)\n"
            "subprocess.run('/bin/true; exec %s -c pass' % sys.executable, shell=True, check=True)\n"
            "pid = os.fork()\n"
            "if not pid:\n"
            "    import _ctypes\n"
            "    os._exit(0)\n"
            "os.waitpid(pid, 0)\n"
            "os.execv(sys.executable, [sys.executable, '-c', 'import _ctypes'])\n")
    _, trace = run_audit(lab, [debian.path, "-c", code], status=0)
    images, of = {}, {}
    for e in lab.dump(trace):
        if e["kind"] == "process":
            images.setdefault(e["pid"], []).append(e["how"])
        elif e["kind"] == "search_open":
            of.setdefault(e["pid"], []).append(os.path.basename(e["text"]))
    assert len(images) >= 4 and set(of) == set(images)
    forked = [pid for pid, hows in images.items() if hows == ["fork"]]
    assert len(forked) == 1
    assert [n for n in of[forked[0]] if n.startswith("_ctypes.")], "a forked child goes on"
    assert sum(name.startswith("_ctypes.") for name in sum(of.values(), [])) == 2
    for pid, hows in images.items():
        assert of[pid].count("libc.so.6") == sum(how != "fork" for how in hows)


def test_follow_off(lab, debian):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import zlib'], check=True)"
    _, trace = run_audit(lab, [debian.path, "-c", code], env=lab.env(IMPTRACE_FOLLOW="0"), status=0)
    assert len({e["pid"] for e in searches(lab.dump(trace))}) == 1


def test_environment_was_emptied(lab, debian, audit):
    """LD_AUDIT without the recorder: the audit object has nobody to tell, and the program does not mind."""
    argv = [debian.path, "-c", "import _ctypes, sys; print(17); sys.exit(3)"]
    run = lab.bare(argv, lab.env(LD_AUDIT=str(audit)))
    assert (run.returncode, run.stdout, run.stderr) == (3, b"17\n", b"")
    assert not (lab.dir / "trace.zst").exists()


def test_nested(lab, build, audit):
    """An imptrace that runs an imptrace: one audit object, and a run of its own for each."""
    inner, outer = lab.root / "inner.zst", lab.root / "outer.zst"
    show = "import os; print(os.environ['LD_AUDIT'])"
    run = lab.command("run", "--audit", "-o", outer, "--", build.command, "run", "--audit", "-o", inner, "--",
                      sys.executable, "-c", show)
    assert (run.returncode, run.stdout.decode().strip()) == (0, str(audit)), run.text
    assert searches(lab.dump(inner)) and searches(lab.dump(outer))


def test_threads(lab):
    """Seven threads at once: each search has its own thread's paths, whole and in order."""
    program = interpreters.compile_c("audit/threads.c", "-pthread")
    _, trace = run_audit(lab, [program, "libsurely19"], status=0)
    under_way, lengths, names = {}, {}, set()
    for e in lab.dump(trace):
        if e["kind"] != "search_path" or "libsurely19" not in e["text"]:
            continue
        if e["flags"] == "name":
            assert e["text"] not in names
            names.add(e["text"])
            under_way[e["thread"]] = e["text"]
        else:
            assert e["text"].endswith("/" + under_way[e["thread"]])
            lengths[e["text"].rpartition("/")[2]] = lengths.get(e["text"].rpartition("/")[2], 0) + 1
    assert len(names) == 77 and set(lengths) == names
    # The first one looks into every subdirectory, and ld.so remembers those that are not there.
    assert len(set(sorted(lengths.values())[:-1])) == 1


# -- the user's own audit object --------------------------------------------------------------
def test_users_audit_object_stays_in_force(lab, pair, audit, debian):
    log = lab.write("log")
    env = lab.env(LD_AUDIT=str(pair.audit), LD_SEARCH_LOG=str(log))
    code = "import os, zlib; print(os.environ['LD_AUDIT'])"
    trace = lab.new_trace()
    run = lab.command("run", "--audit", "-o", trace, "--", debian.path, "-c", code, env=env)
    assert run.returncode == 0, run.text
    assert run.stdout.decode().strip() == "%s:%s" % (pair.audit, audit)
    # One log for imptrace, which is audited as well, and the program: what we saw is the end of it.
    theirs = re.findall(r"^search\t(?!1\t)\w+\t(.*)$", log.read_text(), re.M)
    ours = [e["text"] for e in searches(lab.dump(trace)) if e["kind"] == "search_path" and e["flags"] != "name"]
    assert ours and theirs[-len(ours):] == ours


def test_users_audit_object_redirects(lab, debian):
    """What is recorded is where the search then goes."""
    other = library(lab.root / "other", "libother19.so", source="missing-shared-library/dep.c")
    redirect = interpreters.compile_c("audit/redirect.c", "-shared", "-fPIC", "-nostdlib", '-DOLD_NAME="libwanted19.so"',
                                      '-DNEW_NAME="%s"' % other)
    argv = [debian.path, "-c", "import ctypes; print(ctypes.CDLL('libwanted19.so').dep_17 is not None)"]
    run, trace = run_audit(lab, argv, env=lab.env(LD_AUDIT=str(redirect)), status=0)
    assert run.stdout == b"True\n"
    seen = searches(lab.dump(trace))
    assert [e["text"] for e in seen if "19.so" in e["text"]] == [str(other), str(other)]


# -- the command ----------------------------------------------------------------------------
def test_exit_status(lab, debian):
    assert run_audit(lab, ["/bin/true"], status=0)[0].stderr == b""
    run_audit(lab, ["/bin/false"], status=1)
    run_audit(lab, [debian.path, "-c", "import sys; sys.exit(17)"], status=17)
    run_audit(lab, [debian.path, "-c", "import os; os.kill(os.getpid(), 9)"], status=137)
    trace = lab.new_trace()
    run_audit(lab, ["/bin/true"])
    assert lab.command("run", "--audit", "-o", trace, "--", "surely-absent-command-19").returncode == 127


def test_static_program(lab):
    """It has no ld.so: nothing is recorded, and it is not disturbed."""
    if not os.path.exists("/usr/lib/x86_64-linux-gnu/libc.a"):
        pytest.skip("no static libc")
    program = interpreters.compile_c("audit/threads.c", "-static", "-pthread", "-w")
    run = lab.command("run", "--audit", "--", program)
    assert run.returncode == 2 and b"statically linked" in run.stderr
    _, trace = run_audit(lab, ["/bin/sh", "-c", "%s; echo $?" % program], status=0)
    assert len({e["pid"] for e in searches(lab.dump(trace))}) == 1


@pytest.mark.needs_root
def test_raised_privileges(public_lab):
    """ld.so leaves LD_AUDIT out, as it does LD_PRELOAD: the same words, with the option and without."""
    program = public_lab.dir / "raised"
    shutil.copy(interpreters.compile_c("audit/threads.c", "-pthread"), program)
    os.chown(program, 65534, 65534)
    program.chmod(0o4755)
    runs = [public_lab.command("run", *option, "--", program) for option in ((), ("--audit",))]
    assert [(r.returncode, r.stdout, r.stderr) for r in runs] == [(2, b"", runs[0].stderr)] * 2


def test_audit_object_is_not_there(lab, build):
    """A build tree without it, and none that is installed: one sentence, and the program does not run."""
    if pathlib.Path("/usr/local/lib/libimptrace-audit.so").exists():
        pytest.skip("imptrace is installed on this machine")
    where = lab.root / "part"
    where.mkdir()
    for path in (build.command, build.preload):
        shutil.copy(path, where)
    done = lab.execute([where / "imptrace", "run", "--audit", "/bin/echo", "ran"], lab.env())
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"libimptrace-audit.so" in done.stderr and done.stderr.count(b"\n") == 1
    assert lab.execute([where / "imptrace", "run", "/bin/echo", "ran"], lab.env()).stdout == b"ran\n"


def test_dump_text(lab, debian):
    program, env = nowhere(lab, debian)
    _, trace = run_audit(lab, program.argv(debian), env=env, status=1)
    text = lab.command("dump", trace).stdout.decode()
    assert re.search(r"search_path +%s flags=name requester=\S*native_19" % re.escape(GONE), text)
    assert re.search(r"search_path +\S*/lib/%s flags=runpath" % re.escape(GONE), text)
    assert re.search(r"search_open +\S*native_19\S*\n", text)
    events = lab.dump(trace)
    assert not any("thread" in e for e in searches(events)), "all of it was in the main thread"


def test_whole_report_with_wrong_library(lab, debian):
    program, env = older_one_first(lab, debian)
    _, trace = run_audit(lab, program.argv(debian), env=env, status=1)
    finding = harness.finding_of(lab.analyze(trace)[1], "native_19")
    assert finding["cause"] == "wrong-library"
    old = lab.root / "old" / GONE
    check_tried(finding, [(old, "ld_library_path", "opened"), (lab.site / "lib" / GONE, "runpath", "skipped")])
    found = [e for e in finding["evidence"] if e["fact"].startswith("%s was found first" % old)]
    assert [e["source"] for e in found] == ["observed"], facts(finding)
