"""Checks for Domains and Audiences; copier.yml and a project's settings accept the same."""

import re

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
PORT = r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
PASTED_TWICE = r".*\.auth0\.com.+\.auth0\.com|(?P<half>.{6,})(?P=half)$"
DOMAIN = re.compile(
    rf"(?!{PASTED_TWICE}|.*:443$)"
    rf"((localhost|127\.0\.0\.1)(?=:)|({LABEL}\.)+(?=[a-z]){LABEL})(:({PORT}))?"
)
OF_AUTH0 = re.compile(r"(https?://[^/]+)?/(api/v2|userinfo)/?", re.IGNORECASE)
CLIENT_ID = re.compile(r"[A-Za-z0-9]{32}")


def domain_fault(domain: str) -> str | None:
    """Say what is wrong with the domain of a tenant and what to type, or return None."""
    if DOMAIN.fullmatch(domain):
        return None
    host = re.sub(r"^[A-Za-z]+://", "", domain.strip())
    host = re.sub(r"(:443)?([/?#].*)?$", "", host).lower()
    if "@" not in domain and DOMAIN.fullmatch(host):
        return f"type the bare host name: {host}"
    return "type the host name of the tenant, such as your-tenant.eu.auth0.com"


def audience_fault(audience: str) -> str | None:
    """Say what is wrong with the identifier of an API, or return None."""
    if not audience or " " in audience or not audience.isprintable():
        return "an identifier must not be empty or contain spaces"
    if OF_AUTH0.fullmatch(audience):
        return "that is an API of Auth0's own; use your own identifier"
    if CLIENT_ID.fullmatch(audience):
        return "that looks like a client id; type the identifier of the API"
    if "," in audience or audience[0] in "([" or re.search("://.*://", audience):
        return "type one identifier, such as https://api.example.com"
    if re.search(r'["\\<>{}#\'`$\xab\xbb\u2018-\u201f]', audience) or len(audience) > 600:
        return "at most 600 characters, none of \" ' \\ < > { } # ` $"
    return None
