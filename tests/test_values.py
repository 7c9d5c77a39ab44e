"""One rule, one place: the questions, the settings and the set-up agree on what a value may be."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

import values
from fastapi_auth0_template.values import audience_fault, domain_fault
from support import refusal, render

Judge = Callable[[str], bool]
KINDS = {
    "domain": values.DOMAIN,
    "audience": values.AUDIENCE,
    "origin": values.ORIGIN,
    "url": values.URL,
}


def cases(*kinds: str) -> pytest.MarkDecorator:
    """Each value of these kinds, and whether it is good."""
    listed = [
        pytest.param(kind, value, judged == "good", id=f"{kind}-{judged}-{number}")
        for kind in kinds
        for judged, of_kind in KINDS[kind].items()
        for number, value in enumerate(of_kind)
    ]
    return pytest.mark.parametrize(("kind", "value", "good"), listed)


@pytest.fixture(scope="module")
def settings(
    plain_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Judge]]:
    """The types of a rendered project's settings."""
    project = render(plain_template, tmp_path_factory.mktemp("values") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(project / "src"))
        module = importlib.import_module("my_api.auth.settings")
        names = {"domain": "Domain", "audience": "Audience", "origin": "Origin", "url": "Url"}
        yield {kind: accepts(getattr(module, name)) for kind, name in names.items()}
        for name in [name for name in sys.modules if name.partition(".")[0] == "my_api"]:
            patch.delitem(sys.modules, name)


def accepts(annotated: Any) -> Judge:
    """Whether pydantic takes a value for this type."""

    def judge(value: str) -> bool:
        try:
            return bool(TypeAdapter(annotated).validate_python(value))
        except ValidationError:
            return False

    return judge


@cases("domain", "audience", "origin", "url")
def test_the_settings_agree(settings: dict[str, Judge], kind: str, value: str, good: bool) -> None:
    assert settings[kind](value) is good


@cases("domain", "audience", "origin")
def test_the_questions_agree(kind: str, value: str, good: bool) -> None:
    """Save for `*`, which only the environment may say: a project does not start open to all."""
    names = {"domain": "auth0_domain", "audience": "auth0_audience", "origin": "cors_origins"}
    assert (refusal(names[kind], value) == "") is good
    assert refusal("cors_origins", "*")


@cases("domain", "audience")
def test_the_set_up_agrees(kind: str, value: str, good: bool) -> None:
    fault = {"domain": domain_fault, "audience": audience_fault}[kind]
    assert (fault(value) is None) is good
