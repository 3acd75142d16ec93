"""Personas: groups of users that hold up when the sample is drawn again, and what sets each apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from opslib.errors import TooLittleError
from opslib.text import say

Method = Literal["kmeans", "gmm", "hdbscan"]
BEYOND = 0.04  # silhouette above chance
FOUND_AGAIN = 0.75  # mean Jaccard of a group in bootstrap samples
SMALLEST = 0.01  # of the users


@dataclass(frozen=True)
class Clustering:
    """Labels 0, 1, … by size, −1 for nobody's; inertia (k-means), silhouette and bic (mixture), blank where they do
    not apply; centers in the units of the input.
    """

    labels: np.ndarray
    k: int
    method: str
    inertia: float
    silhouette: float
    bic: float
    centers: np.ndarray

    def assign(self, x: Any) -> np.ndarray:
        """The group whose center is nearest, for further users; k-means' own rule."""
        return nearest(np.asarray(x, dtype=float), self.centers)


def nearest(x: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Index of the nearest center."""
    return ((centers**2).sum(axis=1) - 2 * x @ centers.T).argmin(axis=1)


def scaled(features: pd.DataFrame, *, logged: Iterable[str] | None = None) -> pd.DataFrame:
    """Features on one scale: log1p of skewed amounts, then mean 0 and standard deviation 1.

    Definition: `logged` names the columns to log; left out, those without negative values and with a skewness above 1.
    A missing value becomes the column's median, a column that does not vary becomes 0.

    Raises
    ------
    ValueError  if a column is not numeric or has no value.
    """
    numbers = features.apply(pd.to_numeric, errors="raise").astype(float)
    empty = numbers.columns[numbers.isna().all()]
    if len(empty):
        raise ValueError(f"scaled: {empty[0]!r} has no value")
    if logged is None:
        logged = numbers.columns[(numbers.min() >= 0) & (numbers.skew() > 1)]
    filled = numbers.fillna(numbers.median())
    filled[list(logged)] = np.log1p(filled[list(logged)])
    return (filled - filled.mean()) / filled.std(ddof=0).replace(0, 1)


def cluster(x: Any, k: int = 3, *, method: Method = "kmeans", seed: int = 0, starts: int = 10) -> Clustering:
    """Groups of users with the given features (already on one scale).

    One row per user in `x`. `k` is the number of groups, or for hdbscan, which finds its own number and leaves users
    out, the least size of one in percent of the users.

    Definition: k-means with the best of `starts` starts; a Gaussian mixture with full covariances; HDBSCAN. Labels are
    ordered by size. The silhouette is of at most 5,000 users.

    Source: scikit-learn; Campello et al. 2013 (HDBSCAN); Rousseeuw 1987 (silhouette).

    Raises
    ------
    ValueError      if a value is missing or `k` < 1.
    TooLittleError  with fewer users than groups.
    """
    x = np.asarray(x, dtype=float)
    if not np.isfinite(x).all() or k < 1:
        raise ValueError(f"cluster: every feature of every user, and k ≥ 1, got k = {k}")
    if len(x) < max(2, k):
        raise TooLittleError(
            say(zh="分成 {k} 群需要更多用户，现有 {n} 名", en="{k} groups need more than {n} users", k=k, n=len(x))
        )
    labels, centers, model = _ordered(x, *_fitted(x, k, method, seed, starts))
    inertia = float(model.inertia_) if method == "kmeans" else np.nan
    bic = float(model.bic(x)) if method == "gmm" else np.nan
    return Clustering(labels, len(centers), method, inertia, _silhouette(x, labels, seed), bic, centers)


def _ordered(x: np.ndarray, model: Any, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray, Any]:
    """Labels by size, and the centers."""
    sizes = np.bincount(raw[raw >= 0], minlength=raw.max() + 1)
    rank = np.argsort(np.argsort(-sizes, kind="stable"))
    labels = np.where(raw >= 0, rank[np.maximum(raw, 0)], -1)
    return labels, np.array([x[labels == g].mean(axis=0) for g in np.flatnonzero(sizes[sizes > 0])]), model


def _fitted(x: np.ndarray, k: int, method: str, seed: int, starts: int) -> tuple[Any, np.ndarray]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(
        1
    ):  # a fit takes milliseconds: threads that wait for each other on a busy machine take seconds
        return _fit(x, k, method, seed, starts)


def _fit(x: np.ndarray, k: int, method: str, seed: int, starts: int) -> tuple[Any, np.ndarray]:
    from sklearn.cluster import HDBSCAN, KMeans
    from sklearn.mixture import GaussianMixture

    if method == "kmeans":
        model: Any = KMeans(k, n_init=starts, random_state=seed).fit(x)
        return model, model.labels_
    if method == "gmm":
        model = GaussianMixture(k, n_init=starts, random_state=seed).fit(x)
        return model, model.predict(x)
    if method == "hdbscan":
        model = HDBSCAN(min_cluster_size=max(2, round(len(x) * k / 100)), copy=True).fit(x)
        return model, model.labels_
    raise ValueError(f"cluster: method must be kmeans, gmm or hdbscan, got {method!r}")


def _silhouette(x: np.ndarray, labels: np.ndarray, seed: int) -> float:
    from sklearn.metrics import silhouette_score

    inside = labels >= 0
    kinds = len(np.unique(labels[inside]))
    if not 2 <= kinds < inside.sum():
        return float("nan")
    size = 5_000 if inside.sum() > 5_000 else None
    return float(silhouette_score(x[inside], labels[inside], sample_size=size, random_state=seed))


@dataclass(frozen=True)
class Personas:
    """The groups that hold, k = 1 when none do.

    `criterion` has one row per number of groups tried: k, silhouette, chance (silhouette of a cloud without groups),
    ari (mean agreement of bootstrap fits), jaccard (of the group found again worst), smallest (share of users), holds;
    ari and jaccard are blank where the silhouette is no better than chance. `stability` is the ari of the chosen k.
    """

    k: int
    labels: np.ndarray
    stability: float
    criterion: pd.DataFrame
    clustering: Clustering | None


def personas(
    x: Any,
    *,
    ks: Iterable[int] = range(2, 9),
    method: Literal["kmeans", "gmm"] = "kmeans",
    draws: int = 15,
    sample: int = 2000,
    seed: int = 0,
) -> Personas:
    """As many groups of users as there are beyond chance and can be told apart again in another sample.

    One row per user in `x`, on one scale (see `scaled`).

    Definition: k holds when its silhouette is at least 0.04 above that of a cloud with the same columns and the same
    rank correlations but no groups (Gaussian copula), every group is found again in bootstrap samples (mean Jaccard at
    least 0.75) and has at least 1 % of the users. Of those that hold, the largest k whose silhouette is as far above
    chance as the best, within 5 %. Chosen on `sample` users, then every user belongs to the nearest center.
    Error: `criterion` and `stability`.
    Source: Tibshirani, Walther & Hastie 2001 (comparison with a cloud without groups); Hennig 2007, Computational
    Statistics & Data Analysis 52, 258-271 (clusterwise stability); Hubert & Arabie 1985 (adjusted Rand index).

    Raises
    ------
    ValueError      if a value is missing.
    TooLittleError  with fewer than 20 users for each of the fewest groups.
    """
    x = np.asarray(x, dtype=float)
    tried = sorted(set(ks))
    if len(x) < 20 * tried[0]:
        raise TooLittleError(
            say(
                zh="用户画像要求 {least} 名用户才能分成 {k} 群，现有 {n} 名",
                en="personas need {least} users for {k} groups, has {n}",
                least=20 * tried[0],
                k=tried[0],
                n=len(x),
            )
        )
    rng = np.random.default_rng(seed)
    drawn = x[rng.choice(len(x), min(sample, len(x)), replace=False)]
    clouds = [_cloud(drawn, rng) for _ in range(3)]
    fits = {k: cluster(drawn, k, method=method, seed=seed) for k in tried if len(x) >= 20 * k}
    table = pd.DataFrame([_criterion(drawn, clouds, fit, draws, rng) for fit in fits.values()])
    if not table.holds.any():
        return Personas(1, np.zeros(len(x), dtype=int), float("nan"), table, None)
    above = (table.silhouette - table.chance).where(table.holds)
    chosen = table[above >= 0.95 * above.max()].iloc[-1]
    clustering = fits[int(chosen.k)]
    return Personas(int(chosen.k), clustering.assign(x), float(chosen.ari), table, clustering)


def _cloud(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same columns with the same rank correlations, joined by a Gaussian copula."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    z = ndtri((rankdata(x, axis=0) - 0.5) / len(x))
    gaussian = rng.multivariate_normal(np.zeros(x.shape[1]), np.atleast_2d(np.cov(z.T)), len(x))
    return np.take_along_axis(np.sort(x, axis=0), gaussian.argsort(axis=0).argsort(axis=0), axis=0)


def _criterion(
    x: np.ndarray, clouds: list[np.ndarray], fit: Clustering, draws: int, rng: np.random.Generator
) -> dict[str, Any]:
    from sklearn.metrics import adjusted_rand_score

    chance = float(np.mean([_silhouette(cloud, _again(cloud, fit, rng)[0], 0) for cloud in clouds]))
    beyond = fit.silhouette >= chance + BEYOND
    own = fit.assign(x)
    samples = [x[rng.integers(len(x), size=len(x))] for _ in range(draws if beyond else 0)]
    others = [nearest(x, _again(sample, fit, rng)[1]) for sample in samples]
    jaccard = np.min(np.mean([_found_again(own, other, fit.k) for other in others], axis=0)) if beyond else np.nan
    smallest = np.bincount(own, minlength=fit.k).min() / len(x)
    return {
        "k": fit.k,
        "silhouette": fit.silhouette,
        "chance": chance,
        "ari": np.mean([adjusted_rand_score(own, other) for other in others]) if beyond else np.nan,
        "jaccard": jaccard,
        "smallest": smallest,
        "holds": bool(beyond and jaccard >= FOUND_AGAIN and smallest >= SMALLEST),
    }


def _again(x: np.ndarray, fit: Clustering, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Any]:
    return _ordered(x, *_fitted(x, fit.k, fit.method, int(rng.integers(2**31)), 3))


def _found_again(own: np.ndarray, again: np.ndarray, k: int) -> np.ndarray:
    """For each group the largest Jaccard overlap with a group of the other fit."""
    both = np.zeros((k, again.max() + 1))
    np.add.at(both, (own, again), 1)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None] - both
    return (both / np.maximum(either, 1)).max(axis=1)
