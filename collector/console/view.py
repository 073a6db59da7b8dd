"""How one person sees the console: language, theme, time zone; and the words and numbers written that way."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from markupsafe import Markup, escape

from collector.console.texts import ONE, ZH
from collector.site import Who
from collector.views.moment import moment
from telemetry.clock import EPOCH
from telemetry.fields import BY_NAME

LANGUAGES = ("zh-CN", "en")
THEMES = ("auto", "light", "dark")
ZONES: Mapping[str, tuple[datetime.tzinfo, str, str]] = {
    # China has had no summer time since 1991, so a fixed offset is right and needs no zone database
    "Asia/Shanghai": (datetime.timezone(datetime.timedelta(hours=8)), "北京时间 UTC+8", "Beijing time, UTC+8"),
    "UTC": (datetime.UTC, "协调世界时 UTC", "UTC"),
}
COOKIES = {"language": "tengwang-language", "theme": "tengwang-theme", "zone": "tengwang-zone"}


@dataclass(frozen=True)
class View:
    """Everything that a template needs to know of the reader."""

    language: str
    theme: str
    zone: str
    now_ms: int
    path: str
    who: Who | None

    @property
    def zh(self) -> bool:
        return self.language == "zh-CN"

    @property
    def zone_name(self) -> str:
        _, zh, en = ZONES[self.zone]
        return zh if self.zh else en

    def t(self, english: str, **values: object) -> str:
        """A text of the catalogue in the reader's language; the English text is its own key. Data stays as it is."""
        if not self.zh and str(values.get("n")) == "1":
            english = ONE.get(english, english)
        text = ZH.get(english, english) if self.zh else english
        return text.format(**values) if values else text

    def either(self, zh: str, en: str) -> str:
        """Of two texts that came with the data, the reader's; the other where it is empty."""
        return (zh or en) if self.zh else (en or zh)

    def label(self, field: str) -> str:
        """The label of a field of telemetry/fields.py."""
        known = BY_NAME.get(field)
        return (known.zh if self.zh else known.en) if known else field

    def local(self, time: datetime.datetime | int | float | None) -> datetime.datetime | None:
        made = moment(time) if isinstance(time, int | float) else time
        return made.astimezone(ZONES[self.zone][0]) if made else None

    def clock(self, time: datetime.datetime | int | float | None, date: bool = True) -> str:
        """``2026-11-23 16:30:00``, or without the date where it is today's."""
        local = self.local(time)
        if local is None:
            return "—"
        today = self.local(self.now_ms)
        short = not date and today is not None and today.date() == local.date()
        return f"{local:%H:%M:%S}" if short else f"{local:%Y-%m-%d %H:%M:%S}"

    def ago(self, time: datetime.datetime | int | float | None) -> str:
        """``12 s ago``."""
        local = self.local(time)
        if local is None:
            return self.t("never")
        seconds = (self.now_ms - (local - EPOCH) // datetime.timedelta(milliseconds=1)) / 1000
        if seconds < -2:
            return self.t("in {span}", span=self.span(-seconds))
        return self.t("{span} ago", span=self.span(max(0, seconds)))

    def when(self, time: datetime.datetime | int | float | None, relative: bool = True) -> Markup:
        """A ``<time>``: relative with the absolute time as its title, or the other way round."""
        local = self.local(time)
        if local is None:
            return Markup('<span class="faint">{}</span>').format(self.t("never"))
        absolute = f"{self.clock(time)} ({self.zone_name})"
        shown, title = (self.ago(time), absolute) if relative else (self.clock(time, date=False), self.ago(time))
        title = title if relative else f"{absolute} · {title}"
        return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
            local.astimezone(datetime.UTC).isoformat(timespec="milliseconds"),
            title,
            Markup(" data-relative") if relative else "",
            shown,
        )

    def span(self, seconds: float) -> str:
        """A length of time in its two greatest units at most."""
        for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
            if seconds >= 2 * size or (unit != "min" and seconds >= size):
                return f"{int(seconds // size)} {self.t(unit)}"
        return f"{int(seconds)} {self.t('s')}"

    def number(self, value: float | int) -> str:
        return f"{value:,.0f}" if isinstance(value, int) or value >= 100 else f"{value:,.3g}"

    def short(self, value: float | int) -> str:
        """``12,300`` as ``12.3k``, in Chinese ``1.23万``."""
        steps = ((10**8, " 亿"), (10**4, " 万")) if self.zh else ((10**9, "G"), (10**6, "M"), (10**4, "k"))
        for size, unit in steps:
            if value >= size:
                scale = 1000 if unit == "k" else size
                return f"{value / scale:.3g}{unit}"
        return f"{value:,.0f}"

    def octets(self, value: float) -> str:
        for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
            if value < 1024 or unit == "TiB":
                return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
            value /= 1024
        raise AssertionError

    def rate(self, bits: float) -> str:
        for unit in ("bit/s", "kbit/s", "Mbit/s", "Gbit/s"):
            if bits < 1000 or unit == "Gbit/s":
                return f"{bits:.3g} {unit}"
            bits /= 1000
        raise AssertionError

    def share(self, part: float, whole: float) -> str:
        return f"{100 * part / whole:.0f}%" if whole else "—"

    @staticmethod
    def ip(address: str) -> Markup:
        """An address that a narrow screen may break after a colon, and nowhere else; an IPv4 address is short."""
        broken = str(escape(address)).replace(":", ":<wbr>").replace(":<wbr>:<wbr>", "::<wbr>")
        return Markup('<span class="ip">{}</span>').format(Markup(broken))  # noqa: S704 - escaped above


def view_of(request: web.Request, now_ms: int, who: Who | None) -> View:
    """By the reader's cookies, else by Accept-Language; Chinese where it names neither language."""
    language = request.cookies.get(COOKIES["language"], "")
    theme = request.cookies.get(COOKIES["theme"], "")
    zone = request.cookies.get(COOKIES["zone"], "")
    return View(
        language if language in LANGUAGES else accepted(request.headers.get("Accept-Language", "")),
        theme if theme in THEMES else THEMES[0],
        zone if zone in ZONES else next(iter(ZONES)),
        now_ms,
        request.path_qs,
        who,
    )


def accepted(header: str) -> str:
    """The first language of an Accept-Language header that we have, by its weights (RFC 9110, 12.5.4)."""
    weighed = []
    for order, part in enumerate(header[:512].split(",")):
        tag, _, parameters = part.strip().partition(";")
        found = parameters.strip().removeprefix("q=")
        weight = float(found) if found.replace(".", "", 1).isdecimal() and found.isascii() else 1.0
        weighed.append((-weight, order, tag.lower()))
    for weight, _, tag in sorted(weighed):
        if weight and tag.startswith("zh"):
            return "zh-CN"
        if weight and tag.startswith("en"):
            return "en"
    return LANGUAGES[0]
