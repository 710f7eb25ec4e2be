"""Named places in the towers where a tensor can be looked at or replaced.

A site is an identity module, and its name is its path in the model, in TransformerLens's words:
`visual.blocks.3.attn.hook_pattern`. Nobody watching, it costs a function call and vanishes from
an exported graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase

from torch import Tensor, nn

from clipworks.errors import SettingsError

Watcher = Callable[[Tensor], Tensor | None]
"""Takes the tensor at a site; what it returns, unless None, replaces the tensor."""


class Site(nn.Module):
    """Passes its tensor on, through whoever watches."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: list[Watcher] = []

    @property
    def watched(self) -> bool:
        """Whether anybody watches; a tensor that nothing else needs is computed only then."""
        return bool(self._watchers)

    def forward(self, tensor: Tensor) -> Tensor:
        """Show the tensor to each watcher, in the order in which they came."""
        for watcher in self._watchers:
            replacement = watcher(tensor)
            if replacement is not None:
                tensor = replacement
        return tensor

    @contextmanager
    def watch(self, watcher: Watcher) -> Iterator[None]:
        """Watch until the block is left."""
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)


def sites_of(model: nn.Module) -> dict[str, Site]:
    """Every site of a model or tower, by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Site)}


def match_sites(model: nn.Module, patterns: Iterable[str]) -> dict[str, Site]:
    """The sites whose names match any of the patterns (`visual.blocks.*.hook_resid_post`).

    Raises:
        SettingsError: a pattern that matches nothing.
    """
    sites = sites_of(model)
    matched: dict[str, Site] = {}
    for pattern in patterns:
        found = {name: site for name, site in sites.items() if fnmatchcase(name, pattern)}
        if not found:
            raise SettingsError(
                f"no site matches {pattern!r}; sites_of(model) has the {len(sites)} names, "
                f"such as {', '.join(list(sites)[:3])}"
            )
        matched |= found
    return matched


@contextmanager
def observe(model: nn.Module, patterns: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Collect the tensors at the sites that match, while the block runs.

    The dictionary holds each site's latest tensor, still attached to the graph of gradients.

    Raises:
        SettingsError: a pattern that matches nothing.
    """
    seen: dict[str, Tensor] = {}

    def collect_into(name: str) -> Watcher:
        return lambda tensor: seen.update({name: tensor})

    with ExitStack() as stack:
        for name, site in match_sites(model, patterns).items():
            stack.enter_context(site.watch(collect_into(name)))
        yield seen


@contextmanager
def replace(model: nn.Module, watchers: Mapping[str, Watcher]) -> Iterator[None]:
    """Run each watcher at the sites that its pattern matches, while the block runs.

    Raises:
        SettingsError: a pattern that matches nothing.
    """
    with ExitStack() as stack:
        for pattern, watcher in watchers.items():
            for site in match_sites(model, [pattern]).values():
                stack.enter_context(site.watch(watcher))
        yield
