"""Checks of zip files before any member is read, and the byte ranges of their members."""

import io
import re
import stat
import struct
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from keras_ilsvrc.errors import counted
from keras_ilsvrc.weights.readers.values import Run

# A hostile file can expand to a thousand times its size. Weights hardly compress, so the members
# may expand to twice the size of the file, plus 256 MB.
TIMES, MORE = 2, 2**28
OUTSIDE = re.compile(r"(.*[/\\])?\.\.([/\\]|$)|[/\\]|[A-Za-z]:[/\\]")  # paths outside the folder
LIST = 2**22  # maximum bytes of the list of members; `zipfile` needs ten times as much memory
HEADER = struct.Struct("<4s22xHH")  # header of a member: mark, lengths of name and extra field


class Member(NamedTuple):
    """Member of a zip file: its bytes in the file, its checksum, and whether it is uncompressed.

    Attributes:
        run: Range of the bytes in the file.
        checksum: CRC-32 of the member; None if the file has none.
        plain: Whether the bytes are not compressed.
    """

    run: Run
    checksum: int | None
    plain: bool


class _Short(io.FileIO):
    """File of which at most `LIST` bytes are read at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LIST:
            raise ValueError(f"a zip file with a list of {size:,} bytes, expected at most {LIST:,}")
        return super().read(-1 if size is None else size) or b""


def members(path: Path) -> dict[str, Member]:
    """Return the members of a zip file by name.

    Raises:
        ValueError, BadZipFile: If the file is damaged, or begins with other bytes; if a name is
            repeated or leads out of the folder; if a member is a link, encrypted, or compressed
            by another method than deflate, whose memory Python does not limit; if members
            overlap, or are much larger than the file.
    """
    found: dict[str, Member] = {}
    with _Short(path) as file, ZipFile(file) as archive:
        infos, end = sorted(archive.infolist(), key=lambda info: info.header_offset), 0
        if infos and (first := infos[0].header_offset):
            raise ValueError(f"a zip file that begins with {counted(first, 'other byte')}")
        for info in infos:
            name, run = info.filename, _place(file, info)
            if name in found:
                raise ValueError("a zip file in which a name occurs twice")
            if OUTSIDE.match(info.orig_filename):
                raise ValueError(f"a zip file with the path {name!r}, which leads elsewhere")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise ValueError(f"a zip file with the link {name!r}")
            if info.flag_bits & 1 or info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
                raise ValueError(f"{name!r} is encrypted, or not compressed by deflate")
            if info.header_offset < end or run.stop > archive.start_dir:
                raise ValueError(f"a zip file whose member {name!r} overlaps others")
            end = run.stop
            found[name] = Member(run, info.CRC, info.compress_type == ZIP_STORED)
    total, most = sum(info.file_size for info in infos), TIMES * path.stat().st_size + MORE
    if total > most:
        raise ValueError(
            f"a zip file that expands to {total:,} bytes, expected at most {most:,}; if you trust "
            "it, save it without compression"
        )
    return found


def _place(file: io.FileIO, info: ZipInfo) -> Run:
    """Return the range of a member's bytes, computed from the header before them."""
    file.seek(info.header_offset)
    mark, *lengths = HEADER.unpack(file.read(HEADER.size))
    if mark != b"PK\x03\x04":
        raise ValueError(f"a zip file whose member {info.filename!r} has no header")
    start = info.header_offset + HEADER.size + sum(lengths)
    return Run(start, start + info.compress_size)
