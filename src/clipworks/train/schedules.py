"""The learning rate, as a function of the step."""

from __future__ import annotations

import math

from clipworks.train.config import TrainConfig


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Warm-up in a straight line, a plateau, then half a cosine down to the floor.

    Without the plateau: Loshchilov and Hutter, arXiv 1608.03983, equation 5, one period.

    Args:
        step: from 0 to `config.steps` - 1.
        config: of the run.
    """
    peak = config.learning_rate
    if step < config.warmup_steps:
        return peak * (step + 1) / config.warmup_steps
    start = max(config.warmup_steps, round(config.decay_from * config.steps))
    length = max(1, config.steps - start)
    progress = min(1.0, max(0.0, (step - start) / length))
    floor = config.learning_rate_floor
    return peak * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)
