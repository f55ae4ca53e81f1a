"""``ctpdeploy warmup``: build engines now, so that inference never waits for one."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctpdeploy.cli.terminal import print_json, print_table, progress, say
from ctpdeploy.cli.verify import KEY_HELP
from ctpdeploy.errors import UsageError

if TYPE_CHECKING:
    from ctpdeploy.runtime.trt import Flavour, WarmEngine

__all__ = ["warmup"]

PORTABLE = "portable"
_STEPS = 100


def warmup(
    bundle: Annotated[Path, typer.Argument(help="Bundle made by ctpdeploy export.")],
    backend: Annotated[
        str, typer.Option(help="What builds: auto, tensorrt or tensorrt-rtx. A name gets that one, never the other.")
    ] = "auto",
    slices: Annotated[
        str, typer.Option(help="Fewest, most likely and most slices that run at once: MIN,OPT,MAX.")
    ] = "1,8,32",
    gpus: Annotated[
        str | None,
        typer.Option(
            help="tensorrt-rtx only: compute capabilities to build for, such as 8.6,8.9, or portable for the "
            "package's own choice. Without it: the GPU that is there, or else portable."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for engines that infer is not to take; by default the user's cache."),
    ] = None,
    require_signature: Annotated[Path | None, typer.Option(help=KEY_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Build the engine of a bundle into the cache and prove its precision, so that infer never waits for it.

    Engines are for one bundle, one version of the package and one kind of GPU; a cached one that fits is used again,
    a damaged or foreign one never. What was warmed up last is what infer takes, from the user's cache folder.

    Example: ctpdeploy warmup demo/demo.ctpbundle --backend tensorrt-rtx
    """
    from ctpdeploy.runtime import Bundle
    from ctpdeploy.runtime.trt import Recipe, choose_flavour, choose_target, keep_choice, user_store, warm_up

    wanted_slices, wanted_gpus = _three(slices), _capabilities(gpus)
    flavour = choose_flavour(backend)
    target = choose_target(flavour, wanted_gpus)
    with progress() as display:
        task = display.add_task("warmup", total=_STEPS, text="")

        def show(text: str, share: float) -> None:
            display.update(task, completed=round(share * _STEPS), text=text)

        with Bundle.open(bundle, require_signature) as opened:
            recipe = Recipe(target=target, slices=wanted_slices, precision=opened.precision)
            store = user_store(cache)
            warm = warm_up(opened, flavour, recipe, store, show)
            if cache is None:
                keep_choice(opened, flavour, recipe, store)
        display.update(task, completed=_STEPS, text="")
    findings = _findings(flavour, warm)
    if as_json:
        print_json(findings)
        return
    if warm.rebuilt_because:
        say(f"Built again. {warm.rebuilt_because}")
    _print(findings)


def _three(text: str) -> tuple[int, int, int]:
    if not re.fullmatch(r"\d+,\d+,\d+", text):
        raise UsageError(f"--slices {text} is not MIN,OPT,MAX: give for example 1,8,32.")
    fewest, likely, most = (int(number) for number in text.split(","))
    return fewest, likely, most


def _capabilities(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    if text == PORTABLE:
        return ()
    if not re.fullmatch(r"\d+\.\d(,\d+\.\d)*", text):
        raise UsageError(f"--gpus {text} are no compute capabilities: give for example 8.6,8.9 or {PORTABLE}.")
    return tuple(text.split(","))


def _findings(flavour: "Flavour", warm: "WarmEngine") -> dict[str, Any]:
    entry = warm.entry
    return {
        "backend": flavour.backend,
        "file": str(entry.file),
        "bytes": len(entry.content),
        "built": warm.built,
        "rebuilt_because": warm.rebuilt_because,
        **entry.facts,
    }


def _print(findings: dict[str, Any]) -> None:
    parts, seconds = findings["ingredients"], findings["seconds"]
    target = parts["target"]
    gpu = target["gpu"]["name"] if target["gpu"] else ", ".join(target["capabilities"]) or PORTABLE
    rows = [
        ["backend", f"{findings['backend']} {parts['version']}"],
        ["for", f"{gpu}, {parts['slices'][0]} to {parts['slices'][-1]} slices"],
        ["precision", f"{parts['precision']}, proved: {_in_words(findings['layers'])}"],
        ["size", f"{findings['bytes'] / 1e6:.1f} MB"],
        ["seconds", f"{seconds['parse']:.1f} to parse, {seconds['build']:.1f} to build"],
        ["from", "this build" if findings["built"] else "the cache, built earlier"],
        ["file", findings["file"]],
    ]
    print_table(["engine", ""], rows, words=2)


def _in_words(layers: dict[str, dict[str, int]]) -> str:
    return ", ".join(
        f"{count} {kind.lower().replace('_', ' ')} {number_format}"
        for kind, counts in layers.items()
        for number_format, count in counts.items()
    )
