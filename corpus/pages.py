"""The pages of a site: by which profile they are read, and WARC files that others wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus import forgotten
from corpus.errors import InputError
from corpus.files import file_digest
from corpus.sites import Profile, load_profile, save_profile
from corpus.warc import Page, read_records

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from corpus.workspace import Workspace


def site_profile(workspace: Workspace, site: str) -> Profile:
    """Read the profile that a site was crawled by, or else the one that is named.

    Raises:
        ProfileError: there is no such profile.
    """
    stored = workspace.profile(site)
    return load_profile(str(stored) if stored.exists() else site)


def take(workspace: Workspace, files: Iterable[Path], profile: Profile) -> None:
    """Copy WARC files of others, less forgotten articles, to a site's pages for extraction.

    Args:
        workspace: where to.
        files: gzipped or not; one that is there already, by its content, is not copied.
        profile: of the site.

    Raises:
        InputError: a file cannot be read, or is no WARC file.
    """
    save_profile(workspace.profile(profile.name), profile)
    scrub = forgotten.Scrub(forgotten.load(workspace))
    for file in files:
        try:
            has_pages = any(isinstance(record, Page) for record in read_records(file))
            digest = file_digest(file)
        except OSError as error:
            raise InputError(f"cannot read {file}: {error.strerror}") from error
        if not has_pages:
            raise InputError(f"{file} has no page that can be read; give WARC files, gzip or not")
        target = workspace.taken(profile.name, f"{file.name.split('.')[0]}-{digest[:8]}")
        if not target.exists():
            scrub(file, profile, target)
