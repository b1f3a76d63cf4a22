"""Derive the coefficients of `relay.codegen.llvm.math`: Chebyshev fits in 50 digits (mpmath).

Run ``python tools/fit_polynomials.py`` and compare with the tables there. Every line gives a name,
the largest error of the fit and the coefficients, lowest power first.
"""

from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 50


def removable(function: Callable[[mp.mpf], mp.mpf], at_zero: str) -> Callable[[mp.mpf], mp.mpf]:
    """`function` with its removable singularity at 0 filled in."""
    limit = mp.mpf(eval_fraction(at_zero))
    return lambda x: limit if abs(x) < mp.mpf("1e-14") else function(x)


def eval_fraction(text: str) -> mp.mpf:
    """A fraction such as ``-1/6``."""
    top, _, bottom = text.partition("/")
    return mp.mpf(top) / mp.mpf(bottom or 1)


def show(
    name: str, function: Callable[[mp.mpf], mp.mpf], low: mp.mpf, high: mp.mpf, degree: int
) -> None:
    """Fit and print one polynomial."""
    coefficients, error = mp.chebyfit(function, [low, high], degree + 1, error=True)
    numbers = [mp.nstr(c, 12) for c in reversed(coefficients)]
    print(f"{name} error {mp.nstr(error, 3)}:\n    {', '.join(numbers)}")


def main() -> None:
    """Print every table."""
    half_ln2 = mp.log(2) / 2 * mp.mpf("1.001")
    show(
        "EXPM1  (exp(r) - 1 - r) / r^2",
        removable(lambda r: (mp.expm1(r) - r) / r**2, "1/2"),
        -half_ln2,
        half_ln2,
        4,
    )
    show(
        "LOG1P  (log(1 + f) - f + f^2 / 2) / f^3",
        removable(lambda f: (mp.log1p(f) - f + f * f / 2) / f**3, "1/3"),
        mp.sqrt(mp.mpf(1) / 2) - 1,
        mp.sqrt(mp.mpf(2)) - 1,
        8,
    )
    eighth = (mp.pi / 4 * mp.mpf("1.001")) ** 2
    root = mp.sqrt
    show(
        "SIN  (sin(x) - x) / x^3 in x^2",
        removable(lambda z: (mp.sin(root(z)) - root(z)) / root(z) ** 3, "-1/6"),
        mp.mpf(0),
        eighth,
        3,
    )
    show(
        "COS  (cos(x) - 1 + x^2 / 2) / x^4 in x^2",
        removable(lambda z: (mp.cos(root(z)) - 1 + z / 2) / z**2, "1/24"),
        mp.mpf(0),
        eighth,
        3,
    )
    show(
        "ATAN  (atan(t) - t) / t^3 in t^2",
        removable(lambda z: (mp.atan(root(z)) - root(z)) / root(z) ** 3, "-1/3"),
        mp.mpf(0),
        mp.mpf(1),
        9,
    )
    show(
        "ASIN  (asin(s) - s) / s^3 in s^2",
        removable(lambda z: (mp.asin(root(z)) - root(z)) / root(z) ** 3, "1/6"),
        mp.mpf(0),
        mp.mpf("0.25"),
        5,
    )
    for degree in (8, 9, 10, 11, 12):
        show(
            f"ERF  -log(erfc(x)) / x, degree {degree}",
            removable(lambda x: -mp.log(mp.erfc(x)) / x, mp.nstr(2 / mp.sqrt(mp.pi), 40)),
            mp.mpf(0),
            mp.mpf(4),
            degree,
        )
    show(
        "ERF_NARROW  erf(x) / x in x^2",
        removable(lambda z: mp.erf(root(z)) / root(z), mp.nstr(2 / mp.sqrt(mp.pi), 40)),
        mp.mpf(0),
        mp.mpf(9),
        8,
    )


if __name__ == "__main__":
    main()
