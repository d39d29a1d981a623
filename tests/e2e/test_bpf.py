# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel records (run --bpf, attach --backend=bpf), beside what the preloaded recorder does."""
import os
import shutil
import signal
import stat
import subprocess

import pytest

import harness
from bpf_cases import PATIENCE, Server, SERVER, attach, bpf, kinds, record  # noqa: F401
from harness import finding_of

LARGE = "import pandas, scipy.stats, matplotlib"


# ---- one failure, three ways -------------------------------------------------------------------------

WAYS = {"preload": (), "probe": ("--bpf", "--no-preload"), "both": ("--bpf",)}


def three_ways(lab, python, program, env=None):
    """The same program under each: way -> (exit status of run, report, trace). Each does as bare."""
    bare = lab.bare([python.path, "-c", program], env)
    told = {}
    for way, options in WAYS.items():
        run = record(lab, [python.path, "-c", program], *options, env=env)
        harness.same(bare, run)
        told[way] = (lab.analyze(run.trace)[1], run.trace)
    return told


def agree(told, module, cause, outcome="fatal"):
    for way, (report, _) in told.items():
        finding = finding_of(report, module)
        assert (finding["cause"], finding["outcome"]) == (cause, outcome), (way, finding)
        assert report["complete"], (way, report["notes"])
    return told["probe"][0]


def test_not_installed(bpf, python):
    told = three_ways(bpf, python, "import surely_absent_17")
    report = agree(told, "surely_absent_17", "not-installed")
    finding = finding_of(report, "surely_absent_17")
    assert finding["error"] == {"type": "ModuleNotFoundError", "message": "No module named 'surely_absent_17'"}
    # The directories are those that the recorder saw its finder search, as far as they are directories.
    by_preload = finding_of(told["preload"][0], "surely_absent_17")
    wanted = [entry["entry"] or str(bpf.dir) for entry in by_preload["searched"]
              if os.path.isdir(entry["entry"] or str(bpf.dir))]
    assert [entry["entry"] for entry in finding["searched"]] == wanted
    # The interpreter's version was read in its file, or in its name.
    said = report["processes"][0]["python"]
    assert said["version"].split(".")[:2] == [str(n) for n in python.version[:2]]
    assert said["extension_suffixes"][0] == python.suffix
    assert report["processes"][0]["exit"] == {"code": 1, "signal": None}
    assert report["processes"][0]["argv"] == [python.path, "-c", "import surely_absent_17"]


def test_submodule_not_there(bpf, python):
    bpf.module("pkg_17/__init__", "import json\n")
    agree(three_ways(bpf, python, "import pkg_17.absent_17"), "pkg_17.absent_17", "not-installed")


def test_abi_tag(bpf, python):
    for name in ("native_17", "pkg_17/inner_17"):
        bpf.write(bpf.site / (name + ".cpython-32-x86_64-linux-gnu.so"), b"\x7fELF\x02\x01\x01")
    bpf.module("pkg_17/__init__", "from . import inner_17\n")
    agree(three_ways(bpf, python, "import native_17"), "native_17", "abi-tag-mismatch")
    agree(three_ways(bpf, python, "import pkg_17"), "pkg_17.inner_17", "abi-tag-mismatch")


def test_handled(bpf, python):
    bpf.write(bpf.site / "native_17.cpython-32-x86_64-linux-gnu.so", b"\x7fELF\x02\x01\x01")
    told = three_ways(bpf, python, "try:\n import native_17\nexcept ImportError:\n print('went on')")
    agree(told, "native_17", "abi-tag-mismatch", "handled")


def told_of(events):
    """What an import was asked for, and what nobody caught: by name, as each way tells it."""
    names = [e["text"] for e in kinds(events, "import_begin") if not e["text"].isascii()]
    uncaught = {(e["exception"]["type"], e["exception"].get("message")) for e in kinds(events, "uncaught")}
    return names, uncaught


