"""Bars as SVG, readable on light and dark pages."""

from html import escape

WIDTH, LABELS, BAR, GAP, HEADING = 860, 210, 15, 4, 30
COLOURS = ["#2f6fde", "#7fa8ee", "#3a9a4a", "#8cc996", "#c77d1e", "#9a5fc0", "#c9a6de"]


def plot(cases):
    """Draws the CPU of each proxy in each case as a multiple of nginx's. `cases` are titles, each with its ratios by proxy."""
    drawn, top = [], 0
    for title, ratios in cases:
        # Of each case on its own: Caddy's bars would leave nothing of the others.
        widest = max(ratios.values(), default=1)
        unit = (WIDTH - LABELS - 60) / widest
        top += HEADING
        drawn.append(f'<text x="0" y="{top - 8}" font-weight="600">{escape(title)}</text>')
        begin = top
        for index, (peer, ratio) in enumerate(ratios.items()):
            middle = top + BAR - 3
            drawn += [
                f'<text x="{LABELS - 10}" y="{middle}" text-anchor="end">{escape(peer)}</text>',
                f'<rect x="{LABELS}" y="{top}" width="{unit * ratio:.1f}" height="{BAR}" rx="2" '
                f'fill="{COLOURS[index % len(COLOURS)]}"/>',
                f'<text x="{LABELS + unit * ratio + 6:.1f}" y="{middle}">{ratio:.2f}</text>',
            ]
            top += BAR + GAP
        line = LABELS + unit
        drawn.append(f'<line x1="{line:.1f}" x2="{line:.1f}" y1="{begin - 2}" y2="{top}" class="one"/>')
    style = (
        "text { font: 13px system-ui, sans-serif; fill: #222 } .one { stroke: #222; stroke-dasharray: 3 3 } "
        "@media (prefers-color-scheme: dark) { text { fill: #ddd } .one { stroke: #ddd } }"
    )
    described = "CPU of the proxy for one request, as a multiple of nginx's; less is better"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 8}" role="img" '
        f'aria-label="{escape(described)}">\n<style>{style}</style>\n' + "\n".join(drawn) + "\n</svg>\n"
    )
