# SPDX-License-Identifier: GPL-2.0-or-later
"""A sandbox for remedies: a virtual environment, a directory of wheels, and no network.

mended() runs a program that fails, asks imptrace, types the first remedy exactly as printed, and
runs the program again.  Programs print MENDED when they get to their end.
"""
import os
import re
import shlex
import shutil
import subprocess
import zipfile

import pytest

from distributions import record_line
from loader_cases import extension

MENDED = b"mended 17"
DONE = "print('mended 17')\n"


class Sandbox:
    def __init__(self, lab, python):
        self.lab = lab
        self.base = python
        self.venv = lab.root / "venv"
        done = subprocess.run([python.path, "-m", "venv", "--without-pip", "--system-site-packages",
                               str(self.venv)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(lab.home)})
        if done.returncode:
            pytest.skip("no venv for %s: %s" % (python.id, done.stdout.decode()))
        self.path = str(self.venv / "bin" / "python")
        self.site = self.venv / "lib" / ("python" + python.minor) / "site-packages"
        self.wheels = lab.root / "wheels"
        self.wheels.mkdir()
        self.env = lab.env(PYTHONPATH=None, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(self.wheels),
                           PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore",
                           PIP_NO_INPUT="1", PIP_NO_CACHE_DIR="1", PIP_NO_COMPILE="1",
                           PATH="%s/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" % self.venv)

    def wheel(self, name, files, version="1.7", tag="py3-none-any", install=True, requires=()):
        """Make a wheel of @files ({name: text or bytes}); install it as pip would, unless told
        not to."""
        info = "%s-%s.dist-info/" % (name, version)
        files = {n: d.encode() if isinstance(d, str) else d for n, d in files.items()}
        files[info + "METADATA"] = ("Metadata-Version: 2.1\nName: %s\nVersion: %s\n%s" % (
            name, version, "".join("Requires-Dist: %s\n" % r for r in requires))).encode()
        files[info + "WHEEL"] = ("Wheel-Version: 1.0\nGenerator: made-up\nRoot-Is-Purelib: %s\n"
                                 "Tag: %s\n" % (str(tag.endswith("any")).lower(), tag)).encode()
        record = "".join(record_line(n, d) for n, d in files.items())
        where = self.wheels / ("%s-%s-%s.whl" % (name, version, tag))
        with zipfile.ZipFile(where, "w") as archive:
            for n, data in files.items():
                archive.writestr(n, data)
            archive.writestr(info + "RECORD", record + info + "RECORD,,\n")
        if install:
            with zipfile.ZipFile(where) as archive:
                archive.extractall(self.site)
            (self.site / info / "INSTALLER").write_text("pip\n")
            with open(self.site / info / "RECORD", "a") as file:
                file.write(info + "INSTALLER,,\n")
        return where

    def tag(self):
        return "cp%d%d-cp%d%d-linux_x86_64" % (self.base.version[:2] * 2)

    def native(self, name="native_17", source="abi-tag-mismatch/native.c", needs=(), flags=(),
               **defines):
        """The bytes of an extension that works here."""
        path = extension(self.base, name, self.lab.root / "built", *needs, source=source,
                         flags=flags,
                         **defines)
        return path.read_bytes()

    def native_wheel(self, name="native_17", **how):
        """A wheel with one extension in it; returns the path of what was installed."""
        file = name + self.base.suffix
        self.wheel(name, {file: self.native(name, **how)}, tag=self.tag())
        return self.site / file


def check_harmless(sandbox, command):
    """Only what stays inside the sandbox is typed; the rest is skipped, or is a fault."""
    for tool in re.findall(r"(?:^|[;&|]\s*|sudo\s+|-u \w+ )([\w./-]+)", command):
        if os.path.basename(tool) in ("apt", "apt-get", "dnf", "yum", "conda", "pyenv", "sysctl"):
            pytest.skip("the first remedy changes this machine: " + command)
        if os.path.basename(tool) in ("patchelf", "execstack") and not shutil.which(tool):
            pytest.skip("the first remedy needs %s, which is not installed: %s" % (tool, command))
    assert "<" not in command and "..." not in command, "nobody can type " + command
    if re.search(r"-m pip |\bpip3? ", command):
        assert str(sandbox.venv) in command, "not for the Python that failed: " + command
    root = str(sandbox.lab.root)
    if re.search(r"\b(rm|mv|cp|ln|chmod|chown|mount|patchelf)\b", command):
        for word in shlex.split(command):
            if word.startswith("/") and not word.startswith(root):
                assert os.access(word, os.X_OK) and re.search(r"/bin/|/sbin/", word), (
                    "touches %s: %s" % (word, command))


def mended(lab, sandbox, program, *, cause, env=None, argv=None, cwd=None, prefix=(), fails=None):
    """The whole story; returns the finding.

    @argv: the program, where it is not `PYTHON SCRIPT`
    @prefix: a command that makes the surroundings in which all of it runs (a mount, a limit)
    """
    env = env or sandbox.env
    argv = [str(a) for a in argv or [sandbox.path, program]]
    bare = lab.bare([*prefix, *argv], env, cwd=cwd)
    assert bare.returncode != 0 and MENDED not in bare.stdout, "it works: " + bare.text
    if fails:
        assert re.search(fails, bare.text), bare.text
    run = lab.traced([*prefix, *argv], env, bare=bare, cwd=cwd)
    _, report = lab.analyze(run.trace)
    assert report["findings"], "no finding"
    finding = report["findings"][0]
    assert finding["cause"] in ((cause,) if isinstance(cause, str) else cause), (
        finding["cause"], finding["summary"])
    assert finding["fixes"], "no remedy for " + finding["summary"]
    fix = finding["fixes"][0]
    if fix["command"] is None:
        assert fix["confidence"] != "certain", "certain, and yet nothing to type: %r" % fix
        pytest.skip("%s: the first remedy is for a person to decide: %s" % (
            finding["cause"], fix["effect"].split(":")[0][:60]))
    check_harmless(sandbox, fix["command"])
    again = " ".join(map(shlex.quote, argv))
    shell = [*prefix, "sh", "-c", fix["command"] + "\n" + again + "\n"]
    after = lab.execute(shell, env, cwd=cwd)
    assert after.returncode == 0 and MENDED in after.stdout, "%s\ndid not mend %s:\n%s\n%s" % (
        fix["command"], finding["summary"], after.stdout.decode(), after.text)
    return finding


def script(lab, text):
    return lab.write("prog.py", text + DONE)
