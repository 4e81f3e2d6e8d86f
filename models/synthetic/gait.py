# SPDX-License-Identifier: Apache-2.0
"""Walking and standing: joint angles from the distance walked, arms that swing, carry, push or hold a hand.

The stride follows the speed (Froude-like: comfortable speed grows with the square root of leg length), the phase
follows the distance, so feet slide little whatever the speed does. Frame: the body faces -y, x to its left, z up.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.synthetic.bodies import F32, Body

F64 = NDArray[np.float64]
COMFORT_MPS = 1.32  # comfortable adult walking speed at a leg of 0.83 m (Bohannon 1997: 1.27 to 1.46 m/s)
LEG_REFERENCE_M = 0.83


@dataclass(frozen=True)
class Manner:
    """How somebody walks: lean in radians, arm swing factor, knee lift factor, speed factor."""

    lean: float = 0.04
    arms: float = 0.9
    lift: float = 1.0
    pace: float = 1.0


@dataclass(frozen=True)
class Pose:
    """One moment: phase in radians, speed m/s, hand targets by side ("L", "R") in the body frame, head turn."""

    phase: float
    speed_mps: float
    hands: dict[str, F64] = field(default_factory=dict)
    head_turn: float = 0.0
    sway: float = 0.0
    seated: bool = False


def comfortable_mps(leg_m: float, age: int) -> float:
    """Comfortable walking speed in m/s for a leg length and age (elders slower)."""
    slow = float(np.interp(age, (60, 90), (1.0, 0.68)))
    return COMFORT_MPS * float(np.sqrt(leg_m / LEG_REFERENCE_M)) * slow


def stride_m(leg_m: float, speed_mps: float) -> float:
    """Length of a double step in metres at a speed."""
    comfort = COMFORT_MPS * float(np.sqrt(leg_m / LEG_REFERENCE_M))
    return leg_m * (0.7 + 0.95 * min(speed_mps / comfort, 1.6))


def rot_x(a: float) -> F64:
    """Rotation about x."""
    c, s = np.cos(a), np.sin(a)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def rot_y(a: float) -> F64:
    """Rotation about y."""
    c, s = np.cos(a), np.sin(a)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def rot_z(a: float) -> F64:
    """Rotation about z."""
    c, s = np.cos(a), np.sin(a)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def rot_between(a: F64, b: F64) -> F64:
    """The smallest rotation that takes direction a to direction b."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    v, c = np.cross(a, b), float(a @ b)
    if c < -0.9999:
        return rot_x(np.pi)
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.asarray(np.eye(3) + k + k @ k / (1 + c))


def bump(phase: float, centre: float, width: float) -> float:
    """A smooth periodic bump of height 1."""
    d = (phase - centre + np.pi) % (2 * np.pi) - np.pi
    return float(np.exp(-((d / width) ** 2)))


def leg_angles(body: Body, pose: Pose, manner: Manner, rotations: dict[str, F64]) -> float:
    """Fill in hips, knees and feet; return the hip swing amplitude in radians."""
    going = float(np.clip(pose.speed_mps / 0.35, 0, 1))
    stride = stride_m(body.leg_m, pose.speed_mps)
    swing = float(np.arcsin(min(stride / (3.68 * body.leg_m), 0.55))) * going
    k = swing / 0.40
    for side, offset, sign in (("L", 0.0, 1), ("R", np.pi, -1)):
        f = (pose.phase + offset) % (2 * np.pi)
        hip = swing * np.cos(f) + 0.06 * k
        knee = 0.08 + k * manner.lift * (0.85 * bump(f, 1.46 * np.pi, 1.0) + 0.17 * bump(f, 0.3 * np.pi, 0.8))
        foot = k * (0.22 * bump(f, 0, 0.65) - 0.55 * bump(f, 1.13 * np.pi, 0.8))
        rotations[f"upperleg01.{side}"] = rot_y(0.085 * sign) @ rot_x(-hip - 0.04)
        rotations[f"lowerleg01.{side}"] = rot_x(knee)
        rotations[f"foot.{side}"] = rot_x(hip + 0.04 - knee - foot)
    return swing


