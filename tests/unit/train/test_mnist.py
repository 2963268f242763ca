"""Reading and fetching the image sets of the examples: what is not the original is refused."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from trainmaster.train.examples import mnist


def idx(shape: tuple[int, ...], content: bytes) -> bytes:
    words = (2048 + len(shape), *shape)
    return b"".join(word.to_bytes(4, "big") for word in words) + content


@pytest.fixture
def originals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of four small files that count as the originals."""
    plain = [
        idx((3, 28, 28), bytes(range(49)) * 48), idx((3,), bytes([5, 0, 4])),
        idx((2, 28, 28), bytes([255]) * 1568), idx((2,), bytes([7, 2])),
    ]  # fmt: skip
    digests = tuple(hashlib.sha256(content).hexdigest() for content in plain)
    monkeypatch.setitem(mnist.DIGESTS, "mnist", digests)
    folder = tmp_path / "originals"
    folder.mkdir()
    for name, content in zip(mnist.FILES, plain, strict=True):
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    return folder


def test_images_are_fetched_once_and_read(
    originals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "mnist"
    assert mnist.main(["--to", str(to), "--source", originals.as_uri()]) == 0
    assert "3 training and 2 test images" in capsys.readouterr().out
    for path in originals.iterdir():
        path.unlink()
    assert mnist.main(["--to", str(to), "--source", originals.as_uri()]) == 0  # nothing is fetched again
    images = mnist.load(to)
    assert images.train_x.shape == (3, 784) and images.train_y.tolist() == [5, 0, 4]
    assert float(images.train_x[0, 48]) == pytest.approx(48 / 255) and float(images.test_x.min()) == 1.0


def test_what_is_no_original_is_refused(originals: Path, tmp_path: Path) -> None:
    name = mnist.FILES[1]
    (originals / f"{name}.gz").write_bytes(gzip.compress(idx((3,), bytes([5, 0, 3]))))
    with pytest.raises(mnist.NotTheOriginal) as caught:
        mnist.download(tmp_path / "to", source=originals.as_uri())
    assert caught.value.name == name
    assert [path.name for path in (tmp_path / "to").iterdir()] == [f"{mnist.FILES[0]}.gz"]
    (originals / f"{name}.gz").write_bytes(b"<html>moved</html>")
    with pytest.raises(mnist.NotTheOriginal):
        mnist.load(originals)


def test_missing_images_name_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match=r"mnist --to .* --of mnist"):
        mnist.load(tmp_path)
    assert mnist.main(["--to", str(tmp_path / "to"), "--source", tmp_path.as_uri()]) == 1
    assert "was not fetched" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", idx((2, 2), b"1234"), idx((3, 2, 2), b"short"), b"\0\0\x0d\x01"])
def test_what_is_no_idx_file_of_bytes_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="IDX"):
        mnist.parse(content)
