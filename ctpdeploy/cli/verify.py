"""``ctpdeploy verify``: whether a bundle is whole, safe to open, and its maker's."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ctpdeploy.cli.terminal import print_json, print_table, say

__all__ = ["KEY_HELP", "verify"]

KEY_HELP = "Public key (PEM) of whoever has to have signed the bundle; without it, unsigned bundles will do."


def verify(
    bundle: Annotated[Path, typer.Argument(help="Bundle made by ctpdeploy export: a folder or a zip.")],
    key: Annotated[Path | None, typer.Option("--key", "--require-signature", help=KEY_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check a bundle without running it: manifest, SHA-256 of every file, signature, graphs, the gate's record.

    A bundle that is refused ends in one sentence and exit code 4; one whose gate did not hold, in exit code 6.
    Hashes find accidents. Only a signature, checked with a key that came another way, says who made the bundle.

    Example: ctpdeploy verify first.ctpbundle --key maker.pub
    """
    from ctpdeploy.runtime.inspection import inspect_bundle

    findings = inspect_bundle(bundle, key)
    if as_json:
        print_json(findings)
        return
    rows = [[name, file["sha256"][:16], f"{file['bytes']:,}"] for name, file in findings["files"].items()]
    print_table(["file", "SHA-256", "bytes"], rows, words=2)
    say(f"{bundle} is whole, and {findings['gate_checks']} checks of its gate held. {_signature(findings)}")


def _signature(findings: dict[str, Any]) -> str:
    """What is known of the signature."""
    return {
        "holds": "The signature holds.",
        "not checked": "It is signed; give --key to check by whom.",
        "none": "It is not signed, so nothing says who made it.",
    }[findings["signature"]]
