"""The nodes of the circuit's map: heads by role or effect, layers as bundles, names, rings, and their legend."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import plotly.graph_objects as go

from engine.behaviour.roles import Role
from engine.circuit import Circuit
from engine.figures import theme
from engine.figures.edges import Place, shade_of
from engine.figures.graph import add_mlps, kind_of, sent_effects
from engine.figures.node_look import PLAIN, ROLE_MARKS, Look, Mark, Scale
from engine.heads import Head
from engine.nodes import Mlp, Node
from engine.views.circuit_filter import neighbours
from engine.views.circuit_layers import Bundle, Overview

EFFECT_NAME = "summed effect of outgoing edges"


def add_nodes(figure: go.Figure, overview: Overview, circuit: Circuit, places: Place, scale: Scale, look: Look) -> None:
    """Everything that stands in a row; later traces lie above earlier ones."""
    _add_bundles(figure, overview, places, scale, look)
    _add_missing(figure, places, scale, look)
    _add_heads(figure, overview, circuit, places, scale, look)
    _add_mlps(figure, overview, circuit, places, scale, look)
    _add_frames(figure, places, scale, look)
    _add_names(figure, places, scale, look)


def _add_heads(
    figure: go.Figure, overview: Overview, circuit: Circuit, places: Place, scale: Scale, look: Look
) -> None:
    heads = [node for node in overview.nodes if isinstance(node, Head)]
    sent = sent_effects(circuit)
    limit = max((abs(value) for value in sent.values()), default=1.0) or 1.0
    near = neighbours(circuit, look.selected) | {look.selected} if look.selected in circuit.heads else set(heads)
    fills = [_fill(head, sent, limit, look) for head in heads]
    opacities = [_opacity(head, look) for head in heads]
    seen = [theme.on_page(fill, opacity, look.dark) for fill, opacity in zip(fills, opacities, strict=True)]
    colours, marks = [theme.text_on(colour) for colour in seen], [_mark(head, look) for head in heads]
    told = _told(circuit, sent, look)
    figure.add_scatter(
        x=[places[head][0] for head in heads], y=[places[head][1] for head in heads],
        mode="markers+text", name="heads", showlegend=False,
        text=[str(head) if scale.labelled or head == look.selected or head in look.pinned else "" for head in heads],
        textfont={"size": max(8, min(13, round(scale.node / 2.9))), "color": colours},
        marker={
            "size": [scale.node * mark.scale for mark in marks], "symbol": [mark.symbol for mark in marks],
            "color": fills,
            "opacity": [own if head in near else 0.35 for head, own in zip(heads, opacities, strict=True)],
            "line": {"width": [3.5 if look.key_roles is not None and head in look.key_roles else 1.2 for head in heads],
                     "color": theme.ink(look.dark) if look.key_roles is not None else theme.muted(look.dark)},
        },
        customdata=[[head.layer, head.index] for head in heads],
        hovertext=[told(head) for head in heads], hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    if heads and not look.by_role:
        _add_colour_bar(figure, limit, look.dark)


def _add_mlps(
    figure: go.Figure, overview: Overview, circuit: Circuit, places: Place, scale: Scale, look: Look
) -> None:
    """MLPs have no role, so they are plain where colour is the role."""
    sent = sent_effects(circuit)
    limit = max((abs(value) for value in sent.values()), default=1.0) or 1.0
    mlps = [node for node in overview.nodes if isinstance(node, Mlp)]
    fills = [_rgb(PLAIN) if look.by_role else theme.solid_colour(sent.get(mlp, 0.0) / limit, look.dark) for mlp in mlps]
    told = _told(circuit, sent, look)
    add_mlps(figure, mlps, places, fills, [told(mlp) for mlp in mlps], scale.node)


def _add_colour_bar(figure: go.Figure, limit: float, dark: bool) -> None:
    """Of a trace of its own: the heads' colours are mixed for their labels' sake."""
    figure.add_scatter(
        x=[None], y=[None], mode="markers", showlegend=False, hoverinfo="skip",
        marker={"color": [0], "cmin": -limit, "cmax": limit, "colorscale": theme.diverging_solid(dark),
                "showscale": True,
                "colorbar": theme.colour_bar(EFFECT_NAME, dark, x=0, xanchor="left", y=1, yanchor="bottom")},
    )  # fmt: skip


def _opacity(head: Head, look: Look) -> float:
    """That of how often it was found; a selected head is always seen well."""
    if look.frequency is None or head == look.selected:
        return 1.0
    return shade_of(look.frequency.heads.get(head, 1.0))


def _fill(head: Head, sent: Mapping[Node, float], limit: float, look: Look) -> str:
    if not look.by_role:
        return theme.solid_colour(sent.get(head, 0.0) / limit, look.dark)
    roles = look.roles.get(head)
    return _rgb(ROLE_MARKS[roles[0]].colour if roles else PLAIN)


def _rgb(hex_colour: str) -> str:
    red, green, blue = (int(hex_colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgb({red},{green},{blue})"


def _mark(head: Head, look: Look) -> Mark:
    roles = look.roles.get(head)
    return ROLE_MARKS[roles[0]] if roles else Mark("circle", PLAIN)


def _told(circuit: Circuit, sent: Mapping[Node, float], look: Look) -> Callable[[Node], str]:
    """What a node says on hover."""
    out: defaultdict[Node | None, int] = defaultdict(int)
    into: defaultdict[Node | None, int] = defaultdict(int)
    for edge in circuit.edges:
        out[edge.sender] += 1
        into[edge.receiver] += 1

    def told(node: Node) -> str:
        lines = [f"<b>{kind_of(node)} {node}</b>", *(_about_head(node, look) if isinstance(node, Head) else ())]
        lines.append(f"{EFFECT_NAME} {sent.get(node, 0.0):+.3f}<br>{out[node]} edges out, {into[node]} in")
        if isinstance(node, Head) and node in look.names:
            lines[0] += f" “{html.escape(look.names[node], quote=False)}”"
        if isinstance(node, Head) and look.frequency is not None and node in look.frequency.heads:
            lines.append(found_again(look.frequency.heads[node], look.frequency.n))
        return "<br>".join(lines)

    return told


def _about_head(head: Head, look: Look) -> list[str]:
    """Its roles, and what the answer key says of it."""
    lines = [f"behaves like: {', '.join(look.roles[head])}"] if head in look.roles else []
    return lines + ([_key_line(head, look.key_roles)] if look.key_roles is not None else [])


def found_again(share: float, n: int) -> str:
    """``found again in 9 of 12 runs (75 %)``."""
    return f"found again in {round(share * n)} of {n} runs ({100 * share:.0f} %)"


def _key_line(head: Head, key_roles: Mapping[Head, str]) -> str:
    if head not in key_roles:
        return "not in the answer key"
    role = html.escape(key_roles[head], quote=False)
    return f"in the answer key{f' as {role}' if role else ''}"


def _add_bundles(figure: go.Figure, overview: Overview, places: Place, scale: Scale, look: Look) -> None:
    bundles = [node for node in overview.nodes if isinstance(node, Bundle)]
    if not bundles:
        return
    fill = _rgb("#c9ccd4" if not look.dark else "#4a5262")
    figure.add_scatter(
        x=[places[bundle][0] for bundle in bundles], y=[places[bundle][1] for bundle in bundles],
        mode="markers+text", name="layers", showlegend=False, text=[str(len(bundle.heads)) for bundle in bundles],
        textfont={"size": 12, "color": theme.text_on(fill)},
        marker={"symbol": "square", "size": max(24, scale.node - 8), "color": fill, "opacity": 1,
                "line": {"width": 1.2, "color": theme.muted(look.dark)}},
        customdata=[["layers", bundle.layer] for bundle in bundles],
        hovertext=[_bundle_text(bundle, look) for bundle in bundles], hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def _bundle_text(bundle: Bundle, look: Look) -> str:
    shown = ", ".join(str(head) for head in bundle.heads[:16]) + (" …" if len(bundle.heads) > 16 else "")
    lines = [f"<b>layer {bundle.layer}: {len(bundle.heads)} heads</b>", shown, "click to open"]
    if look.key_roles is not None:
        lines.insert(2, f"{sum(head in look.key_roles for head in bundle.heads)} of them in the answer key")
    return "<br>".join(lines)


def _add_missing(figure: go.Figure, places: Place, scale: Scale, look: Look) -> None:
    """Heads of the answer key that were not found."""
    heads = sorted(look.missing)
    if not heads:
        return
    figure.add_scatter(
        x=[places[head][0] for head in heads], y=[places[head][1] for head in heads],
        mode="markers+text", name="missing", showlegend=False, text=[str(head) for head in heads],
        textfont={"size": max(8, min(13, round(scale.node / 2.9))), "color": theme.muted(look.dark)},
        marker={"symbol": "circle-open", "size": scale.node, "color": theme.muted(look.dark), "opacity": 1,
                "line": {"width": 2.5}},
        customdata=[[head.layer, head.index] for head in heads],
        hovertext=[f"<b>head {head}</b><br>not found, {_key_line(head, look.key_roles or {})}" for head in heads],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def _add_names(figure: go.Figure, places: Place, scale: Scale, look: Look) -> None:
    """The reader's own names, under their heads and their rings."""
    named = [head for head in sorted(look.names) if head in places]
    framed = {look.selected, *look.pinned}
    figure.add_scatter(
        x=[places[head][0] for head in named], y=[places[head][1] for head in named],
        mode="markers+text", hoverinfo="skip", showlegend=False, name="names",
        text=[f"<b>{html.escape(look.names[head], quote=False)}</b>" for head in named],
        textposition="bottom center", textfont={"size": 11, "color": theme.ink(look.dark)},
        marker={"size": [scale.ring if head in framed else scale.node * 0.9 for head in named],
                "color": "rgba(0,0,0,0)"},
    )  # fmt: skip


