"""``ctpdeploy push``: the DICOM objects of results to an archive."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ctpdeploy import INTENDED_USE
from ctpdeploy.cli.terminal import print_json, print_table, progress, say
from ctpdeploy.errors import BatchError, InputError, PeerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctpdeploy.service import Archive, Commitment, DicomArchive, Instance, Push, WebArchive

__all__ = ["TOKEN", "push"]

TOKEN: Final = "CTPDEPLOY_TOKEN"
"""Variable of the environment with the token of a DICOMweb service."""


def push(
    to: Annotated[
        str, typer.Option(help="The archive: TITLE@HOST:PORT for C-STORE, https://HOST/PATH of a DICOMweb service.")
    ],
    results: Annotated[
        Path | None, typer.Argument(help="Folder that infer wrote, or that of one case in it.", show_default=False)
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(help="Send these objects alone, by the names of their files: segmentation,report for instance."),
    ] = None,
    echo: Annotated[
        bool, typer.Option("--echo", help="Ask TITLE@HOST:PORT whether it answers (C-ECHO), and send nothing.")
    ] = False,
    title: Annotated[
        str | None, typer.Option("--aet", help="AE title by which this machine calls.  [default: CTPDEPLOY]")
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Speak TLS to TITLE@HOST:PORT; so do the other --tls options.")
    ] = False,
    tls_ca: Annotated[
        Path | None, typer.Option(help="PEM of the authority to believe, in place of the system's.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="PEM of the certificate to show, with or without its key.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM of that key, where it is a file of its own.")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the token of a DICOMweb service: a bearer's, or another with its scheme before it, as "
            f"Basic dXNlcjpwYXNz. Default: the variable {TOKEN}."
        ),
    ] = None,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Send without https to other machines too, for all on the way to read.")
    ] = False,
    commit: Annotated[
        bool, typer.Option("--commit/--no-commit", help="Ask for storage commitment, where C-STORE is offered that.")
    ] = True,
    commit_wait: Annotated[float, typer.Option(help="Seconds to wait for the report on it.")] = 10.0,
    commit_port: Annotated[
        int | None, typer.Option(help="Port to await it on too, for archives that know this machine by title and port.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a connection and for each answer.")] = 30.0,
    tries: Annotated[
        int, typer.Option(help="Of what may go well later: no connection, no answer, an archive out of resources.")
    ] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of each object as JSON.")] = False,
) -> None:
    """Send the DICOM objects of results to an archive, and write a receipt beside each report.

    Only results that are whole by their seal are sent, every object as its file holds it; an object sent twice is
    stored once. receipt.json says of each where it went, when, and what the archive answered. What the archive did not
    take ends in exit code 7, in several cases in 3.

    Example: ctpdeploy push results --to PACS@10.0.0.5:104
    """
    from ctpdeploy.service import CommitmentState, DicomArchive, Patience, push_results, results_in

    patience = Patience(tries=tries)
    archive = _archive(
        to,
        {"--aet": title, "--tls": tls, "--commit-port": commit_port, "--echo": echo},
        {"--token-file": token_file, "--plain-http": plain_http},
        (tls_ca, tls_cert, tls_key),
        timeout,
    )
    if echo and isinstance(archive, DicomArchive):
        archive.echo()
        say(f"{archive.address} answers, and lets {archive.title} in; nothing was sent.")
        return
    if results is None:
        raise UsageError("Nothing is named that could be sent: give the folder that ctpdeploy infer wrote.")
    folders, chosen = results_in(results), _names(only)
    with progress() as display:
        task = display.add_task("push", total=None, text="")

        def ask(node: "DicomArchive", stored: "Sequence[Instance]") -> "Commitment":
            words = (
                f"{archive.address} is asked to commit to {len(stored)} objects; its word is awaited {commit_wait:g} s"
            )
            display.update(task, text=words, milestone=True)
            return node.commit(stored, wait=commit_wait, port=commit_port)

        def show(name: str, done: int, total: int) -> None:
            display.update(task, total=total, completed=done, text=f"{name}: {done} of {total} objects")

        asking = partial(ask, archive) if commit and isinstance(archive, DicomArchive) else None
        pushed = push_results(folders, archive, only=chosen, commit=asking, patience=patience, on_object=show)
    if as_json:
        print_json(_facts(pushed, archive))
    elif pushed.deliveries:
        _print(pushed, archive)
    _say(pushed)
    if pushed.commitment.state is CommitmentState.ASKED:
        _say_asked(commit_wait, commit_port)
    _raise(pushed, len(folders), archive)


def _archive(
    to: str,
    dicom: dict[str, Any],
    web: dict[str, Any],
    tls: tuple[Path | None, Path | None, Path | None],
    timeout: float,
) -> "DicomArchive | WebArchive":
    """The archive at an address.

    Args:
        to: address.
        dicom: options of C-STORE alone, by their names.
        web: those of STOW-RS.
        tls: authority, certificate and key.
        timeout: s.
    """
    from ctpdeploy.service import DicomAddress, DicomArchive, WebArchive, client_context, parse_address
    from ctpdeploy.service.c_store import TITLE

    address = parse_address(to)
    strangers = web if isinstance(address, DicomAddress) else dicom
    if stranger := next((name for name, value in strangers.items() if value not in (None, False)), None):
        raise UsageError(f"{stranger} means nothing to {address}: leave it out, or give an address of the other kind.")
    if not timeout > 0:
        raise UsageError("Nobody answers in no time: give --timeout more than 0 seconds.")
    if isinstance(address, DicomAddress):
        context = client_context(*tls) if dicom["--tls"] or any(tls) else None
        return DicomArchive(address, title=dicom["--aet"] or TITLE, tls=context, timeout=timeout)
    token = _token(web["--token-file"])
    return WebArchive(address, token=token, tls=client_context(*tls), timeout=timeout, plain=web["--plain-http"])


def _names(only: str | None) -> frozenset[str] | None:
    """Names of files of objects, without their ending."""
    from ctpdeploy.runtime.report.dicom.writer import DICOM_FILE

    if only is None:
        return None
    names = frozenset(name.strip().removesuffix(".dcm") for name in only.split(","))
    if strange := sorted(name for name in names if not DICOM_FILE.fullmatch(f"{name}.dcm")):
        raise UsageError(
            f"'{strange[0]}' is no object that infer writes: give --only names of files in the folder "
            "dicom of a case, as segmentation,report."
        )
    return names


def _token(file: Path | None) -> str:
    if file is None:
        return os.environ.get(TOKEN, "")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} holds no token that can be read: give a file with one line of text.") from error


def _print(pushed: "Push", archive: "Archive") -> None:
    rows = [
        [
            name,
            str(len(one.outcomes)),
            str(len(one.stored)),
            str(sum(bool(out.remark) for out in one.stored)),
            one.commitment.state,
        ]
        for name, one in pushed.deliveries.items()
    ]
    print_table(["case", "objects", "stored", "with warnings", "commitment"], rows)
    say(f"Sent to {archive.address} by {archive.protocol}; receipt.json of each case says more. {INTENDED_USE}")


def _say(pushed: "Push") -> None:
    """What is no failure, and still worth a line."""
    for name, one in pushed.deliveries.items():
        if warnings := dict.fromkeys(f"{out.remark} ({out.status})" for out in one.stored if out.remark):
            say(f"Warning: {name}: stored with a warning ({'; '.join(warnings)}).")
        if one.known:
            say(
                f"Warning: {name}: {len(one.known)} objects were stored there before with other content under the same "
                "UIDs; an archive may keep the first and say nothing."
            )
    if pushed.without_dicom:
        names = ", ".join(pushed.without_dicom)
        say(f"Without DICOM objects to send: {names}. ctpdeploy infer writes them of DICOM studies.")
    if pushed.commitment.remark and not pushed.commitment.failed:
        say(f"Warning: storage commitment {pushed.commitment.state}: {pushed.commitment.remark}")


def _say_asked(wait: float, port: int | None) -> None:
    """What an archive's silence on commitment may come from."""
    hint = (
        "one that brings it by an association of its own needs --commit-port, and this machine's title, host and port"
        if port is None
        else f"check that it knows this machine's title and host, and port {port}"
    )
    say(
        f"The objects are stored; no word on commitment came within {wait:g} s: the archive may give it later, or "
        f"{hint}."
    )


def _raise(pushed: "Push", cases: int, archive: "Archive") -> None:
    """End with an error where something is not at the archive."""
    failures = pushed.failures
    if not pushed.deliveries and not failures:
        raise InputError(
            "None of the results has DICOM objects to send: let ctpdeploy infer write them, of DICOM studies."
        )
    if not failures:
        return
    of_archive = [error for error in pushed.refused.values() if isinstance(error, PeerError)]
    if of_archive and not pushed.deliveries:  # a fault of no case
        raise of_archive[0]
    if cases == 1:
        raise next(iter(pushed.refused.values()), None) or PeerError(*failures.values())
    for case, sentence in failures.items():
        say(f"Error: {case}: {sentence}")
    raise BatchError(
        f"{len(failures)} of {cases} cases failed ({', '.join(failures)}); the others are in {archive.address}."
    )


def _facts(pushed: "Push", archive: "Archive") -> dict[str, Any]:
    return {
        "to": archive.address,
        "protocol": archive.protocol,
        "cases": {name: one.to_json() for name, one in pushed.deliveries.items()},
        "without_dicom": list(pushed.without_dicom),
        "failed": pushed.failures,
    }
