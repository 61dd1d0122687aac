"""How did the measures go over time? `python -m eval history` draws the stored runs and lists them."""

import argparse
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from assistant.errors import UserError
from assistant.settings import load_settings
from eval.runs import Run, load_run, one_line, runs_folder, write_whole

EMPTY = "There are no runs yet: `python -m eval retrieval --corpus` makes one of your documents, `--data DIR` one of a set."
_LINES = 10  # drawn at most: more can't be told apart
_MARKERS = "osD^vPX<>*"
# Okabe and Ito's colours, which people with any colour vision can tell apart, and two greys.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#a6a000", "#777777", "#8c564b")
_DARK_COLOURS = ("#4aa8e0", "#f0883e", "#2fc79a", "#e6a3c8", "#f5b93d", "#8fd0f5", "#f1f5f9", "#d8d24a", "#a3a3a3", "#c79b90")
_drawing = threading.Lock()  # matplotlib shares its fonts among figures


@dataclass(frozen=True)
class Point:
    """One run on the plot: the mean of `measure`, 0 to 1, over `questions` questions."""

    set: str
    mode: str
    k: int
    date: datetime
    measure: str
    value: float
    questions: int
    run: str = ""  # its name

    @property
    def label(self) -> str:
        """The measure with the depth that it was taken at."""
        return self.measure if "@" in self.measure else f"{self.measure}, k {self.k}"


def points(run: Run) -> dict[str, Point]:
    """Return a point for each measure of `run`, the main one first."""
    return {
        name: Point(run.asked, run.mode, run.k, run.moment, name, value, len(run.questions), run.name)
        for name, value in run.measures.items()
    }


@lru_cache(maxsize=2000)
def _stored(path: Path, changed: int, size: int) -> Mapping[str, Point] | None:
    """Return the points of a file as it was then; runs are large, so each is read once."""
    try:
        return {name: replace(point, run=path.stem) for name, point in points(load_run(path)).items()}
    except UserError:
        return None


def stored_points(folder: Path, measure: str | None = None) -> list[Point]:
    """Return the points of all runs in `folder` that have `measure` (by default their main one), oldest first.

    Files that are no runs are passed over.
    """
    found = []
    for path in folder.glob("*.json"):
        try:
            state = path.stat()
        except OSError:  # deleted meanwhile
            continue
        found.append(_stored(path, state.st_mtime_ns, state.st_size))
    return _chosen((run for run in found if run is not None), measure)


def _chosen(runs: Iterable[Mapping[str, Point]], measure: str | None) -> list[Point]:
    chosen = [next(iter(run.values())) if measure is None else run[measure] for run in runs if measure is None or measure in run]
    return sorted(chosen, key=lambda point: (point.date, point.set, point.mode, point.k))


def history_png(runs: Sequence[Run], measure: str | None = None) -> bytes:
    """Draw `measure` of `runs` over time, by default the main one of each, and return the PNG.

    Raises `ValueError` when none of them has it.
    """
    return draw(_chosen(map(points, runs), measure))


def draw(shown: Sequence[Point], paper: Literal["white", "light", "dark"] = "white") -> bytes:
    """Return a PNG of 1040 pixels' width with a line for each set, mode, k and measure, a marker for each run.

    It is white, or transparent, to stand on a `light` or `dark` page. The ten lines with the newest runs are drawn. Raises `ValueError` when there is no point.
    """
    if not shown:
        raise ValueError("there is nothing to draw")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import date2num
    from matplotlib.figure import Figure

    lines: dict[tuple[str, str, int, str], list[Point]] = {}
    for point in sorted(shown, key=lambda point: point.date, reverse=True):
        lines.setdefault((point.set, point.mode, point.k, point.measure), []).append(point)
    drawn = sorted(list(lines.items())[:_LINES], key=lambda line: line[0])  # by name: a colour rarely moves to another line
    with _drawing:
        figure = Figure(
            figsize=(5.2, 3.1 + 0.17 * len(drawn)),
            dpi=200,
            facecolor="white" if paper == "white" else "none",
            layout="constrained",
        )
        colours, ink, grid = (_DARK_COLOURS, "#cbd5e1", "#334155") if paper == "dark" else (_COLOURS, "#334155", "#e2e8f0")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        handles = [
            axes.plot(
                [float(date2num(p.date)) for p in line],
                [p.value for p in line],
                color=colour,
                marker=marker,
                markersize=5,
                linewidth=1.4,
            )[0]
            for (_, line), colour, marker in zip(drawn, colours, _MARKERS, strict=False)
        ]
        _dress(axes, [point for _, line in drawn for point in line], ink, grid)
        names = [f"{one_line(set, 40)}, {one_line(mode, 12)}, k {k}: {one_line(name, 20)}" for (set, mode, k, name), _ in drawn]
        hidden = f"{len(lines) - len(drawn)} older lines are left out" if len(lines) > len(drawn) else None
        legend = figure.legend(
            handles,
            list(map(_drawable, names)),
            loc="outside lower left",
            fontsize=7.5,
            title_fontsize=7.5,
            frameon=False,
            title=hidden,
            labelcolor=ink,
        )
        legend.get_title().set_color(ink)
        for text in legend.get_texts():
            text.set_parse_math(False)  # the name of a set may hold a $
        png = BytesIO()
        figure.savefig(png, format="png")
    return png.getvalue()


