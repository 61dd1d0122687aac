"""What a sync has to do, told from two lists of files."""

from assistant.catalog import FileEntry, FileState
from assistant.changes import Changes, find_changes


def state(content: str, time: int = 1) -> FileState:
    return FileState(len(content), time)


def plan(files: dict[str, FileState], contents: dict[str, str], *known: FileEntry) -> tuple[Changes, list[str]]:
    """Return the plan, and which files were read for it."""
    asked: list[str] = []

    def digest(path: str) -> str:
        asked.append(path)
        return contents.get(path, "")

    return find_changes(files, {entry.path: entry for entry in known}, digest), asked


def entry(path: str, content: str, same_as: str = "", reason: str = "", time: int = 1) -> FileEntry:
    return FileEntry(path, state(content, time), content, same_as, reason)


def test_unchanged_files_are_not_read() -> None:
    made, asked = plan({"a.md": state("x")}, {}, entry("a.md", "x"))
    assert (made.unchanged, asked) == (1, []) and not (made.read or made.moved or made.removed)


def test_new_files_are_read_in_order_and_looked_into_only_when_another_is_as_large() -> None:
    made, asked = plan({"a.md": state("x"), "b.md": state("yy"), "c.md": state("z")}, {"a.md": "x", "c.md": "z"})
    assert list(made.read) == ["a.md", "b.md", "c.md"] and sorted(asked) == ["a.md", "c.md"]


def test_a_file_of_which_only_the_time_changed_is_touched() -> None:
    made, _ = plan({"a.md": state("x", 2)}, {"a.md": "x"}, entry("a.md", "x"))
    assert made.touched == {"a.md": state("x", 2)} and not made.read and made.unchanged == 0


def test_the_clock_going_backwards_is_a_change_too() -> None:
    made, _ = plan({"a.md": state("y", 1)}, {"a.md": "y"}, entry("a.md", "x", time=5))
    assert list(made.read) == ["a.md"] and made.known == {"a.md"}


def test_a_renamed_file_moves_and_is_not_read() -> None:
    made, _ = plan({"new/b.md": state("x", 2)}, {"new/b.md": "x"}, entry("a.md", "x"))
    assert {old: new.path for old, new in made.moved.items()} == {"a.md": "new/b.md"} and not made.read and not made.removed


def test_a_file_that_is_of_another_type_now_is_read() -> None:
    made, _ = plan({"a.txt": state("x")}, {"a.txt": "x"}, entry("a.md", "x"))
    assert list(made.read) == ["a.txt"] and made.removed == ["a.md"] and not made.moved


def test_two_files_that_changed_places_both_move() -> None:
    made, _ = plan(
        {"a.md": state("y", 2), "b.md": state("x", 2)}, {"a.md": "y", "b.md": "x"}, entry("a.md", "x"), entry("b.md", "y")
    )
    assert {old: new.path for old, new in made.moved.items()} == {"a.md": "b.md", "b.md": "a.md"} and not made.read


def test_a_file_written_over_another_takes_its_name() -> None:
    made, _ = plan({"b.md": state("x", 2)}, {"b.md": "x"}, entry("a.md", "x"), entry("b.md", "y"))
    assert {old: new.path for old, new in made.moved.items()} == {"a.md": "b.md"} and not made.read and not made.removed


def test_the_same_content_twice_is_read_once() -> None:
    made, _ = plan({"a.md": state("x"), "b.md": state("x")}, {"a.md": "x", "b.md": "x"})
    assert list(made.read) == ["a.md"] and made.same["b.md"].same_as == "a.md"
    made, _ = plan({"a.md": state("x"), "b.md": state("x")}, {"b.md": "x"}, entry("a.md", "x"))
    assert not made.read and made.same["b.md"].same_as == "a.md"


def test_a_copy_inherits_when_the_file_with_the_documents_goes() -> None:
    known = (entry("a.md", "x"), entry("b.md", "x", same_as="a.md"), entry("c.md", "x", same_as="a.md"))
    made, asked = plan({"b.md": state("x"), "c.md": state("x")}, {}, *known)
    assert len(made.moved) == 1 and made.moved["a.md"].path in ("b.md", "c.md") and not made.removed and not asked
    made, _ = plan({"a.md": state("x"), "c.md": state("x")}, {}, *known)
    assert made.removed == ["b.md"] and not made.moved


