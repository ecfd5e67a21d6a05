"""Data sets as uint8 image tensors, and the resumable stream that trains on them."""

from zoo.data.arrays import ImageArray, cache_dir
from zoo.data.base import ImageDataModule
from zoo.data.celeba import CelebA
from zoo.data.cifar10 import CIFAR10
from zoo.data.digits import Digits
from zoo.data.folder import ImageFolder
from zoo.data.mnist import MNIST
from zoo.data.stacked import StackedMNIST
from zoo.data.stream import ImageStream
from zoo.data.toy import ToyPoints
from zoo.errors import DataNotFoundError

DATASETS: dict[str, type[ImageDataModule]] = {
    "Digits": Digits,
    "MNIST": MNIST,
    "CIFAR10": CIFAR10,
    "CelebA": CelebA,
    "StackedMNIST": StackedMNIST,
    "ImageFolder": ImageFolder,
}

__all__ = [
    "CIFAR10",
    "DATASETS",
    "MNIST",
    "CelebA",
    "DataNotFoundError",
    "Digits",
    "ImageArray",
    "ImageDataModule",
    "ImageFolder",
    "ImageStream",
    "StackedMNIST",
    "ToyPoints",
    "cache_dir",
]
