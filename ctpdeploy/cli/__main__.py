"""``python -m ctpdeploy.cli``."""

from ctpdeploy.cli import main

main()
