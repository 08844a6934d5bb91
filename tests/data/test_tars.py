"""Tests of the positions of files in tar archives."""

import io
import tarfile

import pytest

from keras_ilsvrc import InputError
from keras_ilsvrc.data.tars import members


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_lie_where_tarfile_finds_them(tmp_path, format):
    path = tmp_path / "some.tar"
    with tarfile.open(path, "w", format=format) as archive:
        for number, size in enumerate((0, 1, 511, 512, 513, 5000)):
            member = tarfile.TarInfo(f"{number}.JPEG")
            member.size, member.mtime = size, 12.5  # PAX writes a header of its own for that
            archive.addfile(member, io.BytesIO(bytes([number + 1]) * size))
        archive.addfile(tarfile.TarInfo("link"))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    with tarfile.open(path) as archive:
        expected = [(x.name, x.offset_data, x.size) for x in archive if x.isreg()]
    assert list(map(tuple, members(path))) == expected


def test_a_member_of_negative_size_is_refused_and_not_read_for_ever(tmp_path):
    header = bytearray(tarfile.TarInfo("a").tobuf())
    header[124:136] = (-1024).to_bytes(12, signed=True)
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 256 + sum(header[156:512]))
    (tmp_path / "some.tar").write_bytes(bytes(header) * 3)
    with pytest.raises(InputError, match=r"some.tar: no tar header at byte 0 \(negative size\)"):
        list(members(tmp_path / "some.tar"))
