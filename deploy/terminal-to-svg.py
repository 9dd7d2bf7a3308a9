#!/usr/bin/env python3
"""A picture of a terminal, as text: reads what `tmux capture-pane -e -p` prints, writes SVG.

    tmux new-session -d -x 100 -y 28 -s look 'dovi-producer status --watch'
    tmux capture-pane -e -p -t look | deploy/terminal-to-svg.py >docs/status-watch.svg

Knows the colours, weights and resets that dovi-fleet uses (ECMA-48, select graphic rendition), and nothing else.
"""

import re
import sys
import unicodedata
from xml.sax.saxutils import escape

CELL, ROW, EDGE = 8.4, 18, 14
COLOURS = {30: "#3b4252", 31: "#f07178", 32: "#a3be8c", 33: "#ebcb8b", 34: "#81a1c1", 35: "#b48ead", 36: "#88c0d0", 37: "#e5e9f0"}
PAPER, INK = "#1e222a", "#d8dee9"


def width(text):
    wide = lambda c: 0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
    return sum(map(wide, text))


def pieces(line, style):
    """Texts with their styles; what was set at the end of the line before goes on."""
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if not code:
            if part:
                yield part, dict(style)
            continue
        # The basic colours by their index: ratatui's way of writing them.
        for n in map(int, re.sub(r"\b38;5;([0-7])\b", r"3\1", code[1] or "0").split(";")):
            if n == 0:
                style.clear()
            elif n in (1, 2):
                style["weight"] = n
            elif n == 22:
                style.pop("weight", None)
            elif n == 39:
                style.pop("fill", None)
            elif n in COLOURS:
                style["fill"] = COLOURS[n]


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", l) for l in lines]
    columns = max(80, *map(width, plain))
    size = (columns * CELL + 2 * EDGE, len(lines) * ROW + 2 * EDGE)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]:.0f} {size[1]:.0f}" width="{size[0]:.0f}">',
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>',
        f'<g font-family="ui-monospace,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" font-size="14" fill="{INK}">',
    ]
    style = {}
    for n, line in enumerate(lines):
        at = 0
        for text, is_ in pieces(line, style):
            took = width(text)
            look = f' fill="{is_["fill"]}"' if "fill" in is_ else ""
            look += {1: ' font-weight="bold"', 2: ' opacity="0.6"'}.get(is_.get("weight"), "")
            # Each run without a gap has its own place and length: the columns stay, whatever font there is.
            for run in re.finditer(r"\S+(?: \S+)*", text):
                x, long = EDGE + (at + width(text[: run.start()])) * CELL, width(run[0]) * CELL
                out.append(
                    f'<text x="{x:.1f}" y="{EDGE + n * ROW + 13}" textLength="{long:.1f}" '
                    f'lengthAdjust="spacingAndGlyphs"{look}>{escape(run[0])}</text>'
                )
            at += width(text)
    print("\n".join(out + ["</g>", "</svg>"]))


main()
