"""Robust least squares against SciPy's, and what is learned of links' errors against closed forms."""

from __future__ import annotations

import numpy as np
from scipy.optimize import check_grad, least_squares

from wbench_baselines.position.errors import LinkErrors
from wbench_baselines.position.links import Links, expected
from wbench_baselines.position.sides import Sides
from wbench_baselines.position.solver import Fix, solve


def problem(users: int, stations: int, turn: float, seed: int = 0) -> tuple[Fix, np.ndarray]:
    rng = np.random.default_rng(seed)
    place = rng.uniform(-90, 90, (users, 2))
    station = np.concatenate([rng.uniform(-100, 100, (stations, 2)), rng.uniform(9, 15, (stations, 1))], axis=1)
    station = np.tile(station, (users, 1, 1))
    bearing = np.tile(rng.uniform(-3, 3, stations), (users, 1))
    distance, cosine = expected(place[:, None], station, bearing)
    late = np.where(rng.random(distance.shape) < 0.3, rng.exponential(60, distance.shape), 0.0)
    fix = Fix(
        distance + 3 * rng.standard_normal(distance.shape) + late,
        np.full(distance.shape, 3.0),
        np.full(distance.shape, 5.0),
        np.clip(cosine + 0.02 * rng.standard_normal(distance.shape), -1, 1),
        np.full(distance.shape, 0.02),
        station,
        bearing,
        place.mean(axis=0),
        place.std(axis=0),
        turn,
    )
    return fix, place


def one(fix: Fix, user: int) -> Fix:
    names = Fix.__slots__[:7]
    return Fix(*(getattr(fix, name)[user : user + 1] for name in names), fix.centre, fix.extent, fix.turn)


def test_same_minima_as_scipy() -> None:
    fix, place = problem(12, 5, 2.0)
    start = place[:, None] + np.random.default_rng(1).normal(0, 8, (12, 3, 2))
    found, cost = solve(fix, start)
    for user in range(12):
        mine = one(fix, user)

        def residual(p: np.ndarray, mine: Fix = mine) -> np.ndarray:
            return mine.residuals(p[None, None])[0][0, 0]

        def loss(z: np.ndarray) -> np.ndarray:
            """Cauchy over the measurements, squares over the last two: ρ, ρ' and ρ''."""
            rho = np.stack([4 * np.log1p(z / 4), 1 / (1 + z / 4), -0.25 / (1 + z / 4) ** 2])
            rho[:, -2:] = np.stack([z[-2:], np.ones(2), np.zeros(2)])
            return rho

        for s in range(3):
            other = least_squares(residual, start[user, s], loss=loss, xtol=1e-12, ftol=1e-12, gtol=1e-12)
            # The cost has several minima; from one start two methods may take two of them, but ours is a minimum.
            again = least_squares(residual, found[user, s], loss=loss, xtol=1e-12, ftol=1e-12, gtol=1e-12)
            np.testing.assert_allclose(again.x, found[user, s], atol=1e-3)
            np.testing.assert_allclose(again.cost, cost[user, s], rtol=1e-6)
            if np.linalg.norm(other.x - found[user, s]) < 1:
                np.testing.assert_allclose(other.cost, cost[user, s], rtol=1e-6)


def test_slopes_are_those_of_the_residuals() -> None:
    users, place = problem(9, 4, 1.0)
    fix = one(users, 0)
    for row in range(10):
        error = check_grad(
            lambda p, row=row: fix.residuals(p[None, None])[0][0, 0, row],
            lambda p, row=row: fix.residuals(p[None, None])[1][0, 0, row],
            place[0] + 20,
        )
        assert error < 1e-4


def test_late_first_paths_do_not_decide() -> None:
    fix, place = problem(300, 6, 2.0)
    found, _ = solve(fix, place[:, None] + 5.0)
    miss = np.linalg.norm(found[:, 0] - place, axis=1)
    assert np.median(miss) < 2.5
    plain, _ = solve(Fix(*(getattr(fix, n) for n in Fix.__slots__[:-1]), turn=1e6), place[:, None] + 5.0)
    assert np.median(np.linalg.norm(plain[:, 0] - place, axis=1)) > 1.5 * np.median(miss)


