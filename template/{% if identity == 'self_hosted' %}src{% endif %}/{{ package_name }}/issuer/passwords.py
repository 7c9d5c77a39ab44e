"""Passwords: hashed with Argon2id, checked behind a gate, and the rules for new ones.

A hash takes 19 MB and 25 ms of a core. So at most HASH_CONCURRENCY run, in threads of their own,
and logins wait on the event loop without a thread or a connection. Unknown users cost a hash too,
and failures answer after FLOOR: older hashes take another time, which would reveal a user.
"""

import asyncio
import re
import secrets
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path

from argon2 import Parameters, extract_parameters
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from .answers import unavailable

MEMORY, ROUNDS, LANES = 19_456, 2, 1  # OWASP's line for Argon2id; tests lower it
FLOOR = 0.3  # seconds from the gate to the answer of a failed login
WAITING = 256  # at the gate, before 503
MAX_BYTES = 72  # of bcrypt, and so of Auth0
MAX_MEMORY, MAX_WORK, MAX_LANES = 1 << 18, 1 << 20, 16  # of an imported hash: KiB, KiB by rounds
BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}")
PROJECT = __package__.partition(".")[0]
PADDING = "0123456789 !?.,;:*-_+#$%&@"


class Hasher:
    """Makes and verifies hashes; call it in a thread of the gate."""

    def __init__(self, memory: int | None = None) -> None:
        memory = memory or MEMORY
        self.scheme = PasswordHash((Argon2Hasher(ROUNDS, memory, LANES), BcryptHasher()))
        salt, digest = (
            b64encode(secrets.token_bytes(size)).decode().strip("=") for size in (16, 32)
        )
        # The hash of no password: it takes a hash's time to verify, and none to make.
        self.dummy = f"$argon2id$v=19$m={memory},t={ROUNDS},p={LANES}${salt}${digest}"

    def hash(self, password: str) -> str:
        return self.scheme.hash(password)

    def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Return whether it is right, and a new hash if today's parameters differ."""
        try:
            good, better = self.scheme.verify_and_update(password, hashed or self.dummy)
        except (UnknownHashError, ValueError):  # a foreign hash; a value that a scheme cannot hash
            return False, None
        return (good, better) if hashed else (False, None)


class Gate:
    """Lets `concurrency` callers in at a time; further ones wait, or get 503."""

    def __init__(self, concurrency: int) -> None:
        self.hasher = Hasher()
        self.places = asyncio.Semaphore(concurrency)
        self.threads = ThreadPoolExecutor(concurrency, "hash")
        self.inside = 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[float]:
        """Wait for a place; yield the time of entry."""
        if self.inside >= WAITING:
            raise unavailable()
        self.inside += 1
        try:
            async with self.places:
                yield time.monotonic()
        finally:
            self.inside -= 1

    async def hash(self, password: str) -> str:
        """Hash a new password, waiting at the gate like everybody."""
        loop = asyncio.get_running_loop()
        async with self.enter():
            return await loop.run_in_executor(self.threads, self.hasher.hash, password)

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Verify a password, inside the gate; an overlong one is wrong, and takes no longer."""
        loop = asyncio.get_running_loop()
        fits = len(password.encode(errors="replace")) <= MAX_BYTES
        password, hashed = (password, hashed) if fits else ("", None)
        return await loop.run_in_executor(self.threads, self.hasher.verify, password, hashed)

    def close(self) -> None:
        self.threads.shutdown()


async def floor(entered: float) -> None:
    """Wait until FLOOR after the gate was entered; call it outside the gate."""
    await asyncio.sleep(max(0.0, entered + FLOOR - time.monotonic()))


@cache
def common() -> frozenset[str]:
    """Return the blocklist."""
    lines = Path(__file__).with_name("common_passwords.txt").read_text("ascii").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def is_common(password: str) -> bool:
    """Return whether it is one or two entries of the blocklist, with little around them."""
    core = password.strip(PADDING)
    candidates = [password, core] if len(password) - len(core) <= 8 else [password]
    return any(
        text in common()
        or any(text[:cut] in common() and text[cut:] in common() for cut in range(8, len(text) - 7))
        for text in candidates
    )


def problem(password: str, minimum: int, email: str) -> str | None:
    """Return why a new password is refused, or None."""
    text = password.casefold()
    if len(password) < minimum:
        return f"Use at least {minimum} characters"
    try:
        if len(password.encode()) > MAX_BYTES:
            return f"Use at most {MAX_BYTES} bytes"
    except UnicodeEncodeError:
        return "Use whole characters"
    if "\0" in password:
        return "Use no NUL character"
    if any(text.startswith(text[size:]) for size in range(1, len(text) // 2 + 1)):
        return "Use more than one block that repeats"
    if is_common(text):
        return "This password is among the most common ones"
    if any(near(text, name.casefold()) for name in (email, PROJECT)):
        return "Use something other than your e-mail or the name of this service"
    return None


def near(text: str, name: str) -> bool:
    """Return whether it is the name, or its parts and little else."""
    parts = [name, name.partition("@")[0], re.sub(r"[^a-z0-9]", "", name)]
    return any(len(part) >= 4 and part in text and len(text) - len(part) < 8 for part in parts)


def imported(hashed: str) -> str:
    """Return an imported hash, if it can be verified at a bearable cost; else raise ValueError."""
    if BCRYPT.fullmatch(hashed):
        return hashed
    with suppress(ValueError):
        parameters: Parameters = extract_parameters(hashed)
        memory, work = parameters.memory_cost, parameters.memory_cost * parameters.time_cost
        bearable = memory <= MAX_MEMORY and work <= MAX_WORK and parameters.parallelism <= MAX_LANES
        if Argon2Hasher.identify(hashed) and bearable:
            return hashed
    raise ValueError("this kind of password hash is not supported (bcrypt, Argon2 are)")