def _add_frames(figure: go.Figure, places: Place, scale: Scale, look: Look) -> None:
    """A ring around the selected head, and a quieter one around pinned ones."""
    rings = (
        ("pinned", [head for head in sorted(look.pinned) if head in places], theme.muted(look.dark), 1.5),
        ("selected", [look.selected] if look.selected in places else [], theme.ACCENT, 3),
    )
    for name, heads, colour, width in rings:
        figure.add_scatter(
            x=[places[head][0] for head in heads], y=[places[head][1] for head in heads],
            mode="markers", hoverinfo="skip", showlegend=name == "pinned" and bool(heads), name=name,
            marker={"symbol": "circle-open", "size": scale.ring, "color": colour, "line": {"width": width}},
        )  # fmt: skip


def add_node_legend(figure: go.Figure, overview: Overview, look: Look) -> None:
    """Shapes of the roles that occur, and what rims and hollow nodes mean."""
    single = {node for node in overview.nodes if isinstance(node, Head)}
    present = {roles[0] for head, roles in look.roles.items() if head in single}
    for role in Role:
        if role in present:
            mark = ROLE_MARKS[role]
            colour = mark.colour if look.by_role else theme.muted(look.dark)
            _legend_mark(figure, role.value, {"symbol": mark.symbol, "size": 11, "color": colour})
    if look.key_roles is not None:
        rim = {"width": 3, "color": theme.ink(look.dark)}
        _legend_mark(figure, "in the answer key", {"symbol": "circle", "size": 11, "color": PLAIN, "line": rim})
    if look.missing:
        hollow = {"symbol": "circle-open", "size": 11, "color": theme.muted(look.dark), "line": {"width": 2.5}}
        _legend_mark(figure, "in the key, not found", hollow)
    if look.frequency is not None:
        for shade in (1.0, 0.6, 0.2):
            words = f"found in {'all' if shade == 1 else f'{100 * shade:.0f} %'} of {look.frequency.n} runs"
            marker = {"symbol": "circle", "size": 11, "color": theme.ink(look.dark), "opacity": shade}
            _legend_mark(figure, words, marker)


def _legend_mark(figure: go.Figure, name: str, marker: dict[str, Any]) -> None:
    figure.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=marker)
