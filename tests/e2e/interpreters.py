# SPDX-License-Identifier: GPL-2.0-or-later
"""The CPython interpreters of this machine, and how to build extensions for them."""
import functools
import glob
import json
import os
import pathlib
import subprocess
import tempfile

import pytest

import harness

PROBE = r"""
import json, platform, sys, sysconfig
try:
    from importlib.machinery import EXTENSION_SUFFIXES as suffixes
except ImportError:
    suffixes = []
print(json.dumps({
    "implementation": platform.python_implementation(),
    "version": list(sys.version_info[:3]),
    "suffixes": suffixes,
    "include": sysconfig.get_path("include"),
    "prefix": sys.prefix,
    "stdlib": sysconfig.get_path("stdlib"),
    "platlib": sysconfig.get_path("platlib"),
    "libdir": sysconfig.get_config_var("LIBDIR"),
    "ldversion": sysconfig.get_config_var("LDVERSION") or sysconfig.get_config_var("VERSION"),
    "cache_tag": getattr(getattr(sys, "implementation", None), "cache_tag", None),
    "builtin": list(sys.builtin_module_names),
    "dynload": [p for p in sys.path if p.endswith("lib-dynload")],
}))
"""


class Interpreter:
    """One CPython."""

    def __init__(self, path, facts):
        self.path = path
        self.__dict__.update(facts)
        self.version = tuple(facts["version"])
        self.minor = "%d.%d" % self.version[:2]
        self.is_debian = path.startswith("/usr/bin/")
        self.id = ("debian-" if self.is_debian else "") + ".".join(map(str, self.version))

    @property
    def suffix(self):
        """The first of the accepted extension suffixes: the one with the full tag."""
        return self.suffixes[0]

    @property
    def has_headers(self):
        return os.path.exists(os.path.join(self.include, "Python.h"))

    def user_site(self, home):
        return pathlib.Path(home) / ".local" / "lib" / ("python" + self.minor) / "site-packages"

    def __repr__(self):
        return self.path


def probe(path):
    """The facts of one interpreter, or None where it is no CPython that runs."""
    env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
    try:
        done = subprocess.run([path, "-c", PROBE], env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=30)
        facts = json.loads(done.stdout.decode())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Interpreter(path, facts) if facts["implementation"] == "CPython" else None


@functools.lru_cache(None)
def found():
    """Every CPython, 2.7 too; one for each real path."""
    places = ["/usr/bin/python3", "/usr/bin/python2.7", *sorted(glob.glob("/usr/bin/python3.*")),
              *sorted(glob.glob("/usr/local/bin/python3.*[0-9]")),
              *sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python")))]
    seen, result = set(), []
    for place in places:
        real = os.path.realpath(place)
        if real in seen or not os.access(real, os.X_OK) or place.endswith("-config"):
            continue
        seen.add(real)
        interpreter = probe(place)
        if interpreter:
            result.append(interpreter)
    return result


def every():
    """All of CPython 3.6 and later, Debian's first."""
    return [p for p in found() if p.version >= (3, 6)]


def python27():
    return next((p for p in found() if p.version[0] == 2), None)


def debian():
    return every()[0]


@functools.lru_cache(None)
def chosen():
    """Where the causes run: Debian's, the newest and the oldest of the others."""
    rest = sorted(every()[1:], key=lambda p: p.version)
    return [debian()] + ([rest[-1]] if rest else []) + ([rest[0]] if len(rest) > 1 else [])


# -- building -----------------------------------------------------------------------------
@functools.lru_cache(None)
def cache_dir():
    return tempfile.TemporaryDirectory(prefix="imptrace-e2e-build-")


@functools.lru_cache(None)
def _compiled(source, flags):
    out = os.path.join(cache_dir().name, "%08x.bin" % (hash((source, flags)) & 0xffffffff))
    cmd = ["gcc", "-O1", "-g", "-w", "-o", out, str(source), *flags]
    done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, "%s\n%s" % (" ".join(cmd), done.stdout.decode())
    return out


def compile_c(source, *flags):
    """Compile a fixture; the result is kept for the session. Returns its path."""
    return _compiled(harness.FIXTURES / source, tuple(flags))


def extension(python, source, name, where, suffix=None, **defines):
    """Build an extension module from a fixture; returns the path of the .so."""
    if not python.has_headers:
        pytest.skip("no headers for " + python.id)
    last = name.rpartition(".")[2]
    flags = ["-shared", "-fPIC", "-I" + python.include, "-DMODULE=" + last,
             *("-D%s=%s" % (k, v) for k, v in defines.items())]
    built = compile_c(source, *flags)
    path = pathlib.Path(where) / (last + (python.suffix if suffix is None else suffix))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pathlib.Path(built).read_bytes())
    path.chmod(0o755)
    return path


def host_program(python, source, *more):
    """Build a C program that embeds @python; returns its path."""
    libs = (glob.glob("%s/libpython%s.so*" % (python.libdir, python.ldversion)) or
            glob.glob("/usr/lib/*/libpython%s.so*" % python.ldversion))
    if not python.has_headers or not libs:
        pytest.skip("no shared libpython or headers for " + python.id)
    libdir = os.path.dirname(libs[0])
    return compile_c(source, "-I" + python.include, *more, "-L" + libdir,
                     "-lpython" + python.ldversion, "-Wl,-rpath," + libdir, "-ldl", "-lm")
