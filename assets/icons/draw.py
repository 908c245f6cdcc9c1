#!/usr/bin/env python3
"""Draws the app's icon and the pictures of the tray: four voices, each on its own channel.

Needs nothing but Python 3. Writes beside itself and into ../tray; run it after changing a shape or a colour:

    python3 assets/icons/draw.py
"""

import math
import struct
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
TRAY = HERE.parent / "tray"

# Shapes are given on a square of 64 units: x, y, width, height, radius.
GROUND = (0, 0, 64, 64, 15)
VOICES = [(12, 26, 6, 16, 3), (23, 17, 6, 32, 3), (35, 13, 6, 36, 3), (46, 22, 6, 20, 3)]
VOICE_COLOURS = ["#f2c46b", "#f4f1ea", "#7fd3c8", "#f0907c"]

# The tray's voices fill the square, because panels are 16 to 24 pixels high.
TRAY_VOICES = [(4, 22, 10, 22, 5), (19, 10, 10, 44, 5), (34, 4, 10, 50, 5), (49, 16, 10, 30, 5)]
TRAY_DISC = (1, 1, 62, 62, 31)
TRAY_DISC_VOICES = [(14, 26, 6, 13, 3), (24, 19, 6, 27, 3), (34, 16, 6, 31, 3), (44, 23, 6, 18, 3)]
TRAY_SIZE = 64


def colour(text):
    return tuple(int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))


def coverage(shape, x, y, unit):
    """How much of the pixel at (x, y) a rounded rectangle covers, from its distance to the edge."""
    left, top, width, height, radius = shape
    dx = abs(x - left - width / 2) - width / 2 + radius
    dy = abs(y - top - height / 2) - height / 2 + radius
    outside = math.hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - radius
    return min(1.0, max(0.0, 0.5 - outside / unit))


def draw(size, layers):
    """RGBA rows of layers of (shape, paint), painted over one another; paint is a function of y from 0 to 1."""
    unit = 64 / size
    rows = []
    for row in range(size):
        y = (row + 0.5) * unit
        line = bytearray()
        for column in range(size):
            x = (column + 0.5) * unit
            pixel, alpha = (0.0, 0.0, 0.0), 0.0
            for shape, paint in layers:
                over = coverage(shape, x, y, unit)
                if over == 0:
                    continue
                together = over + alpha * (1 - over)
                pixel = tuple((p * over + q * alpha * (1 - over)) / together for p, q in zip(paint(y / 64), pixel))
                alpha = together
            line += bytes(round(255 * value) for value in (*pixel, alpha))
        rows.append(bytes(line))
    return rows


def plain(text):
    fixed = colour(text)
    return lambda _: fixed


def shaded(upper, lower):
    a, b = colour(upper), colour(lower)
    return lambda y: tuple(p + (q - p) * y for p, q in zip(a, b))


def png(rows):
    size = len(rows)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bitmap(rows):
    """The older form that resource compilers want below 256 pixels: BGRA from the bottom up, then an unused mask."""
    size = len(rows)
    header = struct.pack("<IiiHHIIiiII", 40, size, 2 * size, 1, 32, 0, 0, 0, 0, 0, 0)
    body = bytearray()
    for row in reversed(rows):
        for i in range(0, len(row), 4):
            body += bytes((row[i + 2], row[i + 1], row[i], row[i + 3]))
    return header + bytes(body) + bytes((size + 31) // 32 * 4 * size)


def ico(pictures):
    images = [(size, png(rows) if size == 256 else bitmap(rows)) for size, rows in pictures]
    offset = 6 + 16 * len(images)
    directory = struct.pack("<HHH", 0, 1, len(images))
    for size, data in images:
        directory += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(data), offset)
        offset += len(data)
    return directory + b"".join(data for _, data in images)


def icns(pictures):
    kinds = {32: b"ic11", 64: b"ic12", 128: b"ic07", 256: b"ic08", 512: b"ic09", 1024: b"ic10"}
    body = b""
    for size, rows in pictures:
        data = png(rows)
        body += kinds[size] + struct.pack(">I", len(data) + 8) + data
    return b"icns" + struct.pack(">I", len(body) + 8) + body


def inset(shape, share):
    """The same shape on a square with a margin, as macOS draws its icons."""
    scale, offset = 1 - 2 * share, 64 * share
    return tuple(value * scale + (offset if i < 2 else 0) for i, value in enumerate(shape))


def app(size, margin=0.0):
    layers = [(GROUND, shaded("#17504e", "#0e3232"))]
    layers += [(voice, plain(paint)) for voice, paint in zip(VOICES, VOICE_COLOURS)]
    return draw(size, [(inset(shape, margin), paint) for shape, paint in layers])


def outlined(shape, by=2.5):
    x, y, width, height, radius = shape
    return (x - by, y - by, width + 2 * by, height + 2 * by, radius + by)


def tray():
    # Light with a dark rim: seen on dark panels and on light ones.
    idle = [(outlined(voice), plain("#3a4046")) for voice in TRAY_VOICES]
    idle += [(voice, plain("#eef0f2")) for voice in TRAY_VOICES]

    def disc(ground):
        return [(TRAY_DISC, plain(ground))] + [(voice, plain("#ffffff")) for voice in TRAY_DISC_VOICES]

    return {
        "idle": idle,
        # macOS inks a template itself, in the menu bar's own colour: only its shape counts.
        "idle-template": [(voice, plain("#000000")) for voice in TRAY_VOICES],
        "recording": disc("#d92d2a"),
        "paused": disc("#b97a00"),
    }


def main():
    TRAY.mkdir(exist_ok=True)
    pictures = {size: app(size) for size in (16, 24, 32, 48, 64, 128, 256, 512)}
    for name, size in {"32x32": 32, "128x128": 128, "128x128@2x": 256, "icon": 512}.items():
        (HERE / f"{name}.png").write_bytes(png(pictures[size]))
    (HERE / "icon.ico").write_bytes(ico([(size, pictures[size]) for size in (16, 24, 32, 48, 64, 256)]))
    mac = [(size, app(size, margin=0.098)) for size in (32, 64, 128, 256, 512, 1024)]
    (HERE / "icon.icns").write_bytes(icns(mac))
    for name, layers in tray().items():
        (TRAY / f"{name}.png").write_bytes(png(draw(TRAY_SIZE, layers)))


if __name__ == "__main__":
    main()
