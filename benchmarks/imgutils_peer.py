"""The other side of `networks.py`: dghs-imgutils, asked for one picture at a time, as its users do. Runs in an environment of its own.

    python imgutils_peer.py KIND NETWORK FOLDER

KIND is face, ccip or wd; NETWORK the ONNX file (for wd with `selected_tags.csv` beside it); FOLDER holds PNG pictures. After three pictures to
warm up, prints JSON: seconds for all pictures, and the answers. Its downloads are replaced by the given file; nothing else is changed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from PIL import Image


def main(kind: str, network: Path, folder: Path) -> None:
    def given(*words: object, **named: object) -> str:
        asked_for_tags = any(str(word).endswith(".csv") for word in (*words, *named.values()))
        return str(network.with_name("selected_tags.csv") if asked_for_tags else network)

    if kind == "face":
        from imgutils.generic import yolo

        yolo.hf_hub_download = given
        yolo.YOLOModel._check_model_name = lambda self, name: None
        yolo.YOLOModel._get_model_type = lambda self, model_name: "yolo"
        model = yolo.YOLOModel("any/name")

        def ask(image: Image.Image) -> object:
            return [[*box, score] for box, _, score in model.predict(image, "any", 0.307, 0.7)]

    elif kind == "ccip":
        from imgutils.metrics import ccip

        ccip.hf_hub_download = given

        def ask(image: Image.Image) -> object:
            return ccip.ccip_extract_feature(image).tolist()

    else:
        from imgutils.tagging import wd14

        wd14.hf_hub_download = given

        def ask(image: Image.Image) -> object:
            rating, general, characters = wd14.get_wd14_tags(
                image, "ViT_v3", 0.05, False, 0.05, False, fmt=("rating", "general", "character")
            )
            return {name: float(score) for tags in (rating, general, characters) for name, score in tags.items()}

    images = [Image.open(path).convert("RGB") for path in sorted(folder.glob("*.png"))]
    for image in images[:3]:
        ask(image)
    begin = time.perf_counter()
    answers = [ask(image) for image in images]
    print(json.dumps({"seconds": time.perf_counter() - begin, "answers": answers}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
