# SPDX-License-Identifier: GPL-2.0-or-later
"""The failure that imptrace was made for: Debian's python3-cryptography, and _cffi_backend under
a tag that the interpreter does not accept."""
import os
import re
import shutil

import pytest

import interpreters
import shapes
from verdict import diagnose, facts, remedies

SITE = "/usr/lib/python3/dist-packages"
STATEMENT = "from cryptography.hazmat.backends.openssl import backend"


def need_cryptography(debian):
    tag = os.path.join(SITE, "_cffi_backend" + debian.suffix)
    if not os.path.exists(tag) or not os.path.isdir(os.path.join(SITE, "cryptography")):
        pytest.skip("needs Debian's python3-cryptography and python3-cffi-backend")
    return tag


def check(finding, path, python):
    assert finding["path"] == str(path)
    assert finding["error"] == {"type": "ModuleNotFoundError",
                                "message": "No module named '_cffi_backend'"}
    assert finding["surfaced"] is None
    assert any(re.search(r"\bcffi\b", r) for r in remedies(finding)), (
        "the distribution is named cffi: %r" % finding["fixes"])
    assert python.cache_tag in facts(finding), facts(finding)
    ruled_out = {r["cause"] for r in finding["ruled_out"]}
    assert "not-installed" in ruled_out or "missing-shared-library" in ruled_out
    entries = {s["entry"]: s for s in finding["searched"]}
    assert os.path.basename(path) in entries[os.path.dirname(str(path))]["candidates"]


def test_another_cpython(lab, debian, any_python):
    """PYTHONPATH=/usr/lib/python3/dist-packages with a CPython of another version."""
    path = need_cryptography(debian)
    if any_python.cache_tag == debian.cache_tag:
        pytest.skip("its tag is the one of Debian's files")
    program = shapes.dash_c(lab, STATEMENT)
    program.env = lab.env(PYTHONPATH=SITE)
    bare = lab.bare(program.argv(any_python), program.env)
    if "_cffi_backend" not in bare.text:
        pytest.skip("fails earlier for another reason: " + str(bare.last_error()))
    finding = diagnose(lab, any_python, program, cause="abi-tag-mismatch",
                       module="_cffi_backend", importer=False, says=[r"cpython-311"])
    check(finding, path, any_python)
    assert finding["importers"][0]["file"] == "<string>"
    if not any(i["file"].endswith("_openssl.abi3.so") for i in finding["importers"]):
        assert any((n["object"] or "").endswith("_openssl.abi3.so")
                   for n in finding["native_stack"]), "who asked in native code?"


def test_backend_under_another_tag(lab, debian):
    """The same with one CPython alone: a private copy, with the backend under another tag."""
    path = need_cryptography(debian)
    shutil.copytree(os.path.join(SITE, "cryptography"), str(lab.site / "cryptography"),
                    ignore=shutil.ignore_patterns("__pycache__"))
    other = lab.site / "_cffi_backend.cpython-310-x86_64-linux-gnu.so"
    shutil.copy(path, str(other))
    program = shapes.script(lab, STATEMENT)
    program.args = ["-S", *program.args]		# without Debian's own directory
    finding = diagnose(lab, debian, program, cause="abi-tag-mismatch", importer=False,
                       module="_cffi_backend", says=[r"cpython-310", r"cpython-311"])
    check(finding, other, debian)


def test_demo_text(lab, debian):
    """What a person reads: the cause first, the file, the accepted suffixes, the remedy."""
    path = need_cryptography(debian)
    others = [p for p in interpreters.every() if p.cache_tag != debian.cache_tag]
    others = [p for p in others if "_cffi_backend" in lab.bare(
        [p.path, "-c", STATEMENT], lab.env(PYTHONPATH=SITE)).text]
    if not others:
        pytest.skip("needs a CPython of another version")
    run = lab.traced([others[-1].path, "-c", STATEMENT], lab.env(PYTHONPATH=SITE))
    answer = lab.analyze_text(run.trace)
    assert answer.returncode == 1
    flat = re.sub(r"\s+", "", answer.answer)
    for part in (path, others[-1].suffix, "_cffi_backend", "cffi", "_openssl.abi3.so"):
        assert re.sub(r"\s+", "", part) in flat, "%r is not in\n%s" % (part, answer.answer)
    first = answer.answer.strip().splitlines()[:6]
    assert any("_cffi_backend" in line for line in first), "the cause comes first: %r" % first