def _dress(axes: Any, drawn: Sequence[Point], ink: str, grid: str) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    days = [float(date2num(point.date)) for point in drawn]
    around = max((max(days) - min(days)) * 0.04, 1 / 24)
    axes.set_xlim(min(days) - around, max(days) + around)
    values = [point.value for point in drawn]
    room = max((max(values) - min(values)) * 0.12, 0.01)
    axes.set_ylim(min(values) - room, max(values) + room)
    locator = AutoDateLocator(minticks=3, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(locator, formats=["%Y", "%b %Y", "%d %b", "%H:%M", "%H:%M", "%S.%f"], show_offset=False)
    )
    measures = dict.fromkeys(point.measure for point in drawn)
    axes.set_ylabel(
        _drawable(one_line(next(iter(measures)), 30)) if len(measures) == 1 else "main measure",
        parse_math=False,
        fontsize=8.5,
        color=ink,
    )
    years = sorted({point.date.year for point in drawn})
    dates = f"date of the run (UTC), {'–'.join(map(str, dict.fromkeys([years[0], years[-1]])))}"
    axes.set_xlabel(dates, fontsize=8.5, color=ink, loc="left")  # a phone shows the left of the plot first
    axes.tick_params(labelsize=8, color="#94a3b8", labelcolor=ink)
    axes.grid(color=grid, linewidth=0.8)
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#94a3b8")


def _drawable(text: str) -> str:
    """Return `text` with a question mark for each sign that matplotlib's own font lacks."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    return "".join(sign if font.get_char_index(ord(sign)) else "?" for sign in text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `eval history`."""
    parser.add_argument("--set", metavar="NAME", help="only runs of this set")
    parser.add_argument("--measure", metavar="NAME", help="this measure (default: the main one of each run)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE.png", help="where the plot goes (default: eval/history.png in the data folder)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the plot and print its path and the table."""
    settings = load_settings()
    folder = runs_folder(settings)
    out: Path = options.out or settings.data / "eval" / "history.png"
    if out.suffix.lower() != ".png":
        raise UserError(f"--out is {one_line(str(out))}: the plot is a PNG, so the name must end in .png.")
    every = stored_points(folder)
    if not every:
        raise UserError(f"{EMPTY} They are kept in {folder}.")
    found = stored_points(folder, options.measure)
    if not found:
        raise UserError(f"No run has the measure {one_line(options.measure)!r}. Main measures: {_names(p.measure for p in every)}.")
    found = [point for point in found if options.set in (None, point.set)]
    if not found:
        raise UserError(f"There is no such run of the set {one_line(options.set)!r}. Sets: {_names(p.set for p in every)}.")
    _write(out, draw(found))
    print(out)
    print("\n".join(_table(found)))
    return 0


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted({one_line(name) for name in names}))


def _write(path: Path, png: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, png)
    except OSError as error:
        raise UserError(f"The plot can't be written to {one_line(str(path))} ({error.strerror or error}).") from None


def _table(found: Sequence[Point]) -> list[str]:
    rows = [("date (UTC)", "set", "mode", "measure", "value")]
    rows += [
        (
            f"{point.date.astimezone(UTC):%Y-%m-%d %H:%M}",
            one_line(point.set, 40),
            one_line(point.mode, 12),
            one_line(point.label, 24),
            f"{point.value:.4f}",
        )
        for point in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
