"""The errors that a user may meet, as one tree.

::

    BitextileError                  one clear line; the commands exit with 1
    ├── InputError                  a file, page, row or folder is not what it should be
    │   ├── ProfileError            a site profile is broken; names the key
    │   ├── LanguageError           a language is unknown, or unknown to an encoder
    │   └── WorkspaceError          no workspace here, a newer one, or one in use
    ├── EmptyError                  nothing to work on; says which stage dropped what
    ├── CollapseError               a student learns nothing, or one vector for all texts
    ├── MissingExtraError           an optional part is not installed; names the extra
    ├── OfflineError                something must be fetched and cannot be
    ├── ServiceError                a remote model refused, failed, or would cost too much
    ├── DeviceError                 a device such as a GPU was lost, or has too little memory
    └── StorageError                the disk is full or refuses; nothing is lost

A message has what was got, what is allowed, and the next step.
"""

from __future__ import annotations

import errno
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class BitextileError(Exception):
    """Base of every error that a command reports in one line."""


class InputError(BitextileError):
    """A file, page, row or folder is not what it should be."""


class ProfileError(InputError):
    """A site profile is broken."""


class LanguageError(InputError):
    """A language is unknown, or unknown to an encoder."""


class WorkspaceError(InputError):
    """There is no usable workspace here, or another command holds it."""


class EmptyError(BitextileError):
    """There is nothing to work on."""


class CollapseError(BitextileError):
    """A student learns nothing, or one vector for all texts."""


class MissingExtraError(BitextileError):
    """An optional part is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        """Name what is missing and the extra that brings it."""
        self.extra = extra
        super().__init__(
            f"{what} needs the extra '{extra}': install it with pip install 'bitextile[{extra}]'"
        )


class OfflineError(BitextileError):
    """Something must be fetched and cannot be."""


class ServiceError(BitextileError):
    """A remote model refused, failed, or would cost too much."""


class DeviceError(BitextileError):
    """A device such as a GPU was lost, or has too little memory."""


class StorageError(BitextileError):
    """The disk is full or refuses a write."""


def write_advice(error: OSError) -> str:
    """Say what helps where a file cannot be written."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return "make room" if is_full else "check the permissions"


def choices(got: str, allowed: Iterable[str]) -> str:
    """Say what was got, what is allowed, and what was probably meant."""
    names = sorted(allowed)
    near = get_close_matches(got, names, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    return f"'{got}'{hint}; allowed: {', '.join(names)}"
