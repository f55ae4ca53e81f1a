"""The networks of the pipeline and their checkpoints; of training the exporter imports these alone."""

from ctpdeploy.train.networks.chain import Chain
from ctpdeploy.train.networks.checkpoint import Network, load_chain, load_network, save_networks
from ctpdeploy.train.networks.context_encoder import ContextEncoder
from ctpdeploy.train.networks.initialise import initialise
from ctpdeploy.train.networks.slnet import SLNet
from ctpdeploy.train.networks.squeeze_excite import SqueezeExcite
from ctpdeploy.train.networks.switch_norm import SwitchNorm2d
from ctpdeploy.train.networks.unet import ConvBlock, UNet

__all__ = [
    "Chain",
    "ContextEncoder",
    "ConvBlock",
    "Network",
    "SLNet",
    "SqueezeExcite",
    "SwitchNorm2d",
    "UNet",
    "initialise",
    "load_chain",
    "load_network",
    "save_networks",
]