def test_names_that_are_not_ascii(bpf, python):
    """CPython keeps characters in 1, 2 or 4 bytes each; the kernel reads them as they lie there."""
    long = "п" * 61 + "." + "м" * 59  # more than fits into a small event
    for name in ("größe_17", "модуль_17", "𠀀_17", long.split(".")[0] + "/__init__",
                 long.replace(".", "/")):
        bpf.module(name)
    bpf.module("затем_17", "import нигде_17\n")
    texts = ["plain", "größe", "ключ größe", "𠀀 ключ", "ж" * 1023]
    program = """
import os
import größe_17, модуль_17, 𠀀_17, %s
for text in %s:
    child = os.fork()
    if not child:
        raise ImportError(text)
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 1
import затем_17
""" % (long, ascii(texts))
    told = three_ways(bpf, python, program)
    finding = finding_of(agree(told, "нигде_17", "not-installed"), "нигде_17")
    assert finding["error"]["message"] == "No module named 'нигде_17'"
    names, uncaught = told_of(bpf.dump(told["preload"][1]))
    assert len(names) >= 6 and uncaught == {("ImportError", text) for text in texts} | {
        ("ModuleNotFoundError", finding["error"]["message"])}
    by_probe = told_of(bpf.dump(told["probe"][1]))
    assert by_probe[1] == uncaught
    assert by_probe[0] == names


def extension(lab, python, name, *flags, source="PyMODINIT_FUNC PyInit_%s(void) { return NULL; }"):
    if not python.has_headers:
        pytest.skip("no Python.h of " + python.id)
    path = lab.site / (name + python.suffix)
    text = "#include <Python.h>\n" + (source % name if "%s" in source else source)
    done = subprocess.run([harness.need("gcc"), "-shared", "-fPIC", "-I", python.include, "-xc", "-", "-xnone", "-o", str(path),
                           *map(str, flags)], input=text.encode())
    assert done.returncode == 0
    return path


def missing_library(lab, python):
    """An extension module whose library is not there (any more)."""
    gone = lab.dir / "libgone_17.so"
    subprocess.run([harness.need("gcc"), "-shared", "-fPIC", "-xc", "-", "-Wl,-soname,libgone_17.so", "-o", str(gone)],
                   input=b"int gone_17(void) { return 17; }", check=True)
    path = extension(lab, python, "needy_17", gone, "-Wl,-rpath,/nowhere_17/lib",
                     source="int gone_17(void);\nPyMODINIT_FUNC PyInit_needy_17(void) { gone_17(); return NULL; }")
    gone.unlink()
    return path


def test_missing_library(bpf, python):
    missing_library(bpf, python)
    told = three_ways(bpf, python, "import needy_17")
    finding = finding_of(agree(told, "needy_17", "missing-shared-library"), "needy_17")
    assert finding["error"]["type"] == "ImportError"
    assert finding["error"]["message"].startswith("libgone_17.so: cannot open shared object file")
    # The paths are those that the kernel saw ld.so open, in their order.
    for way in ("probe", "both"):
        report, trace = told[way]
        library = finding_of(report, "needy_17")["library"]
        seen = [e["text"] for e in kinds(bpf.dump(trace), "kernel_file")
                if e["syscall"] in ("open", 1) and os.path.basename(e["text"]) == "libgone_17.so"]
        assert seen and seen[0].startswith("/nowhere_17/lib/"), seen
        assert [p["path"] for p in library["searched"]] == seen
        assert {p["result"] for p in library["searched"]} == {"absent"}
        assert any("by the kernel" in e["fact"] and e["source"] == "observed"
                   for e in finding_of(report, "needy_17")["evidence"])


def test_no_init_function(bpf, python):
    extension(bpf, python, "renamed_17", source="PyMODINIT_FUNC PyInit_other_17(void) { return NULL; }")
    agree(three_ways(bpf, python, "import renamed_17"), "renamed_17", "missing-init-function")


