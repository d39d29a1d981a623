# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces made to hurt whoever reads them: a clear answer, in bounded memory and time, and never a crash."""
import ctypes
import os
import struct
import subprocess
import time

import pytest

import trace_decoder

MEMORY = 256 << 20
SECONDS = 40				# 2, with room for a loaded machine
MANY = int(os.environ.get("IMPTRACE_MANY") or 50000)	# `make check-endurance`: 10 million
MAGIC = b"\x28\xb5\x2f\xfd"
RLE, RAW = 1, 0


def block(kind, size, data, last):
    return struct.pack("<I", size << 3 | kind << 1 | last)[:3] + data


def frame(blocks, size=None):
    """A zstd frame without a checksum; @size: what it claims to hold."""
    head = b"\x00\x58" if size is None else b"\xe0" + struct.pack("<Q", size)
    return MAGIC + head + b"".join(blocks)


class Zstd:
    """Whole frames as the recorder writes them: with a checksum."""

    def __init__(self):
        try:
            self.lib = ctypes.CDLL("libzstd.so.1")
        except OSError:
            pytest.skip("no libzstd.so.1")
        self.lib.ZSTD_createCCtx.restype = ctypes.c_void_p
        self.lib.ZSTD_compress2.restype = ctypes.c_size_t
        self.lib.ZSTD_compressBound.restype = ctypes.c_size_t
        self.context = ctypes.c_void_p(self.lib.ZSTD_createCCtx())
        self.lib.ZSTD_CCtx_setParameter(self.context, 100, 1)		# level
        self.lib.ZSTD_CCtx_setParameter(self.context, 201, 1)		# checksum

    def frame(self, data):
        size = self.lib.ZSTD_compressBound(ctypes.c_size_t(len(data)))
        out = ctypes.create_string_buffer(size)
        done = self.lib.ZSTD_compress2(self.context, out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
        assert done < 1 << 40
        return out.raw[:done]


def whole_frame(data, made=[]):
    if not made:
        made.append(Zstd())
    return made[0].frame(data)


def deep(opener, times):
    """As deep as one frame can be, and once more than the format allows."""
    return b"".join(whole_frame(batch(7, 9, i) + b"\xa2\x00\x0a\x13" + opener * n + b"\0" * 3)
                    for i, n in enumerate((7, 8, 9, times)))


def uint(value):
    for size, code in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if value < 24:
            return bytes([value])
        if value < 1 << (8 * size):
            return bytes([code]) + value.to_bytes(size, "big")
    raise ValueError(value)


def batch(pid, image_ns, seq=0):
    return b"\xa5\x00\x02\x03" + uint(pid) + b"\x04" + uint(image_ns) + b"\x05" + uint(seq) + b"\x06\x00"


# A small process in between: what a child's largest size says is at least the size of who started it.
RUNNER = r"""
import os, sys
null = os.open("/dev/null", os.O_WRONLY)
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
_, status, usage = os.wait4(pid, 0)
print(status, usage.ru_maxrss << 10)
"""

BOMBS = {
    "4-gigabytes": lambda: frame([block(RLE, 131072, b"\0", i == 32767) for i in range(32768)]),
    "4-gigabytes-of-events": lambda: frame([block(RAW, 15, batch(7, 9).ljust(15, b"\0"), 0)] +
                                           [block(RLE, 131072, b"\xa0", i == 32767) for i in range(32768)]),
    "claims-2^60": lambda: frame([block(RLE, 131072, b"\0", 1)], 1 << 60),
    "claims-2^60-and-ends": lambda: MAGIC + b"\xe0" + struct.pack("<Q", 1 << 60),
    "nesting": lambda: deep(b"\x81", 1000000) + deep(b"\x81", 130000),
    "nesting-of-maps": lambda: deep(b"\xa1\x00", 500000) + deep(b"\xa1\x00", 65000),
    "array-of-2^60": lambda: whole_frame(batch(7, 9) + b"\xa2\x00\x0a\x13\x9b" + struct.pack(">Q", 1 << 60)),
    "text-of-2^60": lambda: whole_frame(batch(7, 9) + b"\xa2\x00\x0a\x0c\x5b" + struct.pack(">Q", 1 << 60)),
    "skippable-4-gigabytes": lambda: b"\x50\x2a\x4d\x18\xff\xff\xff\xff" + b"x" * 100,
    "4-gigabytes-with-a-checksum": lambda: whole_frame(b"\0" * (1 << 27)) * 32,
    "many-empty-frames": lambda: whole_frame(b"") * MANY,
    "many-batches": lambda: b"".join(whole_frame(batch(7, 9, i) + b"\xa2\x00\x0a\x0f\x01")
                                     for i in range(1000)) * (MANY // 1000),
    "many-processes": lambda: b"".join(whole_frame(batch(pid, pid)) for pid in range(1, MANY + 1)),
    "many-processes-that-start": lambda: b"".join(whole_frame(batch(pid, pid) + b"\xa3\x00\x0a\x0f\x01\x10\x01")
                                                  for pid in range(1, MANY + 1)),
    "many-skippable-frames": lambda: b"\x50\x2a\x4d\x18\0\0\0\0" * MANY,
    "many-bad-frames": lambda: b"".join(
        frame([block(RAW, 3, b"\xff\xff\xff", 1)]) for _ in range(1000)) * (MANY // 1000),
}


@pytest.fixture(scope="module")
def head(tmp_path_factory, build):
    """The first frame of a real trace."""
    out = tmp_path_factory.mktemp("head") / "t.zst"
    subprocess.run(["/bin/true"], env={"LD_PRELOAD": str(build.preload), "IMPTRACE_OUTPUT": str(out)}, check=True)
    data = out.read_bytes()
    return data[:trace_decoder.frame_end(data, 0)]


@pytest.mark.parametrize("command", [["analyze", "--format=json", "--no-host"], ["dump"]], ids=lambda c: c[0])
@pytest.mark.parametrize("bomb", sorted(BOMBS))
def test_bomb(lab, build, debian, head, bomb, command):
    sanitized = b"__asan_init" in build.command.read_bytes()
    trace = lab.new_trace()
    trace.write_bytes(head + BOMBS[bomb]())
    start = time.monotonic()
    run = lab.execute([debian.path, "-S", "-E", "-c", RUNNER, build.command, *command, trace], lab.env(),
                      timeout=2 * SECONDS)
    took = time.monotonic() - start
    status, memory = map(int, run.stdout.split())
    errors = run.text
    print("%-30s %-10s %.2f s, %d MB, %d bytes of trace, %s" % (bomb, command[0], took, memory >> 20,
                                                               trace.stat().st_size, errors.strip()[-120:]))
    assert os.WIFEXITED(status), "ended by signal %d: %s" % (os.WTERMSIG(status), errors)
    assert os.WEXITSTATUS(status) in (0, 2), (status, errors)
    assert "Sanitizer" not in errors and "runtime error" not in errors, errors
    assert took < SECONDS
    if not sanitized:
        assert memory < MEMORY, "%d MB" % (memory >> 20)
    trace.unlink()
