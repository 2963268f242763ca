"""Where the service is and how to be let in: flags, then variables, then the data folder's credentials."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from trainmaster.client.errors import Unreachable

DEFAULT_URL = "http://127.0.0.1:7070"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`pid` is the service's, known if the address comes from the credentials file at `file`."""

    url: str
    token: str
    pid: int | None = None
    file: Path | None = None


def data_folder(data: str | os.PathLike[str] | None = None) -> Path:
    """The data folder: as told, TRAINMASTER_DATA, `data` in ./trainmaster.toml, or the usual place."""
    told = data or os.environ.get("TRAINMASTER_DATA") or _configured()
    if told:
        return Path(told).expanduser().absolute()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "trainmaster"


def _configured() -> str | None:
    file = Path("trainmaster.toml")
    if not file.is_file():
        return None
    import tomllib  # only now: most folders have no such file

    try:
        value = tomllib.loads(file.read_text(encoding="utf-8")).get("data")
    except (OSError, ValueError):
        return None  # `up` and `doctor` say what is wrong with it
    return value if isinstance(value, str) else None


def locate(
    url: str | None = None, token: str | None = None, data: str | os.PathLike[str] | None = None
) -> Endpoint:
    """What is told wins over TRAINMASTER_URL and TRAINMASTER_TOKEN, those over the credentials file.

    A token of the file is only sent to the file's own service. Raises Unreachable if nothing says where the
    service is.
    """
    url = url or (None if data else os.environ.get("TRAINMASTER_URL")) or None
    token = token or os.environ.get("TRAINMASTER_TOKEN") or None
    if url and token:
        return Endpoint(url.rstrip("/"), token)
    file = data_folder(data) / "credentials.json"
    kept = _read(file)
    if kept is None:
        if url:
            return Endpoint(url.rstrip("/"), token or "")
        raise Unreachable(f"no service runs here: there is no {file}", url=DEFAULT_URL)
    if url and url.rstrip("/") != kept.url:
        return Endpoint(url.rstrip("/"), token or "")
    return Endpoint(kept.url, token or kept.token, kept.pid, file)


def _read(file: Path) -> Endpoint | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return Endpoint(str(kept["url"]).rstrip("/"), str(kept["token"]), int(kept["pid"]), file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreachable(
            f"{file} cannot be read: {error.strerror}",
            remedy="ask its owner for a token and set TRAINMASTER_URL and TRAINMASTER_TOKEN",
        ) from None
    except (ValueError, KeyError, TypeError):
        raise Unreachable(
            f"{file} is damaged", remedy="restart the service with `trainmaster up`, which writes it anew"
        ) from None
