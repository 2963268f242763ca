"""Who may do what: tokens, stored hashed, with one of four roles."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from dataclasses import dataclass
from enum import IntEnum

from trainmaster.domain.errors import StoreFull, StoreUnavailable, TrainmasterError
from trainmaster.domain.ids import UserName
from trainmaster.ports import Clock, Store, TokenRow

_RELOAD_S = 0.2  # between looks because of a token nobody knows


class Role(IntEnum):
    """Each may do all that the ones before it may."""

    VIEWER = 0  # look
    SUBMITTER = 1  # submit, and change one's own tasks
    OPERATOR = 2  # change everybody's tasks, nodes, profiles, quotas
    ADMIN = 3  # hand out tokens


class Unauthenticated(TrainmasterError):
    code = "unauthenticated"
    status = 401
    remedy = "log in with the link that `trainmaster up` prints, or set TRAINMASTER_TOKEN"


class Forbidden(TrainmasterError):
    code = "forbidden"
    status = 403
    remedy = "ask an admin for a token with a higher role"


class UnknownToken(TrainmasterError):
    code = "unknown-token"
    status = 404


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever holds a token."""

    name: UserName
    role: Role
    token_id: str

    def must_be(self, role: Role) -> None:
        """Raise Forbidden unless this person has at least that role."""
        if self.role < role:
            raise Forbidden(
                f"this needs the role {role.name.lower()}, the token has {self.role.name.lower()}",
                needed=role.name.lower(),
                role=self.role.name.lower(),
            )

    def must_own(self, user: str) -> None:
        """Raise Forbidden unless it is their own task, or they are an operator."""
        if self.name != user:
            self.must_be(Role.OPERATOR)


def digest(token: str) -> str:
    # Tokens carry 256 random bits, so a plain hash is enough: there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()


class Access:
    """Checks tokens against the store's, which are few and kept in memory."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._by_digest: dict[str, TokenRow] = {}
        self._loaded_at = 0.0

    async def load(self) -> None:
        self._loaded_at = self._clock.now()
        self._by_digest = {row.digest: row for row in await self._store.tokens()}

    async def issue(
        self, user: str, role: Role, *, days: float | None = None, label: str = ""
    ) -> tuple[str, str]:
        """Make a token. Returns (id, secret); the secret is shown once and not kept."""
        secret = "tm_" + secrets.token_urlsafe(32)
        now = self._clock.now()
        row = TokenRow(
            id=secrets.token_hex(6),
            digest=digest(secret),
            user=user,
            role=role.name.lower(),
            created_at=now,
            expires_at=None if days is None else now + days * 86400,
            label=label,
        )
        await self._store.put_token(row)
        self._by_digest[row.digest] = row
        return row.id, secret

    async def revoke(self, token_id: str) -> None:
        """Raises UnknownToken."""
        if not await self._store.drop_token(token_id):
            raise UnknownToken(
                f"there is no token {token_id}", remedy="list them with `trainmaster token list`"
            )
        self._by_digest = {d: row for d, row in self._by_digest.items() if row.id != token_id}

    def rows(self) -> list[TokenRow]:
        return sorted(self._by_digest.values(), key=lambda row: row.created_at)

    async def recognise(self, token: str | None) -> Person:
        """As `person`, but looks once more at what is stored: another process may have made the token.

        Raises Unauthenticated.
        """
        try:
            return self.person(token)
        except Unauthenticated:
            if not token or self._clock.now() - self._loaded_at < _RELOAD_S:
                raise
        with contextlib.suppress(StoreUnavailable, StoreFull):
            await self.load()
        return self.person(token)

    def person(self, token: str | None) -> Person:
        """Raises Unauthenticated."""
        row = self._by_digest.get(digest(token)) if token else None
        if row is None:
            raise Unauthenticated("a valid token is needed" if not token else "this token is not known")
        if row.expires_at is not None and row.expires_at <= self._clock.now():
            raise Unauthenticated("this token has expired")
        return Person(UserName(row.user), Role[row.role.upper()], row.id)