def test_undefined_symbol(bpf, python):
    extension(bpf, python, "undefined_17",
              source="void nobody_has_17(void);\nPyMODINIT_FUNC PyInit_undefined_17(void) { nobody_has_17(); return 0; }",)
    env = bpf.env(LD_BIND_NOW="1")
    agree(three_ways(bpf, python, "import undefined_17", env), "undefined_17", "undefined-symbol")


def test_results(bpf, debian):
    """What dlopen, dlmopen, dlsym and dlerror gave back, wherever in them the probe finds it."""
    program = """
import ctypes
call = {}
handle, text, flags = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
for name, args in (("dlopen", [text, flags]), ("dlmopen", [ctypes.c_long, text, flags]), ("dlsym", [handle, text]),
                   ("dlerror", [])):
    call[name] = ctypes.PyDLL(None)[name]
    call[name].restype = ctypes.c_void_p
    call[name].argtypes = args
print("begin", call["dlopen"](b"no begin_17", 2))
library = call["dlopen"](b"libz.so.1", 2)
print("dlopen", library)
print("dlmopen", call["dlmopen"](-1, b"libz.so.1", 2))
print("dlsym", call["dlsym"](library, b"zlibVersion"))
print("dlsym", call["dlsym"](library, b"nobody_has_17"))
print("dlerror", ctypes.string_at(call["dlerror"]()).decode())
print("dlopen", call["dlopen"](b"libgone_17.so", 2))
print("dlerror", ctypes.string_at(call["dlerror"]()).decode())
"""
    run = record(bpf, [debian.path, "-c", program], "--bpf", "--no-preload")
    assert run.returncode == 0, run.text
    given = [line.split(" ", 1) for line in run.stdout.decode().splitlines()]
    assert given.pop(0) == ["begin", "None"]
    events = kinds(bpf.dump(run.trace), "dlopen_enter", "dlopen_leave", "dlsym")
    begin = [e.get("text") for e in events].index("no begin_17")
    told = [e for e in events[begin + 2:] if e["kind"] != "dlopen_enter"]
    assert len(given) == 7 and given[1][1] != "None" and given[2][1] != "None"
    assert [("dlsym", e.get("address")) if e["kind"] == "dlsym" else ("dlopen", e.get("handle")) for e in told] == [
        (what.replace("dlmopen", "dlopen"), 0 if value == "None" else int(value))
        for what, value in given if what != "dlerror"]
    assert told[-1]["error"] == given[-1][1]


# ---- agreement on a large program --------------------------------------------------------------------


def loads(events):
    """The extension modules that were loaded, in order."""
    return [e["text"] for e in kinds(events, "dlopen_enter") if e.get("text", "").endswith(".so")]


def test_large_import(bpf, debian, capsys):
    if bpf.bare([debian.path, "-c", LARGE]).returncode != 0:
        pytest.skip("pandas, scipy and matplotlib are not installed for " + debian.path)
    env = bpf.env(MPLCONFIGDIR=str(bpf.home))
    traced = {way: bpf.dump(record(bpf, [debian.path, "-c", LARGE], *options, env=env).trace)
              for way, options in WAYS.items()}
    by_preload, by_probe = loads(traced["preload"]), loads(traced["probe"])
    with capsys.disabled():
        files = kinds(traced["probe"], "kernel_file")
        print("\nlarge import: %d extension loads by the preload, %d by the probe, %s; %d imports by the preload, "
              "%d by the probe; %d file system calls, %d of them failed" % (
                  len(by_preload), len(by_probe), "the same in the same order" if by_preload == by_probe else "DIFFERENT",
                  len(kinds(traced["preload"], "import_begin")), len(kinds(traced["probe"], "import_begin")),
                  len(files), sum(1 for e in files if "errno" in e)))
    assert len(by_preload) > 50
    assert by_probe == by_preload
    assert len(kinds(traced["probe"], "dlopen_leave")) == len(kinds(traced["probe"], "dlopen_enter"))
    # In both, the preload tells of the loads, and the kernel of the files.
    assert loads(traced["both"]) == by_preload
    opened = {e["text"] for e in kinds(traced["both"], "kernel_file") if "errno" not in e}
    assert set(by_preload) <= opened


