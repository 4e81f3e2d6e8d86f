# SPDX-License-Identifier: Apache-2.0
"""Actors: a body with colours, a manner of walking and things carried; posed into meshes at a moment."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.synthetic import props
from models.synthetic.bodies import F32, Body
from models.synthetic.clothes import colour_body
from models.synthetic.figure import unit_normals
from models.synthetic.gait import Manner, Pose, bone_matrices, joint_rotations, skin
from models.synthetic.mesh import Mesh
from models.synthetic.render import Thing

F64 = NDArray[np.float64]
FOOTREST_M = 0.11
CARRIED = 1000  # identities from here on are things, not people


@dataclass(frozen=True)
class State:
    """Where an actor is: ground point in metres, heading in radians (0 is +x), speed m/s, gait phase in radians."""

    xy: tuple[float, float]
    heading: float
    speed_mps: float
    phase: float


@dataclass(frozen=True)
class Item:
    """Something carried or used: how (back, hip, hand, push, pull, umbrella, phone, chair), its mesh, which side."""

    kind: str
    mesh: Mesh
    side: str = "R"


@dataclass
class Actor:
    """One person of a scene."""

    number: int
    body: Body
    colours: F32
    materials: F32
    normals: F32
    manner: Manner
    items: list[Item] = field(default_factory=list)
    group: int = 0
    holds: dict[str, int] = field(default_factory=dict)

    @property
    def radius_m(self) -> float:
        """Half the width that others keep clear of."""
        return 0.13 + 0.07 * self.body.human.stature_m


def make_actor(number: int, body: Body, group: int, rng: np.random.Generator) -> Actor:
    """An actor with colours and manner drawn for this scene, without things."""
    colours, materials = colour_body(body, rng)
    old = body.human.age >= 70
    manner = Manner(
        lean=float(rng.uniform(0.0, 0.08) + (rng.uniform(0.03, 0.25) if old else 0)),
        arms=float(rng.uniform(0.5, 1.1)),
        lift=float(rng.uniform(0.85, 1.1) * (0.75 if old else 1)),
        pace=float(np.clip(rng.normal(0.93, 0.11), 0.6, 1.25)),
    )
    normals = unit_normals(body.vertices, body.faces)
    return Actor(number, body, colours, materials, normals, manner, [], group)


def give_things(actor: Actor, rng: np.random.Generator, outdoor: bool) -> None:
    """Bags and the like, by age."""
    age, scale = actor.body.human.age, actor.body.human.stature_m / 1.7
    draw = rng.random()
    if 6 <= age <= 12 and draw < 0.3:
        actor.items.append(Item("back", props.backpack(0.8, rng, school=True)))
    elif age >= 4 and draw < 0.28:
        actor.items.append(Item("back", props.backpack(scale, rng, school=False)))
    elif age >= 13 and draw < 0.48:
        actor.items.append(Item("hand", props.tote(scale, rng), "L" if rng.random() < 0.5 else "R"))
    elif age >= 13 and draw < 0.64:
        actor.items.append(Item("hip", props.shoulder_bag(scale, rng), "L" if rng.random() < 0.5 else "R"))
    elif age >= 13 and draw < 0.68:
        actor.items.append(
            Item("umbrella", props.umbrella(rng, True))
            if outdoor and rng.random() < 0.7
            else Item("hand", props.umbrella(rng, False))
        )
    elif age >= 72 and draw < 0.80:
        actor.items.append(Item("hand", props.cane()))
    elif age >= 11 and draw > 0.94:
        actor.items.append(Item("phone", props.phone()))
    elif age >= 18 and draw < 0.70:
        actor.items.append(Item("pull", props.suitcase(rng)))


def turn_matrix(heading: float) -> F64:
    """Body frame (faces -y) to the world."""
    a = heading + np.pi / 2
    return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])


def hand_targets(actor: Actor, state: State, partners: dict[int, tuple["Actor", State]]) -> dict[str, F64]:
    """Where the wrists go, in the body frame: pram handles, umbrella grips, held hands."""
    targets: dict[str, F64] = {}
    tall = actor.body.human.stature_m
    for item in actor.items:
        if item.kind == "push":
            targets |= {"L": np.array([0.2, -0.42, 1.0]), "R": np.array([-0.2, -0.42, 1.0])}
        elif item.kind == "phone":
            targets[item.side] = np.array([-0.07, -0.27, 0.66 * tall])
        elif item.kind == "umbrella":
            targets[item.side] = np.array([-0.14, -0.22, 0.72 * tall])
        elif item.kind == "pull":
            targets[item.side] = np.array([-0.2, 0.22, 0.5 * tall])
    for side, other in actor.holds.items():
        if other in partners:
            partner, theirs = partners[other]
            mine, them = np.array(state.xy), np.array(theirs.xy)
            if np.linalg.norm(them - mine) > 1.1:
                continue
            small, large = sorted((tall, partner.body.human.stature_m))
            height = max(0.44 * large, 0.60 * small) if small < 0.8 * large else 0.47 * small
            middle = np.array([*((mine + them) / 2), height])
            targets[side] = turn_matrix(state.heading).T @ (middle - np.array([*mine, 0.0]))
    return targets


def hung_mesh(item: Item, actor: Actor, matrices: F32, lift: float, posed_hand: Callable[[str], F64]) -> Mesh:
    """An item's mesh in the body frame at this pose."""
    scale = actor.body.human.stature_m / 1.7
    names = actor.body.skeleton
    if item.kind in ("back", "hip"):
        bone = "spine02" if item.kind == "back" else "root"
        matrix = matrices[names.index(bone)].astype(float)
        sign = 1 if item.side == "L" else -1
        reach = np.ptp(actor.body.vertices[actor.body.weights[:, 0] > 0.3][:, 1]) if item.kind == "back" else 0
        offset = (
            np.array([0, 0.10 * scale + 0.05 + 0.12 * reach, 0.06 * scale])
            if item.kind == "back"
            else (np.array([sign * 0.23 * scale, 0.02, -0.02 * scale]))
        )
        rest = actor.body.head(bone).astype(float) + offset
        place = matrix[:, :3] @ rest + matrix[:, 3] + np.array([0, 0, lift])
        return item.mesh.moved(place)
    if item.kind == "chair":
        hips = matrices[names.index("root")].astype(float) @ np.array([*actor.body.head("root"), 1.0])
        return item.mesh.moved((0, float(hips[1]), 0))
    if item.kind == "push":
        return item.mesh.moved((0, -0.48, 0))
    if item.kind == "pull":
        return item.mesh.moved((*posed_hand(item.side)[:2], 0))
    return item.mesh.moved(posed_hand(item.side) + np.array([0, 0, -0.04]))


