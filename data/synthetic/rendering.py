"""Pixels, optical flow and depth of a scene, all computed from the same motion.

Everything in a frame is placed by a similarity (turn, scale, shift), so the edges are antialiased by signed
distance, a textured background is one small matrix product a frame, and flow is exact.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from .scene import COLOURS, Scene

RESTITUTION = 0.85
DEPTHS = {"background": 4.0, "bystander": 3.0, "object": 2.0}

Field = Float[np.ndarray, "frames height width"]


class Placement(NamedTuple):
    """Where a thing stands on screen in every frame: its point p is at centre + scale * turn(angle) p."""

    centre: Float[np.ndarray, "frames 2"]
    scale: Float[np.ndarray, " frames"]
    angle: Float[np.ndarray, " frames"]


class Thing(NamedTuple):
    """A coloured shape and its distance and place."""

    colour: str
    shape: str
    depth: float
    placement: Placement


def phases(num_frames: int) -> Float[np.ndarray, " frames"]:
    """The phase of every frame; a single frame shows the middle of the motion."""
    return np.linspace(0, 1, num_frames) if num_frames > 1 else np.array([0.5])


def camera_placement(scene: Scene, phase: Float[np.ndarray, " frames"]) -> Placement:
    """Where the scene is seen, and how large. A camera that pans left moves the scene right."""
    shift, scale = np.zeros((len(phase), 2)), np.ones(len(phase))
    match scene.camera:
        case "pan left":
            shift[:, 0] = scene.camera_amount * (phase - 0.5)
        case "pan right":
            shift[:, 0] = -scene.camera_amount * (phase - 0.5)
        case "zoom in":
            scale = scene.camera_amount ** (phase - 0.5)
        case "zoom out":
            scale = scene.camera_amount ** (0.5 - phase)
    return Placement(shift, scale, np.zeros(len(phase)))


def object_placement(scene: Scene, phase: Float[np.ndarray, " frames"]) -> Placement:
    """The object on screen: its own motion seen by the camera."""
    centre = np.tile(np.array(scene.position), (len(phase), 1))
    scale = np.full(len(phase), scene.radius)
    angle = np.full(len(phase), scene.angle)
    match scene.motion:
        case "left":
            centre[:, 0] -= scene.amount * (phase - 0.5)
        case "right":
            centre[:, 0] += scene.amount * (phase - 0.5)
        case "up":
            centre[:, 1] -= scene.amount * (phase - 0.5)
        case "down":
            centre[:, 1] += scene.amount * (phase - 0.5)
        case "grow":
            scale *= scene.amount ** (phase - 0.5)
        case "shrink":
            scale *= scene.amount ** (0.5 - phase)
        case "spin":
            angle += scene.amount * phase
        case "bounce":
            centre[:, 1] -= scene.amount * _height_of_bounce(phase, scene.impact, scene.fall)
    return _seen_by(camera_placement(scene, phase), centre, scale, angle)


def _height_of_bounce(
    phase: Float[np.ndarray, " frames"], impact: float, fall: float | None
) -> Float[np.ndarray, " frames"]:
    """Height over the floor, at most 1.

    From rest at the top a free fall to the impact, then up, slower by RESTITUTION; but equal arcs without end
    if the time of a fall is given.
    """
    if fall is not None:
        since = (phase - impact) % (2 * fall) / fall
        return since * (2 - since)
    since = (phase - impact) / impact
    return np.where(since < 0, 1 - (1 + since) ** 2, 2 * RESTITUTION * since - since**2)


def _seen_by(camera: Placement, centre, scale, angle) -> Placement:
    return Placement(camera.centre + camera.scale[:, None] * centre, camera.scale * scale, angle)


def _things(scene: Scene, phase: Float[np.ndarray, " frames"]) -> list[Thing]:
    """The objects in the frame, from far to near."""
    things = [Thing(scene.colour, scene.shape, DEPTHS["object"], object_placement(scene, phase))]
    if scene.bystander is not None:
        still = np.tile(np.array(scene.bystander.position), (len(phase), 1))
        size = np.full(len(phase), scene.bystander.radius)
        placement = _seen_by(camera_placement(scene, phase), still, size, np.zeros(len(phase)))
        things.insert(0, Thing(scene.bystander.colour, scene.bystander.shape, DEPTHS["bystander"], placement))
    return things


# Shapes as distances from the edge, negative inside. All are about as large as the unit circle.


def _circle(x: Field, y: Field) -> Field:
    return np.sqrt(x * x + y * y) - 1


def _square(x: Field, y: Field, half: float = 0.886) -> Field:
    return np.maximum(np.abs(x), np.abs(y)) - half


def _triangle(x: Field, y: Field, corner: float = 1.42) -> Field:
    """Equilateral, one corner up."""
    return np.maximum(0.75**0.5 * np.abs(x) - 0.5 * y, y) - corner / 2


def _star(x: Field, y: Field, tip: float = 1.42, notch: float = 0.64) -> Field:
    """Five points, one up. Reflections fold it onto half a point, whose edge is one straight line."""
    x, y = np.abs(x), -y
    for side in (1, -1):
        mirror_x, mirror_y = side * np.cos(np.pi / 5).item(), -np.sin(np.pi / 5).item()
        beyond = 2 * np.maximum(mirror_x * x + mirror_y * y, 0)
        x, y = x - beyond * mirror_x, y - beyond * mirror_y
    notch_x, notch_y = notch * np.sin(np.pi / 5).item(), notch * np.cos(np.pi / 5).item()
    length = np.hypot(notch_x, tip - notch_y).item()
    return (np.abs(x) * (tip - notch_y) + (y - tip) * notch_x) / length


def _cross(x: Field, y: Field, arm: float = 1.12, half_width: float = 0.39) -> Field:
    x, y = np.abs(x), np.abs(y)
    return np.maximum(np.maximum(x, y) - arm, np.minimum(x, y) - half_width)


DISTANCES = {"circle": _circle, "square": _square, "triangle": _triangle, "star": _star, "cross": _cross}
# After this turn a shape looks the same (a circle at any turn: it has no angle).
PERIODS = {
    "circle": 2 * np.pi,
    "square": np.pi / 2,
    "triangle": 2 * np.pi / 3,
    "star": 2 * np.pi / 5,
    "cross": np.pi / 2,
}
# How far each shape reaches below its centre when upright: what touches the floor in a bounce.
LOWEST = {"circle": 1.0, "square": 0.886, "triangle": 0.71, "star": 1.149, "cross": 1.12}


def coverage(shape: str, placement: Placement, height: int, width: int) -> Field:
    """The share of every pixel that the shape covers, by its signed distance at the pixel's middle."""
    short = min(height, width)
    columns, rows = grid(height, width)
    x, y = _local(placement, columns, rows)
    distance = DISTANCES[shape](x, y) * (placement.scale * short).astype(np.float32)[:, None, None]
    return np.clip(0.5 - distance, 0, 1)


