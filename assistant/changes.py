"""What a sync has to do: the files of the corpus folder compared with those of the catalogue."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from assistant.catalog import FileEntry, FileState

Digest = Callable[[str], str]  # the SHA-256 of the file at a path, empty when it can't be read


@dataclass
class Changes:
    """What is to be done, in paths under the corpus folder.

    `read` has files to read with their states, in order; `known` are those of them that were read before. `moved` has the
    new file by the old path, `same` the file that holds the documents by the path of another with the same content,
    `touched` files of which only the times changed. `problem` is a line about folders that can't be read: what is known
    of these stays.
    """

    read: dict[str, FileState] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    moved: dict[str, FileEntry] = field(default_factory=dict)
    same: dict[str, FileEntry] = field(default_factory=dict)
    touched: dict[str, FileState] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    unchanged: int = 0
    problem: str = ""

    def only(self, paths: Collection[str]) -> "Changes":
        """Return those of the changes that index the files at `paths`."""
        read = {path: state for path, state in self.read.items() if path in paths}
        same = {path: entry for path, entry in self.same.items() if path in paths}
        # The file with the same content is to be read later: here the first one holds the documents.
        firsts: dict[str, str] = {}
        for path, entry in same.items():
            if entry.same_as in self.read and entry.same_as not in read:
                firsts.setdefault(entry.same_as, path)
        return Changes(
            read=read | {path: same[path].state for path in firsts.values()},
            known=self.known,
            # What a file held before it changed goes to its heir, or a copy would be left without.
            moved={old: entry for old, entry in self.moved.items() if old in paths or entry.path in paths},
            same={
                path: replace(entry, same_as=firsts.get(entry.same_as, entry.same_as))
                for path, entry in same.items()
                if path not in firsts.values()
            },
            touched={path: state for path, state in self.touched.items() if path in paths},
        )


def find_changes(files: Mapping[str, FileState], known: Mapping[str, FileEntry], digest: Digest) -> Changes:
    """Compare `files`, those in the folder, with the `known` ones of the catalogue.

    A file is the one it was when content and type are the same: under another name it has moved, or is a second copy.
    `digest` is called only for files that changed, and new ones as large as another.
    """
    changes = Changes()
    astray = {path for path, entry in known.items() if entry.same_as and path in files and _astray(entry, known) and digest(path)}
    changed = {path: state for path, state in files.items() if path not in known or path in astray or known[path].state != state}
    content = _contents(changed, known, digest)
    changes.touched = {
        path: state
        for path, state in changed.items()
        if path in known and path not in astray and len(known[path].sha256) > 0 and known[path].sha256 == content[path][0]
    }
    pending = {path: state for path, state in changed.items() if path not in changes.touched}
    intact = files.keys() - pending.keys()
    changes.unchanged = len(intact) - len(changes.touched)
    owners = {path: entry for path, entry in known.items() if not entry.same_as and not entry.reason}
    holders = {content_key(path, entry.sha256): path for path, entry in owners.items() if path in intact}
    _find_heirs(changes, owners, intact, known, pending, content, holders)
    heirs = {entry.path for entry in changes.moved.values()}
    for path, state in pending.items():
        if path in heirs:
            continue
        key = content.get(path)
        holder = holders.setdefault(key, path) if key and key[0] else path
        if holder == path:
            changes.read[path] = state
        else:
            changes.same[path] = FileEntry(path, state, key[0] if key else "", same_as=holder)
    changes.known = frozenset(changes.read.keys() & known.keys())
    changes.removed = [path for path in sorted(known.keys() - files.keys()) if path not in changes.moved]
    return changes


def _astray(copy: FileEntry, known: Mapping[str, FileEntry]) -> bool:
    """Whether the file of which `copy` is one is unknown or holds something else, so that nothing is indexed of the copy."""
    owner = known.get(copy.same_as)
    return owner is None or bool(owner.same_as) or owner.sha256 != copy.sha256


def _contents(changed: Mapping[str, FileState], known: Mapping[str, FileEntry], digest: Digest) -> dict[str, tuple[str, str]]:
    """Return the content of the files that changed, or might be another one's: its digest and type."""
    sizes: dict[int, int] = {}
    for state in [*(entry.state for entry in known.values()), *changed.values()]:
        sizes[state.size] = sizes.get(state.size, 0) + 1
    asked = [path for path, state in changed.items() if path in known or sizes[state.size] > 1]
    return {path: content_key(path, digest(path)) for path in asked}


def content_key(path: str, sha256: str) -> tuple[str, str]:
    """Return what makes two files the same: content, and type, since the type says how it is read."""
    return sha256, PurePosixPath(path).suffix.lower()


def _find_heirs(
    changes: Changes,
    owners: Mapping[str, FileEntry],
    intact: set[str],
    known: Mapping[str, FileEntry],
    pending: Mapping[str, FileState],
    content: Mapping[str, tuple[str, str]],
    holders: dict[tuple[str, str], str],
) -> None:
    """Find for each file whose content is no longer at its place another that has it: a copy, or a new or changed file."""
    copies = {entry.same_as: path for path, entry in known.items() if entry.same_as and path in intact}
    arrived: dict[tuple[str, str], str] = {}
    for path, key in content.items():
        if path in pending and key[0]:
            arrived.setdefault(key, path)
    for path, owner in owners.items():
        key = content_key(path, owner.sha256)
        if path in intact or not owner.sha256:
            continue
        heir = copies.get(path) or arrived.get(key)
        if heir:
            state = known[heir].state if path in copies else pending[heir]
            changes.moved[path] = FileEntry(heir, state, owner.sha256)
            holders[key] = heir
