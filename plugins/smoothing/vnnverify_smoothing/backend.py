# SPDX-License-Identifier: Apache-2.0
"""The backend: reports certificates, decides nothing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from vnnverify import Backend, Context, Guarantee, Outcome, Query, Support, option
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify_smoothing.certify import Certificate, certify
from vnnverify_smoothing.robustness import shape_problem

__all__ = ["Smoothing", "SmoothingOptions"]


@dataclass(frozen=True, slots=True)
class SmoothingOptions:
    """The smoothed classifier, and how it is sampled."""

    sigma: float = option(0.25, help="standard deviation of the noise on every input", minimum=1e-12)
    n0: int = option(100, help="samples that choose the class", minimum=1)
    n: int = option(10_000, help="samples that bound its probability", minimum=1)
    alpha: float = option(0.001, help="probability that the certificate is wrong", minimum=1e-12, maximum=0.5)
    batch: int = option(256, help="samples evaluated at once", minimum=1)
    norm: str = option("l2", help="norm in which the radii are stated", choices=("l2", "linf"))


class Smoothing(Backend[SmoothingOptions]):
    """Certify the Gaussian-smoothed classifier around the centre of each box.

    A certificate is about argmax of the network under noise, by majority, not about the network
    itself: the outcome is always `unknown`, with the certificate in its statistics.
    """

    guarantee = Guarantee.STATISTICAL

    def supports(self, query: Query) -> Support:
        """Only queries whose unsafe outputs are "some other label beats label c"."""
        problem = shape_problem(query)
        return Support.no(problem) if problem else Support.yes()

    def verify(self, query: Query, ctx: Context) -> Outcome:
        """`unknown`, with the certificate of the clause that is worst off.

        The confidence holds for all clauses together: each is given its share of alpha.
        """
        problem = shape_problem(query)
        if problem:
            return Outcome.unknown(problem, obstacle=Obstacle(ObstacleKind.NOT_SUPPORTED))
        options, count = self.options, len(query.clauses)
        graph = query.graph.to(ctx.device, ctx.dtype)
        certificates = [
            certify(
                graph,
                clause,
                ctx.until(ctx.deadline.share(1 / (count - index))),
                sigma=options.sigma,
                n0=options.n0,
                n=options.n,
                alpha=options.alpha / count,
                batch=options.batch,
                norm=options.norm,
            )
            for index, clause in enumerate(query.clauses)
        ]
        worst = min(certificates, key=lambda c: (c.certified, c.certified_radius - c.required_radius))
        stats = dataclasses.asdict(worst)
        del stats["reason"]
        stats["confidence"] = 1 - options.alpha
        stats |= {"sigma": options.sigma, "norm": options.norm, "clauses": count}
        stats["certified_clauses"] = sum(c.certified for c in certificates)
        statistical = Obstacle(ObstacleKind.STATISTICAL)
        return Outcome.unknown(self._sentence(worst, count), obstacle=statistical, **stats)

    def _sentence(self, worst: Certificate, count: int) -> str:
        place = "the box" if count == 1 else f"all {count} boxes"
        about = f"the classifier smoothed with sigma {self.options.sigma:g}"
        if worst.certified:
            return (
                f"{about} is robust on {place} with confidence {1 - self.options.alpha:g}: "
                "a statistical certificate, no proof about the network"
            )
        return f"{about} is not certified: {worst.reason}"
