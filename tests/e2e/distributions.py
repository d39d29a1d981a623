# SPDX-License-Identifier: GPL-2.0-or-later
"""Installs made-up distributions as pip does: files, and a dist-info whose RECORD lists them."""
import base64
import hashlib


def record_line(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return "%s,sha256=%s,%d\n" % (name, digest, len(data))


def install(site, name, version, files, absent=(), tag="py3-none-any", write=True):
    """Write @files ({relative name: bytes or text}) and the metadata; @absent ones are listed
    in RECORD, and not written.  Returns the dist-info directory."""
    info = site / ("%s-%s.dist-info" % (name, version))
    info.mkdir(parents=True)
    record = ""
    for where, data in files.items():
        data = data.encode() if isinstance(data, str) else data
        record += record_line(where, data)
        if where in absent or not write:
            continue
        path = site / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    base = info.name
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (
        name, version))
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: made-up\n"
                                "Root-Is-Purelib: %s\nTag: %s\n" % (
                                    str(tag.endswith("any")).lower(), tag))
    (info / "INSTALLER").write_text("pip\n")
    (info / "top_level.txt").write_text(
        "\n".join(sorted({f.split("/")[0].split(".")[0] for f in files})) + "\n")
    record += "".join("%s/%s,,\n" % (base, f) for f in (
        "METADATA", "WHEEL", "INSTALLER", "top_level.txt", "RECORD"))
    (info / "RECORD").write_text(record)
    return info
