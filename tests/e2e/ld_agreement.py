# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the same dlopen calls under rtld-audit and through the analyzer, and compares what was searched."""
import os
import pathlib
import subprocess

REPO = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = REPO / "tests" / "fixtures" / "ld_search"

# la_objsearch's flags; it has one for DT_RPATH and DT_RUNPATH.
ORIGINS = {"1": "direct", "2": "ld_library_path", "4": "runpath", "8": "cache", "40": "default"}


class Block:
    """What one command did: the events in order, the failure's text, and what was only derived."""

    def __init__(self, command):
        self.command = command
        self.events = []
        self.error = None
        self.later = []
        self.skipped = []
        self.undefined = []
        self.versions = []
        self.results = []
        self.unknown = False

    def __repr__(self):
        return "\n".join([self.command, *map(str, self.events), "error: %s" % self.error])


def read_audit(text):
    """Blocks of the audit object's log: up to where the loader is done with finding files."""
    blocks, block, done = [], Block("= start"), False
    blocks.append(block)
    for line in text.split("\n"):
        kind, _, rest = line.partition("\t")
        if line.startswith("= "):
            block, done = Block(line), False
            blocks.append(block)
        elif kind == "error":
            block.error = rest
        elif kind == "activity":
            done = done or rest.strip() != "1"  # constructors run from here on, and may call dlopen
        elif done:
            continue
        elif kind == "map":
            path = rest.partition("\t")[2]
            if block.command != "= start" or path not in ("", "linux-vdso.so.1", "/lib64/ld-linux-x86-64.so.2"):
                block.events.append(("map", path))
        elif kind == "search":
            flag, _, name = rest.partition("\t")
            # LA_SER_ORIG is the name itself; with a slash it is the one path that is tried.
            if flag != "1" or "/" in name:
                block.events.append((ORIGINS[flag], name))
    return blocks


def read_derived(text):
    blocks, block = [], None
    for line in text.split("\n"):
        fields = line.split("\t")
        if line.startswith("= "):
            block = Block(line)
            blocks.append(block)
        elif not block:
            continue  # about the system
        elif fields[0] == "try":
            origin = "runpath" if fields[1] == "rpath" else fields[1]
            block.results.append((fields[1], fields[2], fields[3]))
            block.events.append((origin, fields[4] if origin == "direct" else fields[3]))
        elif fields[0] == "map":
            block.events.append(("map", fields[1]))
        elif fields[0] == "error" and block.error is None:
            block.error = "%s: %s" % (fields[1], fields[2])
        elif fields[0] == "later":
            block.later.append((fields[1], fields[2]))
        elif fields[0] == "skip":
            block.skipped.append(tuple(fields[1:4]))
        elif fields[0] == "undefined":
            block.undefined.append((fields[1], fields[2], fields[3]))
        elif fields[0] == "version":
            block.versions.append(tuple(fields[1:4]))
        elif fields[0] == "unknown":
            block.unknown = True
    for block in blocks:
        # dlmopen of a path: the loader has no object to report it for.
        if block.command.startswith("= new "):
            block.events = [event for event in block.events if event[0] != "direct"]
    return blocks


def compile_object(out, source, *flags):
    out.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-O1", "-D_GNU_SOURCE", "-o", str(out), str(source)]
    subprocess.run(command + [str(flag) for flag in flags], check=True)
    return out


class Pair:
    """The audit object, the program that calls dlopen, and the tool that derives the same."""

    def __init__(self, directory, build):
        self.dir = pathlib.Path(directory)
        self.tool = pathlib.Path(build) / "tests" / "tools" / "ld_list"
        assert self.tool.exists(), "not built: %s (make check-e2e builds it)" % self.tool
        self.audit = compile_object(self.dir / "audit.so", FIXTURES / "audit.c", "-shared", "-fPIC", "-nostdlib",
                                    "-ffreestanding", "-fno-stack-protector")
        self.opener = compile_object(self.dir / "opener", FIXTURES / "opener.c")

    def observed(self, commands, program=None, library_path=None, cwd=None, preload=()):
        log = self.dir / "audit.log"
        log.unlink(missing_ok=True)
        # No LANG, no PYTHON*: what constructors do is not looked at, but they should do little.
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(self.dir), "LD_AUDIT": str(self.audit),
               "LD_SEARCH_LOG": str(log)}
        if library_path is not None:
            env["LD_LIBRARY_PATH"] = library_path
        if preload:
            env["LD_PRELOAD"] = ":".join(preload)
        done = subprocess.run([str(program or self.opener)], input="\n".join(commands), env=env, cwd=cwd, text=True,
                              capture_output=True, timeout=300, errors="surrogateescape")
        assert done.returncode == 0, (done.returncode, done.stderr)
        return read_audit(log.read_text(errors="surrogateescape"))

    def derived(self, commands, program=None, library_path=None, cwd=None, preload=(), options=()):
        command = [str(self.tool), *options]
        if library_path is not None:
            command += ["-l", library_path]
        for name in preload:
            command += ["-p", name]
        done = subprocess.run(command + [str(program or self.opener)], input="\n".join(commands), cwd=cwd, text=True,
                              capture_output=True, timeout=300, errors="surrogateescape",
                              env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
        assert done.returncode == 0, (done.returncode, done.stderr)
        return read_derived(done.stdout)

    def both(self, commands, **how):
        """(observed, derived) blocks of each command that opens something, the start first."""
        observed = self.observed(commands, **how)
        derived = [block for block in self.derived(commands, **how)
                   if block.command.split()[1] in ("start", "open", "new", "global")]
        assert [b.command for b in observed] == [b.command for b in derived]
        return list(zip(observed, derived))
