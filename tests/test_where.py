"""What a page may say about places and uploads: anything is taken as names, and only what was uploaded is added."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.answer import Assistant
from assistant.errors import UserError
from assistant.places import Place
from assistant.scope import Scope
from assistant.selections import Selection, Selections
from tests.conftest import settings_in, write_documents
from ui.listing import key_of
from ui.uploads import _arrived
from ui.where import MOST_PLACES, mention, scope_from


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Assistant]:
    settings = settings_in(tmp_path_factory.mktemp("where"), models, {})
    names = ["plain.md", "two words.md", 'a "quoted".md', "back\\slash.md", "“curly”.md", "at@sign.md", "dot..md", "x/y/end).md"]
    write_documents(settings.corpus, {name: f"# T {at}\n\nText {at} about owls." for at, name in enumerate(names)})
    with closing(Assistant(replace(settings, chat_model="extractive"))) as opened:
        opened.sync()
        yield opened


def test_what_the_picker_writes_means_the_place_it_was_picked_for(assistant: Assistant) -> None:
    ids = assistant.corpus.catalog.document_ids()
    assert len(ids) == 8
    for id in ids:
        assert assistant.scoped(f"{mention(Place('document', id))} what about owls?") == ("what about owls?", Scope((id,))), id
    assert assistant.scoped(f"{mention(Place('folder', 'x/y/'))} what?") == ("what?", Scope((), ("x/y",)))


@pytest.mark.parametrize(
    "data", [None, 7, "x", [], [None], [{"kind": "other", "name": "x"}], [{"kind": "document"}], {"kind": "document"}]
)
def test_nonsense_from_a_page_limits_nothing(assistant: Assistant, data: object) -> None:
    assert scope_from(data, assistant.places) == Scope()


def test_ticked_documents_are_known_by_their_keys_and_those_that_are_gone_are_told(assistant: Assistant) -> None:
    keys = [{"kind": "document", "key": key_of(id)} for id in ("plain.md", "x/y/end).md")]
    places = [*keys, {"kind": "folder", "key": key_of("x/y")}]
    assert scope_from(places, assistant.places) == Scope(("plain.md", "x/y/end).md"), ("x/y",))
    with pytest.raises(UserError, match="1 document of these is not there any more"):
        scope_from([*keys, {"kind": "document", "key": key_of("gone.md")}], assistant.places)
    with pytest.raises(UserError, match="save them as a selection"):
        scope_from([{"kind": "document", "name": "plain.md"}] * (MOST_PLACES + 1), assistant.places)


def test_only_files_among_the_uploads_are_added(tmp_path: Path) -> None:
    uploads, outside = tmp_path / "uploads", tmp_path / "secret.md"
    one = uploads / "request" / "1"  # each file of a request has a folder
    one.mkdir(parents=True)
    outside.write_text("secret", encoding="utf-8")
    good = one / "a.md"
    good.write_text("good", encoding="utf-8")
    os.symlink(outside, one / "link.md")
    wrong = [
        str(outside),
        f"{one}/../../../secret.md",
        str(one / "link.md"),
        str(one),
        str(one / "gone.md"),
        "",
        "\0",
        "x" * 9000,
    ]
    files, lost = _arrived([[str(good), "a.md"], *([path, "b.md"] for path in wrong), [str(good)], None, [1, 2]], uploads)
    assert files == [(good, "a.md")]
    assert [(result.id, result.ok) for result in lost] == [("b.md", False)] * len(wrong)


def test_selections_are_kept_over_a_restart_and_a_broken_file_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "selections.json"
    kept = Selections(path)
    assert kept.all() == []
    kept.save(Selection(" Zebra\nstripes ", ("a.md",)))
    kept.save(Selection("apes", folders=("x",), types=("pdf",)))
    again = Selections(path)
    assert [one.name for one in again.all()] == ["apes", "Zebra stripes"]
    assert again.find("ZEBRA stripes").documents == ("a.md",)
    for name, problem in [("", "empty"), ("APES", "already"), ("a/b", "no"), ('"', "no")]:
        with pytest.raises(UserError, match=problem):
            again.save(Selection(name, ("a.md",)))
    with pytest.raises(UserError, match="The selection is empty"):
        again.save(Selection("nothing"))
    again.rename("apes", "Apes")
    with pytest.raises(UserError, match="already"):
        again.rename("apes", "zebra stripes")
    again.delete("apes")
    with pytest.raises(UserError, match="no selection 'apes'"):
        again.delete("apes")
    assert [item.name for item in tmp_path.iterdir()] == ["selections.json"]
    path.write_text('[{"name": "x"}]', encoding="utf-8")
    with pytest.raises(UserError, match="mend or delete the file"):
        again.save(Selection("new", ("a.md",)))
    assert path.read_text(encoding="utf-8") == '[{"name": "x"}]'
