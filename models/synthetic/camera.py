# SPDX-License-Identifier: Apache-2.0
"""The camera: a lens with barrel distortion, its place above the entrance, and projection both ways.

world: x to the right, y away from the camera, z up; metres; the door line is y = 0, inside is y < 0
undistorted point u = (x/z, y/z) in the camera, y down; distorted point d, both in focal lengths from the centre
division model (Fitzgibbon 2001): u = d / (1 - k |d|^2), k >= 0 bends lines outwards (barrel)
pixel = centre + focal * d
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
NEAR_M, FAR_M = 0.08, 120.0


@dataclass(frozen=True)
class Camera:
    """Picture size in pixels; eye in metres; tilt below the horizon, yaw to the right, roll and field in degrees."""

    width: int
    height: int
    eye: tuple[float, float, float]
    tilt_deg: float
    yaw_deg: float
    roll_deg: float
    hfov_deg: float
    distortion: float

    @cached_property
    def focal_px(self) -> float:
        """Focal length in pixels, so that the distorted picture spans hfov_deg."""
        edge = np.tan(np.radians(self.hfov_deg) / 2)
        return float(self.width / 2 / self._squeeze_radius(np.array([edge]))[0])

    @cached_property
    def axes(self) -> F64:
        """Rows: right, down, forward of the camera in the world."""
        tilt, yaw, roll = (np.radians(a) for a in (self.tilt_deg, self.yaw_deg, self.roll_deg))
        forward = np.array([np.sin(yaw) * np.cos(tilt), np.cos(yaw) * np.cos(tilt), -np.sin(tilt)])
        right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
        down = np.cross(forward, right)
        c, s = np.cos(roll), np.sin(roll)
        return np.stack([c * right + s * down, -s * right + c * down, forward])

    def _squeeze_radius(self, r_u: F64) -> F64:
        """Distorted radius of an undistorted one (closed form of the division model)."""
        k = self.distortion
        if k < 1e-9:
            return r_u
        return np.asarray((np.sqrt(1 + 4 * k * r_u**2) - 1) / np.maximum(2 * k * r_u, 1e-12))

    def distort(self, u: F64) -> F64:
        """Undistorted to distorted points (N, 2) in focal lengths."""
        r = np.linalg.norm(u, axis=-1, keepdims=True)
        return np.asarray(u * np.where(r > 1e-9, self._squeeze_radius(r) / np.maximum(r, 1e-12), 1.0))

    def undistort(self, d: F64) -> F64:
        """Distorted to undistorted points (N, 2) in focal lengths."""
        r2 = (d**2).sum(-1, keepdims=True)
        return np.asarray(d / np.maximum(1 - self.distortion * r2, 1e-6))

    def to_camera(self, points: ArrayLike) -> F64:
        """World points (N, 3) in camera axes: right, down, forward, metres."""
        return np.asarray((np.asarray(points, float) - np.array(self.eye)) @ self.axes.T, float)

    def project(self, points: ArrayLike) -> tuple[F64, NDArray[np.bool_]]:
        """Pixels (N, 2) of world points, and whether each lies in front of the camera."""
        seen = self.to_camera(points)
        front = seen[:, 2] > NEAR_M
        u = seen[:, :2] / np.where(front, seen[:, 2], 1.0)[:, None]
        centre = np.array([self.width, self.height]) / 2
        return centre + self.focal_px * self.distort(u), front

    def ground(self, pixels: ArrayLike) -> F64:
        """World points (N, 3) on the floor behind pixels (N, 2); NaN above the horizon."""
        centre = np.array([self.width, self.height]) / 2
        u = self.undistort((np.asarray(pixels, float) - centre) / self.focal_px)
        rays = np.concatenate([u, np.ones((len(u), 1))], 1) @ self.axes
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(rays[:, 2] < -1e-6, -self.eye[2] / rays[:, 2], np.nan)
        return np.asarray(np.array(self.eye) + rays * scale[:, None])

    @cached_property
    def reach(self) -> tuple[float, float]:
        """Largest |u| to the side and up or down inside the picture: the frustum that the renderer must draw."""
        xs, ys = np.linspace(-0.5, 0.5, 33) * self.width, np.linspace(-0.5, 0.5, 33) * self.height
        edge = [(x, y) for x in (xs[0], xs[-1]) for y in ys] + [(x, y) for y in (ys[0], ys[-1]) for x in xs]
        u = np.abs(self.undistort(np.array(edge) / self.focal_px))
        return float(u[:, 0].max()) * 1.01, float(u[:, 1].max()) * 1.01

    def gl_matrix(self) -> F64:
        """World to OpenGL clip space for the undistorted frustum."""
        x, y = self.reach
        depth = FAR_M - NEAR_M
        projection = np.array(
            [
                [1 / x, 0, 0, 0],
                [0, 1 / y, 0, 0],
                [0, 0, -(FAR_M + NEAR_M) / depth, -2 * FAR_M * NEAR_M / depth],
                [0, 0, -1, 0],
            ]
        )
        view = np.eye(4)
        view[:3, :3] = self.axes * np.array([[1], [-1], [-1]])
        view[:3, 3] = -view[:3, :3] @ np.array(self.eye)
        return projection @ view

    def warp_maps(self, drawn_width: int, drawn_height: int, over: int = 1) -> tuple[F32, F32]:
        """cv2.remap maps from the undistorted drawing to the picture, at `over` samples a pixel each way."""
        xs = (((np.arange(self.width * over) + 0.5) / over - self.width / 2) / self.focal_px).astype(np.float32)
        ys = (((np.arange(self.height * over) + 0.5) / over - self.height / 2) / self.focal_px).astype(np.float32)
        stretch = 1 / np.maximum(1 - np.float32(self.distortion) * (xs[None] ** 2 + ys[:, None] ** 2), 1e-6)
        x, y = self.reach
        map_x = xs[None] * stretch * np.float32(drawn_width / 2 / x) + np.float32(drawn_width / 2 - 0.5)
        map_y = ys[:, None] * stretch * np.float32(drawn_height / 2 / y) + np.float32(drawn_height / 2 - 0.5)
        return np.asarray(map_x, np.float32), np.asarray(map_y, np.float32)

    def inside_mask(self, drawn_width: int, drawn_height: int) -> NDArray[np.bool_]:
        """Which pixels of the undistorted drawing (rows, columns) end up in the picture."""
        x, y = self.reach
        us = (((np.arange(drawn_width) + 0.5) / drawn_width * 2 - 1) * x).astype(np.float32)
        vs = (((np.arange(drawn_height) + 0.5) / drawn_height * 2 - 1) * y).astype(np.float32)
        radius = np.sqrt(us[None] ** 2 + vs[:, None] ** 2)
        shrink = self._squeeze_radius(radius) / np.maximum(radius, 1e-9) * self.focal_px
        inside = (np.abs(us[None] * shrink) < self.width / 2) & (np.abs(vs[:, None] * shrink) < self.height / 2)
        return np.asarray(inside)
