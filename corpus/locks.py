"""Locks: ``flock`` on small files that name their holder.

They end with the process, also when it is killed.
"""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from corpus.errors import WorkspaceError, write_advice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)


@contextmanager
def hold(path: Path, name: str, *, wait: bool) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: its file, made where it is not there.
        name: what is held, such as ``extract`` or ``sentences lb-en``.
        wait: say who else holds it and wait for its end, in place of failing.

    Raises:
        WorkspaceError: another process holds it, who is named; or the file cannot be made.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        opened = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise WorkspaceError(
            f"cannot write in the workspace {path.parents[1]}: {error.strerror} "
            f"({path}); {write_advice(error)}"
        ) from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            in_use = f"'{name}' of this workspace is in use by {holder}"
            if not wait:
                raise WorkspaceError(f"{in_use}; wait for it to end") from error
            log.warning("%s; waiting for it to end", in_use)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield
        file.truncate(0)
