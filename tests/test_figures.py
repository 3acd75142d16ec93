"""Figures: what can be measured of a picture (colours, overlaps, glyphs, size, time) and what its sentence says."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import time
import warnings

import matplotlib as mpl
import numpy as np
import pages
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from opslib import figures, privacy, text
from opslib.errors import UsageError
from opslib.figures import theme
from opslib.report import finding, section
from opslib.text import say

CHINESE = re.compile("[\u3400-\u9fff\u3000-\u303f\uff00-\uffef]")


def estimates() -> pd.DataFrame:
    names = say(zh="新首页|按钮颜色|免单", en="New home page|Button colour|Free order").split("|")
    columns = {
        "variant": names,
        "diff": [0.012, -0.003, 0.031],
        "low": [0.002, -0.012, 0.01],
        "high": [0.022, 0.006, 0.052],
    }
    return pd.DataFrame(columns | {"n": [12_000, 11_200, 4_020]})


def places() -> pd.DataFrame:
    names = [say(zh=f"渠道 {n}", en=f"Channel {n}") for n in range(9)]
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "channel": names,
            "cost": rng.uniform(1e4, 9e5, 9),
            "rate": rng.uniform(0.1, 0.5, 9),
            "users": rng.integers(100, 20_000, 9),
        }
    )


def moves() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "from_state": ["new", "new", "dormant"],
            "to_state": ["retained", "dormant", "dormant"],
            "users": [3_000, 5_200, 14_000],
        }
    )


def bins() -> pd.DataFrame:
    return pd.DataFrame(
        {"left": range(0, 60, 10), "right": range(10, 70, 10), "users": [900, 2_300, 3_100, 1_200, 300, 50]}
    )


def groups() -> pd.DataFrame:
    frame = pd.DataFrame({"predicted": [0.1, 0.3, 0.5], "observed": [0.11, 0.24, 0.52], "n": [300, 200, 100]})
    return frame.assign(low=frame["observed"] - 0.05, high=frame["observed"] + 0.05)


KINDS = {
    "curve": lambda: figures.curve(pages.days(), x="day", y="rate", hue="platform", n="users"),
    "line": lambda: figures.curve(pages.days()[lambda d: d["platform"] == "ios"], x="day", y="rate", reference=0.4, title=say(zh="次日留存", en="Day-1 retention")),
    "bars": lambda: figures.bars(places(), label="channel", value="cost", by_name=True),
    "grouped": lambda: figures.bars(pages.days().head(2).assign(channel=["a", "b"]), label="channel", value="rate", hue="platform"),
    "steps": lambda: figures.steps(pages.funnel()),
    "matrix": lambda: figures.matrix(pages.cohorts()),
    "intervals": lambda: figures.intervals(estimates(), label="variant", value="diff", n="n"),
    "flows": lambda: figures.flows(moves(), source="from_state", target="to_state"),
    "waterfall": lambda: figures.waterfall(pages.parts_of_change(), label="step", value="diff", start=0.44, end=0.381, start_label=say(zh="上期", en="Before"), end_label=say(zh="本期", en="Now")),
    "scatter": lambda: figures.scatter(places(), x="cost", y="rate", label="channel", size="users"),
    "quadrant": lambda: figures.quadrant(places(), x="cost", y="rate", label="channel", x_split=4e5, y_split=0.3, corners=say(zh="保持|加码|观察|收缩", en="Keep|Push|Watch|Cut").split("|")),
    "small_multiples": lambda: figures.small_multiples(pages.days(), x="day", y="rate", by="platform"),
    "histogram": lambda: figures.histogram(bins(), x_title=say(zh="小时", en="Hours"), marks={25: say(zh="中位数 25 小时", en="Median 25 hours")}),
    "calibration": lambda: figures.calibration(groups()),
    "stacks": lambda: figures.stacks(pd.DataFrame({"start": pd.date_range("2026-09-07", periods=6, freq="7D").date, "new": range(10, 16), "retained": range(50, 56), "dormant": range(20, 26)}), x="start", up=["retained", "new"], down=["dormant"]),
}  # fmt: skip


def words(figure: figures.Drawing) -> list[str]:
    """Every text that is drawn."""
    figure.small()
    return [t.get_text() for t in figure.findobj(mpl.text.Text) if t.get_visible() and t.get_text()]


def boxes(figure: figures.Drawing, texts: list) -> list:
    FigureCanvasAgg(figure).draw()
    return [t.get_window_extent() for t in texts if t.get_text()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_kind_speaks_one_language_has_its_glyphs_and_is_small(kind, lang):
    with text.speaking(lang), warnings.catch_warnings():
        warnings.simplefilter("error")  # a missing glyph is a warning
        figure = KINDS[kind]()
        data, (width, _) = figure.small()
        said = [*words(figure), figure.alt, figure.caption]
    assert figure.alt and width <= theme.WIDE * theme.DPI + 1
    assert len(data) < 30_000
    told = " ".join(said)
    if lang == "en":
        assert not CHINESE.search(told), told
    else:
        assert CHINESE.search(figure.alt)
        strange = set(re.findall(r"[A-Za-z]{2,}", told)) - {"iOS"}
        assert not strange, strange


def test_eight_figures_leave_room_on_a_page_and_take_little_time(capsys):
    made = [KINDS[k] for k in ("curve", "line", "bars", "steps", "matrix", "intervals", "flows", "waterfall")]
    with text.speaking("zh"):
        for draw in made:
            draw().small()
        started = time.process_time()
        sizes = [len(draw().small()[0]) for draw in made]
        seconds = time.process_time() - started
    with capsys.disabled():
        print(f"\n8 figures: {seconds:.2f} CPU s, {sum(sizes) / 8 / 1000:.1f} kB each")
    assert sum(sizes) / 8 < 16_000
    assert seconds < 4  # 1 s on a quiet machine


def test_drawing_leaves_no_trace_in_the_process():
    import matplotlib.pyplot as plt

    plt.get_backend()
    before = mpl.rcParams.copy()
    for draw in KINDS.values():
        draw().small()
    assert mpl.rcParams == before
    assert plt.get_fignums() == []


def test_the_alt_text_says_what_the_picture_shows():
    with text.speaking("en"):
        curve = figures.curve(pages.days()[lambda d: d["platform"] == "android"], x="day", y="rate").alt
        steps = figures.steps(pages.funnel()).alt
        dots = figures.intervals(estimates(), label="variant", value="diff").alt
    day = pages.days()[lambda d: d["platform"] == "android"]
    assert (
        text.percent(day["rate"].iloc[-1]) in curve
        and text.percent(day["rate"].min()) in curve
        and "2026-11-12" in curve
    )
    assert "Register 91,230 · 59.9%" in steps
    assert "2 intervals exclude the reference line" in dots and "Free order +3.1 (+1.0 to +5.2)" in dots


# Colours


def _seen(colours: tuple[str, ...], sight: np.ndarray) -> np.ndarray:
    """CIELAB of the colours as somebody with this sight sees them (matrices: Machado, Oliveira & Fernandes 2009, severity 1)."""
    rgb = np.array([mpl.colors.to_rgb(c) for c in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ sight.T, 0, 1)
    xyz = (
        seen
        @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
        / [0.95047, 1, 1.08883]
    )
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


SIGHTS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def _contrast(colour: str) -> float:
    rgb = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return 1.05 / (float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)


@pytest.mark.parametrize("sight", SIGHTS)
def test_the_colours_stay_apart_whatever_one_sees(sight):
    lab = _seen(theme.PALETTE, SIGHTS[sight])
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)) > 16


def test_colours_stand_out_from_paper_and_words_can_be_read():
    for colour in theme.PALETTE:
        assert _contrast(colour) >= 2.95
        assert _contrast(theme.ink(colour)) >= 4.5


def test_a_name_keeps_its_colour_in_every_figure_and_order(monkeypatch):
    monkeypatch.setattr(theme, "_given", {})
    first = {name: figures.colour(name) for name in ("抖音", "微信", "百度", "线下")}
    assert {name: figures.colour(name) for name in reversed(first)} == first
    assert len(set(first.values())) == 4
    monkeypatch.setattr(theme, "_given", {})
    assert figures.colour("百度") == first["百度"]  # also in another process
    assert figures.colour("ios") == theme.FIXED["ios"]
    assert len({figures.colour(n) for n in range(30)}) == 30


# Labels


def test_end_labels_do_not_cover_each_other():
    frame = pages.days().assign(rate=lambda d: 0.4 + d.groupby("platform").ngroup() * 0.0003, low=np.nan, high=np.nan)
    figure = figures.curve(frame, x="day", y="rate", hue="platform")
    names = [t for t in figure.axes[0].texts if t.get_text()]
    for a, b in itertools.combinations(boxes(figure, names), 2):
        assert not a.overlaps(b)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("length", [2, 9, 31, 62, 180, 400, 1_100])
def test_dates_do_not_overlap_and_are_written_in_one_language(lang, length):
    frame = pd.DataFrame({"day": pd.date_range("2025-11-20", periods=length), "users": range(100, 100 + length)})
    with text.speaking(lang):
        figure = figures.curve(frame, x="day", y="users")
        ticks = [t for t in figure.axes[0].get_xticklabels() if t.get_text()]
        placed = boxes(figure, ticks)
    for a, b in itertools.pairwise(placed):
        assert not a.overlaps(b)
    found = " ".join(t.get_text() for t in ticks)
    assert not re.search("[A-Za-z]" if lang == "zh" else "[\u4e00-\u9fff]", found)


@pytest.mark.parametrize(
    ("lang", "kind", "values", "wanted"),
    [
        ("zh", "number", [0, 50_000, 100_000], ["0", "5 万", "10 万"]),
        ("zh", "number", [0, 1e8, 2e8], ["0", "1 亿", "2 亿"]),
        ("en", "number", [0, 50_000, 100_000], ["0", "50K", "100K"]),
        ("en", "number", [0, 500_000, 1_000_000], ["0", "0.5M", "1.0M"]),
        ("zh", "percent", [0, 0.025, 0.05], ["0%", "2.5%", "5.0%"]),
        ("zh", "percent", [-0.1, 0, 0.1], ["−10%", "0%", "10%"]),
        ("en", "points", [-0.02, 0, 0.02], ["−2", "0", "+2"]),
        ("zh", "money", [0, 200_000], ["¥0", "¥20 万"]),
    ],
)
def test_ticks_are_written_as_the_language_writes_numbers(lang, kind, values, wanted):
    from opslib.figures.axes import Ticks

    with text.speaking(lang):
        assert Ticks(kind).format_ticks(values) == wanted


def test_a_users_text_is_drawn_as_it_is_and_cut():
    names = ["$price$ \\frac{a}{b}", "<script>alert(1)</script>", "x" * 10_000, "\u202egnihtyna\u0000", "=HYPERLINK(1)"]
    figure = figures.bars(pd.DataFrame({"channel": names, "users": [5, 6, 7, 8, 9]}), label="channel", value="users")
    drawn = words(figure)
    assert "$price$ \\frac{a}{b}" in drawn
    assert any(w.startswith("<script>") for w in drawn)
    assert max(map(len, drawn)) < 40
    assert not re.search("[\u202e\u0000]", " ".join(drawn) + figure.alt)


def test_values_are_called_by_their_names():
    with text.speaking("zh"):
        assert {"小程序", "安卓"} <= set(words(KINDS["small_multiples"]()))
        assert "验证手机" in words(KINDS["steps"]())


# Data that is not as it should be


def test_a_missing_column_names_the_near_miss():
    with pytest.raises(UsageError, match="did you mean 'rate'"):
        figures.curve(pages.days(), x="day", y="rates")


@pytest.mark.parametrize("frame", [pages.funnel().head(0), pages.funnel().assign(users=2, entered=3)])
def test_where_there_is_nothing_to_show_the_reason_stands_in_the_place_of_an_empty_picture(frame, monkeypatch):
    undrawn, parts = figures.steps(frame), []
    assert not hasattr(undrawn, "small") and undrawn.why
    monkeypatch.setattr(finding, "show", parts.append)
    section("Steps", figure=undrawn, table=pages.funnel(), note="As asked.")
    assert parts[0]["figure"] is None and parts[0]["table"] and parts[0]["note"].endswith(f"{undrawn.why}。")


def test_groups_of_very_few_users_are_not_drawn():
    frame = pd.DataFrame({"channel": ["a", "b", "c"], "users": [500, 4, 0], "rate": [0.2, 0.5, 0.0]})
    with text.speaking("en"):
        figure = figures.bars(frame, label="channel", value="rate")
    drawn = words(figure)
    assert "b" not in drawn and {"a", "c"} <= set(drawn)
    assert "1 group of under 5 users not drawn" in figure.caption
    privacy._asked["min_group"] = 0
    try:
        assert "b" in words(figures.bars(frame, label="channel", value="rate"))
    finally:
        privacy._asked.clear()


def test_a_small_group_breaks_the_line_instead_of_bending_it():
    frame = pd.DataFrame(
        {"day": pd.date_range("2026-01-01", periods=5), "users": [50, 60, 3, 70, 80], "rate": [0.1, 0.2, 0.9, 0.2, 0.1]}
    )
    line = figures.curve(frame, x="day", y="rate").axes[0].lines[0]
    assert np.isnan(line.get_ydata()[2]) and np.nanmax(line.get_ydata()) == 0.2


@pytest.mark.parametrize("kind", ["curve", "bars", "intervals", "matrix", "scatter"])
def test_missing_values_leave_gaps_not_errors(kind):
    frames = {
        "curve": lambda: figures.curve(pages.days().assign(rate=lambda d: d["rate"].where(d.index % 3 > 0)), x="day", y="rate", hue="platform"),
        "bars": lambda: figures.bars(places().assign(cost=[None, *range(8)]), label="channel", value="cost"),
        "intervals": lambda: figures.intervals(estimates().assign(low=[0, None, 1], high=[1, None, 2]), label="variant", value="diff"),
        "matrix": lambda: figures.matrix(pages.cohorts().assign(rate=lambda d: d["rate"].where(d.index % 2 > 0))),
        "scatter": lambda: figures.scatter(places().assign(rate=[None, *np.linspace(0, 1, 8)]), x="cost", y="rate", label="channel"),
    }  # fmt: skip
    figure = frames[kind]()
    assert figure.small()[0] and "nan" not in figure.alt.lower()


def test_one_point_is_a_dot():
    figure = figures.curve(pd.DataFrame({"day": [dt.date(2026, 1, 1)], "users": [100]}), x="day", y="users")
    assert figure.axes[0].lines[0].get_marker() == "o"


def test_a_picture_of_flows_tells_no_number_from_which_a_withheld_state_could_be_worked_out():
    def said(frame):
        drawing = figures.flows(frame, source="from_state", target="to_state")
        return " ".join(t.get_text() for t in drawing.axes[0].texts), drawing.alt

    whole, few = moves(), pd.DataFrame({"from_state": ["unseen"], "to_state": ["new"], "users": [3]})
    whole["users"] //= 100
    assert "140" in said(whole)[0] and "222" in said(whole)[1]
    words, alt = said(pd.concat([whole, few]))
    assert not re.search(r"\d", words) and "225" not in alt and "222" in alt


def test_the_columns_of_a_matrix_need_a_head_only_when_they_are_numbers():
    assert figures.matrix(pages.cohorts()).axes[0].get_xlabel()
    rates = pd.DataFrame({"category": ["a", "a"], "event": ["like", "comment"], "rate": [0.1, 0.2]})
    named = {"row": "category", "column": "event", "n": ""}
    assert not figures.matrix(rates, **named).axes[0].get_xlabel()
    assert figures.matrix(rates, **named, column_title="Event").axes[0].get_xlabel() == "Event"


def test_each_state_of_a_user_has_a_colour_of_its_own():
    from opslib.metrics.states import STATES

    assert len({figures.colour(state) for state in [*STATES, "unseen"]}) == 6


def test_every_band_of_a_flow_is_to_be_seen():
    """Each state's bands keep their own colour in the palette of the picture: none turns into paper or into another's."""
    from io import BytesIO

    import numpy as np
    from PIL import Image

    states = ["new", "active", "retained", "silent", "churned", "unseen"]
    ends = [(a, b) for a in states for b in states[:5]]  # crossing bands have many shades between them
    users = [
        40,
        60,
        10,
        300,
        300,
        20,
        1100,
        449,
        300,
        10,
        10,
        500,
        600,
        569,
        9,
        9,
        193,
        9,
        100,
        2800,
        9,
        300,
        9,
        9,
        11_200,
        1035,
        9,
        9,
        2000,
        1300,
    ]
    frame = pd.DataFrame(ends, columns=["from_state", "to_state"]).assign(users=users)
    drawn = figures.flows(frame, source="from_state", target="to_state", order=states)
    with Image.open(BytesIO(drawn.small()[0])) as image:
        beside = np.asarray(image.convert("RGB"))[:, image.width // 5]
    shown = {tuple(int(c) for c in p) for p in beside}
    for state in states:
        wanted = np.array([int(figures.colour(state)[i : i + 2], 16) for i in (1, 3, 5)]) * 0.35 + 255 * 0.65
        assert min(np.abs(np.array(p) - wanted).max() for p in shown) < 20, state


def test_a_name_beside_its_line_keeps_its_letters_however_many_hues_there_are():
    """In too few colours thin strokes of one hue turn into those of another, or into paper."""
    from io import BytesIO

    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    rng = np.random.default_rng(1)
    names = ["kol_bilibili", "app_store", "baidu_search", "wechat_ads", "huawei_store", "douyin_feed"]
    days = pd.date_range("2026-01-04", periods=26, freq="W")
    rows = [
        pd.DataFrame({"day": days, "cac": at + rng.normal(0, at / 6, 26), "channel": name})
        for name, at in zip(names, (65, 14, 17, 8, 9, 6), strict=True)
    ]
    drawn = figures.curve(pd.concat(rows), x="day", y="cac", hue="channel", zero=True)
    small = Image.open(BytesIO(drawn.small()[0])).convert("RGB")
    agg = FigureCanvasAgg(drawn)
    agg.draw()
    whole = Image.frombuffer("RGBA", small.size, agg.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")
    off = np.abs(np.asarray(small, int) - np.asarray(whole, int)).max(axis=2)
    assert (off > 48).mean() < 0.001
