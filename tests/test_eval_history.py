"""The stored runs are drawn and listed, whatever their names are."""

import os
import struct
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest

from assistant.errors import UserError
from eval.__main__ import main
from eval.history import EMPTY, history_png, stored_points
from eval.runs import Run, RunQuestion, load_run, save_run
from tests.conftest import run_python
from ui.render_evaluation import runs_html

RUN = Run(
    set="lighthouses",
    data="abc",
    mode="full",
    k=10,
    date="2026-11-24T10:20:30+00:00",
    seconds=1.5,
    settings={},
    models={},
    versions={},
    measures={"nDCG@10": 0.5, "recall@5": 0.75},
    unknown_qrels=0,
    questions=(RunQuestion("q1", "Where?", {"nDCG@10": 0.5, "recall@5": 0.75}, ("d1",), ()),),
)
ODD = [
    "$",
    "$x^{$",
    r"$\badcommand$",
    "_hidden",
    "a\nb\x1b[31m",
    "灯塔 🗼",
    "\u202egpj",
    "\ud800",
    "<img src=x onerror=alert(1)>",
    "%s {x} &",
    "",
    "x" * 9000,
]


def size(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


def ink(png: bytes, colour: tuple[int, int, int]) -> int:
    """Count the pixels of one colour."""
    import numpy as np
    from PIL import Image

    with Image.open(BytesIO(png)) as image:
        return int((np.asarray(image.convert("RGB")) == colour).all(axis=2).sum())


BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSISTANT_DATA", str(tmp_path))
    return tmp_path / "eval" / "runs"


def test_each_set_mode_and_depth_has_a_line_of_its_own_colour() -> None:
    later = replace(RUN, date="2026-11-26T10:00:00+00:00", measures={"nDCG@10": 0.6})
    one = history_png([RUN, later])
    assert ink(one, BLUE) > 200 and ink(one, ORANGE) == 0
    for other in (replace(later, set="ships"), replace(later, mode="dense"), replace(later, k=5)):
        assert ink(history_png([RUN, later, other]), ORANGE) > 100


def test_a_named_measure_is_drawn_instead_of_the_main_one() -> None:
    other = replace(RUN, date="2026-11-25T10:00:00+00:00", measures={"nDCG@10": 0.9, "recall@5": 0.7})
    assert history_png([RUN, other], "recall@5") != history_png([RUN, other], "nDCG@10") == history_png([RUN, other])
    with pytest.raises(ValueError, match="nothing"):
        history_png([RUN], "speed")


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_drawn_without_a_warning(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert size(history_png([replace(RUN, set=name, mode=name, measures={name: 0.3})]))[0] == 1040


def test_the_set_stays_visible_when_its_name_begins_with_an_underscore() -> None:
    assert size(history_png([replace(RUN, set="_a")])) == size(history_png([RUN]))
    assert history_png([replace(RUN, set="_a")]) != history_png([replace(RUN, set="_b")])


@pytest.mark.parametrize("dates", [["1971-01-01"], ["1971-01-01", "2199-12-31T23:59:59"], ["2026-11-24T10:00:00-11:00"] * 3])
@pytest.mark.parametrize("values", [(0.0, 0.0, 0.0), (1.0, 0.0, 1e-300)])
def test_any_dates_and_values_are_drawn(dates: list[str], values: tuple[float, ...]) -> None:
    runs = [replace(RUN, date=date, measures={"recall": value}) for date, value in zip(dates, values, strict=False)]
    assert size(history_png(runs))[0] == 1040


def test_a_phone_shows_the_label_of_the_dates_without_scrolling(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    history_png([RUN, replace(RUN, date="2027-01-02T10:00:00+00:00")])
    drawn[0].canvas.draw()
    label = drawn[0].axes[0].xaxis.label
    assert label.get_text().endswith("2026–2027")
    assert (
        label.get_window_extent().x1 < drawn[0].bbox.width * 342 / 520
    )  # of 390 pixels of a phone, and the least width of the plot


def test_of_very_many_lines_the_newest_are_drawn() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    runs = [replace(RUN, set=f"set {n:03}", date=(start + timedelta(days=n)).isoformat()) for n in range(60)]
    many = history_png(runs)
    assert size(many) == size(history_png(runs[-10:])) != size(history_png(runs[-9:]))
    assert many != history_png(runs[:-1])


def test_the_command_writes_the_plot_and_lists_the_newest_last(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_run(RUN, folder)
    save_run(replace(RUN, date="2025-03-01T08:00:00+00:00", set="ships", k=5, measures={"recall": 0.25}), folder)
    (folder / "other.json").write_text("[1]")
    assert main(["history"]) == 0
    path, head, *rows = capsys.readouterr().out.splitlines()
    assert Path(path) == folder.parent / "history.png"
    assert size(Path(path).read_bytes())[0] == 1040
    assert head.split("  ")[0] == "date (UTC)"
    assert [row.split() for row in rows] == [
        ["2025-03-01", "08:00", "ships", "full", "recall,", "k", "5", "0.2500"],
        ["2026-11-24", "10:20", "lighthouses", "full", "nDCG@10", "0.5000"],
    ]
    assert {file.name for file in folder.parent.iterdir()} == {"runs", "history.png"}


def test_runs_are_chosen_by_set_and_measure(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_run(RUN, folder)
    save_run(replace(RUN, set="ships"), folder)
    out = tmp_path / "new" / "plot.png"
    assert main(["history", "--set", "ships", "--measure", "recall@5", "--out", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == str(out) and out.stat().st_size > 1000
    assert len(printed) == 3 and "ships" in printed[2] and "0.7500" in printed[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "boats"], "Sets: lighthouses."),
        (["--measure", "speed"], "Main measures: nDCG@10."),
        (["--out", "plot.jpg"], "must end in .png"),
        (["--out", "{taken}/plot.png"], "can't be written"),
    ],
)
def test_mistakes_are_named_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    save_run(RUN, folder)
    (tmp_path / "taken").write_text("a file")
    assert main(["history", *(argument.format(taken=tmp_path / "taken") for argument in arguments)]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and printed.out == ""


def test_without_runs_the_command_that_makes_them_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history"]) == 2
    assert "python -m eval retrieval" in capsys.readouterr().err


def test_a_file_that_changed_is_read_again(folder: Path) -> None:
    path = save_run(RUN, folder)
    assert [point.value for point in stored_points(folder)] == [0.5]
    save_run(replace(RUN, measures={"nDCG@10": 0.625}), folder)
    os.utime(path, ns=(1, 1))
    assert [point.value for point in stored_points(folder)] == [0.625]
    path.unlink()
    assert stored_points(folder) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"date": "yesterday"},
        {"date": "0001-01-01T00:00:00+00:00"},
        {"measures": {}},
        {"measures": {"nDCG@10": float("nan")}},
        {"measures": {"nDCG@10": float("inf")}},
        {"measures": {"nDCG@10": -1e300}},
    ],
)
def test_a_run_that_cannot_be_drawn_is_no_run(folder: Path, broken: dict[str, object]) -> None:
    path = save_run(replace(RUN, set="broken", **broken), folder)  # type: ignore[arg-type]
    save_run(RUN, folder)
    with pytest.raises(UserError, match="is not a run"):
        load_run(path)
    assert [point.set for point in stored_points(folder)] == ["lighthouses"]


def test_numbers_beyond_all_bounds_are_no_run(folder: Path) -> None:
    path = save_run(RUN, folder)
    path.write_text(path.read_text().replace('"k": 10', '"k": 1e999'))
    with pytest.raises(UserError, match="is not a run"):
        load_run(path)


def test_the_page_shows_the_plot_and_the_newest_runs_first(folder: Path) -> None:
    for day in range(1, 26):
        save_run(replace(RUN, date=f"2026-10-{day:02}T12:00:00+00:00", measures={"nDCG@10": day / 100}), folder)
    page = runs_html(stored_points(folder), b"\x89PNG", b"\x89PNG")
    assert '<img class="night" src="data:image/png;base64,iVBORw==" alt="' in page
    page, _, form = page.partition("<h2>Compare")
    assert "25 runs, the newest first" in page and "1 to 20 of 25 runs" in page and form.count("<option") == 50
    assert page.count("<tr>") == 21
    assert "0.0500" not in page
    assert page.index("0.2500") < page.index("0.0600")


@pytest.mark.parametrize("name", ODD)
def test_the_page_holds_odd_names_as_text(name: str) -> None:
    from eval.history import points

    page = runs_html(list(points(replace(RUN, set=name, mode=name, measures={name: 0.3})).values()), b"", b"")
    assert "<img" not in page and "\x1b" not in page and "\u202e" not in page
    assert "can&#x27;t be drawn" in page
    page.encode("utf-8")


def test_the_page_without_runs_names_the_command() -> None:
    assert "python -m eval retrieval" in runs_html([], b"", b"") and EMPTY.startswith("There are no runs yet")


def test_the_page_is_built_without_loading_the_plot_library() -> None:
    ran = run_python("-c", "import sys, ui.app\nassert 'matplotlib' not in sys.modules and 'ir_measures' not in sys.modules")
    assert ran.code == 0, ran.err
