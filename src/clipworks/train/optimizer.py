"""Which rule moves which weights, and how far they decay."""

from __future__ import annotations

import torch
from torch import nn

from clipworks.errors import SettingsError
from clipworks.models.blocks import Block
from clipworks.train.config import TrainConfig

SCALE = "learning_rate_scale"
"""The key of a parameter group under which its share of the run's learning rate stands."""


def make_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW for all weights, or Muon for the matrices of the blocks and AdamW for the rest.

    AdamW: Loshchilov and Hutter, arXiv 1711.05101. Weight matrices and convolutions decay; what
    has fewer than two axes (biases, norms, the scale) and what is looked up (embeddings,
    positions, queries) does not; what needs no gradient is left out. Muon: Jordan et al., 2024,
    with the step of Liu et al., arXiv 2502.16982, equation 4, which makes it as long as AdamW's.

    Raises:
        SettingsError: Muon is asked for, and this torch is older than it.
    """
    muon, decayed, undecayed = [], [], []
    matrices = matrices_of_blocks(model) if config.optimizer == "muon" else set()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name in matrices:
            muon.append(parameter)
        elif decays(name, parameter):
            decayed.append(parameter)
        else:
            undecayed.append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay, SCALE: 1.0},
        {"params": undecayed, "weight_decay": 0.0, SCALE: 1.0},
    ]
    rate, decay = config.learning_rate, config.weight_decay
    adamw = torch.optim.AdamW(groups, lr=rate, betas=config.betas, fused=True)
    if not muon:
        return [adamw]
    group = {"params": muon, SCALE: config.muon_scale}
    if "Muon" not in dir(torch.optim):
        raise SettingsError(
            f"optimizer 'muon' needs torch 2.9 or newer; this is {torch.__version__}"
        )
    rule = torch.optim.Muon([group], lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    return [rule, adamw]


def set_learning_rate(optimizers: list[torch.optim.Optimizer], learning_rate: float) -> None:
    """Give each group its share of the run's learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * group[SCALE]


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay pulls on a parameter of that name."""
    looked_up = name.endswith(("positions", "queries", "token_embed.weight"))
    return parameter.ndim >= 2 and not looked_up


def matrices_of_blocks(model: nn.Module) -> set[str]:
    """The names of the weight matrices in the blocks of both towers."""
    return {
        f"{block_name}.{name}"
        for block_name, block in model.named_modules()
        if isinstance(block, Block)
        for name, parameter in block.named_parameters()
        if parameter.ndim == 2
    }