def test_a_copy_inherits_when_the_file_with_the_documents_changes() -> None:
    known = (entry("a.md", "x"), entry("b.md", "x", same_as="a.md"))
    made, _ = plan({"a.md": state("y", 2), "b.md": state("x")}, {"a.md": "y"}, *known)
    assert made.moved["a.md"].path == "b.md" and list(made.read) == ["a.md"]


def test_a_failed_file_is_tried_again_only_when_its_content_changes() -> None:
    failed = entry("a.pdf", "x", reason="it is damaged")
    made, _ = plan({"a.pdf": state("x")}, {}, failed)
    assert made.unchanged == 1 and not made.read
    made, _ = plan({"a.pdf": state("x", 2)}, {"a.pdf": "x"}, failed)
    assert made.touched and not made.read
    made, _ = plan({"a.pdf": state("y", 2)}, {"a.pdf": "y"}, failed)
    assert list(made.read) == ["a.pdf"]


def test_a_file_that_could_not_be_opened_is_tried_again_when_it_is_touched() -> None:
    failed = FileEntry("a.md", state("x"), "", reason="it can't be opened")
    made, _ = plan({"a.md": state("x", 2)}, {"a.md": "x"}, failed)
    assert list(made.read) == ["a.md"]


def test_two_files_that_can_not_be_opened_are_not_taken_for_the_same() -> None:
    made, _ = plan({"a.md": state("x"), "b.md": state("y")}, {})
    assert list(made.read) == ["a.md", "b.md"] and not made.same


def test_the_changes_of_some_files_stand_alone() -> None:
    files = {"a.md": state("x"), "b.md": state("x"), "new.md": state("zz"), "c.md": state("www")}
    made, _ = plan(files, {"a.md": "x", "b.md": "x", "new.md": "zz"}, entry("old.md", "zz"))
    assert list(made.read) == ["a.md", "c.md"] and list(made.same) == ["b.md"] and list(made.moved) == ["old.md"]
    some = made.only({"b.md"})
    assert list(some.read) == ["b.md"] and not (some.same or some.moved or some.removed)  # the other is to be read later
    assert list(made.only({"a.md", "b.md"}).same) == ["b.md"]
    assert list(made.only({"new.md"}).moved) == ["old.md"]


def test_a_copy_of_which_the_owner_holds_something_else_or_is_gone_is_read_and_inherits_nothing() -> None:
    failed = entry("b.pdf", "x", same_as="a.pdf", reason="it is damaged")  # a.pdf was, and was mended
    made, _ = plan({"b.pdf": state("x")}, {"b.pdf": "x"}, entry("a.pdf", "y"), failed)
    assert list(made.read) == ["b.pdf"] and made.removed == ["a.pdf"] and not made.moved
    made, _ = plan({"b.md": state("x"), "c.md": state("x")}, {"b.md": "x", "c.md": "x"}, entry("b.md", "x", same_as="a.md"))
    assert list(made.read) == ["b.md"] and list(made.same) == ["c.md"]


def test_a_copy_astray_that_can_not_be_read_stays_as_it_is() -> None:
    made, _ = plan({"b.md": state("x")}, {}, entry("b.md", "x", same_as="a.md"))
    assert made.unchanged == 1 and not made.read


def test_of_some_files_that_are_the_same_as_one_to_be_read_later_only_the_first_is_read() -> None:
    files = {name: state("x") for name in ("a.md", "b.md", "c.md")}
    some = plan(files, dict.fromkeys(files, "x"))[0].only({"b.md", "c.md"})
    assert list(some.read) == ["b.md"] and {path: same.same_as for path, same in some.same.items()} == {"c.md": "b.md"}


def test_what_a_file_held_goes_to_its_copy_also_when_it_alone_is_indexed() -> None:
    known = (entry("a.md", "x"), entry("b.md", "x", same_as="a.md"))
    some = plan({"a.md": state("y", 2), "b.md": state("x")}, {"a.md": "y"}, *known)[0].only({"a.md"})
    assert some.moved["a.md"].path == "b.md" and list(some.read) == ["a.md"]


def test_a_new_file_with_the_content_that_another_has_just_got_is_the_same() -> None:
    made, _ = plan({"a.md": state("yy", 2), "b.md": state("yy")}, {"a.md": "yy", "b.md": "yy"}, entry("a.md", "x"))
    assert list(made.read) == ["a.md"] and made.same["b.md"].same_as == "a.md"
