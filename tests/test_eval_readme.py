"""A generated block goes between its marks in the README, and nowhere else."""

from pathlib import Path

import pytest

from assistant.errors import UserError
from eval.readme import put_block, save_result

TEXT = "# Title é\n\n<!-- bench -->\nold\n<!-- /bench -->\n\nbetween\n<!-- table --><!-- /table -->\nend"


def test_only_what_stands_between_the_marks_changes(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(TEXT, encoding="utf-8")
    put_block("table", "| a |\n| b |", readme)
    put_block("bench", "new", readme)
    put_block("bench", "newer", readme)
    assert readme.read_text(encoding="utf-8") == (
        "# Title é\n\n<!-- bench -->\nnewer\n<!-- /bench -->\n\nbetween\n<!-- table -->\n| a |\n| b |\n<!-- /table -->\nend"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    "text",
    ["", "<!-- x -->", "<!-- /x -->", "<!-- /x --> <!-- x -->", "<!-- x --> <!-- x --> <!-- /x -->", "<!-- y --> <!-- /y -->"],
)
def test_missing_marks_are_named_and_the_file_is_left_as_it_was(tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(UserError, match="<!-- x --> and <!-- /x -->"):
        put_block("x", "new", readme)
    assert readme.read_text() == text


def test_a_missing_readme_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"README\.md can't be read"):
        put_block("x", "new", tmp_path / "README.md")


def test_a_result_is_written_whole_into_a_folder_made_for_it(tmp_path: Path) -> None:
    save_result(tmp_path / "results" / "a.json", {"é": 1})
    assert (tmp_path / "results" / "a.json").read_text(encoding="utf-8") == '{\n  "é": 1\n}\n'
    assert len(list((tmp_path / "results").iterdir())) == 1