# ---- processes ---------------------------------------------------------------------------------------


def test_fork_and_exec_are_followed(bpf, debian):
    program = bpf.write("parent.py", """
import os, subprocess, sys
pid = os.fork()
if not pid:
    try:
        import absent_in_fork_17
    except ImportError:
        os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
done = subprocess.run([sys.executable, "-c", "import absent_after_exec_17"], stderr=subprocess.DEVNULL)
assert done.returncode == 1
""")
    run = record(bpf, [debian.path, program], "--bpf", "--no-preload")
    assert run.returncode == 0, run.text
    report = bpf.analyze(run.trace, "--all")[1]
    forked, executed = finding_of(report, "absent_in_fork_17"), finding_of(report, "absent_after_exec_17")
    assert forked["outcome"] == "handled" and executed["outcome"] == "fatal"
    root = next(p for p in report["processes"] if p["argv"][1:] == [str(program)])
    others = {p["pid"]: p for p in report["processes"] if p["pid"] != root["pid"]}
    assert others[forked["pid"]]["ppid"] == root["pid"] and others[forked["pid"]]["exit"]["code"] == 3
    assert others[executed["pid"]]["argv"] == [debian.path, "-c", "import absent_after_exec_17"]
    assert others[executed["pid"]]["exit"] == {"code": 1, "signal": None}


def test_signal(bpf, debian):
    run = record(bpf, [debian.path, "-c", "import os; os.kill(os.getpid(), 9)"], "--bpf", "--no-preload")
    assert run.returncode == 128 + signal.SIGKILL
    report = bpf.analyze(run.trace)[1]
    assert report["processes"][0]["exit"] == {"code": None, "signal": signal.SIGKILL}


def test_opens_outside_of_imports(bpf, debian):
    mark = bpf.write("mark_17.txt", "x")
    program = "import json; open(%r).read()" % str(mark)
    for options, wanted in ((("--no-preload",), False), (("--no-preload", "--all-opens"), True), (("--all-opens",), True)):
        run = record(bpf, [debian.path, "-c", program], "--bpf", *options)
        assert run.returncode == 0, run.text
        seen = [e for e in kinds(bpf.dump(run.trace), "kernel_file") if e["text"] == str(mark)]
        assert bool(seen) == wanted, (options, seen)


def test_lost_events_are_told(bpf, debian):
    env = bpf.env(IMPTRACE_BPF_RING="4096")
    run = record(bpf, [debian.path, "-c", "import json, email.mime.text, xml.dom.minidom, unittest.mock"],
                 "--bpf", "--no-preload", env=env)
    assert run.returncode == 0, run.text
    report = bpf.analyze(run.trace)[1]
    assert not report["complete"]
    assert any("lost" in note for note in report["notes"]), report["notes"]


def test_program_that_is_not_there(bpf):
    run = bpf.command("run", "--bpf", "--no-preload", "-o", bpf.new_trace(), "--", "no-such-program-17")
    assert run.returncode == 127
    assert "no-such-program-17: no such command" in run.text


def test_trace_on_standard_output(bpf, debian):
    run = bpf.command("run", "--bpf", "--no-preload", "-o", "-", "--", debian.path, "-c", "import surely_absent_17")
    assert run.returncode == 1
    trace = bpf.new_trace()
    trace.write_bytes(run.stdout)
    assert finding_of(bpf.analyze(trace)[1], "surely_absent_17")["cause"] == "not-installed"


# ---- privileges --------------------------------------------------------------------------------------


