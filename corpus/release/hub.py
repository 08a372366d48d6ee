"""One commit of a release to the Hub, by the Hub's own client."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, snapshot_download
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # re-exports its HTTP client's
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from corpus import __version__
from corpus.errors import BitextileError, InputError, OfflineError
from corpus.files import list_files

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "release.json"
OWN = ("data/", "plots/")  # what a release takes away again where it no longer has it
N_TRIES = 3  # where an answer was lost; each compares with what is there
NEXT_STEP = {
    401: "the Hub does not know you: log in with 'hf auth login', or set HF_TOKEN",
    403: "your token may not write there: make one with write access at {endpoint}/settings/tokens",
    404: "there is no such place: check the name, ORG/NAME",
    412: "somebody else has just changed it: run the command again",
    429: "the Hub asks for a pause: run the command again in a few minutes",
}


class Published(NamedTuple):
    """Where a release is, and the commit that brought it; None where nothing was new."""

    url: str
    commit: str | None


def publish(
    folder: Path, repo_id: str, *, private: bool = True, kind: str = "dataset"
) -> Published:
    """Bring a folder to the Hub in one commit; one that changes nothing is not made.

    The token is found by the Hub's own client. A commit is bound to the state that it
    was compared with, so that a retry after a lost answer never doubles it.

    Args:
        folder: from `make_release`, or a model's.
        repo_id: the repository, as ORG/NAME; made where it is not there.
        private: whether a repository that is made is private.
        kind: ``dataset`` or ``model``.

    Raises:
        InputError: a name that the Hub refuses.
        OfflineError: the Hub cannot be reached.
        BitextileError: the Hub refuses; says what to do.
    """
    check_name(repo_id, kind)
    api = HfApi(library_name="bitextile", library_version=__version__)
    url = f"{api.endpoint}/{'datasets/' * (kind == 'dataset')}{repo_id}"
    with _clear_errors(url, api.endpoint):
        before = _head(api, repo_id, kind, private=private)
        for n_try in range(1, N_TRIES + 1):
            try:
                head = _commit(api, repo_id, kind, folder)
                return Published(url, None if head == before else head)
            except HTTPError as error:
                # The commit may have come through: the next try compares with what is there.
                if n_try == N_TRIES or not _is_lost(error):
                    raise
    raise AssertionError  # the last try returns or raises


def exists(repo_id: str) -> bool:
    """Tell whether the Hub has a dataset.

    Raises:
        OfflineError: the Hub cannot be reached.
        BitextileError: the Hub refuses; says what to do.
    """
    api = HfApi(library_name="bitextile", library_version=__version__)
    with _clear_errors(f"{api.endpoint}/datasets/{repo_id}", api.endpoint, "read"):
        return api.repo_exists(repo_id, repo_type="dataset")


def _head(api: HfApi, repo_id: str, kind: str, *, private: bool) -> str | None:
    """Give the newest commit of a repository, which is made where it is not there."""
    try:
        return api.repo_info(repo_id, repo_type=kind).sha
    except RepositoryNotFoundError:
        api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True)
        return api.repo_info(repo_id, repo_type=kind).sha


def _commit(api: HfApi, repo_id: str, kind: str, folder: Path) -> str:
    """Bring the folder up in one commit on the newest one; give the head after it."""
    info = api.repo_info(repo_id, repo_type=kind)
    own = {path.relative_to(folder).as_posix(): path for path in list_files(folder)}
    theirs = {file.rfilename for file in getattr(info, "siblings", None) or ()}
    gone = sorted(name for name in theirs - own.keys() if name.startswith(OWN))
    commit = api.create_commit(
        repo_id,
        [CommitOperationAdd(name, path) for name, path in own.items()]
        + [CommitOperationDelete(name) for name in gone],
        commit_message="Release made by Bitextile",
        repo_type=kind,
        parent_commit=info.sha,
    )
    return str(commit.oid)


def _is_lost(error: Exception) -> bool:
    """Tell whether the server's word on a commit did not arrive."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (500, 502, 504)
    return True


def fetch(repo_id: str) -> Path:
    """Bring a published release here, without its plots and card; give its folder.

    Raises:
        InputError: a name that the Hub refuses.
        OfflineError: the Hub cannot be reached.
        BitextileError: the Hub refuses; says what to do.
    """
    check_name(repo_id)
    endpoint = HfApi().endpoint
    with _clear_errors(f"{endpoint}/datasets/{repo_id}", endpoint, "read"):
        return Path(
            snapshot_download(
                repo_id, repo_type="dataset", allow_patterns=["data/*/*.parquet", FILE]
            )
        )


def check_name(name: str, kind: str = "dataset") -> None:
    """Refuse what the Hub would not take as the name of a repository.

    Raises:
        InputError: says the form of a name.
    """
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"'{name}' is no name for a {kind}; give ORG/NAME") from error


@contextmanager
def _clear_errors(url: str, endpoint: str, act: str = "publish") -> Iterator[None]:
    """Turn the Hub's errors into one line with the next step."""
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        step = NEXT_STEP.get(status, "the Hub has trouble: run the command again later")
        raise BitextileError(
            f"cannot {act} {url} ({status}); {step.format(endpoint=endpoint)}"
        ) from error
    except (HTTPError, OfflineModeIsEnabled) as error:
        raise OfflineError(
            f"cannot reach {endpoint} to {act} {url} ({type(error).__name__}); nothing is lost: "
            "run the command again with a network, without HF_HUB_OFFLINE"
        ) from error
