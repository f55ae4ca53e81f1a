"""``ctpdeploy warmup``: what takes long is done and measured once, so that inference waits for nothing."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctpdeploy.cli.options import AnySignature, RequiredSignature, signer_of
from ctpdeploy.cli.terminal import print_json, print_lines, print_table, progress, say
from ctpdeploy.errors import UsageError

if TYPE_CHECKING:
    from ctpdeploy.runtime.backends.trt import TensorRTPackage, WarmEngine
    from ctpdeploy.runtime.bundle.trust import Signer

__all__ = ["warmup"]

PORTABLE = "portable"
_STEPS = 100


def warmup(
    bundle: Annotated[Path, typer.Argument(help="Bundle made by ctpdeploy export.")],
    backend: Annotated[
        str,
        typer.Option(
            help="auto measures all backends; tensorrt or tensorrt-rtx builds that engine and measures nothing."
        ),
    ] = "auto",
    slices: Annotated[
        str | None,
        typer.Option(help="Of an engine: fewest, most likely and most slices at once. Default: 1,8,32."),
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option(
            help="tensorrt-rtx only: compute capabilities to build for, such as 8.6,8.9, or portable for the "
            "package's own choice. Without it: the GPU that is there, or else portable."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for engines that infer is to leave alone. Default: the user's cache."),
    ] = None,
    require_signature: RequiredSignature = None,
    no_require_signature: AnySignature = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Prepare this machine for a bundle: build engines, pass the gate with every backend, and find the fastest.

    What is found is kept in the user's cache: infer then takes the fastest by itself, and waits for no engine. An
    engine is for one bundle, one version of the package and one kind of GPU; a cached one that fits is used again, a
    damaged or foreign one never. What was warmed up last is what infer takes.

    Example: ctpdeploy warmup demo/demo.ctpbundle
    """
    signer = signer_of(require_signature, no_require_signature)
    given = {"--slices": slices, "--gpus": gpus, "--cache": cache}
    if backend != "auto":
        _build(bundle, backend, slices or "1,8,32", gpus, cache, signer=signer, as_json=as_json)
    elif options := [name for name, value in given.items() if value is not None]:
        raise UsageError(f"{' and '.join(options)} shape an engine: name the one to build with --backend.")
    else:
        _rank(bundle, signer=signer, as_json=as_json)


def _rank(bundle: Path, *, signer: "Signer", as_json: bool) -> None:
    """Measure all backends that can run here, and remember."""
    from ctpdeploy.runtime import Bundle
    from ctpdeploy.runtime.backends.registry import packages
    from ctpdeploy.runtime.backends.timings import remember, require_cache
    from ctpdeploy.runtime.gate.backend_ranking import rank_backends

    require_cache()
    with _shown() as show, Bundle.open(bundle, signer) as opened:
        ranking = rank_backends(opened, show)
        file = remember(opened, ranking.speeds, packages())
    seconds = ranking.speeds.seconds
    if as_json:
        trials = {name: dataclasses.asdict(trial) for name, trial in ranking.trials.items()}
        print_json({"seconds_per_slice": seconds, "gate": trials, "refused": ranking.refused, "file": str(file)})
        return
    fastest = next(iter(seconds))
    rows = [
        [name, f"{value:.3g}", f"{value / seconds[fastest]:.2f}", f"{ranking.trials[name].times_eager:.3g}"]
        for name, value in seconds.items()
    ]
    print_table(["backend", "s a slice", "times the fastest", "times eager's error"], rows)
    if ranking.refused:
        print_lines("")
        print_table(["other backends", ""], [[name, why] for name, why in ranking.refused.items()], words=2)
    say(f"From now on --backend auto takes {fastest} for this bundle on this machine ({file}).")


def _build(
    bundle: Path, backend: str, slices: str, gpus: str | None, cache: Path | None, *, signer: "Signer", as_json: bool
) -> None:
    """Build one engine, also for GPUs that are not here."""
    from ctpdeploy.runtime import Bundle
    from ctpdeploy.runtime.backends.trt import (
        BuildOptions,
        choose_package,
        choose_target,
        remember_build_options,
        user_engine_cache,
        warm_up,
    )

    wanted_slices, wanted_gpus = _three(slices), _capabilities(gpus)
    package = choose_package(backend)
    target = choose_target(package, wanted_gpus)
    engines = user_engine_cache(cache)
    engines.require_room()
    with _shown() as show, Bundle.open(bundle, signer) as opened:
        options = BuildOptions(target=target, slices=wanted_slices, precision=opened.precision)
        warm = warm_up(opened, package, options, engines, show)
        if cache is None:
            remember_build_options(opened, package, options, engines)
    findings = _findings(package, warm)
    if as_json:
        print_json(findings)
        return
    if warm.rebuilt_because:
        say(f"Built again. {warm.rebuilt_because}")
    _print(findings)


@contextmanager
def _shown() -> Iterator[Callable[[str, float], None]]:
    """A progress bar, as a function of the step under way and the share that is done."""
    with progress() as display:
        task = display.add_task("warmup", total=_STEPS, text="")
        yield lambda text, share: display.update(task, completed=round(share * _STEPS), text=text)
        display.update(task, completed=_STEPS, text="")


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


def _findings(package: "TensorRTPackage", warm: "WarmEngine") -> dict[str, Any]:
    entry = warm.entry
    return {
        "backend": package.backend,
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