@pytest.mark.needs_root
@pytest.mark.parametrize("how", ["user", "sudo"])
@pytest.mark.parametrize("alone", [True, False])
def test_the_program_loses_the_privilege(public_lab, how, alone, debian):
    lab = public_lab
    check = lab.command("run", "--bpf", "--no-preload", "-o", lab.new_trace(), "--", "/bin/true")
    if check.returncode == 125:
        pytest.skip(check.text.strip().splitlines()[-1])
    program = "import os; print(os.getresuid(), os.getresgid(), os.getgroups()); import surely_absent_17"
    env, options = lab.env(), ["--bpf"] + (["--no-preload"] if alone else [])
    if how == "user":
        options.append("--user=nobody")
    else:
        env.update(SUDO_UID="65534", SUDO_GID="65534")
    # The build tree may lie where nobody can go: what is preloaded comes from a copy.
    if not alone:
        copy = lab.root / "bin"
        copy.mkdir()
        for name in ("imptrace", "libimptrace.so"):
            shutil.copy(lab.build.dir / name, copy / name)
        for path in (copy, copy / "imptrace", copy / "libimptrace.so"):
            path.chmod(0o755)
        lab.build = harness.Build(copy)
    trace = lab.dir / "dropped.zst"
    run = lab.command("run", *options, "-o", trace, "--", debian.path, "-c", program, env=env)
    assert run.returncode == 1, run.text
    assert run.stdout.decode().splitlines()[0].startswith("(65534, 65534, 65534) (65534, 65534, 65534)")
    assert finding_of(lab.analyze(trace)[1], "surely_absent_17")["cause"] == "not-installed"
    status = trace.stat()
    assert status.st_uid == 65534 and stat.S_IMODE(status.st_mode) == 0o600


def test_no_such_user(bpf):
    run = bpf.command("run", "--bpf", "--user=nobody-of-that-name-17", "--", "/bin/true")
    assert run.returncode == 125 and "there is no user 'nobody-of-that-name-17'" in run.text


