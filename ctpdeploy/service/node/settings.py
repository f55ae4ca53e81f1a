"""Settings of a node, as NODE.toml gives them."""

import ipaddress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ctpdeploy.config import load
from ctpdeploy.errors import UsageError
from ctpdeploy.service.address import WebAddress, parse_address, require_title

__all__ = [
    "ArchiveConfig",
    "CompleteConfig",
    "LimitConfig",
    "ListenConfig",
    "NodeConfig",
    "PageConfig",
    "RetentionConfig",
    "SenderConfig",
    "load_node_config",
]


@dataclass(frozen=True, kw_only=True)
class ListenConfig:
    """Where and as what the node listens.

    Attributes:
        title: its AE title; a sender that calls another is rejected.
        host: address to listen on.
        port: 0 for any that is free.
        tls_certificate: PEM of the certificate to show; empty to speak without TLS.
        tls_key: PEM of its private key; empty where it is in the same file.
        tls_ca: PEM of the authorities whose certificates senders must show; empty to ask for none.
    """

    title: str = "CTPDEPLOY"
    host: str = "127.0.0.1"
    port: int = 11112
    tls_certificate: str = ""
    tls_key: str = ""
    tls_ca: str = ""

    def __post_init__(self) -> None:
        require_title(self.title)
        if not 0 <= self.port <= 65535:
            raise UsageError(f"'port' is {self.port}: it must be 1 to 65535, or 0 for any that is free.")
        if (self.tls_key or self.tls_ca) and not self.tls_certificate:
            raise UsageError("'tls_key' or 'tls_ca' is given and 'tls_certificate' is not: a node shows a certificate.")


@dataclass(frozen=True, kw_only=True)
class SenderConfig:
    """A machine that is let in: by its title *and* its address.

    Attributes:
        title: AE title by which it calls.
        address: its IP address, or a network, as ``10.0.0.0/24``.
    """

    title: str
    address: str

    def __post_init__(self) -> None:
        require_title(self.title)
        try:
            ipaddress.ip_network(self.address)
        except ValueError as error:
            raise UsageError(
                f"The sender {self.title} has the address '{self.address}', which is none: give its IP address, or a "
                "network as 10.0.0.0/24."
            ) from error


@dataclass(frozen=True, kw_only=True)
class ArchiveConfig:
    """An archive that results are delivered to.

    Attributes:
        address: ``TITLE@HOST:PORT``, or the URL of a DICOMweb service.
        only: names of the objects that are sent, as ``segmentation``; none for all.
        title: AE title by which the node calls it; empty for that by which it listens.
        tls: speak TLS to ``TITLE@HOST:PORT``.
        tls_ca: PEM of the authority to believe; empty for the system's.
        tls_certificate: PEM of the certificate to show; empty for none.
        tls_key: PEM of its private key; empty where it is in the same file.
        token_file: file with the token of a DICOMweb service; empty for none.
        plain_http: send without https to another machine too.
        timeout_s: to wait for a connection and for each answer.
        give_up_days: after which a delivery that never went well is left to a person.
    """

    address: str
    only: tuple[str, ...] = ()
    title: str = ""
    tls: bool = False
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    token_file: str = ""
    plain_http: bool = False
    timeout_s: float = 30.0
    give_up_days: float = 7.0

    def __post_init__(self) -> None:
        found = parse_address(self.address)
        if isinstance(found, WebAddress) and not (found.secure or found.local or self.plain_http):
            raise UsageError(
                f"Patients' data would travel to {self.address} for all on the way to read: give an https:// address, "
                "or plain_http = true."
            )
        require_positive(self, "timeout_s", "give_up_days")


@dataclass(frozen=True, kw_only=True)
class CompleteConfig:
    """When a study is complete (:mod:`ctpdeploy.service.node.arrival`).

    Attributes:
        settle_s: after the last image of a series whose grid is full, when its sender has hung up.
        quiet_s: after the last image of a study that cannot be counted.
    """

    settle_s: float = 2.0
    quiet_s: float = 30.0

    def __post_init__(self) -> None:
        require_positive(self, "settle_s", "quiet_s")


@dataclass(frozen=True, kw_only=True)
class LimitConfig:
    """What one sender may take of the node.

    Attributes:
        connections: open at once, of all senders.
        connections_of_sender: open at once, of one address.
        instance_mb: size of one object.
        study_images: instances of one study.
        stalled_s: without a byte, or behind the slowest line that is waited for, after which a connection is cut.
        free_mb: of the disk, under which nothing more is taken.
    """

    connections: int = 32
    connections_of_sender: int = 8
    instance_mb: int = 2048
    study_images: int = 50_000
    stalled_s: float = 30.0
    free_mb: int = 2048

    def __post_init__(self) -> None:
        require_positive(self, "connections", "connections_of_sender", "instance_mb", "study_images", "stalled_s")


