"""The routes: every module of this folder that has a `router` is part of the API. A new module needs no other edit."""

import pkgutil
from importlib import import_module

from fastapi import FastAPI


def include_all(app: FastAPI) -> None:
    """Include the `router` of each module of this folder, in the order of their names."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        app.include_router(import_module(f"{__name__}.{module.name}").router)
