"""`move-check`: list the lines to change before a project leaves its own issuer for Auth0."""

from ..console import Console
from ..model import Options
from ..move import project
from ..move.imports import find_uses


def move_check(options: Options, console: Console) -> int:
    """List every use of the issuer with its replacement; return 2 if there is any."""
    found = project.find(options.project)
    access = project.access(found)
    console.report.facts["audience"] = access.audience
    uses = find_uses(found, access)
    for use in uses:
        console.say(f"{use.path}:{use.line}: {use.name}")
        console.say(use.instead, indent=4, hanging=2)
    console.report.changes = [
        {
            "target": f"{use.path}:{use.line}",
            "action": "edit",
            "text": [use.name, use.instead],
        }
        for use in uses
    ]
    console.report.status = "changes" if uses else "unchanged"
    if not uses:
        console.say("Nothing to change: no file of yours uses the issuer.")
        return 0
    console.say()
    console.say("Change these lines, run the tests, then update the project.")
    return 2
