"""Mail: short plain texts by SMTP. A server that refuses only causes one line in the log."""

import asyncio
import logging
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid, parseaddr
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib

from ..auth.refusals import warn
from .answers import event_line

PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
LONGEST, ANSWER = 30.0, 20.0  # seconds for one mail; for one answer, also to the QUIT after it
POLICY = SMTP.clone(max_line_length=998)  # RFC 5322 2.1.1: a link stays in one line
log = logging.getLogger(__name__)

NOT_YOU = "If you did not ask for this, you need not do anything."
LINKS = {
    "reset": ("Set your password", "Set a new password here, once:"),
    "verify": ("Confirm your e-mail address", "Confirm that this address is yours:"),
    "change": ("Confirm your new e-mail address", "Confirm that this address is yours:"),
}
NOTES = {
    "registered": (
        "You have an account already",
        "Somebody, perhaps you, tried to register with this address.",
        "You have an account already: log in, or ask for a link that sets a new password.",
    ),
    "changing": (
        "Your e-mail address is about to change",
        "Somebody who knows your password asked to use another e-mail address for your account.",
        "If that was not you, set a new password now: it stops the change.",
    ),
}


class Mail:
    """Sends through the server of SMTP_URL."""

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        self.sender = sender
        self.server: dict[str, Any] = {
            "hostname": parts.hostname,
            "port": parts.port or PORTS[parts.scheme],
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "timeout": ANSWER,
            "use_tls": parts.scheme == "smtps",
            "start_tls": parts.scheme == "smtp+starttls",  # required, or never tried
        }

    async def link(self, to: str, context: str, url: str) -> None:
        await self.send(to, *LINKS[context], url, NOT_YOU)

    async def note(self, to: str, about: str) -> None:
        await self.send(to, *NOTES[about])

    async def send(self, to: str, subject: str, *paragraphs: str) -> None:
        """Send one mail. Raise nothing; log the fault without address or text."""
        message = EmailMessage(POLICY)
        message["From"], message["To"], message["Subject"] = self.sender, to, subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=parseaddr(self.sender)[1].rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply, please
        message.set_content("\n\n".join(paragraphs) + "\n")
        try:
            async with asyncio.timeout(LONGEST):
                await aiosmtplib.send(message, **self.server)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            code = getattr(error, "code", None)
            warn(log, event_line("mail_failed", email=to, error=type(error).__name__, code=code))
