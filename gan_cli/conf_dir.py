"""Where the configuration tree lies: inside the package in a wheel, beside it in a source tree."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED, _CHECKOUT = _PACKAGE / "conf", _PACKAGE.parent / "conf"

# Absolute, because Hydra reads a relative path as a module once the entry point is imported from elsewhere.
CONF_DIR = str(_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT)
