"""Do the orderings of the source's tables hold in a reproduction? Paired differences between rows.

For each claim, a pair of rows whose published means differ, the difference is taken case by case and seed by seed
(:mod:`ctpdeploy.train.reproduction.claims`): its mean, a 95 % interval for which patients and seeds are drawn, p-values
adjusted by Holm over the claims of a folder, of this bootstrap and of Wilcoxon, and the mean of each seed. The last
line is JSON.

    python claims/paired_tests.py FOLDER [FOLDER ...] [--score ap] [--patients patients.csv]
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from rounded import rounded

from ctpdeploy.cli.reproduce import print_claims
from ctpdeploy.train.reproduction.claims import SCORES_JUDGED, judged_claims
from ctpdeploy.train.split import read_patients


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reproductions", type=Path, nargs="+")
    parser.add_argument("--score", choices=tuple(SCORES_JUDGED), default="dice")
    parser.add_argument("--patients", type=Path, help="CSV with columns case,patient")
    options = parser.parse_args()
    patients = read_patients(options.patients) if options.patients else None
    result = {}
    for reproduction in options.reproductions:
        claims = judged_claims(reproduction, score=options.score, patients=patients)
        print(reproduction)
        print_claims(claims, options.score)
        print()
        result[str(reproduction)] = [asdict(claim) for claim in claims]
    print(json.dumps(rounded(result)))


if __name__ == "__main__":
    main()