@lru_cache(maxsize=16)
def grid(height: int, width: int) -> tuple[Float[np.ndarray, " width"], Float[np.ndarray, " height"]]:
    """x of every column and y of every row, in units of the shorter side."""
    short = min(height, width)
    columns = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / short
    rows = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / short
    return columns, rows


def _local(placement: Placement, columns: np.ndarray, rows: np.ndarray) -> tuple[Field, Field]:
    """Coordinates of every pixel in the frame of what is placed."""
    cos = (np.cos(placement.angle) / placement.scale).astype(np.float32)[:, None, None]
    sin = (np.sin(placement.angle) / placement.scale).astype(np.float32)[:, None, None]
    centre = placement.centre.astype(np.float32)
    right = columns[None, None, :] - centre[:, 0, None, None]
    down = rows[None, :, None] - centre[:, 1, None, None]
    return cos * right + sin * down, cos * down - sin * right


def render_frames(
    scene: Scene, height: int, width: int, num_frames: int
) -> UInt8[Tensor, "frames height width 3"]:
    """The pictures."""
    phase = phases(num_frames)
    canvas = _background(scene, camera_placement(scene, phase), height, width)
    for thing in _things(scene, phase):
        alpha = coverage(thing.shape, thing.placement, height, width)[..., None]
        canvas = canvas + alpha * (np.array(COLOURS[thing.colour], np.float32) - canvas)
    return torch.from_numpy((np.clip(canvas, 0, 255) + 0.5).astype(np.uint8))


