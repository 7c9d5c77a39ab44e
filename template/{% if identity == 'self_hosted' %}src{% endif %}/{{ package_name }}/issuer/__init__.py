"""This API as its own issuer: users, passwords, sessions, signing keys, roles.

Read it in this order: models, keys, passwords, limits, sessions, links, users, roles, app, current,
and the routes. Your routes use the names exported here; `main.py` uses `app.Issuer`.
"""

from .current import (
    ActiveUser,
    AdminUser,
    CurrentUser,
    RoleChecker,
    allow_admin,
    allow_moderator,
    check_owner,
    current_user,
)
from .roles import Role
from .users import User

__all__ = [
    "ActiveUser",
    "AdminUser",
    "CurrentUser",
    "Role",
    "RoleChecker",
    "User",
    "allow_admin",
    "allow_moderator",
    "check_owner",
    "current_user",
]
