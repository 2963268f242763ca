"""MNIST and Fashion-MNIST as tensors, from IDX files in a folder, and their download.

    python -m trainmaster.train.examples.mnist --to data/mnist [--of fashion-mnist]

What is read or fetched is compared with the SHA-256 of the original, uncompressed files, so it does not
matter who packed them. MNIST is by LeCun, Cortes and Burges (CC BY-SA 3.0), Fashion-MNIST by Xiao, Rasul and
Vollgraf, Zalando SE (MIT).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import sys
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
SOURCES = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist",
    "fashion-mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
}
DIGESTS = {  # in the order of FILES
    "mnist": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion-mnist": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
_MAGIC = {1: 2049, 3: 2051}  # of an IDX file of bytes with so many dimensions
_TIMEOUT_S = 30.0


class Images(NamedTuple):
    """Images (n, 784) as float32 in 0..1, labels (n,) as int64."""

    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor


class NotTheOriginal(ValueError):
    """A file is damaged or another one. Fields: `name`, `digest` (of what was found), `wanted`."""

    def __init__(self, name: str, digest: str, wanted: str) -> None:
        super().__init__(
            f"{name} has the SHA-256 {digest[:12]}…, not {wanted[:12]}…: remove it and download it again"
        )
        self.name, self.digest, self.wanted = name, digest, wanted


def load(folder: Path, kind: str = "mnist") -> Images:
    """Read the four files of a folder, each as NAME.gz or NAME.

    Raises FileNotFoundError, NotTheOriginal.
    """
    tensors = []
    for name, digest in zip(FILES, DIGESTS[kind], strict=True):
        packed, plain = folder / f"{name}.gz", folder / name
        if not (packed.exists() or plain.exists()):
            module = "trainmaster.train.examples.mnist"
            raise FileNotFoundError(
                f"{folder} has no {name}: run `python -m {module} --to {folder} --of {kind}`"
            )
        content = _unpack(packed.read_bytes(), name, digest) if packed.exists() else plain.read_bytes()
        tensors.append(parse(_checked(content, name, digest)))
    train_x, train_y, test_x, test_y = tensors
    return Images(
        train_x.flatten(1) / 255, train_y.to(torch.int64), test_x.flatten(1) / 255, test_y.to(torch.int64)
    )


def parse(content: bytes) -> torch.Tensor:
    """An IDX file of bytes with 1 or 3 dimensions as a uint8 tensor of its shape. Raises ValueError."""
    words = [int.from_bytes(content[at : at + 4], "big") for at in range(0, 16, 4)]
    dimensions = words[0] - 2048
    if len(content) < 8 or _MAGIC.get(dimensions) != words[0]:
        raise ValueError("not an IDX file of bytes with one or three dimensions")
    shape = words[1 : 1 + dimensions]
    values = torch.frombuffer(bytearray(content), dtype=torch.uint8)[4 * (1 + dimensions) :]
    size = torch.Size(shape).numel()
    if len(values) != size:
        raise ValueError(f"the IDX file says {size} bytes and has {len(values)}")
    return values.view(shape)


def download(folder: Path, kind: str = "mnist", source: str = "") -> None:
    """Fetch what the folder lacks, from `source` (a URL that the files lie under) or the usual place.

    Files appear whole and checked, or not at all. Raises OSError (urllib's URLError is one), NotTheOriginal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in zip(FILES, DIGESTS[kind], strict=True):
        packed = folder / f"{name}.gz"
        if packed.exists() or (folder / name).exists():
            continue
        with urllib.request.urlopen(f"{source or SOURCES[kind]}/{name}.gz", timeout=_TIMEOUT_S) as answer:
            fetched = answer.read()
        _checked(_unpack(fetched, name, digest), name, digest)
        part = folder / f"{name}.{os.getpid()}.part"
        part.write_bytes(fetched)
        part.replace(packed)


def _unpack(packed: bytes, name: str, wanted: str) -> bytes:
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        raise NotTheOriginal(name, hashlib.sha256(packed).hexdigest(), wanted) from None


def _checked(content: bytes, name: str, wanted: str) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    if digest != wanted:
        raise NotTheOriginal(name, digest, wanted)
    return content


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="folder")
    parser.add_argument("--of", default="mnist", choices=SOURCES)
    parser.add_argument("--source", default="", help="URL under which the four .gz files lie")
    options = parser.parse_args(words)
    try:
        download(options.to, options.of, options.source)
        images = load(options.to, options.of)
    except (OSError, ValueError) as error:
        print(f"{options.of} was not fetched: {error}", file=sys.stderr)
        return 1
    print(f"{options.to}: {len(images.train_x)} training and {len(images.test_x)} test images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
