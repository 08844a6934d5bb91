"""Checks of zip files before a member is read, and byte ranges of the members."""

import io
import re
import stat
import struct
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from keras_ilsvrc.utils.errors import counted
from keras_ilsvrc.weights.readers.values import Run

# A hostile file can expand to a thousand times its size. Since weights hardly compress, members
# may have at most twice the size of the file, plus 256 MB.
TIMES, MORE = 2, 2**28
OUTSIDE = re.compile(r"(.*[/\\])?\.\.([/\\]|$)|[/\\]|[A-Za-z]:[/\\]")  # paths out of the folder
LIST = 2**22  # maximum bytes of the list of members; `zipfile` needs ten times as much memory
HEADER = struct.Struct("<4s22xHH")  # header of a member: signature, lengths of name and extra field


class Member(NamedTuple):
    """Member of a zip file, or storage of a torch file in the legacy form.

    Attributes:
        run: Range of the bytes in the file.
        checksum: CRC-32 of the member; None in the legacy form of torch.
        plain: Whether the bytes are not compressed.
    """

    run: Run
    checksum: int | None
    plain: bool


class _Short(io.FileIO):
    """File that refuses to read more than `LIST` bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LIST:
            raise ValueError(f"the list of members has {size:,} bytes, expected at most {LIST:,}")
        return super().read(-1 if size is None else size) or b""


def members(path: Path) -> dict[str, Member]:
    """Return {name: member} for the members of a zip file.

    Other methods of compression than deflate are refused, because Python does not limit their
    memory.

    Raises:
        ValueError, BadZipFile: If the file is damaged, or does not begin with a member; if a name
            occurs twice or leads out of the folder; if a member is a link, encrypted, or compressed
            by another method than deflate; if members overlap, or are much larger than the file.
    """
    found: dict[str, Member] = {}
    with _Short(path) as file, ZipFile(file) as archive:
        infos, end = sorted(archive.infolist(), key=lambda info: info.header_offset), 0
        if infos and (first := infos[0].header_offset):
            raise ValueError(f"the zip file has {counted(first, 'byte')} before its first member")
        for info in infos:
            name, run = info.filename, _place(file, info)
            if name in found:
                raise ValueError("two members of the zip file have the same name")
            if OUTSIDE.match(info.orig_filename):
                raise ValueError(f"the zip file has a member {name!r} outside its folder")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise ValueError(f"the member {name!r} of the zip file is a link")
            if info.flag_bits & 1 or info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
                raise ValueError(f"{name!r} is encrypted, or not compressed by deflate")
            if info.header_offset < end or run.stop > archive.start_dir:
                raise ValueError(f"the member {name!r} of the zip file overlaps others")
            end = run.stop
            found[name] = Member(run, info.CRC, info.compress_type == ZIP_STORED)
    total, most = sum(info.file_size for info in infos), TIMES * path.stat().st_size + MORE
    if total > most:
        raise ValueError(
            f"the zip file expands to {total:,} bytes, expected at most {most:,}; if you trust it, "
            "save it without compression"
        )
    return found


def _place(file: io.FileIO, info: ZipInfo) -> Run:
    """Return the range of a member's bytes, computed from the header before them."""
    file.seek(info.header_offset)
    mark, *lengths = HEADER.unpack(file.read(HEADER.size))
    if mark != b"PK\x03\x04":
        raise ValueError(f"the member {info.filename!r} of the zip file has no header")
    start = info.header_offset + HEADER.size + sum(lengths)
    return Run(start, start + info.compress_size)
