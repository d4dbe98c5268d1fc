"""Train `animeset-face` on YOLO-labelled frames: `python -m training.train_face --data FOLDER --out FOLDER`.

FOLDER holds `train/images`, `train/labels` and, for the evaluation, `val/images`, `val/labels`.
Writes `face.pt` (averaged weights), `face.json` (recipe, losses, seconds) and a checkpoint that an interrupted training goes on from.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
import tomllib
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from training.face_data import FaceViews, read_frames
from training.face_net import FaceNet, face_loss
from training.parallel import average_gradients, launch
from training.schedule import one_cycle, update_average

HERE = Path(__file__).parent


def train(rank: int, processes: int, recipe: dict[str, Any], data: Path, out: Path) -> None:
    """One process of the training; rank 0 writes."""
    torch.manual_seed(recipe["seed"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    frames = read_frames(data / "train")
    steps, share = recipe["steps"], recipe["batch"] // processes
    views = FaceViews(frames, steps * recipe["batch"], recipe["side_px"], tuple(recipe["long_side_px"]), recipe["seed"])

    net = FaceNet(recipe["width"], recipe["frozen"], recipe["train_depthwise"]).to(
        device, memory_format=torch.channels_last
    )
    net.backbone.load_imagenet()
    average = copy.deepcopy(net).eval().requires_grad_(False)
    slow = [p for p in net.backbone.parameters() if p.requires_grad]
    fast = [p for n, p in net.named_parameters() if not n.startswith("backbone")]
    optimiser = torch.optim.AdamW(
        [{"params": slow, "peak": recipe["backbone_rate"]}, {"params": fast, "peak": recipe["learning_rate"]}],
        weight_decay=recipe["weight_decay"],
    )
    first, history, seconds = 0, [], 0.0
    checkpoint = out / "face-checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=False)
        if saved["recipe"] != recipe:
            raise SystemExit(f"{checkpoint} belongs to another recipe. Remove it to start anew.")
        net.load_state_dict(saved["net"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        first, history, seconds = saved["step"], saved["history"], saved["seconds"]

    # Each process takes its share of every batch, so the views of a step do not depend on the number of processes.
    mine = [s * recipe["batch"] + rank * share + i for s in range(first, steps) for i in range(share)]
    workers = 12 if device.type == "cuda" else 0
    loader = DataLoader(Subset(views, mine), batch_size=share, num_workers=workers, pin_memory=workers > 0)
    began = time.monotonic()
    net.train()
    losses = torch.zeros(2)
    for step, (images, heat, box, weight) in enumerate(loader, first):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * one_cycle(step, steps, recipe["warmup"])
        images = images.to(device, non_blocking=True).permute(0, 3, 1, 2).float()
        with torch.autocast(device.type, torch.bfloat16):
            predicted_heat, sides = net(images)
        doubt = recipe["doubt"] if step > recipe["doubt_from"] * steps else 1.0
        heat_loss, box_loss = face_loss(
            predicted_heat, sides, heat.to(device), box.to(device), weight.to(device), doubt
        )
        optimiser.zero_grad(set_to_none=True)
        (heat_loss + recipe["box_weight"] * box_loss).backward()
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        average_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 10.0)
        optimiser.step()
        update_average(average, net, step, recipe["ema"])
        losses += torch.tensor([heat_loss.item(), box_loss.item()])
        if rank == 0 and (step + 1) % 50 == 0:
            history.append([step + 1, *(losses / 50).tolist()])
            print(
                f"step {step + 1}/{steps}  heat {losses[0] / 50:.3f}  box {losses[1] / 50:.3f}  {time.monotonic() - began:.0f} s",
                flush=True,
            )
            losses.zero_()
        if rank == 0 and ((step + 1) % recipe["save_every"] == 0 or step + 1 == steps):
            spent = seconds + time.monotonic() - began
            state = {"net": net.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save({**state, "step": step + 1, "history": history, "seconds": spent, "recipe": recipe}, checkpoint)
            torch.save(average.state_dict(), out / "face.pt")
            facts = {"recipe": recipe, "frames": len(frames), "step": step + 1, "seconds": spent, "history": history}
            (out / "face.json").write_text(json.dumps(facts, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and checkpoint")
    parser.add_argument("--recipe", type=Path, default=HERE / "face.toml")
    parser.add_argument("--steps", type=int, help="a shorter or longer schedule than the recipe's")
    given = parser.parse_args()
    recipe = tomllib.loads(given.recipe.read_text())
    if given.steps:
        recipe["steps"] = given.steps
    given.out.mkdir(parents=True, exist_ok=True)
    processes = 1 if torch.cuda.is_available() else recipe["processes"]
    launch(train, processes, given.out, recipe, given.data, given.out)


if __name__ == "__main__":
    main()
