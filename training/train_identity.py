"""Train `animeset-identity` on folders of characters: `python -m training.train_identity --data FOLDER --out FOLDER`.

FOLDER holds `train/source/character/*` and, where people occur in several sources, `canonical_names.json`.
Writes `identity.pt` (averaged weights), `identity.json` (recipe, losses, seconds) and a checkpoint that an interrupted training goes on from.
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
from torch.utils.data import DataLoader

from training.heads import hold_out, read_heads
from training.identity_data import CharacterBatches, CharacterViews
from training.identity_net import CosineHead, IdentityNet, supervised_contrast
from training.schedule import one_cycle, update_average

HERE = Path(__file__).parent


def train(recipe: dict[str, Any], data: Path, out: Path) -> None:
    torch.manual_seed(recipe["seed"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    names = data / "canonical_names.json"
    heads, _ = hold_out(
        read_heads(data / "train", names if names.exists() else None), recipe["held_out"], recipe["seed"]
    )
    views = CharacterViews(heads, recipe["seed"])

    net = IdentityNet(recipe["dim"], recipe["frozen"], recipe["train_depthwise"]).to(
        device, memory_format=torch.channels_last
    )
    net.backbone.load_imagenet()
    head = CosineHead(recipe["dim"], len(views.label), recipe["scale"], recipe["margin"]).to(device)
    average = copy.deepcopy(net).eval().requires_grad_(False)
    slow = [p for p in net.backbone.parameters() if p.requires_grad]
    fast = [p for n, p in net.named_parameters() if not n.startswith("backbone")] + list(head.parameters())
    optimiser = torch.optim.AdamW(
        [{"params": slow, "peak": recipe["backbone_rate"]}, {"params": fast, "peak": recipe["learning_rate"]}],
        weight_decay=recipe["weight_decay"],
    )
    steps, first, history, seconds = recipe["steps"], 0, [], 0.0
    checkpoint = out / "identity-checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=False)
        if saved["recipe"] != recipe:
            raise SystemExit(f"{checkpoint} belongs to another recipe. Remove it to start anew.")
        net.load_state_dict(saved["net"])
        head.load_state_dict(saved["head"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        first, history, seconds = saved["step"], saved["history"], saved["seconds"]

    batches = CharacterBatches(heads, recipe["characters"], recipe["pictures"], range(first, steps), recipe["seed"])
    workers = 12 if device.type == "cuda" else 0
    loader = DataLoader(views, batch_sampler=batches, num_workers=workers, pin_memory=workers > 0)
    began = time.monotonic()
    net.train()
    losses = torch.zeros(2)
    for step, (images, labels) in enumerate(loader, first):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * one_cycle(step, steps, recipe["warmup"])
        images, labels = images.to(device, non_blocking=True).permute(0, 3, 1, 2).float(), labels.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            vectors = net(images)
        vectors = vectors.float()
        classify = head(vectors, labels)
        contrast = supervised_contrast(vectors, labels, recipe["temperature"])
        optimiser.zero_grad(set_to_none=True)
        (classify + recipe["contrast_weight"] * contrast).backward()
        torch.nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 5.0)
        optimiser.step()
        update_average(average, net, step, recipe["ema"])
        losses += torch.tensor([classify.item(), contrast.item()])
        if (step + 1) % 50 == 0:
            spent = time.monotonic() - began
            history.append([step + 1, *(losses / 50).tolist()])
            print(
                f"step {step + 1}/{steps}  classify {losses[0] / 50:.3f}  contrast {losses[1] / 50:.3f}  {spent:.0f} s",
                flush=True,
            )
            losses.zero_()
        if (step + 1) % recipe["save_every"] == 0 or step + 1 == steps:
            spent = seconds + time.monotonic() - began
            state = {"net": net.state_dict(), "head": head.state_dict(), "average": average.state_dict()}
            state["optimiser"] = optimiser.state_dict()
            torch.save({**state, "step": step + 1, "history": history, "seconds": spent, "recipe": recipe}, checkpoint)
            torch.save(average.state_dict(), out / "identity.pt")
            facts = {"pictures": len(heads), "characters": len(views.label), "step": step + 1, "seconds": spent}
            (out / "identity.json").write_text(json.dumps({"recipe": recipe, **facts, "history": history}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and canonical_names.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and checkpoint")
    parser.add_argument("--recipe", type=Path, default=HERE / "identity.toml")
    parser.add_argument("--steps", type=int, help="a shorter or longer schedule than the recipe's")
    given = parser.parse_args()
    recipe = tomllib.loads(given.recipe.read_text())
    if given.steps:
        recipe["steps"] = given.steps
    given.out.mkdir(parents=True, exist_ok=True)
    train(recipe, given.data, given.out)


if __name__ == "__main__":
    main()
