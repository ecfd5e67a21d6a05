"""Packages that only some commands need, and that are not installed with this one. No torch at import."""

from importlib.util import find_spec

from zoo.errors import UsageError


def is_installed(package: str) -> bool:
    """Whether `import PACKAGE` would find it; nothing is imported."""
    return find_spec(package) is not None


def require(*packages: str, purpose: str) -> None:
    """Raises UsageError, with the command that installs them, where one of the packages is not there.

    Args:
        packages: as they are imported, which is what pip calls them.
        purpose: what needs them, the subject of the error.
    """
    missing = [package for package in packages if not is_installed(package)]
    if missing:
        raise UsageError(
            f"{purpose} needs {' and '.join(missing)}, not installed here: pip install {' '.join(missing)}"
        )