@pytest.mark.needs_root
def test_without_privilege_it_says_what_is_missing(public_lab):
    lab = public_lab
    if lab.command("run", "--bpf", "--no-preload", "-o", lab.new_trace(), "--", "/bin/true").returncode == 125:
        pytest.skip("cannot record through the kernel at all")
    copy = lab.root / "imptrace"
    shutil.copy(lab.build.command, copy)
    copy.chmod(0o755)
    for arguments, status in ((["run", "--bpf", "--no-preload", "/bin/true"], 125),
                              (["attach", "--backend=bpf", str(os.getpid())], 3)):
        done = subprocess.run([str(copy), *arguments], user=65534, group=65534, cwd=lab.dir, env=lab.env(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        text = done.stderr.decode()
        assert done.returncode == status, text
        assert len(text.strip().splitlines()) == 1 and "CAP_BPF" in text, text


# ---- attach ------------------------------------------------------------------------------------------

def test_attach(bpf, python):
    needy = missing_library(bpf, python)
    server = Server(bpf, python.path)
    try:
        for turn in range(2):
            trace = bpf.new_trace()
            tracer = attach(bpf, server.process.pid, trace)
            assert server.load("surely_absent_17") == "ModuleNotFoundError No module named 'surely_absent_17'"
            assert server.load("json.surely_absent_17").startswith("ModuleNotFoundError")
            assert server.load("needy_17").startswith("ImportError libgone_17.so: cannot open")
            assert server.load("decimal") == "ok"
            tracer.send_signal(signal.SIGINT)
            text = tracer.stderr.read()
            assert tracer.wait(PATIENCE) == 0, text
            tracer.stderr.close()
            report = bpf.analyze(trace, "--all")[1]
            assert report["complete"], report["notes"]
            for name, cause in (("surely_absent_17", "not-installed"), ("json.surely_absent_17", "not-installed"),
                                ("needy_17", "missing-shared-library")):
                finding = finding_of(report, name)
                assert (finding["cause"], finding["outcome"]) == (cause, "handled"), (turn, finding)
            assert finding_of(report, "needy_17")["path"] == str(needy)
            process = report["processes"][0]
            assert process["pid"] == server.process.pid and process["python"]["version"].startswith(python.minor)
    finally:
        assert server.end() == 0


def test_attach_until_the_process_ends(bpf, debian):
    server = Server(bpf, debian.path)
    trace = bpf.new_trace()
    tracer = attach(bpf, server.process.pid, trace)
    assert server.load("surely_absent_17").startswith("ModuleNotFoundError")
    assert server.end() == 0
    text = tracer.stderr.read()
    assert tracer.wait(PATIENCE) == 0, text
    tracer.stderr.close()
    report = bpf.analyze(trace, "--all")[1]
    assert finding_of(report, "surely_absent_17")["cause"] == "not-installed"
    assert report["processes"][0]["exit"]["code"] == 0


def test_attach_for_a_while_in_another_mount_namespace(bpf, debian):
    """Its C library and its Python are found through /proc/PID/root."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    unshare = harness.need("unshare")
    root = bpf.dir / "hidden_17"
    (root / "site").mkdir(parents=True)
    shutil.copy(debian.path, root / "python3-of-its-own")
    script = bpf.write("inside.sh", """#!/bin/sh
set -e
mount -t tmpfs tmpfs %(site)s
cp %(python)s %(site)s/python3.own
exec %(site)s/python3.own -c "$1"
""" % {"site": root / "site", "python": root / "python3-of-its-own"}, mode=0o755)
    process = subprocess.Popen([unshare, "--mount", str(script), SERVER], env=bpf.env(), cwd=bpf.dir, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if process.stdout.readline() != "ready\n":
        why = process.stderr.read()
        process.wait(PATIENCE)
        pytest.skip("no mount namespace can be made: " + why.strip())
    server = Server.__new__(Server)
    server.process = process
    try:
        trace = bpf.new_trace()
        tracer = attach(bpf, process.pid, trace, "--duration=3600")
        assert not (root / "site" / "python3.own").exists()
        assert server.load("surely_absent_17").startswith("ModuleNotFoundError")
        tracer.send_signal(signal.SIGTERM)
        text = tracer.stderr.read()
        assert tracer.wait(PATIENCE) == 0, text
        tracer.stderr.close()
        names = [e["text"] for e in kinds(bpf.dump(trace), "import_begin")]
        assert "surely_absent_17" in names
    finally:
        server.end()
        process.stderr.close()


def test_attach_to_nobody(bpf):
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    run = bpf.command("attach", str(gone.pid), "--backend=bpf")
    assert run.returncode == 3 and "no process %d" % gone.pid in run.text


# ---- without it --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def build_without(tmp_path_factory):
    """make BPF=0"""
    make = harness.need("make")
    out = tmp_path_factory.mktemp("no-bpf") / "build"
    done = subprocess.run([make, "-C", str(harness.REPO), "O=" + str(out), "BPF=0", "DEPS=0", "-j2", "CFLAGS=-O0",
                           "all"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    return harness.Build(out)


def test_build_without_bpf(lab, build_without, debian):
    lab.build = build_without
    for arguments, status in ((["run", "--bpf", "/bin/true"], 125),
                              (["attach", "--backend=bpf", str(os.getpid())], 3)):
        run = lab.command(*arguments)
        assert run.returncode == status, run.text
        assert len(run.text.strip().splitlines()) == 1 and "BPF=0" in run.text, run.text
    # The rest works.
    run = record(lab, [debian.path, "-c", "import surely_absent_17"])
    assert run.returncode == 1
    assert finding_of(lab.analyze(run.trace)[1], "surely_absent_17")["cause"] == "not-installed"
    needed = subprocess.run(["readelf", "-d", str(build_without.command)], stdout=subprocess.PIPE, text=True).stdout
    assert "libbpf" not in needed and "capstone" not in needed


def test_options_that_need_it(lab):
    for options in (["--no-preload"], ["--all-opens"]):
        run = lab.command("run", *options, "--", "/bin/true")
        assert run.returncode == 125 and "goes with --bpf" in run.text
    run = lab.command("run", "--bpf", "--no-preload", "--audit", "--", "/bin/true")
    assert run.returncode == 125 and "--no-preload" in run.text
