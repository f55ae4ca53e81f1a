"""``ctpdeploy node``: what a node has, and what a person does about it."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ctpdeploy.cli.terminal import print_json, print_table, say
from ctpdeploy.errors import InputError, UsageError

if TYPE_CHECKING:
    from ctpdeploy.service.node.ledger import Ledger, Study

__all__ = ["node"]


def node(
    action: Annotated[
        Literal["status", "retry", "purge"],
        typer.Argument(
            help="status: list studies. retry: try again what failed or waits. purge: remove a study, its images and "
            "its results."
        ),
    ],
    settings: Annotated[Path, typer.Argument(metavar="NODE.toml", help="Settings of the node.")],
    study: Annotated[
        str | None, typer.Argument(help="Study, as status names it; retry without one takes all that failed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False,
) -> None:
    """Show the studies of a node, try one again, or remove one; the node may be running or not.

    Nothing that failed is ever removed or tried again unless it is asked for here. Studies are named by a digest of
    their UID: no name of a patient is shown.

    Example: ctpdeploy node status /etc/ctpdeploy/node.toml
    """
    from ctpdeploy.service.node.audit import Audit
    from ctpdeploy.service.node.events import Act, Event, Peer
    from ctpdeploy.service.node.ledger import Ledger, StudyState
    from ctpdeploy.service.node.node import LEDGER, RESULTS, SPOOL
    from ctpdeploy.service.node.retention import purge
    from ctpdeploy.service.node.settings import load_node_config
    from ctpdeploy.service.node.spool import Spool

    config = load_node_config(settings)
    folder = Path(config.folder)
    if not (folder / LEDGER).is_file():
        raise InputError(f"{folder} holds no ledger of a node: start it once by ctpdeploy serve {settings}.")
    ledger = Ledger(folder / LEDGER)
    note = Audit(folder, config.listen.title).note
    if action == "status":
        _show(ledger, study, as_json)
    elif action == "retry":
        keys = [study] if study else [one.key for one in ledger.studies()]
        found = [key for key in keys if ledger.retry(_known(ledger, key).key)]
        for key in found:
            note(Event(act=Act.RETRIED, study=key, peer=Peer(_account())))
        say(f"{len(found)} {'study is' if len(found) == 1 else 'studies are'} tried again.")
    else:
        if study is None:
            raise UsageError("Name the study to remove: ctpdeploy node status shows them.")
        if _known(ledger, study).state in (StudyState.RECEIVING, StudyState.COMPUTING):
            raise UsageError(f"The study {study} is at work: remove it when it is done, or has failed.")
        purge(study, Spool(folder / SPOOL), ledger, folder / RESULTS)
        note(Event(act=Act.REMOVED, study=study, peer=Peer(_account())))
        say(f"The study {study} is removed.")


def _account() -> str:
    """The account of the person, for the audit trail."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a numeric user, as in a container
        return str(os.getuid())


def _known(ledger: "Ledger", key: str) -> "Study":
    study = ledger.study(key)
    if study is None:
        raise InputError(f"There is no study {key}: ctpdeploy node status shows them.")
    return study


def _show(ledger: "Ledger", key: str | None, as_json: bool) -> None:
    studies = [_known(ledger, key)] if key else ledger.studies()
    if as_json:
        print_json({"studies": [_facts(ledger, study) for study in studies]})
        return
    rows = []
    for study in studies:
        deliveries = ledger.deliveries(study=study.key)
        versions = {result.version for result in ledger.results(study.key)}
        rows.append(
            [
                study.key,
                f"{datetime.fromtimestamp(study.received):%Y-%m-%d %H:%M:%S}",
                study.state.value,
                str(study.images or ""),
                study.completeness,
                str(max(versions, default="")),
                ", ".join(f"{one.archive.partition('@')[0]}: {one.state}" for one in deliveries),
            ]
        )
    print_table(["study", "received", "state", "images", "complete by", "version", "deliveries"], rows, words=2)
    for study in studies:
        if study.reason:
            say(f"{study.key}: {study.reason}")
        for one in ledger.deliveries(study=study.key):
            if one.reason:
                say(f"{one.result} to {one.archive}, try {one.tries}: {one.reason}")


def _facts(ledger: "Ledger", study: "Study") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(study),
        "results": [asdict(result) for result in ledger.results(study.key)],
        "deliveries": [asdict(one) for one in ledger.deliveries(study=study.key)],
    }
