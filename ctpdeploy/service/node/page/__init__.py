"""Page: the node to look at, in a browser, for Prometheus and for whoever asks whether it lives.

Research use only, not for clinical use. Needs the extra ``node``.
"""

from ctpdeploy.service.node.page.server import PageServer

__all__ = ["PageServer"]
