"""Take the picture of docs/set-up.md: python tests/setup/recording.py PICTURE.

It is what `setup` and the same again really print for a rendered project, with the stand-in
executable and the tenant on loopback, which the picture gives the name of a tenant.
"""

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import trustme
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from setup.loopback_tenant import LoopbackTenant
from setup.workbench import Machine
from support import AUTOMATIC, copy_working_tree, render

SHOWN = [["setup", "--yes", "--test-app"], ["setup", "--test-app"]]
# Without the fonts that a reader's machine would have to fetch.
FORMAT = re.sub(r"@font-face {{.*?}}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def main(picture: Path) -> None:
    """Run the commands on a machine of their own and draw what they print."""
    console = Console(record=True, width=80, file=io.StringIO())
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder, LoopbackTenant(authority) as tenant:
        certificates = Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(str(certificates))
        machine = Machine(Path(folder) / "machine", tenant, certificates)
        template = copy_working_tree(Path(folder) / "template")
        render(template, machine.project, AUTOMATIC)
        machine.use("cli")
        for arguments in SHOWN:
            console.print(f"$ uv run scripts/tenant.py {' '.join(arguments)}", style="bold")
            done = subprocess.run(
                machine.argv(*arguments),
                cwd=machine.project,
                env=machine.env(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            said = done.stdout.replace(tenant.domain, "acme.eu.auth0.com")
            console.print(said, markup=False, highlight=False)
    console.save_svg(str(picture), title="The set-up, twice", code_format=FORMAT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