def test_a_station_of_infinite_spread_is_not_there_and_nothing_gives_the_centre() -> None:
    fix, place = problem(20, 5, 2.0)
    missing = np.zeros((20, 5), bool)
    missing[:, 2] = True

    def without(gone: np.ndarray) -> Fix:
        spreads = [np.where(gone, np.inf, getattr(fix, n)) for n in ("early_m", "late_m", "cosine_spread")]
        wrong = fix.range_m * np.where(gone, 7, 1)
        return Fix(wrong, *spreads[:2], fix.cosine, spreads[2], *(getattr(fix, n) for n in Fix.__slots__[5:]))

    out = without(missing)
    kept = [0, 1, 3, 4]
    less = Fix(*(getattr(out, n)[:, kept] for n in Fix.__slots__[:7]), *(getattr(fix, n) for n in Fix.__slots__[7:]))
    np.testing.assert_allclose(solve(out, place[:, None])[0], solve(less, place[:, None])[0], atol=1e-9)
    blind = without(np.ones((20, 5), bool))
    np.testing.assert_allclose(solve(blind, place[:, None])[0][:, 0], np.tile(fix.centre, (20, 1)), atol=1e-6)


def test_a_range_tells_places_that_are_too_far_from_those_that_are_too_near() -> None:
    users, place = problem(9, 3, 2.0)
    fix = one(users, 0)
    distance = expected(place[0], fix.station[0], fix.bearing[0])[0]
    for gap, spread in ((6.0, 5.0), (-6.0, 3.0)):  # the range is 6 m late, then 6 m early
        now = Fix(distance[None] + gap, *(getattr(fix, n) for n in Fix.__slots__[1:]))
        np.testing.assert_allclose(now.residuals(place[:1, None])[0][0, 0, :3], -gap / spread)


def links(users: int, seed: int = 2) -> tuple[Links, np.ndarray]:
    rng = np.random.default_rng(seed)
    place = rng.uniform(-90, 90, (users, 2))
    station = np.tile([[0.0, 0.0, 10.0], [50.0, 20.0, 12.0]], (users, 1, 1))
    bearing = np.tile([0.3, -1.0], (users, 1))
    distance, cosine = expected(place[:, None], station, bearing)
    excess = np.where(rng.random((users, 2)) < 0.5, 0.0, 30.0) + rng.normal(0, 1, (users, 2))
    far = excess > 15
    late = np.where(far, rng.normal(40, 20, far.shape), rng.normal(0, 3, far.shape))
    turned = np.where(far, rng.normal(0, 0.3, far.shape), rng.normal(0, 0.01, far.shape))
    heard = np.ones(far.shape, bool)
    heard[::7, 1] = False
    return Links(distance + late, cosine + turned, excess, heard, station, bearing), place


def distance_late(known: Links, place: np.ndarray) -> np.ndarray:
    late = np.random.default_rng(4).exponential(30, known.range_m.shape)
    return expected(place[:, None], known.station, known.bearing)[0] + late


def test_errors_are_learned_by_excess_loss() -> None:
    known, place = links(4000)
    errors = LinkErrors.learn(known, place)
    new, _ = links(50, seed=9)
    bias, early, late, cosine = errors.of(new)
    far = new.excess_db > 15
    np.testing.assert_allclose(bias, np.where(far, 40, 0), atol=4)
    np.testing.assert_allclose(early, np.where(far, 20, 3), rtol=0.25)
    np.testing.assert_allclose(late, np.where(far, 20, 3), rtol=0.25)
    np.testing.assert_allclose(cosine, np.where(far, 0.3, 0.01), rtol=0.25)
    # Of a handful of links there is one bin, and no spread is nothing.
    few = LinkErrors.learn(Links(*(getattr(known, n)[:3] for n in Links.__slots__)), place[:3])
    assert len(few.excess_db) == 1
    assert min(few.early_m[0], few.late_m[0]) >= 0.3
    skewed = Links(distance_late(known, place), *(getattr(known, n) for n in Links.__slots__[1:]))
    of = LinkErrors.learn(skewed, place)
    # Quantiles of the exponential distribution of mean 30: −30·ln(0.5 and 0.8413 and 0.1587).
    np.testing.assert_allclose(
        [of.early_m.mean(), of.late_m.mean()], 30 * np.log([0.8413 / 0.5, 0.5 / 0.1587]), rtol=0.1
    )


def test_training_users_vote_for_the_side() -> None:
    known, place = links(3000)
    distance, cosine = expected(place[:, None], known.station, known.bearing)
    exact = Links(distance, cosine, *(getattr(known, n) for n in Links.__slots__[2:]))
    ahead = place @ [np.cos(0.3), np.sin(0.3)] > 0
    # Users of base station 0 stand in front of it only; the others' sides follow from where they are.
    front = Links(*(getattr(exact, n)[ahead] for n in Links.__slots__))
    shares = Sides.learn(front, place[ahead]).shares(front)
    assert (shares[:, 0, 0] == 16 / 17).all()
    np.testing.assert_allclose(shares.sum(axis=2), 1)
    odds = Sides.learn(front, place[ahead]).log_odds(front, np.stack([place[ahead], -place[ahead]], axis=1))
    assert (odds[:, 0] > odds[:, 1])[~front.heard[:, 1]].all()