@dataclass(frozen=True, kw_only=True)
class RetentionConfig:
    """How long what is delivered, or needs no delivery, is kept.

    Attributes:
        days: after a study's last change.
        gigabytes: of images and results; beyond it the oldest that are settled go first.
    """

    days: float = 7.0
    gigabytes: float = 50.0

    def __post_init__(self) -> None:
        require_positive(self, "days", "gigabytes")


@dataclass(frozen=True, kw_only=True)
class PageConfig:
    """The page of the node, its metrics and its health (:mod:`ctpdeploy.service.node.page`).

    Attributes:
        port: 0 for any that is free; without one there is no page.
        host: IP address to listen on.
        names: further names by which it is asked, as that of a proxy before it.
        token_file: file with the token that every request must show; empty for none, and nobody can change anything.
    """

    port: int | None = None
    host: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    token_file: str = ""

    def __post_init__(self) -> None:
        if self.port is not None and not 0 <= self.port <= 65535:
            raise UsageError(f"'port' of [page] is {self.port}: it must be 1 to 65535, or 0 for any that is free.")
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError as error:
            raise UsageError(f"'host' of [page] is '{self.host}': give an IP address, as 127.0.0.1.") from error
        if not address.is_loopback and not self.token_file:
            raise UsageError(
                f"Everybody who reaches {self.host} would see the page: give a token_file in [page], or host = "
                '"127.0.0.1".'
            )


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """A node.

    Attributes:
        bundle: path of the networks.
        folder: where images, results and the ledger are kept; of this node alone.
        backend: of the networks, as ``ctpdeploy infer --backend``.
        maps: whether perfusion maps that come with a study are used, as ``ctpdeploy infer --maps``.
        listen: where.
        senders: who may send; nobody else is let in.
        archives: where results go; none to keep them in ``folder``.
        complete: when a study is.
        limits: of senders.
        retention: of what is settled.
        page: to look at.
        log: of ``ctpdeploy serve`` on stderr, as lines of text or of JSON.
    """

    bundle: str = ""
    folder: str = ""
    backend: str = "auto"
    maps: Literal["given", "computed"] = "given"
    listen: ListenConfig = field(default_factory=ListenConfig)
    senders: tuple[SenderConfig, ...] = ()
    archives: tuple[ArchiveConfig, ...] = ()
    complete: CompleteConfig = field(default_factory=CompleteConfig)
    limits: LimitConfig = field(default_factory=LimitConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    page: PageConfig = field(default_factory=PageConfig)
    log: Literal["text", "json"] = "text"


def load_node_config(file: Path) -> NodeConfig:
    """The settings in a file; paths in them are taken from where it lies.

    Raises:
        UsageError: it cannot be read, a key is unknown or a value is of the wrong kind, something that a node needs is
            not in it, or two archives have one address.
    """
    config = load(NodeConfig(), file)
    lacks = [name for name in ("bundle", "folder", "senders") if not getattr(config, name)]
    if lacks:
        raise UsageError(f"{file} does not give {' and '.join(lacks)}: a node needs bundle, folder and [[senders]].")
    addresses = [str(parse_address(archive.address)) for archive in config.archives]
    if twice := {one for one in addresses if addresses.count(one) > 1}:
        raise UsageError(f"{file} gives the archive {min(twice)} twice: name it once.")
    here = file.absolute().parent

    def path(text: str) -> str:
        return str(here / text) if text else ""

    listen = config.listen
    return replace(
        config,
        bundle=path(config.bundle),
        folder=path(config.folder),
        listen=replace(
            listen,
            tls_certificate=path(listen.tls_certificate),
            tls_key=path(listen.tls_key),
            tls_ca=path(listen.tls_ca),
        ),
        page=replace(config.page, token_file=path(config.page.token_file)),
        archives=tuple(
            replace(
                one,
                tls_ca=path(one.tls_ca),
                tls_certificate=path(one.tls_certificate),
                tls_key=path(one.tls_key),
                token_file=path(one.token_file),
            )
            for one in config.archives
        ),
    )


def require_positive(config: object, *names: str) -> None:
    """Refuse settings that are not above 0.

    Raises:
        UsageError: one is not.
    """
    for name in names:
        if not getattr(config, name) > 0:
            raise UsageError(f"'{name}' is {getattr(config, name)}: it must be more than 0.")
