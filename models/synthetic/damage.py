# SPDX-License-Identifier: Apache-2.0
"""From linear light to what a cheap camera delivers: exposure, blur, noise, tone curve, white balance, compression."""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Sensor:
    """Exposure (factor), shot and read noise (linear), blur in pixels, white balance, and what a cheap lens adds."""

    exposure: float
    shot: float
    read: float
    blur_px: float
    balance: tuple[float, float, float]
    shoulder: float
    vignette: float
    saturation: float
    sharpen: float


def auto_exposure(colour: F32, target: float = 0.20) -> float:
    """The gain that a metering camera picks: the mean of the darker 90 % of the picture comes to `target`."""
    level = colour.mean(2)
    kept = np.minimum(level, np.quantile(level, 0.9))
    return float(target / max(kept.mean(), 1e-4))


def draw_sensor(colour: F32, rng: np.random.Generator) -> Sensor:
    """A sensor and its settings for this scene; one in six is dark and noisy."""
    dark = rng.random() < 0.16
    shift = rng.normal(-1.1, 0.35) if dark else rng.normal(0.0, 0.35)
    return Sensor(
        exposure=auto_exposure(colour) * float(2 ** np.clip(shift, -1.7, 0.9)),
        shot=float(rng.uniform(0.010, 0.035) if dark else rng.uniform(0.002, 0.02)),
        read=float(rng.uniform(0.002, 0.008) if dark else rng.uniform(0.0005, 0.005)),
        blur_px=float(max(0.0, rng.normal(0.45, 0.3))),
        balance=(float(rng.uniform(0.9, 1.12)), 1.0, float(rng.uniform(0.88, 1.14))),
        shoulder=float(rng.uniform(0.15, 0.5)),
        vignette=float(rng.uniform(0, 0.35)),
        saturation=float(rng.uniform(0.75, 1.1)),
        sharpen=float(rng.uniform(0, 0.8) if rng.random() < 0.5 else 0.0),
    )


def expose(colour: F32, sensor: Sensor, rng: np.random.Generator) -> U8:
    """Linear colour (H, W, 3) to an sRGB picture (H, W, 3) of bytes."""
    height, width = colour.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = (
        colour * np.float32(sensor.exposure) * (1 - sensor.vignette * (x**2 + y**2) / 2)[..., None].astype(np.float32)
    )
    if sensor.blur_px > 0.15:
        light = cv2.GaussianBlur(light, (0, 0), sensor.blur_px)
    glow = cv2.GaussianBlur(np.maximum(light - 1.2, 0), (0, 0), width / 60)
    light = np.maximum(light + 0.25 * glow, 0)
    noise = rng.standard_normal(light.shape).astype(np.float32)
    coarse = cv2.resize(rng.standard_normal((height // 2 + 1, width // 2 + 1, 3)).astype(np.float32), (width, height))
    grain = 0.75 * noise + 0.6 * coarse
    light = light + grain * (sensor.shot * np.sqrt(light) + sensor.read)
    light = np.maximum(light * np.array(sensor.balance, np.float32), 0)
    grey = light.mean(2, keepdims=True)
    light = np.maximum(grey + (light - grey) * sensor.saturation, 0)
    toned = light * (1 + sensor.shoulder) / (1 + sensor.shoulder * light)
    coded = np.clip(toned, 0, 1) ** (1 / 2.2)
    if sensor.sharpen:
        coded = coded + sensor.sharpen * (coded - cv2.GaussianBlur(coded, (0, 0), 1.0))
    return np.asarray(np.clip(coded * 255 + 0.5, 0, 255), np.uint8)


def through_h264(picture: U8, crf: int) -> U8:
    """The picture after one H.264 intra frame at this quality."""
    import av

    height, width = picture.shape[:2]
    store = io.BytesIO()
    with av.open(store, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=15, options={"crf": str(crf), "preset": "veryfast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    store.seek(0)
    with av.open(store) as back:
        for frame in back.decode(video=0):
            return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    raise RuntimeError("the encoder returned no frame")


def to_jpeg(picture: U8, quality: int) -> bytes:
    """The picture as JPEG bytes."""
    good, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        raise RuntimeError("OpenCV could not write the JPEG")
    return bytes(data.tobytes())
