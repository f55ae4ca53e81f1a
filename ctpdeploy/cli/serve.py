"""``ctpdeploy serve``: a node beside the scanner."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctpdeploy import INTENDED_USE
from ctpdeploy.cli.interruption import Interruption
from ctpdeploy.cli.options import AnySignature, RequiredSignature, signer_of
from ctpdeploy.cli.terminal import log_to_stderr, print_lines, say
from ctpdeploy.errors import PeerError

if TYPE_CHECKING:
    from ctpdeploy.service.node.settings import NodeConfig

__all__ = ["serve"]


def serve(
    settings: Annotated[Path, typer.Argument(metavar="NODE.toml", help="Settings of the node.")],
    check: Annotated[
        bool, typer.Option("--check", help="Say what the settings would do, try every archive, and stop.")
    ] = False,
    require_signature: RequiredSignature = None,
    no_require_signature: AnySignature = False,
) -> None:
    """Listen for studies, find the lesions in each as soon as it is complete, and deliver the results.

    A study is kept on disk before its sender hears that it was taken, and until its results are delivered; a node that
    was killed goes on where it was. ctpdeploy node status shows what it has. It runs until it is stopped (SIGTERM, or
    Ctrl-C).

    Example: ctpdeploy serve /etc/ctpdeploy/node.toml
    """
    from ctpdeploy.service.node.settings import load_node_config

    config = load_node_config(settings)
    if check:
        _check(config)
        return
    from ctpdeploy.service.node.node import Node

    with log_to_stderr(as_json=config.log == "json"):
        node = Node(config, signer=signer_of(require_signature, no_require_signature))
        listen = config.listen
        say(f"{listen.title} listens on {listen.host}:{node.listener.port}. {INTENDED_USE}")
        if node.page:
            say(f"Its page is at {node.page.address}.")
        try:
            node.run()
        except Interruption:
            say("Stopped. What was received is kept, and is gone on with at the next start.")
            raise


def _check(config: "NodeConfig") -> None:
    """What a configuration would do, in words.

    Raises:
        UsageError, InputError, MissingPackageError: it cannot do it.
        PeerError: an archive does not answer.
    """
    from ctpdeploy.runtime.bundle.bundle import Bundle
    from ctpdeploy.service.c_store import DicomArchive
    from ctpdeploy.service.node.archives import open_archive
    from ctpdeploy.service.node.listener import server_context
    from ctpdeploy.service.node.page.server import read_token

    listen, complete, keep = config.listen, config.complete, config.retention
    server_context(listen)
    if config.page.token_file:
        read_token(config.page.token_file)
    with Bundle.open(config.bundle) as bundle:
        networks = f"{bundle.sha256[:12]}, {bundle.signature}"
    tls = "TLS" if listen.tls_certificate else "no TLS"
    tls += " and certificates of senders" if listen.tls_ca else ""
    senders = ", ".join(f"{one.title} at {one.address}" for one in config.senders)
    print_lines(
        f"Listens as {listen.title} on {listen.host}:{listen.port}, with {tls}.",
        f"Takes studies from {senders}, and from nobody else.",
        f"Keeps them in {config.folder}; settled ones for {keep.days:g} days, {keep.gigabytes:g} GB at most.",
        f"Starts when the images of a study are all there by their number, {complete.settle_s:g} s after the last of a "
        f"full grid, or {complete.quiet_s:g} s after the last of what cannot be counted.",
        f"Finds lesions with {config.bundle} ({networks}) on {config.backend}, with {config.maps} maps.",
    )
    silent = []
    for one in config.archives:
        archive = open_archive(one, listen.title)
        what, answer = ", ".join(one.only) or "all objects", "which is not tried before there is a result"
        if isinstance(archive, DicomArchive):
            try:
                archive.echo()
                answer = "which answers"
            except PeerError as error:
                silent.append(str(error))
                answer = "which does not answer now"
        print_lines(f"Delivers {what} to {archive.address} by {archive.protocol}, {answer}.")
    if not config.archives:
        print_lines("Delivers nothing: results stay in its folder.")
    page = config.page
    if page.port is not None:
        who = "who shows the token, and lets them try again what failed" if page.token_file else "everybody there"
        print_lines(f"Shows a page on {page.host}:{page.port} to {who}.")
    print_lines(INTENDED_USE)
    if silent:
        raise PeerError(" ".join(silent))