def pose_things(
    actor: Actor, state: State, partners: dict[int, tuple[Actor, State]], head_turn: float = 0.0
) -> list[Thing]:
    """The actor and what it carries as meshes in the world."""
    hands = hand_targets(actor, state, partners)
    seated = any(item.kind == "chair" for item in actor.items)
    pose = Pose(state.phase, state.speed_mps, hands, head_turn, state.phase * 0.3, seated)
    matrices = bone_matrices(actor.body, joint_rotations(actor.body, pose, actor.manner))
    posed, lift = skin(actor.body, matrices)
    normals = np.einsum("vij,vj->vi", matrices[actor.body.bones[:, 0], :, :3], actor.normals)
    world = turn_matrix(state.heading).astype(np.float32)
    shift = np.array([*state.xy, FOOTREST_M if seated else 0.0], np.float32)
    mesh = Mesh(
        (posed @ world.T + shift).astype(np.float32),
        (normals @ world.T).astype(np.float32),
        actor.colours,
        actor.materials,
        actor.body.vertices,
        actor.body.faces,
    )
    out = [Thing(actor.number, mesh, True, state.xy)]

    def posed_hand(side: str) -> F64:
        row = actor.body.skeleton.index(f"lowerarm02.{side}")
        head = actor.body.head(f"wrist.{side}").astype(float)
        return np.asarray(matrices[row, :, :3] @ head + matrices[row, :, 3] + np.array([0, 0, lift]))

    for k, item in enumerate(actor.items):
        hung = hung_mesh(item, actor, matrices, lift, posed_hand).moved((0, 0, 0), state.heading + np.pi / 2)
        out.append(Thing(CARRIED + actor.number * 4 + k, hung.moved((*state.xy, 0)), False, None))
    return out
