"""Service: results on their way to an archive, and what became of each object.

Research use only, not for clinical use. Needs the extra ``node``.
"""

from ctpdeploy.service.address import DicomAddress, WebAddress, parse_address
from ctpdeploy.service.archive import Archive, Outcome, State
from ctpdeploy.service.c_store import DicomArchive
from ctpdeploy.service.commitment import Commitment, CommitmentState
from ctpdeploy.service.connection import client_context
from ctpdeploy.service.delivery import Patience, send
from ctpdeploy.service.instance import Instance, read_instance
from ctpdeploy.service.push import Push, push_results
from ctpdeploy.service.receipt import Delivery
from ctpdeploy.service.results import results_in
from ctpdeploy.service.stow import WebArchive

__all__ = [
    "Archive",
    "Commitment",
    "CommitmentState",
    "Delivery",
    "DicomAddress",
    "DicomArchive",
    "Instance",
    "Outcome",
    "Patience",
    "Push",
    "State",
    "WebAddress",
    "WebArchive",
    "client_context",
    "parse_address",
    "push_results",
    "read_instance",
    "results_in",
    "send",
]
