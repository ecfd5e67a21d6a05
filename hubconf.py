"""Entry points of torch.hub: `torch.hub.load(REPOSITORY, "pretrained", "dcgan.mnist")`."""

from zoo import list_pretrained
from zoo import load_pretrained as pretrained

dependencies = ["lightning", "numpy", "PIL", "safetensors", "torch", "torchvision", "yaml"]

__all__ = ["list_pretrained", "pretrained"]
