#!/usr/bin/env python3
"""Makes country_extents.tsv: rectangles that hold each country, from Natural Earth's map.

Needs two npm packages, unpacked: python3 extents.py WORLD_ATLAS I18N_ISO_COUNTRIES
"""

import json
import math
import sys
from pathlib import Path

MARGIN = 0.25  # degrees; the map is generalised
MOST = 8  # rectangles a country
# What the map shows without a number.
NAMED = {"Kosovo": "XK", "Somaliland": "SO", "N. Cyprus": "CY"}
world, codes = Path(sys.argv[1]), Path(sys.argv[2])
topology = json.loads((world / "countries-50m.json").read_text())
alpha2 = {number: code for code, _, number, *_ in json.loads((codes / "codes.json").read_text())}


def decode(arc):
    """TopoJSON: steps on a grid."""
    (kx, ky), (dx, dy) = topology["transform"]["scale"], topology["transform"]["translate"]
    x = y = 0
    for step_x, step_y in arc:
        x, y = x + step_x, y + step_y
        yield x * kx + dx, y * ky + dy


arcs = [list(decode(arc)) for arc in topology["arcs"]]


def box(points):
    xs, ys = zip(*points)
    return min(xs), min(ys), max(xs), max(ys)


def boxes(polygon):
    """One rectangle, or one on each side where it spans the antimeridian."""
    points = [point for ring in polygon for i in ring for point in arcs[i if i >= 0 else ~i]]
    whole = box(points)
    if whole[2] - whole[0] < 180:
        return [whole]
    return [box([point for point in points if (point[0] < 0) == west]) for west in (True, False)]


def union(a, b):
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def size(a):
    return (a[2] - a[0] + 1) * (a[3] - a[1] + 1)


def merged(boxes):
    """Joins the two that waste the least, until few are left and joining more would waste."""
    while len(boxes) > 1:
        waste, i, j = min(
            (size(union(a, b)) - size(a) - size(b), i, j)
            for i, a in enumerate(boxes)
            for j, b in enumerate(boxes[:i])
        )
        if waste > 5 and len(boxes) <= MOST:
            break
        boxes[j] = union(boxes[i], boxes[j])
        del boxes[i]
    return sorted(boxes)


def outward(a):
    low = [max(limit, math.floor((x - MARGIN) * 10) / 10) for x, limit in zip(a[:2], (-180, -90))]
    high = [min(limit, math.ceil((x + MARGIN) * 10) / 10) for x, limit in zip(a[2:], (180, 90))]
    return ",".join(f"{x:g}" for x in low + high)


countries = {}
for country in topology["objects"]["countries"]["geometries"]:
    code = NAMED.get(country["properties"]["name"]) or alpha2.get(country.get("id"))
    if code and country["type"]:
        many = country["type"] == "MultiPolygon"
        rings = country["arcs"] if many else [country["arcs"]]
        countries.setdefault(code, []).extend(
            found for polygon in rings for found in boxes(polygon)
        )

lines = (
    f"{code}\t{' '.join(map(outward, merged(found)))}\n"
    for code, found in sorted(countries.items())
)
Path(__file__).with_name("country_extents.tsv").write_text("".join(lines))
