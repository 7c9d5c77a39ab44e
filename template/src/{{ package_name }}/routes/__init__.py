"""Discovers the routes: includes the `router` of each module here, so that new ones just work.

A module whose name begins with an underscore is left out.
"""

import pkgutil
from importlib import import_module

from fastapi import APIRouter, FastAPI


def include_all(app: FastAPI) -> None:
    """Include the `router` of each module in this folder, in the order of their names."""
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        if not name.startswith("_"):
            module = import_module(f"{__name__}.{name}")
            if not isinstance(getattr(module, "router", None), APIRouter):
                raise TypeError(f"{module.__file__} has no router: add one, or call it _{name}.py")
            app.include_router(module.router)
