"""Good and bad values of Domain, Audience, Origin and Port: one table for all that judge them.

`test_values.py` runs it against the questions, the settings of a project, and the set-up.
"""

PORTS = {"good": ["1", "80", "8443", "65535"], "bad": ["0", "00", "080", "65536", "99999", "port"]}

DOMAIN = {
    "good": [
        "your-tenant.eu.auth0.com",
        "old-tenant.auth0.com",
        "x.jp.auth0.com",
        "login.example.com",
        "login.example.co.uk:8443",
        "auth0.company.example",
        "login.auth0.company.com",
        "localhost:8443",
        "127.0.0.1:3000",
        f"{'a' * 63}.auth0.com",
        *(f"login.example.com:{port}" for port in PORTS["good"]),
        *(f"localhost:{port}" for port in PORTS["good"]),
    ],
    "bad": [
        "https://your-tenant.eu.auth0.com",
        "your-tenant.eu.auth0.com:443",  # the issuer in a token has no port
        "localhost:443",
        f"{'a' * 64}.auth0.com",
        f"login.{'a' * 64}",
        "your-tenant.eu.auth0.com/",
        "your-tenant.eu.auth0.com.",
        "your-tenant.eu.auth0.com\n",
        "your-tenant.eu.auth0.com\r",
        " your-tenant.eu.auth0.com",
        "Your-Tenant.eu.auth0.com",
        '"your-tenant.eu.auth0.com"',
        "'your-tenant.eu.auth0.com'",
        "one.eu.auth0.com,two.eu.auth0.com",
        "your-tenant.eu.auth0.comyour-tenant.eu.auth0.com",
        "one.eu.auth0.comtwo.eu.auth0.com:8443",
        "login.example.comlogin.example.com",
        "your-tenant",
        "localhost",
        "me@example.com",
        "x..auth0.com",
        "x_y.auth0.com",
        "-x.auth0.com",
        "10.0.0.1",
        "münchen.auth0.com",
        "x.auth0.com\u200b",
        *(f"login.example.com:{port}" for port in PORTS["bad"]),
        *(f"localhost:{port}" for port in PORTS["bad"]),
    ],
}

AUDIENCE = {
    "good": [
        "https://api.example.com",
        "https://api.example.com/",
        "https://api.example.com/api/v3/",
        "http://localhost:8000",
        "http://[::1]:8000",
        "urn:my-api",
        "my-api",
        "a" * 33,
        "a" * 600,
    ],
    "bad": [
        " ",
        "my api",
        "https://api.example.com ",
        "https://api.example.com\n",
        "https://api.example.com\r",
        '"https://api.example.com"',
        "'https://api.example.com'",
        '["https://api.example.com"]',
        "https://a.example.com,https://b.example.com",
        "https://my-api.example.comhttps://api.example.com",
        "https://your-tenant.eu.auth0.com/api/v2/",
        "https://your-tenant.eu.auth0.com/api/v2",
        "/api/v2/",
        "https://your-tenant.eu.auth0.com/API/v2/",
        "https://your-tenant.eu.auth0.com/userinfo",  # each token with `openid` is for it
        "[https://api.example.com]",
        "(https://api.example.com)",
        "\u201chttps://api.example.com\u201d",
        "\u2018https://api.example.com\u2019",
        "https://api.example.com\u00ad",
        "https://api.example.com\u061c",
        "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345",
        "https://api/#x",
        "https://api.example.com\u200b",
        "https://api.example.com\u00a0",
        "a" * 601,
    ],
}

ORIGIN = {
    "good": [
        "https://app.example.com",
        "http://localhost:5173",
        "http://127.0.0.1:8080",
        "http://[::1]:5173",
        "https://xn--mnchen-3ya.example",
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://0f2d5b6a-1c3e-4d7f-8a9b-0c1d2e3f4a5b",
        *(f"http://localhost:{port}" for port in PORTS["good"]),
    ],
    "bad": [
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://App.example.com",
        "https://*.example.com",
        '"https://app.example.com"',
        "https://app.example.com\nhttps://b.example.com",
        "https://me@app.example.com",
        "https://münchen.example",
        "https://",
        "://localhost",
        "http://::1",
        "http://[::1",
        "null",
        *(f"http://localhost:{port}" for port in PORTS["bad"]),
    ],
}

# PUBLIC_URL: only in the environment.
URL = {
    "good": [
        "https://api.example.com",
        "https://api.example.com/",
        "https://example.com/api",
        "http://[::1]:8000",
        *(f"https://api.example.com:{port}" for port in PORTS["good"]),
    ],
    "bad": [
        "api.example.com",
        "https://",
        "https://api.example.com?a=b",
        "https://api.example.com/#x",
        '"https://api.example.com"',
        "https://api.example.com\n",
        "https://a b",
        *(f"https://api.example.com:{port}" for port in PORTS["bad"]),
    ],
}
