"""Node: it listens for studies, keeps them, finds lesions when a study is complete, and delivers the results.

Research use only, not for clinical use. Needs the extra ``node``.
"""

from ctpdeploy.service.node.ledger import Delivery, Ledger, Study, StudyState
from ctpdeploy.service.node.node import Node
from ctpdeploy.service.node.settings import NodeConfig, load_node_config

__all__ = ["Delivery", "Ledger", "Node", "NodeConfig", "Study", "StudyState", "load_node_config"]