def _background(scene: Scene, camera: Placement, height: int, width: int):
    """The textured plane; by the addition theorem cos(ax + by + c) is a product of rows and columns."""
    base = np.array(scene.background.base, np.float32)
    if not scene.background.waves:
        return np.broadcast_to(base, (len(camera.scale), height, width, 3))
    columns, rows = grid(height, width)
    across, down, offset, amplitude = np.array(scene.background.waves, np.float32).T[:, None, :, None]
    scale = camera.scale.astype(np.float32)[:, None, None]
    centre = camera.centre.astype(np.float32)[:, :, None, None]
    x = across * ((columns - centre[:, 0]) / scale) + offset
    y = down * ((rows - centre[:, 1]) / scale)
    by_row = np.concatenate([amplitude * np.cos(y), -amplitude * np.sin(y)], axis=1)
    by_column = np.concatenate([np.cos(x), np.sin(x)], axis=1)
    return base + (by_row.transpose(0, 2, 1) @ by_column)[..., None] * np.array(
        scene.background.tint, np.float32
    )


def render_flow(
    scene: Scene, height: int, width: int, num_frames: int
) -> Float[Tensor, "frames 2 height width"]:
    """How far (x right, y down, in pixels) what is seen at a pixel of frame t has come since frame t - 1.

    Backward flow: frame t at p shows what frame t - 1 showed at p - flow[t, :, p], where it was not hidden.
    Zero at t = 0. A pixel belongs to the nearest thing that covers at least half of it.
    """
    short = min(height, width)
    columns, rows = grid(height, width)
    flow = np.zeros((num_frames, 2, height, width), np.float32)
    for _, placement, owned in _layers(scene, height, width, num_frames):
        x, y = (axis[1:] for axis in _local(placement, columns, rows))
        cos = (np.cos(placement.angle) * placement.scale).astype(np.float32)[:-1, None, None]
        sin = (np.sin(placement.angle) * placement.scale).astype(np.float32)[:-1, None, None]
        centre = placement.centre.astype(np.float32)[:-1, :, None, None]
        before = np.stack([cos * x - sin * y + centre[:, 0], sin * x + cos * y + centre[:, 1]], axis=1)
        here = np.stack(np.meshgrid(columns, rows))
        np.copyto(flow[1:], (here - before) * short, where=owned[1:, None])
    return torch.from_numpy(flow)


def render_depth(
    scene: Scene, height: int, width: int, num_frames: int
) -> Float[Tensor, "frames height width"]:
    """Distance from the camera: the background is far, the object near (DEPTHS)."""
    depth = np.zeros((num_frames, height, width), np.float32)
    for distance, _, owned in _layers(scene, height, width, num_frames):
        depth[owned] = distance
    return torch.from_numpy(depth)


def _layers(
    scene: Scene, height: int, width: int, num_frames: int
) -> Iterator[tuple[float, Placement, Bool[np.ndarray, "frames height width"]]]:
    """(depth, placement, pixels mostly covered) of everything in the frame, from far to near."""
    phase = phases(num_frames)
    everywhere = np.ones((num_frames, height, width), bool)
    yield DEPTHS["background"], camera_placement(scene, phase), everywhere
    for thing in _things(scene, phase):
        yield thing.depth, thing.placement, coverage(thing.shape, thing.placement, height, width) >= 0.5
