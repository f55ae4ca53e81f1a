"""``ctpdeploy verify``: whether a bundle is whole, safe to open, and its maker's."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctpdeploy.cli.options import AnySignature, RequiredSignature, signer_of, with_emulator
from ctpdeploy.cli.terminal import print_json, print_table, say

if TYPE_CHECKING:
    from ctpdeploy.runtime.gate.inspection import Repeated
    from ctpdeploy.runtime.gate.verification import Comparison

__all__ = ["print_trials", "verify"]


def verify(
    bundle: Annotated[Path, typer.Argument(help="Bundle made by ctpdeploy export: a folder or a zip.")],
    require_signature: RequiredSignature = None,
    no_require_signature: AnySignature = False,
    backend: Annotated[
        str,
        typer.Option(
            help="What passes the gate again: auto, or a name, and then no other.",
            callback=with_emulator,
        ),
    ] = "auto",
    gate: Annotated[
        bool, typer.Option("--gate/--no-gate", help="Run the networks on the slices that travel in the bundle.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check a bundle: manifest, SHA-256 of every file, signature, graphs, and the gate again on this machine.

    The gate compares what preprocessing makes of a raw case, each network and the whole chain with what was found when
    the bundle was made, in float64. A bundle that is refused ends in one sentence and exit code 4; one whose gate does
    not hold, in exit code 6.
    Hashes find accidents. Only a signature, checked with a key that came another way, says who made the bundle.

    Example: ctpdeploy verify first.ctpbundle --key maker.pub
    """
    from ctpdeploy.runtime.gate.inspection import inspect_bundle, repeat_gate

    signer = signer_of(require_signature, no_require_signature)
    findings = inspect_bundle(bundle, signer)
    passed = repeat_gate(bundle, backend, signer) if gate else None
    if as_json:
        print_json({**findings, **_figures(passed)})
    else:
        rows = [[name, file["sha256"][:16], f"{file['bytes']:,}"] for name, file in findings["files"].items()]
        print_table(["file", "SHA-256", "bytes"], rows, words=2)
        say(_card(findings))
        say(f"SHA-256 of the bundle, as reports name it: {findings['sha256']}")
        say(f"{bundle} is whole, and {findings['gate_checks']} checks of its gate held. {_signature(findings)}")
        if passed is not None:
            print_trials(passed.trials)
            say(_raw_case(passed))


def _card(findings: dict[str, Any]) -> str:
    """Sentences on what the networks were trained on and reached."""
    card, drawn = findings["card"], f"Lesion is drawn above a probability of {findings['threshold']:.2f}"
    if card is None:
        return f"{drawn}. No model card is in the bundle: export it again."
    kinds = {"phantom": "synthetic patients", "patients": "patients", "mixed": "synthetic patients among others"}
    counts = ", ".join(f"{count} {part}" for part, count in card["patients"].items()) or "numbers not recorded"
    facts = [f"Trained on {kinds.get(card['kind'], 'data of a kind that nobody stated')} ({counts})"]
    if volumes := card["lesion_ml"].get("train"):
        facts.append(f"lesions of {volumes[0]:.4g} to {volumes[4]:.4g} ml, median {volumes[2]:.4g}")
    ranges = {"slice_mm": "slices of {} mm", "pixel_mm": "pixels of {} mm", "frame_interval_s": "frames every {} s"}
    facts += [words.format(_range(card[name])) for name, words in ranges.items() if card[name]]
    dice = card["validation_dice"]
    reached = "not validated" if dice is None else f"mean validation Dice {dice:.3f}"
    warning = "" if card["reaches_floor"] else ", which is of no use"
    found = f", found on {card['threshold_from']} cases" if card["threshold_from"] else ""
    return f"{'; '.join(facts)}. {drawn}{found}: {reached}{warning}."


def _range(values: list[float]) -> str:
    return " to ".join(dict.fromkeys(f"{value:.3g}" for value in values))


def _figures(passed: "Repeated | None") -> dict[str, Any]:
    """What was measured, ready for JSON."""
    if passed is None:
        return {"gate": [], "preprocessing": None, "raw_case": None}
    gate, preprocessing, case = dataclasses.asdict(passed).values()
    return {"gate": gate, "preprocessing": preprocessing, "raw_case": case}


def _raw_case(passed: "Repeated") -> str:
    """A sentence on what surrounds the networks."""
    if passed.preprocessing is None or passed.case is None:
        return "No raw case is in the bundle, so the gate does not cover preprocessing: export the bundle again."
    inputs, maps = (max(found.values()) for found in (passed.preprocessing.inputs, passed.preprocessing.maps))
    return (
        f"Preprocessing makes of the raw case what it made at export (inputs to {inputs:.1g}, maps to {maps:.1g} of "
        f"themselves), and {passed.case.backend} draws the same mask from its voxels on."
    )


def print_trials(trials: "Iterable[Comparison]") -> None:
    """Print the measurements of the gate, a line for each candidate."""
    rows = [
        [
            trial.candidate,
            f"{trial.times_eager:.3g}",
            str(trial.flips),
            f"{trial.dice:.5f}",
        ]
        for trial in trials
    ]
    print_table(["gate", "times eager's error", "labels flipped", "Dice"], rows)


def _signature(findings: dict[str, Any]) -> str:
    """A sentence on the signature."""
    if signer := findings["signed_by"]:
        return f"The signature holds, with the key {signer['name']} (SHA-256 {signer['sha256']})."
    if findings["signature"] == "none":
        return "It is not signed, so nothing says who made it."
    return "It is signed; give --key to check by whom."