def seat_legs(rotations: dict[str, F64]) -> float:
    """Fill in the legs of somebody who sits; nothing swings."""
    for side, sign in (("L", 1), ("R", -1)):
        rotations[f"upperleg01.{side}"] = rot_y(0.04 * sign) @ rot_x(-1.42)
        rotations[f"lowerleg01.{side}"] = rot_x(1.25)
        rotations[f"foot.{side}"] = rot_x(0.1)
    return 0.0


def arm_swing(side: str, phase: float, swing: float, manner: Manner) -> dict[str, F64]:
    """A hanging arm that swings against its leg."""
    sign, offset = (1, 0.0) if side == "L" else (-1, np.pi)
    forward = -swing * 0.9 * manner.arms * np.cos(phase + offset)
    drop = rot_y(0.66 * sign)
    straighten = 0.46 - 0.9 * max(0.0, forward)  # the rest pose has its elbows bent by about this much
    return {
        f"upperarm01.{side}": rot_x(-forward - 0.03) @ drop,
        f"lowerarm01.{side}": drop.T @ rot_x(straighten) @ drop,
    }


def arm_reach(body: Body, side: str, target: F64) -> dict[str, F64]:
    """An arm whose wrist goes to a point in the body frame (or towards it), elbow down and out: two-link geometry."""
    shoulder, elbow, wrist = (
        body.head(f"{bone}.{side}").astype(float) for bone in ("upperarm01", "lowerarm01", "wrist")
    )
    upper, fore = elbow - shoulder, wrist - elbow
    a, b = float(np.linalg.norm(upper)), float(np.linalg.norm(fore))
    to = target - shoulder
    d = float(np.clip(np.linalg.norm(to), abs(a - b) + 0.02, (a + b) * 0.985))
    direction = to / max(float(np.linalg.norm(to)), 1e-6)
    along = (a * a - b * b + d * d) / (2 * d)
    aside = np.sqrt(max(a * a - along * along, 0.0))
    pole = np.array([0.35 if side == "L" else -0.35, 0.25, -1.0])
    pole -= direction * float(pole @ direction)
    pole /= max(float(np.linalg.norm(pole)), 1e-6)
    knee = direction * along + pole * aside
    first = rot_between(upper, knee)
    return {
        f"upperarm01.{side}": first,
        f"lowerarm01.{side}": first.T @ rot_between(fore, direction * d - knee),
    }


def joint_rotations(body: Body, pose: Pose, manner: Manner) -> dict[str, F64]:
    """Rotation per bone, each about its own head in rest axes."""
    rotations: dict[str, F64] = {}
    swing = seat_legs(rotations) if pose.seated else leg_angles(body, pose, manner, rotations)
    for side in ("L", "R"):
        if side in pose.hands:
            rotations |= arm_reach(body, side, pose.hands[side])
        else:
            rotations |= arm_swing(side, pose.phase, swing, manner)
    turn = 0.22 * swing * np.cos(pose.phase)
    rotations["spine03"] = rot_z(turn) @ rot_x(manner.lean)
    rotations["root"] = rot_z(-0.6 * turn) @ rot_y(0.02 * np.sin(pose.sway))
    rotations["head"] = rot_z(pose.head_turn) @ rot_x(-0.6 * manner.lean)
    return rotations


def bone_matrices(body: Body, rotations: dict[str, F64]) -> F32:
    """Rest-to-posed matrices (B, 3, 4) by forward kinematics."""
    skeleton, heads = body.skeleton, body.heads.astype(float)
    out = np.zeros((len(skeleton.names), 4, 4))
    for row, (name, parent) in enumerate(zip(skeleton.names, skeleton.parents, strict=True)):
        above = out[parent] if parent >= 0 else np.eye(4)
        rotation = rotations.get(name)
        if rotation is None:
            out[row] = above
            continue
        local = np.eye(4)
        local[:3, :3] = rotation
        local[:3, 3] = heads[row] - rotation @ heads[row]
        out[row] = above @ local
    return out[:, :3].astype(np.float32)


def skin(body: Body, matrices: F32) -> tuple[F32, float]:
    """Posed vertices (V, 3) by linear blend skinning, lifted so that the lowest is on the floor; and that lift."""
    blended = np.einsum("vk,vkij->vij", body.weights, matrices[body.bones])
    posed = np.einsum("vij,vj->vi", blended[:, :, :3], body.vertices) + blended[:, :, 3]
    lift = -float(posed[:, 2].min())
    posed[:, 2] += lift
    return np.asarray(posed, np.float32), lift
