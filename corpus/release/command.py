"""What ``corpus publish`` does and prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.release import make_release
from corpus.release.hub import publish

if TYPE_CHECKING:
    from corpus.console import Console
    from corpus.release import Options


def release(console: Console, name: str, options: Options, *, dry_run: bool, private: bool) -> None:
    """Make a release, show what would go up, and publish it unless this is a rehearsal."""
    made = make_release(console.workspace, name, options)
    files = sorted(path for path in made.folder.rglob("*") if path.is_file())
    rows = [(p.relative_to(made.folder).as_posix(), p.stat().st_size) for p in files]
    console.table(f"{name}: {made.folder}", ("file", "bytes"), rows)
    for what, (n, samples) in made.personal.items():
        advice = "masked" if options.mask else "look at them, or add --mask"
        console.say(f"{n} texts hold what looks like a {what} ({'; '.join(samples)}): {advice}")
    if made.n_left_out:
        console.say(f"{made.n_left_out} pairs came as files, without an article: left out")
    record = {
        "folder": str(made.folder),
        "files": dict(rows),
        "personal": {what: n for what, (n, _) in made.personal.items()},
        "url": None,
        "commit": None,
    }
    if not dry_run:
        done = publish(made.folder, name, private=private)
        console.show(f"published: {done.url} (commit {done.commit or 'none: nothing new'})")
        record |= {"url": done.url, "commit": done.commit}
    console.emit(record)
