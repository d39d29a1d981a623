# SPDX-License-Identifier: GPL-2.0-or-later
"""Edits 64-bit little-endian ELF files in place, as far as the tests need it (System V gABI).

Nothing moves: a string may only be replaced by one that is no longer, a number by another.
"""
import struct

EM_386, EM_X86_64, EM_AARCH64 = 3, 62, 183
PT_LOAD, PT_DYNAMIC, PT_GNU_STACK, PT_TLS = 1, 2, 0x6474e551, 7
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME = 0, 1, 5, 10, 14
DT_VERNEED, DT_VERNEEDNUM = 0x6ffffffe, 0x6fffffff
PF_X = 1


def version_hash(name):
    """The hash that a vna_hash holds (gABI, "Hash Table")."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xf0000000
        value ^= high >> 24
        value &= ~high & 0xffffffff
    return value


class Elf:
    """A file's bytes; save() writes them back."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.data = bytearray(file.read())
        assert self.data[:6] == b"\x7fELF\x02\x01", "no 64-bit little-endian ELF file: %s" % path

    def save(self, path=None):
        with open(path or self.path, "wb") as file:
            file.write(self.data)
        return self

    def get(self, form, offset):
        return struct.unpack_from("<" + form, self.data, offset)

    def put(self, form, offset, *values):
        struct.pack_into("<" + form, self.data, offset, *values)
        return self

    # -- the file's header ----------------------------------------------------------------
    def machine(self, number):
        return self.put("H", 18, number)

    def elf_class(self, number):
        return self.put("B", 4, number)

    def magic(self, data):
        self.data[:len(data)] = data
        return self

    # -- program headers ------------------------------------------------------------------
    def program_headers(self, kind):
        """Offsets of the program headers of one type."""
        start, = self.get("Q", 32)
        size, number = self.get("HH", 54)
        offsets = [start + i * size for i in range(number)]
        return [at for at in offsets if self.get("I", at)[0] == kind]

    def align(self, alignment, which=slice(None)):
        """Set p_align of the PT_LOAD segments."""
        for at in self.program_headers(PT_LOAD)[which]:
            self.put("Q", at + 48, alignment)
        return self

    def loads_end(self):
        """The first byte of the file that no PT_LOAD segment promises."""
        return max(sum(self.get("Q", at + field)[0] for field in (8, 32))
                   for at in self.program_headers(PT_LOAD))

    def executable_stack(self):
        at, = self.program_headers(PT_GNU_STACK)
        return self.put("I", at + 4, self.get("I", at + 4)[0] | PF_X)

    def offset_of(self, address):
        for at in self.program_headers(PT_LOAD):
            offset, start, _, size = self.get("QQQQ", at + 8)
            if start <= address < start + size:
                return offset + address - start
        raise ValueError("no segment holds %#x" % address)

    # -- the dynamic segment --------------------------------------------------------------
    def dynamic(self):
        """(tag, value) pairs."""
        at, = self.program_headers(PT_DYNAMIC)
        at, = self.get("Q", at + 8)
        pairs = []
        while True:
            tag, value = self.get("QQ", at)
            if tag == DT_NULL:
                return pairs
            pairs.append((tag, value))
            at += 16

    def value(self, wanted):
        return next(value for tag, value in self.dynamic() if tag == wanted)

    def string(self, offset):
        start = self.offset_of(self.value(DT_STRTAB)) + offset
        return self.data[start:self.data.index(0, start)].decode()

    def needed(self):
        return [self.string(value) for tag, value in self.dynamic() if tag == DT_NEEDED]

    def set_string(self, offset, new):
        old = self.string(offset)
        assert len(new) <= len(old), "%r does not fit in the place of %r" % (new, old)
        start = self.offset_of(self.value(DT_STRTAB)) + offset
        self.data[start:start + len(old)] = new.encode().ljust(len(old), b"\0")

    def replace_needed(self, old, new):
        """DT_NEEDED, and the file of the version requirement that shares its string."""
        offsets = {value for tag, value in self.dynamic()
                   if tag == DT_NEEDED and self.string(value) == old}
        assert offsets, "%s is not needed; needed are %s" % (old, self.needed())
        for offset in offsets:
            self.set_string(offset, new)
        return self

    def replace_symbol(self, old, new):
        """Rename a dynamic symbol of the same length (its hash is not looked at: an import)."""
        start = self.offset_of(self.value(DT_STRTAB))
        size = self.value(DT_STRSZ)
        at = self.data.index(b"\0" + old.encode() + b"\0", start, start + size) + 1
        self.set_string(at - start, new)
        return self

    def replace_version(self, old, new):
        """The name and the hash of a version that is needed (Verneed, Vernaux)."""
        at = self.offset_of(self.value(DT_VERNEED))
        done = set()
        for _ in range(self.value(DT_VERNEEDNUM)):
            number, = self.get("H", at + 2)
            aux = at + self.get("I", at + 8)[0]
            for _ in range(number):
                name, following = self.get("II", aux + 8)
                if name in done or self.string(name) == old:
                    if name not in done:
                        self.set_string(name, new)
                        done.add(name)
                    self.put("I", aux, version_hash(new))
                aux += following
            at += self.get("I", at + 12)[0]
        assert done, "no version %s is needed" % old
        return self
