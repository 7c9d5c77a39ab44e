"""Signing keys: made, encrypted, published before they sign, rotated; and the JWKS.

They live in the database, so every process has the same. A guard reads the JWKS every five minutes
(auth/keys.py, FRESH). A new key is published for longer than that before it signs; otherwise an
attacker who sends unknown key ids could keep a guard from learning it. The JWKS is derived from the
private keys that the secret decrypts, so write access to the database is not enough to sign.
"""

import json
import logging
from base64 import b64decode
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from joserfc import jws
from joserfc.jwk import RSAKey
from sqlalchemy import Connection, delete, insert, select, update

from ..auth import Refused
from ..auth.keys import FRESH
from ..database import now
from .models import signing_keys

PUBLISHED = timedelta(seconds=FRESH + 60)  # before a key signs
GRACE = timedelta(seconds=60)  # after the last token of a key expired
log = logging.getLogger(__name__)


class KeyRing:
    """The keys of this process; `load` reads the database again."""

    def __init__(self, secret: str | None) -> None:
        parts = secret.split(",") if secret else []  # the first encrypts, all decrypt
        self.secrets: list[bytes | None] = [b64decode(part) for part in parts] or [None]
        self.opened: dict[str, RSAKey] = {}  # by id: a rewrap of the keys stops no process
        self.signing: RSAKey | None = None
        self.jwks: dict[str, Any] = {"keys": []}
        self.known = 0  # keys in the database, opened or not

    def load(self, connection: Connection) -> dict[str, Any]:
        """Read the keys and return the JWKS."""
        until = signing_keys.c.verifies_until
        query = select(signing_keys, (signing_keys.c.signs_from <= now()).label("signs"))
        query = query.where(until.is_(None) | (until > now())).order_by(signing_keys.c.signs_from)
        rows = connection.execute(query).all()
        good = [(row, key) for row in rows if (key := self.open(row.kid, row.private_pem))]
        self.known = len(rows)
        self.opened = {row.kid: key for row, key in good}
        self.signing = next((key for row, key in reversed(good) if row.signs), None)
        self.jwks = {"keys": [public_jwk(key) for _, key in good]}
        return self.jwks

    def open(self, kid: str, private_pem: str) -> RSAKey | None:
        """Return the key, if one of our secrets encrypted it."""
        if kid in self.opened:
            return self.opened[kid]
        key = decrypted(private_pem, self.secrets)
        if key is None:
            log.warning("The signing key %s cannot be opened with ISSUER_KEY_SECRET", kid)
            return None
        return RSAKey(key, key, {"kid": kid, "alg": "RS256"})

    def sign(self, claims: dict[str, Any]) -> str:
        """Sign an access token (RFC 9068)."""
        if self.signing is None:
            raise Refused("keys_unavailable")
        header = {"alg": "RS256", "typ": "at+jwt", "kid": self.signing.kid}
        payload = json.dumps(claims, separators=(",", ":"))
        return jws.serialize_compact(header, payload, self.signing, algorithms=["RS256"])


def decrypted(private_pem: str, secrets: list[bytes | None]) -> RSAPrivateKey | None:
    text = private_pem.encode()
    for secret in secrets:
        try:
            key = pem.load_pem_private_key(text, secret, unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError, UnsupportedAlgorithm):  # another secret, or against the rule
            continue
        if isinstance(key, RSAPrivateKey) and consistent(key):
            return key
    return None


def consistent(key: RSAPrivateKey) -> bool:
    """Whether the numbers of a key belong together; a signature by others gives the key away.

    It stands for the validation that is skipped, whose test for primes takes 27 ms of each start.
    The keys are ours and encrypted, but without a MAC: who writes to the database can change some
    bits of a number blindly, and then the others do not fit.
    """
    own = key.private_numbers()
    halves = ((own.p, own.dmp1), (own.q, own.dmq1))
    e, n = own.public_numbers.e, own.public_numbers.n
    return (
        own.p * own.q == n
        and all(1 < p < n and d == own.d % (p - 1) and d * e % (p - 1) == 1 for p, d in halves)
        and own.q * own.iqmp % own.p == 1
    )


def pem_of(key: RSAPrivateKey, secret: bytes | None) -> str:
    encryption = pem.BestAvailableEncryption(secret) if secret else pem.NoEncryption()
    return key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, encryption).decode()


def public_jwk(key: RSAKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "use": "sig", "alg": "RS256", "kid": key.kid}


def add(connection: Connection, ring: KeyRing, signs_from: Any) -> str:
    """Make a key; return its id, which is its thumbprint (RFC 7638)."""
    key = generate_private_key(65537, 2048)
    kid = RSAKey(key, key).thumbprint()
    values = {"kid": kid, "private_pem": pem_of(key, ring.secrets[0]), "signs_from": signs_from}
    connection.execute(insert(signing_keys).values(values))
    return kid


def rotate(connection: Connection, ring: KeyRing, token_life: int, *, at_once: bool) -> str:
    """Add the next key; remove the old ones when their last token has expired, or now."""
    moment: datetime = connection.scalars(select(now())).one()
    starts = moment if at_once else moment + PUBLISHED
    until = moment if at_once else starts + timedelta(seconds=token_life) + GRACE
    verifies = signing_keys.c.verifies_until
    connection.execute(delete(signing_keys).where(verifies <= moment))
    older = update(signing_keys).where(verifies.is_(None) | (verifies > until))
    connection.execute(older.values(verifies_until=until))
    return add(connection, ring, starts)


def rewrap(connection: Connection, ring: KeyRing) -> int:
    """Encrypt every key with the first secret; return how many could be opened."""
    count = 0
    for row in connection.execute(select(signing_keys.c.kid, signing_keys.c.private_pem)).all():
        if key := decrypted(row.private_pem, [*ring.secrets, None]):
            this = update(signing_keys).where(signing_keys.c.kid == row.kid)
            connection.execute(this.values(private_pem=pem_of(key, ring.secrets[0])))
            count += 1
    return count
